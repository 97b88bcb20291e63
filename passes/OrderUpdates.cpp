// Prepares in-place updates: a state that is overwritten as late, and a value that is checked as
// early, as its operands allow. Only pure operations and checks move, so that the function means
// the same; an operation stays where it is if its operands, kept alive for longer, would need more
// memory than its results do.
#include "passes/Passes.h"

#include "dialects/plan/PlanDialect.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_ORDERUPDATES
#include "passes/Passes.h.inc"

namespace {

/// Whether nothing but writes of states and operations that `late` holds uses a result.
bool onlyFeeds(Operation *op, const DenseSet<Operation *> &late) {
  return !op->use_empty() && llvm::all_of(op->getUsers(), [&](Operation *user) {
    return isa<nn::WriteOp>(user) || late.contains(user);
  });
}

/// Whether the value is a part of a state, which lies in memory anyway.
bool isState(Value value) {
  while (value.getDefiningOp<nn::ReshapeOp>() || value.getDefiningOp<nn::SliceOp>())
    value = value.getDefiningOp()->getOperand(0);
  return value.getDefiningOp<nn::ReadOp>() != nullptr;
}

bool sinkingSavesMemory(Operation *op) {
  int64_t kept = 0, made = 0;
  for (Value operand : op->getOperands())
    if (!isState(operand))
      kept += std::max<int64_t>(0, plan::bytesOf(operand.getType()));
  for (Value result : op->getResults())
    made += plan::bytesOf(result.getType());
  return kept <= made;
}

struct OrderUpdates : impl::OrderUpdatesBase<OrderUpdates> {
  void runOnOperation() override {
    Block &body = getOperation().front();

    for (auto check : llvm::make_early_inc_range(body.getOps<nn::CheckFiniteOp>()))
      if (Operation *producer = check.getValue().getDefiningOp())
        check->moveAfter(producer);
      else
        check->moveBefore(&body, body.begin());

    // From the end: an operation moves to just before its first user once all its users have moved.
    DenseSet<Operation *> late;
    SmallVector<Operation *> pure;
    for (Operation &op : llvm::reverse(body))
      if (isPure(&op) && !op.hasTrait<OpTrait::IsTerminator>())
        pure.push_back(&op);
    for (Operation *op : pure) {
      if (!onlyFeeds(op, late) || !sinkingSavesMemory(op))
        continue;
      Operation *first = nullptr;
      for (Operation *user : op->getUsers())
        if (!first || user->isBeforeInBlock(first))
          first = user;
      op->moveBefore(first);
      late.insert(op);
    }
  }
};

} // namespace
} // namespace doppel
