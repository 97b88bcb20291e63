// Verifiers of the nn dialect but for those of windows (NnWindows.cpp) and of states and training
// (NnStates.cpp). Every message names both sides. Shapes are static by the operations' type
// constraints, so that the checks are plain arithmetic.
#include "dialects/nn/NnDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"

using namespace mlir;
using namespace doppel::nn;

#define GET_OP_CLASSES
#include "dialects/nn/NnOps.cpp.inc"

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// Streams are the counter's upper 24 bits of a word (runtime/schema/Abi.h).
static LogicalResult verifyStream(Operation *op, int64_t stream) {
  if (stream < 0 || stream >= int64_t(1) << 24)
    return op->emitOpError() << "stream is " << stream << ", but must be in [0, 2^24)";
  return success();
}

static LogicalResult verifySameElementType(Operation *op, StringRef leftName, Value left,
                                           StringRef rightName, Value right) {
  Type leftType = typeOf(left).getElementType(), rightType = typeOf(right).getElementType();
  if (leftType != rightType)
    return op->emitOpError() << leftName << " has elements of " << leftType << ", " << rightName
                             << " of " << rightType;
  return success();
}

static LogicalResult verifySameElementType(Operation *op, Value input, Value result) {
  return verifySameElementType(op, "the input", input, "the result", result);
}

/// `dims` must be strictly increasing and name dimensions of a tensor of rank `rank`.
static LogicalResult verifyDims(Operation *op, ArrayRef<int64_t> dims, int64_t rank,
                                StringRef ofWhat) {
  int64_t last = -1;
  for (int64_t dim : dims) {
    if (dim < 0 || dim >= rank)
      return op->emitOpError() << "dimension " << dim << " is not one of the " << rank << " of "
                               << ofWhat;
    if (dim <= last)
      return op->emitOpError() << "dimensions must increase, but " << dim << " follows " << last;
    last = dim;
  }
  return success();
}

//===- Constants and what a run provides ------------------------------------------------------===//

void ConstantOp::build(OpBuilder &builder, OperationState &state, RankedTensorType type,
                       double value) {
  Type element = type.getElementType();
  TypedAttr attribute;
  if (isa<FloatType>(element))
    attribute = builder.getFloatAttr(element, value);
  else
    attribute = builder.getIntegerAttr(element, static_cast<int64_t>(value));
  build(builder, state, type, DenseElementsAttr::get(type, {Attribute(attribute)}));
}

LogicalResult IotaOp::verify() {
  int64_t rank = getType().getRank();
  if (getDim() >= static_cast<uint64_t>(rank))
    return emitOpError() << "dimension " << static_cast<int64_t>(getDim()) << " is not one of the "
                         << rank << " of " << getType();
  return success();
}

LogicalResult RandomOp::verify() {
  if (getBy()) {
    auto by = cast<RankedTensorType>(getBy().getType());
    auto type = cast<RankedTensorType>(getType());
    if (type.getRank() == 0 || by.getRank() != 1 || by.getDimSize(0) != type.getDimSize(0))
      return emitOpError() << "draws " << type << " by " << by
                           << ": it takes one index for each row";
  }
  return verifyStream(*this, getStream());
}

LogicalResult RandomPermutationOp::verify() {
  if (!getType().hasStaticShape())
    return emitOpError() << "the result's shape is not static: " << getType();
  return verifyStream(*this, getStream());
}

LogicalResult AugmentOp::verify() {
  if (failed(verifyStream(*this, getStream())))
    return failure();
  if (getPipeline().empty())
    return emitOpError("the pipeline is empty; its first stage must be a crop");
  int64_t size = 0;
  for (auto [index, attribute] : llvm::enumerate(getPipeline())) {
    auto stage = cast<StageAttr>(attribute);
    Transform transform = stage.getTransform();
    bool isCrop = transform == Transform::RandomResizedCrop || transform == Transform::CenterCrop;
    if (index == 0 && !isCrop)
      return emitOpError() << "the first stage is " << stringifyTransform(transform)
                           << ", but must be a crop, which sets the size";
    if (index > 0 && isCrop)
      return emitOpError() << "stage " << index << " is " << stringifyTransform(transform)
                           << ", but only the first may be a crop";
    if (isCrop)
      size = stage.getInteger("size");
    // A reflected border is within the image only if the kernel's radius is smaller than the image.
    if (transform == Transform::GaussianBlur && stage.getInteger("kernel") / 2 >= size)
      return emitOpError() << "stage " << index << ": a blur of " << stage.getInteger("kernel")
                           << " taps is too wide for a view of " << size << " pixels";
  }
  if (getPipeline().size() > 64)
    return emitOpError() << "has " << getPipeline().size()
                         << " stages, but draws are numbered for at most 64";
  auto expected = RankedTensorType::get({getImages().getType().getBatch(), size, size, 3},
                                        getType().getElementType());
  if (getType() != expected)
    return emitOpError() << "the pipeline makes " << expected << ", the result is " << getType();
  return success();
}

LogicalResult SampleIndexOp::verify() {
  int64_t batch = getImages().getType().getBatch();
  if (getType().getShape() != ArrayRef<int64_t>(batch))
    return emitOpError() << "the batch is of " << batch << " images, the result is " << getType();
  return success();
}

//===- Shape ----------------------------------------------------------------------------------===//

LogicalResult BroadcastOp::verify() {
  auto input = getInput().getType();
  auto result = getType();
  if (failed(verifySameElementType(*this, getInput(), getResult())))
    return failure();
  if (static_cast<int64_t>(getDims().size()) != input.getRank())
    return emitOpError() << "names " << getDims().size() << " dimensions, but the input " << input
                         << " has " << input.getRank();
  if (failed(verifyDims(*this, getDims(), result.getRank(), "the result")))
    return failure();
  for (auto [i, dim] : llvm::enumerate(getDims()))
    if (input.getDimSize(i) != result.getDimSize(dim))
      return emitOpError() << "dimension " << i << " of the input is " << input.getDimSize(i)
                           << ", dimension " << dim << " of the result is "
                           << result.getDimSize(dim);
  return success();
}

LogicalResult ReshapeOp::verify() {
  auto input = getInput().getType();
  if (failed(verifySameElementType(*this, getInput(), getResult())))
    return failure();
  if (input.getNumElements() != getType().getNumElements())
    return emitOpError() << "the input " << input << " has " << input.getNumElements()
                         << " elements, the result " << getType() << " has "
                         << getType().getNumElements();
  return success();
}

LogicalResult TransposeOp::verify() {
  auto input = getInput().getType();
  auto result = getType();
  if (failed(verifySameElementType(*this, getInput(), getResult())))
    return failure();
  ArrayRef<int64_t> permutation = getPermutation();
  SmallVector<int64_t> sorted(permutation);
  llvm::sort(sorted);
  if (static_cast<int64_t>(sorted.size()) != input.getRank() ||
      !llvm::equal(sorted, llvm::seq<int64_t>(0, input.getRank())))
    return emitOpError() << "[" << permutation << "] is not a permutation of the "
                         << input.getRank() << " dimensions of " << input;
  SmallVector<int64_t> expected;
  for (int64_t dim : permutation)
    expected.push_back(input.getDimSize(dim));
  if (result.getShape() != ArrayRef<int64_t>(expected))
    return emitOpError() << "the transposed input is [" << ArrayRef<int64_t>(expected)
                         << "], the result is " << result;
  return success();
}

bool TransposeOp::movesNothing() {
  ArrayRef<int64_t> shape = getInput().getType().getShape();
  int64_t last = -1;
  for (int64_t dim : getPermutation())
    if (shape[dim] != 1) {
      if (dim < last)
        return false;
      last = dim;
    }
  return true;
}

/// slice and pad are one relation: element i of `part` is element offsets + i * strides of `whole`.
static LogicalResult verifyPart(Operation *op, ArrayRef<int64_t> offsets, ArrayRef<int64_t> strides,
                                Value part, StringRef partName, Value whole, StringRef wholeName) {
  if (failed(verifySameElementType(op, partName, part, wholeName, whole)))
    return failure();
  auto partType = typeOf(part), wholeType = typeOf(whole);
  auto rank = static_cast<size_t>(wholeType.getRank());
  if (partType.getRank() != wholeType.getRank() || offsets.size() != rank || strides.size() != rank)
    return op->emitOpError() << partName << " " << partType << ", " << wholeName << " " << wholeType
                             << ", " << offsets.size() << " offsets and " << strides.size()
                             << " strides differ in rank";
  for (size_t i = 0; i < rank; ++i) {
    if (offsets[i] < 0 || strides[i] < 1)
      return op->emitOpError() << "dimension " << i << " has offset " << offsets[i]
                               << " and stride " << strides[i]
                               << ", but must have at least 0 and 1";
    if (partType.getDimSize(i) == 0)
      continue;
    int64_t last = offsets[i] + (partType.getDimSize(i) - 1) * strides[i];
    if (last >= wholeType.getDimSize(i))
      return op->emitOpError() << "dimension " << i << " reaches element " << last << ", but "
                               << wholeName << " " << wholeType << " has "
                               << wholeType.getDimSize(i);
  }
  return success();
}

LogicalResult SliceOp::verify() {
  return verifyPart(*this, getOffsets(), getStrides(), getResult(), "the result", getInput(),
                    "the input");
}

std::optional<int64_t> SliceOp::getFirstElement() {
  ArrayRef<int64_t> from = getInput().getType().getShape(), to = getType().getShape();
  int64_t first = 0, stride = 1;
  bool whole = true; // all dimensions behind this one are taken whole
  for (int64_t d = int64_t(from.size()) - 1; d >= 0; --d) {
    if (to[d] > 1 && (!whole || getStrides()[d] != 1))
      return std::nullopt;
    whole &= to[d] == from[d];
    first += getOffsets()[d] * stride;
    stride *= from[d];
  }
  return first;
}

LogicalResult PadOp::verify() {
  return verifyPart(*this, getOffsets(), getStrides(), getInput(), "the input", getResult(),
                    "the result");
}

LogicalResult ConcatOp::verify() {
  auto result = getType();
  auto axis = static_cast<int64_t>(getAxis());
  if (getInputs().empty())
    return emitOpError("has no inputs");
  if (axis < 0 || axis >= result.getRank())
    return emitOpError() << "axis " << axis << " is not one of the " << result.getRank()
                         << " dimensions of " << result;
  int64_t length = 0;
  for (auto [index, value] : llvm::enumerate(getInputs())) {
    auto input = typeOf(value);
    if (input.getElementType() != result.getElementType() || input.getRank() != result.getRank())
      return emitOpError() << "input " << index << " is " << input << ", the result is " << result;
    for (int64_t dim = 0; dim < result.getRank(); ++dim)
      if (dim != axis && input.getDimSize(dim) != result.getDimSize(dim))
        return emitOpError() << "input " << index << " is " << input << ", the result is " << result
                             << ": dimension " << dim << " differs";
    length += input.getDimSize(axis);
  }
  if (length != result.getDimSize(axis))
    return emitOpError() << "the inputs are " << length << " long along axis " << axis
                         << ", the result " << result << " is " << result.getDimSize(axis);
  return success();
}

//===- Reductions and products ----------------------------------------------------------------===//

LogicalResult ReduceOp::verify() {
  auto input = getInput().getType();
  if (failed(verifySameElementType(*this, getInput(), getResult())) ||
      failed(verifyDims(*this, getDims(), input.getRank(), "the input")))
    return failure();
  SmallVector<int64_t> expected;
  for (int64_t dim = 0; dim < input.getRank(); ++dim) {
    if (!llvm::is_contained(getDims(), dim))
      expected.push_back(input.getDimSize(dim));
    else if (input.getDimSize(dim) == 0 && getKind() != ReduceKind::Sum)
      return emitOpError() << "dimension " << dim << " of " << input
                           << " is empty and has no greatest or least element";
  }
  if (getType().getShape() != ArrayRef<int64_t>(expected))
    return emitOpError() << "the reduced input is [" << ArrayRef<int64_t>(expected)
                         << "], the result is " << getType();
  return success();
}

/// `result` = op(lhs) op(rhs), of matmul and gemm.
template <typename Op> static LogicalResult verifyProduct(Op op) {
  auto lhs = op.getLhs().getType();
  auto rhs = op.getRhs().getType();
  auto result = op.getType();
  if (failed(verifySameElementType(op, "lhs", op.getLhs(), "rhs", op.getRhs())) ||
      failed(verifySameElementType(op, "lhs", op.getLhs(), "the result", op.getResult())))
    return failure();
  int64_t rank = lhs.getRank();
  if ((rank != 2 && rank != 3) || rhs.getRank() != rank || result.getRank() != rank)
    return op.emitOpError() << "lhs is " << lhs << ", rhs is " << rhs << ", the result is "
                            << result << ": all must have rank 2, or all rank 3";
  int64_t batchRank = rank - 2;
  auto dim = [&](RankedTensorType type, bool transposed, int64_t which) {
    return type.getDimSize(batchRank + (transposed ? 1 - which : which));
  };
  int64_t inner = dim(lhs, op.getTransposeLhs(), 1);
  if (inner != dim(rhs, op.getTransposeRhs(), 0))
    return op.emitOpError() << "lhs is " << lhs << (op.getTransposeLhs() ? " (transposed)" : "")
                            << ", rhs is " << rhs << (op.getTransposeRhs() ? " (transposed)" : "")
                            << ": the inner dimensions " << inner << " and "
                            << dim(rhs, op.getTransposeRhs(), 0) << " differ";
  SmallVector<int64_t> expected;
  if (batchRank == 1) {
    if (lhs.getDimSize(0) != rhs.getDimSize(0))
      return op.emitOpError() << "lhs is " << lhs << ", rhs is " << rhs << ": the batch differs";
    expected.push_back(lhs.getDimSize(0));
  }
  expected.push_back(dim(lhs, op.getTransposeLhs(), 0));
  expected.push_back(dim(rhs, op.getTransposeRhs(), 1));
  if (result.getShape() != ArrayRef<int64_t>(expected))
    return op.emitOpError() << "the product is [" << ArrayRef<int64_t>(expected)
                            << "], the result is " << result;
  return success();
}

LogicalResult MatmulOp::verify() { return verifyProduct(*this); }

LogicalResult GemmOp::verify() {
  if (failed(verifyProduct(*this)))
    return failure();
  if (!getAddend() && !getBias() && !getRelu())
    return emitOpError("has neither addend nor bias nor relu: that is a matmul");
  if (getAddend() && getAddend().getType() != getType())
    return emitOpError() << "the addend is " << getAddend().getType() << ", the result is "
                         << getType();
  auto columns = RankedTensorType::get({getType().getShape().back()}, getType().getElementType());
  if (getBias() && getBias().getType() != columns)
    return emitOpError() << "the bias is " << getBias().getType() << ", but the result "
                         << getType() << " has " << columns.getDimSize(0) << " columns";
  return success();
}

//===- Rows of tables -------------------------------------------------------------------------===//

/// Rows [N, ...] of a table [K, ...].
static LogicalResult verifyRows(Operation *op, Value table, StringRef rowsName, Value rows) {
  auto tableType = typeOf(table), rowsType = typeOf(rows);
  if (tableType.getRank() < 1 || rowsType.getRank() != tableType.getRank() ||
      rowsType.getElementType() != tableType.getElementType() ||
      rowsType.getShape().drop_front() != tableType.getShape().drop_front())
    return op->emitOpError() << "the table is " << tableType << ", " << rowsName << " " << rowsType
                             << ": they must differ in dimension 0 alone";
  return success();
}

static LogicalResult verifyIndices(Operation *op, Value indices, StringRef rowsName, Value rows) {
  auto indexType = typeOf(indices), rowsType = typeOf(rows);
  if (indexType.getRank() != 1 || indexType.getDimSize(0) != rowsType.getDimSize(0))
    return op->emitOpError() << "the indices are " << indexType << ", " << rowsName << " "
                             << rowsType << ": there must be one index a row";
  return success();
}

LogicalResult GatherRowsOp::verify() {
  return success(succeeded(verifyRows(*this, getTable(), "the result is", getResult())) &&
                 succeeded(verifyIndices(*this, getIndices(), "the result is", getResult())));
}

LogicalResult ScatterRowsOp::verify() {
  if (failed(verifyRows(*this, getTable(), "the rows are", getRows())) ||
      failed(verifyIndices(*this, getIndices(), "the rows are", getRows())))
    return failure();
  if (getType() != getTable().getType())
    return emitOpError() << "the table is " << getTable().getType() << ", the result is "
                         << getType();
  if (getAccumulate() && getType().getElementType().isInteger(1))
    return emitOpError() << "with accumulate the table must be of numbers, but got " << getType();
  return success();
}

LogicalResult EnqueueOp::verify() {
  if (failed(verifyRows(*this, getQueue(), "the rows are", getRows())))
    return failure();
  if (getType() != getQueue().getType())
    return emitOpError() << "the queue is " << getQueue().getType() << ", the result is "
                         << getType();
  int64_t length = getQueue().getType().getDimSize(0), rows = getRows().getType().getDimSize(0);
  if (rows == 0 || length % rows != 0)
    return emitOpError() << "the queue has " << length << " rows, which the batch of " << rows
                         << " does not divide";
  return success();
}

//===- Collectives ----------------------------------------------------------------------------===//

LogicalResult AllReduceOp::verify() {
  if (getType() != getInput().getType())
    return emitOpError() << "the input is " << getInput().getType() << ", the result is "
                         << getType();
  return success();
}

/// `whole` is [W * N, ...], `part` is [N, ...].
static LogicalResult verifyRanksPart(Operation *op, Value part, Value whole) {
  auto partType = typeOf(part), wholeType = typeOf(whole);
  if (partType.getRank() < 1 || partType.getRank() != wholeType.getRank() ||
      partType.getElementType() != wholeType.getElementType() ||
      partType.getShape().drop_front() != wholeType.getShape().drop_front() ||
      partType.getDimSize(0) == 0 || wholeType.getDimSize(0) % partType.getDimSize(0) != 0)
    return op->emitOpError() << "one rank's part is " << partType << ", the whole is " << wholeType
                             << ": dimension 0 of the whole must be a multiple of the part's, and "
                                "the others equal";
  return success();
}

LogicalResult AllGatherOp::verify() { return verifyRanksPart(*this, getInput(), getResult()); }
LogicalResult ReduceScatterOp::verify() { return verifyRanksPart(*this, getResult(), getInput()); }

//===- Kernels --------------------------------------------------------------------------------===//

LogicalResult FusedOp::verify() {
  Block &body = getBody().front();
  if (!llvm::equal(body.getArgumentTypes(), getInputs().getTypes()))
    return emitOpError() << "the body takes (" << body.getArgumentTypes() << "), the inputs are ("
                         << getInputs().getTypes() << ")";
  if (body.empty() || !isa<YieldOp>(body.back()))
    return emitOpError("the body must end in nn.yield");
  auto yield = cast<YieldOp>(body.back());
  if (!llvm::equal(yield.getValues().getTypes(), getOutputs().getTypes()))
    return emitOpError() << "the body yields (" << yield.getValues().getTypes()
                         << "), the results are (" << getOutputs().getTypes() << ")";
  for (Operation &inner : body.without_terminator())
    if (!isMemoryEffectFree(&inner)) {
      InFlightDiagnostic error = emitOpError("is pure, but its body has effects");
      error.attachNote(inner.getLoc()) << "here";
      return error;
    }
  return success();
}
