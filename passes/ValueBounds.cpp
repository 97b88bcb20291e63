// Bounds follow from an operation and the bounds of its operands; what a formula does not tell is
// everything.
#include "passes/ValueBounds.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace doppel {

bool isReductionOf(Value value, nn::ReduceKind kind) {
  auto reduce = value.getDefiningOp<nn::ReduceOp>();
  return reduce && reduce.getKind() == kind;
}

Value strip(Value value) {
  while (isa_and_present<nn::BroadcastOp, nn::ReshapeOp, nn::StopGradientOp, nn::TransposeOp>(
      value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  return value;
}

/// Rows divided by their norm: x * rsqrt(max(sum(x * x), eps)).
static bool isUnitRows(Value value) {
  value = strip(value);
  if (auto slice = value.getDefiningOp<nn::SliceOp>())
    return isUnitRows(slice.getInput());
  if (auto concat = value.getDefiningOp<nn::ConcatOp>())
    return llvm::all_of(concat.getInputs(), isUnitRows);
  auto product = value.getDefiningOp<nn::MulOp>();
  if (!product)
    return false;
  for (Value factor : {product.getLhs(), product.getRhs()})
    if (auto root = strip(factor).getDefiningOp<nn::RsqrtOp>()) {
      Value sum = strip(root.getInput());
      if (auto atLeast = sum.getDefiningOp<nn::MaxOp>())
        sum = strip(isReductionOf(strip(atLeast.getLhs()), nn::ReduceKind::Sum) ? atLeast.getLhs()
                                                                                : atLeast.getRhs());
      if (isReductionOf(sum, nn::ReduceKind::Sum))
        return true;
    }
  return false;
}

Interval boundsOf(Value value, const Bounds &known) {
  Operation *op = value.getDefiningOp();
  auto of = [&](Value operand) { return known.lookup(operand); };
  SplatElementsAttr splat;
  if (matchPattern(value, m_Constant(&splat)) && isa<FloatType>(splat.getElementType())) {
    double number = splat.getSplatValue<APFloat>().convertToDouble();
    return {number, number};
  }
  auto span = [](std::initializer_list<double> ends) {
    for (double end : ends)
      if (std::isnan(end))
        return Interval{};
    return Interval{std::min(ends), std::max(ends)};
  };
  if (isa<nn::BroadcastOp, nn::ReshapeOp, nn::TransposeOp, nn::SliceOp, nn::StopGradientOp,
          nn::GatherRowsOp>(op))
    return of(op->getOperand(0));
  if (auto neg = dyn_cast<nn::NegOp>(op)) {
    Interval x = of(neg.getInput());
    return {-x.high, -x.low};
  }
  if (isa<nn::SigmoidOp>(op))
    return {0, 1};
  if (isa<nn::TanhOp>(op) || isUnitRows(value))
    return {-1, 1};
  if (auto reduce = dyn_cast<nn::ReduceOp>(op)) {
    if (reduce.getKind() != nn::ReduceKind::Sum)
      return of(reduce.getInput());
    auto product = reduce.getInput().getDefiningOp<nn::MulOp>();
    if (product && isUnitRows(product.getLhs()) && isUnitRows(product.getRhs()))
      return {-1, 1};
    return of(reduce.getInput()).low >= 0 ? Interval{0, INFINITY} : Interval{};
  }
  if (isa<nn::AbsOp, nn::ReluOp, nn::SqrtOp, nn::ExpOp>(op) ||
      (isa<nn::MulOp>(op) && op->getOperand(0) == op->getOperand(1)))
    return {0, INFINITY};
  if (auto product = dyn_cast<nn::MatmulOp>(op))
    return isUnitRows(product.getLhs()) && isUnitRows(product.getRhs()) ? Interval{-1, 1}
                                                                        : Interval{};
  if (auto concat = dyn_cast<nn::ConcatOp>(op)) {
    Interval all{INFINITY, -INFINITY};
    for (Value input : concat.getInputs()) {
      Interval part = of(input);
      all = {std::min(all.low, part.low), std::max(all.high, part.high)};
    }
    return all;
  }
  if (auto select = dyn_cast<nn::SelectOp>(op)) {
    Interval a = of(select.getOnTrue()), b = of(select.getOnFalse());
    return {std::min(a.low, b.low), std::max(a.high, b.high)};
  }
  if (op->getNumOperands() != 2 || !op->hasTrait<OpTrait::Elementwise>())
    return {};
  Value left = op->getOperand(0), right = op->getOperand(1);
  Interval a = of(left), b = of(right);
  if (isa<nn::AddOp>(op))
    return {a.low + b.low, a.high + b.high};
  if (isa<nn::SubOp>(op)) {
    // x - max(x) is what makes exp safe.
    Value top = strip(right);
    bool shifted = isReductionOf(top, nn::ReduceKind::Max) &&
                   strip(top.getDefiningOp()->getOperand(0)) == strip(left);
    return shifted ? Interval{a.low - b.high, 0} : Interval{a.low - b.high, a.high - b.low};
  }
  if (isa<nn::MulOp>(op))
    return span({a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high});
  if (isa<nn::DivOp>(op))
    return b.low <= 0 && b.high >= 0
               ? Interval{}
               : span({a.low / b.low, a.low / b.high, a.high / b.low, a.high / b.high});
  if (isa<nn::MaxOp>(op))
    return {std::max(a.low, b.low), std::max(a.high, b.high)};
  if (isa<nn::MinOp>(op))
    return {std::min(a.low, b.low), std::min(a.high, b.high)};
  return {};
}

} // namespace doppel
