// Pools as element-wise operations over shifted views of the image, for targets whose library has
// no deterministic ones: a kernel reads the places of a window from its cache. After this pass a
// function of such a target has no pool. `workspace` becomes the place's number as i32.
#include "dialects/plan/Machine.h"
#include "passes/Expr.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_DECOMPOSEPOOLS
#include "passes/Passes.h.inc"

namespace {

/// The windows of one pool between an image [N, H, W, C] and its result [N, OH, OW, C].
template <typename Op> class Windows {
public:
  Windows(Op op, ImplicitLocOpBuilder &builder, RankedTensorType image, RankedTensorType result)
      : op(op), builder(builder), image(image), result(result), padded(image.getShape()) {
    ArrayRef<int64_t> padding = op.getPadding();
    padded[1] += padding[0] + padding[2];
    padded[2] += padding[1] + padding[3];
  }

  int64_t height() const { return op.getKernel()[0]; }
  int64_t width() const { return op.getKernel()[1]; }
  int64_t places() const { return height() * width(); }
  bool hasPadding() const { return ArrayRef(padded) != image.getShape(); }

  /// The image with zeros around it.
  Expr surrounded(Expr x) const {
    if (!hasPadding())
      return x;
    return {builder, nn::PadOp::create(builder, x.typeWith(padded), x, corner(),
                                       ArrayRef<int64_t>{1, 1, 1, 1})};
  }
  /// What the windows of the result have at (ky, kx), of a surrounded image.
  Expr at(Expr x, int64_t ky, int64_t kx) const {
    return x.slice(result.getShape(), {0, ky, kx, 0},
                   {1, op.getStrides()[0], op.getStrides()[1], 1});
  }
  /// The derivative of `at`.
  Expr back(Expr dy, int64_t ky, int64_t kx) const {
    return {builder,
            nn::PadOp::create(builder, dy.typeWith(padded), dy, ArrayRef<int64_t>{0, ky, kx, 0},
                              ArrayRef<int64_t>{1, op.getStrides()[0], op.getStrides()[1], 1})};
  }
  /// The derivative of `surrounded`.
  Expr inside(Expr dx) const { return dx.slice(image.getShape(), corner(), {1, 1, 1, 1}); }

private:
  SmallVector<int64_t> corner() const { return {0, op.getPadding()[0], op.getPadding()[1], 0}; }

  mutable Op op; ///< MLIR reads attributes through what is not const
  ImplicitLocOpBuilder &builder;
  RankedTensorType image, result;
  SmallVector<int64_t> padded;
};

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// The greatest of each window and its place, of equals the first; a NaN is greater than all.
std::pair<Value, Value> greatest(nn::MaxPool2DOp op, ImplicitLocOpBuilder &builder) {
  Windows windows(op, builder, typeOf(op.getInput()), typeOf(op.getResult()));
  Expr x(builder, op.getInput());
  Expr around = windows.surrounded(x), isInside;
  if (windows.hasPadding())
    isInside = windows.surrounded(x.full(1.0));
  auto at = [&](int64_t ky, int64_t kx) {
    Expr value = windows.at(around, ky, kx);
    if (!isInside)
      return value;
    return (windows.at(isInside, ky, kx) > 0.0)
        .select(value, value.full(-std::numeric_limits<double>::infinity()));
  };
  Expr most = at(0, 0);
  RankedTensorType i32 = most.typeWith(builder.getI32Type());
  Expr place = most.full(i32, 0);
  for (int64_t number = 1; number < windows.places(); ++number) {
    Expr value = at(number / windows.width(), number % windows.width());
    Expr isGreater = value > most;
    Expr isNan = value.compare(nn::ComparePredicate::NE, value);
    Expr takes{builder, nn::OrOp::create(builder, isGreater.type(), isGreater, isNan)};
    most = takes.select(value, most);
    place = takes.select(most.full(i32, double(number)), place);
  }
  return {most, place};
}

Value greatestBack(nn::MaxPool2DBackwardOp op, Value place, ImplicitLocOpBuilder &builder) {
  Windows windows(op, builder, typeOf(op.getResult()), typeOf(op.getGradient()));
  Expr dy(builder, op.getGradient()), where(builder, place), sum;
  for (int64_t number = 0; number < windows.places(); ++number) {
    Expr own = (where == where.full(double(number))).select(dy, dy.full(0.0));
    Expr part = windows.back(own, number / windows.width(), number % windows.width());
    sum = sum ? sum + part : part;
  }
  return windows.inside(sum);
}

// Means are sums along the height, then along the width: KH + KW terms, not KH * KW. Both steps are
// windows of the same pool with one side of its kernel 1.

Value mean(nn::AvgPool2DOp op, ImplicitLocOpBuilder &builder) {
  Windows windows(op, builder, typeOf(op.getInput()), typeOf(op.getResult()));
  Expr x = windows.surrounded({builder, op.getInput()}), rows, all;
  ArrayRef<int64_t> result = typeOf(op.getResult()).getShape();
  for (int64_t ky = 0; ky < windows.height(); ++ky) {
    Expr part = x.slice({result[0], result[1], x.shape()[2], result[3]}, {0, ky, 0, 0},
                        {1, op.getStrides()[0], 1, 1});
    rows = rows ? rows + part : part;
  }
  for (int64_t kx = 0; kx < windows.width(); ++kx) {
    Expr part = rows.slice(result, {0, 0, kx, 0}, {1, 1, op.getStrides()[1], 1});
    all = all ? all + part : part;
  }
  return all * (1.0 / double(windows.places()));
}

Value meanBack(nn::AvgPool2DBackwardOp op, ImplicitLocOpBuilder &builder) {
  Windows windows(op, builder, typeOf(op.getResult()), typeOf(op.getGradient()));
  Expr dy = Expr(builder, op.getGradient()) * (1.0 / double(windows.places())), rows, all;
  Expr wide =
      windows.surrounded({builder, nn::ConstantOp::create(builder, typeOf(op.getResult()), 0.0)});
  ArrayRef<int64_t> padded = wide.shape(), small = dy.shape();
  auto spread = [&](Expr value, ArrayRef<int64_t> shape, ArrayRef<int64_t> offsets,
                    ArrayRef<int64_t> strides) -> Expr {
    return {builder, nn::PadOp::create(builder, value.typeWith(shape), value, offsets, strides)};
  };
  for (int64_t kx = 0; kx < windows.width(); ++kx) {
    Expr part = spread(dy, {small[0], small[1], padded[2], small[3]}, {0, 0, kx, 0},
                       {1, 1, op.getStrides()[1], 1});
    rows = rows ? rows + part : part;
  }
  for (int64_t ky = 0; ky < windows.height(); ++ky) {
    Expr part = spread(rows, padded, {0, ky, 0, 0}, {1, op.getStrides()[0], 1, 1});
    all = all ? all + part : part;
  }
  return windows.inside(all);
}

struct DecomposePools : impl::DecomposePoolsBase<DecomposePools> {
  void runOnOperation() override {
    FailureOr<plan::Machine> machine = plan::machineOf(getOperation());
    if (failed(machine))
      return signalPassFailure();
    if (machine->poolsAreCalls)
      return;
    SmallVector<Operation *> pools;
    getOperation().walk([&](Operation *op) {
      if (isa<nn::MaxPool2DOp, nn::MaxPool2DBackwardOp, nn::AvgPool2DOp, nn::AvgPool2DBackwardOp>(
              op))
        pools.push_back(op);
    });
    llvm::DenseMap<Value, Value> places; ///< by workspace
    for (Operation *pool : pools) {
      ImplicitLocOpBuilder builder(pool->getLoc(), pool);
      Value value;
      if (auto op = dyn_cast<nn::MaxPool2DOp>(pool)) {
        std::tie(value, places[op.getWorkspace()]) = greatest(op, builder);
      } else if (auto op = dyn_cast<nn::MaxPool2DBackwardOp>(pool)) {
        Value place = places.lookup(op.getWorkspace());
        if (!place) {
          op.emitError("its workspace is not of a max_pool2d of this function");
          return signalPassFailure();
        }
        value = greatestBack(op, place, builder);
      } else if (auto op = dyn_cast<nn::AvgPool2DOp>(pool)) {
        value = mean(op, builder);
      } else {
        value = meanBack(cast<nn::AvgPool2DBackwardOp>(pool), builder);
      }
      pool->getResult(0).replaceAllUsesWith(value);
    }
    for (Operation *pool : llvm::reverse(pools))
      pool->erase();
  }
};

} // namespace

} // namespace doppel
