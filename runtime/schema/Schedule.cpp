// Schedules are evaluated in double, a step at a time, and only as far as the questions need: what
// has turned within the run is not looked at again.
#include "runtime/schema/Schedule.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace doppel::schedule {

using schema::ScheduleNode;
using schema::ScheduleOp;
using schema::ScheduleRole;

namespace {

constexpr int64_t mostSteps = int64_t(1) << 15; ///< that a question looks at in the run
constexpr int64_t longer = 1000;                ///< how many times the run a turn is looked for

bool isBound(ScheduleOp op) { return op == ScheduleOp::Max || op == ScheduleOp::Min; }

/// Whether the node decides between two courses.
bool decides(ScheduleOp op) {
  return isBound(op) || (op >= ScheduleOp::Equal && op <= ScheduleOp::GreaterEqual);
}

double apply(const ScheduleNode &node, double a, double b, double c, const Run &run, double step) {
  switch (node.op()) {
  case ScheduleOp::Constant:
    return node.value();
  case ScheduleOp::Step:
    return step;
  case ScheduleOp::StepsPerEpoch:
    return double(run.stepsPerEpoch);
  case ScheduleOp::Epochs:
    return double(run.epochs);
  case ScheduleOp::Samples:
    return double(run.samples);
  case ScheduleOp::Neg:
    return -a;
  case ScheduleOp::Exp:
    return std::exp(a);
  case ScheduleOp::Log:
    return std::log(a);
  case ScheduleOp::Sqrt:
    return std::sqrt(a);
  case ScheduleOp::Rsqrt:
    return 1 / std::sqrt(a);
  case ScheduleOp::Tanh:
    return std::tanh(a);
  case ScheduleOp::Sigmoid:
    return 1 / (1 + std::exp(-a));
  case ScheduleOp::Erf:
    return std::erf(a);
  case ScheduleOp::Abs:
    return std::abs(a);
  case ScheduleOp::Sin:
    return std::sin(a);
  case ScheduleOp::Cos:
    return std::cos(a);
  case ScheduleOp::Floor:
    return std::floor(a);
  case ScheduleOp::Relu:
    return a > 0 ? a : 0;
  case ScheduleOp::Not:
    return a == 0;
  case ScheduleOp::Same:
    return a;
  case ScheduleOp::Add:
    return a + b;
  case ScheduleOp::Sub:
    return a - b;
  case ScheduleOp::Mul:
    return a * b;
  case ScheduleOp::Div:
    return a / b;
  case ScheduleOp::Rem:
    return a - b * std::floor(a / b);
  case ScheduleOp::Max:
    return a >= b ? a : b;
  case ScheduleOp::Min:
    return a <= b ? a : b;
  case ScheduleOp::Pow:
    return std::pow(a, b);
  case ScheduleOp::And:
    return a != 0 && b != 0;
  case ScheduleOp::Or:
    return a != 0 || b != 0;
  case ScheduleOp::Equal:
    return a == b;
  case ScheduleOp::NotEqual:
    return a != b;
  case ScheduleOp::Less:
    return a < b;
  case ScheduleOp::LessEqual:
    return a <= b;
  case ScheduleOp::Greater:
    return a > b;
  case ScheduleOp::GreaterEqual:
    return a >= b;
  case ScheduleOp::Select:
    return a != 0 ? b : c;
  case ScheduleOp::Unspecified:
    break;
  }
  return NAN;
}

/// Which way the deciding node `i` goes, after evaluate(). Equal operands of a maximum are its
/// turn.
bool wayOf(Nodes nodes, size_t i, const std::vector<double> &values) {
  double a = values[nodes[i].a()], b = values[nodes[i].b()];
  if (nodes[i].op() == ScheduleOp::Max)
    return a > b;
  if (nodes[i].op() == ScheduleOp::Min)
    return a < b;
  return values[i] != 0;
}

/// The nodes that decide and may decide otherwise at another step.
std::vector<uint32_t> decisions(Nodes nodes) {
  std::vector<bool> varies(nodes.size());
  std::vector<uint32_t> found;
  for (size_t i = 0; i < nodes.size(); ++i) {
    int operands = *operandCount(nodes[i].op());
    varies[i] = nodes[i].op() == ScheduleOp::Step || (operands > 0 && varies[nodes[i].a()]) ||
                (operands > 1 && varies[nodes[i].b()]) || (operands > 2 && varies[nodes[i].c()]);
    if (varies[i] && decides(nodes[i].op()))
      found.push_back(uint32_t(i));
  }
  return found;
}

/// The steps from 0 to `last` that are worth a look, first those that tell most: the ends, the
/// begins of epochs, then all, or as many as a question looks at.
std::vector<int64_t> stepsOf(const Run &run, int64_t last) {
  std::vector<int64_t> steps{0, last};
  for (int64_t step = 1; step > 0 && step < last; step *= 2)
    steps.push_back(step);
  for (int64_t epoch = 1; epoch <= mostSteps && epoch <= last / run.stepsPerEpoch; ++epoch) {
    steps.push_back(epoch * run.stepsPerEpoch);
    steps.push_back(epoch * run.stepsPerEpoch - 1);
  }
  int64_t stride = last / mostSteps + 1;
  for (int64_t step = 1; step < last; step += stride)
    steps.push_back(step);
  for (int64_t step = 1; stride > 1 && step < std::min(last, mostSteps); ++step)
    steps.push_back(step);
  return steps;
}

/// Places beyond `from` at which a longer run is looked at, rising.
std::vector<int64_t> stepsBeyond(const Run &run, int64_t from) {
  constexpr int64_t far = int64_t(1) << 62;
  int64_t most = from > far / longer ? far : std::max(from, run.stepsPerEpoch) * longer;
  std::vector<int64_t> steps;
  int64_t epoch = run.stepsPerEpoch;
  for (int64_t i = 0, at = (from / epoch + 1) * epoch; i < 4096 && at < most; ++i, at += epoch)
    steps.push_back(at);
  for (int64_t distance = 1; distance < most - from; distance += distance / 4096 + 1)
    steps.push_back(from + distance);
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.4g", value);
  return text;
}

} // namespace

int64_t Run::horizon() const {
  int64_t product = 0;
  if (__builtin_mul_overflow(epochs, stepsPerEpoch, &product) || product > int64_t(1) << 62)
    return int64_t(1) << 62;
  return product;
}

Run Run::beforeTheData(int64_t epochs, int64_t stepsPerEpoch) {
  Run run{stepsPerEpoch, epochs, /*samples=*/0, /*end=*/0};
  run.end = run.horizon();
  return run;
}

std::optional<int> operandCount(ScheduleOp op) {
  if (op >= ScheduleOp::Constant && op <= ScheduleOp::Samples)
    return 0;
  if (op >= ScheduleOp::Neg && op <= ScheduleOp::Same)
    return 1;
  if (op >= ScheduleOp::Add && op <= ScheduleOp::GreaterEqual)
    return 2;
  if (op == ScheduleOp::Select)
    return 3;
  return std::nullopt;
}

double evaluate(Nodes nodes, const Run &run, int64_t step, std::vector<double> &values) {
  values.resize(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    int operands = *operandCount(nodes[i].op());
    double a = operands > 0 ? values[nodes[i].a()] : 0;
    double b = operands > 1 ? values[nodes[i].b()] : 0;
    double c = operands > 2 ? values[nodes[i].c()] : 0;
    values[i] = apply(nodes[i], a, b, c, run, double(step));
  }
  return values.back();
}

std::vector<Turn> turnsBeyond(Nodes nodes, ScheduleRole role, const Run &run) {
  std::vector<uint32_t> open = decisions(nodes);
  if (open.empty() || run.end < 1 || run.stepsPerEpoch < 1)
    return {};
  std::vector<double> values;
  double first = evaluate(nodes, run, 0, values);
  std::vector<bool> ways(nodes.size());
  for (uint32_t i : open)
    ways[i] = wayOf(nodes, i, values);
  bool changes = false;
  for (int64_t step : stepsOf(run, run.end - 1)) {
    changes |= evaluate(nodes, run, step, values) != first;
    std::erase_if(open, [&](uint32_t i) { return wayOf(nodes, i, values) != ways[i]; });
    if (open.empty())
      return {};
  }

  std::vector<Turn> turns;
  auto turnedAt = [&](uint32_t i, int64_t step) {
    evaluate(nodes, run, step, values);
    return wayOf(nodes, i, values) != ways[i];
  };
  std::vector<int64_t> later = stepsBeyond(run, run.end - 1);
  for (uint32_t i : open) {
    int64_t before = run.end - 1;
    for (int64_t step : later) {
      if (!turnedAt(i, step)) {
        before = step;
        continue;
      }
      while (step - before > 1) {
        int64_t middle = before + (step - before) / 2;
        (turnedAt(i, middle) ? step : before) = middle;
      }
      // Rounding may miss the end of the horizon by a step.
      bool reached = isBound(nodes[i].op()) &&
                     (step == run.end || step == run.horizon() || step == run.horizon() + 1);
      bool isFirstStepAlone = step == 1; // of_first_step in a run of one step
      if (!reached && !isFirstStepAlone)
        turns.push_back({i, step,
                         role == ScheduleRole::Condition && !changes
                             ? std::optional<bool>(first != 0)
                             : std::nullopt});
      break;
    }
  }
  return turns;
}

std::optional<Excess> firstExcess(Nodes nodes, ScheduleRole role, const Run &run) {
  if ((role != ScheduleRole::Rate && role != ScheduleRole::Fraction) || run.end < 1 ||
      run.stepsPerEpoch < 1)
    return std::nullopt;
  std::vector<int64_t> steps = stepsOf(run, run.end - 1);
  std::sort(steps.begin(), steps.end());
  steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  std::vector<double> values, rates;
  double greatest = 0;
  for (int64_t step : steps) {
    rates.push_back(evaluate(nodes, run, step, values));
    if (std::isfinite(rates.back()))
      greatest = std::max(greatest, std::abs(rates.back()));
  }
  double tolerance = 1e-6 * greatest; // what ends at 0 may round below it
  for (size_t i = 0; i < steps.size(); ++i)
    if (!std::isfinite(rates[i]) || rates[i] < -tolerance ||
        (role == ScheduleRole::Fraction && rates[i] > 1 + 1e-6))
      return Excess{steps[i], rates[i]};
  return std::nullopt;
}

std::string describe(int64_t step, const Run &run, bool stepsAreKnown) {
  std::string epoch = "epoch " + number(double(step) / double(run.stepsPerEpoch));
  if (!stepsAreKnown || step % run.stepsPerEpoch == 0)
    return epoch;
  return "step " + std::to_string(step) + " (" + epoch + ")";
}

std::string describe(std::string_view what, const Turn &turn, const Run &run, bool stepsAreKnown) {
  std::string text(what), step = describe(turn.step, run, stepsAreKnown);
  if (turn.always)
    text += std::string(*turn.always ? " holds in every step" : " holds in no step") +
            " of the run: it changes at " + step;
  else
    text += " changes its course at " + step;
  return text + ", and the run ends at " + describe(run.end, run, stepsAreKnown);
}

std::string describe(std::string_view what, const Excess &excess, ScheduleRole role, const Run &run,
                     bool stepsAreKnown) {
  return std::string(what) + " is " + number(excess.value) + " at " +
         describe(excess.step, run, stepsAreKnown) +
         (role == ScheduleRole::Fraction ? ": it must be from 0 to 1" : ": it must be at least 0");
}

} // namespace doppel::schedule
