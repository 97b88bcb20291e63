// What the compiler tells of a finished plan.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/raw_ostream.h"

#include <string>

namespace doppel::cli {

/// "42.6 MiB"
std::string formatBytes(uint64_t bytes);

/// Method, parameters, states, kernels, library calls, memory, file and time, a line each.
void printSummary(mlir::ModuleOp plan, llvm::StringRef file, uint64_t fileBytes, double seconds,
                  llvm::raw_ostream &out);

/// Each fused kernel of the training step: its operations, its place in the spec, and the bytes
/// that were not written to memory for it.
void printExplanation(mlir::ModuleOp plan, llvm::raw_ostream &out);

} // namespace doppel::cli
