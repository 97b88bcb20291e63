// Makes the kernels of a program for GPUs: PTX for the least of the target's architectures, which
// all later ones run, and cubins for those that it names. Or, from the same LLVM IR, for the
// simulator.
#pragma once

#include "codegen/cuda/Cubin.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/Module.h"

namespace doppel::cuda {

/// What a launch of a kernel has to ask for, beside the grid.
struct BlockShape {
  std::string kernel;
  unsigned threads;
  uint64_t sharedBytes;
  unsigned module; ///< of the code, by number
};

/// Code of some kernels of a program, which refers to none of the others; a kernel's symbol is its
/// name. The last argument of each is the flag, and the last module has what every program for GPUs
/// has (runtime/schema/GpuAbi.h).
struct GpuModule {
  std::string ptx;
  /// For each architecture of the target, in its order; none without an assembler.
  std::vector<Cubin> cubins;
};

struct GpuCode {
  std::vector<GpuModule> modules;
  std::vector<BlockShape> blocks; ///< in the order of the program's kernels
};

/// Code for all plan.kernel operations of a module whose target is "cuda": the same for the same
/// program, and cubins for the same assembler. `assembler` may be null.
mlir::FailureOr<GpuCode> compileKernels(mlir::ModuleOp module, const Assembler *assembler);

struct SimCode {
  std::string
      elf; ///< a shared object that holds abi::SimKernelFunctions, and abi::simServicesSymbol
  std::vector<BlockShape> blocks; ///< in the order of the program's kernels
};

/// The same kernels for the simulator; the target is "cuda-sim", with its processor. `edit` sees
/// each module while it still has its placeholders: tests plant faults there.
mlir::FailureOr<SimCode>
compileForSimulator(mlir::ModuleOp module, llvm::function_ref<void(llvm::Module &)> edit = nullptr);

/// The LLVM IR of both with its placeholders, as text: for --emit code and tests.
mlir::FailureOr<std::string> kernelsAsLlvm(mlir::ModuleOp module);

/// A table with a line for each kernel and architecture: blocks, threads, registers, shared memory,
/// stack and spills.
std::string describeUsage(mlir::ModuleOp module, const GpuCode &code);

} // namespace doppel::cuda
