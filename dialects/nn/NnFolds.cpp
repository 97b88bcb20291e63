// Folders: constants (splats, of any shape at no cost), and identities that hold for every value,
// NaN and infinities included (so x * 0 stays). The sign of a zero is the one thing that a fold may
// change (x + 0).
#include "dialects/nn/NnDialect.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

#include <cmath>

using namespace mlir;
using namespace doppel::nn;

//===- Splats ---------------------------------------------------------------------------------===//

static SplatElementsAttr splatOf(Attribute attribute) {
  return dyn_cast_or_null<SplatElementsAttr>(attribute);
}

static std::optional<double> floatOf(Attribute attribute) {
  auto splat = splatOf(attribute);
  if (!splat || !isa<FloatType>(splat.getElementType()))
    return std::nullopt;
  APFloat value = splat.getSplatValue<APFloat>();
  bool loses;
  value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &loses);
  return value.convertToDouble();
}

/// Of i1, 0 or 1.
static std::optional<int64_t> integerOf(Attribute attribute) {
  auto splat = splatOf(attribute);
  if (!splat || !isa<IntegerType>(splat.getElementType()))
    return std::nullopt;
  APInt value = splat.getSplatValue<APInt>();
  return value.getBitWidth() == 1 ? int64_t(value.getZExtValue()) : value.getSExtValue();
}

static DenseElementsAttr splat(Type type, double value) {
  auto shaped = cast<RankedTensorType>(type);
  return DenseElementsAttr::get(shaped,
                                {Attribute(FloatAttr::get(shaped.getElementType(), value))});
}

static DenseElementsAttr splatInteger(Type type, int64_t value) {
  auto shaped = cast<RankedTensorType>(type);
  unsigned width = shaped.getElementType().getIntOrFloatBitWidth();
  return DenseElementsAttr::get(shaped, APInt(width, static_cast<uint64_t>(value),
                                              /*isSigned=*/true, /*implicitTrunc=*/true));
}

static bool isSplatOf(Attribute attribute, double value) {
  if (auto number = floatOf(attribute))
    return *number == value;
  if (auto number = integerOf(attribute))
    return static_cast<double>(*number) == value;
  return false;
}

/// Computes in double, also for f32: the result is rounded once.
template <typename Function>
static OpFoldResult foldFloat(Attribute input, Type result, Function function) {
  if (auto value = floatOf(input))
    return splat(result, function(*value));
  return {};
}

template <typename Function>
static OpFoldResult foldFloats(Attribute lhs, Attribute rhs, Type result, Function function) {
  auto x = floatOf(lhs), y = floatOf(rhs);
  return x && y ? OpFoldResult(splat(result, function(*x, *y))) : OpFoldResult();
}

template <typename Function>
static OpFoldResult foldIntegers(Attribute lhs, Attribute rhs, Type result, Function function) {
  auto x = integerOf(lhs), y = integerOf(rhs);
  return x && y ? OpFoldResult(splatInteger(result, function(*x, *y))) : OpFoldResult();
}

//===- Element by element ---------------------------------------------------------------------===//

OpFoldResult NegOp::fold(FoldAdaptor adaptor) {
  if (auto inner = getInput().getDefiningOp<NegOp>())
    return inner.getInput();
  if (auto value = integerOf(adaptor.getInput()))
    return splatInteger(getType(), static_cast<int64_t>(-static_cast<uint64_t>(*value)));
  return foldFloat(adaptor.getInput(), getType(), [](double x) { return -x; });
}
OpFoldResult ExpOp::fold(FoldAdaptor adaptor) {
  return foldFloat(adaptor.getInput(), getType(), [](double x) { return std::exp(x); });
}
OpFoldResult LogOp::fold(FoldAdaptor adaptor) {
  return foldFloat(adaptor.getInput(), getType(), [](double x) { return std::log(x); });
}
OpFoldResult SqrtOp::fold(FoldAdaptor adaptor) {
  return foldFloat(adaptor.getInput(), getType(), [](double x) { return std::sqrt(x); });
}
OpFoldResult RsqrtOp::fold(FoldAdaptor adaptor) {
  return foldFloat(adaptor.getInput(), getType(), [](double x) { return 1 / std::sqrt(x); });
}
OpFoldResult TanhOp::fold(FoldAdaptor adaptor) {
  return foldFloat(adaptor.getInput(), getType(), [](double x) { return std::tanh(x); });
}
OpFoldResult SigmoidOp::fold(FoldAdaptor adaptor) {
  return foldFloat(adaptor.getInput(), getType(), [](double x) { return 1 / (1 + std::exp(-x)); });
}
OpFoldResult ErfOp::fold(FoldAdaptor adaptor) {
  return foldFloat(adaptor.getInput(), getType(), [](double x) { return std::erf(x); });
}
OpFoldResult AbsOp::fold(FoldAdaptor adaptor) {
  if (getInput().getDefiningOp<AbsOp>())
    return getInput();
  if (auto value = integerOf(adaptor.getInput()))
    return splatInteger(getType(),
                        *value < 0 ? static_cast<int64_t>(-static_cast<uint64_t>(*value)) : *value);
  return foldFloat(adaptor.getInput(), getType(), [](double x) { return std::abs(x); });
}
OpFoldResult SinOp::fold(FoldAdaptor adaptor) {
  return foldFloat(adaptor.getInput(), getType(), [](double x) { return std::sin(x); });
}
OpFoldResult CosOp::fold(FoldAdaptor adaptor) {
  return foldFloat(adaptor.getInput(), getType(), [](double x) { return std::cos(x); });
}
OpFoldResult FloorOp::fold(FoldAdaptor adaptor) {
  if (getInput().getDefiningOp<FloorOp>())
    return getInput();
  return foldFloat(adaptor.getInput(), getType(), [](double x) { return std::floor(x); });
}
OpFoldResult ReluOp::fold(FoldAdaptor adaptor) {
  if (getInput().getDefiningOp<ReluOp>())
    return getInput();
  return foldFloat(adaptor.getInput(), getType(), [](double x) { return x < 0 ? 0 : x; });
}
OpFoldResult NotOp::fold(FoldAdaptor adaptor) {
  if (auto inner = getInput().getDefiningOp<NotOp>())
    return inner.getInput();
  if (auto value = integerOf(adaptor.getInput()))
    return splatInteger(getType(), !*value);
  return {};
}
OpFoldResult StopGradientOp::fold(FoldAdaptor adaptor) {
  if (getInput().getDefiningOp<StopGradientOp>())
    return getInput();
  return adaptor.getInput(); // a constant has no gradient to stop
}

OpFoldResult AddOp::fold(FoldAdaptor adaptor) {
  if (isSplatOf(adaptor.getRhs(), 0))
    return getLhs();
  if (isSplatOf(adaptor.getLhs(), 0))
    return getRhs();
  if (auto folded = foldIntegers(adaptor.getLhs(), adaptor.getRhs(), getType(), [](auto x, auto y) {
        return static_cast<int64_t>(static_cast<uint64_t>(x) + static_cast<uint64_t>(y));
      }))
    return folded;
  return foldFloats(adaptor.getLhs(), adaptor.getRhs(), getType(), std::plus<double>());
}
OpFoldResult SubOp::fold(FoldAdaptor adaptor) {
  if (isSplatOf(adaptor.getRhs(), 0))
    return getLhs();
  if (auto folded = foldIntegers(adaptor.getLhs(), adaptor.getRhs(), getType(), [](auto x, auto y) {
        return static_cast<int64_t>(static_cast<uint64_t>(x) - static_cast<uint64_t>(y));
      }))
    return folded;
  return foldFloats(adaptor.getLhs(), adaptor.getRhs(), getType(), std::minus<double>());
}
OpFoldResult MulOp::fold(FoldAdaptor adaptor) {
  if (isSplatOf(adaptor.getRhs(), 1))
    return getLhs();
  if (isSplatOf(adaptor.getLhs(), 1))
    return getRhs();
  if (auto folded = foldIntegers(adaptor.getLhs(), adaptor.getRhs(), getType(), [](auto x, auto y) {
        return static_cast<int64_t>(static_cast<uint64_t>(x) * static_cast<uint64_t>(y));
      }))
    return folded;
  return foldFloats(adaptor.getLhs(), adaptor.getRhs(), getType(), std::multiplies<double>());
}
OpFoldResult DivOp::fold(FoldAdaptor adaptor) {
  if (isSplatOf(adaptor.getRhs(), 1))
    return getLhs();
  if (auto divisor = integerOf(adaptor.getRhs())) {
    if (*divisor == 0 || *divisor == -1) // -1: the least integer overflows
      return {};
    return foldIntegers(adaptor.getLhs(), adaptor.getRhs(), getType(), std::divides<int64_t>());
  }
  return foldFloats(adaptor.getLhs(), adaptor.getRhs(), getType(), std::divides<double>());
}
OpFoldResult RemOp::fold(FoldAdaptor adaptor) {
  if (auto divisor = integerOf(adaptor.getRhs())) {
    if (*divisor == 0 || *divisor == -1)
      return {};
    return foldIntegers(adaptor.getLhs(), adaptor.getRhs(), getType(), [](int64_t x, int64_t y) {
      int64_t rest = x % y;
      return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
    });
  }
  return foldFloats(adaptor.getLhs(), adaptor.getRhs(), getType(),
                    [](double x, double y) { return x - y * std::floor(x / y); });
}
OpFoldResult MaxOp::fold(FoldAdaptor adaptor) {
  if (getLhs() == getRhs())
    return getLhs();
  if (auto folded = foldIntegers(adaptor.getLhs(), adaptor.getRhs(), getType(),
                                 [](int64_t x, int64_t y) { return std::max(x, y); }))
    return folded;
  return foldFloats(adaptor.getLhs(), adaptor.getRhs(), getType(), [](double x, double y) {
    return std::isnan(x) || std::isnan(y) ? x + y : std::max(x, y);
  });
}
OpFoldResult MinOp::fold(FoldAdaptor adaptor) {
  if (getLhs() == getRhs())
    return getLhs();
  if (auto folded = foldIntegers(adaptor.getLhs(), adaptor.getRhs(), getType(),
                                 [](int64_t x, int64_t y) { return std::min(x, y); }))
    return folded;
  return foldFloats(adaptor.getLhs(), adaptor.getRhs(), getType(), [](double x, double y) {
    return std::isnan(x) || std::isnan(y) ? x + y : std::min(x, y);
  });
}
OpFoldResult PowOp::fold(FoldAdaptor adaptor) {
  if (isSplatOf(adaptor.getRhs(), 1))
    return getLhs();
  if (isSplatOf(adaptor.getRhs(), 0))
    return splat(getType(), 1);
  return foldFloats(adaptor.getLhs(), adaptor.getRhs(), getType(),
                    [](double x, double y) { return std::pow(x, y); });
}
OpFoldResult AndOp::fold(FoldAdaptor adaptor) {
  if (getLhs() == getRhs() || isSplatOf(adaptor.getRhs(), 1))
    return getLhs();
  if (isSplatOf(adaptor.getLhs(), 1))
    return getRhs();
  if (isSplatOf(adaptor.getLhs(), 0) || isSplatOf(adaptor.getRhs(), 0))
    return splatInteger(getType(), 0);
  return {};
}
OpFoldResult OrOp::fold(FoldAdaptor adaptor) {
  if (getLhs() == getRhs() || isSplatOf(adaptor.getRhs(), 0))
    return getLhs();
  if (isSplatOf(adaptor.getLhs(), 0))
    return getRhs();
  if (isSplatOf(adaptor.getLhs(), 1) || isSplatOf(adaptor.getRhs(), 1))
    return splatInteger(getType(), 1);
  return {};
}

template <typename Number> static bool holds(ComparePredicate predicate, Number x, Number y) {
  switch (predicate) {
  case ComparePredicate::EQ:
    return x == y;
  case ComparePredicate::NE:
    return x != y;
  case ComparePredicate::LT:
    return x < y;
  case ComparePredicate::LE:
    return x <= y;
  case ComparePredicate::GT:
    return x > y;
  case ComparePredicate::GE:
    return x >= y;
  }
  llvm_unreachable("a comparison has a predicate");
}

OpFoldResult CompareOp::fold(FoldAdaptor adaptor) {
  if (auto x = integerOf(adaptor.getLhs()), y = integerOf(adaptor.getRhs()); x && y)
    return splatInteger(getType(), holds(getPredicate(), *x, *y));
  if (auto x = floatOf(adaptor.getLhs()), y = floatOf(adaptor.getRhs()); x && y)
    return splatInteger(getType(), holds(getPredicate(), *x, *y));
  return {};
}
OpFoldResult SelectOp::fold(FoldAdaptor adaptor) {
  if (getOnTrue() == getOnFalse())
    return getOnTrue();
  if (auto condition = integerOf(adaptor.getCondition()))
    return *condition ? getOnTrue() : getOnFalse();
  return {};
}
OpFoldResult ConvertOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType())
    return getInput();
  bool toFloat = isa<FloatType>(getType().getElementType());
  if (auto value = integerOf(adaptor.getInput())) {
    if (toFloat)
      return splat(getType(), static_cast<double>(*value));
    return splatInteger(getType(), getType().getElementType().isInteger(1) ? *value != 0 : *value);
  }
  if (auto value = floatOf(adaptor.getInput())) {
    if (toFloat)
      return splat(getType(), *value);
    if (getType().getElementType().isInteger(1))
      return splatInteger(getType(), *value != 0);
    if (std::abs(*value) < 0x1p31) // beyond, the conversion may overflow
      return splatInteger(getType(), static_cast<int64_t>(*value));
  }
  return {};
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

//===- Shape ----------------------------------------------------------------------------------===//

/// A splat under another shape.
static OpFoldResult reshapeSplat(Attribute attribute, Type type) {
  if (auto value = splatOf(attribute))
    return value.resizeSplat(cast<ShapedType>(type));
  return {};
}

OpFoldResult BroadcastOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType())
    return getInput();
  if (auto inner = getInput().getDefiningOp<BroadcastOp>()) {
    SmallVector<int64_t> dims;
    for (int64_t dim : inner.getDims())
      dims.push_back(getDims()[dim]);
    setOperand(inner.getInput());
    setDims(dims);
    return getResult();
  }
  return reshapeSplat(adaptor.getInput(), getType());
}

OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType())
    return getInput();
  if (auto value = dyn_cast_or_null<DenseElementsAttr>(adaptor.getInput()))
    return value.reshape(getType());
  return {};
}

namespace {
struct ReshapeOfReshape : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getInput().getDefiningOp<ReshapeOp>();
    if (!inner)
      return failure();
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), inner.getInput());
    return success();
  }
};
} // namespace

void ReshapeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ReshapeOfReshape>(context);
}

OpFoldResult TransposeOp::fold(FoldAdaptor adaptor) {
  if (llvm::is_sorted(getPermutation()))
    return getInput();
  if (auto inner = getInput().getDefiningOp<TransposeOp>()) {
    SmallVector<int64_t> permutation;
    for (int64_t dim : getPermutation())
      permutation.push_back(inner.getPermutation()[dim]);
    setOperand(inner.getInput());
    setPermutation(permutation);
    return getResult();
  }
  return reshapeSplat(adaptor.getInput(), getType());
}

OpFoldResult SliceOp::fold(FoldAdaptor adaptor) {
  if (getInput().getType() == getType())
    return getInput();
  if (auto inner = getInput().getDefiningOp<SliceOp>()) {
    SmallVector<int64_t> offsets, strides;
    for (size_t i = 0; i < getOffsets().size(); ++i) {
      offsets.push_back(inner.getOffsets()[i] + getOffsets()[i] * inner.getStrides()[i]);
      strides.push_back(getStrides()[i] * inner.getStrides()[i]);
    }
    setOperand(inner.getInput());
    setOffsets(offsets);
    setStrides(strides);
    return getResult();
  }
  return reshapeSplat(adaptor.getInput(), getType());
}

OpFoldResult ConcatOp::fold(FoldAdaptor adaptor) {
  if (getInputs().size() == 1)
    return getInputs().front();
  Attribute first = adaptor.getInputs().front();
  auto value = splatOf(first);
  if (!value)
    return {};
  for (Attribute input : adaptor.getInputs().drop_front()) {
    auto other = splatOf(input);
    if (!other || other.getSplatValue<Attribute>() != value.getSplatValue<Attribute>())
      return {};
  }
  return value.resizeSplat(getType());
}

OpFoldResult ReduceOp::fold(FoldAdaptor adaptor) {
  if (getDims().empty())
    return getInput();
  int64_t count = 1;
  for (int64_t dim : getDims())
    count *= getInput().getType().getDimSize(dim);
  bool isSum = getKind() == ReduceKind::Sum;
  if (!isSum)
    return reshapeSplat(adaptor.getInput(), getType());
  if (auto value = integerOf(adaptor.getInput()))
    return splatInteger(getType(), static_cast<int64_t>(static_cast<uint64_t>(*value) *
                                                        static_cast<uint64_t>(count)));
  return foldFloat(adaptor.getInput(), getType(),
                   [&](double x) { return x * static_cast<double>(count); });
}
