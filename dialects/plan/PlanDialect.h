// The plan dialect: the program, one to one with the artifact.
#pragma once

#include "dialects/nn/NnDialect.h"
#include "mlir/IR/DialectImplementation.h"

#include "dialects/plan/PlanDialect.h.inc"
#include "dialects/plan/PlanEnums.h.inc"
#include "dialects/plan/PlanInterfaces.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/plan/PlanAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/plan/PlanTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/plan/PlanOps.h.inc"

namespace doppel::plan {

/// Arenas, states and all buffers that a kernel, a library or another rank sees begin at multiples
/// of this many bytes.
inline constexpr int64_t alignment = 64;

/// `bytes` rounded up to the alignment.
inline int64_t alignUp(int64_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

/// Bytes of one element of a tensor in memory: i1 and i8 take one byte.
int64_t elementBytes(mlir::Type elementType);

/// Bytes of a tensor, of !nn.images or of !plan.run in memory; of a buffer type, those of its
/// value. -1 for other types.
int64_t bytesOf(mlir::Type type);

/// The names of the arenas.
inline constexpr llvm::StringLiteral stateArena = "state", transientArena = "transient",
                                     ioArena = "io";

/// `location`, and with it the expression that most likely makes a number that is not finite. The
/// mark is the metadata of the FusedLoc that holds both.
mlir::Location withOrigin(mlir::Location location, mlir::Location origin);
mlir::Attribute originMark(mlir::MLIRContext *context);

} // namespace doppel::plan
