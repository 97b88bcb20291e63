// The compiler from a spec to an artifact, as the commands `doppel compile` and `doppel check` use
// it, and the other commands over specs.
#pragma once

#include "dialects/plan/Target.h"
#include "passes/Pipelines.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel::cli {

/// Exit codes of all commands.
enum ExitCode { done = 0, userError = 1, usageError = 2, internalError = 70 };

struct CompileOptions {
  std::string input; ///< a spec (.dpl) or a module of any phase up to `fused` (.mlir)
  std::string output;
  std::vector<std::pair<std::string, std::string>> sets;
  std::vector<std::string> importPaths;
  std::optional<plan::TargetName> target; ///< without, that of the module, or this machine
  std::optional<nn::Precision> precision; ///< of products; without, f32
  Phase emit = Phase::Artifact;
  bool emitAst = false;
  bool emitPtx = false;      ///< of kernels for GPUs; `emit` is Phase::Code then
  std::string dumpFolder;    ///< of --dump-phases; empty for none
  std::string kernelsFolder; ///< of --dump-kernels; empty for none
  bool explain = false;
  bool timing = false;
  bool quiet = false;
};

/// Compiles as far as `options.emit` says and writes the result: a module's text to `output` or to
/// stdout, an artifact to `output`. Messages go to stderr, the summary to stdout.
int compile(const CompileOptions &options);

/// Reports the errors and warnings of a spec, those of differentiation included. Writes nothing.
int check(const CompileOptions &options);

/// Prints what an error's code means.
int explainCode(const std::string &code);

struct FormatOptions {
  std::vector<std::string> inputs; ///< specs; "-" alone: from stdin to stdout
  bool check = false;
};

/// Lays specs out in place and prints the names of those that it changed; with `check` it writes
/// nothing, and fails if there are any. A spec with errors of syntax is left alone.
int formatSpecs(const FormatOptions &options);

/// Whether messages on stderr are for a terminal that shows colours.
bool wantsColour();

/// What to say before exit code 70.
std::string bugMessage();

/// Flushes stdout. Fails where what was printed could not be written, with a message.
int finishOutput(int code);

/// From now on a crash says that it is a bug of Doppel and exits with 70.
void reportCrashes(int argc, char **argv);

} // namespace doppel::cli
