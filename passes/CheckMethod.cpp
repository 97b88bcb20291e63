// Warns of what only a self-supervised method can get wrong. It reads the loss as the method wrote
// it: networks are opaque (`ssl.apply`), so what stands between their outputs and the loss is a
// small graph. Nothing is changed. Codes are those of the catalogue (frontends/spec/Errors.def).
#include "dialects/ssl/SslDialect.h"
#include "passes/Passes.h"
#include "passes/ValueBounds.h"

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

//===-- What vanishes -------------------------------------------------------------------------===//

/// x - mean(x, over the batch).
bool isCentred(nn::SubOp difference) {
  Value mean = difference.getRhs();
  double factor = 1;
  while (Operation *op = mean.getDefiningOp()) {
    SplatElementsAttr splat;
    bool divides = isa<nn::DivOp>(op);
    if (isa<nn::BroadcastOp, nn::ReshapeOp, nn::StopGradientOp>(op)) {
      mean = op->getOperand(0);
    } else if ((divides || isa<nn::MulOp>(op)) &&
               matchPattern(op->getOperand(1), m_Constant(&splat)) &&
               isa<FloatType>(splat.getElementType())) {
      double number = splat.getSplatValue<APFloat>().convertToDouble();
      factor *= divides ? 1 / number : number;
      mean = op->getOperand(0);
    } else {
      break;
    }
  }
  auto sum = mean.getDefiningOp<nn::ReduceOp>();
  if (!sum || sum.getKind() != nn::ReduceKind::Sum || !llvm::is_contained(sum.getDims(), 0) ||
      sum.getInput() != difference.getLhs())
    return false;
  auto type = cast<RankedTensorType>(sum.getInput().getType());
  for (int64_t dim : sum.getDims())
    factor *= double(type.getDimSize(dim));
  return std::abs(factor - 1) < 1e-3;
}

/// Whether the operation gives 0 where all images have one output: what is centred over the batch,
/// and what is made of it. `known` has the values that do.
bool vanishes(Operation *op, const DenseSet<Value> &known) {
  auto isNothing = [&](Value value) { return known.contains(value) || isZero(value); };
  if (auto difference = dyn_cast<nn::SubOp>(op); difference && isCentred(difference))
    return true;
  if (isa<nn::MulOp, nn::MatmulOp>(op))
    return isNothing(op->getOperand(0)) || isNothing(op->getOperand(1));
  if (isa<nn::DivOp>(op))
    return isNothing(op->getOperand(0)) && !isNothing(op->getOperand(1));
  if (isa<nn::SelectOp>(op))
    return isNothing(op->getOperand(1)) && isNothing(op->getOperand(2));
  if (isa<nn::AddOp, nn::SubOp, nn::MaxOp, nn::MinOp, nn::ConcatOp, nn::NegOp, nn::ReduceOp,
          nn::ReshapeOp, nn::BroadcastOp, nn::TransposeOp, nn::SliceOp, nn::StopGradientOp,
          nn::SqrtOp, nn::AbsOp, nn::ReluOp, nn::TanhOp>(op))
    return llvm::all_of(op->getOperands(), isNothing);
  return false;
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
    // In the order of the text: operands come first, however long the chain.
    for (Operation &op : step.getBody().front())
      for (Value result : op.getResults()) {
        bounds[result] = boundsOf(result, bounds);
        if (vanishes(&op, vanishing))
          vanishing.insert(result);
      }
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

  /// Whether the rows of the value are those of the batch, or of several views of it.
  bool hasRowsOfBatch(Value value) const {
    auto type = cast<RankedTensorType>(value.getType());
    return type.getRank() >= 1 && type.getDimSize(0) % batch == 0;
  }

  /// What differs from sample to sample, or from view to view, and comes from no network: the
  /// labels of a pretext task.
  bool isLabels(Operation *op) const {
    SplatElementsAttr splat;
    if (op->getNumResults() != 1 || !hasRowsOfBatch(op->getResult(0)))
      return false;
    if (isa<nn::ConstantOp>(op))
      return !matchPattern(op, m_Constant(&splat));
    if (auto iota = dyn_cast<nn::IotaOp>(op)) // of columns, if it is used as such alone
      return iota.getDim() == 0 && !llvm::all_of(op->getUsers(), [&](Operation *user) {
               return isa<nn::ReshapeOp>(user) && !hasRowsOfBatch(user->getResult(0));
             });
    // A draw that a network's input depends on too: which of its changes a picture got.
    if (isa<nn::RandomOp>(op))
      return visitedInputs[0].contains(op) || visitedInputs[1].contains(op);
    auto concat = dyn_cast<nn::ConcatOp>(op);
    return concat && concat.getAxis() == 0 && !comesFromNets(concat.getResult()) &&
           !llvm::all_equal(concat.getInputs());
  }

  /// Whether an operation between the networks and the loss compares samples with each other or
  /// with what is remembered of others, or brings in what no network makes.
  bool keepsApart(Operation *op) const {
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

  static constexpr size_t mostTerms = 64;

  /// The first terms that the losses add up, without their constant weights. A weight that is
  /// negative or 0 belongs to its term.
  SmallVector<Value> termsOfLosses() {
    SmallVector<Value> terms, work;
    for (auto loss : step.getOps<ssl::LossOp>())
      work.push_back(loss.getValue());
    while (!work.empty() && terms.size() < mostTerms) {
      Value value = work.pop_back_val();
      Operation *op = value.getDefiningOp();
      auto isWeight = [&](unsigned side) {
        SplatElementsAttr weight;
        return matchPattern(op->getOperand(side), m_Constant(&weight)) &&
               isa<FloatType>(weight.getElementType()) &&
               weight.getSplatValue<APFloat>().convertToDouble() > 0;
      };
      if (isa_and_nonnull<nn::AddOp>(op))
        work.append(op->operand_begin(), op->operand_end());
      else if (isa_and_nonnull<nn::MulOp>(op) && (isWeight(0) || isWeight(1)))
        work.push_back(op->getOperand(isWeight(0) ? 1 : 0));
      else if (isa_and_nonnull<nn::DivOp>(op) && isWeight(1))
        work.push_back(op->getOperand(0));
      else
        terms.push_back(value);
    }
    return terms;
  }

  /// What a part of the loss is made of, down to the networks.
  struct Parts {
    SetVector<Operation *> all;
    DenseSet<Operation *> soft; ///< not behind a comparison or the index of a row
    SmallVector<ssl::ApplyOp> networks;
  };

  Parts partsOf(Value term) const {
    Parts parts;
    SmallVector<std::pair<Value, bool>> work{{term, /*soft=*/true}};
    while (!work.empty()) {
      auto [value, soft] = work.pop_back_val();
      Operation *op = value.getDefiningOp();
      if (!op || (soft ? !parts.soft.insert(op).second : parts.all.contains(op)))
        continue;
      bool isNew = parts.all.insert(op);
      if (auto apply = dyn_cast<ssl::ApplyOp>(op)) {
        if (isNew)
          parts.networks.push_back(apply);
        continue;
      }
      if (isa<nn::MulOp>(op) && llvm::any_of(op->getOperands(), isZero))
        continue;
      // A row that the networks' outputs choose is what they have put there.
      auto gather = dyn_cast<nn::GatherRowsOp>(op);
      bool chosen = gather && comesFromNets(gather.getIndices());
      for (Value operand : llvm::reverse(op->getOperands()))
        work.push_back({operand, soft && !chosen && !isa<nn::CompareOp>(op)});
    }
    return parts;
  }

  bool readsUpdated(Operation *op) const {
    auto read = dyn_cast<nn::ReadOp>(op);
    return read && updated.contains(read.getState());
  }

  /// Whether a constant output of the networks does not minimise the term: it compares images, or
  /// has labels. What is 0 where all outputs are equal and never less, as a penalty on covariances
  /// is, compares in vain.
  bool keepsApart(Value term, const Parts &parts) const {
    if (vanishing.contains(term) && bounds.lookup(term).low >= 0)
      return false;
    return llvm::any_of(parts.all, [&](Operation *op) {
      return keepsApart(op) || (readsUpdated(op) && parts.soft.contains(op));
    });
  }

  /// Whether two terms ask different things of two outputs of one network, which no constant gives:
  /// equal formulas with other numbers in them, as the labels of four rotations.
  bool hasOtherLabels(ArrayRef<Parts> terms) const {
    SmallVector<Form> forms;
    for (const Parts &parts : terms)
      if (parts.networks.size() == 1)
        forms.push_back(formOf(parts));
    for (const Form &a : forms)
      for (const Form &b : forms)
        if (a.formula == b.formula && a.numbers != b.numbers && a.output != b.output)
          return true;
    return false;
  }

  struct Form {
    std::string formula; ///< operations and how they are connected
    std::string numbers; ///< constants and columns
    std::string output;  ///< which output of which network
  };

  Form formOf(const Parts &parts) const {
    Form form;
    llvm::raw_string_ostream formula(form.formula), numbers(form.numbers), output(form.output);
    DenseMap<Operation *, size_t> places;
    for (Operation *op : parts.all)
      places.insert({op, places.size()});
    for (Operation *op : parts.all) {
      formula << op->getName();
      auto slice = dyn_cast<nn::SliceOp>(op);
      if (auto apply = dyn_cast<ssl::ApplyOp>(op)) {
        formula << sourcePath(apply) << ';';
        output << op << ';';
        continue;
      }
      for (Value operand : op->getOperands())
        if (Operation *producer = operand.getDefiningOp())
          formula << ' ' << places.lookup(producer);
      formula << ';';
      // Rows of several views that went through the network together.
      if (slice && isa_and_present<ssl::ApplyOp>(slice.getInput().getDefiningOp()) &&
          slice.getOffsets()[0] % batch == 0)
        output << slice.getOffsets()[0] << ';';
      else
        numbers << op->getAttrDictionary() << ';';
    }
    return form;
  }

  /// Whether the networks' outputs choose something by a state: the nearest of its rows.
  bool choosesFromState(const Parts &parts) const {
    return llvm::any_of(parts.all, [&](Operation *op) {
      auto gather = dyn_cast<nn::GatherRowsOp>(op);
      if (!isa<nn::CompareOp>(op) && !(gather && comesFromNets(gather.getIndices())))
        return false;
      Parts behind = partsOf(op->getResult(0));
      return !behind.networks.empty() &&
             llvm::any_of(behind.all, [&](Operation *part) { return readsUpdated(part); });
    });
  }

  /// Whether the new value of a state that is read in the parts takes rows of single images, or
  /// draws: a cluster without images may so begin anew.
  bool beginsAnew(const Parts &parts) const {
    llvm::StringSet<> read;
    for (Operation *op : parts.all)
      if (readsUpdated(op))
        read.insert(cast<nn::ReadOp>(op).getState());
    for (auto update : step.getBody().front().getOps<ssl::UpdateOp>()) {
      if (!read.contains(update.getState()))
        continue;
      SetVector<Operation *> work;
      auto add = [&](Value value) {
        if (Operation *op = value.getDefiningOp())
          work.insert(op);
      };
      llvm::for_each(update.getValue().front().getTerminator()->getOperands(), add);
      for (size_t i = 0; i < work.size(); ++i) {
        if (isa<nn::RandomOp, nn::RandomPermutationOp, nn::GatherRowsOp, nn::EnqueueOp>(work[i]) ||
            (isa<nn::SliceOp>(work[i]) && keepsApart(work[i])))
          return true;
        if (!isa<ssl::ApplyOp>(work[i]))
          llvm::for_each(work[i]->getOperands(), add);
      }
    }
    return false;
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
    if (moved.empty())
      return;
    SmallVector<Value> terms = termsOfLosses();
    SmallVector<Parts> parts = llvm::map_to_vector(terms, [&](Value v) { return partsOf(v); });
    for (auto [term, made] : llvm::zip(terms, parts))
      if (keepsApart(term, made))
        return;
    bool others = terms.size() == mostTerms && llvm::any_of(between, [&](Operation *op) {
                    return keepsApart(op) || readsUpdated(op);
                  });
    if (others || hasOtherLabels(parts))
      return;
    auto losses = step.getOps<ssl::LossOp>();
    ssl::LossOp loss = *losses.begin();
    if (!hasTarget) {
      loss.emitWarning("W0504: a constant output of the networks minimises the loss: nothing in it "
                       "compares different images, and no branch is behind stop_gradient");
      return;
    }
    for (Value term : terms)
      if (pullsBothBranches(term)) {
        term.getDefiningOp()->emitWarning(
            "W0504: a constant output of the networks minimises this part of the loss: nothing in "
            "it compares different images, and no branch of it is behind stop_gradient");
        return;
      }
    // A predictor helps a target that moves with the images, and no target that is one of a list.
    for (auto [term, made] : llvm::zip(terms, parts))
      if (choosesFromState(made) && !beginsAnew(made)) {
        term.getDefiningOp()->emitWarning(
            "W0504: a constant output of the networks minimises this part of the loss: its targets "
            "are chosen from a state by the networks' own outputs, and nothing keeps all images "
            "from choosing the same one");
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

  mutable ssl::StepOp step; // an operation's accessors are not const
  int64_t batch;
  llvm::StringMap<std::string> sources; ///< of averages
  llvm::StringSet<> updated;            ///< states that an update writes
  llvm::StringMap<ssl::NetOp> nets;
  llvm::StringMap<nn::StateKind> kinds;
  Bounds bounds;
  DenseSet<Value> vanishing; ///< 0 where all images have one output
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
