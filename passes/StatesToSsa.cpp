// Forwards states through SSA values: a read after a write is the written value. After this pass
// each function reads a state at most once, before anything else, and writes it at most once, after
// everything else, in the order of the first writes. No write is dropped.
#include "passes/Passes.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_STATESTOSSA
#include "passes/Passes.h.inc"

namespace {

struct Written {
  Value value;
  nn::WriteOp last; ///< stands for the state's one write
};

struct StatesToSsa : impl::StatesToSsaBase<StatesToSsa> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    Block &block = function.getBody().front();
    DenseMap<StringAttr, Value> initial;
    llvm::MapVector<StringAttr, Written> written;
    Operation *lastRead = nullptr;

    for (Operation &op : llvm::make_early_inc_range(block)) {
      if (auto read = dyn_cast<nn::ReadOp>(op)) {
        StringAttr state = read.getStateAttr().getAttr();
        auto write = written.find(state);
        Value known = write != written.end() ? write->second.value : initial.lookup(state);
        if (known) {
          read.replaceAllUsesWith(known);
          read.erase();
          continue;
        }
        initial[state] = read;
        if (lastRead)
          op.moveAfter(lastRead);
        else
          op.moveBefore(&block, block.begin());
        lastRead = &op;
      } else if (auto write = dyn_cast<nn::WriteOp>(op)) {
        Written &entry = written[write.getStateAttr().getAttr()];
        if (entry.last)
          entry.last.erase();
        entry = {write.getValue(), write};
      } else if (op.hasTrait<nn::WritesStates>()) {
        op.emitOpError() << "changes states: lower it first (nn-pack-states)";
        return signalPassFailure();
      }
    }
    for (auto &[state, entry] : written)
      entry.last->moveBefore(block.getTerminator());
  }
};

} // namespace
} // namespace doppel
