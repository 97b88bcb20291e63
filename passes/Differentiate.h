// Reverse-mode automatic differentiation over one block of nn operations.
#pragma once

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

namespace doppel {

/// The gradients of `loss` (a scalar) with respect to each of `wrt`, values of the block that makes
/// the loss (or that block's arguments), made at the builder's insertion point, which must come
/// after the loss in that block. A null value stands for a gradient that is zero because no path
/// leads from the value to the loss. Fails, after one error that lists all of them, if operations
/// on such a path have no derivative rule.
mlir::FailureOr<llvm::SmallVector<mlir::Value>>
differentiate(mlir::OpBuilder &builder, mlir::Value loss, llvm::ArrayRef<mlir::Value> wrt);

} // namespace doppel
