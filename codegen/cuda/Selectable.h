// Whether the NVPTX backend can make code of a module. On what it cannot select LLVM ends the
// process, so this stands before it.
#pragma once

#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

#include <vector>

namespace doppel::cuda {

/// Fails with the first instruction of a bound module (bindNvvm) that `architecture` ("sm_80") has
/// no code for, that would need a library, or that this project forbids on a GPU: floating-point
/// atomics (their order is not fixed) and masked accesses (one branch a lane).
llvm::Error checkSelectable(const llvm::Module &module, llvm::StringRef architecture);

/// Every intrinsic that may stand in a module, by its number in LLVM.
std::vector<unsigned> selectableIntrinsics();

} // namespace doppel::cuda
