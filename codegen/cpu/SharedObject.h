// LLVM IR as a shared object for a processor, modules side by side.
#pragma once

#include "codegen/cpu/Processor.h"
#include "dialects/plan/PlanDialect.h"

#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

namespace doppel::cpu {

/// A module of its own context, so that several can be compiled at once.
struct ObjectPart {
  llvm::LLVMContext context;
  llvm::Module llvmModule{"kernels", context};
  std::unique_ptr<llvm::TargetMachine> machine;
};

/// Makes an empty part ready for code of the processor. Fails with a diagnostic at `module`, from
/// which the code will come.
mlir::LogicalResult preparePart(ObjectPart &part, const Processor &processor,
                                mlir::ModuleOp module);

/// Adds what the loader holds a launch of the kernel against: abi::signatureSuffix.
void emitSignature(plan::KernelOp kernel, llvm::Module &module);

/// Says of the functions that are defined by now what processor they are for, and checks them.
mlir::LogicalResult finishPart(ObjectPart &part, const Processor &processor, mlir::ModuleOp module);

/// Without vectorizers: what is computed in which order is the code's own choice.
void optimizePart(ObjectPart &part);

/// Optimizes and compiles finished parts on all cores and links them. The bytes of an ELF shared
/// object, the same for the same parts.
mlir::FailureOr<std::string> makeSharedObject(llvm::MutableArrayRef<ObjectPart> parts,
                                              const Processor &processor, mlir::ModuleOp module);

} // namespace doppel::cpu
