// A schedule is a tree of scalar operations whose leaves are constants and scalars of the run; its
// root is what something else uses: a rate, a condition, a temperature.
#include "codegen/artifact/Schedules.h"

#include "codegen/artifact/Locations.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"

#include <set>

using namespace mlir;

namespace doppel {

using schema::ScheduleOp;
using schema::ScheduleRole;

namespace {

bool isScalar(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() == 0 &&
         (isa<FloatType>(type.getElementType()) || type.getElementType().isInteger(1));
}

ScheduleOp opOf(nn::RunValue value) {
  switch (value) {
  case nn::RunValue::Step:
    return ScheduleOp::Step;
  case nn::RunValue::StepsPerEpoch:
    return ScheduleOp::StepsPerEpoch;
  case nn::RunValue::Epochs:
    return ScheduleOp::Epochs;
  case nn::RunValue::Samples:
    return ScheduleOp::Samples;
  }
  return ScheduleOp::Unspecified;
}

// The predicates stand in one order in the dialect and in the schema.
ScheduleOp opOf(nn::ComparePredicate predicate) {
  return ScheduleOp(uint32_t(ScheduleOp::Equal) + uint32_t(predicate) -
                    uint32_t(nn::ComparePredicate::EQ));
}

/// The schema's operation for one of nn; Unspecified for what no schedule is made of.
ScheduleOp opOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, ScheduleOp>(op)
      .Case([](nn::ConstantOp) { return ScheduleOp::Constant; })
      .Case([](nn::RunScalarOp run) { return opOf(run.getValue()); })
      .Case([](nn::NegOp) { return ScheduleOp::Neg; })
      .Case([](nn::ExpOp) { return ScheduleOp::Exp; })
      .Case([](nn::LogOp) { return ScheduleOp::Log; })
      .Case([](nn::SqrtOp) { return ScheduleOp::Sqrt; })
      .Case([](nn::RsqrtOp) { return ScheduleOp::Rsqrt; })
      .Case([](nn::TanhOp) { return ScheduleOp::Tanh; })
      .Case([](nn::SigmoidOp) { return ScheduleOp::Sigmoid; })
      .Case([](nn::ErfOp) { return ScheduleOp::Erf; })
      .Case([](nn::AbsOp) { return ScheduleOp::Abs; })
      .Case([](nn::SinOp) { return ScheduleOp::Sin; })
      .Case([](nn::CosOp) { return ScheduleOp::Cos; })
      .Case([](nn::FloorOp) { return ScheduleOp::Floor; })
      .Case([](nn::ReluOp) { return ScheduleOp::Relu; })
      .Case([](nn::NotOp) { return ScheduleOp::Not; })
      .Case<nn::StopGradientOp, nn::ConvertOp, nn::ReshapeOp, nn::BroadcastOp>(
          [](Operation *) { return ScheduleOp::Same; })
      .Case([](nn::AddOp) { return ScheduleOp::Add; })
      .Case([](nn::SubOp) { return ScheduleOp::Sub; })
      .Case([](nn::MulOp) { return ScheduleOp::Mul; })
      .Case([](nn::DivOp) { return ScheduleOp::Div; })
      .Case([](nn::RemOp) { return ScheduleOp::Rem; })
      .Case([](nn::MaxOp) { return ScheduleOp::Max; })
      .Case([](nn::MinOp) { return ScheduleOp::Min; })
      .Case([](nn::PowOp) { return ScheduleOp::Pow; })
      .Case([](nn::AndOp) { return ScheduleOp::And; })
      .Case([](nn::OrOp) { return ScheduleOp::Or; })
      .Case([](nn::CompareOp compare) { return opOf(compare.getPredicate()); })
      .Case([](nn::SelectOp) { return ScheduleOp::Select; })
      .Default([](Operation *) { return ScheduleOp::Unspecified; });
}

class Collector {
public:
  std::vector<MethodSchedule> collect(ssl::MethodOp method) {
    method.walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (isa<ssl::StateOp, ssl::RepresentOp>(op)) // see no scalar of the run
        return WalkResult::skip();
      visit(op);
      return WalkResult::advance();
    });
    std::vector<MethodSchedule> schedules;
    for (auto &[value, varies] : scalars)
      if (varies)
        for (Operation *user : value.getUsers())
          if (!isPart(user))
            addRoot(value, user, schedules);
    // What a rate shares with the condition of its optimizer is told of the condition.
    llvm::stable_sort(schedules, [](const MethodSchedule &a, const MethodSchedule &b) {
      return a.role == ScheduleRole::Condition && b.role != ScheduleRole::Condition;
    });
    return schedules;
  }

private:
  /// Operands come first in the walk: they are earlier in the block, or around it.
  void visit(Operation *op) {
    if (op->getNumResults() != 1 || !isScalar(op->getResult(0)) ||
        opOf(op) == ScheduleOp::Unspecified)
      return;
    bool varies = isa<nn::RunScalarOp>(op);
    for (Value operand : op->getOperands()) {
      auto known = scalars.find(operand);
      if (known == scalars.end())
        return;
      varies |= known->second;
    }
    scalars.insert({op->getResult(0), varies});
  }

  bool isPart(Operation *user) const {
    return user->getNumResults() == 1 && scalars.contains(user->getResult(0));
  }

  void addRoot(Value value, Operation *user, std::vector<MethodSchedule> &schedules) {
    MethodSchedule schedule{"this schedule", ScheduleRole::Value, {}, {}};
    if (cast<RankedTensorType>(value.getType()).getElementType().isInteger(1)) {
      schedule.what = "this condition";
      schedule.role = ScheduleRole::Condition;
    }
    addNodes(value, schedule);
    Operation *statement = user->getParentOp();
    if (auto ema = dyn_cast<ssl::EmaOp>(statement)) {
      schedule.what = "the momentum of '" + ema.getTarget().str() + "'";
      schedule.role = ScheduleRole::Fraction;
    } else if (isa<ssl::OptimizeOp>(statement)) {
      if (value != user->getOperand(0) && value != user->getOperand(1)) {
        schedule.what = "this condition";
      } else {
        schedule.what = value == user->getOperand(0) ? "the learning rate" : "the weight decay";
        schedule.role = addCondition(user, schedule) ? ScheduleRole::Rate : ScheduleRole::Value;
      }
    }
    schedules.push_back(std::move(schedule));
  }

  /// Where the optimizer does not step, its rate means nothing: it counts as 0. False if nothing
  /// is known of when it steps.
  bool addCondition(Operation *yield, MethodSchedule &schedule) {
    if (yield->getNumOperands() < 3)
      return true;
    if (!scalars.contains(yield->getOperand(2)))
      return false;
    auto rate = uint32_t(schedule.nodes.size() - 1);
    auto condition = addNodes(yield->getOperand(2), schedule);
    Location place = schedule.locations[rate];
    auto zero = addNode(schedule, ScheduleOp::Constant, {}, place);
    addNode(schedule, ScheduleOp::Select, {condition, rate, zero}, place);
    return true;
  }

  static uint32_t addNode(MethodSchedule &schedule, ScheduleOp op, ArrayRef<uint32_t> operands,
                          Location location, double value = 0) {
    auto number = uint32_t(schedule.nodes.size());
    auto operand = [&](size_t i) { return i < operands.size() ? operands[i] : 0; };
    schedule.nodes.emplace_back(op, operand(0), operand(1), operand(2), number, value);
    schedule.locations.push_back(location);
    return number;
  }

  /// Appends what `root` is made of, operands first, and returns the root's number.
  uint32_t addNodes(Value root, MethodSchedule &schedule) {
    DenseSet<Value> needed{root};
    SmallVector<Value> work{root};
    while (!work.empty())
      for (Value operand : work.pop_back_val().getDefiningOp()->getOperands())
        if (needed.insert(operand).second)
          work.push_back(operand);
    SmallVector<Value> parts(needed.begin(), needed.end());
    auto place = [&](Value value) { return scalars.find(value) - scalars.begin(); };
    llvm::sort(parts, [&](Value a, Value b) { return place(a) < place(b); });
    DenseMap<Value, uint32_t> numbers;
    for (Value part : parts) {
      Operation *op = part.getDefiningOp();
      SmallVector<uint32_t> operands =
          llvm::map_to_vector(op->getOperands(), [&](Value v) { return numbers.at(v); });
      double constant = 0;
      DenseElementsAttr elements;
      if (matchPattern(op, m_Constant(&elements)))
        constant = elements.getElementType().isInteger(1)
                       ? double(*elements.value_begin<bool>())
                       : (*elements.value_begin<APFloat>()).convertToDouble();
      numbers[part] = addNode(schedule, opOf(op), operands, op->getLoc(), constant);
    }
    return numbers.at(root);
  }

  /// In the order of the text, with whether the scalar changes from run to run or step to step.
  llvm::MapVector<Value, bool> scalars;
};

} // namespace

std::vector<MethodSchedule> collectSchedules(ssl::MethodOp method) {
  return Collector().collect(method);
}

LogicalResult checkSchedules(ssl::MethodOp method, const std::vector<MethodSchedule> &schedules) {
  int64_t samples = method.getSamples().value_or(0), epochs = method.getEpochs();
  bool known = samples > 0;
  schedule::Run run = schedule::Run::beforeTheData(epochs);
  if (known)
    run = schedule::Run::beforeTheData(epochs, std::max<int64_t>(samples / method.getBatch(), 1));
  run.samples = samples;
  schedule::Run small = schedule::Run::beforeTheData(epochs, /*stepsPerEpoch=*/16);
  // Several optimizers may have one rate, and a rate several turns.
  std::set<std::tuple<std::string, uint32_t, uint32_t>> told;
  auto isNew = [&](Location location) {
    SpecLocation place = describeLocation(location, "");
    return told.insert({place.file, place.line, place.column}).second;
  };
  LogicalResult result = success();
  for (const MethodSchedule &schedule : schedules) {
    std::optional<schedule::Excess> excess =
        schedule::firstExcess(schedule.nodes, schedule.role, run);
    Location root = schedule.locations.back();
    // On data that are not known it must be so for few steps and for many.
    if (excess && (known || schedule::firstExcess(schedule.nodes, schedule.role, small))) {
      if (isNew(root))
        emitError(root) << "E0423: "
                        << schedule::describe(schedule.what, *excess, schedule.role, run, known);
      result = failure();
      continue;
    }
    for (const schedule::Turn &turn : schedule::turnsBeyond(schedule.nodes, schedule.role, run)) {
      Location place = schedule.locations[turn.node];
      if (isNew(place))
        emitWarning(place) << "W0514: " << schedule::describe(schedule.what, turn, run, known);
    }
  }
  return result;
}

} // namespace doppel
