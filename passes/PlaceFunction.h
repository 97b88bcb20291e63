// From a function of nn to a plan.func.
#pragma once

#include "passes/KernelOutliner.h"
#include "passes/PlaceStates.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace doppel {

/// What lies in @io: the images first, the run's scalars behind them, then the inputs of all
/// functions.
struct IoLayout {
  int64_t images = 0, run = 0; ///< offsets in bytes
  int64_t bytes = 0;           ///< so far
};

/// Fills `target` with the buffers and instructions of `function`, whose fused regions move into
/// kernels. Fails after a diagnostic at each operation that has no place in a program.
mlir::LogicalResult placeFunction(mlir::func::FuncOp function, plan::FuncOp target,
                                  KernelOutliner &outliner, const StateLayout &states,
                                  IoLayout &io);

} // namespace doppel
