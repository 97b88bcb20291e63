// Writes a plan and its kernels' object code as an artifact: the file that runtime/artifact loads
// (its README.md has the bytes).
#pragma once

#include "codegen/artifact/Schedules.h"
#include "runtime/schema/program_generated.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace doppel {

/// One way to run the kernels: with each kernel's function in one of the modules.
struct KernelCode {
  schema::CodeKind kind = schema::CodeKind::Elf;
  std::string architecture = {};     ///< of a GPU: "sm_90"
  std::vector<std::string> modules;  ///< bytes of each, as many in all sets
  std::vector<schema::Block> blocks; ///< of each kernel; none: one thread, nothing shared
};

/// What the file holds beside the module of the `plan` phase.
struct ArtifactParts {
  std::vector<KernelCode> code;          ///< at least one
  std::vector<uint32_t> kernelModules;   ///< of each kernel; none: the first
  std::string specSource;                ///< text of the spec; may be empty
  std::vector<MethodSchedule> schedules; ///< of the method, as far as they are known
};

/// The file's bytes: the same for the same module and parts. Fails, with a diagnostic, on a module
/// that is not in the `plan` phase.
mlir::FailureOr<std::string> serializeArtifact(mlir::ModuleOp module, const ArtifactParts &parts);

} // namespace doppel
