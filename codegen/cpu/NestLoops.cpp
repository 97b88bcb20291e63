// The loops of a nest on a CPU, one function a kind of nest.
#include "codegen/cpu/NestEmitter.h"

#include "llvm/IR/Constants.h"
#include "llvm/IR/Module.h"

using namespace doppel;
using namespace doppel::cpu;
using namespace doppel::plan;
using llvm::ArrayRef;
using llvm::BasicBlock;
using llvm::SmallVector;
using llvm::Value;

/// Steps over [low, high) in vectors: `unroll` of them at a time while they fit, then one at a
/// time, masked where `mayEndInVector`. The body finds them in `instances`.
void NestEmitter::laneLoop(Value *low, Value *high, unsigned unroll, bool mayEndInVector,
                           uint32_t loops, Carried &carried,
                           llvm::function_ref<void(Carried &)> body) {
  int64_t step = int64_t(lanes) * unroll;
  auto whole = [&](unsigned vectors, Value *from, Value *to) {
    loop(from, to, int64_t(lanes) * vectors, loops, carried, [&](Value *i, Carried &values) {
      instances.clear();
      for (unsigned u = 0; u < vectors; ++u)
        instances.push_back({b.CreateAdd(i, constant(int64_t(u) * lanes), "", false, true)});
      body(values);
    });
  };
  auto *first = llvm::dyn_cast<llvm::ConstantInt>(low),
       *last = llvm::dyn_cast<llvm::ConstantInt>(high);
  int64_t known = first && last ? last->getSExtValue() - first->getSExtValue() : -1;
  Value *middle = low;
  if (known < 0 || known >= step) {
    Value *count = b.CreateSub(high, low);
    Value *fits = b.CreateSub(count, b.CreateURem(count, constant(step)));
    middle = b.CreateAdd(low, fits, "", false, true);
    whole(unroll, low, middle);
  }
  if (known >= 0 ? known % step == 0 : !mayEndInVector && unroll == 1)
    return;
  if (unroll > 1 && (known >= 0 ? known % lanes == 0 : !mayEndInVector)) {
    whole(1, middle, high);
    return;
  }
  loop(middle, high, lanes, loops, carried, [&](Value *i, Carried &values) {
    Value *numbers = b.CreateAdd(widen(i), laneNumbers(b.getInt64Ty()));
    instances.assign(1, {i, b.CreateICmpSLT(numbers, widen(high))});
    body(values);
  });
}

void NestEmitter::emit(Value *group) {
  scopes.assign(1, Scope{0});
  instances.assign(1, {constant(0)});
  switch (nest.kind) {
  case NestKind::Map:
    emitMap(group);
    break;
  case NestKind::Reduce:
    emitReduce(group);
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
  if (nest.ringQueue >= 0)
    emitRingCopy(group);
}

void NestEmitter::emitMap(Value *group) {
  auto stores = [&] {
    for (unsigned u = 0; u < instances.size(); ++u)
      for (const Store &each : nest.stores)
        store(each, u);
  };
  if (nest.loops.empty()) {
    stores();
    return;
  }
  laneDim = nest.loops.size() - 1;
  int64_t size = nest.loops.back().size;
  SmallVector<unsigned> rows;
  uint32_t rowLoops = 0;
  for (int d = 0; d < laneDim; ++d) {
    rows.push_back(d);
    rowLoops |= 1u << d;
  }
  Carried none;
  auto lane = [&](Value *low, Value *high) {
    laneLoop(low, high, 1, size % lanes != 0, 1u << laneDim, none, [&](Carried &) { stores(); });
  };
  Value *low = constant(0), *high = constant(size), *outerGroup = group;
  if (nest.innerGroups > 1) {
    outerGroup = b.CreateUDiv(group, constant(nest.innerGroups));
    low =
        b.CreateMul(b.CreateURem(group, constant(nest.innerGroups)), constant(nest.innerPerGroup));
    high = least(b.CreateAdd(low, constant(nest.innerPerGroup)), constant(size));
  }
  if (rows.empty()) {
    lane(low, high);
    return;
  }
  int64_t count = nest.extent(LoopRole::Outer) / size;
  Value *firstRow = b.CreateMul(outerGroup, constant(nest.outerPerGroup));
  Value *lastRow = least(b.CreateAdd(firstRow, constant(nest.outerPerGroup)), constant(count));
  loop(firstRow, lastRow, 1, rowLoops, none, [&](Value *row, Carried &) {
    delinear(row, rows);
    lane(low, high);
  });
}

/// One sweep over the reduced loops from `reduced` on, the last of which may be the lane loop: adds
/// to the accumulators (of each reduction, then each instance) and stores what is known at every
/// point.
void NestEmitter::sweepLoops(ArrayRef<unsigned> reduced, llvm::function_ref<Value *()> laneEnd,
                             Carried &accumulators, ArrayRef<unsigned> reductions,
                             ArrayRef<const Store *> stores) {
  auto point = [&](Carried &values) {
    size_t each = reductions.empty() ? 0 : values.size() / reductions.size();
    for (unsigned u = 0; u < instances.size(); ++u) {
      for (auto [r, number] : llvm::enumerate(reductions)) {
        const Node &node = nest.nodes[number];
        auto reduce = mlir::dyn_cast<nn::ReduceOp>(node.op);
        Value *&accumulator = values[r * each + u];
        Value *added = eval(node.operands[0], u);
        if (accumulator->getType()->isVectorTy())
          added = widen(added);
        if (added->getType() != accumulator->getType())
          added = b.CreateFPExt(added, accumulator->getType());
        bool lanesReduced = laneDim >= 0 && nest.loops[laneDim].role == LoopRole::Reduced;
        if (Value *mask = instances[u].mask; mask && lanesReduced)
          added = b.CreateSelect(mask, added, identity(reduce, added->getType()));
        accumulator = combine(reduce ? reduce.getKind() : nn::ReduceKind::Sum, accumulator, added);
      }
      for (const Store *each : stores)
        store(*each, u);
    }
  };
  if (reduced.empty()) {
    point(accumulators);
    return;
  }
  unsigned d = reduced.front();
  if (int(d) == laneDim) {
    int64_t size = nest.loops[d].size;
    unsigned unroll = reductions.empty() ? 1 : accumulators.size() / reductions.size();
    laneLoop(constant(0), laneEnd(), unroll, nest.kind == NestKind::SegmentSum || size % lanes != 0,
             1u << d, accumulators, point);
    return;
  }
  loop(constant(0), constant(nest.loops[d].size), 1, 1u << d, accumulators,
       [&](Value *i, Carried &values) {
         index[d] = i;
         sweepLoops(reduced.drop_front(), laneEnd, values, reductions, stores);
       });
}

/// All sweeps at one point of the outer loops (for a column reduction, at the vectors in
/// `instances`), then the stores behind them.
void NestEmitter::reduceHere(ArrayRef<unsigned> reduced, llvm::function_ref<Value *()> laneEnd) {
  bool lanesReduced = laneDim >= 0 && nest.loops[laneDim].role == LoopRole::Reduced;
  uint32_t reducedLoops = 0;
  for (unsigned d : reduced)
    reducedLoops |= 1u << d;
  SmallVector<Instance, 8> own = instances;
  auto everyPoint = [&](const Store &store) {
    for (unsigned d : reduced)
      if (store.access.strides[d] != 0)
        return true;
    return false;
  };
  for (unsigned sweep = 0; sweep <= nest.sweeps; ++sweep) {
    SmallVector<unsigned> reductions;
    SmallVector<const Store *> stores;
    for (unsigned number : nest.reductions)
      if (nest.nodes[number].level == sweep + 1)
        reductions.push_back(number);
    for (const Store &store : nest.stores)
      if (everyPoint(store) && nest.nodes[store.node].level == sweep)
        stores.push_back(&store);
    if (reductions.empty() && stores.empty())
      continue;
    // Where lanes are reduced, four accumulators hide the latency of the addition.
    unsigned each = lanesReduced ? (nest.loops[laneDim].size >= 8 * lanes ? 4 : 1) : own.size();
    Carried accumulators;
    for (unsigned number : reductions) {
      const Node &node = nest.nodes[number];
      llvm::Type *type = accumulatorType(node);
      if (laneDim >= 0)
        type = llvm::FixedVectorType::get(type, lanes);
      accumulators.append(each, identity(mlir::dyn_cast<nn::ReduceOp>(node.op), type));
    }
    sweepLoops(reduced, laneEnd, accumulators, reductions, stores);
    instances = own;
    for (auto [r, number] : llvm::enumerate(reductions)) {
      auto reduce = mlir::dyn_cast<nn::ReduceOp>(nest.nodes[number].op);
      nn::ReduceKind kind = reduce ? reduce.getKind() : nn::ReduceKind::Sum;
      bool perLane = inLane(nest.nodes[number].loops);
      for (unsigned u = 0; !lanesReduced && u < each; ++u) {
        // A value that is the same in all lanes is kept as one number.
        Value *value = accumulators[r * each + u];
        if (!perLane && value->getType()->isVectorTy())
          value = b.CreateExtractElement(value, uint64_t(0));
        scopes.back().known[{number, perLane ? u : 0}] = rounded(value, nest.nodes[number]);
      }
      if (!lanesReduced)
        continue;
      SmallVector<Value *> partial(accumulators.begin() + r * each,
                                   accumulators.begin() + (r + 1) * each);
      for (; partial.size() > 1; partial.resize(partial.size() / 2))
        for (size_t i = 0; i < partial.size() / 2; ++i)
          partial[i] = combine(kind, partial[i], partial[i + partial.size() / 2]);
      Value *value = partial[0];
      for (unsigned half = lanes / 2; half > 0; half /= 2) {
        SmallVector<int> from(lanes);
        for (unsigned lane = 0; lane < lanes; ++lane)
          from[lane] = (lane + half) % lanes;
        value = combine(kind, value, b.CreateShuffleVector(value, from));
      }
      scopes.back().known[{number, 0}] =
          rounded(b.CreateExtractElement(value, uint64_t(0)), nest.nodes[number]);
    }
  }
  for (const Store &each : nest.stores)
    if (!everyPoint(each))
      for (unsigned u = 0; u < instances.size(); ++u)
        store(each, u);
}

void NestEmitter::emitReduce(Value *group) {
  SmallVector<unsigned> outer, reduced, inner;
  uint32_t outerLoops = Node::afterReduction, innerLoops = 0;
  for (auto [d, loop] : llvm::enumerate(nest.loops)) {
    if (loop.role == LoopRole::Outer) {
      outer.push_back(d);
      outerLoops |= 1u << d;
    } else if (loop.role == LoopRole::Reduced) {
      reduced.push_back(d);
    } else {
      inner.push_back(d);
      innerLoops |= 1u << d;
    }
  }
  if (!inner.empty() || !reduced.empty())
    laneDim = nest.loops.size() - 1;
  auto laneEnd = [&]() -> Value * { return constant(nest.loops[laneDim].size); };
  Value *innerGroup = b.CreateURem(group, constant(nest.innerGroups));
  Value *first =
      b.CreateMul(b.CreateUDiv(group, constant(nest.innerGroups)), constant(nest.outerPerGroup));
  Value *last = least(b.CreateAdd(first, constant(nest.outerPerGroup)),
                      constant(nest.extent(LoopRole::Outer)));
  Carried none;
  uint32_t rowLoops = inner.empty() ? outerLoops : outerLoops & ~Node::afterReduction;
  loop(first, last, 1, rowLoops, none, [&](Value *row, Carried &) {
    delinear(row, outer);
    if (inner.empty()) {
      reduceHere(reduced, laneEnd);
      return;
    }
    // The last inner loop has the lanes; others inside of a column reduction are plain.
    unsigned laneLoops = 1u << laneDim | Node::afterReduction;
    int64_t size = nest.loops[laneDim].size;
    // As many accumulators as hide the latency of an addition.
    unsigned registers = 0;
    for (unsigned number : nest.reductions)
      registers += accumulatorType(nest.nodes[number])->getScalarSizeInBits() / 32;
    unsigned most = std::max(1u, 8 / std::max(1u, registers));
    // A long body hides latencies by itself, and LLVM's time grows faster than it: a cache line at
    // a time is enough.
    auto pays = [&](unsigned unroll) {
      constexpr unsigned mostNodes = 512, cacheLine = 64;
      return unroll * nest.nodes.size() <= mostNodes || unroll * lanes * sizeof(float) <= cacheLine;
    };
    unsigned unroll = 1;
    while (unroll * 2 <= most && pays(unroll * 2) &&
           int64_t(unroll) * 2 * lanes <= std::min(size, nest.innerPerGroup))
      unroll *= 2;
    auto strips = [&](Value *low, Value *high) {
      laneLoop(low, high, unroll, size % lanes != 0, laneLoops, none,
               [&](Carried &) { reduceHere(reduced, laneEnd); });
    };
    if (inner.size() == 1) {
      Value *low = b.CreateMul(innerGroup, constant(nest.innerPerGroup));
      Value *high = constant(size);
      if (nest.innerGroups > 1)
        high = least(b.CreateAdd(low, constant(nest.innerPerGroup)), high);
      else
        low = constant(0);
      strips(low, high);
      return;
    }
    ArrayRef<unsigned> plain = ArrayRef(inner).drop_back();
    Value *low = b.CreateMul(innerGroup, constant(nest.innerPerGroup / size));
    Value *high = least(b.CreateAdd(low, constant(nest.innerPerGroup / size)),
                        constant(nest.extent(LoopRole::Inner) / size));
    loop(low, high, 1, innerLoops & ~(1u << laneDim), none, [&](Value *linear, Carried &) {
      delinear(linear, plain);
      strips(constant(0), constant(size));
    });
  });
}

void NestEmitter::emitSegment(Value *group) {
  laneDim = 0;
  SmallVector<int64_t> starts, ends;
  for (const Piece &piece : nest.pieces) {
    starts.push_back(piece.start);
    ends.push_back(piece.end);
  }
  Value *first = b.CreateMul(group, constant(nest.outerPerGroup));
  Value *last =
      least(b.CreateAdd(first, constant(nest.outerPerGroup)), constant(nest.loops[0].size));
  Carried none;
  loop(constant(0), constant(nest.pieces.size()), 1, Node::afterReduction, none,
       [&](Value *number, Carried &) {
         piece = number;
         auto bound = [&](ArrayRef<int64_t> values) {
           return b.CreateLoad(b.getInt64Ty(), b.CreateGEP(b.getInt64Ty(), table(values), number));
         };
         Value *start = bound(starts), *end = least(bound(ends), last);
         Value *low = b.CreateSelect(b.CreateICmpSLT(start, first), first, start);
         // A piece that ends before the group begins has nothing of it.
         Value *high = b.CreateSelect(b.CreateICmpSLT(end, low), low, end);
         laneLoop(low, high, 1, true, 1, none, [&](Carried &) {
           for (const Store &each : nest.stores)
             store(each, 0);
         });
       });
}

void NestEmitter::emitSegmentSum(Value *group) {
  laneDim = 1;
  SmallVector<int64_t> lengths;
  for (const Piece &piece : nest.pieces)
    lengths.push_back(piece.end - piece.start);
  Value *last = b.CreateAdd(group, constant(1));
  Carried none;
  loop(group, last, 1, 1u | Node::afterReduction, none, [&](Value *segment, Carried &) {
    index[0] = piece = segment;
    Value *length =
        b.CreateLoad(b.getInt64Ty(), b.CreateGEP(b.getInt64Ty(), table(lengths), segment));
    reduceHere({1u}, [&] { return length; });
  });
}

void NestEmitter::emitScatter(Value *group) {
  laneDim = 2;
  bool accumulate = mlir::cast<nn::ScatterRowsOp>(nest.special).getAccumulate();
  const Store &keep = nest.stores[0], &put = nest.stores[1];
  Value *first = b.CreateMul(group, constant(nest.outerPerGroup));
  Value *last =
      least(b.CreateAdd(first, constant(nest.outerPerGroup)), constant(nest.loops[0].size));
  bool masked = nest.loops[2].size % lanes != 0;
  Carried none;
  Value *size = constant(nest.loops[2].size);
  loop(first, last, 1, 1u, none, [&](Value *row, Carried &) {
    index[0] = row;
    laneLoop(constant(0), size, 1, masked, 1u << 2, none, [&](Carried &) { store(keep, 0); });
  });
  loop(constant(0), constant(nest.loops[1].size), 1, 1u << 1, none, [&](Value *i, Carried &) {
    index[1] = i;
    Value *row = b.CreateSExtOrTrunc(eval(nest.scatterIndex, 0), b.getInt64Ty());
    // Rows of other groups are another group's work: the loop below is empty then.
    Value *mine = b.CreateAnd(b.CreateICmpSGE(row, first), b.CreateICmpSLT(row, last));
    index[0] = row;
    laneLoop(constant(0), b.CreateSelect(mine, size, constant(0)), 1, masked, 1u << 2, none,
             [&](Carried &) {
               if (!accumulate) {
                 store(put, 0);
                 return;
               }
               const Node &node = nest.nodes[put.node];
               llvm::Type *type = llvm::FixedVectorType::get(memoryType(node.type), lanes);
               llvm::Align align(memoryType(node.type)->getPrimitiveSizeInBits() / 8);
               Value *address = b.CreateInBoundsGEP(
                   memoryType(node.type), buffers.outputs[put.output], offset(put.access, 0));
               Value *mask = instances[0].mask;
               Value *old =
                   mask ? static_cast<Value *>(b.CreateMaskedLoad(
                              type, address, align, mask, llvm::Constant::getNullValue(type)))
                        : static_cast<Value *>(b.CreateAlignedLoad(type, address, align));
               Value *sum = combine(nn::ReduceKind::Sum, old, widen(eval(put.node, 0)));
               if (mask)
                 b.CreateMaskedStore(sum, address, align, mask);
               else
                 b.CreateAlignedStore(sum, address, align);
             });
  });
}

/// Copies this group's share of the queue's other rows, where the queue is not updated in place.
void NestEmitter::emitRingCopy(Value *group) {
  auto ring = mlir::cast<nn::EnqueueOp>(nest.special);
  auto type = mlir::cast<mlir::RankedTensorType>(ring.getResult().getType());
  int64_t rows = type.getShape()[0],
          count = mlir::cast<mlir::ShapedType>(ring.getRows().getType()).getShape()[0];
  llvm::Type *element = memoryType(type.getElementType());
  int64_t rowElements = type.getNumElements() / rows,
          rowBytes = rowElements * element->getPrimitiveSizeInBits() / 8;
  unsigned output = 0;
  Value *start = nullptr;
  for (const Store &each : nest.stores)
    if (each.dynamic >= 0) {
      output = each.output;
      start = b.CreateUDiv(eval(each.dynamic, 0), constant(rowElements));
    }
  int64_t share = llvm::divideCeil(rows, nest.groups);
  Value *queue = buffers.inputs[nest.ringQueue], *target = buffers.outputs[output];
  Value *first = b.CreateMul(group, constant(share));
  Value *last = least(b.CreateAdd(first, constant(share)), constant(rows));
  last = b.CreateSelect(b.CreateICmpEQ(queue, target), first, last);
  Carried none;
  loop(first, last, 1, 0, none, [&](Value *row, Carried &) {
    Value *isNew = b.CreateICmpULT(b.CreateSub(row, start), constant(count));
    Value *at = b.CreateMul(row, constant(rowBytes));
    llvm::Align align(element->getPrimitiveSizeInBits() / 8);
    b.CreateMemCpy(b.CreateGEP(b.getInt8Ty(), target, at), align,
                   b.CreateGEP(b.getInt8Ty(), queue, at), align,
                   b.CreateSelect(isNew, constant(0), constant(rowBytes)));
  });
}
