// Warns of what only a self-supervised method can get wrong. It reads the loss as the method wrote
// it: networks are opaque (`ssl.apply`), so what stands between their outputs and the loss is a
// small graph. Nothing is changed. Codes are those of the catalogue (frontends/spec/Errors.def).
#include "dialects/ssl/SslDialect.h"
#include "passes/Passes.h"

#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"

#include <cmath>

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_CHECKMETHOD
#include "passes/Passes.h.inc"

namespace {

/// exp of more than this is infinite in f32.
constexpr double greatestExponent = 88.72;

bool isZero(Value value) {
  while (auto broadcast = value.getDefiningOp<nn::BroadcastOp>())
    value = broadcast.getInput();
  return matchPattern(value, m_AnyZeroFloat());
}

bool isReductionOf(Value value, nn::ReduceKind kind) {
  auto reduce = value.getDefiningOp<nn::ReduceOp>();
  return reduce && reduce.getKind() == kind;
}

/// `value` behind what only repeats it, reshapes it or stops its gradient.
Value strip(Value value) {
  while (isa_and_present<nn::BroadcastOp, nn::ReshapeOp, nn::StopGradientOp, nn::TransposeOp>(
      value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  return value;
}

//===-- Bounds --------------------------------------------------------------------------------===//

struct Interval {
  double low = -INFINITY, high = INFINITY;
};

/// Rows divided by their norm: x * rsqrt(max(sum(x * x), eps)).
bool isUnitRows(Value value) {
  value = strip(value);
  if (auto slice = value.getDefiningOp<nn::SliceOp>())
    return isUnitRows(slice.getInput());
  if (auto concat = value.getDefiningOp<nn::ConcatOp>())
    return llvm::all_of(concat.getInputs(), isUnitRows);
  auto product = value.getDefiningOp<nn::MulOp>();
  if (!product)
    return false;
  for (Value factor : {product.getLhs(), product.getRhs()})
    if (auto root = strip(factor).getDefiningOp<nn::RsqrtOp>()) {
      Value sum = strip(root.getInput());
      if (auto atLeast = sum.getDefiningOp<nn::MaxOp>())
        sum = strip(isReductionOf(strip(atLeast.getLhs()), nn::ReduceKind::Sum) ? atLeast.getLhs()
                                                                                : atLeast.getRhs());
      if (isReductionOf(sum, nn::ReduceKind::Sum))
        return true;
    }
  return false;
}

/// What values lie between, as far as their formulas tell; unknown is everything.
using Bounds = DenseMap<Value, Interval>;

/// The bounds of `value` from those of what it is computed from.
Interval boundsOf(Value value, const Bounds &known) {
  Operation *op = value.getDefiningOp();
  auto of = [&](Value operand) { return known.lookup(operand); };
  SplatElementsAttr splat;
  if (matchPattern(value, m_Constant(&splat)) && isa<FloatType>(splat.getElementType())) {
    double number = splat.getSplatValue<APFloat>().convertToDouble();
    return {number, number};
  }
  auto span = [](std::initializer_list<double> ends) {
    for (double end : ends)
      if (std::isnan(end))
        return Interval{};
    return Interval{std::min(ends), std::max(ends)};
  };
  if (isa<nn::BroadcastOp, nn::ReshapeOp, nn::TransposeOp, nn::SliceOp, nn::StopGradientOp,
          nn::GatherRowsOp>(op))
    return of(op->getOperand(0));
  if (auto neg = dyn_cast<nn::NegOp>(op)) {
    Interval x = of(neg.getInput());
    return {-x.high, -x.low};
  }
  if (isa<nn::SigmoidOp>(op))
    return {0, 1};
  if (isa<nn::TanhOp>(op) || isUnitRows(value))
    return {-1, 1};
  if (auto reduce = dyn_cast<nn::ReduceOp>(op)) {
    if (reduce.getKind() != nn::ReduceKind::Sum)
      return of(reduce.getInput());
    auto product = reduce.getInput().getDefiningOp<nn::MulOp>();
    return product && isUnitRows(product.getLhs()) && isUnitRows(product.getRhs()) ? Interval{-1, 1}
                                                                                   : Interval{};
  }
  if (auto product = dyn_cast<nn::MatmulOp>(op))
    return isUnitRows(product.getLhs()) && isUnitRows(product.getRhs()) ? Interval{-1, 1}
                                                                        : Interval{};
  if (auto concat = dyn_cast<nn::ConcatOp>(op)) {
    Interval all{INFINITY, -INFINITY};
    for (Value input : concat.getInputs()) {
      Interval part = of(input);
      all = {std::min(all.low, part.low), std::max(all.high, part.high)};
    }
    return all;
  }
  if (auto select = dyn_cast<nn::SelectOp>(op)) {
    Interval a = of(select.getOnTrue()), b = of(select.getOnFalse());
    return {std::min(a.low, b.low), std::max(a.high, b.high)};
  }
  if (op->getNumOperands() != 2 || !op->hasTrait<OpTrait::Elementwise>())
    return {};
  Value left = op->getOperand(0), right = op->getOperand(1);
  Interval a = of(left), b = of(right);
  if (isa<nn::AddOp>(op))
    return {a.low + b.low, a.high + b.high};
  if (isa<nn::SubOp>(op)) {
    // x - max(x) is what makes exp safe.
    Value top = strip(right);
    bool shifted = isReductionOf(top, nn::ReduceKind::Max) &&
                   strip(top.getDefiningOp()->getOperand(0)) == strip(left);
    return shifted ? Interval{a.low - b.high, 0} : Interval{a.low - b.high, a.high - b.low};
  }
  if (isa<nn::MulOp>(op))
    return span({a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high});
  if (isa<nn::DivOp>(op))
    return b.low <= 0 && b.high >= 0
               ? Interval{}
               : span({a.low / b.low, a.low / b.high, a.high / b.low, a.high / b.high});
  if (isa<nn::MaxOp>(op))
    return {std::max(a.low, b.low), std::max(a.high, b.high)};
  if (isa<nn::MinOp>(op))
    return {std::min(a.low, b.low), std::min(a.high, b.high)};
  return {};
}

//===-- The method ----------------------------------------------------------------------------===//

class Check {
public:
  Check(ssl::MethodOp method, ssl::StepOp step) : step(step), batch(method.getBatch()) {
    for (auto ema : step.getOps<ssl::EmaOp>())
      sources[ema.getTarget()] = ema.getSource().str();
    for (auto update : step.getOps<ssl::UpdateOp>())
      updated.insert(update.getState());
    for (auto net : method.getOps<ssl::NetOp>())
      nets[net.getSymName()] = net;
    for (auto state : method.getOps<ssl::StateOp>())
      kinds[state.getSymName()] = state.getKind();
  }

  void run() {
    for (auto loss : step.getOps<ssl::LossOp>())
      follow(loss.getValue());
    warnOfCollapse();
    warnOfLossWithoutGradient();
    warnOfGradientThroughAverages();
    warnOfLeak();
    warnOfOverflow();
    warnOfPositivesAmongNegatives();
    warnOfUnused();
  }

private:
  bool isAverage(ssl::ApplyOp apply) const {
    return sources.contains(apply.getPath().split('.').first);
  }
  /// The path of an apply's parameters, of an average those that it follows.
  std::string sourcePath(ssl::ApplyOp apply) const {
    auto [root, rest] = apply.getPath().split('.');
    auto source = sources.find(root);
    return source == sources.end() ? apply.getPath().str()
                                   : source->second + (rest.empty() ? "" : "." + rest.str());
  }

  /// Collects what the loss is made of, down to the networks: with gradient, and `stopped` without.
  void follow(Value loss) {
    SmallVector<std::pair<Value, bool>> work{{loss, /*stopped=*/false}};
    while (!work.empty()) {
      auto [value, stopped] = work.pop_back_val();
      Operation *op = value.getDefiningOp();
      if (!op || !visited[stopped].insert(op).second)
        continue;
      if (auto apply = dyn_cast<ssl::ApplyOp>(op)) {
        bool average = isAverage(apply);
        (stopped || average ? still : moved).insert(apply);
        hasTarget |= stopped || average;
        followInputs(apply, stopped || average);
        continue;
      }
      if (isa<nn::MulOp>(op) && (isZero(op->getOperand(0)) || isZero(op->getOperand(1))))
        continue;
      between.insert(op);
      // That the greatest value, which is taken out before exp, has no gradient means nothing.
      bool stops = isa<nn::StopGradientOp>(op) &&
                   !isReductionOf(strip(op->getOperand(0)), nn::ReduceKind::Max);
      hasTarget |= stops;
      for (Value operand : llvm::reverse(op->getOperands()))
        work.push_back({operand, stopped || stops});
    }
  }

  /// The networks before a network: they are part of the same branch.
  void followInputs(ssl::ApplyOp network, bool networkStopped) {
    SmallVector<std::pair<Value, bool>> work;
    for (Value input : llvm::reverse(network.getInputs()))
      work.push_back({input, networkStopped});
    while (!work.empty()) {
      auto [value, stopped] = work.pop_back_val();
      Operation *op = value.getDefiningOp();
      if (!op || !visitedInputs[stopped].insert(op).second)
        continue;
      if (auto apply = dyn_cast<ssl::ApplyOp>(op))
        (stopped || isAverage(apply) ? still : moved).insert(apply);
      for (Value operand : llvm::reverse(op->getOperands()))
        work.push_back({operand, stopped || isa<nn::StopGradientOp>(op)});
    }
  }

  bool comesFromNets(Value value) const {
    SetVector<Operation *> work;
    if (Operation *op = value.getDefiningOp())
      work.insert(op);
    for (size_t i = 0; i < work.size(); ++i) {
      if (isa<ssl::ApplyOp>(work[i]))
        return true;
      for (Value operand : work[i]->getOperands())
        if (Operation *op = operand.getDefiningOp())
          work.insert(op);
    }
    return false;
  }

  /// Constants that differ from sample to sample, as the labels of a pretext task.
  bool isLabels(Operation *op) const {
    SplatElementsAttr splat;
    if (!isa<nn::IotaOp, nn::ConstantOp>(op) || matchPattern(op, m_Constant(&splat)))
      return false;
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    return type.getRank() >= 1 && type.getDimSize(0) == batch;
  }

  /// Whether an operation between the networks and the loss compares samples with each other or
  /// with what is remembered of others, or brings in what no network makes.
  bool keepsApart(Operation *op) const {
    if (auto read = dyn_cast<nn::ReadOp>(op))
      return updated.contains(read.getState());
    if (auto product = dyn_cast<nn::MatmulOp>(op))
      return comesFromNets(product.getLhs()) && comesFromNets(product.getRhs());
    if (auto reduce = dyn_cast<nn::ReduceOp>(op)) {
      auto type = cast<RankedTensorType>(reduce.getType());
      return type.getRank() >= 1 && llvm::is_contained(reduce.getDims(), 0) &&
             comesFromNets(reduce.getInput());
    }
    if (auto gather = dyn_cast<nn::GatherRowsOp>(op))
      return comesFromNets(gather.getTable());
    // Rows that move by less than a batch meet other images, as do all pairs of rows.
    if (auto slice = dyn_cast<nn::SliceOp>(op)) {
      auto type = cast<RankedTensorType>(slice.getType());
      return type.getRank() >= 1 && (slice.getOffsets()[0] % batch || type.getDimSize(0) % batch) &&
             cast<RankedTensorType>(slice.getInput().getType()).getDimSize(0) % batch == 0 &&
             comesFromNets(slice.getInput());
    }
    if (auto broadcast = dyn_cast<nn::BroadcastOp>(op)) {
      ArrayRef<int64_t> shape = cast<RankedTensorType>(broadcast.getType()).getShape();
      return shape.size() >= 2 && shape[0] == batch && shape[1] == batch &&
             comesFromNets(broadcast.getInput());
    }
    return isLabels(op) ||
           isa<nn::AugmentOp, nn::RandomPermutationOp, nn::BatchNormOp, nn::SampleIndexOp>(op);
  }

  /// The first terms that the losses add up, without their constant weights.
  SmallVector<Value> termsOfLosses() {
    constexpr size_t most = 64;
    SmallVector<Value> terms, work;
    for (auto loss : step.getOps<ssl::LossOp>())
      work.push_back(loss.getValue());
    while (!work.empty() && terms.size() < most) {
      Value value = work.pop_back_val();
      Operation *op = value.getDefiningOp();
      auto isWeight = [&](unsigned side) {
        return matchPattern(op->getOperand(side), m_Constant());
      };
      if (isa_and_nonnull<nn::AddOp>(op))
        work.append(op->operand_begin(), op->operand_end());
      else if (isa_and_nonnull<nn::MulOp>(op) && (isWeight(0) || isWeight(1)))
        work.push_back(op->getOperand(isWeight(0) ? 1 : 0));
      else
        terms.push_back(value);
    }
    return terms;
  }

  /// Whether a term compares outputs of networks and none of them is behind stop_gradient or an
  /// average's.
  bool pullsBothBranches(Value term) const {
    SetVector<Operation *> work;
    if (Operation *op = term.getDefiningOp())
      work.insert(op);
    unsigned branches = 0;
    for (size_t i = 0; i < work.size(); ++i) {
      Operation *op = work[i];
      if (isa<nn::StopGradientOp>(op) &&
          !isReductionOf(strip(op->getOperand(0)), nn::ReduceKind::Max))
        return false;
      if (auto apply = dyn_cast<ssl::ApplyOp>(op)) {
        if (isAverage(apply))
          return false;
        ++branches;
        continue;
      }
      for (Value operand : op->getOperands())
        if (Operation *producer = operand.getDefiningOp())
          work.insert(producer);
    }
    return branches >= 2;
  }

  void warnOfCollapse() {
    if (moved.empty() || llvm::any_of(between, [&](Operation *op) { return keepsApart(op); }))
      return;
    auto losses = step.getOps<ssl::LossOp>();
    ssl::LossOp loss = *losses.begin();
    if (!hasTarget) {
      loss.emitWarning("W0504: a constant output of the networks minimises the loss: nothing in it "
                       "compares different images, and no branch is behind stop_gradient");
      return;
    }
    for (Value term : termsOfLosses())
      if (pullsBothBranches(term)) {
        term.getDefiningOp()->emitWarning(
            "W0504: a constant output of the networks minimises this part of the loss: nothing in "
            "it compares different images, and no branch of it is behind stop_gradient");
        return;
      }
    llvm::StringSet<> targets;
    for (ssl::ApplyOp apply : still)
      targets.insert(sourcePath(apply));
    bool predicts = llvm::any_of(
        moved, [&](ssl::ApplyOp apply) { return !targets.contains(sourcePath(apply)); });
    if (!predicts)
      loss.emitWarning("W0504: a constant output of the networks minimises the loss: nothing in it "
                       "compares different images, and both branches are the same network, without "
                       "a predictor on the one that is trained");
  }

  /// What `value` is made of as far as its gradient goes, through networks.
  SetVector<Operation *> withGradientBehind(Value value) const {
    SetVector<Operation *> work;
    auto add = [&](Value operand) {
      if (Operation *op = operand.getDefiningOp(); op && !isa<nn::StopGradientOp>(op))
        work.insert(op);
    };
    add(value);
    for (size_t i = 0; i < work.size(); ++i)
      llvm::for_each(work[i]->getOperands(), add);
    return work;
  }

  bool reachesParameters(Value term) const {
    return llvm::any_of(withGradientBehind(term), [&](Operation *op) {
      auto read = dyn_cast<nn::ReadOp>(op);
      auto apply = dyn_cast<ssl::ApplyOp>(op);
      return (apply && !isAverage(apply)) ||
             (read && kinds.lookup(read.getState()) == nn::StateKind::Parameter);
    });
  }

  void warnOfLossWithoutGradient() {
    if (moved.empty()) // reported where there is no gradient at all
      return;
    for (Value term : termsOfLosses())
      if (comesFromNets(term) && !reachesParameters(term) &&
          !isReductionOf(strip(term), nn::ReduceKind::Max)) // logsumexp adds it, without gradient
        term.getDefiningOp()->emitWarning(
            "W0512: this part of the loss changes no parameter: all networks in it are EMA nets or "
            "behind stop_gradient");
  }

  void warnOfGradientThroughAverages() {
    for (ssl::ApplyOp apply : still) {
      if (!isAverage(apply) || !visited[0].contains(apply.getOperation()))
        continue;
      for (Value input : apply.getInputs()) {
        ssl::ApplyOp source = trainedBehind(input);
        if (!source)
          continue;
        InFlightDiagnostic warning = apply.emitWarning()
                                     << "W0505: the gradient flows through the EMA net '"
                                     << apply.getPath() << "' into '" << source.getPath()
                                     << "': the EMA net itself does not learn from it";
        warning.attachNote(source.getLoc()) << "put stop_gradient around what comes from here";
        return;
      }
    }
  }

  /// A trained network whose output reaches `value` with its gradient.
  ssl::ApplyOp trainedBehind(Value value) const {
    for (Operation *op : withGradientBehind(value))
      if (auto apply = dyn_cast<ssl::ApplyOp>(op); apply && !isAverage(apply))
        return apply;
    return {};
  }

  void warnOfLeak() {
    auto readsQueue = [&](Operation *op) {
      auto read = dyn_cast<nn::ReadOp>(op);
      return read && kinds.lookup(read.getState()) == nn::StateKind::Queue;
    };
    if (llvm::none_of(between, readsQueue))
      return;
    for (ssl::ApplyOp apply : still) {
      ssl::NetOp net = nets.lookup(apply.getNet());
      bool leaks = false;
      if (net && isAverage(apply))
        net.walk([&](nn::BatchNormOp norm) { leaks |= norm.getGroups() == 1; });
      if (!leaks)
        continue;
      apply.emitWarning()
          << "W0506: batch norm leaks which key belongs to a query: query and key of "
             "an image share the statistics of one batch, those in the queue do not; "
             "shuffle_batch_norm("
          << apply.getPath() << ", groups: 8) mixes them";
      return;
    }
  }

  void warnOfOverflow() {
    // In the order of the text: operands come first, however long the chain.
    Bounds bounds;
    for (Operation &op : step.getBody().front())
      for (Value result : op.getResults())
        bounds[result] = boundsOf(result, bounds);
    for (Operation *op : between) {
      auto exp = dyn_cast<nn::ExpOp>(op);
      if (!exp)
        continue;
      double high = bounds.lookup(exp.getInput()).high;
      if (std::isfinite(high) && high > greatestExponent)
        exp.emitWarning() << "W0507: exp overflows: its argument reaches "
                          << int64_t(std::min(high, 1e18)) << ", and f32 ends at "
                          << int64_t(greatestExponent)
                          << "; take the greatest out first, as logsumexp and softmax do, or raise "
                             "the temperature";
    }
  }

  void warnOfPositivesAmongNegatives() {
    for (Operation *op : between)
      if (isa<nn::EnqueueOp>(op)) {
        op->emitWarning(
            "W0508: the loss uses the queue with this step's rows in it: each positive is "
            "a negative too; use the state, and update it after the loss");
        return;
      }
  }

  void warnOfUnused() {
    for (auto apply : step.getOps<ssl::ApplyOp>())
      if (apply->use_empty())
        apply.emitWarning() << "W0509: nothing uses this output of '" << apply.getPath() << "'";
  }

  ssl::StepOp step;
  int64_t batch;
  llvm::StringMap<std::string> sources; ///< of averages
  llvm::StringSet<> updated;            ///< states that an update writes
  llvm::StringMap<ssl::NetOp> nets;
  llvm::StringMap<nn::StateKind> kinds;
  DenseSet<Operation *> visited[2], visitedInputs[2];
  SetVector<ssl::ApplyOp> moved, still; ///< networks of the loss with and without gradient
  SetVector<Operation *> between;       ///< networks and loss
  bool hasTarget = false;               ///< some branch has no gradient
};

struct CheckMethod : impl::CheckMethodBase<CheckMethod> {
  void runOnOperation() override {
    markAllAnalysesPreserved();
    for (auto method : getOperation().getOps<ssl::MethodOp>())
      for (auto step : method.getOps<ssl::StepOp>())
        Check(method, step).run();
  }
};

} // namespace
} // namespace doppel
