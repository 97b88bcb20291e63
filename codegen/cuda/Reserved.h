// What code for GPUs has beside the kernels of its program (runtime/schema/GpuAbi.h).
#pragma once

#include "llvm/IR/Module.h"

namespace doppel::cuda {

/// Adds the kernels of checks, guarded copies and permutations. The draws that they call are
/// declared alone, as emitKernel's.
void emitReserved(llvm::Module &module);

/// Gives `kernel` one more argument behind all others, a pointer to the stream's flag or null, and
/// has it end at once while that flag is set. The function that stands in its place.
llvm::Function *addFlag(llvm::Function &kernel);

} // namespace doppel::cuda
