// Groups the operations of a function into kernels. Every value is either made (written to a
// buffer) or inline (computed again in each kernel that reads it); made values of one iteration
// space that share inputs, or of which one needs the other at its own point, form a kernel. The
// choice of what is made goes by bytes of memory traffic and is repeated once the kernels are
// known, because a value read twice by one kernel is read once.
//
// After this pass all operations but library calls, views, placed concats, states, checks and
// collectives lie in an nn.fused.
#include "dialects/plan/KernelForm.h"
#include "dialects/plan/Machine.h"
#include "passes/FuseAnalysis.h"
#include "passes/Passes.h"
#include "passes/Updates.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_FUSE
#include "passes/Passes.h.inc"

namespace {

/// A set of kernels of a function, by number.
struct KernelSet {
  SmallVector<uint64_t> words;
  bool calls = false; ///< and library calls
  void set(unsigned number) {
    if (words.size() <= number / 64)
      words.resize(number / 64 + 1);
    words[number / 64] |= uint64_t(1) << number % 64;
  }
  bool test(unsigned number) const {
    return words.size() > number / 64 && (words[number / 64] >> number % 64 & 1);
  }
  KernelSet &operator|=(const KernelSet &other) {
    if (words.size() < other.words.size())
      words.resize(other.words.size());
    calls |= other.calls;
    for (auto [i, word] : llvm::enumerate(other.words))
      words[i] |= word;
    return *this;
  }
  bool empty() const { return words.empty() && !calls; }
  bool operator==(const KernelSet &) const = default;
};

/// Values that will be one kernel.
struct Kernel {
  SmallVector<Value> roots;
  SetVector<Value> leaves; ///< values it reads
  std::optional<ReduceLoops> loops;
  int64_t elements = 0; ///< of the largest map root
  bool alone = false;   ///< takes no other root
  bool late = false;    ///< makes new values of states, behind the commit point
  KernelSet needs;      ///< kernels that come before
};

class Fuser {
public:
  Fuser(Block &block, const plan::Machine &machine)
      : block(block), machine(machine), late(findLateUpdates(block)) {
    for (Operation &op : block)
      order[&op] = order.size();
  }

  LogicalResult run();

private:
  // What is made.
  bool isMade(Value value) const;
  Value source(Value value) const;
  void findForced();
  void limitInline();
  void decide();
  SmallVector<unsigned> readersOf(Value value);
  int64_t work(Value value);

  // Kernels.
  void formKernels();
  SetVector<Value> leavesOf(Value root, const Kernel *kernel) const;
  bool dependsOn(unsigned kernel, ArrayRef<Value> values) const;
  void updateDependencies(unsigned kernel, ArrayRef<Value> leaves);
  bool fits(unsigned number, Value root, ArrayRef<Value> leaves);
  bool isLegal(ArrayRef<Value> roots);
  std::unique_ptr<Block> makeBody(ArrayRef<Value> roots, ArrayRef<Value> yields,
                                  SmallVectorImpl<Value> &inputs,
                                  const llvm::DenseSet<Value> &again) const;
  llvm::DenseSet<Value> cheaperAgain(const Kernel &kernel);
  void add(unsigned kernel, Value root);

  // The result.
  llvm::DenseSet<Value> neededValues(ArrayRef<llvm::DenseSet<Value>> again) const;
  LogicalResult emit();
  void sortOperations();

  Block &block;
  plan::Machine machine;
  llvm::DenseSet<Operation *> late;
  llvm::DenseMap<Operation *, unsigned> order;
  llvm::DenseSet<Value> forced; ///< must be made: read by what is no kernel
  llvm::DenseSet<Value> made;   ///< results of fusible operations that are made
  std::vector<Kernel> kernels;
  llvm::DenseMap<Value, unsigned> kernelOf;
  llvm::DenseMap<Value, int64_t> workOf;
  llvm::DenseMap<Operation *, KernelSet> dependencies; ///< kernels that an operation waits for
};

/// Follows views to the value that has the bytes.
Value Fuser::source(Value value) const {
  while (Operation *op = value.getDefiningOp()) {
    if (!isView(op) || made.contains(value))
      break;
    value = op->getOperand(0);
  }
  return value;
}

/// Whether the value lies in a buffer (as a view of one, too).
bool Fuser::isMade(Value value) const {
  value = source(value);
  Operation *op = value.getDefiningOp();
  return !op || !isFusible(op) || made.contains(value);
}

/// What operations outside of kernels read has to be made.
void Fuser::findForced() {
  llvm::DenseMap<Value, Operation *> segmentsOf;
  for (Operation &op : block) {
    if (!isFusible(&op) || isa<nn::EnqueueOp, nn::ScatterRowsOp>(op)) {
      for (auto [number, operand] : llvm::enumerate(op.getOperands())) {
        Value value = source(operand);
        Operation *maker = value.getDefiningOp();
        bool constantTable =
            isa<nn::ScatterRowsOp>(op) && maker && isa<nn::ConstantOp, nn::BroadcastOp>(maker);
        if (maker && isFusible(maker) && !constantTable)
          forced.insert(value);
      }
    }
    if (alwaysMade(&op))
      forced.insert(op.getResult(0));
    // A number a segment can be computed inline only where the segments' own vector is.
    Operation *segments = isa<nn::SegmentBroadcastOp>(op) ? &op : nullptr;
    for (Value operand : op.getOperands()) {
      Operation *other = segmentsOf.lookup(operand);
      if (!other)
        continue;
      bool same = !segments || (segments->getAttr("offsets") == other->getAttr("offsets") &&
                                segments->getAttr("sizes") == other->getAttr("sizes"));
      if (op.hasTrait<OpTrait::Elementwise>() && same)
        segments = other;
      else
        forced.insert(source(operand));
    }
    if (segments)
      segmentsOf[op.getResult(0)] = segments;
    if (isa<nn::RandomOp>(op) && !op.getResult(0).hasOneUse())
      forced.insert(op.getResult(0));
  }
}

/// Makes a value wherever more operations than half a kernel would be inline behind it. All that
/// looks through inline values is bounded by that, in depth too.
void Fuser::limitInline() {
  size_t most = machine.mostOperations / 2;
  for (Operation &op : block) {
    if (!isFusible(&op) || isView(&op) || op.getNumResults() != 1)
      continue;
    llvm::SmallSetVector<Operation *, 32> inlined;
    inlined.insert(&op);
    for (size_t i = 0; i < inlined.size() && inlined.size() <= most; ++i)
      for (Value operand : inlined[i]->getOperands())
        if (!isMade(operand))
          inlined.insert(operand.getDefiningOp());
    if (inlined.size() > most)
      made.insert(op.getResult(0));
  }
}

/// Operations that computing the value takes at one point, down to what is made; data movement
/// counts nothing.
int64_t Fuser::work(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || !isFusible(op) || isMade(value))
    return 0;
  if (auto found = workOf.find(value); found != workOf.end())
    return found->second;
  int64_t sum = 0;
  if (op->hasTrait<OpTrait::Elementwise>())
    sum = op->hasTrait<nn::Transcendental>() ? 8 : 1;
  if (isa<nn::RandomOp>(op))
    sum = 40;
  for (Value operand : op->getOperands())
    sum = std::min<int64_t>(sum + work(operand), 1 << 20);
  return workOf[value] = sum;
}

/// The kernels that would read the value, where it is inline; numbers beyond the kernels stand for
/// values that have none yet.
SmallVector<unsigned> Fuser::readersOf(Value value) {
  llvm::SmallSetVector<unsigned, 4> readers;
  SetVector<Value> work;
  work.insert(value);
  for (size_t i = 0; i < work.size() && readers.size() < 64; ++i)
    for (Operation *user : work[i].getUsers())
      for (Value result : user->getResults()) {
        if (!isFusible(user))
          continue;
        if (!made.contains(result)) {
          work.insert(result);
          continue;
        }
        auto found = kernelOf.find(result);
        readers.insert(found != kernelOf.end() ? found->second : kernels.size() + order[user]);
      }
  return readers.takeVector();
}

/// Chooses what is made, given the kernels of the last round.
void Fuser::decide() {
  made.clear();
  made.insert(forced.begin(), forced.end());
  limitInline();
  workOf.clear();
  // The bytes of all made values that each inline value is computed from.
  llvm::DenseMap<Value, SetVector<Value>> sources;
  auto sourcesOf = [&](Operation *op) {
    SetVector<Value> result;
    for (Value operand : op->getOperands()) {
      // A slice reads no more than it gives.
      if (isa<nn::SliceOp, nn::GatherRowsOp>(op) &&
          elementsOf(op->getResult(0)) < elementsOf(operand))
        result.insert(op->getResult(0));
      else if (isMade(operand))
        result.insert(source(operand));
      else
        result.insert(sources[operand].begin(), sources[operand].end());
    }
    return result;
  };
  // A small value that many points of a larger space read is computed once, unless each row of the
  // space needs it just once.
  for (Operation &op : block) {
    auto broadcast = dyn_cast<nn::BroadcastOp>(op);
    if (!broadcast)
      continue;
    Value input = source(broadcast.getInput());
    Operation *maker = input.getDefiningOp();
    if (!maker || !isFusible(maker) || isMade(input))
      continue;
    int64_t cost = work(input);
    bool repeats = elementsOf(broadcast.getResult()) > elementsOf(input) &&
                   elementsOf(broadcast.getResult()) > machine.againElements;
    if (repeats && cost > (isHoistable(broadcast) ? (elementsOf(input) == 1 ? 8 : 64) : 0)) {
      made.insert(input);
      workOf.clear();
    }
  }
  for (Operation &op : block) {
    if (!isFusible(&op) || op.getNumResults() != 1)
      continue;
    Value value = op.getResult(0);
    SetVector<Value> own = sourcesOf(&op);
    bool computes =
        op.hasTrait<OpTrait::Elementwise>() ||
        isa<nn::TransposeOp, nn::ConcatOp, nn::PadOp, nn::GatherRowsOp, nn::SegmentBroadcastOp>(
            op) ||
        (isa<nn::SliceOp>(op) && !isView(&op));
    if (!made.contains(value) && computes) {
      int64_t readers = readersOf(value).size(), bytes = bytesOf(value), read = 0;
      for (Value leaf : own)
        read += bytesOf(leaf);
      // A mask would save traffic, but live from the forward to the backward pass; it is cheap to
      // compute from what lives there anyway.
      bool mask =
          cast<ShapedType>(value.getType()).getElementType().isInteger(1) && work(value) < 8;
      // Arithmetic beyond some operations a number costs as much as memory does.
      int64_t compute = bytes * work(value) / machine.operationsPerNumber;
      if (readers > 1 && !mask &&
          read + 2 * bytes + (readers - 1) * bytes <= readers * read + (readers - 1) * compute) {
        made.insert(value);
        workOf.clear();
      }
    }
    if (int64_t(own.size()) > machine.mostBuffers / 2 && !made.contains(value) && computes)
      made.insert(value);
    sources[value] = std::move(own);
  }
}

/// The made values that a root reads. Inside of `kernel` its other roots are no leaves.
SetVector<Value> Fuser::leavesOf(Value root, const Kernel *kernel) const {
  SetVector<Value> leaves, seen;
  SmallVector<Value> work(root.getDefiningOp()->getOperands());
  while (!work.empty()) {
    Value value = work.pop_back_val();
    if (!seen.insert(value))
      continue;
    Value bytes = source(value);
    if (isMade(value) && !(kernel && llvm::is_contained(kernel->roots, bytes))) {
      leaves.insert(value);
      continue;
    }
    llvm::append_range(work, value.getDefiningOp()->getOperands());
  }
  return leaves;
}

/// Whether one of the values needs the kernel's results by a way through other kernels or calls.
bool Fuser::dependsOn(unsigned kernel, ArrayRef<Value> values) const {
  return llvm::any_of(values, [&](Value value) {
    Operation *op = source(value).getDefiningOp();
    return op && !llvm::is_contained(kernels[kernel].roots, source(value)) &&
           dependencies.lookup(op).test(kernel);
  });
}

/// Notes that what waits for a kernel waits for all that the kernel reads, too.
void Fuser::updateDependencies(unsigned number, ArrayRef<Value> leaves) {
  KernelSet &needs = kernels[number].needs;
  KernelSet before = needs;
  for (Value leaf : leaves)
    if (Operation *op = source(leaf).getDefiningOp();
        op && !llvm::is_contained(kernels[number].roots, source(leaf)))
      needs |= dependencies[op];
  if (kernels[number].roots.size() == 1 || needs == before)
    return; // nothing waits for it yet, or all of that is known
  KernelSet all = needs;
  all.set(number);
  for (auto &[op, set] : dependencies)
    if (set.test(number))
      set |= all;
  for (Kernel &kernel : kernels)
    if (kernel.needs.test(number))
      kernel.needs |= all;
}

/// Made values that cost little to compute again from what the kernel reads anyway: their buffers
/// need not be read.
llvm::DenseSet<Value> Fuser::cheaperAgain(const Kernel &kernel) {
  llvm::DenseSet<Value> result;
  llvm::SmallSetVector<Value, 8> reads;
  for (Value leaf : kernel.leaves)
    reads.insert(source(leaf));
  for (Value value : llvm::to_vector(reads)) {
    Operation *op = value.getDefiningOp();
    if (!op || !isFusible(op) || !op->hasTrait<OpTrait::Elementwise>() ||
        bytesOf(value) < machine.cachedBytes)
      continue;
    made.erase(value);
    workOf.clear();
    bool worth = work(value) <= 4;
    // Its sources: small ones, and large ones that are read for other reasons.
    SmallVector<Value> stack(op->getOperands());
    while (worth && !stack.empty()) {
      Value each = stack.pop_back_val();
      if (!isMade(each)) {
        llvm::append_range(stack, each.getDefiningOp()->getOperands());
        continue;
      }
      each = source(each);
      worth &= 8 * bytesOf(each) < bytesOf(value) ||
               (each != value && reads.contains(each) && !result.contains(each));
    }
    made.insert(value);
    workOf.clear();
    if (worth)
      result.insert(value);
  }
  return result;
}

std::unique_ptr<Block> Fuser::makeBody(ArrayRef<Value> roots, ArrayRef<Value> yields,
                                       SmallVectorImpl<Value> &inputs,
                                       const llvm::DenseSet<Value> &again) const {
  auto body = std::make_unique<Block>();
  IRMapping mapping;
  OpBuilder builder(block.getParentOp()->getContext());
  builder.setInsertionPointToEnd(body.get());
  llvm::DenseSet<Value> own(roots.begin(), roots.end());
  std::function<Value(Value)> clone = [&](Value value) -> Value {
    if (Value known = mapping.lookupOrNull(value))
      return known;
    if (isMade(value) && !own.contains(source(value)) && !again.contains(source(value))) {
      inputs.push_back(value);
      Value argument = body->addArgument(value.getType(), value.getLoc());
      mapping.map(value, argument);
      return argument;
    }
    Operation *op = value.getDefiningOp();
    for (Value operand : op->getOperands())
      clone(operand);
    builder.clone(*op, mapping);
    return mapping.lookup(value);
  };
  SmallVector<Value> results;
  for (Value value : yields)
    results.push_back(clone(value));
  nn::YieldOp::create(builder, roots.front().getLoc(), results);
  return body;
}

bool Fuser::isLegal(ArrayRef<Value> roots) {
  SmallVector<Value> inputs;
  std::unique_ptr<Block> body = makeBody(roots, roots, inputs, {});
  if (int64_t(inputs.size() + roots.size()) > machine.mostBuffers ||
      int64_t(body->getOperations().size()) > machine.mostOperations)
    return false;
  FailureOr<plan::KernelForm> form = plan::buildKernelForm(*body, /*diagnose=*/false);
  return succeeded(form);
}

bool Fuser::fits(unsigned number, Value root, ArrayRef<Value> leaves) {
  const Kernel &kernel = kernels[number];
  Operation *op = root.getDefiningOp();
  if (kernel.alone || op->hasTrait<nn::OwnKernel>() || kernel.late != late.contains(op))
    return false;
  std::optional<ReduceLoops> loops;
  if (auto reduce = dyn_cast<nn::ReduceOp>(op))
    loops = reduceLoopsOf(reduce);
  int64_t elements = elementsOf(root);

  bool sameLoops = false;
  if (loops)
    sameLoops = kernel.loops ? *kernel.loops == *loops : kernel.elements == loops->elements();
  else if (kernel.loops)
    sameLoops = elements == kernel.loops->elements() ||
                elements == kernel.loops->outer * kernel.loops->inner;
  else
    sameLoops = elements == kernel.elements;
  // What they share has to be a good part of what they read: two networks with the same weights are
  // not to go in lockstep.
  int64_t points = loops ? loops->elements() : kernel.loops ? kernel.loops->elements() : elements;
  bool needs = false, shares = false;
  KernelSet before;
  for (Value leaf : leaves) {
    needs |= llvm::is_contained(kernel.roots, source(leaf));
    shares |= kernel.leaves.contains(leaf) && 4 * elementsOf(leaf) >= points;
    if (Operation *maker = source(leaf).getDefiningOp())
      before |= dependencies.lookup(maker);
  }
  // Small maps of states and scalars, whatever their sizes, go together, and so do small maps that
  // nothing but states waits for; each is a nest of its own.
  bool small = !loops && !kernel.loops && elements <= machine.smallElements &&
               kernel.elements <= machine.smallElements;
  bool waits = kernel.late || (before.empty() && kernel.needs.empty());
  if (!(sameLoops && (needs || shares)) && !(small && waits))
    return false;
  if (dependsOn(number, leaves))
    return false;
  SmallVector<Value> roots(kernel.roots);
  roots.push_back(root);
  return isLegal(roots);
}

void Fuser::add(unsigned number, Value root) {
  Kernel &kernel = kernels[number];
  kernel.roots.push_back(root);
  kernelOf[root] = number;
  if (auto reduce = root.getDefiningOp<nn::ReduceOp>())
    kernel.loops = reduceLoopsOf(reduce);
  else
    kernel.elements = std::max(kernel.elements, elementsOf(root));
  kernel.alone |= root.getDefiningOp()->hasTrait<nn::OwnKernel>();
  kernel.leaves.clear();
  for (Value each : kernel.roots)
    for (Value leaf : leavesOf(each, &kernel))
      kernel.leaves.insert(leaf);
}

void Fuser::formKernels() {
  kernels.clear();
  kernelOf.clear();
  dependencies.clear();
  Operation *lastCollective = nullptr;
  for (Operation &op : block) {
    KernelSet before;
    // A kernel must not make a collective wait for one that stands behind it.
    if (op.hasTrait<nn::Collective>()) {
      if (lastCollective)
        before |= dependencies[lastCollective];
      lastCollective = &op;
    }
    for (Value operand : op.getOperands())
      if (Operation *maker = operand.getDefiningOp())
        before |= dependencies[maker];
    before.calls |= !isFusible(&op) && !isPlacedConcat(&op) && !isa<nn::ReadOp>(op);
    dependencies[&op] = std::move(before);
    if (op.getNumResults() != 1 || !made.contains(op.getResult(0)) || op.use_empty())
      continue;
    Value root = op.getResult(0);
    SetVector<Value> leaves = leavesOf(root, nullptr);
    // The kernels that the root needs come first, then the latest others.
    SmallVector<unsigned> candidates;
    for (Value leaf : leaves)
      if (auto found = kernelOf.find(source(leaf));
          found != kernelOf.end() && !llvm::is_contained(candidates, found->second))
        candidates.push_back(found->second);
    llvm::sort(candidates, std::greater<>());
    for (unsigned back = 0; back < 48 && back < kernels.size(); ++back)
      if (unsigned number = kernels.size() - 1 - back; !llvm::is_contained(candidates, number))
        candidates.push_back(number);
    int chosen = -1;
    for (unsigned number : candidates)
      if (fits(number, root, leaves.getArrayRef())) {
        chosen = number;
        break;
      }
    if (chosen < 0) {
      chosen = kernels.size();
      kernels.emplace_back();
      kernels.back().late = late.contains(&op);
    }
    add(chosen, root);
    updateDependencies(chosen, leaves.getArrayRef());
    KernelSet &own = dependencies[&op];
    own |= kernels[chosen].needs;
    own.set(chosen);
  }
}

nn::KernelKind kindOf(Block &body) {
  nn::KernelKind kind = nn::KernelKind::Map;
  body.walk([&](Operation *op) {
    if (isa<nn::AugmentOp>(op))
      kind = nn::KernelKind::Augment;
    else if (isa<nn::ScatterRowsOp, nn::EnqueueOp>(op))
      kind = nn::KernelKind::Scatter;
    else if (isa<nn::SegmentSumOp, nn::SegmentBroadcastOp>(op))
      kind = nn::KernelKind::Segment;
    else if (auto reduce = dyn_cast<nn::ReduceOp>(op);
             reduce && (kind == nn::KernelKind::Map || kind == nn::KernelKind::Row))
      kind = reduceLoopsOf(reduce)->inner == 1 ? nn::KernelKind::Row : nn::KernelKind::Column;
    else if (isa<nn::GatherRowsOp>(op) && kind == nn::KernelKind::Map)
      kind = nn::KernelKind::Gather;
    else if (isa<nn::RandomOp>(op) && kind == nn::KernelKind::Map)
      kind = nn::KernelKind::Random;
  });
  return kind;
}

/// The made values that someone outside of their kernels reads; the others need no buffer.
llvm::DenseSet<Value> Fuser::neededValues(ArrayRef<llvm::DenseSet<Value>> again) const {
  llvm::DenseSet<Value> needed;
  for (Operation &op : block)
    if (!isFusible(&op))
      for (Value operand : op.getOperands())
        needed.insert(source(operand));
  for (bool changed = true; changed;) {
    changed = false;
    // Readers mostly come later: backwards, one sweep finds nearly all.
    for (auto [kernel, recomputed] :
         llvm::zip_equal(llvm::reverse(kernels), llvm::reverse(again))) {
      SetVector<Value> reached;
      for (Value root : kernel.roots)
        if (needed.contains(root))
          reached.insert(root);
      for (size_t i = 0; i < reached.size(); ++i)
        for (Value operand : reached[i].getDefiningOp()->getOperands()) {
          Value bytes = source(operand);
          if (!isMade(operand) || llvm::is_contained(kernel.roots, bytes) ||
              recomputed.contains(bytes))
            reached.insert(operand);
          else
            changed |= needed.insert(bytes).second;
        }
    }
  }
  return needed;
}

LogicalResult Fuser::emit() {
  std::vector<llvm::DenseSet<Value>> again;
  for (const Kernel &kernel : kernels)
    again.push_back(cheaperAgain(kernel));
  llvm::DenseSet<Value> needed = neededValues(again);
  SmallVector<std::pair<Value, Value>> results;
  for (auto [kernel, recomputed] : llvm::zip_equal(kernels, again)) {
    SmallVector<Value> yields;
    for (Value root : kernel.roots)
      if (needed.contains(root))
        yields.push_back(root);
    if (yields.empty())
      continue;
    SmallVector<Value> inputs;
    std::unique_ptr<Block> body = makeBody(kernel.roots, yields, inputs, recomputed);
    SmallVector<Type> types;
    SmallVector<Location> locations;
    for (Value value : yields) {
      types.push_back(value.getType());
      locations.push_back(value.getLoc());
    }
    OpBuilder builder(yields.back().getDefiningOp());
    auto fused = nn::FusedOp::create(builder, FusedLoc::get(builder.getContext(), locations), types,
                                     kindOf(*body), inputs);
    fused.getBody().push_back(body.release());
    if (fused.getKind() != nn::KernelKind::Augment &&
        failed(plan::buildKernelForm(fused.getBody().front())))
      return failure();
    for (auto [value, result] : llvm::zip_equal(yields, fused.getResults()))
      results.push_back({value, result});
  }
  // Last, since other kernels are made from the operations as they were; sorting will find those
  // unused.
  for (auto [value, result] : results)
    value.replaceAllUsesWith(result);
  return success();
}

/// Erases what nobody reads any more, and puts kernels behind all that they read.
void Fuser::sortOperations() {
  for (bool changed = true; changed;) {
    changed = false;
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (op.use_empty() && isMemoryEffectFree(&op) && !op.hasTrait<OpTrait::IsTerminator>()) {
        op.erase();
        changed = true;
      }
  }
  // Program order wherever it is possible: an operation that is too early waits for the last of its
  // operands, a collective also for the one before it.
  llvm::DenseMap<Operation *, Operation *> collectiveBefore;
  Operation *lastCollective = nullptr;
  for (Operation &op : block)
    if (op.hasTrait<nn::Collective>())
      collectiveBefore[&op] = std::exchange(lastCollective, &op);
  llvm::DenseSet<Operation *> placed;
  SmallVector<Operation *> sequence;
  std::function<void(Operation *)> place = [&](Operation *op) {
    if (!placed.insert(op).second)
      return;
    if (Operation *collective = collectiveBefore.lookup(op))
      place(collective);
    for (Value operand : op->getOperands())
      if (Operation *maker = operand.getDefiningOp())
        place(maker);
    sequence.push_back(op);
  };
  // States are read first, also where a kernel needs none of them.
  for (Operation &op : block)
    if (isa<nn::ReadOp>(op))
      place(&op);
  for (Operation &op : block)
    place(&op);
  for (Operation *op : sequence)
    op->moveBefore(&block, block.end());
}

LogicalResult Fuser::run() {
  findForced();
  for (int round = 0; round < 3; ++round) {
    decide();
    formKernels();
  }
  if (failed(emit()))
    return failure();
  sortOperations();
  return success();
}

struct Fuse : impl::FuseBase<Fuse> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    FailureOr<plan::Machine> machine = plan::machineOf(function);
    if (failed(machine))
      return signalPassFailure();
    prepareReductions(function, *machine);
    if (failed(Fuser(function.getBody().front(), *machine).run()))
      signalPassFailure();
  }
};

} // namespace
} // namespace doppel
