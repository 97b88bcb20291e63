// Places one function: every value gets an allocation of its own. The result is right but wasteful:
// reads and writes of states, packs and concatenations are copies.
#include "passes/PlaceFunction.h"

#include "passes/Origins.h"
#include "passes/PlanEffects.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace doppel {

namespace {

/// Places one function. Definitions of buffers stand before all instructions.
class FunctionPlacer {
public:
  FunctionPlacer(plan::FuncOp target, KernelOutliner &outliner, const StateLayout &states,
                 IoLayout &ioLayout)
      : outliner(outliner), states(states), ioLayout(ioLayout), definitions(target.getContext()),
        code(target.getContext()) {
    Block &block = target.getBody().emplaceBlock();
    // A marker between definitions and instructions, erased in the end.
    definitions.setInsertionPointToEnd(&block);
    marker = plan::FuncOp::create(definitions, target.getLoc(), "marker");
    definitions.setInsertionPoint(marker);
    code.setInsertionPointToEnd(&block);
  }

  LogicalResult place(func::FuncOp function);

private:
  Value io(Location location, Type type, int64_t offset) {
    return plan::BufferOp::create(definitions, location, bufferOf(type), plan::ioArena, offset,
                                  IntegerAttr());
  }
  Value run(Location location) {
    if (!runBuffer)
      runBuffer = io(location, plan::RunType::get(definitions.getContext()), ioLayout.run);
    return runBuffer;
  }
  plan::BufferType bufferOf(Type type) { return plan::BufferType::get(type.getContext(), type); }
  Value allocate(Location location, Type type) {
    return plan::AllocOp::create(definitions, location, bufferOf(type));
  }
  Value view(Location location, Value source, int64_t offset, Type type) {
    return plan::ViewOp::create(definitions, location, bufferOf(type), source, offset);
  }
  /// The state's bytes as the place of its value at this point of the function.
  Value state(Location location, StringRef name) {
    const StatePlace &place = states.places.find(name)->second;
    return plan::BufferOp::create(definitions, location, bufferOf(place.type), plan::stateArena,
                                  place.offset, written.lookup(name));
  }
  void copy(Location location, Value source, Value target) {
    plan::CopyOp::create(code, location, source, target);
  }
  SmallVector<Value> operands(Operation *op) {
    return llvm::map_to_vector(op->getOperands(), [&](Value value) { return values.at(value); });
  }
  SmallVector<Value> allocateResults(Operation *op) {
    SmallVector<Value> buffers;
    for (Value result : op->getResults())
      buffers.push_back(values[result] = allocate(op->getLoc(), result.getType()));
    return buffers;
  }

  LogicalResult placeOp(Operation *op);
  LogicalResult placeFused(nn::FusedOp fused);
  LogicalResult placeSlice(nn::SliceOp slice);
  LogicalResult placeConcat(nn::ConcatOp concat);
  LogicalResult placeAlone(Operation *op);
  void placePack(nn::PackOp pack);
  void call(Operation *op, plan::LibraryOp callee, ArrayRef<int64_t> ints) {
    SmallVector<Value> inputs = operands(op);
    plan::CallOp::create(code, op->getLoc(), callee, inputs, allocateResults(op), ints,
                         nn::precisionOf(op));
  }
  void collective(Operation *op, plan::CollectiveKind kind) {
    Value input = operands(op).front(), output = allocateResults(op).front();
    plan::CollectiveStartOp::create(code, op->getLoc(), kind, input, output, collectives);
    plan::CollectiveWaitOp::create(code, op->getLoc(), input, output, collectives++);
  }
  void fillWithZeros(Location location, Value buffer);
  void commit(Location location);

  KernelOutliner &outliner;
  const StateLayout &states;
  IoLayout &ioLayout;
  OpBuilder definitions, code;
  Operation *marker;
  Value runBuffer;
  llvm::DenseMap<Value, Value> values;   ///< tensor -> buffer
  llvm::StringMap<IntegerAttr> written;  ///< the storage of each state's new value
  int64_t storages = 0, collectives = 0; ///< given so far
};

template <typename Op> SmallVector<int64_t> convolutionInts(Op op) {
  SmallVector<int64_t> ints(op.getStrides());
  llvm::append_range(ints, op.getPadding());
  llvm::append_range(ints, op.getDilations());
  ints.push_back(op.getGroups());
  ints.push_back(op.getChannelsLast());
  return ints;
}

template <typename Op> SmallVector<int64_t> poolInts(Op op) {
  SmallVector<int64_t> ints(op.getKernel());
  llvm::append_range(ints, op.getStrides());
  llvm::append_range(ints, op.getPadding());
  return ints;
}

} // namespace

LogicalResult FunctionPlacer::placeFused(nn::FusedOp fused) {
  SmallVector<Value> inputs = operands(fused);
  Location location = launchLocationOf(fused); // the kernel takes the body
  plan::KernelOp kernel = outliner.outline(fused.getLoc(), fused.getKind(), fused.getBody());
  if (!kernel)
    return failure();
  if (kernel.getUsesRun())
    inputs.push_back(run(fused.getLoc()));
  plan::LaunchOp::create(code, location, kernel.getSymName(), inputs, allocateResults(fused));
  return success();
}

/// An operation that fusion left alone because nothing was there to fuse it with.
LogicalResult FunctionPlacer::placeAlone(Operation *op) {
  OpBuilder builder(op);
  auto fused = nn::FusedOp::create(builder, op->getLoc(), op->getResultTypes(), nn::KernelKind::Map,
                                   ValueRange());
  Block &body = fused.getBody().emplaceBlock();
  builder.setInsertionPointToEnd(&body);
  Operation *inner = builder.clone(*op);
  nn::YieldOp::create(builder, op->getLoc(), inner->getResults());
  for (auto [before, after] : llvm::zip(op->getResults(), fused.getResults()))
    before.replaceAllUsesWith(after);
  return placeFused(fused);
}

LogicalResult FunctionPlacer::placeSlice(nn::SliceOp slice) {
  std::optional<int64_t> first = slice.getFirstElement();
  if (!first)
    return slice.emitOpError(
        "takes elements that are no neighbours in memory: it belongs into a kernel");
  int64_t offset = *first * plan::elementBytes(cast<ShapedType>(slice.getType()).getElementType());
  Value part = view(slice.getLoc(), operands(slice).front(), offset, slice.getType());
  if (offset % plan::alignment) {
    Value aligned = allocate(slice.getLoc(), slice.getType());
    copy(slice.getLoc(), part, aligned);
    part = aligned;
  }
  values[slice.getResult()] = part;
  return success();
}

LogicalResult FunctionPlacer::placeConcat(nn::ConcatOp concat) {
  ArrayRef<int64_t> shape = cast<ShapedType>(concat.getType()).getShape();
  for (int64_t d = 0; d < int64_t(concat.getAxis()); ++d)
    if (shape[d] != 1)
      return concat.emitOpError("interleaves its inputs in memory: it belongs into a kernel");
  Value whole = allocate(concat.getLoc(), concat.getType());
  int64_t offset = 0;
  for (Value input : concat.getInputs()) {
    copy(concat.getLoc(), values.at(input), view(concat.getLoc(), whole, offset, input.getType()));
    offset += plan::bytesOf(input.getType());
  }
  values[concat.getResult()] = whole;
  return success();
}

/// Kernels write aligned buffers alone, so a gap that is not aligned is copied from one that is.
void FunctionPlacer::fillWithZeros(Location location, Value buffer) {
  if (rangeOf(buffer).begin % plan::alignment) {
    Value zeros = allocate(location, cast<plan::BufferType>(buffer.getType()).getValue());
    fillWithZeros(location, zeros);
    copy(location, zeros, buffer);
    return;
  }
  auto type = cast<RankedTensorType>(cast<plan::BufferType>(buffer.getType()).getValue());
  Region body;
  OpBuilder builder(location.getContext());
  builder.setInsertionPointToEnd(&body.emplaceBlock());
  auto zero = DenseElementsAttr::get(type, builder.getFloatAttr(type.getElementType(), 0.0));
  Value zeros = nn::ConstantOp::create(builder, location, type, zero);
  nn::YieldOp::create(builder, location, zeros);
  plan::KernelOp kernel = outliner.outline(location, nn::KernelKind::Map, body);
  plan::LaunchOp::create(code, location, kernel.getSymName(), ValueRange(), buffer);
}

void FunctionPlacer::placePack(nn::PackOp pack) {
  auto type = cast<RankedTensorType>(pack.getType());
  int64_t element = plan::elementBytes(type.getElementType());
  Value whole = allocate(pack.getLoc(), type);
  SmallVector<std::pair<int64_t, int64_t>> taken; // in elements: first, past the last
  for (auto [input, offset] : llvm::zip(pack.getInputs(), pack.getOffsets())) {
    int64_t size = cast<ShapedType>(input.getType()).getNumElements();
    copy(pack.getLoc(), values.at(input),
         view(pack.getLoc(), whole, offset * element, input.getType()));
    taken.push_back({offset, offset + size});
  }
  taken.push_back({type.getNumElements(), type.getNumElements()});
  llvm::sort(taken);
  int64_t end = 0;
  for (auto [begin, after] : taken) {
    if (begin > end) {
      auto gap = RankedTensorType::get({begin - end}, type.getElementType());
      fillWithZeros(pack.getLoc(), view(pack.getLoc(), whole, end * element, gap));
    }
    end = std::max(end, after);
  }
  values[pack.getResult()] = whole;
}

LogicalResult FunctionPlacer::placeOp(Operation *op) {
  using plan::CollectiveKind, plan::LibraryOp;
  Location location = op->getLoc();
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](nn::FusedOp fused) { return placeFused(fused); })
      .Case([&](nn::SliceOp slice) { return placeSlice(slice); })
      .Case([&](nn::ConcatOp concat) { return placeConcat(concat); })
      .Case([&](nn::PackOp pack) { return placePack(pack), success(); })
      .Case<nn::ReshapeOp, nn::TransposeOp, nn::BroadcastOp>([&](auto reshape) -> LogicalResult {
        if (auto transpose = dyn_cast<nn::TransposeOp>(op); transpose && !transpose.movesNothing())
          return op->emitOpError("moves elements: it belongs into a kernel");
        if (plan::bytesOf(op->getOperand(0).getType()) != plan::bytesOf(op->getResult(0).getType()))
          return op->emitOpError("repeats elements: it belongs into a kernel");
        values[reshape.getResult()] =
            view(location, values.at(op->getOperand(0)), 0, reshape.getType());
        return success();
      })
      .Case<nn::ConstantOp, nn::RunScalarOp, nn::IotaOp>([&](auto) { return placeAlone(op); })
      .Case([&](nn::ReadOp read) {
        copy(location, state(location, read.getState()), allocateResults(op).front());
        return success();
      })
      .Case([&](nn::WriteOp write) {
        written[write.getState()] = definitions.getI64IntegerAttr(storages++);
        copy(location, values.at(write.getValue()), state(location, write.getState()));
        return success();
      })
      .Case([&](nn::CheckFiniteOp check) {
        plan::CheckOp::create(code, location, values.at(check.getValue()), check.getWhat());
        return success();
      })
      .Case([&](nn::MatmulOp matmul) {
        call(op, LibraryOp::Matmul, {matmul.getTransposeLhs(), matmul.getTransposeRhs()});
        return success();
      })
      .Case([&](nn::GemmOp gemm) {
        call(op, LibraryOp::Gemm,
             {gemm.getTransposeLhs(), gemm.getTransposeRhs(), bool(gemm.getAddend()),
              bool(gemm.getBias()), gemm.getRelu()});
        return success();
      })
      .Case([&](nn::Conv2DOp conv) {
        return call(op, LibraryOp::Conv2D, convolutionInts(conv)), success();
      })
      .Case([&](nn::Conv2DBackwardDataOp conv) {
        return call(op, LibraryOp::Conv2DBackwardData, convolutionInts(conv)), success();
      })
      .Case([&](nn::Conv2DBackwardWeightsOp conv) {
        return call(op, LibraryOp::Conv2DBackwardWeights, convolutionInts(conv)), success();
      })
      .Case([&](nn::MaxPool2DOp pool) {
        return call(op, LibraryOp::MaxPool2D, poolInts(pool)), success();
      })
      .Case([&](nn::MaxPool2DBackwardOp pool) {
        return call(op, LibraryOp::MaxPool2DBackward, poolInts(pool)), success();
      })
      .Case([&](nn::AvgPool2DOp pool) {
        return call(op, LibraryOp::AvgPool2D, poolInts(pool)), success();
      })
      .Case([&](nn::AvgPool2DBackwardOp pool) {
        return call(op, LibraryOp::AvgPool2DBackward, poolInts(pool)), success();
      })
      .Case([&](nn::RandomPermutationOp random) {
        plan::CallOp::create(code, location, LibraryOp::RandomPermutation, run(location),
                             allocateResults(op), {int64_t(random.getStream())});
        return success();
      })
      .Case(
          [&](nn::AllReduceOp) { return collective(op, CollectiveKind::AllReduceSum), success(); })
      .Case([&](nn::AllGatherOp) { return collective(op, CollectiveKind::AllGather), success(); })
      .Case([&](nn::ReduceScatterOp) {
        return collective(op, CollectiveKind::ReduceScatterSum), success();
      })
      .Default([&](Operation *) {
        return op->emitOpError("is neither fused into a kernel nor an operation of a library");
      });
}

/// As early as can be: behind the last check.
void FunctionPlacer::commit(Location location) {
  if (written.empty())
    return; // no state changes
  plan::CheckOp last;
  for (auto check : code.getInsertionBlock()->getOps<plan::CheckOp>())
    last = check;
  OpBuilder::InsertionGuard guard(code);
  if (last)
    code.setInsertionPointAfter(last);
  else
    code.setInsertionPointAfter(marker);
  plan::CommitOp::create(code, location);
}

LogicalResult FunctionPlacer::place(func::FuncOp function) {
  Location location = function.getLoc();
  for (BlockArgument argument : function.getArguments()) {
    bool isImages = isa<nn::ImagesType>(argument.getType());
    Value buffer = io(location, argument.getType(), isImages ? ioLayout.images : ioLayout.bytes);
    values[argument] = buffer;
    if (isImages)
      continue;
    ioLayout.bytes = plan::alignUp(ioLayout.bytes + plan::bytesOf(argument.getType()));
    auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "nn.name");
    plan::InputOp::create(code, location,
                          name ? name.getValue()
                               : StringRef("arg" + std::to_string(argument.getArgNumber())),
                          buffer);
  }

  bool failedAny = false; // all that cannot be placed is told at once
  for (Operation &op : llvm::make_early_inc_range(function.front().without_terminator()))
    if (llvm::all_of(op.getOperands(), [&](Value value) { return values.contains(value); }))
      failedAny |= failed(placeOp(&op));
  if (failedAny)
    return failure();
  commit(location);

  for (OpOperand &result : function.front().getTerminator()->getOpOperands()) {
    auto name = function.getResultAttrOfType<StringAttr>(result.getOperandNumber(), "nn.name");
    plan::OutputOp::create(code, result.get().getLoc(),
                           name ? name.getValue()
                                : StringRef("out" + std::to_string(result.getOperandNumber())),
                           values.at(result.get()));
  }
  marker->erase();
  return success();
}

LogicalResult placeFunction(func::FuncOp function, plan::FuncOp target, KernelOutliner &outliner,
                            const StateLayout &states, IoLayout &io) {
  return FunctionPlacer(target, outliner, states, io).place(function);
}

} // namespace doppel
