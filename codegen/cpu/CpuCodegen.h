// Makes the kernels of a program for a CPU: one ELF shared object that holds a function
// abi::KernelFunction for every plan.kernel.
#pragma once

#include "dialects/plan/PlanDialect.h"
#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace doppel::cpu {

/// The processor that code is made for.
struct CpuTarget {
  std::string name; ///< LLVM's name: "znver5"
  std::vector<std::string>
      features;              ///< what the code may use, as in /proc/cpuinfo, sorted: "avx512f"
  unsigned vectorBits = 128; ///< width of the vectors that loops step in
};

/// Bytes of an ELF shared object, the same for the same program and target. Needs symbols of libm
/// (and libc) alone.
struct ObjectCode {
  std::string elf;
};

/// The processor of this machine.
CpuTarget hostCpu();

/// The processor that LLVM calls `name`. Fails where there is none, with the nearest names in the
/// diagnostic.
mlir::FailureOr<CpuTarget> namedCpu(llvm::StringRef name,
                                    llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

/// Code for all plan.kernel operations of a module; a kernel's symbol is its name. Kernels without
/// a CPU form are diagnosed.
mlir::FailureOr<ObjectCode> compileKernels(mlir::ModuleOp module, const CpuTarget &target);

/// The LLVM IR of the same, optimized, as text: for --emit code and tests.
mlir::FailureOr<std::string> kernelsAsLlvm(mlir::ModuleOp module, const CpuTarget &target);

} // namespace doppel::cpu
