// Takes away the copies that place-program made wherever a value got another place. A copy a -> b
// goes in one of two ways:
//
//   forward   b is read instead of a: nobody writes the bytes of `a` while `b` is in use
//   backward  whoever writes `a` writes `b`: nobody reads or writes the bytes of `b` between the
//             first write of `a` and the copy, nobody writes them afterwards while `a` is in use,
//             and `a` is complete at the copy
//
// The value that goes is always a whole allocation, and all its views with it. A backward step may
// meet the old value of `b` in the very launch that writes `a`; an element-wise kernel may then
// update in place (KernelAliasing::mayShare). States are written behind the commit point alone, and
// by kernels and copies alone, which a device can hold back one by one: what was made before it, or
// by a library or other ranks, stays a copy.
#include "passes/Passes.h"
#include "passes/PlanEffects.h"

#include <algorithm>

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_ELIDECOPIES
#include "passes/Passes.h.inc"

namespace {

/// One instruction's touch of some bytes.
struct Access {
  unsigned position;
  Operation *op;
  MemoryRange range;
  bool writes;
  unsigned number; ///< of the operand among the instruction's reads or writes
};

class FunctionElider {
public:
  FunctionElider(plan::FuncOp function, KernelAliasing &aliasing)
      : body(function.getBody().front()), aliasing(aliasing) {}

  /// Returns the number of copies taken away.
  unsigned run();

private:
  void index();
  bool readThrough(plan::CopyOp copy);
  bool mayWriteState(const Access &access);
  bool writeThrough(plan::CopyOp copy);
  bool sharesAt(plan::LaunchOp launch, const Access &read, const MemoryRange &source,
                const MemoryRange &target);
  void replace(plan::CopyOp copy, plan::AllocOp gone, const MemoryRange &place, Value placeBuffer);
  void move(Operation *copy, const void *gone, const MemoryRange &place);

  ArrayRef<Access> accessesOf(const void *root) { return accesses[root]; }

  Block &body;
  KernelAliasing &aliasing;
  DenseMap<const void *, std::vector<Access>> accesses; ///< by root, in order
  DenseMap<Operation *, unsigned> positions;
  std::optional<unsigned> commit; ///< its position
};

void FunctionElider::index() {
  unsigned position = 0;
  for (Operation &op : body) {
    auto instruction = dyn_cast<plan::Instruction>(op);
    if (!instruction)
      continue;
    positions[&op] = position;
    if (isa<plan::CommitOp>(op))
      commit = position;
    for (auto [number, value] : llvm::enumerate(instruction.getReads())) {
      MemoryRange range = rangeOf(value);
      accesses[range.root].push_back({position, &op, range, false, unsigned(number)});
    }
    for (auto [number, value] : llvm::enumerate(instruction.getWrites())) {
      MemoryRange range = rangeOf(value);
      accesses[range.root].push_back({position, &op, range, true, unsigned(number)});
    }
    ++position;
  }
}

/// The accesses of `gone` become accesses of `place`; those of the copy are no more.
void FunctionElider::move(Operation *copy, const void *gone, const MemoryRange &place) {
  auto isCopy = [&](const Access &access) { return access.op == copy; };
  std::vector<Access> moved = std::move(accesses[gone]);
  accesses.erase(gone);
  for (Access &access : moved)
    access.range = {place.root, access.range.begin + place.begin, access.range.end + place.begin};
  std::vector<Access> &there = accesses[place.root];
  size_t before = there.size();
  llvm::append_range(there, moved);
  std::inplace_merge(there.begin(), there.begin() + before, there.end(),
                     [](const Access &a, const Access &b) { return a.position < b.position; });
  llvm::erase_if(there, isCopy);
  positions.erase(copy);
}

/// All uses of `gone` and its views are uses of the same bytes from `place` on; the copy between
/// them goes.
void FunctionElider::replace(plan::CopyOp copy, plan::AllocOp gone, const MemoryRange &place,
                             Value placeBuffer) {
  move(copy, rangeOf(gone).root, place);
  copy.erase();
  OpBuilder builder = OpBuilder::atBlockBegin(&body);
  Value part;
  while (auto view = placeBuffer.getDefiningOp<plan::ViewOp>())
    placeBuffer = view.getSource();
  if (auto buffer = placeBuffer.getDefiningOp<plan::BufferOp>()) {
    part = plan::BufferOp::create(builder, gone.getLoc(), gone.getType(), buffer.getArena(),
                                  place.begin, buffer.getStorageAttr());
  } else {
    Operation *root = placeBuffer.getDefiningOp();
    root->moveBefore(&body, body.begin());
    builder.setInsertionPointAfter(root);
    part = plan::ViewOp::create(builder, gone.getLoc(), gone.getType(), placeBuffer, place.begin);
  }
  gone.getResult().replaceAllUsesWith(part);
  gone.erase();
}

bool FunctionElider::readThrough(plan::CopyOp copy) {
  plan::AllocOp gone = allocationOf(copy.getTarget());
  MemoryRange source = rangeOf(copy.getSource()), target = rangeOf(copy.getTarget());
  if (!gone || source.root == target.root || target.begin != 0 ||
      target.bytes() != plan::bytesOf(gone.getType()) || source.begin % plan::alignment)
    return false;
  unsigned position = positions.at(copy), last = position;
  for (const Access &access : accessesOf(target.root)) {
    if (access.op == copy)
      continue;
    if (access.writes || access.position < position)
      return false;
    last = std::max(last, access.position);
  }
  for (const Access &access : accessesOf(source.root))
    if (access.writes && access.position > position && access.position <= last &&
        access.range.overlaps(source))
      return false;
  replace(copy, gone, source, copy.getSource());
  return true;
}

/// Whether the launch may write its part of `source` to the same part of `target`, although it
/// reads bytes of `target` by `read`.
bool FunctionElider::sharesAt(plan::LaunchOp launch, const Access &read, const MemoryRange &source,
                              const MemoryRange &target) {
  for (auto [number, output] : llvm::enumerate(launch.getOutputs())) {
    MemoryRange written = rangeOf(output);
    if (written.root != source.root)
      continue;
    MemoryRange moved{target.root, written.begin + target.begin, written.end + target.begin};
    if (!moved.overlaps(read.range))
      continue;
    if (moved != read.range || !aliasing.mayShare(launch, read.number, number))
      return false;
  }
  return true;
}

bool FunctionElider::mayWriteState(const Access &access) {
  return commit && access.position > *commit && isa<plan::LaunchOp, plan::CopyOp>(access.op);
}

bool FunctionElider::writeThrough(plan::CopyOp copy) {
  plan::AllocOp gone = allocationOf(copy.getSource());
  MemoryRange source = rangeOf(copy.getSource()), target = rangeOf(copy.getTarget());
  if (!gone || source.root == target.root || source.begin != 0 ||
      source.bytes() != plan::bytesOf(gone.getType()) || target.begin % plan::alignment)
    return false;
  unsigned position = positions.at(copy), first = position, last = position;
  plan::BufferOp placed = bufferOf(copy.getTarget());
  bool toState = placed && placed.getArena() == plan::stateArena;
  DenseSet<Operation *> writers;
  for (const Access &access : accessesOf(source.root)) {
    if (access.writes && (access.position > position || (toState && !mayWriteState(access))))
      return false;
    if (access.writes) {
      first = std::min(first, access.position);
      writers.insert(access.op);
    }
    last = std::max(last, access.position);
  }
  for (const Access &access : accessesOf(target.root)) {
    if (access.op == copy || !access.range.overlaps(target))
      continue;
    if (access.position >= first && access.position < position) {
      auto launch = dyn_cast<plan::LaunchOp>(access.op);
      if (access.writes || !launch || !writers.contains(launch) ||
          !sharesAt(launch, access, source, target))
        return false;
    }
    if (access.writes && access.position > position && access.position <= last)
      return false;
  }
  replace(copy, gone, target, copy.getTarget());
  return true;
}

unsigned FunctionElider::run() {
  unsigned elided = 0;
  bool changed = true;
  index();
  while (changed) {
    changed = false;
    for (auto copy : llvm::make_early_inc_range(body.getOps<plan::CopyOp>()))
      if (readThrough(copy) || writeThrough(copy)) {
        ++elided;
        changed = true;
      }
  }
  // What no instruction uses any more, uses first.
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body)))
    if (!isa<plan::Instruction>(op) && op.use_empty())
      op.erase();
  return elided;
}

struct ElideCopies : impl::ElideCopiesBase<ElideCopies> {
  void runOnOperation() override {
    KernelAliasing aliasing(getOperation());
    for (auto function : getOperation().getOps<plan::FuncOp>()) {
      elided += FunctionElider(function, aliasing).run();
      kept += llvm::range_size(function.getBody().front().getOps<plan::CopyOp>());
    }
  }
};

} // namespace
} // namespace doppel
