// Brings the operands of convolutions into the order and the multiples of channels that the
// target's library has its fast kernels for. After this pass every convolution of a target that
// wants its filters channels-last has them so; states and checkpoints keep the order of the
// language.
#include "dialects/plan/Machine.h"
#include "passes/Expr.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_LAYOUTCONVOLUTIONS
#include "passes/Passes.h.inc"

namespace {

constexpr int64_t toLast[] = {0, 2, 3, 1}, toSecond[] = {0, 3, 1, 2};

/// The operands of one convolution in their new form.
class Layout {
public:
  Layout(ImplicitLocOpBuilder &builder, const plan::Machine &machine, int64_t groups)
      : builder(builder), machine(machine), groups(groups) {}

  int64_t padded(int64_t channels) const {
    return groups > 1 ? channels : llvm::alignTo(channels, machine.channelMultiple);
  }
  /// x [N, H, W, I], with zeros behind its channels.
  Expr image(Value x) const { return pad({builder, x}); }
  /// w [O, I, KH, KW] as [O, KH, KW, I], with zeros behind its channels.
  Expr filters(Value w) const { return pad(Expr(builder, w).transpose(toLast)); }
  RankedTensorType imageType(RankedTensorType x) const { return widened(x); }
  RankedTensorType filtersType(RankedTensorType w) const {
    SmallVector<int64_t> shape;
    for (int64_t dim : toLast)
      shape.push_back(w.getDimSize(dim));
    return widened(RankedTensorType::get(shape, w.getElementType()));
  }
  /// The first `channels` of what a convolution gives.
  Expr cut(Value value, int64_t channels) const {
    Expr wide(builder, value);
    SmallVector<int64_t> shape(wide.shape());
    shape.back() = channels;
    return wide.slice(shape, {0, 0, 0, 0}, {1, 1, 1, 1});
  }

private:
  RankedTensorType widened(RankedTensorType type) const {
    SmallVector<int64_t> shape(type.getShape());
    shape.back() = padded(shape.back());
    return RankedTensorType::get(shape, type.getElementType());
  }
  Expr pad(Expr value) const {
    RankedTensorType wide = widened(value.type());
    if (wide == value.type())
      return value;
    return {builder, nn::PadOp::create(builder, wide, value, ArrayRef<int64_t>{0, 0, 0, 0},
                                       ArrayRef<int64_t>{1, 1, 1, 1})};
  }

  ImplicitLocOpBuilder &builder;
  const plan::Machine &machine;
  int64_t groups;
};

/// Replaces `op`, whose operands and results `make` gives.
template <typename Op>
void layOut(Op op, const plan::Machine &machine,
            llvm::function_ref<Value(Op, ImplicitLocOpBuilder &, const Layout &)> make) {
  if (op.getChannelsLast())
    return;
  ImplicitLocOpBuilder builder(op.getLoc(), op);
  Value value = make(op, builder, Layout(builder, machine, op.getGroups()));
  op.getResult().replaceAllUsesWith(value);
  op.erase();
}

/// The convolution `op` again, channels-last.
template <typename Op>
Value again(Op op, ImplicitLocOpBuilder &builder, RankedTensorType type, Value first,
            Value second) {
  return Op::create(builder, type, first, second, op.getStrides(), op.getPadding(),
                    op.getDilations(), op.getGroups(), /*channels_last=*/true, op.getPrecision());
}

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

struct LayOutConvolutions : impl::LayOutConvolutionsBase<LayOutConvolutions> {
  void runOnOperation() override {
    FailureOr<plan::Machine> machine = plan::machineOf(getOperation());
    if (failed(machine))
      return signalPassFailure();
    if (!machine->filtersChannelsLast)
      return;
    SmallVector<Operation *> convolutions;
    getOperation().walk([&](Operation *op) {
      if (isa<nn::Conv2DOp, nn::Conv2DBackwardDataOp, nn::Conv2DBackwardWeightsOp>(op))
        convolutions.push_back(op);
    });
    for (Operation *op : convolutions) {
      if (auto conv = dyn_cast<nn::Conv2DOp>(op))
        layOut<nn::Conv2DOp>(conv, *machine, [](auto conv, auto &builder, const Layout &layout) {
          return again(conv, builder, conv.getType(), layout.image(conv.getInput()),
                       layout.filters(conv.getWeight()));
        });
      else if (auto data = dyn_cast<nn::Conv2DBackwardDataOp>(op))
        layOut<nn::Conv2DBackwardDataOp>(
            data, *machine, [](auto data, auto &builder, const Layout &layout) -> Value {
              RankedTensorType x = typeOf(data.getResult());
              Value dx = again(data, builder, layout.imageType(x), data.getGradient(),
                               layout.filters(data.getWeight()));
              return layout.cut(dx, x.getDimSize(3));
            });
      else
        layOut<nn::Conv2DBackwardWeightsOp>(
            cast<nn::Conv2DBackwardWeightsOp>(op), *machine,
            [](auto weights, auto &builder, const Layout &layout) -> Value {
              RankedTensorType w = typeOf(weights.getResult());
              Value dw = again(weights, builder, layout.filtersType(w),
                               layout.image(weights.getInput()), weights.getGradient());
              return layout.cut(dw, w.getDimSize(1)).transpose(toSecond);
            });
    }
  }
};

} // namespace

} // namespace doppel
