// Makes the kernels of a program for a CPU: one ELF shared object that holds a function
// abi::KernelFunction for every plan.kernel.
#pragma once

#include "dialects/plan/Target.h"
#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace doppel::cpu {

/// Bytes of an ELF shared object, the same for the same program. Needs symbols of libm
/// (and libc) alone.
struct ObjectCode {
  std::string elf;
};

/// The target with its processor: this machine's where `target` names none, and the features that
/// code may use, as in /proc/cpuinfo, sorted. Where no processor is called so, fails with the
/// nearest names. A target without a processor comes back as it is.
mlir::FailureOr<plan::TargetAttr>
completeTarget(plan::TargetAttr target, llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

/// Code for all plan.kernel operations of a module, for the processor of its target, which is
/// complete; a kernel's symbol is its name. Kernels without a CPU form are diagnosed.
mlir::FailureOr<ObjectCode> compileKernels(mlir::ModuleOp module);

/// The LLVM IR of the same, optimized, as text: for --emit code and tests.
mlir::FailureOr<std::string> kernelsAsLlvm(mlir::ModuleOp module);

} // namespace doppel::cpu
