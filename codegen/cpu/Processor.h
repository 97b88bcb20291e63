// The processor that machine code is made for, by LLVM's tables.
#pragma once

#include "dialects/plan/Target.h"

#include <memory>

namespace llvm {
class TargetMachine;
}

namespace doppel::cpu {

/// The target with its processor: this machine's where `target` names none, and the features that
/// code may use, as in /proc/cpuinfo, sorted. Where no processor is called so, fails with the
/// nearest names. A target without a processor comes back as it is.
mlir::FailureOr<plan::TargetAttr>
completeTarget(plan::TargetAttr target, llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

struct Processor {
  std::string name;                            ///< LLVM's name: "znver5"
  llvm::SmallVector<llvm::StringRef> features; ///< as in /proc/cpuinfo
  unsigned vectorBits;                         ///< width of the vectors that loops step in
};

/// The processor of a module's target, which is complete.
mlir::FailureOr<Processor> processorOf(mlir::ModuleOp module);

/// LLVM's code generator for it; null where LLVM has none.
std::unique_ptr<llvm::TargetMachine> makeTargetMachine(const Processor &processor);

} // namespace doppel::cpu
