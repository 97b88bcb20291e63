// Products take what stands behind them, where the target's library does it before it stores: a
// sum with a matrix that lies in memory anyway, a bias of each column, relu. After this pass no
// f32 product of such a target has a bias or a relu as its one reader.
#include "dialects/plan/Machine.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_FUSEEPILOGUES
#include "passes/Passes.h.inc"

namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// What `value` is a reshape of, or itself.
Value unshaped(Value value) {
  while (auto reshape = value.getDefiningOp<nn::ReshapeOp>())
    value = reshape.getInput();
  return value;
}

/// The vector [N] of which `value` [..., N] repeats one copy a row; null where it is none.
Value biasOf(Value value) {
  auto broadcast = value.getDefiningOp<nn::BroadcastOp>();
  if (!broadcast || broadcast.getDims() != ArrayRef<int64_t>(typeOf(value).getRank() - 1))
    return Value();
  return broadcast.getInput();
}

/// Whether `value`, to which something is added, lies in memory also where that is a part of a
/// product: a library or a state gives it, or another kernel reads it too. A value that repeats a
/// smaller one is cheaper made again.
bool isStored(Value value) {
  bool hasOthers = !value.hasOneUse();
  while (auto reshape = value.getDefiningOp<nn::ReshapeOp>()) {
    value = reshape.getInput();
    hasOthers |= !value.hasOneUse();
  }
  Operation *op = value.getDefiningOp();
  if (!op || op->hasTrait<nn::LibraryCall>() || isa<nn::ReadOp>(op))
    return true;
  int64_t elements = typeOf(value).getNumElements();
  return hasOthers && llvm::any_of(op->getOperands(), [&](Value operand) {
           auto type = dyn_cast<RankedTensorType>(operand.getType());
           return type && type.getNumElements() == elements;
         });
}

/// A product and the operations behind it, as far as they are absorbed.
class Epilogue {
public:
  explicit Epilogue(nn::MatmulOp product) : product(product), tail(product) {
    while (absorbNext())
      ;
  }

  bool isEmpty() const { return !addend && !bias && !relu; }

  /// Puts a gemm in place of all.
  void replace() {
    Operation *last = product;
    for (Value operand : {addend, bias})
      if (Operation *op = operand ? operand.getDefiningOp() : nullptr)
        last = last->isBeforeInBlock(op) ? op : last;
    OpBuilder builder(last->getContext());
    builder.setInsertionPointAfter(last);
    Location location = product.getLoc();
    auto reshaped = [&](Value value, RankedTensorType type) -> Value {
      return value.getType() == type
                 ? value
                 : nn::ReshapeOp::create(builder, location, type, value).getResult();
    };
    RankedTensorType type = product.getType();
    Value added = addend ? reshaped(addend, type) : Value();
    Value gemm = nn::GemmOp::create(builder, location, type, product.getLhs(), product.getRhs(),
                                    added, bias, product.getTransposeLhs(),
                                    product.getTransposeRhs(), relu, product.getPrecision());
    tail.replaceAllUsesWith(reshaped(gemm, typeOf(tail)));
    for (Operation *op : llvm::reverse(absorbed))
      op->erase();
    product.erase();
    if (repeated && repeated->use_empty())
      repeated->erase();
  }

private:
  /// The one reader of what there is, if it becomes a part.
  bool absorbNext() {
    SmallVector<Operation *> passed; // reshapes on the way
    Value value = tail;
    while (value.hasOneUse() && isa<nn::ReshapeOp>(*value.user_begin())) {
      passed.push_back(*value.user_begin());
      value = passed.back()->getResult(0);
    }
    if (!value.hasOneUse() || relu)
      return false;
    Operation *user = *value.user_begin();
    if (isa<nn::ReluOp>(user))
      relu = true;
    else if (auto add = dyn_cast<nn::AddOp>(user);
             !add || !take(add.getLhs() == value ? add.getRhs() : add.getLhs(), value))
      return false;
    absorbed.append(passed);
    absorbed.push_back(user);
    tail = user->getResult(0);
    return true;
  }

  /// What is added to `value`.
  bool take(Value other, Value value) {
    // A bias of the columns of `value` is one of the product's where these are the same.
    Value vector = biasOf(other);
    if (vector && !bias && typeOf(value).getShape().back() == product.getType().getShape().back())
      return bias = vector, repeated = other.getDefiningOp(), true;
    if (vector || addend || !isStored(other))
      return false;
    // Of two products the later takes the earlier.
    auto second = unshaped(other).getDefiningOp<nn::MatmulOp>();
    if (second && product->isBeforeInBlock(second) && second->hasOneUse())
      return false;
    return addend = other, true;
  }

  nn::MatmulOp product;
  Value tail, addend, bias;
  bool relu = false;
  SmallVector<Operation *> absorbed; ///< in their order
  Operation *repeated = nullptr;     ///< the bias as a matrix
};

struct FuseEpilogues : impl::FuseEpiloguesBase<FuseEpilogues> {
  void runOnOperation() override {
    FailureOr<plan::Machine> machine = plan::machineOf(getOperation());
    if (failed(machine))
      return signalPassFailure();
    if (!machine->productsTakeEpilogues)
      return markAllAnalysesPreserved();
    for (auto product : llvm::to_vector(getOperation().getOps<nn::MatmulOp>())) {
      if (!product.getType().getElementType().isF32())
        continue;
      if (Epilogue epilogue(product); !epilogue.isEmpty()) {
        epilogue.replace();
        ++fused;
      }
    }
  }
};

} // namespace
} // namespace doppel
