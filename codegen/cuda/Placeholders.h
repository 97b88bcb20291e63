// What a kernel says where a GPU has an instruction: calls of functions without a body, which
// BindNvvm and BindSim replace. What each means stands in README.md.
#pragma once

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

namespace doppel::cuda {

inline constexpr unsigned sharedSpace = 3; ///< address space of shared memory, as in NVPTX
inline constexpr uint64_t mostSharedBytes = 48 << 10;
inline constexpr unsigned warpThreads = 32;

namespace placeholder {
inline constexpr llvm::StringLiteral prefix = "doppel.";
inline constexpr llvm::StringLiteral thread = "doppel.thread";
inline constexpr llvm::StringLiteral block = "doppel.block";
inline constexpr llvm::StringLiteral barrier = "doppel.barrier";
inline constexpr llvm::StringLiteral shared = "doppel.shared";
inline constexpr llvm::StringLiteral shuffleXor = "doppel.shuffle.xor."; ///< and the type
} // namespace placeholder

/// Adds a kernel without a body to `module`: `buffers` pointers, none of which the others reach
/// (`noalias` where `disjoint` says so), aligned to 64 bytes. `threads` is a number of whole warps.
llvm::Function *makeKernel(llvm::Module &module, llvm::StringRef name, unsigned threads,
                           llvm::ArrayRef<bool> disjoint);
/// Whether `function` is a kernel, whose attributes the next two read.
bool isKernel(const llvm::Function &function);
unsigned blockThreads(const llvm::Function &kernel);
uint64_t sharedBytes(const llvm::Function &kernel);
void setSharedBytes(llvm::Function &kernel, uint64_t bytes);

/// Emits placeholders at a builder's place.
class Placeholders {
public:
  explicit Placeholders(llvm::IRBuilder<> &b) : b(b) {}

  llvm::Value *thread();
  llvm::Value *block();
  void barrier();
  llvm::Value *shared();
  /// `x`: a 32- or 64-bit integer or float.
  llvm::Value *shuffleXor(llvm::Value *x, unsigned mask);

private:
  llvm::Value *call(const llvm::Twine &name, llvm::Type *type,
                    llvm::ArrayRef<llvm::Value *> operands, bool meets);
  llvm::IRBuilder<> &b;
};

/// Calls `make` for each call of the placeholder `name` with a builder before it, replaces the call
/// by what it gives (null where the call has no value), and takes the declaration away.
void replacePlaceholder(
    llvm::Module &module, llvm::StringRef name,
    llvm::function_ref<llvm::Value *(llvm::IRBuilder<> &, llvm::CallInst &)> make);

/// The types that shuffles have.
llvm::SmallVector<llvm::Type *> shuffleTypes(llvm::LLVMContext &context);
std::string shuffleName(llvm::Type *type);

} // namespace doppel::cuda
