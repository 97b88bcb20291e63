// doppel-verify: what its subcommands share. Each returns the process's exit code: 0 done, 1 a
// comparison failed or the input is wrong.
#pragma once

#include "codegen/reference/Interpreter.h"
#include "passes/Pipelines.h"
#include "llvm/Support/raw_ostream.h"

namespace doppel::verify {

/// Arguments of a function, drawn from a seed. By attributes of the argument:
///
///   nn.value = dense<...>    this value
///   nn.range = [low, high]   uniform in [low, high), instead of [-1, 1); integers are rounded
///                            down, booleans are x >= 0
///   nn.replicated            the same on every rank, where others differ
///   nn.first = N : i64       the number of the first sample of a batch of images, instead of 0
///
/// Values of f32 arguments are exact floats. Images are procedural, of various sizes, or given by
/// nn.value as [N, H, W, 3] of ui8.
class ArgumentSource {
public:
  ArgumentSource(uint64_t seed, int rank) : seed(seed), rank(rank) {}

  mlir::FailureOr<std::vector<reference::Value>> argumentsOf(mlir::func::FuncOp function);
  /// Like an argument numbered `number` with `attributes`.
  mlir::FailureOr<reference::Value> draw(mlir::Location location, mlir::Type type,
                                         mlir::DictionaryAttr attributes, unsigned number);

private:
  reference::Images images(int64_t count);
  reference::Images images(mlir::DenseIntElementsAttr given);

  uint64_t seed;
  int rank;
};

/// Gives each nn.state with an attribute nn.value or nn.range its value (as for arguments), then
/// calls @init if there is one.
mlir::LogicalResult initialiseStates(reference::Interpreter &interpreter, ArgumentSource &source);

/// The result's nn.name, or its number.
std::string resultName(mlir::func::FuncOp function, unsigned result);

/// The tensor's elements as its type has them.
reference::Tensor roundedToType(const reference::Tensor &tensor, mlir::Type type);

/// `values` as further results of `function`. Fails where one has no place among results.
mlir::LogicalResult addResults(mlir::func::FuncOp function, mlir::ArrayRef<mlir::Value> values);

/// A call of a function in the oracle.
struct InterpretedCall {
  std::vector<reference::Value> arguments;
  std::map<std::string, reference::Tensor> states; ///< before the call
  llvm::DenseMap<mlir::Value, reference::Value> values;
};
/// The oracle's values of all arguments of `function`, drawn from `source`, and of `wanted` values
/// in it.
mlir::FailureOr<InterpretedCall> interpretValues(mlir::func::FuncOp function,
                                                 mlir::ArrayRef<mlir::Value> wanted,
                                                 const abi::RunScalars &run,
                                                 ArgumentSource &source);

/// One line: `NAME [shape] = values`; of more than 16 elements the first 8, their sum and 2-norm.
/// Six digits.
void print(llvm::raw_ostream &os, llvm::StringRef name, const reference::Tensor &tensor);

struct RunOptions {
  std::string function; ///< empty: every function but @init
  uint64_t seed = 1;
  int64_t step = 0, steps = 1;
  int ranks = 1;
};
int run(mlir::ModuleOp module, const RunOptions &options);

/// The greatest error of an element, relative to what is expected of it; or where that is smaller
/// to `share` of the greatest element, since it may be what a sum of great terms has left over, or
/// to `floor`. NaN agrees with NaN alone.
double relativeError(const reference::Tensor &expected, const reference::Tensor &found,
                     double share, double floor);
constexpr double smallElement = 1.0 / 16;

struct GradientOptions {
  std::string function; ///< empty: every function
  uint64_t seed = 1;
  double tolerance = 1e-6; ///< of relativeError, with smallElement as share and floor
};
int gradients(mlir::ModuleOp module, const GradientOptions &options);

struct KernelOptions {
  std::string function; ///< empty: every function
  uint64_t seed = 1;
  int64_t step = 3; ///< of every function but @init
  int threads = 0;  ///< 0: all processors
  double tolerance = 2e-5;
  double share = smallElement;
  double floor = 0;
};
/// `module` is in `phase`, at most `fused`; it is lowered in place.
int kernels(mlir::ModuleOp module, Phase phase, const KernelOptions &options);

struct SimulateOptions {
  std::string function; ///< empty: every function
  uint64_t seed = 1;
  int64_t step = 3;
  double tolerance = 2e-5;
  double floor = 0; ///< of relativeError, whose share is smallElement
  bool ptx = false; ///< code for a GPU is made as well
};
/// `module` is in `phase`, at most `fused`; it is lowered in place.
int simulate(mlir::ModuleOp module, Phase phase, const SimulateOptions &options);

struct MemoryOptions {
  uint64_t seed = 1;
  int64_t steps = 2;
  int threads = 0; ///< 0: all processors
};
/// `module` is in `phase`, at most `fused`; it is lowered in place.
int memory(mlir::ModuleOp module, Phase phase, const MemoryOptions &options);

/// Writes the artifact of `module`, which is in `phase`, for `ranks` ranks, and loads it.
int load(mlir::ModuleOp module, Phase phase, int ranks);

/// Prints each operation of nn: what it is to the passes, and what is known of its derivative.
int operations(mlir::MLIRContext &context);

struct RoundingOptions {
  std::string function; ///< empty: every function but @init
  uint64_t seed = 1;
  int64_t step = 3;
  int threads = 0;  ///< 0: all processors
  size_t top = 20;  ///< instructions to show, the worst first
  double limit = 0; ///< of what an instruction alone may lose, in units of 2^-24; 0: none
};
/// `module` is in `phase`, at most `fused`; it is lowered in place.
int rounding(mlir::ModuleOp module, Phase phase, const RoundingOptions &options);

struct StepOptions {
  std::string golden; ///< the safetensors file
  std::vector<std::string>
      programs; ///< of autodiff, train, compiled, simulated; empty: the first three
  int threads = 0;
};
int step(mlir::MLIRContext &context, llvm::StringRef specPath, const StepOptions &options);

} // namespace doppel::verify
