// From fused regions to kernels.
#pragma once

#include "dialects/plan/Machine.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"

namespace doppel {

/// Outlines bodies of kernels, with grids for a machine; equal bodies become one kernel.
class KernelOutliner {
public:
  KernelOutliner(mlir::OpBuilder builder, const plan::Machine &machine)
      : builder(builder), machine(machine) {}

  /// The kernel of the region's operations, which move there, or null where no grid can be given
  /// (which is diagnosed).
  plan::KernelOp outline(mlir::Location location, nn::KernelKind kind, mlir::Region &body);

private:
  mlir::OpBuilder builder;
  plan::Machine machine;
  unsigned count = 0;
  llvm::DenseMap<size_t, llvm::SmallVector<plan::KernelOp>> kernels;
};

} // namespace doppel
