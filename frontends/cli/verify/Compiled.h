// A module compiled for this machine's processor and bound to its device, with tensors of the
// oracle at the border.
#pragma once

#include "codegen/artifact/Writer.h"
#include "codegen/reference/Interpreter.h"
#include "dialects/plan/Target.h"
#include "passes/Pipelines.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/executor/Executable.h"

namespace doppel::verify {

/// Runs the passes from phase `from` to phase `to` over `module`, for `target` (by default this
/// machine's processor); fails after a diagnostic.
mlir::LogicalResult lower(mlir::ModuleOp module, Phase from, Phase to,
                          const PipelineOptions &options = {}, plan::TargetAttr target = {});

/// A program in memory, bound to this machine's processor.
struct LoadedProgram {
  /// Writes and parses the artifact of `module`, which is in phase `plan`, with code of its
  /// kernels.
  mlir::LogicalResult parse(mlir::ModuleOp module, const KernelCode &code);
  /// The same, and binds it to the device.
  mlir::LogicalResult load(mlir::ModuleOp module, const KernelCode &code, int threads);

  std::optional<runtime::Artifact> artifact;
  std::unique_ptr<runtime::Device> device;
  std::unique_ptr<runtime::Executable> executable;
};

/// Code of the kernels of `module`, which is in phase `plan`, for its target: this machine's
/// processor, or the simulator of a GPU.
mlir::FailureOr<KernelCode> compileKernels(mlir::ModuleOp module);

/// An error of the runtime as a failure that was told.
mlir::LogicalResult tell(const runtime::Error &error);

class Compiled : LoadedProgram {
public:
  /// Compiles `module`, which is in phase `from` and is lowered in place. Arguments that are
  /// tensors, and results that are not f32, become states that only this class knows. For this
  /// machine's processor, or for `target`.
  static mlir::FailureOr<std::unique_ptr<Compiled>>
  create(mlir::ModuleOp module, Phase from, int threads, plan::TargetAttr target = {});

  /// Calls `function`, with the values of the states in `states` before and after, as
  /// reference::Interpreter does.
  mlir::FailureOr<std::vector<reference::Tensor>>
  call(llvm::StringRef function, llvm::ArrayRef<reference::Value> arguments,
       const abi::RunScalars &run, std::map<std::string, reference::Tensor> &states);

private:
  /// Where each result of a function is found: an output, or a state.
  struct Result {
    std::string name;
    bool isState;
  };

  mlir::LogicalResult rewriteArguments(mlir::func::FuncOp function);
  void rewriteResults(mlir::func::FuncOp function);
  mlir::LogicalResult write(const std::string &state, const reference::Tensor &value);
  mlir::FailureOr<reference::Tensor> read(const std::string &state);
  size_t stateNumber(const std::string &name) const;

  std::map<std::string, std::vector<std::string>>
      arguments; ///< states, by function; empty for images
  std::map<std::string, std::vector<Result>> results;
};

} // namespace doppel::verify
