// What fusion asks about operations: which a kernel may hold, which are names of parts of buffers,
// what a value costs.
#pragma once

#include "dialects/plan/Machine.h"

namespace doppel {

/// The loops of a reduction [outer, reduced, inner]; none if the reduced dimensions are no
/// neighbours (sizes of 1 do not count).
struct ReduceLoops {
  int64_t outer = 1, reduced = 1, inner = 1;
  bool operator==(const ReduceLoops &) const = default;
  int64_t elements() const { return outer * reduced * inner; }
};
std::optional<ReduceLoops> reduceLoopsOf(nn::ReduceOp reduce);

/// A reshape, or a slice of neighbours in memory: placement gives such a value no bytes of its own.
bool isView(mlir::Operation *op);

/// A pack, or a concat along the first dimension: placement makes the operands in place.
bool isPlacedConcat(mlir::Operation *op);

/// Whether a kernel may hold the operation. Views count as such.
bool isFusible(mlir::Operation *op);

/// Operations that always end in a buffer, unless all that use them are in their kernel.
bool alwaysMade(mlir::Operation *op);

/// A broadcast whose input is one number a row: computed once a row, wherever it stands in the
/// expression.
bool isHoistable(nn::BroadcastOp broadcast);

int64_t elementsOf(mlir::Value value);
int64_t bytesOf(mlir::Value value);

/// Rewrites a function so that its reductions fit kernels of the machine: see Passes.td.
void prepareReductions(mlir::Operation *function, const plan::Machine &machine);

} // namespace doppel
