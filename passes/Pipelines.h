// The phases of the compiler (DESIGN 2): one table that drives --emit, --dump-phases, progress and
// the docs.
#pragma once

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <optional>

namespace doppel {

/// In the order in which a method passes through them.
enum class Phase { Ssl, Step, Train, Fused, Plan, Code, Artifact };

/// What the pipelines need to know of the run and its machine.
struct PipelineOptions : mlir::PassPipelineOptions<PipelineOptions> {
  Option<int64_t> world{*this, "world", llvm::cl::desc("Number of ranks"), llvm::cl::init(1)};
  Option<std::string> precision{*this, "precision",
                                llvm::cl::desc("What products are rounded to: f32 or tf32"),
                                llvm::cl::init("f32")};
  Option<std::string> target{
      *this, "target",
      llvm::cl::desc("What the program is for, as --target; empty where the module says it"),
      llvm::cl::init("")};
  Option<bool> elide{*this, "elide", llvm::cl::desc("Take away copies that nobody needs"),
                     llvm::cl::init(true)};
  Option<bool> reuse{*this, "reuse",
                     llvm::cl::desc("Let values share bytes that are never in use at once"),
                     llvm::cl::init(true)};
};

struct PhaseInfo {
  Phase phase;
  llvm::StringLiteral name;        ///< as in --emit NAME
  llvm::StringLiteral description; ///< one line, for help and docs
  /// Adds the passes that lead from the phase before to this one, the verifier of this phase
  /// included. Null where no pass does it: `ssl` is made by the frontend, `code` and `artifact` by
  /// codegen.
  void (*build)(mlir::OpPassManager &, const PipelineOptions &);
};

/// All phases in order.
llvm::ArrayRef<PhaseInfo> getPhases();
const PhaseInfo &getPhase(Phase phase);
/// The phase called `name`, if there is one.
std::optional<Phase> findPhase(llvm::StringRef name);

/// Adds the passes that lead from a module in phase `from` to one in phase `to`; neither is past
/// `plan`.
void buildPipeline(mlir::OpPassManager &manager, Phase from, Phase to,
                   const PipelineOptions &options);

/// Registers, for each phase with passes, a pipeline --to-NAME from the phase before it.
void registerPipelines();

} // namespace doppel
