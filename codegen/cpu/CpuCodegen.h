// Makes the kernels of a program for a CPU: one ELF shared object that holds a function
// abi::KernelFunction for every plan.kernel.
#pragma once

#include "codegen/cpu/Processor.h"
#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace doppel::cpu {

/// Bytes of an ELF shared object, the same for the same program. Needs symbols of libm
/// (and libc) alone.
struct ObjectCode {
  std::string elf;
};

/// Code for all plan.kernel operations of a module, for the processor of its target, which is
/// complete; a kernel's symbol is its name. Kernels without a CPU form are diagnosed.
mlir::FailureOr<ObjectCode> compileKernels(mlir::ModuleOp module);

/// The LLVM IR of the same, optimized, as text: for --emit code and tests.
mlir::FailureOr<std::string> kernelsAsLlvm(mlir::ModuleOp module);

} // namespace doppel::cpu
