// Decomposes batch_norm and its derivative into reductions and element-wise operations, after which
// one fusion engine serves batch norm with whatever stands around it, in both directions. [..., C]
// is seen as [M, C], and as [G, M, C] where statistics are over G groups. Statistics are computed
// in f64, as their error is that of every element behind them; fusion makes both sums in one sweep.
// Elements are f32: x - mean comes first, which is exact where x is near the mean, while in
// x * a + (bias - mean * a) both terms lose what they have in common. What the mean loses as f32
// goes into the bias.
#include "passes/Expr.h"
#include "passes/Passes.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_DECOMPOSEBATCHNORM
#include "passes/Passes.h.inc"

namespace {

/// The shape in which a batch norm with its groups computes: statistics are [C], or [G, C], the
/// rest is summed.
struct Layout {
  SmallVector<int64_t> shape;  ///< of the data
  SmallVector<int64_t> stats;  ///< of mean and variance
  SmallVector<int64_t> summed; ///< dimensions of `shape` that the statistics lack
  SmallVector<int64_t> kept;   ///< the others: where the statistics broadcast to
  double count = 1;            ///< elements behind each statistic

  Layout(RankedTensorType type, int64_t groups) {
    int64_t channels = type.getShape().back();
    if (groups == 1) {
      shape.assign(type.getShape().begin(), type.getShape().end());
      stats = {channels};
      summed = allDims(type.getRank() - 1);
      kept = {type.getRank() - 1};
    } else {
      shape = {groups, type.getNumElements() / groups / channels, channels};
      stats = {groups, channels};
      summed = {1};
      kept = {0, 2};
    }
    for (int64_t dim : summed)
      count *= double(shape[dim]);
  }

  Expr everywhere(Expr statistic) const { return statistic.broadcast(shape, kept); }
  /// A vector [C] for each group.
  Expr perGroup(Expr vector) const { return vector.broadcast(stats, {int64_t(stats.size()) - 1}); }
  /// The sum over groups: [C].
  Expr overGroups(Expr statistic) const {
    return stats.size() == 1 ? statistic : statistic.sum({0});
  }
};

void decompose(nn::BatchNormOp op) {
  ImplicitLocOpBuilder builder(op.getLoc(), op);
  Layout layout(cast<RankedTensorType>(op.getInput().getType()), op.getGroups());
  auto statsShape = cast<RankedTensorType>(op.getMean().getType()).getShape();
  Expr x = Expr(builder, op.getInput()).reshape(layout.shape);
  Expr scale = layout.perGroup({builder, op.getScale()});
  Expr bias = layout.perGroup({builder, op.getBias()});

  Type element = x.type().getElementType();
  Expr exact = x.convert(builder.getF64Type());
  Expr mean = exact.sum(layout.summed) / layout.count;
  Expr centered = exact - layout.everywhere(mean);
  Expr variance = (centered * centered).sum(layout.summed) / layout.count;
  Expr rstd = rsqrt(variance + op.getEpsilon().convertToDouble()).convert(element);
  Expr rounded = mean.convert(element);
  Expr a = scale * rstd;
  Expr b = bias - (mean - rounded.convert(builder.getF64Type())).convert(element) * a;
  mean = rounded;
  variance = variance.convert(element);
  Expr y = (x - layout.everywhere(mean)) * layout.everywhere(a) + layout.everywhere(b);

  op.getResult().replaceAllUsesWith(
      y.reshape(cast<RankedTensorType>(op.getResult().getType()).getShape()));
  op.getMean().replaceAllUsesWith(mean.reshape(statsShape));
  op.getVariance().replaceAllUsesWith(variance.reshape(statsShape));
  op.erase();
}

void decompose(nn::BatchNormBackwardOp op) {
  ImplicitLocOpBuilder builder(op.getLoc(), op);
  Layout layout(cast<RankedTensorType>(op.getInput().getType()), op.getGroups());
  Expr x = Expr(builder, op.getInput()).reshape(layout.shape);
  Expr dy = Expr(builder, op.getGradient()).reshape(layout.shape);
  Expr mean = Expr(builder, op.getMean()).reshape(layout.stats);
  Expr variance = Expr(builder, op.getVariance()).reshape(layout.stats);
  Expr scale = layout.perGroup({builder, op.getScale()});

  Expr rstd = rsqrt(variance + op.getEpsilon().convertToDouble());
  Expr normalized = (x - layout.everywhere(mean)) * layout.everywhere(rstd);
  Expr biasGradient = dy.sum(layout.summed);
  Expr scaleGradient = (dy * normalized).sum(layout.summed);
  Expr projected = layout.everywhere(biasGradient / layout.count) +
                   normalized * layout.everywhere(scaleGradient / layout.count);
  Expr inputGradient = layout.everywhere(scale * rstd) * (dy - projected);

  op.getInputGradient().replaceAllUsesWith(
      inputGradient.reshape(cast<RankedTensorType>(op.getInputGradient().getType()).getShape()));
  op.getScaleGradient().replaceAllUsesWith(layout.overGroups(scaleGradient));
  op.getBiasGradient().replaceAllUsesWith(layout.overGroups(biasGradient));
  op.erase();
}

struct DecomposeBatchNorm : impl::DecomposeBatchNormBase<DecomposeBatchNorm> {
  void runOnOperation() override {
    getOperation().walk([](Operation *op) {
      if (auto forward = dyn_cast<nn::BatchNormOp>(op))
        decompose(forward);
      else if (auto backward = dyn_cast<nn::BatchNormBackwardOp>(op))
        decompose(backward);
    });
  }
};

} // namespace
} // namespace doppel
