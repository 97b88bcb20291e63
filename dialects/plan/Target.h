// What a program is made for, as users name it and as a module says it.
#pragma once

#include "dialects/plan/PlanDialect.h"
#include "mlir/IR/BuiltinOps.h"

#include <optional>
#include <string>

namespace doppel::plan {

/// The names of the kinds of targets, in the IR, on the command line and in artifacts.
inline constexpr llvm::StringLiteral cpuKind = "cpu", cudaKind = "cuda", simulatorKind = "cuda-sim";

/// A GPU architecture that kernels can be made for.
struct Architecture {
  llvm::StringLiteral name; ///< "sm_80"
  unsigned number;          ///< 80
  /// Of the smallest card that is sold for computing (CUDA C++ Programming Guide, tables of
  /// compute capabilities; NVIDIA's data sheets).
  int64_t multiprocessors;
};

/// All of them, the least first: code for one (as PTX) runs on those behind it.
llvm::ArrayRef<Architecture> getArchitectures();
const Architecture *findArchitecture(llvm::StringRef name);

/// What `--target` says.
struct TargetName {
  llvm::StringRef kind;
  std::string processor = {}; ///< of "cpu:NAME"; empty for this machine's
  llvm::SmallVector<llvm::StringRef> architectures = {}; ///< the least first
  bool check = false;                                    ///< of "cuda-sim:check"
};

/// The forms that `parseTarget` takes, for messages and help.
inline constexpr llvm::StringLiteral targetForms =
    "cpu, cpu:NAME, cuda, cuda:ARCHITECTURE,..., cuda-sim and cuda-sim:check";

/// Parses `cpu`, `cpu:NAME`, `cuda` (sm_80 and sm_90), `cuda:sm_80,sm_90`, `cuda-sim`,
/// `cuda-sim:check`. Whether a processor has that name is not known here (cpu::completeTarget).
/// Returns nothing, with a sentence in `error`, for what is none of these.
std::optional<TargetName> parseTarget(llvm::StringRef text, std::string &error);

/// The attribute of a target; without the features of its processor.
TargetAttr targetAttrOf(mlir::MLIRContext *context, const TargetName &name);

/// The target of the module that `op` is or lies in; null if it has none.
TargetAttr findTarget(mlir::Operation *op);
void setTarget(mlir::ModuleOp module, TargetAttr target);

} // namespace doppel::plan
