// The table of derivatives. dy is the gradient of the operation's result y; each rule gives the
// gradient of an operand. What has no derivative but zero says so in NnOps.td. Ties: max, min,
// reductions and pooling give the gradient to the first of equals; relu and abs give 0 at 0.
#include "passes/DerivativeRules.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "llvm/ADT/StringMap.h"

#include <cmath>
#include <numbers>

using namespace mlir;

namespace doppel {
namespace {

using nn::ReduceKind;

//===-- Rules longer than a line --------------------------------------------------------------===//

/// The gradient goes to the first place, in row-major order of the reduced dimensions, that holds
/// the extreme value.
Expr reduceExtremeRule(nn::ReduceOp op, Expr x, Expr y, Expr dy) {
  ArrayRef<int64_t> dims = op.getDims(), shape = x.shape();
  RankedTensorType placeType = x.typeWith(x.b().getI32Type());
  Expr place = x.full(placeType, 0);
  int64_t stride = 1;
  for (int64_t dim : llvm::reverse(dims)) {
    Expr index(x.b(), nn::IotaOp::create(x.b(), placeType, dim));
    place = place + index * double(stride);
    stride *= shape[dim];
  }
  Expr extreme = x == y.expand(shape, dims);
  Expr first = extreme.select(place, place.full(double(stride))).reduce(ReduceKind::Min, dims);
  return (place == first.expand(shape, dims)).select(dy.expand(shape, dims), x.full(0));
}

/// a: [M, K] or its transpose, b: [K, N] or its transpose, with or without a batch.
void matmulRule(nn::MatmulOp op, Adjoints &adjoints) {
  Value a = op.getLhs(), b = op.getRhs(), dy = adjoints.of(op.getResult());
  bool ta = op.getTransposeLhs(), tb = op.getTransposeRhs();
  auto product = [&](Value like, Value x, Value y, bool tx, bool ty) {
    adjoints.add(like, nn::MatmulOp::create(adjoints.builder, like.getType(), x, y, tx, ty,
                                            op.getPrecision()));
  };
  if (adjoints.wants(a)) // dy b^T, or its transpose b dy^T
    ta ? product(a, b, dy, tb, true) : product(a, dy, b, false, !tb);
  if (adjoints.wants(b)) // a^T dy, or its transpose dy^T a
    tb ? product(b, dy, a, true, ta) : product(b, a, dy, !ta, false);
}

void conv2dRule(nn::Conv2DOp op, Adjoints &adjoints) {
  Value x = op.getInput(), w = op.getWeight(), dy = adjoints.of(op.getResult());
  if (adjoints.wants(x))
    adjoints.add(x, nn::Conv2DBackwardDataOp::create(adjoints.builder, x.getType(), dy, w,
                                                     op.getStrides(), op.getPadding(),
                                                     op.getDilations(), op.getGroups(),
                                                     op.getChannelsLast(), op.getPrecision()));
  if (adjoints.wants(w))
    adjoints.add(w, nn::Conv2DBackwardWeightsOp::create(adjoints.builder, w.getType(), x, dy,
                                                        op.getStrides(), op.getPadding(),
                                                        op.getDilations(), op.getGroups(),
                                                        op.getChannelsLast(), op.getPrecision()));
}

void batchNormRule(nn::BatchNormOp op, Adjoints &adjoints) {
  auto backward = nn::BatchNormBackwardOp::create(
      adjoints.builder, op.getInput().getType(), op.getScale().getType(), op.getBias().getType(),
      op.getInput(), op.getScale(), op.getMean(), op.getVariance(), adjoints.of(op.getResult()),
      op.getEpsilon(), op.getGroups());
  for (auto [operand, gradient] : llvm::zip_equal(op->getOperands(), backward->getResults()))
    if (adjoints.wants(operand))
      adjoints.add(operand, gradient);
}

void concatRule(nn::ConcatOp op, Adjoints &adjoints) {
  Expr dy = adjoints.of(op.getResult());
  SmallVector<int64_t> offsets(dy.rank(), 0), ones(dy.rank(), 1);
  for (Value input : op.getInputs()) {
    ArrayRef<int64_t> shape = cast<RankedTensorType>(input.getType()).getShape();
    if (adjoints.wants(input))
      adjoints.add(input, dy.slice(shape, offsets, ones));
    offsets[op.getAxis()] += shape[op.getAxis()];
  }
}

/// rows[i] reaches the result unless a later row was written over it: of equal indices only the
/// last has a gradient.
void scatterRowsRule(nn::ScatterRowsOp op, Adjoints &adjoints) {
  Expr dy = adjoints.of(op.getResult());
  Value table = op.getTable(), rows = op.getRows(), indices = op.getIndices();
  auto gather = [&](Expr from, RankedTensorType type) {
    return Expr(from.b(), nn::GatherRowsOp::create(from.b(), type, from.value(), indices));
  };
  auto rowsType = cast<RankedTensorType>(rows.getType());
  if (adjoints.wants(table)) {
    Expr kept = dy;
    if (!op.getAccumulate())
      kept = Expr(dy.b(), nn::ScatterRowsOp::create(dy.b(), dy.type(), dy.value(), indices,
                                                    dy.full(rowsType, 0).value(), false));
    adjoints.add(table, kept);
  }
  if (!adjoints.wants(rows))
    return;
  Expr gradient = gather(dy, rowsType);
  if (!op.getAccumulate()) {
    Type i32 = dy.b().getI32Type();
    auto placeType = RankedTensorType::get({rowsType.getDimSize(0)}, i32);
    Expr place(dy.b(), nn::IotaOp::create(dy.b(), placeType, 0));
    Expr none = dy.full(RankedTensorType::get({dy.shape()[0]}, i32), 0);
    Expr last(dy.b(), nn::ScatterRowsOp::create(dy.b(), none.type(), none.value(), indices,
                                                place.value(), false));
    gradient = (place == gather(last, placeType))
                   .broadcast(rowsType.getShape(), {0})
                   .select(gradient, gradient.full(0));
  }
  adjoints.add(rows, gradient);
}

/// The rows stand from (step * N) mod K = (step mod K / N) * N on, which is exact in f32 for every
/// queue below 2^24 rows.
void enqueueRule(nn::EnqueueOp op, Adjoints &adjoints) {
  Expr dy = adjoints.of(op.getResult());
  auto rowsType = cast<RankedTensorType>(op.getRows().getType());
  int64_t n = rowsType.getDimSize(0), k = dy.shape()[0];
  if (adjoints.wants(op.getQueue()))
    adjoints.add(op.getQueue(), nn::EnqueueOp::create(dy.b(), dy.type(), dy.value(),
                                                      dy.full(rowsType, 0).value()));
  if (!adjoints.wants(op.getRows()))
    return;
  auto scalar = RankedTensorType::get({}, dy.b().getF32Type());
  Expr step(dy.b(), nn::RunScalarOp::create(dy.b(), scalar, nn::RunValue::Step));
  Expr begin = step.make<nn::RemOp>(step.full(double(k / n)).value()) * double(n);
  Expr first = begin.convert(dy.b().getI32Type()).splat({n});
  Expr index = first + Expr(dy.b(), nn::IotaOp::create(dy.b(), first.type(), 0));
  adjoints.add(op.getRows(), nn::GatherRowsOp::create(dy.b(), rowsType, dy.value(), index.value()));
}

//===-- The table -----------------------------------------------------------------------------===//

class Table {
public:
  Table();
  llvm::StringMap<Derivative> entries;

private:
  template <typename Op, typename F> void rule(F function) {
    entries[Op::getOperationName()] = {Derivative::Rule, [=](Operation *op, Adjoints &adjoints) {
                                         function(cast<Op>(op), adjoints);
                                       }};
  }
  /// One operand x, one result y: `dx` gives its gradient.
  template <typename Op, typename F> void unary(F dx) {
    rule<Op>([=](Op op, Adjoints &g) {
      Value x = op->getOperand(0), y = op->getResult(0);
      g.add(x, dx(g.expr(x), g.expr(y), g.of(y)));
    });
  }
  /// The same for a rule that needs the operation's attributes.
  template <typename Op, typename F> void unaryOf(F dx) {
    rule<Op>([=](Op op, Adjoints &g) {
      Value x = op->getOperand(0), y = op->getResult(0);
      g.add(x, dx(op, g.expr(x), g.expr(y), g.of(y)));
    });
  }
  /// Two operands a and b, one result y.
  template <typename Op, typename F, typename G> void binary(F da, G db) {
    rule<Op>([=](Op op, Adjoints &g) {
      Value a = op.getLhs(), b = op.getRhs(), y = op.getResult();
      if (g.wants(a))
        g.add(a, da(g.expr(a), g.expr(b), g.expr(y), g.of(y)));
      if (g.wants(b))
        g.add(b, db(g.expr(a), g.expr(b), g.expr(y), g.of(y)));
    });
  }
};

Expr choose(Expr condition, Expr value) { return condition.select(value, value.full(0)); }

// clang-format off
Table::Table() {
  using namespace nn;
  using E = Expr;
  constexpr double twoBySqrtPi = 2 * std::numbers::inv_sqrtpi;

  // op               gradient of x, given dy
  unary<NegOp>    ([](E x, E y, E dy) { return -dy; });
  unary<ExpOp>    ([](E x, E y, E dy) { return dy * y; });
  unary<LogOp>    ([](E x, E y, E dy) { return dy / x; });
  unary<SqrtOp>   ([](E x, E y, E dy) { return dy * 0.5 / y; });
  unary<RsqrtOp>  ([](E x, E y, E dy) { return dy * -0.5 * (y * y * y); });
  unary<TanhOp>   ([](E x, E y, E dy) { return dy * (1 - y * y); });
  unary<SigmoidOp>([](E x, E y, E dy) { return dy * (y * (1 - y)); });
  unary<ErfOp>    ([](E x, E y, E dy) { return dy * (twoBySqrtPi * exp(-(x * x))); });
  unary<SinOp>    ([](E x, E y, E dy) { return dy * cos(x); });
  unary<CosOp>    ([](E x, E y, E dy) { return -(dy * sin(x)); });
  unary<ReluOp>   ([](E x, E y, E dy) { return choose(y > 0.0, dy); });
  unary<AbsOp>    ([](E x, E y, E dy) { return (x > 0.0).select(dy, choose(x < 0.0, -dy)); });
  unary<ConvertOp>([](E x, E y, E dy) { return dy.convert(x.type().getElementType()); });

  // op               gradient of a                                     gradient of b
  binary<AddOp>   ([](E a, E b, E y, E dy) { return dy; },              [](E a, E b, E y, E dy) { return dy; });
  binary<SubOp>   ([](E a, E b, E y, E dy) { return dy; },              [](E a, E b, E y, E dy) { return -dy; });
  binary<MulOp>   ([](E a, E b, E y, E dy) { return dy * b; },          [](E a, E b, E y, E dy) { return dy * a; });
  binary<DivOp>   ([](E a, E b, E y, E dy) { return dy / b; },          [](E a, E b, E y, E dy) { return -(dy * y / b); });
  binary<RemOp>   ([](E a, E b, E y, E dy) { return dy; },              [](E a, E b, E y, E dy) { return -(dy * floor(a / b)); });
  binary<MaxOp>   ([](E a, E b, E y, E dy) { return choose(a >= b, dy); }, [](E a, E b, E y, E dy) { return choose(a < b, dy); });
  binary<MinOp>   ([](E a, E b, E y, E dy) { return choose(a <= b, dy); }, [](E a, E b, E y, E dy) { return choose(a > b, dy); });
  binary<PowOp>   ([](E a, E b, E y, E dy) { return dy * b * pow(a, b - 1); },
                   [](E a, E b, E y, E dy) { return choose(a > 0.0, dy * y * log(a)); }); // 0^b is 0 for every b > 0
  rule<MatmulOp>(matmulRule);

  rule<SelectOp>([](SelectOp op, Adjoints &g) {
    E dy = g.of(op.getResult()), c = g.expr(op.getCondition());
    if (g.wants(op.getOnTrue()))  g.add(op.getOnTrue(), choose(c, dy));
    if (g.wants(op.getOnFalse())) g.add(op.getOnFalse(), c.select(dy.full(0), dy));
  });

  // Shape: the gradient takes the way back.
  unary<ReshapeOp>    ([](E x, E y, E dy) { return dy.reshape(x.shape()); });
  unaryOf<TransposeOp>([](TransposeOp op, E x, E y, E dy) { return dy.transpose(invertPermutationVector(op.getPermutation())); });
  unaryOf<BroadcastOp>([](BroadcastOp op, E x, E y, E dy) {
    SmallVector<int64_t> repeated = llvm::filter_to_vector(allDims(y.rank()), [&](int64_t dim) { return !llvm::is_contained(op.getDims(), dim); });
    return dy.sum(repeated);
  });
  unaryOf<SliceOp>    ([](SliceOp op, E x, E y, E dy) { return E(dy.b(), PadOp::create(dy.b(), x.type(), dy.value(), op.getOffsets(), op.getStrides())); });
  rule<ConcatOp>(concatRule);

  unaryOf<ReduceOp>([](ReduceOp op, E x, E y, E dy) {
    return op.getKind() == ReduceKind::Sum ? dy.expand(x.shape(), op.getDims()) : reduceExtremeRule(op, x, y, dy);
  });

  // Images.
  rule<Conv2DOp>(conv2dRule);
  rule<BatchNormOp>(batchNormRule);
  unaryOf<MaxPool2DOp>([](MaxPool2DOp op, E x, E y, E dy) {
    return E(dy.b(), MaxPool2DBackwardOp::create(dy.b(), x.type(), dy.value(), op.getWorkspace(), op.getKernel(), op.getStrides(), op.getPadding()));
  });
  unaryOf<AvgPool2DOp>([](AvgPool2DOp op, E x, E y, E dy) {
    return E(dy.b(), AvgPool2DBackwardOp::create(dy.b(), x.type(), dy.value(), op.getKernel(), op.getStrides(), op.getPadding()));
  });

  // Rows of tables.
  unaryOf<GatherRowsOp>([](GatherRowsOp op, E x, E y, E dy) {
    return E(dy.b(), ScatterRowsOp::create(dy.b(), x.type(), x.full(0).value(), op.getIndices(), dy.value(), true));
  });
  rule<ScatterRowsOp>(scatterRowsRule);
  rule<EnqueueOp>(enqueueRule);

  // Collectives. The step's gradients are those of the sum of all ranks' losses, whose mean the optimizer takes.
  rule<AllReduceOp>([](AllReduceOp op, Adjoints &g) {
    g.add(op.getInput(), AllReduceOp::create(g.builder, op.getInput().getType(), g.of(op.getResult()).value()));
  });
  rule<AllGatherOp>([](AllGatherOp op, Adjoints &g) {
    g.add(op.getInput(), ReduceScatterOp::create(g.builder, op.getInput().getType(), g.of(op.getResult()).value()));
  });
  rule<ReduceScatterOp>([](ReduceScatterOp op, Adjoints &g) {
    g.add(op.getInput(), AllGatherOp::create(g.builder, op.getInput().getType(), g.of(op.getResult()).value()));
  });
}
// clang-format on

} // namespace

void Adjoints::add(Value value, Value gradient) {
  Value &sum = gradients[value];
  sum = sum ? nn::AddOp::create(builder, sum, gradient).getResult() : gradient;
}

const Derivative &getDerivative(OperationName name) {
  static const Table table;
  static const Derivative none, zero{Derivative::Zero, {}};
  if (name.hasTrait<nn::ZeroDerivative>())
    return zero;
  auto entry = table.entries.find(name.getStringRef());
  return entry == table.entries.end() ? none : entry->second;
}

bool isDifferentiable(OpResult result) {
  if (isa<nn::BatchNormOp>(result.getOwner()) && result.getResultNumber() != 0)
    return false;
  auto type = dyn_cast<RankedTensorType>(result.getType());
  return type && isa<FloatType>(type.getElementType());
}

} // namespace doppel
