// What schedules do in a run: turns beyond its end, rates that leave what is allowed.
#include "runtime/schema/Schedule.h"

#include <gtest/gtest.h>

using namespace doppel;
using Horizon = schedule::Run;
using schema::ScheduleNode;
using schema::ScheduleOp;
using schema::ScheduleRole;

namespace {

/// Nodes that read like a formula: a value is the number of its node.
struct Formula {
  std::vector<ScheduleNode> nodes;

  uint32_t add(ScheduleOp op, uint32_t a = 0, uint32_t b = 0, uint32_t c = 0, double value = 0) {
    nodes.emplace_back(op, a, b, c, 0, value);
    return uint32_t(nodes.size() - 1);
  }
  uint32_t number(double value) { return add(ScheduleOp::Constant, 0, 0, 0, value); }
  uint32_t step() { return add(ScheduleOp::Step); }
  uint32_t epoch() {
    return add(ScheduleOp::Floor, add(ScheduleOp::Div, step(), add(ScheduleOp::StepsPerEpoch)));
  }
  uint32_t total() {
    return add(ScheduleOp::Mul, add(ScheduleOp::Epochs), add(ScheduleOp::StepsPerEpoch));
  }
  /// min(max(step / total, 0), 1), as the library's progress.
  uint32_t progress() {
    uint32_t part = add(ScheduleOp::Div, step(), total());
    return add(ScheduleOp::Min, add(ScheduleOp::Max, part, number(0)), number(1));
  }
};

/// The steps of the turns beyond the end.
std::vector<int64_t> turns(const Formula &formula, const Horizon &run,
                           ScheduleRole role = ScheduleRole::Value) {
  std::vector<int64_t> steps;
  for (const schedule::Turn &turn : schedule::turnsBeyond(formula.nodes, role, run))
    steps.push_back(turn.step);
  return steps;
}

Horizon whole(int64_t stepsPerEpoch, int64_t epochs) {
  return {stepsPerEpoch, epochs, 0, stepsPerEpoch * epochs};
}

TEST(Schedules, AWarmUpOfTenEpochsTurnsAfterARunOfTenOrLess) {
  Formula f;
  uint32_t first = f.add(ScheduleOp::Mul, f.number(10), f.add(ScheduleOp::StepsPerEpoch));
  f.add(ScheduleOp::Less, f.step(), first);
  EXPECT_EQ(turns(f, whole(50, 4)), std::vector<int64_t>{500});
  EXPECT_EQ(turns(f, whole(50, 10)), std::vector<int64_t>{500});
  EXPECT_TRUE(turns(f, whole(50, 11)).empty());
  EXPECT_EQ(turns(f, Horizon::beforeTheData(4)).size(), 1u);
  EXPECT_TRUE(turns(f, Horizon::beforeTheData(11)).empty());
}

TEST(Schedules, ARunThatIsCutShortDoesNotReachWhatTheWholeReaches) {
  Formula f;
  f.add(ScheduleOp::Less, f.step(), f.number(100));
  Horizon run = whole(50, 10);
  EXPECT_TRUE(turns(f, run).empty());
  run.end = 100;
  EXPECT_EQ(turns(f, run), std::vector<int64_t>{100});
  run.end = 101;
  EXPECT_TRUE(turns(f, run).empty());
}

TEST(Schedules, HalfACosineEndsWithTheRunWhereverThatIsCut) {
  Formula f;
  f.add(ScheduleOp::Cos, f.progress());
  EXPECT_TRUE(turns(f, whole(50, 4)).empty());
  EXPECT_TRUE(turns(f, whole(1, 1)).empty());
  Horizon cut = whole(50, 4);
  cut.end = 7;
  EXPECT_TRUE(turns(f, cut).empty());
}

TEST(Schedules, ABoundThatNoStepReachesIsTold) {
  Formula f; // min(epoch / 29, 1): a warm-up of 30 epochs
  f.add(ScheduleOp::Min, f.add(ScheduleOp::Div, f.epoch(), f.number(29)), f.number(1));
  EXPECT_EQ(turns(f, whole(20, 10)), std::vector<int64_t>{580});
  EXPECT_TRUE(turns(f, whole(20, 30)).empty());
}

TEST(Schedules, StepsOfOneKindInManyAreFound) {
  Formula f; // step % 1000 == 999
  f.add(ScheduleOp::Equal, f.add(ScheduleOp::Rem, f.step(), f.number(1000)), f.number(999));
  EXPECT_EQ(turns(f, whole(10, 20)), std::vector<int64_t>{999});
  EXPECT_TRUE(turns(f, whole(100, 10)).empty());
  EXPECT_TRUE(turns(f, Horizon::beforeTheData(1)).empty()) << "the data set may be large";
}

TEST(Schedules, WhatNeverTurnsIsMeantSo) {
  Formula f; // a warm-up of no epochs
  f.add(ScheduleOp::Less, f.step(), f.number(0));
  EXPECT_TRUE(turns(f, whole(50, 4)).empty());
  Formula constant; // depends on the run alone
  constant.add(ScheduleOp::Less, constant.total(), constant.number(1000));
  EXPECT_TRUE(turns(constant, whole(50, 4)).empty());
}

TEST(Schedules, TheFirstStepAloneIsNoSchedule) {
  Formula f;
  f.add(ScheduleOp::Equal, f.step(), f.number(0));
  EXPECT_TRUE(turns(f, whole(1, 1)).empty());
}

TEST(Schedules, AConditionSaysWhatItIsMeanwhile) {
  Formula f; // epoch >= 6
  f.add(ScheduleOp::GreaterEqual, f.epoch(), f.number(6));
  Horizon run = whole(10, 6);
  auto found = schedule::turnsBeyond(f.nodes, ScheduleRole::Condition, run);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].always, std::optional(false));
  EXPECT_EQ(
      schedule::describe("this condition", found[0], run, true),
      "this condition holds in no step of the run: it changes at epoch 6, and the run ends at "
      "epoch 6");
  f.add(ScheduleOp::Not, uint32_t(f.nodes.size() - 1));
  found = schedule::turnsBeyond(f.nodes, ScheduleRole::Condition, run);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].always, std::optional(true));
}

TEST(Schedules, TheFirstNegativeRateIsFound) {
  Formula f; // 0.1 - 0.001 * step
  f.add(ScheduleOp::Sub, f.number(0.1), f.add(ScheduleOp::Mul, f.number(0.001), f.step()));
  EXPECT_FALSE(schedule::firstExcess(f.nodes, ScheduleRole::Rate, whole(10, 10)));
  Horizon run = whole(50, 4);
  auto excess = schedule::firstExcess(f.nodes, ScheduleRole::Rate, run);
  ASSERT_TRUE(excess);
  EXPECT_EQ(excess->step, 101);
  EXPECT_EQ(schedule::describe("the learning rate", *excess, ScheduleRole::Rate, run, true),
            "the learning rate is -0.001 at step 101 (epoch 2.02): it must be at least 0");
  EXPECT_FALSE(schedule::firstExcess(f.nodes, ScheduleRole::Value, run)) << "no rate";
}

TEST(Schedules, RoundingBelowZeroIsNoNegativeRate) {
  Formula f; // 0.3 * (1 - progress) - 1e-9
  uint32_t left = f.add(ScheduleOp::Sub, f.number(1), f.progress());
  f.add(ScheduleOp::Sub, f.add(ScheduleOp::Mul, f.number(0.3), left), f.number(1e-9));
  Horizon run = whole(50, 4);
  run.end += 1;
  EXPECT_FALSE(schedule::firstExcess(f.nodes, ScheduleRole::Rate, run));
}

TEST(Schedules, AMomentumAboveOneAndARateThatIsNoNumberAreFound) {
  Formula f; // 0.99 + 0.01 * epoch
  f.add(ScheduleOp::Add, f.number(0.99), f.add(ScheduleOp::Mul, f.number(0.01), f.epoch()));
  auto excess = schedule::firstExcess(f.nodes, ScheduleRole::Fraction, whole(10, 5));
  ASSERT_TRUE(excess);
  EXPECT_EQ(excess->step, 20);
  EXPECT_FALSE(schedule::firstExcess(f.nodes, ScheduleRole::Fraction, whole(10, 2)));
  Formula root; // sqrt(3 - step)
  root.add(ScheduleOp::Sqrt, root.add(ScheduleOp::Sub, root.number(3), root.step()));
  excess = schedule::firstExcess(root.nodes, ScheduleRole::Rate, whole(10, 5));
  ASSERT_TRUE(excess);
  EXPECT_EQ(excess->step, 4);
}

TEST(Schedules, EveryOperationHasItsOperands) {
  Formula f;
  uint32_t two = f.number(2), three = f.number(3);
  std::vector<double> values;
  struct Case {
    ScheduleOp op;
    double value;
  };
  for (Case c :
       {Case{ScheduleOp::Sub, -1}, Case{ScheduleOp::Div, 2.0 / 3}, Case{ScheduleOp::Pow, 8},
        Case{ScheduleOp::Rem, 2}, Case{ScheduleOp::Max, 3}, Case{ScheduleOp::Min, 2},
        Case{ScheduleOp::Less, 1}, Case{ScheduleOp::LessEqual, 1}, Case{ScheduleOp::Greater, 0},
        Case{ScheduleOp::GreaterEqual, 0}, Case{ScheduleOp::Equal, 0},
        Case{ScheduleOp::NotEqual, 1}, Case{ScheduleOp::Neg, -2}, Case{ScheduleOp::Floor, 2},
        Case{ScheduleOp::Relu, 2}, Case{ScheduleOp::Not, 0}, Case{ScheduleOp::And, 1},
        Case{ScheduleOp::Or, 1}}) {
    f.add(c.op, two, three);
    EXPECT_DOUBLE_EQ(schedule::evaluate(f.nodes, {}, 0, values), c.value)
        << schema::EnumNameScheduleOp(c.op);
  }
  uint32_t zero = f.number(0);
  f.add(ScheduleOp::Select, zero, two, three);
  EXPECT_EQ(schedule::evaluate(f.nodes, {}, 0, values), 3);
  f.add(ScheduleOp::Samples);
  EXPECT_EQ(schedule::evaluate(f.nodes, {1, 1, 640, 1}, 0, values), 640);
  EXPECT_FALSE(schedule::operandCount(ScheduleOp::Unspecified));
  EXPECT_FALSE(schedule::operandCount(ScheduleOp(200)));
}

TEST(Schedules, LongRunsAreLookedAtQuickly) {
  Formula f;
  f.add(ScheduleOp::Less, f.step(), f.number(1e15));
  EXPECT_EQ(turns(f, whole(100'000, 10'000)).size(), 0u) << "a million times the run";
  Horizon run{int64_t(1) << 40, int64_t(1) << 40, 0, 1};
  EXPECT_EQ(run.horizon(), int64_t(1) << 62);
}

} // namespace
