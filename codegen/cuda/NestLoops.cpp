// Nests whose points are independent: maps, segments, scatters, and the copies of a queue.
#include "codegen/cuda/NestEmitter.h"

#include "llvm/Support/MathExtras.h"

using namespace doppel;
using namespace doppel::cuda;
using namespace doppel::plan;
using llvm::ArrayRef;
using llvm::BasicBlock;
using llvm::SmallVector;
using llvm::Value;

unsigned cuda::vectorWidth(const Machine &machine) { return machine.vectorBytes / sizeof(float); }

/// Whether the nest's vectors may be of `width`: each lies within its loop.
static bool hasWholeVectors(const LoopNest &nest, unsigned width) {
  switch (nest.kind) {
  case NestKind::Segment: // pieces begin and end anywhere
    return true;
  case NestKind::SegmentSum:
    return false;
  case NestKind::Map: // a flat loop may end anywhere
    if (nest.loops.size() <= 1)
      return !nest.loops.empty();
    [[fallthrough]];
  case NestKind::Reduce:
  case NestKind::Scatter:
    break;
  }
  if (nest.loops.empty() || nest.loops.back().size % width != 0)
    return false;
  bool cutsLanes = nest.innerGroups > 1;
  return !cutsLanes || nest.innerPerGroup % width == 0;
}

uint64_t cuda::emitNest(llvm::IRBuilder<> &b, const LoopNest &nest,
                        const kernels::KernelBuffers &buffers, const Machine &machine,
                        Value *group) {
  using Part = NestEmitter::Part;
  unsigned width = vectorWidth(machine);
  if (!hasWholeVectors(nest, width)) {
    NestEmitter emitter(b, nest, buffers, machine, 1, Part::All);
    emitter.emit(group);
    return emitter.sharedBytes();
  }
  bool hasEnds = nest.kind == NestKind::Segment ||
                 (nest.kind == NestKind::Map &&
                  (nest.loops.back().size % width != 0 || nest.innerPerGroup % width != 0));
  NestEmitter vectors(b, nest, buffers, machine, width, hasEnds ? Part::WholeVectors : Part::All);
  vectors.emit(group);
  if (hasEnds)
    NestEmitter(b, nest, buffers, machine, 1, Part::Ends).emit(group);
  return vectors.sharedBytes();
}

NestEmitter::NestEmitter(llvm::IRBuilder<> &b, const LoopNest &nest,
                         const kernels::KernelBuffers &buffers, const Machine &machine,
                         unsigned width, Part part)
    : NodeEmitter(b, nest, buffers, lanes), lanes(width, /*tableSpace=*/0), machine(machine),
      part(part), width(width), gpu(b), thread(b.CreateZExt(gpu.thread(), b.getInt64Ty())) {}

void NestEmitter::emit(Value *group) {
  scopes.assign(1, Scope{0});
  instances.assign(1, {constant(0)});
  switch (nest.kind) {
  case NestKind::Map:
    emitMap(group);
    break;
  case NestKind::Reduce:
    if (llvm::any_of(nest.loops, [](const Loop &loop) { return loop.role == LoopRole::Inner; }))
      emitColumns(group);
    else
      emitRows(group);
    break;
  case NestKind::Segment:
    emitSegment(group);
    break;
  case NestKind::SegmentSum:
    emitSegmentSum(group);
    break;
  case NestKind::Scatter:
    emitScatter(group);
    break;
  }
  if (nest.ringQueue >= 0 && part != Part::Ends)
    emitRingCopy(group);
}

//===- Threads --------------------------------------------------------------------------------===//

void NestEmitter::threadLoop(Value *low, Value *high, uint32_t loops,
                             llvm::function_ref<void()> body) {
  Carried none;
  Value *own = b.CreateAdd(low, b.CreateMul(thread, constant(width)), "", false, true);
  loop(own, high, machine.threads * width, loops, none, [&](Value *i, Carried &) {
    instances.assign(1, {i});
    body();
  });
}

void NestEmitter::partLoop(Value *low, Value *high, uint32_t loops,
                           llvm::function_ref<void()> body) {
  if (part == Part::All) {
    threadLoop(low, high, loops, body);
    return;
  }
  // [low, begin) and [end, high) are left by the whole vectors of [begin, end); where there is
  // none, begin stands for both.
  Value *whole = constant(-int64_t(vectorWidth(machine)));
  Value *begin = b.CreateAnd(b.CreateAdd(low, constant(vectorWidth(machine) - 1)), whole);
  begin = least(begin, high);
  Value *end = b.CreateAnd(high, whole);
  end = b.CreateSelect(b.CreateICmpSLT(end, begin), begin, end);
  if (part == Part::WholeVectors) {
    threadLoop(begin, end, loops, body);
    return;
  }
  // The elements at both ends are fewer than two vectors: one a thread.
  Value *before = b.CreateSub(begin, low);
  Value *count = b.CreateAdd(before, b.CreateSub(high, end));
  inBranch(b.CreateICmpSLT(thread, count), [&] {
    Value *isBefore = b.CreateICmpSLT(thread, before);
    Value *place = b.CreateAdd(b.CreateSelect(isBefore, low, b.CreateSub(end, before)), thread);
    scopes.push_back({scopes.back().loops | loops});
    instances.assign(1, {place});
    body();
    scopes.pop_back();
  });
}

void NestEmitter::inBranch(Value *condition, llvm::function_ref<void()> body, bool alone) {
  llvm::Function *function = b.GetInsertBlock()->getParent();
  BasicBlock *inside = BasicBlock::Create(b.getContext(), "then", function);
  BasicBlock *after = BasicBlock::Create(b.getContext(), "after", function);
  // What does not wait for the branch is emitted before it, so that it is known behind it as well.
  scopes.back().anchor = b.CreateCondBr(condition, inside, after);
  scopes.push_back({scopes.back().loops});
  scopes.back().closed = alone;
  b.SetInsertPoint(inside);
  body();
  b.CreateBr(after);
  scopes.pop_back();
  scopes.back().anchor = nullptr;
  b.SetInsertPoint(after);
}

void NestEmitter::setIndices(Value *linear, ArrayRef<unsigned> loops) {
  int64_t bound = 1;
  for (unsigned d : loops)
    bound *= nest.loops[d].size;
  // A GPU divides 64 bits by many instructions.
  llvm::Type *type = bound <= INT32_MAX ? b.getInt32Ty() : b.getInt64Ty();
  linear = b.CreateZExtOrTrunc(linear, type);
  for (size_t i = loops.size(); i-- > 0;) {
    Value *size = llvm::ConstantInt::get(type, nest.loops[loops[i]].size);
    Value *own = b.CreateZExt(i == 0 ? linear : b.CreateURem(linear, size), b.getInt64Ty());
    linear = i == 0 ? linear : b.CreateUDiv(linear, size);
    if (int(loops[i]) == laneDim)
      instances.assign(1, {own});
    else
      index[loops[i]] = own;
  }
}

void NestEmitter::storeAll() {
  for (const Store &each : nest.stores)
    store(each, 0);
}

//===- Nests ----------------------------------------------------------------------------------===//

void NestEmitter::emitMap(Value *group) {
  if (nest.loops.empty()) {
    inBranch(
        b.CreateICmpEQ(thread, constant(0)), [&] { storeAll(); }, /*alone=*/true);
    return;
  }
  laneDim = nest.loops.size() - 1;
  int64_t size = nest.loops.back().size, count = nest.extent(LoopRole::Outer) / size;
  uint32_t laneLoop = 1u << laneDim, rowLoops = laneLoop - 1;
  SmallVector<unsigned> rows = llvm::to_vector<4>(llvm::seq<unsigned>(0, laneDim)), all = rows;
  all.push_back(laneDim);
  Value *first =
      b.CreateMul(b.CreateUDiv(group, constant(nest.innerGroups)), constant(nest.outerPerGroup));
  Value *last = least(b.CreateAdd(first, constant(nest.outerPerGroup)), constant(count));
  if (nest.innerGroups == 1 && !rows.empty()) {
    // Rows are whole: their vectors as one run of neighbours.
    threadLoop(b.CreateMul(first, constant(size)), b.CreateMul(last, constant(size)),
               rowLoops | laneLoop, [&] {
                 setIndices(instances[0].base, all);
                 storeAll();
               });
    return;
  }
  Value *low =
      b.CreateMul(b.CreateURem(group, constant(nest.innerGroups)), constant(nest.innerPerGroup));
  Value *high = least(b.CreateAdd(low, constant(nest.innerPerGroup)), constant(size));
  if (rows.empty()) {
    partLoop(low, high, laneLoop, [&] { storeAll(); });
    return;
  }
  Carried none;
  loop(first, last, 1, rowLoops, none, [&](Value *row, Carried &) {
    setIndices(row, rows);
    threadLoop(low, high, laneLoop, [&] { storeAll(); });
  });
}

void NestEmitter::emitSegment(Value *group) {
  laneDim = 0;
  SmallVector<int64_t> starts, ends;
  for (const Piece &each : nest.pieces) {
    starts.push_back(each.start);
    ends.push_back(each.end);
  }
  auto at = [&](ArrayRef<int64_t> values, Value *number) {
    return b.CreateLoad(b.getInt64Ty(), b.CreateGEP(b.getInt64Ty(), table(values), number));
  };
  Value *first = b.CreateMul(group, constant(nest.outerPerGroup));
  Value *last =
      least(b.CreateAdd(first, constant(nest.outerPerGroup)), constant(nest.loops[0].size));
  // The group's pieces are neighbours. How many have a limit that is not above `bound`?
  int64_t count = nest.pieces.size();
  auto notAbove = [&](ArrayRef<int64_t> limits, Value *bound) {
    Value *found = constant(0);
    for (int64_t step = llvm::PowerOf2Ceil(count + 1) / 2; step > 0; step /= 2) {
      Value *next = b.CreateAdd(found, constant(step));
      Value *limit = at(limits, least(b.CreateSub(next, constant(1)), constant(count - 1)));
      Value *holds =
          b.CreateAnd(b.CreateICmpSLE(next, constant(count)), b.CreateICmpSLE(limit, bound));
      found = b.CreateSelect(holds, next, found);
    }
    return found;
  };
  Carried none;
  loop(notAbove(ends, first), notAbove(starts, b.CreateSub(last, constant(1))), 1,
       Node::afterReduction, none, [&](Value *number, Carried &) {
         piece = number;
         Value *start = at(starts, number), *end = least(at(ends, number), last);
         Value *low = b.CreateSelect(b.CreateICmpSLT(start, first), first, start);
         partLoop(low, end, 1, [&] { storeAll(); });
       });
}

void NestEmitter::emitScatter(Value *group) {
  laneDim = 2;
  bool accumulate = mlir::cast<nn::ScatterRowsOp>(nest.special).getAccumulate();
  const Store &keep = nest.stores[0], &put = nest.stores[1];
  Value *first = b.CreateMul(group, constant(nest.outerPerGroup));
  Value *last =
      least(b.CreateAdd(first, constant(nest.outerPerGroup)), constant(nest.loops[0].size));
  Value *size = constant(nest.loops[2].size);
  // A thread has the same elements of every row, in every loop, so none waits for another.
  Carried none;
  loop(first, last, 1, 1u, none, [&](Value *row, Carried &) {
    index[0] = row;
    threadLoop(constant(0), size, 1u << 2, [&] { store(keep, 0); });
  });
  loop(constant(0), constant(nest.loops[1].size), 1, 1u << 1, none, [&](Value *i, Carried &) {
    index[1] = i;
    Value *row = b.CreateSExtOrTrunc(eval(nest.scatterIndex, 0), b.getInt64Ty());
    // Rows of other groups are another group's work.
    Value *mine = b.CreateAnd(b.CreateICmpSGE(row, first), b.CreateICmpSLT(row, last));
    index[0] = row;
    threadLoop(constant(0), b.CreateSelect(mine, size, constant(0)), 1u << 2, [&] {
      if (!accumulate) {
        store(put, 0);
        return;
      }
      llvm::Type *element = memoryType(nest.nodes[put.node].type);
      Value *base = buffers.outputs[put.output], *place = offset(put.access, 0);
      bool aligned = width > 1;
      Value *old = aligned ? vectors.load(b, element, base, place, nullptr, aligned)
                           : b.CreateLoad(element, b.CreateInBoundsGEP(element, base, place));
      Value *sum = combine(nn::ReduceKind::Sum, old, widen(eval(put.node, 0)));
      if (aligned)
        vectors.store(b, sum, base, place, nullptr, aligned);
      else
        b.CreateStore(sum, b.CreateInBoundsGEP(element, base, place));
    });
  });
}

/// Copies this group's share of the queue's other rows, where the queue is not updated in place.
void NestEmitter::emitRingCopy(Value *group) {
  auto ring = mlir::cast<nn::EnqueueOp>(nest.special);
  auto type = mlir::cast<mlir::RankedTensorType>(ring.getResult().getType());
  int64_t rows = type.getShape()[0],
          count = mlir::cast<mlir::ShapedType>(ring.getRows().getType()).getShape()[0];
  int64_t rowElements = type.getNumElements() / rows;
  int64_t rowBytes = rowElements * memoryType(type.getElementType())->getPrimitiveSizeInBits() / 8;
  unsigned output = 0;
  Value *start = nullptr;
  for (const Store &each : nest.stores)
    if (each.dynamic >= 0) {
      output = each.output;
      start = b.CreateUDiv(eval(each.dynamic, 0), constant(rowElements));
    }
  // In the widest words that a row is made of.
  llvm::Type *word = b.getInt8Ty();
  if (rowBytes % 16 == 0)
    word = llvm::FixedVectorType::get(b.getInt32Ty(), 4);
  else if (rowBytes % 8 == 0)
    word = b.getInt64Ty();
  else if (rowBytes % 4 == 0)
    word = b.getInt32Ty();
  int64_t wordBytes = word->getPrimitiveSizeInBits() / 8, rowWords = rowBytes / wordBytes;
  int64_t share = llvm::divideCeil(rows, nest.groups);
  Value *queue = buffers.inputs[nest.ringQueue], *target = buffers.outputs[output];
  Value *first = b.CreateMul(group, constant(share));
  Value *last = least(b.CreateAdd(first, constant(share)), constant(rows));
  last = b.CreateSelect(b.CreateICmpEQ(queue, target), first, last);
  Carried none;
  loop(first, last, 1, 0, none, [&](Value *row, Carried &) {
    Value *isNew = b.CreateICmpULT(b.CreateSub(row, start), constant(count));
    Value *begin = b.CreateMul(row, constant(rowWords));
    Value *words = b.CreateSelect(isNew, constant(0), constant(rowWords));
    Carried nothing;
    loop(thread, words, machine.threads, 0, nothing, [&](Value *i, Carried &) {
      Value *at = b.CreateAdd(begin, i);
      llvm::Align align(wordBytes);
      Value *value = b.CreateAlignedLoad(word, b.CreateInBoundsGEP(word, queue, at), align);
      b.CreateAlignedStore(value, b.CreateInBoundsGEP(word, target, at), align);
    });
  });
}
