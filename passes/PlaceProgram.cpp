// Turns the functions of the `fused` phase into programs over buffers. States get their final
// offsets here; every other value gets an allocation of its own. The result is right but wasteful:
// reads and writes of states, packs and concatenations are copies.
#include "passes/Passes.h"
#include "passes/PlanEffects.h"

#include "dialects/plan/KernelForm.h"
#include "dialects/plan/PlanDialect.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/OperationSupport.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_PLACEPROGRAM
#include "passes/Passes.h.inc"

namespace {

/// Where a state or a state group lies in the state arena.
struct StatePlace {
  int64_t offset;
  RankedTensorType type;
};

/// If `slice` takes elements that are neighbours in memory: the number of the first one.
std::optional<int64_t> firstOfNeighbours(nn::SliceOp slice) {
  ArrayRef<int64_t> from = cast<ShapedType>(slice.getInput().getType()).getShape();
  ArrayRef<int64_t> to = cast<ShapedType>(slice.getType()).getShape();
  int64_t first = 0, stride = 1;
  bool whole = true; // all dimensions behind this one are taken whole
  for (int64_t d = int64_t(from.size()) - 1; d >= 0; --d) {
    if (!whole && to[d] != 1)
      return std::nullopt;
    if (to[d] > 1 && slice.getStrides()[d] != 1)
      return std::nullopt;
    whole &= to[d] == from[d];
    first += slice.getOffsets()[d] * stride;
    stride *= from[d];
  }
  return first;
}

/// Whether the transpose moves no element: dimensions larger than one keep their order.
bool movesNothing(nn::TransposeOp transpose) {
  ArrayRef<int64_t> shape = cast<ShapedType>(transpose.getInput().getType()).getShape();
  int64_t last = -1;
  for (int64_t dim : transpose.getPermutation())
    if (shape[dim] != 1) {
      if (dim < last)
        return false;
      last = dim;
    }
  return true;
}

/// Outlines bodies of kernels; equal bodies become one kernel.
class KernelOutliner {
public:
  explicit KernelOutliner(OpBuilder builder) : builder(builder) {}

  /// The kernel of the region's operations, which move there, or null where no grid can be given
  /// (which is diagnosed).
  plan::KernelOp outline(Location location, nn::KernelKind kind, Region &body) {
    llvm::hash_code hash = llvm::hash_value(uint32_t(kind));
    for (Operation &op : body.front())
      hash = llvm::hash_combine(
          hash, OperationEquivalence::computeHash(&op, OperationEquivalence::ignoreHashValue,
                                                  OperationEquivalence::ignoreHashValue,
                                                  OperationEquivalence::IgnoreLocations));
    for (plan::KernelOp known : kernels[hash])
      if (known.getKind() == kind &&
          OperationEquivalence::isRegionEquivalentTo(&known.getBody(), &body,
                                                     OperationEquivalence::IgnoreLocations))
        return known;

    FailureOr<plan::KernelGrid> grid = plan::gridOf(kind, body.front());
    if (failed(grid))
      return nullptr;
    std::string name = (nn::stringifyKernelKind(kind) + "_" + Twine(count++)).str();
    auto kernel = plan::KernelOp::create(builder, location, name, kind, grid->grid,
                                         grid->scratchBytes, plan::usesRun(body.front()));
    kernel.getBody().takeBody(body);
    kernels[hash].push_back(kernel);
    return kernel;
  }

private:
  OpBuilder builder;
  unsigned count = 0;
  DenseMap<size_t, SmallVector<plan::KernelOp>> kernels;
};

/// Places one function. Definitions of buffers stand before all instructions.
class FunctionPlacer {
public:
  FunctionPlacer(plan::FuncOp target, KernelOutliner &outliner,
                 const llvm::StringMap<StatePlace> &states, int64_t imagesOffset, int64_t runOffset)
      : outliner(outliner), states(states), imagesOffset(imagesOffset), runOffset(runOffset),
        definitions(target.getContext()), code(target.getContext()) {
    Block &block = target.getBody().emplaceBlock();
    // A marker between definitions and instructions, erased in the end.
    definitions.setInsertionPointToEnd(&block);
    marker = plan::FuncOp::create(definitions, target.getLoc(), "marker");
    definitions.setInsertionPoint(marker);
    code.setInsertionPointToEnd(&block);
  }

  LogicalResult place(func::FuncOp function, int64_t &ioBytes);

private:
  Value io(Location location, Type type, int64_t offset) {
    return plan::BufferOp::create(definitions, location, bufferOf(type), plan::ioArena, offset,
                                  IntegerAttr());
  }
  Value run(Location location) {
    if (!runBuffer)
      runBuffer = io(location, plan::RunType::get(definitions.getContext()), runOffset);
    return runBuffer;
  }
  plan::BufferType bufferOf(Type type) { return plan::BufferType::get(type.getContext(), type); }
  Value allocate(Location location, Type type) {
    return plan::AllocOp::create(definitions, location, bufferOf(type));
  }
  Value view(Location location, Value source, int64_t offset, Type type) {
    return plan::ViewOp::create(definitions, location, bufferOf(type), source, offset);
  }
  Value state(Location location, StringRef name) {
    const StatePlace &place = states.find(name)->second;
    return plan::BufferOp::create(definitions, location, bufferOf(place.type), plan::stateArena,
                                  place.offset, IntegerAttr());
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
    plan::CallOp::create(code, op->getLoc(), callee, inputs, allocateResults(op), ints);
  }
  void collective(Operation *op, plan::CollectiveKind kind, int64_t order) {
    Value input = operands(op).front();
    plan::CollectiveOp::create(code, op->getLoc(), kind, input, allocateResults(op).front(), order);
  }
  void fillWithZeros(Location location, Value buffer);

  KernelOutliner &outliner;
  const llvm::StringMap<StatePlace> &states;
  int64_t imagesOffset, runOffset;
  OpBuilder definitions, code;
  Operation *marker;
  Value runBuffer;
  llvm::DenseMap<Value, Value> values; ///< tensor -> buffer
};

template <typename Op> SmallVector<int64_t> convolutionInts(Op op) {
  SmallVector<int64_t> ints(op.getStrides());
  llvm::append_range(ints, op.getPadding());
  llvm::append_range(ints, op.getDilations());
  ints.push_back(op.getGroups());
  return ints;
}

template <typename Op> SmallVector<int64_t> poolInts(Op op) {
  SmallVector<int64_t> ints(op.getKernel());
  llvm::append_range(ints, op.getStrides());
  llvm::append_range(ints, op.getPadding());
  return ints;
}

/// Whether the operation can make a number that is not finite of numbers that are, and no constant
/// keeps it from that.
static bool canLeaveFinite(Operation &op) {
  if (isa<nn::LogOp, nn::SqrtOp, nn::RsqrtOp, nn::PowOp, nn::ExpOp>(op))
    return true;
  auto div = dyn_cast<nn::DivOp>(op);
  if (!div)
    return false;
  Value divisor = div.getRhs();
  while (auto broadcast = divisor.getDefiningOp<nn::BroadcastOp>())
    divisor = broadcast.getInput();
  return !matchPattern(divisor, m_Constant());
}

/// Whether the user's spec, not the library, has the operation.
static bool isOfSpec(Location location) {
  if (auto name = dyn_cast<NameLoc>(location))
    return isOfSpec(name.getChildLoc());
  if (auto call = dyn_cast<CallSiteLoc>(location))
    return isOfSpec(call.getCallee());
  auto place = dyn_cast<FileLineColRange>(location);
  return place && !place.getFilename().getValue().starts_with("std/");
}

/// The location of a launch: where the spec itself has an operation that can leave the finite
/// numbers, that one is remembered. What the library has is guarded.
static Location locationOf(nn::FusedOp fused) {
  for (Operation &op : fused.getBody().front()) {
    if (!canLeaveFinite(op) || !isOfSpec(op.getLoc()))
      continue;
    Location origin = op.getLoc();
    if (!isa<NameLoc>(origin))
      origin = NameLoc::get(StringAttr::get(op.getContext(), op.getName().stripDialect()), origin);
    return plan::withOrigin(fused.getLoc(), origin);
  }
  return fused.getLoc();
}

LogicalResult FunctionPlacer::placeFused(nn::FusedOp fused) {
  SmallVector<Value> inputs = operands(fused);
  Location location = locationOf(fused); // the kernel takes the body
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
  std::optional<int64_t> first = firstOfNeighbours(slice);
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
        if (auto transpose = dyn_cast<nn::TransposeOp>(op); transpose && !movesNothing(transpose))
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
      .Case([&](nn::AllReduceOp reduce) {
        return collective(op, CollectiveKind::AllReduceSum, reduce.getOrder()), success();
      })
      .Case([&](nn::AllGatherOp gather) {
        return collective(op, CollectiveKind::AllGather, gather.getOrder()), success();
      })
      .Case([&](nn::ReduceScatterOp scatter) {
        return collective(op, CollectiveKind::ReduceScatterSum, scatter.getOrder()), success();
      })
      .Default([&](Operation *) {
        return op->emitOpError("is neither fused into a kernel nor an operation of a library");
      });
}

LogicalResult FunctionPlacer::place(func::FuncOp function, int64_t &ioBytes) {
  Location location = function.getLoc();
  for (BlockArgument argument : function.getArguments()) {
    bool isImages = isa<nn::ImagesType>(argument.getType());
    Value buffer = io(location, argument.getType(), isImages ? imagesOffset : ioBytes);
    values[argument] = buffer;
    if (isImages)
      continue;
    ioBytes = plan::alignUp(ioBytes + plan::bytesOf(argument.getType()));
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

struct PlaceProgram : impl::PlaceProgramBase<PlaceProgram> {
  void runOnOperation() override;

private:
  int64_t placeStates(OpBuilder &builder, llvm::StringMap<StatePlace> &states);
};

/// Gives every state and state group its offset, declares the states, and returns the bytes of them
/// all.
int64_t PlaceProgram::placeStates(OpBuilder &builder, llvm::StringMap<StatePlace> &states) {
  ModuleOp module = getOperation();
  llvm::StringMap<nn::StateOp> alone;
  for (auto state : module.getOps<nn::StateOp>())
    alone[state.getSymName()] = state;

  // A group stands where its first member is declared.
  llvm::StringMap<nn::StateGroupOp> groupOf;
  for (auto group : module.getOps<nn::StateGroupOp>())
    for (Attribute member : group.getMembers())
      groupOf[cast<SymbolRefAttr>(member).getRootReference()] = group;
  SmallVector<std::pair<nn::StateKind, Operation *>> units;
  DenseSet<Operation *> seen;
  for (auto state : module.getOps<nn::StateOp>()) {
    auto group = groupOf.lookup(state.getSymName());
    Operation *unit = group ? group.getOperation() : state.getOperation();
    if (seen.insert(unit).second)
      units.push_back({group ? group.getKind() : state.getKind(), unit});
  }
  llvm::stable_sort(units, llvm::less_first());

  int64_t offset = 0;
  auto declare = [&](nn::StateOp state, int64_t at) {
    auto type = cast<RankedTensorType>(state.getType());
    states[state.getSymName()] = {at, type};
    plan::StateOp::create(builder, state.getLoc(), state.getSymName(), state.getKind(), at, type);
  };
  SmallVector<Operation *> declared;
  for (auto [kind, unit] : units) {
    if (auto group = dyn_cast<nn::StateGroupOp>(unit)) {
      auto type = cast<RankedTensorType>(group.getType());
      states[group.getSymName()] = {offset, type};
      int64_t element = plan::elementBytes(type.getElementType());
      for (auto [member, first] : llvm::zip(group.getMembers(), group.getOffsets())) {
        nn::StateOp state = alone.lookup(cast<SymbolRefAttr>(member).getRootReference());
        declare(state, offset + first * element);
        declared.push_back(state);
      }
      offset = plan::alignUp(offset + plan::bytesOf(type));
    } else {
      auto state = cast<nn::StateOp>(unit);
      declare(state, offset);
      offset = plan::alignUp(offset + plan::bytesOf(state.getType()));
    }
    declared.push_back(unit);
  }
  DenseSet<Operation *> erased;
  for (Operation *op : declared)
    if (erased.insert(op).second)
      op->erase();
  return offset;
}

void PlaceProgram::runOnOperation() {
  ModuleOp module = getOperation();
  Location location = module.getLoc();
  auto functions = llvm::to_vector(module.getOps<func::FuncOp>());
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());

  int64_t batch = 1;
  if (auto attribute = module->getAttrOfType<IntegerAttr>("nn.batch"))
    batch = attribute.getInt();
  for (func::FuncOp function : functions)
    for (Type type : function.getArgumentTypes())
      if (auto images = dyn_cast<nn::ImagesType>(type))
        batch = images.getBatch();
  auto images = nn::ImagesType::get(&getContext(), batch);
  int64_t runOffset = plan::alignUp(plan::bytesOf(images));
  int64_t ioBytes = plan::alignUp(runOffset + plan::bytesOf(plan::RunType::get(&getContext())));

  auto stateArena =
      plan::ArenaOp::create(builder, location, plan::stateArena, plan::ArenaKind::State, 0);
  plan::ArenaOp::create(builder, location, plan::transientArena, plan::ArenaKind::Transient, 0);
  auto ioArena = plan::ArenaOp::create(builder, location, plan::ioArena, plan::ArenaKind::Io, 0);
  llvm::StringMap<StatePlace> states;
  stateArena.setBytes(placeStates(builder, states));

  // Kernels stand between the states and the functions.
  auto first = plan::FuncOp::create(builder, location, "marker");
  KernelOutliner outliner{OpBuilder(first)};
  for (func::FuncOp function : functions) {
    std::string name = function.getSymName().str();
    function.setSymName(("nn." + name)); // two symbols of one name may not stand in a module
    auto target = plan::FuncOp::create(builder, function.getLoc(), name);
    FunctionPlacer placer(target, outliner, states, 0, runOffset);
    if (failed(placer.place(function, ioBytes)))
      return signalPassFailure();
    function.erase();
  }
  first.erase();
  ioArena.setBytes(ioBytes);
}

} // namespace
} // namespace doppel
