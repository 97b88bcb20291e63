// Modules of kernels as PTX, by LLVM's NVPTX backend.
#pragma once

#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

namespace doppel::cuda {

/// Whether LLVM makes code for an architecture of this name ("sm_90").
bool knowsArchitecture(llvm::StringRef name);

/// PTX of a module with placeholders, which it binds, checks and optimizes; for one architecture
/// and all later ones (unless its name ends in a letter: then for it alone). Not for a module that
/// another thread uses; modules of different contexts may be made side by side.
llvm::Expected<std::string> makePtx(llvm::Module &module, llvm::StringRef architecture);

} // namespace doppel::cuda
