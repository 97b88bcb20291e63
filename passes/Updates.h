// What of a function only makes the new values of states.
#pragma once

#include "mlir/IR/Block.h"
#include "llvm/ADT/DenseSet.h"

namespace doppel {

/// Pure operations whose results reach nothing but writes of states: they can wait until all that
/// the step returns and checks is there.
llvm::DenseSet<mlir::Operation *> findUpdates(mlir::Block &block);

/// Those of them that shall come behind the commit point: what they need, kept alive until then,
/// takes no more memory than what they make (running statistics: a few times as much). So the new
/// value of a running mean waits, but the mean of the logits for a new centre does not.
llvm::DenseSet<mlir::Operation *> findLateUpdates(mlir::Block &block);

} // namespace doppel
