// Rewrites reductions so that each fits a kernel: neighbouring dimensions, enough workgroups, one
// sweep over the data. The number of parts is a function of the shapes and the target alone, so a
// sum has the same bits for any number of threads.
#include "passes/Expr.h"
#include "passes/FuseAnalysis.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace doppel {
namespace {

/// The value that a splat constant holds, seen through broadcasts.
std::optional<double> splatOf(Value value) {
  while (auto broadcast = value.getDefiningOp<nn::BroadcastOp>())
    value = broadcast.getInput();
  DenseFPElementsAttr elements;
  if (!matchPattern(value, m_Constant(&elements)) || !elements.isSplat())
    return std::nullopt;
  return elements.getSplatValue<APFloat>().convertToDouble();
}

/// The sum of which `value` is a multiple by a constant.
nn::ReduceOp scaledSum(Value value) {
  Operation *op = value.getDefiningOp();
  if (isa_and_nonnull<nn::MulOp, nn::DivOp>(op) && splatOf(op->getOperand(1)))
    return op->getOperand(0).getDefiningOp<nn::ReduceOp>();
  return nullptr;
}

/// sum(x), sum((x - mean)^2)  =>  s1, s2 - s1^2 / M   with s1 = sum(x), s2 = sum(x^2) in f64
///
/// Both sums then need one sweep. In f64 the difference keeps the digits of f32 data unless their
/// mean is ten thousand times their deviation, which f32 itself hardly tells apart.
void sweepVarianceOnce(nn::ReduceOp squares, const plan::Machine &machine) {
  auto product = squares.getInput().getDefiningOp<nn::MulOp>();
  if (squares.getKind() != nn::ReduceKind::Sum || !product || product.getLhs() != product.getRhs())
    return;
  auto centered = product.getLhs().getDefiningOp<nn::SubOp>();
  auto everywhere = centered ? centered.getRhs().getDefiningOp<nn::BroadcastOp>() : nullptr;
  nn::ReduceOp sum = everywhere ? scaledSum(everywhere.getInput()) : nullptr;
  if (!sum || sum.getKind() != nn::ReduceKind::Sum || sum.getInput() != centered.getLhs() ||
      sum.getDims() != squares.getDims())
    return;
  std::optional<ReduceLoops> loops = reduceLoopsOf(squares);
  if (!loops || loops->inner == 1 || loops->elements() < machine.oneSweepElements)
    return;
  // Numbers of f64 themselves would lose digits.
  Value data = sum.getInput();
  if (auto convert = data.getDefiningOp<nn::ConvertOp>())
    data = convert.getInput();
  if (!getElementTypeOrSelf(data.getType()).isF32())
    return;
  // The multiple has to be the mean: mean = sum / M.
  Operation *mean = everywhere.getInput().getDefiningOp();
  double count = double(loops->reduced), factor = *splatOf(mean->getOperand(1));
  if (isa<nn::MulOp>(mean))
    factor = 1 / factor;
  if (std::abs(factor / count - 1) > 1e-6)
    return;

  // Both stand where the first sum stood: the new values depend on x alone.
  ImplicitLocOpBuilder builder(squares.getLoc(), sum);
  Type element = sum.getResult().getType().getElementType();
  Expr x = Expr(builder, data).convert(builder.getF64Type());
  Expr s1 = x.sum(sum.getDims()), s2 = (x * x).sum(sum.getDims());
  Expr variance = s2 - s1 * s1 * (1 / count);
  Expr zero = variance.full(0);
  Expr atLeastZero = variance.make<nn::MaxOp>(zero.value()).convert(element);
  Expr total = s1.convert(element);
  squares.getResult().replaceAllUsesWith(atLeastZero);
  squares.erase();
  sum.getResult().replaceAllUsesWith(total);
  sum.erase();
}

/// reduce(x, [0, 2]) => reduce(reduce(x, [2]), [0]).
nn::ReduceOp splitDims(nn::ReduceOp reduce) {
  if (reduceLoopsOf(reduce))
    return reduce;
  ImplicitLocOpBuilder builder(reduce.getLoc(), reduce);
  SmallVector<int64_t> dims(reduce.getDims()), last;
  llvm::sort(dims);
  ArrayRef<int64_t> shape = reduce.getInput().getType().getShape();
  // The last run of neighbours, with the ones between.
  last.push_back(dims.pop_back_val());
  while (!dims.empty()) {
    bool neighbours = true;
    for (int64_t d = dims.back() + 1; d < last.back(); ++d)
      neighbours &= shape[d] == 1;
    if (!neighbours)
      break;
    last.push_back(dims.pop_back_val());
  }
  llvm::sort(last);
  Expr inner = Expr(builder, reduce.getInput()).reduce(reduce.getKind(), last);
  Expr whole = inner.reduce(reduce.getKind(), dims);
  reduce.getResult().replaceAllUsesWith(whole);
  reduce.erase();
  auto result = whole.value().getDefiningOp<nn::ReduceOp>();
  splitDims(result);
  return nullptr;
}

/// reduce over one element => reshape.
bool dropTrivial(nn::ReduceOp reduce) {
  std::optional<ReduceLoops> loops = reduceLoopsOf(reduce);
  if (!loops || loops->reduced != 1)
    return false;
  ImplicitLocOpBuilder builder(reduce.getLoc(), reduce);
  reduce.getResult().replaceAllUsesWith(
      Expr(builder, reduce.getInput()).reshape(reduce.getResult().getType().getShape()));
  reduce.erase();
  return true;
}

/// reduce(x [outer, R, inner]) => reduce(reduce(x [outer, parts, R / parts, inner])) where one
/// workgroup would have too much of it.
void cutLong(nn::ReduceOp reduce, const plan::Machine &machine) {
  std::optional<ReduceLoops> loops = reduceLoopsOf(reduce);
  if (!loops)
    return;
  int64_t groups = loops->outer * llvm::divideCeil(loops->inner, machine.groupColumns);
  int64_t work = loops->elements() / groups;
  if (work < machine.longReduction)
    return;
  int64_t most =
      std::min({machine.mostParts, work / machine.leastPart, machine.fullGroups / groups});
  int64_t parts = 1;
  for (int64_t candidate = 2; candidate <= most; ++candidate)
    if (loops->reduced % candidate == 0)
      parts = candidate;
  if (parts == 1)
    return;
  ImplicitLocOpBuilder builder(reduce.getLoc(), reduce);
  SmallVector<int64_t> shape;
  if (loops->outer != 1)
    shape.push_back(loops->outer);
  int64_t dim = shape.size();
  shape.append({parts, loops->reduced / parts});
  if (loops->inner != 1)
    shape.push_back(loops->inner);
  Expr partial =
      Expr(builder, reduce.getInput()).reshape(shape).reduce(reduce.getKind(), {dim + 1});
  Expr whole = partial.reduce(reduce.getKind(), {dim});
  reduce.getResult().replaceAllUsesWith(whole.reshape(reduce.getResult().getType().getShape()));
  reduce.erase();
}

/// segment_sum(x) => segment_sum of the sums of parts, where a segment is long.
void cutSegments(nn::SegmentSumOp sum, int64_t longest) {
  SmallVector<int64_t> offsets, sizes, firstPart, parts;
  for (auto [offset, size] : llvm::zip_equal(sum.getOffsets(), sum.getSizes())) {
    firstPart.push_back(offsets.size());
    int64_t at = 0;
    do {
      int64_t part = std::min(longest, size - at);
      offsets.push_back(offset + at);
      sizes.push_back(part);
      at += part;
    } while (at < size);
    parts.push_back(offsets.size() - firstPart.back());
  }
  if (offsets.size() == size_t(sum.getOffsets().size()))
    return;
  OpBuilder builder(sum);
  auto type = sum.getResult().getType().clone({int64_t(offsets.size())});
  auto partial =
      nn::SegmentSumOp::create(builder, sum.getLoc(), type, sum.getInput(), offsets, sizes);
  auto whole = nn::SegmentSumOp::create(builder, sum.getLoc(), sum.getResult().getType(), partial,
                                        firstPart, parts);
  sum.getResult().replaceAllUsesWith(whole.getResult());
  sum.erase();
}

} // namespace

void prepareReductions(Operation *function, const plan::Machine &machine) {
  auto all = [&] {
    SmallVector<nn::ReduceOp> reduces;
    function->walk([&](nn::ReduceOp reduce) { reduces.push_back(reduce); });
    return reduces;
  };
  for (nn::ReduceOp reduce : all())
    sweepVarianceOnce(reduce, machine);
  for (nn::ReduceOp reduce : all())
    splitDims(reduce);
  for (nn::ReduceOp reduce : all())
    if (!dropTrivial(reduce))
      cutLong(reduce, machine);
  SmallVector<nn::SegmentSumOp> sums;
  function->walk([&](nn::SegmentSumOp sum) { sums.push_back(sum); });
  for (nn::SegmentSumOp sum : sums)
    cutSegments(sum, machine.longSegment);
}

} // namespace doppel
