// Prepares in-place updates: a state that is overwritten as late, and a value that is checked as
// early, as its operands allow. Only pure operations and checks move, so that the function means
// the same; Updates.h says what comes late.
#include "passes/Passes.h"

#include "passes/Updates.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_ORDERUPDATES
#include "passes/Passes.h.inc"

namespace {

struct OrderUpdates : impl::OrderUpdatesBase<OrderUpdates> {
  void runOnOperation() override {
    Block &body = getOperation().front();

    for (auto check : llvm::make_early_inc_range(body.getOps<nn::CheckFiniteOp>()))
      if (Operation *producer = check.getValue().getDefiningOp())
        check->moveAfter(producer);
      else
        check->moveBefore(&body, body.begin());

    // From the end, so that all users of an operation have moved when it does.
    llvm::DenseSet<Operation *> late = findLateUpdates(body);
    SmallVector<Operation *> fromTheEnd;
    for (Operation &op : llvm::reverse(body))
      if (late.contains(&op))
        fromTheEnd.push_back(&op);
    for (Operation *op : fromTheEnd) {
      Operation *first = nullptr;
      for (Operation *user : op->getUsers())
        if (!first || user->isBeforeInBlock(first))
          first = user;
      op->moveBefore(first);
    }
  }
};

} // namespace
} // namespace doppel
