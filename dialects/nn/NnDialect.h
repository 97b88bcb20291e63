// The nn dialect: its operations, types, attributes and enums. README.md has the table of
// operations.
#pragma once

#include "dialects/nn/NnTraits.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/nn/NnDialect.h.inc"
#include "dialects/nn/NnEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/nn/NnAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/nn/NnTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/nn/NnOps.h.inc"

namespace doppel::nn {

/// The ranks that execute the module's functions together (nn.world), 1 if it does not say.
int64_t worldOf(mlir::ModuleOp module);

/// What `op` rounds the operands of its products to; f32 where it has none.
Precision precisionOf(mlir::Operation *op);
/// `op` sums products.
void setPrecision(mlir::Operation *op, Precision precision);

} // namespace doppel::nn
