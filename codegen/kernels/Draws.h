// Random draws as functions that kernels call. A program draws in dozens of kernels, one for each
// initial weight, and LLVM takes longer over the few hundred instructions of a draw than over the
// rest of such a kernel: they are compiled once a program.
#pragma once

#include "codegen/kernels/VectorMath.h"
#include "dialects/nn/NnDialect.h"

#include <set>
#include <string>

namespace doppel::kernels {

/// Element `element` (i64 or a vector of it) of an nn.random, float. `seed` is i64, `step` i32:
/// abi::RunScalars.
llvm::Value *callDraw(llvm::IRBuilder<> &b, nn::Distribution distribution, llvm::Value *element,
                      uint32_t stream, llvm::Value *seed, llvm::Value *step);

/// The four uniform numbers of one Philox block, <4 x float>. `counter` and the key are i32.
llvm::Value *callUniforms(llvm::IRBuilder<> &b, std::array<llvm::Value *, 4> counter,
                          llvm::Value *keyLow, llvm::Value *keyHigh);

/// Names of the functions that the module calls and does not define.
std::set<std::string> missingDraws(const llvm::Module &module);

/// Defines the function of that name, one of missingDraws of this or another module.
void defineDraw(llvm::StringRef name, llvm::Module &module);

} // namespace doppel::kernels
