// An update that the forward computation reads, such as an average that moves before it, cannot be
// made where it is needed and written there: states change behind the commit point alone. Its value
// for the forward is a value like any other; here the write gets one of its own, computed again
// from the old states, which fusion puts into the sweep that steps them. Nothing then lives longer
// than the forward needs it, and no copy is made.
#include "dialects/plan/PlanDialect.h"
#include "passes/Passes.h"
#include "passes/Updates.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_REMAKEUPDATES
#include "passes/Passes.h.inc"

namespace {

/// More operations are not worth what a copy costs.
constexpr size_t mostOperations = 32;

bool isSmall(Value value) { return cast<ShapedType>(value.getType()).getNumElements() == 1; }

/// The operations that make `value` from states, constants, scalars of the run and single numbers
/// alone, in order; none if there is another way to it, or a long one.
std::optional<SmallVector<Operation *>> findFormula(Value value) {
  llvm::SmallSetVector<Operation *, 16> formula;
  SmallVector<Value> pending{value};
  while (!pending.empty()) {
    Value each = pending.pop_back_val();
    Operation *op = each.getDefiningOp();
    if (!op)
      return std::nullopt;
    if (isa<nn::ReadOp>(op) || (isSmall(each) && each != value))
      continue;
    if (isa<nn::ConstantOp, nn::RunScalarOp, nn::IotaOp>(op)) {
      formula.insert(op);
      continue;
    }
    bool movesAlong = op->hasTrait<OpTrait::Elementwise>() ||
                      isa<nn::BroadcastOp, nn::ReshapeOp, nn::SliceOp>(op);
    if (!movesAlong || formula.size() == mostOperations)
      return std::nullopt;
    if (formula.insert(op))
      llvm::append_range(pending, op->getOperands());
  }
  SmallVector<Operation *> ordered(formula.begin(), formula.end());
  llvm::sort(ordered, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  return ordered;
}

struct RemakeUpdates : impl::RemakeUpdatesBase<RemakeUpdates> {
  void runOnOperation() override {
    if (getOperation().isExternal())
      return;
    Block &body = getOperation().front();
    llvm::DenseSet<Operation *> updates = findUpdates(body);
    Operation *first = nullptr;
    int64_t bytes = 0; // of the values that the forward computation has for itself
    for (auto write : body.getOps<nn::WriteOp>()) {
      if (!first)
        first = write;
      Operation *maker = write.getValue().getDefiningOp();
      if (!maker || updates.contains(maker) || isa<nn::ReadOp>(maker))
        continue;
      auto formula = findFormula(write.getValue());
      if (!formula)
        continue;
      OpBuilder builder(first);
      IRMapping again;
      for (Operation *op : *formula)
        builder.clone(*op, again);
      write.getValueMutable().assign(again.lookup(write.getValue()));
      ++remade;
      bytes += plan::bytesOf(write.getValue().getType());
    }
    if (bytes > 0)
      getOperation()->setAttr("nn.remade_bytes", OpBuilder(&getContext()).getI64IntegerAttr(bytes));
  }
};

} // namespace
} // namespace doppel
