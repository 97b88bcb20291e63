// Writes a plan and its kernels' object code as an artifact: the file that runtime/artifact loads
// (its README.md has the bytes).
#pragma once

#include "codegen/artifact/Schedules.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace doppel {

/// What the file holds beside the module of the `plan` phase.
struct ArtifactParts {
  std::string elf;                       ///< shared object with one function for each plan.kernel
  std::string specSource;                ///< text of the spec; may be empty
  std::vector<MethodSchedule> schedules; ///< of the method, as far as they are known
};

/// The file's bytes: the same for the same module and parts. Fails, with a diagnostic, on a module
/// that is not in the `plan` phase.
mlir::FailureOr<std::string> serializeArtifact(mlir::ModuleOp module, const ArtifactParts &parts);

} // namespace doppel
