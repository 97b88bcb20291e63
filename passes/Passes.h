// The passes and their registration.
#pragma once

#include "dialects/nn/NnDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace doppel {

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"

/// Registers every pass and every pipeline of Pipelines.h by its flag.
void registerPasses();

} // namespace doppel
