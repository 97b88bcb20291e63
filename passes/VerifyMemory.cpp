// Checks a plan's memory without knowing how it was made: walks each function once and keeps for
// each byte of every arena which storage wrote it last.
#include "passes/Passes.h"
#include "passes/VerifySharing.h"

#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringMap.h"

#include <map>

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_VERIFYMEMORY
#include "passes/Passes.h.inc"

namespace {

/// The value that bytes of @state and @io hold when a function begins, as the number of a storage.
constexpr int64_t before = -1;
/// What the output of a collective holds from its start to its wait.
constexpr int64_t underWay = -2;

/// Who wrote each byte of an arena last, as disjoint ranges.
class Writers {
public:
  struct Range {
    int64_t end;
    int64_t storage;
    Operation *by; ///< null for what was there before
  };

  void write(int64_t begin, int64_t end, int64_t storage, Operation *by) {
    if (begin == end)
      return;
    cut(begin);
    cut(end);
    ranges.erase(ranges.lower_bound(begin), ranges.lower_bound(end));
    ranges[begin] = {end, storage, by};
  }

  /// The first byte of [begin, end) for which `isWrong(range)`, or that no one has written (null).
  std::optional<std::pair<int64_t, const Range *>>
  find(int64_t begin, int64_t end, llvm::function_ref<bool(const Range &)> isWrong) const {
    int64_t at = begin;
    auto range = ranges.upper_bound(begin);
    if (range != ranges.begin() && std::prev(range)->second.end > begin)
      --range;
    for (; at < end; ++range) {
      if (range == ranges.end() || range->first > at)
        return {{at, nullptr}};
      if (isWrong(range->second))
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

/// The bytes of a placed buffer and the value that it stands for.
struct Place {
  explicit Place(Value value) {
    auto buffer = value.getDefiningOp<plan::BufferOp>();
    arena = buffer.getArena();
    begin = buffer.getOffset();
    end = begin + plan::bytesOf(buffer.getType());
    storage = buffer.getStorage().value_or(before);
  }
  bool overlaps(const Place &other) const {
    return arena == other.arena && begin < other.end && other.begin < end;
  }
  bool sameBytes(const Place &other) const {
    return arena == other.arena && begin == other.begin && end == other.end;
  }

  StringRef arena;
  int64_t begin, end, storage;
};

class FunctionChecker {
public:
  FunctionChecker(plan::FuncOp function, ArrayRef<plan::StateOp> states, SymbolTable &symbols)
      : function(function), states(states), symbols(symbols) {
    // What the host and the steps before have left there.
    for (auto arena : function->getParentOfType<ModuleOp>().getOps<plan::ArenaOp>())
      if (arena.getKind() != plan::ArenaKind::Transient)
        arenas[arena.getSymName()].write(0, arena.getBytes(), before, nullptr);
  }

  LogicalResult check();

private:
  LogicalResult checkRead(Operation *op, const Place &place);
  LogicalResult checkWrite(Operation *op, const Place &place);
  LogicalResult checkWait(plan::CollectiveWaitOp wait);
  LogicalResult checkOverlaps(plan::Instruction op);
  LogicalResult checkCommit(plan::Instruction op);
  LogicalResult checkStatesAtEnd();
  InFlightDiagnostic report(Operation *op) {
    return op->emitOpError() << "in @" << function.getSymName() << " ";
  }

  plan::FuncOp function;
  ArrayRef<plan::StateOp> states;
  SymbolTable &symbols;
  llvm::StringMap<Writers> arenas;
  SmallVector<plan::CollectiveStartOp> starts; ///< by order
  plan::CommitOp commit;                       ///< null before it
};

std::string nameOf(int64_t storage) {
  if (storage == underWay)
    return "a collective under way";
  return storage == before ? "what was there before" : "storage " + std::to_string(storage);
}

LogicalResult FunctionChecker::check() {
  for (Operation &op : function.getBody().front()) {
    if (isa<plan::AllocOp, plan::ViewOp>(op))
      return op.emitOpError("has no place in an arena yet");
    auto instruction = dyn_cast<plan::Instruction>(op);
    if (!instruction || isa<plan::OutputOp>(op))
      continue;
    for (Value value : instruction.getReads())
      if (failed(checkRead(&op, Place(value))))
        return failure();
    if (failed(checkOverlaps(instruction)) || failed(checkCommit(instruction)))
      return failure();
    if (auto wait = dyn_cast<plan::CollectiveWaitOp>(op); wait && failed(checkWait(wait)))
      return failure();
    for (Value value : instruction.getWrites())
      if (failed(checkWrite(&op, Place(value))))
        return failure();
    if (auto start = dyn_cast<plan::CollectiveStartOp>(op)) {
      Place output(start.getOutput());
      arenas[output.arena].write(output.begin, output.end, underWay, start);
      starts.push_back(start);
    }
  }
  // The host reads outputs when all is done, wherever they are named.
  for (auto output : function.getBody().getOps<plan::OutputOp>())
    if (failed(checkRead(output, Place(output.getBuffer()))))
      return failure();
  return checkStatesAtEnd();
}

LogicalResult FunctionChecker::checkRead(Operation *op, const Place &place) {
  auto foreign = arenas[place.arena].find(place.begin, place.end, [&](const Writers::Range &range) {
    return range.storage != place.storage;
  });
  if (!foreign)
    return success();
  auto [at, writer] = *foreign;
  auto diagnostic = report(op) << "reads byte " << at << " of the " << place.arena << " arena for "
                               << nameOf(place.storage);
  if (writer && writer->by)
    diagnostic.attachNote(writer->by->getLoc())
        << nameOf(writer->storage) << " was written over it here";
  else
    diagnostic << ", which no instruction has written";
  return diagnostic;
}

/// Since the start nobody has written the output. The input is read by the wait, too.
LogicalResult FunctionChecker::checkWait(plan::CollectiveWaitOp wait) {
  Place output(wait.getOutput());
  plan::CollectiveStartOp start = starts[wait.getOrder()];
  auto other =
      arenas[output.arena].find(output.begin, output.end, [&](const Writers::Range &range) {
        return range.storage != underWay || range.by != start;
      });
  if (!other)
    return success();
  auto diagnostic = report(wait) << "waits for byte " << other->first << " of the " << output.arena
                                 << " arena, which was written since the collective started";
  if (other->second && other->second->by)
    diagnostic.attachNote(other->second->by->getLoc()) << "here";
  return diagnostic;
}

/// What persists is written as a value of its own, once.
LogicalResult FunctionChecker::checkWrite(Operation *op, const Place &place) {
  Writers &writers = arenas[place.arena];
  auto arena = symbols.lookup<plan::ArenaOp>(place.arena);
  if (isa<plan::InputOp>(op) != (arena.getKind() == plan::ArenaKind::Io))
    return report(op) << "writes to the " << place.arena
                      << " arena: @io is the host's, all else is "
                         "the program's";
  if (arena.getKind() == plan::ArenaKind::State) {
    if (place.storage == before)
      return report(op) << "writes byte " << place.begin
                        << " of the state arena without a storage: a reader could not tell the new "
                           "value from the old one";
    if (auto other = writers.find(place.begin, place.end, [&](const Writers::Range &range) {
          return range.storage != before && range.storage != underWay &&
                 range.storage != place.storage;
        })) {
      auto diagnostic = report(op)
                        << "writes " << nameOf(place.storage) << " over byte " << other->first
                        << " of the state arena, which has its new value";
      diagnostic.attachNote(other->second->by->getLoc())
          << nameOf(other->second->storage) << " was written here";
      return diagnostic;
    }
  }
  writers.write(place.begin, place.end, place.storage, op);
  return success();
}

/// Until the commit point states are what they were; behind it nothing is checked, and only what a
/// device can hold back by itself writes them.
LogicalResult FunctionChecker::checkCommit(plan::Instruction op) {
  if (auto point = dyn_cast<plan::CommitOp>(op.getOperation())) {
    commit = point;
    return success();
  }
  auto tell = [&](StringRef what) {
    auto diagnostic = report(op) << what;
    if (commit)
      diagnostic.attachNote(commit.getLoc()) << "which is here";
    return diagnostic;
  };
  if (commit && isa<plan::CheckOp>(op))
    return tell("is behind the commit point, where states may have been written");
  for (Value value : op.getWrites()) {
    if (Place(value).arena != plan::stateArena)
      continue;
    if (!commit)
      return tell("writes the state arena before the commit point: a check could not stop the "
                  "function with its states as they were");
    if (!isa<plan::LaunchOp, plan::CopyOp>(op))
      return report(op) << "writes the state arena: only launches and copies may";
  }
  return success();
}

/// Outputs may lie on nothing that the instruction touches, but on an input that its kernel reads
/// element by element.
LogicalResult FunctionChecker::checkOverlaps(plan::Instruction op) {
  SmallVector<Value> reads = op.getReads(), writes = op.getWrites();
  for (auto [o, output] : llvm::enumerate(writes)) {
    Place written(output);
    for (Value other : ArrayRef(writes).take_front(o))
      if (Place(other).overlaps(written))
        return report(op) << "has two outputs that overlap";
    for (auto [i, input] : llvm::enumerate(reads)) {
      Place read(input);
      if (!read.overlaps(written))
        continue;
      auto launch = dyn_cast<plan::LaunchOp>(op.getOperation());
      if (!launch || !read.sameBytes(written) ||
          !mayOverwrite(symbols.lookup<plan::KernelOp>(launch.getKernel()), i, o))
        return report(op) << "writes output " << o << " over input " << i
                          << ", which it may not share";
    }
  }
  return success();
}

/// A state is left as it was, or has one new value.
LogicalResult FunctionChecker::checkStatesAtEnd() {
  const Writers &writers = arenas[plan::stateArena];
  for (plan::StateOp state : states) {
    int64_t begin = state.getOffset(), end = begin + plan::bytesOf(state.getType());
    std::optional<int64_t> storage; // of the first byte
    auto other = writers.find(begin, end, [&](const Writers::Range &range) {
      if (!storage)
        storage = range.storage;
      return range.storage != *storage;
    });
    if (!other)
      continue;
    auto diagnostic = state.emitOpError()
                      << "is half written at the end of @" << function.getSymName() << ": byte "
                      << other->first << " of the arena holds " << nameOf(other->second->storage)
                      << ", those before it " << nameOf(*storage);
    if (other->second->by)
      diagnostic.attachNote(other->second->by->getLoc()) << "written here";
    return diagnostic;
  }
  return success();
}

/// States, by offset: aligned, apart, inside the arena.
LogicalResult checkStates(ModuleOp module, SmallVectorImpl<plan::StateOp> &states) {
  states = llvm::to_vector(module.getOps<plan::StateOp>());
  llvm::stable_sort(states, [](plan::StateOp a, plan::StateOp b) {
    return int64_t(a.getOffset()) < int64_t(b.getOffset());
  });
  auto arena = module.lookupSymbol<plan::ArenaOp>(plan::stateArena);
  int64_t end = 0;
  plan::StateOp last;
  for (plan::StateOp state : states) {
    int64_t offset = state.getOffset();
    if (offset % plan::alignment)
      return state.emitOpError() << "begins at byte " << offset << ", which is no multiple of "
                                 << plan::alignment;
    if (offset < end) {
      auto diagnostic = state.emitOpError()
                        << "begins at byte " << offset << ", inside @" << last.getSymName();
      diagnostic.attachNote(last.getLoc()) << "which ends at byte " << end;
      return diagnostic;
    }
    last = state;
    end = offset + plan::bytesOf(state.getType());
  }
  if (!states.empty() && (!arena || end > int64_t(arena.getBytes())))
    return last.emitOpError("ends behind the state arena");
  return success();
}

struct VerifyMemory : impl::VerifyMemoryBase<VerifyMemory> {
  void runOnOperation() override {
    markAllAnalysesPreserved();
    SymbolTable symbols(getOperation());
    SmallVector<plan::StateOp> states;
    if (failed(checkStates(getOperation(), states)))
      return signalPassFailure();
    for (auto function : getOperation().getOps<plan::FuncOp>())
      if (failed(FunctionChecker(function, states, symbols).check()))
        return signalPassFailure();
  }
};

} // namespace
} // namespace doppel
