// Rewrites that need more than a fold, each true of every value but for rounding it does not
// change: transposes go into the flags of matmul, sums of padded parts become one concat, negations
// go into sums. After this pass no matmul has an operand that swaps its last two dimensions.
#include "passes/Expr.h"
#include "passes/Passes.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_SIMPLIFY
#include "passes/Passes.h.inc"

namespace {

/// Whether a permutation swaps the last two dimensions and keeps the others.
bool swapsLastTwo(ArrayRef<int64_t> permutation) {
  int64_t rank = permutation.size();
  if (rank < 2)
    return false;
  for (int64_t dim = 0; dim < rank - 2; ++dim)
    if (permutation[dim] != dim)
      return false;
  return permutation[rank - 2] == rank - 1;
}

/// matmul(transpose(a), b) => matmul(a, b) transpose_lhs, and so for b.
struct TransposeIntoMatmul : OpRewritePattern<nn::MatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::MatmulOp op, PatternRewriter &rewriter) const override {
    Value lhs = untransposed(op.getLhs()), rhs = untransposed(op.getRhs());
    if (!lhs && !rhs)
      return failure();
    rewriter.replaceOpWithNewOp<nn::MatmulOp>(
        op, op.getType(), lhs ? lhs : op.getLhs(), rhs ? rhs : op.getRhs(),
        op.getTransposeLhs() != bool(lhs), op.getTransposeRhs() != bool(rhs), op.getPrecision());
    return success();
  }

  static Value untransposed(Value value) {
    auto transpose = value.getDefiningOp<nn::TransposeOp>();
    return transpose && swapsLastTwo(transpose.getPermutation()) ? transpose.getInput() : Value();
  }
};

/// transpose(matmul(a, b)) => matmul(b, a) with both flags turned, where nothing else uses the
/// product.
struct TransposeOfMatmul : OpRewritePattern<nn::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::TransposeOp op, PatternRewriter &rewriter) const override {
    auto matmul = op.getInput().getDefiningOp<nn::MatmulOp>();
    if (!matmul || !matmul->hasOneUse() || !swapsLastTwo(op.getPermutation()))
      return failure();
    rewriter.replaceOpWithNewOp<nn::MatmulOp>(op, op.getType(), matmul.getRhs(), matmul.getLhs(),
                                              !matmul.getTransposeRhs(), !matmul.getTransposeLhs(),
                                              matmul.getPrecision());
    return success();
  }
};

/// x + -y => x - y, -x + y => y - x.
struct AddOfNegation : OpRewritePattern<nn::AddOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::AddOp op, PatternRewriter &rewriter) const override {
    if (auto negation = op.getRhs().getDefiningOp<nn::NegOp>())
      rewriter.replaceOpWithNewOp<nn::SubOp>(op, op.getLhs(), negation.getInput());
    else if (auto negation = op.getLhs().getDefiningOp<nn::NegOp>())
      rewriter.replaceOpWithNewOp<nn::SubOp>(op, op.getRhs(), negation.getInput());
    else
      return failure();
    return success();
  }
};

/// x - -y => x + y.
struct SubOfNegation : OpRewritePattern<nn::SubOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::SubOp op, PatternRewriter &rewriter) const override {
    auto negation = op.getRhs().getDefiningOp<nn::NegOp>();
    if (!negation)
      return failure();
    rewriter.replaceOpWithNewOp<nn::AddOp>(op, op.getLhs(), negation.getInput());
    return success();
  }
};

/// pad(a, 0) + pad(b, n) + ... => concat(a, b, ...) where the parts tile one dimension: the
/// gradient of a tensor that was cut.
struct PadsToConcat : OpRewritePattern<nn::AddOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(nn::AddOp op, PatternRewriter &rewriter) const override {
    // Only the whole sum: a part of it cannot tile the dimension.
    if (op->hasOneUse() && isa<nn::AddOp>(*op->user_begin()))
      return failure();
    SmallVector<nn::PadOp> parts;
    if (!collect(op.getLhs(), parts) || !collect(op.getRhs(), parts))
      return failure();
    for (int64_t axis = 0; axis < op.getType().getRank(); ++axis) {
      llvm::stable_sort(parts, [&](nn::PadOp a, nn::PadOp b) {
        return a.getOffsets()[axis] < b.getOffsets()[axis];
      });
      if (!tile(parts, op.getType().getShape(), axis))
        continue;
      auto inputs =
          llvm::map_to_vector(parts, [](nn::PadOp part) -> Value { return part.getInput(); });
      rewriter.replaceOpWithNewOp<nn::ConcatOp>(op, op.getType(), inputs, axis);
      return success();
    }
    return failure();
  }

  static bool collect(Value value, SmallVector<nn::PadOp> &parts) {
    if (auto pad = value.getDefiningOp<nn::PadOp>()) {
      parts.push_back(pad);
      return true;
    }
    auto sum = value.getDefiningOp<nn::AddOp>();
    return sum && sum->hasOneUse() && collect(sum.getLhs(), parts) && collect(sum.getRhs(), parts);
  }

  /// Whether the parts lie one after another along `axis` and fill `shape`.
  static bool tile(ArrayRef<nn::PadOp> parts, ArrayRef<int64_t> shape, int64_t axis) {
    int64_t end = 0;
    for (nn::PadOp part : parts) {
      ArrayRef<int64_t> size = cast<RankedTensorType>(part.getInput().getType()).getShape();
      for (int64_t dim = 0, rank = shape.size(); dim < rank; ++dim) {
        if (part.getStrides()[dim] != 1 || part.getOffsets()[dim] != (dim == axis ? end : 0) ||
            (dim != axis && size[dim] != shape[dim]))
          return false;
      }
      end += size[axis];
    }
    return end == shape[axis];
  }
};

struct Simplify : impl::SimplifyBase<Simplify> {
  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    set.add<TransposeIntoMatmul, TransposeOfMatmul, AddOfNegation, SubOfNegation, PadsToConcat>(
        context);
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    if (failed(applyPatternsGreedily(getOperation(), patterns)))
      signalPassFailure();
  }

  FrozenRewritePatternSet patterns;
};

} // namespace
} // namespace doppel
