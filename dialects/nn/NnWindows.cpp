// Verifiers of convolution, pooling and batch normalisation. One function computes the extents of a
// window's results for all.
#include "dialects/nn/NnDialect.h"

using namespace mlir;
using namespace doppel::nn;

/// The extents of what a window makes of [H, W], or failure with a message. `kernel`, `strides`,
/// `dilations`: [y, x]; `padding`: [top, left, bottom, right].
static FailureOr<std::array<int64_t, 2>>
windowResult(Operation *op, ArrayRef<int64_t> extents, ArrayRef<int64_t> kernel,
             ArrayRef<int64_t> strides, ArrayRef<int64_t> padding, ArrayRef<int64_t> dilations) {
  auto check = [&](StringRef name, ArrayRef<int64_t> values, size_t count,
                   int64_t least) -> LogicalResult {
    if (values.size() != count || llvm::any_of(values, [&](int64_t v) { return v < least; }))
      return op->emitOpError() << name << " is [" << values << "], but must be " << count
                               << " numbers of at least " << least;
    return success();
  };
  if (failed(check("kernel", kernel, 2, 1)) || failed(check("strides", strides, 2, 1)) ||
      failed(check("padding", padding, 4, 0)) || failed(check("dilations", dilations, 2, 1)))
    return failure();
  std::array<int64_t, 2> result;
  for (int axis = 0; axis < 2; ++axis) {
    int64_t padded = extents[axis] + padding[axis] + padding[axis + 2];
    int64_t reach = dilations[axis] * (kernel[axis] - 1) + 1;
    if (reach > padded)
      return op->emitOpError() << "the window is " << reach << (axis ? " wide" : " high")
                               << ", the padded image only " << padded;
    result[axis] = (padded - reach) / strides[axis] + 1;
  }
  return result;
}

/// x: [N, H, W, I], w: [O, I / groups, KH, KW] (or [O, KH, KW, I / groups]), y: [N, OH, OW, O].
template <typename Op>
static LogicalResult verifyConvolution(Op op, RankedTensorType x, RankedTensorType w,
                                       RankedTensorType y) {
  if (x.getElementType() != w.getElementType() || x.getElementType() != y.getElementType())
    return op.emitOpError() << "image " << x << ", weight " << w << " and output " << y
                            << " differ in element type";
  for (RankedTensorType type : {x, w, y})
    if (!type.hasStaticShape())
      return op.emitOpError() << "the shape of " << type << " is not static";
  auto groups = static_cast<int64_t>(op.getGroups());
  bool last = op.getChannelsLast();
  int64_t channels = w.getDimSize(last ? 3 : 1);
  if (groups < 1 || x.getDimSize(3) != groups * channels || w.getDimSize(0) % groups != 0)
    return op.emitOpError() << "the image " << x << " has " << x.getDimSize(3)
                            << " channels, the weight " << w << " takes " << channels
                            << " in each of " << groups << " groups";
  auto extents = windowResult(op, x.getShape().slice(1, 2), w.getShape().slice(last ? 1 : 2, 2),
                              op.getStrides(), op.getPadding(), op.getDilations());
  if (failed(extents))
    return failure();
  int64_t expected[] = {x.getDimSize(0), (*extents)[0], (*extents)[1], w.getDimSize(0)};
  if (y.getShape() != ArrayRef<int64_t>(expected))
    return op.emitOpError() << "image " << x << " and weight " << w << " make ["
                            << ArrayRef<int64_t>(expected) << "], the output is " << y;
  return success();
}

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

LogicalResult Conv2DOp::verify() {
  return verifyConvolution(*this, typeOf(getInput()), typeOf(getWeight()), typeOf(getResult()));
}
LogicalResult Conv2DBackwardDataOp::verify() {
  return verifyConvolution(*this, typeOf(getResult()), typeOf(getWeight()), typeOf(getGradient()));
}
LogicalResult Conv2DBackwardWeightsOp::verify() {
  return verifyConvolution(*this, typeOf(getInput()), typeOf(getResult()), typeOf(getGradient()));
}

/// x: [N, H, W, C], y: [N, OH, OW, C].
template <typename Op>
static LogicalResult verifyPool(Op op, RankedTensorType x, RankedTensorType y) {
  if (x.getElementType() != y.getElementType() || !x.hasStaticShape() || !y.hasStaticShape())
    return op.emitOpError() << "image " << x << " and output " << y
                            << " must have one element type and static shapes";
  auto extents = windowResult(op, x.getShape().slice(1, 2), op.getKernel(), op.getStrides(),
                              op.getPadding(), {1, 1});
  if (failed(extents))
    return failure();
  // A window wholly within the padding would have no greatest element.
  for (int axis = 0; axis < 4; ++axis)
    if (op.getPadding()[axis] >= op.getKernel()[axis % 2])
      return op.emitOpError() << "padding [" << op.getPadding()
                              << "] must be smaller than the kernel [" << op.getKernel() << "]";
  int64_t expected[] = {x.getDimSize(0), (*extents)[0], (*extents)[1], x.getDimSize(3)};
  if (y.getShape() != ArrayRef<int64_t>(expected))
    return op.emitOpError() << "image " << x << " makes [" << ArrayRef<int64_t>(expected)
                            << "], the output is " << y;
  return success();
}

/// A place in a window is one byte; the workspace has one for each element of y.
template <typename Op>
static LogicalResult verifyWorkspace(Op op, RankedTensorType workspace, RankedTensorType y) {
  if (workspace.getShape() != y.getShape())
    return op.emitOpError() << "the workspace is " << workspace << ", the output is " << y
                            << ": the shapes differ";
  if (op.getKernel()[0] * op.getKernel()[1] > 256)
    return op.emitOpError() << "a window of " << op.getKernel()[0] * op.getKernel()[1]
                            << " places does not fit the workspace's byte, at most 256";
  return success();
}

LogicalResult MaxPool2DOp::verify() {
  auto y = typeOf(getResult());
  if (failed(verifyPool(*this, typeOf(getInput()), y)))
    return failure();
  return verifyWorkspace(*this, getWorkspace().getType(), y);
}
LogicalResult MaxPool2DBackwardOp::verify() {
  auto y = typeOf(getGradient());
  if (failed(verifyPool(*this, typeOf(getResult()), y)))
    return failure();
  return verifyWorkspace(*this, getWorkspace().getType(), y);
}
LogicalResult AvgPool2DOp::verify() {
  return verifyPool(*this, typeOf(getInput()), typeOf(getResult()));
}
LogicalResult AvgPool2DBackwardOp::verify() {
  return verifyPool(*this, typeOf(getResult()), typeOf(getGradient()));
}

/// x: [..., C]; per channel: [C]; statistics: [G, C].
template <typename Op>
static LogicalResult verifyBatchNorm(Op op, ValueRange ofInput, ValueRange ofChannel,
                                     ValueRange statistics) {
  auto x = typeOf(op.getInput());
  auto groups = static_cast<int64_t>(op.getGroups());
  if (x.getRank() < 2)
    return op.emitOpError() << "the input is " << x << ", but must have a batch and channels";
  if (groups < 1 || x.getDimSize(0) % groups != 0)
    return op.emitOpError() << groups << " groups do not divide the batch of " << x.getDimSize(0);
  Type element = x.getElementType();
  int64_t channels = x.getShape().back();
  auto channelType = RankedTensorType::get({channels}, element);
  auto statisticType = RankedTensorType::get({groups, channels}, element);
  auto check = [&](ValueRange values, RankedTensorType expected) -> LogicalResult {
    for (Value value : values)
      if (value.getType() != expected)
        return op.emitOpError() << "the input is " << x << " in " << groups
                                << " groups, which asks for " << expected << ", not "
                                << value.getType();
    return success();
  };
  return success(succeeded(check(ofInput, x)) && succeeded(check(ofChannel, channelType)) &&
                 succeeded(check(statistics, statisticType)));
}

LogicalResult BatchNormOp::verify() {
  return verifyBatchNorm(*this, getResult(), {getScale(), getBias()}, {getMean(), getVariance()});
}
LogicalResult BatchNormBackwardOp::verify() {
  return verifyBatchNorm(*this, {getGradient(), getInputGradient()},
                         {getScale(), getScaleGradient(), getBiasGradient()},
                         {getMean(), getVariance()});
}
