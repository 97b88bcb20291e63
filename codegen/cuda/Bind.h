// The two meanings of a module of kernels with placeholders.
#pragma once

#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

namespace doppel::cuda {

/// Placeholders become NVVM intrinsics, kernels entry points of PTX. The module's triple and layout
/// are NVPTX's already.
void bindNvvm(llvm::Module &module);

/// Placeholders become calls of abi::SimServices, and each kernel an abi::SimKernelFunction of its
/// name. With `checked`, each load and store of memory that other threads can reach is shown to
/// SimServices::access first; fails on one that has no plain address (a masked load).
llvm::Error bindSim(llvm::Module &module, bool checked);

} // namespace doppel::cuda
