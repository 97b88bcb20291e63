// Autodiff: one reverse sweep over a block. First it finds the values on a path from a parameter to
// the loss (active); for others nothing is made, so a branch under stop_gradient keeps no
// activations. Then every active operation's rule runs once, last operation first. After the pass
// no stop_gradient, optimize or path to an update without its gradient is left.
#include "passes/Differentiate.h"

#include "passes/DerivativeRules.h"
#include "passes/Passes.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_DIFFERENTIATE
#include "passes/Passes.h.inc"

namespace {

/// The operations and values between parameters and a loss.
struct Activity {
  DenseSet<Value> values;             ///< depend on a parameter and reach the loss
  SmallVector<Operation *> backwards; ///< operations to differentiate, last first
  SmallVector<Operation *> missing;   ///< those of them without a rule, first first
};

Activity findActive(Value loss, ArrayRef<Value> wrt) {
  Activity activity;
  Operation *last = loss.getDefiningOp();
  if (!last) {
    if (llvm::is_contained(wrt, loss))
      activity.values.insert(loss);
    return activity;
  }
  DenseSet<Value> dependent(wrt.begin(), wrt.end());
  SmallVector<Operation *> candidates;
  for (Operation &op : *last->getBlock()) {
    bool depends = llvm::any_of(op.getOperands(), [&](Value v) { return dependent.contains(v); });
    if (depends && getDerivative(op.getName()).outcome != Derivative::Zero) {
      candidates.push_back(&op);
      for (OpResult result : op.getResults())
        if (isDifferentiable(result))
          dependent.insert(result);
    }
    if (&op == last)
      break;
  }
  if (dependent.contains(loss))
    activity.values.insert(loss);
  for (Operation *op : llvm::reverse(candidates)) {
    if (llvm::none_of(op->getResults(), [&](Value v) { return activity.values.contains(v); }))
      continue;
    if (getDerivative(op->getName()).outcome == Derivative::NotWritten)
      activity.missing.push_back(op);
    activity.backwards.push_back(op);
    for (Value operand : op->getOperands())
      if (dependent.contains(operand))
        activity.values.insert(operand);
  }
  std::reverse(activity.missing.begin(), activity.missing.end());
  return activity;
}

LogicalResult reportMissing(Value loss, ArrayRef<Operation *> missing) {
  if (missing.empty())
    return success();
  InFlightDiagnostic error = emitError(loss.getLoc())
                             << "the loss has no gradient: " << missing.size()
                             << (missing.size() == 1 ? " operation" : " operations")
                             << " on the way from the parameters without a derivative rule";
  for (Operation *op : missing)
    error.attachNote(op->getLoc()) << "no rule is written for '" << op->getName() << "'";
  return error;
}

Location gradientLocation(Operation *op) {
  auto name = StringAttr::get(op->getContext(), "gradient of " + op->getName().stripDialect());
  return NameLoc::get(name, op->getLoc());
}

} // namespace

FailureOr<SmallVector<Value>> differentiate(OpBuilder &builder, Value loss, ArrayRef<Value> wrt) {
  Activity activity = findActive(loss, wrt);
  if (failed(reportMissing(loss, activity.missing)))
    return failure();
  ImplicitLocOpBuilder rules(loss.getLoc(), builder);
  Adjoints adjoints(rules, activity.values);
  if (activity.values.contains(loss))
    adjoints.add(loss, adjoints.expr(loss).full(1));
  for (Operation *op : activity.backwards) {
    if (llvm::none_of(op->getResults(), [&](Value v) { return bool(adjoints.of(v)); }))
      continue;
    rules.setLoc(gradientLocation(op));
    getDerivative(op->getName()).rule(op, adjoints);
  }
  return llvm::map_to_vector(wrt, [&](Value v) { return adjoints.of(v).value(); });
}

namespace {

/// The optimizers of one loss.
using Optimizers = SmallVector<nn::OptimizeOp>;

struct Differentiate : impl::DifferentiateBase<Differentiate> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    llvm::MapVector<Value, Optimizers> losses;
    for (auto optimize : function.getOps<nn::OptimizeOp>())
      losses[optimize.getLoss()].push_back(optimize);
    for (auto &[loss, optimizers] : losses)
      if (failed(replaceOptimizers(loss, optimizers)))
        return signalPassFailure();
    function.walk([](nn::StopGradientOp op) {
      op.replaceAllUsesWith(op.getInput());
      op.erase();
    });
  }

  /// The reads of each parameter that see the value which the loss was computed at: those after its
  /// last write before `end`, the loss. What is written between loss and optimizer (`after loss`)
  /// is what the optimizer steps from; the gradient stays that of the forward computation.
  llvm::StringMap<SmallVector<Value>> findReads(Operation *end) {
    llvm::StringMap<SmallVector<Value>> reads;
    for (Operation &op : *end->getBlock()) {
      if (&op == end)
        break;
      if (auto read = dyn_cast<nn::ReadOp>(op))
        reads[read.getState()].push_back(read);
      else if (auto write = dyn_cast<nn::WriteOp>(op))
        reads[write.getState()].clear();
      else if (auto update = dyn_cast<nn::EmaUpdateOp>(op))
        for (Attribute target : update.getTargets())
          reads[cast<FlatSymbolRefAttr>(target).getValue()].clear();
    }
    return reads;
  }

  /// All optimizers of a loss see the gradients at the weights of the forward computation, so one
  /// sweep serves them all.
  LogicalResult replaceOptimizers(Value loss, Optimizers &optimizers) {
    Operation *made = loss.getDefiningOp();
    llvm::StringMap<SmallVector<Value>> reads = findReads(made ? made : optimizers.front());
    SmallVector<Value> wrt;
    for (nn::OptimizeOp optimize : optimizers)
      for (Attribute parameter : optimize.getParameters())
        llvm::append_range(wrt, reads.lookup(cast<FlatSymbolRefAttr>(parameter).getValue()));
    OpBuilder builder(optimizers.front());
    FailureOr<SmallVector<Value>> gradients = differentiate(builder, loss, wrt);
    if (failed(gradients))
      return failure();

    DenseMap<Value, Value> gradientOf;
    for (auto [value, gradient] : llvm::zip_equal(wrt, *gradients))
      gradientOf[value] = gradient;
    for (nn::OptimizeOp optimize : optimizers) {
      SmallVector<Value> sums;
      SmallVector<StringRef> idle;
      for (Attribute attribute : optimize.getParameters()) {
        auto parameter = cast<FlatSymbolRefAttr>(attribute);
        Value sum = sumOf(optimize, reads.lookup(parameter.getValue()), gradientOf);
        if (!sum) {
          idle.push_back(parameter.getValue());
          sum = zeroOf(optimize, parameter);
        }
        sums.push_back(sum);
      }
      warnOfIdle(optimize, idle);
      builder.setInsertionPoint(optimize);
      nn::UpdateParametersOp::create(
          builder, optimize.getLoc(), optimize.getLearningRate(), optimize.getWeightDecay(),
          optimize.getCondition(), sums, optimize.getRule(), optimize.getParameters(),
          optimize.getDecay(), optimize.getAdapt(), optimize.getOptions());
      optimize.erase();
    }
    return success();
  }

  /// The gradient of a parameter that the forward computation read as `reads`; null where none of
  /// them reaches the loss.
  static Value sumOf(nn::OptimizeOp optimize, ArrayRef<Value> reads,
                     const DenseMap<Value, Value> &gradientOf) {
    OpBuilder builder(optimize);
    Value sum;
    for (Value read : reads)
      if (Value gradient = gradientOf.lookup(read))
        sum = sum ? nn::AddOp::create(builder, gradient.getLoc(), sum, gradient) : gradient;
    return sum;
  }

  static Value zeroOf(nn::OptimizeOp optimize, FlatSymbolRefAttr parameter) {
    OpBuilder builder(optimize);
    auto state = SymbolTable::lookupNearestSymbolFrom<nn::StateOp>(optimize, parameter);
    return nn::ConstantOp::create(builder, optimize.getLoc(),
                                  cast<RankedTensorType>(state.getType()), 0.0);
  }

  /// One warning an optimizer, however many parameters a forgotten network has.
  static void warnOfIdle(nn::OptimizeOp optimize, ArrayRef<StringRef> idle) {
    constexpr size_t shown = 3;
    if (idle.empty())
      return;
    if (idle.size() == 1) {
      emitWarning(optimize.getLoc())
          << "W0503: parameter '" << idle[0] << "' has no path to the loss: its gradient is zero";
      return;
    }
    InFlightDiagnostic warning = emitWarning(optimize.getLoc());
    warning << "W0503: " << idle.size()
            << " parameters have no path to the loss, their gradients are zero: ";
    llvm::interleaveComma(idle.take_front(shown), warning,
                          [&](StringRef name) { warning << "'" << name << "'"; });
    if (idle.size() > shown)
      warning << " and " << idle.size() - shown << " more";
  }
};

} // namespace
} // namespace doppel
