// Checks a plan's memory without knowing how it was made: walks each function once and keeps for
// each byte which storage wrote it last.
#include "passes/Passes.h"
#include "passes/PlanEffects.h"

#include <map>

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_VERIFYMEMORY
#include "passes/Passes.h.inc"

namespace {

/// Who wrote each byte of the transient arena last, as disjoint ranges.
class Writers {
public:
  void write(int64_t begin, int64_t end, int64_t storage, Operation *by) {
    cut(begin);
    cut(end);
    ranges.erase(ranges.lower_bound(begin), ranges.lower_bound(end));
    ranges[begin] = {end, storage, by};
  }

  struct Range {
    int64_t end;
    int64_t storage;
    Operation *by;
  };
  /// The first byte of [begin, end) that `storage` did not write last, and who did (null if no
  /// one).
  std::optional<std::pair<int64_t, const Range *>> foreign(int64_t begin, int64_t end,
                                                           int64_t storage) const {
    int64_t at = begin;
    auto range = ranges.upper_bound(begin);
    if (range != ranges.begin() && std::prev(range)->second.end > begin)
      --range;
    for (; at < end; ++range) {
      if (range == ranges.end() || range->first > at)
        return {{at, nullptr}};
      if (range->second.storage != storage)
        return {{at, &range->second}};
      at = range->second.end;
    }
    return std::nullopt;
  }

private:
  void cut(int64_t at) {
    auto range = ranges.upper_bound(at);
    if (range == ranges.begin())
      return;
    --range;
    if (range->first < at && range->second.end > at) {
      ranges[at] = range->second;
      range->second.end = at;
    }
  }
  std::map<int64_t, Range> ranges; ///< by first byte
};

class FunctionChecker {
public:
  FunctionChecker(plan::FuncOp function, KernelAliasing &aliasing)
      : function(function), aliasing(aliasing) {}

  LogicalResult check() {
    for (Operation &op : function.getBody().front()) {
      if (isa<plan::AllocOp, plan::ViewOp>(op))
        return op.emitOpError("has no place in an arena yet");
      if (!isInstruction(&op))
        continue;
      Effects effects = effectsOf(&op);
      for (Value value : effects.reads)
        if (failed(checkRead(&op, value)))
          return failure();
      if (failed(checkOverlaps(&op, effects)))
        return failure();
      for (Value value : effects.writes)
        if (auto buffer = transient(value)) {
          MemoryRange range = rangeOf(value);
          writers.write(range.begin, range.end, buffer.getStorage().value_or(-1), &op);
        }
    }
    return success();
  }

private:
  static plan::BufferOp transient(Value value) {
    auto buffer = value.getDefiningOp<plan::BufferOp>();
    return buffer.getArena() == plan::transientArena ? buffer : plan::BufferOp();
  }

  LogicalResult checkRead(Operation *op, Value value) {
    auto buffer = transient(value);
    if (!buffer)
      return success();
    MemoryRange range = rangeOf(value);
    int64_t storage = buffer.getStorage().value_or(-1);
    auto foreign = writers.foreign(range.begin, range.end, storage);
    if (!foreign)
      return success();
    auto [at, writer] = *foreign;
    auto diagnostic = op->emitOpError() << "in @" << function.getSymName() << " reads byte " << at
                                        << " of the transient arena for storage " << storage;
    if (writer)
      diagnostic.attachNote(writer->by->getLoc())
          << "storage " << writer->storage << " was written over it here";
    else
      diagnostic << ", which no instruction has written";
    return diagnostic;
  }

  /// Outputs may lie on nothing that the instruction touches, but on an input that its kernel reads
  /// element by element.
  LogicalResult checkOverlaps(Operation *op, const Effects &effects) {
    for (auto [o, output] : llvm::enumerate(effects.writes)) {
      MemoryRange written = rangeOf(output);
      for (Value other : ArrayRef(effects.writes).take_front(o))
        if (rangeOf(other).overlaps(written))
          return op->emitOpError()
                 << "in @" << function.getSymName() << " has two outputs that overlap";
      for (auto [i, input] : llvm::enumerate(effects.reads)) {
        MemoryRange read = rangeOf(input);
        if (!read.overlaps(written))
          continue;
        auto launch = dyn_cast<plan::LaunchOp>(op);
        if (!launch || read != written || !aliasing.mayShare(launch, i, o))
          return op->emitOpError() << "in @" << function.getSymName() << " writes output " << o
                                   << " over input " << i << ", which it may not share";
      }
    }
    return success();
  }

  plan::FuncOp function;
  KernelAliasing &aliasing;
  Writers writers;
};

LogicalResult checkStates(ModuleOp module) {
  auto states = llvm::to_vector(module.getOps<plan::StateOp>());
  llvm::stable_sort(states, [](plan::StateOp a, plan::StateOp b) {
    return int64_t(a.getOffset()) < int64_t(b.getOffset());
  });
  auto arena = module.lookupSymbol<plan::ArenaOp>(plan::stateArena);
  int64_t end = 0;
  plan::StateOp before;
  for (plan::StateOp state : states) {
    int64_t offset = state.getOffset();
    if (offset % plan::alignment)
      return state.emitOpError() << "begins at byte " << offset << ", which is no multiple of "
                                 << plan::alignment;
    if (offset < end) {
      auto diagnostic = state.emitOpError()
                        << "begins at byte " << offset << ", inside @" << before.getSymName();
      diagnostic.attachNote(before.getLoc()) << "which ends at byte " << end;
      return diagnostic;
    }
    before = state;
    end = offset + plan::bytesOf(state.getType());
  }
  if (!states.empty() && (!arena || end > int64_t(arena.getBytes())))
    return before.emitOpError("ends behind the state arena");
  return success();
}

struct VerifyMemory : impl::VerifyMemoryBase<VerifyMemory> {
  void runOnOperation() override {
    markAllAnalysesPreserved();
    KernelAliasing aliasing(getOperation());
    if (failed(checkStates(getOperation())))
      return signalPassFailure();
    for (auto function : getOperation().getOps<plan::FuncOp>())
      if (failed(FunctionChecker(function, aliasing).check()))
        return signalPassFailure();
  }
};

} // namespace
} // namespace doppel
