// Verifiers of the plan dialect: sizes, places and the operands that kernels, library calls and
// collectives take.
#include "dialects/plan/PlanDialect.h"

#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace doppel;
using namespace doppel::plan;

int64_t plan::elementBytes(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type))
    return (integer.getWidth() + 7) / 8;
  return isa<FloatType>(type) ? type.getIntOrFloatBitWidth() / 8 : 0;
}

Attribute plan::originMark(MLIRContext *context) { return StringAttr::get(context, "origin"); }

Location plan::withOrigin(Location location, Location origin) {
  MLIRContext *context = location.getContext();
  return FusedLoc::get(context, {location, origin}, originMark(context));
}

int64_t plan::bytesOf(Type type) {
  if (auto buffer = dyn_cast<BufferType>(type))
    return bytesOf(buffer.getValue());
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return tensor.hasStaticShape() ? tensor.getNumElements() * elementBytes(tensor.getElementType())
                                   : -1;
  if (auto images = dyn_cast<nn::ImagesType>(type))
    return images.getBatch() * 24;     // abi::ImageRef
  return isa<RunType>(type) ? 40 : -1; // abi::RunScalars
}

/// Bytes of one element of a buffer, whatever it holds.
static int64_t elementOf(Type buffer) {
  auto tensor = dyn_cast<RankedTensorType>(cast<BufferType>(buffer).getValue());
  return tensor ? elementBytes(tensor.getElementType()) : 8;
}

LogicalResult ArenaOp::verify() {
  int64_t bytes = getBytes();
  if (bytes < 0 || bytes % alignment)
    return emitOpError() << "has " << bytes << " bytes, which is no multiple of " << alignment;
  return success();
}

LogicalResult KernelOp::verify() {
  int64_t grid = getGrid(), scratch = getScratchBytes();
  if (grid < 1 || scratch < 0)
    return emitOpError() << "has a grid of " << grid << " and " << scratch
                         << " bytes of scratch memory";
  if (!isa<nn::YieldOp>(getBody().front().back()))
    return emitOpError() << "must end in nn.yield";
  return success();
}

LogicalResult BufferOp::verify() {
  if (bytesOf(getType()) < 0)
    return emitOpError() << "holds " << getType().getValue() << ", whose size is not known";
  int64_t offset = getOffset();
  if (offset < 0 || offset % elementOf(getType()))
    return emitOpError() << "offset " << offset << " is no multiple of the element's "
                         << elementOf(getType()) << " bytes";
  return success();
}

LogicalResult BufferOp::verifySymbolUses(SymbolTableCollection &tables) {
  auto arena = tables.lookupNearestSymbolFrom<ArenaOp>(*this, getArenaAttr());
  if (!arena)
    return emitOpError() << "lies in @" << getArena() << ", which is no arena";
  int64_t bytes = bytesOf(getType()), offset = getOffset(), size = arena.getBytes();
  if (offset > size || bytes > size - offset) {
    auto diagnostic = emitOpError() << "offset " << offset << " + " << bytes
                                    << " bytes exceeds arena '" << getArena() << "' of " << size;
    diagnostic.attachNote(arena.getLoc()) << "the arena";
    return diagnostic;
  }
  return success();
}

LogicalResult AllocOp::verify() {
  if (bytesOf(getType()) < 0)
    return emitOpError() << "holds " << getType().getValue() << ", whose size is not known";
  return success();
}

LogicalResult ViewOp::verify() {
  int64_t source = bytesOf(getSource().getType()), bytes = bytesOf(getType());
  int64_t offset = getOffset();
  if (offset < 0 || offset > source || bytes > source - offset)
    return emitOpError() << "offset " << offset << " + " << bytes << " bytes exceeds the source's "
                         << source;
  if (offset % elementOf(getType()))
    return emitOpError() << "offset " << offset << " is no multiple of the element's "
                         << elementOf(getType()) << " bytes";
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &tables) {
  auto kernel = tables.lookupNearestSymbolFrom<KernelOp>(*this, getKernelAttr());
  if (!kernel)
    return emitOpError() << "launches @" << getKernel() << ", which is no kernel";
  Block &body = kernel.getBody().front();
  auto given = llvm::to_vector(getInputs());
  if (kernel.getUsesRun()) {
    if (given.empty() || !isa<RunType>(cast<BufferType>(given.back().getType()).getValue()))
      return emitOpError() << "of @" << getKernel() << " lacks the run buffer as its last input";
    given.pop_back();
  }
  auto check = [&](StringRef what, auto expected, auto actual) -> LogicalResult {
    if (expected.size() != actual.size())
      return emitOpError() << "of @" << getKernel() << " has " << actual.size() << " " << what
                           << "s, the kernel " << expected.size();
    for (auto [index, pair] : llvm::enumerate(llvm::zip(expected, actual))) {
      Type wanted = std::get<0>(pair).getType();
      Type got = cast<BufferType>(std::get<1>(pair).getType()).getValue();
      if (wanted != got)
        return emitOpError() << what << " " << index << " is " << got << ", the kernel's is "
                             << wanted;
    }
    return success();
  };
  if (failed(check("input", body.getArguments(), given)))
    return failure();
  return check("output", body.getTerminator()->getOperands(), getOutputs());
}

/// Whether the library rounds operands of this one.
static bool sumsProducts(LibraryOp callee) {
  switch (callee) {
  case LibraryOp::Matmul:
  case LibraryOp::Gemm:
  case LibraryOp::Conv2D:
  case LibraryOp::Conv2DBackwardData:
  case LibraryOp::Conv2DBackwardWeights:
    return true;
  default:
    return false;
  }
}

/// An addend is like the result of gemm, a bias has one element for each of its columns.
static LogicalResult verifyAdded(CallOp gemm) {
  auto typeOf = [](Value buffer) {
    return dyn_cast<RankedTensorType>(cast<BufferType>(buffer.getType()).getValue());
  };
  RankedTensorType result = typeOf(gemm.getOutputs().front());
  if (!result || result.getRank() < 2)
    return gemm.emitOpError() << "gives " << gemm.getOutputs().front().getType()
                              << ", which is no matrix";
  SmallVector<RankedTensorType> wanted;
  if (gemm.getInts()[2])
    wanted.push_back(result);
  if (gemm.getInts()[3])
    wanted.push_back(RankedTensorType::get({result.getShape().back()}, result.getElementType()));
  for (auto [input, type] : llvm::zip(gemm.getInputs().drop_front(2), wanted))
    if (typeOf(input) != type)
      return gemm.emitOpError() << "adds " << cast<BufferType>(input.getType()).getValue() << " to "
                                << result;
  return success();
}

LogicalResult CallOp::verify() {
  if (getCallee() == LibraryOp::Gemm && getInts().size() != 5)
    return emitOpError() << "gemm takes 5 integers, not " << getInts().size();
  if (getPrecision() != nn::Precision::F32 && !sumsProducts(getCallee()))
    return emitOpError() << stringifyLibraryOp(getCallee()) << " sums no products, so it has no "
                         << "precision " << nn::stringifyPrecision(getPrecision());
  struct Form {
    size_t inputs, outputs, ints;
  };
  auto form = [&]() -> Form {
    switch (getCallee()) {
    case LibraryOp::Matmul:
      return {2, 1, 2};
    case LibraryOp::Conv2D:
    case LibraryOp::Conv2DBackwardData:
    case LibraryOp::Conv2DBackwardWeights:
      return {2, 1, 10};
    case LibraryOp::MaxPool2D:
      return {1, 2, 8};
    case LibraryOp::MaxPool2DBackward:
      return {2, 1, 8};
    case LibraryOp::AvgPool2D:
    case LibraryOp::AvgPool2DBackward:
      return {1, 1, 8};
    case LibraryOp::RandomPermutation:
      return {1, 1, 1};
    case LibraryOp::Gemm:
      return {2 + size_t(llvm::count(getInts().slice(2, 2), 1)), 1, 5};
    }
    llvm_unreachable("an enumerator without a form");
  }();
  if (getInputs().size() != form.inputs || getOutputs().size() != form.outputs ||
      getInts().size() != form.ints)
    return emitOpError() << stringifyLibraryOp(getCallee()) << " takes " << form.inputs
                         << " inputs, " << form.outputs << " outputs and " << form.ints
                         << " integers, not " << getInputs().size() << ", " << getOutputs().size()
                         << " and " << getInts().size();
  for (Value output : getOutputs())
    for (Value input : getInputs())
      if (input == output)
        return emitOpError() << "writes a buffer that it reads";
  return getCallee() == LibraryOp::Gemm ? verifyAdded(*this) : success();
}

LogicalResult CopyOp::verify() {
  int64_t source = bytesOf(getSource().getType()), target = bytesOf(getTarget().getType());
  if (source != target)
    return emitOpError() << "copies " << source << " bytes to " << target;
  return success();
}

LogicalResult CollectiveStartOp::verify() {
  auto input = dyn_cast<RankedTensorType>(getInput().getType().getValue());
  auto output = dyn_cast<RankedTensorType>(getOutput().getType().getValue());
  if (!input || !output || input.getElementType() != output.getElementType())
    return emitOpError() << "needs tensors of one element type, not " << getInput().getType()
                         << " and " << getOutput().getType();
  bool reduces =
      getKind() == CollectiveKind::AllReduceSum || getKind() == CollectiveKind::AllReduceMax;
  if (reduces && input != output)
    return emitOpError() << "input is " << input << ", output " << output;
  return success();
}

LogicalResult CheckOp::verify() {
  auto tensor = dyn_cast<RankedTensorType>(getBuffer().getType().getValue());
  if (!tensor || !isa<FloatType>(tensor.getElementType()))
    return emitOpError() << "needs a tensor of floats, not " << getBuffer().getType();
  return success();
}

/// Numbers of collectives, one wait for each, one commit.
LogicalResult FuncOp::verifyRegions() {
  SmallVector<CollectiveStartOp> started;
  SmallVector<bool> done;
  CommitOp commit;
  for (Operation &op : getBody().front()) {
    if (auto start = dyn_cast<CollectiveStartOp>(op)) {
      if (start.getOrder() != started.size())
        return start.emitOpError() << "has the number " << start.getOrder() << ", but is number "
                                   << started.size() << " in the order of @" << getSymName();
      started.push_back(start);
      done.push_back(false);
    } else if (auto wait = dyn_cast<CollectiveWaitOp>(op)) {
      uint64_t order = wait.getOrder();
      if (order >= started.size())
        return wait.emitOpError() << "waits for the collective " << order
                                  << ", which has not started";
      if (done[order])
        return wait.emitOpError() << "waits for the collective " << order << " a second time";
      if (wait.getInput() != started[order].getInput() ||
          wait.getOutput() != started[order].getOutput()) {
        auto diagnostic = wait.emitOpError() << "names other buffers than the collective " << order;
        diagnostic.attachNote(started[order].getLoc()) << "which starts here";
        return diagnostic;
      }
      done[order] = true;
    } else if (auto second = dyn_cast<CommitOp>(op)) {
      if (commit) {
        auto diagnostic = second.emitOpError() << "is the second one in @" << getSymName();
        diagnostic.attachNote(commit.getLoc()) << "the first";
        return diagnostic;
      }
      commit = second;
    }
  }
  for (auto [order, isDone] : llvm::enumerate(done))
    if (!isDone)
      return started[order].emitOpError() << "has no wait";
  return success();
}

//===- Reads and writes -----------------------------------------------------------------------===//

SmallVector<Value> LaunchOp::getReads() { return SmallVector<Value>(getInputs()); }
SmallVector<Value> LaunchOp::getWrites() { return SmallVector<Value>(getOutputs()); }
SmallVector<Value> CallOp::getReads() { return SmallVector<Value>(getInputs()); }
SmallVector<Value> CallOp::getWrites() { return SmallVector<Value>(getOutputs()); }
SmallVector<Value> CopyOp::getReads() { return {getSource()}; }
SmallVector<Value> CopyOp::getWrites() { return {getTarget()}; }
SmallVector<Value> CollectiveStartOp::getReads() { return {getInput()}; }
SmallVector<Value> CollectiveStartOp::getWrites() { return {getOutput()}; }
SmallVector<Value> CollectiveWaitOp::getReads() { return {getInput()}; }
SmallVector<Value> CollectiveWaitOp::getWrites() { return {getOutput()}; }
SmallVector<Value> CommitOp::getReads() { return {}; }
SmallVector<Value> CommitOp::getWrites() { return {}; }
SmallVector<Value> CheckOp::getReads() { return {getBuffer()}; }
SmallVector<Value> CheckOp::getWrites() { return {}; }
SmallVector<Value> InputOp::getReads() { return {}; }
SmallVector<Value> InputOp::getWrites() { return {getBuffer()}; }
SmallVector<Value> OutputOp::getReads() { return {getBuffer()}; }
SmallVector<Value> OutputOp::getWrites() { return {}; }
