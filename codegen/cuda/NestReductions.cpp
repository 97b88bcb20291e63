// Nests that reduce: rows by a thread, a warp or the block; columns by tiles of threads; segments
// by the block. What is added in which order follows the shape alone.
#include "codegen/cuda/NestEmitter.h"

#include "llvm/Support/MathExtras.h"

using namespace doppel;
using namespace doppel::cuda;
using namespace doppel::plan;
using llvm::ArrayRef;
using llvm::SmallVector;
using llvm::Value;

//===- Accumulators ---------------------------------------------------------------------------===//

/// One number of the lanes of an accumulator: halves upon each other.
Value *NestEmitter::joinLanes(Value *accumulator, nn::ReduceKind kind) {
  if (!accumulator->getType()->isVectorTy())
    return accumulator;
  SmallVector<Value *> parts;
  for (uint64_t lane = 0; lane < width; ++lane)
    parts.push_back(b.CreateExtractElement(accumulator, lane));
  for (; parts.size() > 1; parts.resize(parts.size() / 2))
    for (size_t i = 0; i < parts.size() / 2; ++i)
      parts[i] = combine(kind, parts[i], parts[i + parts.size() / 2]);
  return parts[0];
}

/// All lanes of the warp get the same bits: of two values the lower lane's is the first, which
/// matters to a maximum of zeros of both signs.
Value *NestEmitter::joinWarp(Value *value, nn::ReduceKind kind) {
  llvm::Type *type = value->getType();
  bool narrow = type->isIntegerTy() && type->getIntegerBitWidth() < 32;
  for (unsigned mask = warpThreads / 2; mask > 0; mask /= 2) {
    Value *given = narrow ? b.CreateSExt(value, b.getInt32Ty()) : value;
    Value *other = gpu.shuffleXor(given, mask);
    other = narrow ? b.CreateTrunc(other, type) : other;
    Value *lower = b.CreateICmpEQ(b.CreateAnd(thread, constant(mask)), constant(0));
    value = kind == nn::ReduceKind::Sum ? combine(kind, value, other)
                                        : combine(kind, b.CreateSelect(lower, value, other),
                                                  b.CreateSelect(lower, other, value));
  }
  return value;
}

/// How an accumulator lies in shared memory, as element `number` of an array.
struct NestEmitter::Slots {
  llvm::Type *type, *stored;
  llvm::Align align;
  Value *memory;
};

NestEmitter::Slots NestEmitter::slotsFor(llvm::Type *type, int64_t count) {
  llvm::Type *stored = type->getScalarSizeInBits() < 8 ? type->getWithNewType(b.getInt8Ty()) : type;
  uint64_t bytes = stored->getScalarSizeInBits() / 8 * (type->isVectorTy() ? uint64_t(width) : 1);
  shared = std::max(shared, bytes * uint64_t(count));
  return {type, stored, llvm::Align(std::min<uint64_t>(bytes, 16)), gpu.shared()};
}

void NestEmitter::writeSlot(const Slots &slots, Value *number, Value *value) {
  b.CreateAlignedStore(slots.stored == slots.type ? value : b.CreateZExt(value, slots.stored),
                       b.CreateInBoundsGEP(slots.stored, slots.memory, number), slots.align);
}

Value *NestEmitter::readSlot(const Slots &slots, Value *number) {
  Value *loaded = b.CreateAlignedLoad(
      slots.stored, b.CreateInBoundsGEP(slots.stored, slots.memory, number), slots.align);
  return slots.stored == slots.type ? loaded : b.CreateTrunc(loaded, slots.type);
}

/// The numbers of all warps, one after the other, in every thread.
Value *NestEmitter::joinWarps(Value *value, nn::ReduceKind kind) {
  int64_t warps = machine.threads / machine.warpThreads;
  Slots slots = slotsFor(value->getType(), warps);
  Value *lane = b.CreateURem(thread, constant(machine.warpThreads)),
        *warp = b.CreateUDiv(thread, constant(machine.warpThreads));
  inBranch(b.CreateICmpEQ(lane, constant(0)), [&] { writeSlot(slots, warp, value); });
  gpu.barrier();
  Value *total = readSlot(slots, constant(0));
  for (int64_t i = 1; i < warps; ++i)
    total = combine(kind, total, readSlot(slots, constant(i)));
  gpu.barrier(); // before the next number is written
  return total;
}

/// The numbers of all threads of a tile's column, `down` rows of `across` threads: the lower half
/// upon the upper one, then again. Every thread that added all of them itself would hold the rows
/// of a whole column in registers at once.
Value *NestEmitter::joinRows(Value *value, nn::ReduceKind kind, int64_t down, int64_t across) {
  Slots slots = slotsFor(value->getType(), down * across);
  writeSlot(slots, thread, value);
  for (int64_t half = down / 2; half > 0; half /= 2) {
    gpu.barrier();
    inBranch(b.CreateICmpSLT(thread, constant(half * across)), [&] {
      Value *lower = readSlot(slots, b.CreateAdd(thread, constant(half * across)));
      writeSlot(slots, thread, combine(kind, readSlot(slots, thread), lower));
    });
  }
  gpu.barrier();
  Value *total = readSlot(slots, b.CreateURem(thread, constant(across)));
  gpu.barrier(); // before the memory is used again
  return total;
}

//===- Sweeps ---------------------------------------------------------------------------------===//

void NestEmitter::addPoint(Carried &accumulators, ArrayRef<unsigned> reductions,
                           ArrayRef<const Store *> stores) {
  for (auto [r, number] : llvm::enumerate(reductions)) {
    const Node &node = nest.nodes[number];
    auto reduce = mlir::dyn_cast<nn::ReduceOp>(node.op);
    Value *added = eval(node.operands[0], 0), *&accumulator = accumulators[r];
    if (accumulator->getType()->isVectorTy())
      added = widen(added);
    if (added->getType() != accumulator->getType())
      added = b.CreateFPExt(added, accumulator->getType());
    accumulator = combine(reduce ? reduce.getKind() : nn::ReduceKind::Sum, accumulator, added);
  }
  for (const Store *each : stores)
    store(*each, 0);
}

void NestEmitter::sweepAll(ArrayRef<unsigned> reduced, Value *first, Value *count, int64_t step,
                           Combine combined, Value *stores) {
  uint32_t reducedLoops = 0;
  for (unsigned d : reduced)
    reducedLoops |= 1u << d;
  auto atEveryPoint = [&](const Store &store) {
    return llvm::any_of(reduced, [&](unsigned d) { return store.access.strides[d] != 0; });
  };
  SmallVector<Instance, 8> own = instances;
  for (unsigned sweep = 0; sweep <= nest.sweeps; ++sweep) {
    SmallVector<unsigned> reductions;
    SmallVector<const Store *> inside;
    for (unsigned number : nest.reductions)
      if (nest.nodes[number].level == sweep + 1)
        reductions.push_back(number);
    for (const Store &store : nest.stores)
      if (atEveryPoint(store) && nest.nodes[store.node].level == sweep)
        inside.push_back(&store);
    if (reductions.empty() && inside.empty())
      continue;
    Carried accumulators;
    for (unsigned number : reductions) {
      const Node &node = nest.nodes[number];
      llvm::Type *type = accumulatorType(node);
      if (laneDim >= 0)
        type = vectors.vectorOf(type);
      accumulators.push_back(identity(mlir::dyn_cast<nn::ReduceOp>(node.op), type));
    }
    if (reduced.empty()) {
      addPoint(accumulators, reductions, inside);
    } else {
      loop(first, count, step, reducedLoops, accumulators, [&](Value *i, Carried &values) {
        if (nest.kind == NestKind::SegmentSum)
          instances.assign(1, {i});
        else
          setIndices(i, reduced);
        addPoint(values, reductions, inside);
      });
    }
    instances = own;
    for (auto [r, number] : llvm::enumerate(reductions)) {
      auto reduce = mlir::dyn_cast<nn::ReduceOp>(nest.nodes[number].op);
      Value *value = combined(accumulators[r], reduce ? reduce.getKind() : nn::ReduceKind::Sum);
      // A value that is the same in all lanes is kept as one number.
      if (!inLane(nest.nodes[number].loops) && value->getType()->isVectorTy())
        value = b.CreateExtractElement(value, uint64_t(0));
      scopes.back().known[{number, 0}] = rounded(value, nest.nodes[number]);
    }
  }
  auto storeBehind = [&] {
    for (const Store &each : nest.stores)
      if (!atEveryPoint(each))
        store(each, 0);
  };
  if (stores) {
    inBranch(stores, storeBehind, /*alone=*/true);
    return;
  }
  // The row is this thread's alone.
  scopes.push_back({scopes.back().loops});
  scopes.back().closed = true;
  storeBehind();
  scopes.pop_back();
}

//===- Rows -----------------------------------------------------------------------------------===//

/// Who makes a row of so many vectors: where a warp would have one or two loads a lane, whole rows
/// are for threads; where it would have many, rows are for the block.
NestEmitter::Team NestEmitter::teamFor(int64_t vectors) {
  constexpr int64_t mostOfThread = 4, mostOfLane = 8;
  if (vectors <= mostOfThread)
    return {1, thread, constant(0)};
  if (vectors > mostOfLane * machine.warpThreads)
    return {machine.threads, constant(0), thread};
  return {machine.warpThreads, b.CreateUDiv(thread, constant(machine.warpThreads)),
          b.CreateURem(thread, constant(machine.warpThreads))};
}

/// `count` points of the reduced loops, in steps of the width.
void NestEmitter::reduceRow(const Team &team, ArrayRef<unsigned> reduced, Value *count) {
  auto combined = [&](Value *accumulator, nn::ReduceKind kind) {
    Value *value = joinLanes(accumulator, kind);
    if (team.size > 1)
      value = joinWarp(value, kind);
    if (team.size <= machine.warpThreads)
      return value;
    return joinWarps(value, kind);
  };
  Value *isFirst = team.size > 1 ? b.CreateICmpEQ(team.lane, constant(0)) : nullptr;
  sweepAll(reduced, b.CreateMul(team.lane, constant(width)), count, team.size * width, combined,
           isFirst);
}

void NestEmitter::emitRows(Value *group) {
  SmallVector<unsigned> outer, reduced;
  uint32_t outerLoops = Node::afterReduction;
  for (auto [d, loop] : llvm::enumerate(nest.loops)) {
    (loop.role == LoopRole::Outer ? outer : reduced).push_back(d);
    if (loop.role == LoopRole::Outer)
      outerLoops |= 1u << d;
  }
  if (!reduced.empty())
    laneDim = reduced.back();
  int64_t size = nest.extent(LoopRole::Reduced);
  Team team = teamFor(size / width);
  Value *first = b.CreateMul(group, constant(nest.outerPerGroup));
  Value *last = least(b.CreateAdd(first, constant(nest.outerPerGroup)),
                      constant(nest.extent(LoopRole::Outer)));
  Carried none;
  loop(b.CreateAdd(first, team.number), last, machine.threads / team.size, outerLoops, none,
       [&](Value *row, Carried &) {
         setIndices(row, outer);
         reduceRow(team, reduced, constant(size));
       });
}

void NestEmitter::emitSegmentSum(Value *group) {
  laneDim = 1;
  SmallVector<int64_t> lengths;
  for (const Piece &each : nest.pieces)
    lengths.push_back(each.end - each.start);
  Team block = {machine.threads, constant(0), thread};
  Carried none;
  loop(group, b.CreateAdd(group, constant(1)), 1, 1u | Node::afterReduction, none,
       [&](Value *segment, Carried &) {
         index[0] = piece = segment;
         Value *length =
             b.CreateLoad(b.getInt64Ty(), b.CreateGEP(b.getInt64Ty(), table(lengths), segment));
         reduceRow(block, {1u}, length);
       });
}

//===- Columns --------------------------------------------------------------------------------===//

/// The block is a tile: its threads lie along the columns, a vector each, and the rest of them
/// along the rows, which they take in turn. Their sums meet in shared memory, half upon half.
void NestEmitter::emitColumns(Value *group) {
  SmallVector<unsigned> outer, reduced, inner;
  uint32_t outerLoops = 0, innerLoops = Node::afterReduction;
  for (auto [d, loop] : llvm::enumerate(nest.loops)) {
    (loop.role == LoopRole::Outer     ? outer
     : loop.role == LoopRole::Reduced ? reduced
                                      : inner)
        .push_back(d);
    if (loop.role == LoopRole::Outer)
      outerLoops |= 1u << d;
    else if (loop.role == LoopRole::Inner)
      innerLoops |= 1u << d;
  }
  laneDim = inner.back();
  int64_t columns = nest.extent(LoopRole::Inner), rows = nest.extent(LoopRole::Reduced);
  int64_t perGroup = std::min(nest.innerPerGroup, columns);
  int64_t across =
      std::min<int64_t>(llvm::PowerOf2Ceil(llvm::divideCeil(perGroup, width)), machine.threads);
  int64_t down = std::min<int64_t>(machine.threads / across, llvm::PowerOf2Ceil(rows));
  across = machine.threads / down;
  Value *x = b.CreateURem(thread, constant(across)), *y = b.CreateUDiv(thread, constant(across));

  Value *innerGroup = b.CreateURem(group, constant(nest.innerGroups));
  Value *first =
      b.CreateMul(b.CreateUDiv(group, constant(nest.innerGroups)), constant(nest.outerPerGroup));
  Value *last = least(b.CreateAdd(first, constant(nest.outerPerGroup)),
                      constant(nest.extent(LoopRole::Outer)));
  Value *low = b.CreateMul(innerGroup, constant(perGroup));
  Value *high = least(b.CreateAdd(low, constant(perGroup)), constant(columns));
  auto combined = [&](Value *accumulator, nn::ReduceKind kind) {
    return down == 1 ? accumulator : joinRows(accumulator, kind, down, across);
  };
  Carried none;
  loop(first, last, 1, outerLoops, none, [&](Value *point, Carried &) {
    setIndices(point, outer);
    Carried nothing;
    loop(low, high, across * width, innerLoops, nothing, [&](Value *tile, Carried &) {
      // Threads behind the last column meet the others; they read the tile's first and store
      // nothing.
      Value *column = b.CreateAdd(tile, b.CreateMul(x, constant(width)), "", false, true);
      Value *isColumn = b.CreateICmpSLT(column, high);
      setIndices(b.CreateSelect(isColumn, column, tile), inner);
      Value *count = b.CreateSelect(isColumn, constant(rows), constant(0));
      Value *stores = b.CreateAnd(isColumn, b.CreateICmpEQ(y, constant(0)));
      sweepAll(reduced, y, count, down, combined, stores);
    });
  });
}
