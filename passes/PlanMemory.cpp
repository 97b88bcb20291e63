// Gives every allocation its bytes in the transient arena. Two allocations share bytes only if no
// instruction lies in both their lives, or if one dies in the element-wise launch that makes the
// other. After this pass there are no plan.alloc and no plan.view.
#include "passes/Passes.h"
#include "passes/PlanEffects.h"

#include <map>
#include <tuple>

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_PLANMEMORY
#include "passes/Passes.h.inc"

namespace {

/// Allocations that follow each other in one place, from the first write to the last use.
struct MemoryBlock {
  int64_t bytes = 0;
  unsigned first = 0, last = 0; ///< instructions, both included
  int64_t offset = -1;

  bool meets(const MemoryBlock &other) const { return first <= other.last && other.first <= last; }
  uint64_t cost() const { return uint64_t(bytes) * (last - first + 1); }
};

/// Puts the blocks, in the order given, to the lowest offset where each fits best: in the smallest
/// gap between the blocks that live at the same time. Returns the bytes needed.
int64_t assignOffsets(MutableArrayRef<MemoryBlock> blocks, ArrayRef<unsigned> order) {
  int64_t peak = 0;
  std::vector<const MemoryBlock *> placed; // by offset
  for (unsigned number : order) {
    MemoryBlock &block = blocks[number];
    int64_t best = -1, bestGap = std::numeric_limits<int64_t>::max(), end = 0;
    for (const MemoryBlock *other : placed) {
      if (!block.meets(*other))
        continue;
      int64_t gap = other->offset - end;
      if (gap >= block.bytes && gap < bestGap) {
        best = end;
        bestGap = gap;
      }
      end = std::max(end, other->offset + other->bytes);
    }
    block.offset = best >= 0 ? best : end;
    peak = std::max(peak, block.offset + block.bytes);
    auto place = llvm::upper_bound(placed, &block, [](const MemoryBlock *a, const MemoryBlock *b) {
      return a->offset < b->offset;
    });
    placed.insert(place, &block);
  }
  return peak;
}

class FunctionPlanner {
public:
  FunctionPlanner(plan::FuncOp function, KernelAliasing &aliasing)
      : body(function.getBody().front()), aliasing(aliasing) {}

  /// Returns the bytes of the transient arena that the function needs.
  int64_t run(bool reuse);

private:
  void findLives();
  void shareInPlace();
  bool takesOver(plan::LaunchOp launch, unsigned position, unsigned output);
  unsigned find(unsigned block) {
    while (leader[block] != block)
      block = leader[block] = leader[leader[block]];
    return block;
  }
  void rewrite();

  Block &body;
  KernelAliasing &aliasing;
  SmallVector<plan::AllocOp> allocations;
  DenseMap<const void *, unsigned> numbers; ///< by root
  SmallVector<MemoryBlock> blocks; ///< by number of the allocation; those of a leader count
  SmallVector<unsigned> leader;
};

void FunctionPlanner::findLives() {
  for (auto allocation : body.getOps<plan::AllocOp>()) {
    numbers[allocation] = allocations.size();
    allocations.push_back(allocation);
    leader.push_back(leader.size());
    MemoryBlock block;
    block.bytes = plan::alignUp(plan::bytesOf(allocation.getType()));
    block.first = std::numeric_limits<unsigned>::max();
    blocks.push_back(block);
  }
  unsigned position = 0;
  for (Operation &op : body) {
    auto instruction = dyn_cast<plan::Instruction>(op);
    if (!instruction)
      continue;
    SmallVector<Value> touched = instruction.getReads();
    llvm::append_range(touched, instruction.getWrites());
    for (Value value : touched)
      if (auto found = numbers.find(rangeOf(value).root); found != numbers.end()) {
        MemoryBlock &block = blocks[found->second];
        block.first = std::min(block.first, position);
        block.last = std::max(block.last, position);
      }
    ++position;
  }
  // The host reads outputs after the last instruction.
  for (auto output : body.getOps<plan::OutputOp>())
    if (auto found = numbers.find(rangeOf(output.getBuffer()).root); found != numbers.end())
      blocks[found->second].last = position;
}

/// Joins the output's allocation with that of an input that dies here, if the kernel may write over
/// it.
bool FunctionPlanner::takesOver(plan::LaunchOp launch, unsigned position, unsigned output) {
  Value made = launch.getOutputs()[output];
  auto number = numbers.find(made.getDefiningOp());
  if (number == numbers.end() || blocks[number->second].first != position)
    return false;
  for (Value input : launch.getInputs()) {
    MemoryRange read = rangeOf(input);
    auto dying = numbers.find(read.root);
    if (dying == numbers.end() || read.begin != 0)
      continue;
    unsigned from = find(dying->second);
    if (from == number->second || blocks[from].last != position ||
        blocks[from].bytes != blocks[number->second].bytes)
      continue;
    // No other operand may touch these bytes, unless it, too, is read in the same element-wise way.
    bool allowed = true;
    for (auto [i, operand] : llvm::enumerate(launch.getInputs())) {
      auto other = numbers.find(rangeOf(operand).root);
      if (other == numbers.end() || find(other->second) != from)
        continue;
      allowed &= rangeOf(operand).begin == 0 &&
                 plan::bytesOf(operand.getType()) == plan::bytesOf(made.getType()) &&
                 aliasing.mayShare(launch, i, output);
    }
    for (auto [o, operand] : llvm::enumerate(launch.getOutputs())) {
      auto other = numbers.find(rangeOf(operand).root);
      allowed &= o == output || other == numbers.end() || find(other->second) != from;
    }
    if (!allowed)
      continue;
    unsigned to = number->second;
    leader[to] = from;
    blocks[from].last = blocks[to].last;
    return true;
  }
  return false;
}

void FunctionPlanner::shareInPlace() {
  unsigned position = 0;
  for (Operation &op : body) {
    if (!isa<plan::Instruction>(op))
      continue;
    if (auto launch = dyn_cast<plan::LaunchOp>(op))
      for (unsigned output = 0; output < launch.getOutputs().size(); ++output)
        takesOver(launch, position, output);
    ++position;
  }
}

int64_t FunctionPlanner::run(bool reuse) {
  findLives();
  if (reuse)
    shareInPlace();
  SmallVector<unsigned> order;
  for (unsigned number = 0; number < blocks.size(); ++number) {
    bool used = blocks[number].first != std::numeric_limits<unsigned>::max();
    if (leader[number] == number && used)
      order.push_back(number);
    if (!reuse) {
      blocks[number].first = 0;
      blocks[number].last = std::numeric_limits<unsigned>::max();
    }
  }

  auto bySize = [&](unsigned a, unsigned b) { return blocks[a].bytes > blocks[b].bytes; };
  auto byCost = [&](unsigned a, unsigned b) { return blocks[a].cost() > blocks[b].cost(); };
  auto byStart = [&](unsigned a, unsigned b) { return blocks[a].first < blocks[b].first; };
  int64_t peak = std::numeric_limits<int64_t>::max();
  SmallVector<MemoryBlock> best;
  auto attempt = [&](auto less) {
    SmallVector<unsigned> sorted = order;
    llvm::stable_sort(sorted, less);
    SmallVector<MemoryBlock> trial = blocks;
    int64_t bytes = assignOffsets(trial, sorted);
    if (bytes < peak) {
      peak = bytes;
      best = std::move(trial);
    }
  };
  attempt(bySize);
  if (reuse) {
    attempt(byCost);
    attempt(byStart);
  }
  blocks = std::move(best);
  rewrite();
  return peak;
}

/// Every view and allocation becomes a buffer; equal buffers become one.
void FunctionPlanner::rewrite() {
  std::map<std::tuple<const void *, int64_t, const void *, const void *>, plan::BufferOp> known;
  SmallVector<Operation *> definitions;
  OpBuilder builder = OpBuilder::atBlockBegin(&body);
  for (Operation &op : body)
    if (!isa<plan::Instruction>(op))
      definitions.push_back(&op);
  for (Operation *op : definitions) {
    Value buffer = op->getResult(0);
    auto isInstruction = [](Operation *user) { return isa<plan::Instruction>(user); };
    if (llvm::none_of(buffer.getUsers(), isInstruction))
      continue;
    MemoryRange range = rangeOf(buffer);
    auto arena = StringAttr::get(op->getContext(), plan::transientArena);
    IntegerAttr storage;
    if (auto found = numbers.find(range.root); found != numbers.end()) {
      storage = builder.getI64IntegerAttr(found->second);
      range.begin += blocks[find(found->second)].offset;
    } else {
      arena = StringAttr::getFromOpaquePointer(range.root);
      storage = bufferOf(buffer).getStorageAttr();
    }
    plan::BufferOp &placed =
        known[{arena.getAsOpaquePointer(), range.begin, storage.getAsOpaquePointer(),
               buffer.getType().getAsOpaquePointer()}];
    if (!placed)
      placed =
          plan::BufferOp::create(builder, op->getLoc(), cast<plan::BufferType>(buffer.getType()),
                                 arena.getValue(), range.begin, storage);
    // Views of this value ask for its range later: they keep the old definition until all have been
    // seen.
    buffer.replaceUsesWithIf(placed, [&](OpOperand &use) { return isInstruction(use.getOwner()); });
  }
  for (Operation *op : llvm::reverse(definitions))
    op->erase();
}

struct PlanMemory : impl::PlanMemoryBase<PlanMemory> {
  using PlanMemoryBase::PlanMemoryBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto arena = module.lookupSymbol<plan::ArenaOp>(plan::transientArena);
    if (!arena) {
      module.emitError() << "a plan needs an arena @" << plan::transientArena;
      return signalPassFailure();
    }
    KernelAliasing aliasing(module);
    int64_t bytes = arena.getBytes();
    for (auto function : module.getOps<plan::FuncOp>())
      bytes = std::max(bytes, FunctionPlanner(function, aliasing).run(reuse));
    arena.setBytes(plan::alignUp(bytes));
  }
};

} // namespace
} // namespace doppel
