// From fused regions to kernels.
#pragma once

#include "dialects/plan/PlanDialect.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"

namespace doppel {

/// Outlines bodies of kernels; equal bodies become one kernel.
class KernelOutliner {
public:
  explicit KernelOutliner(mlir::OpBuilder builder) : builder(builder) {}

  /// The kernel of the region's operations, which move there, or null where no grid can be given
  /// (which is diagnosed).
  plan::KernelOp outline(mlir::Location location, nn::KernelKind kind, mlir::Region &body);

private:
  mlir::OpBuilder builder;
  unsigned count = 0;
  llvm::DenseMap<size_t, llvm::SmallVector<plan::KernelOp>> kernels;
};

} // namespace doppel
