// Which buffers of a kernel share no bytes with what it writes, in any of its launches.
#pragma once

#include "dialects/plan/PlanDialect.h"
#include "mlir/IR/BuiltinOps.h"

namespace doppel::cuda {

using DisjointBuffers = llvm::StringMap<llvm::SmallVector<bool>>;

/// For each kernel of the program, in the order of its function's arguments (the launch's inputs,
/// then its outputs): whether the bytes are no other's that the same launch writes. Buffers have
/// their places by now, so this is known, not assumed. Kernels that nobody launches are not in the
/// result.
DisjointBuffers disjointBuffers(mlir::ModuleOp module);

} // namespace doppel::cuda
