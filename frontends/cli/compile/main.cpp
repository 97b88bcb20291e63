// doppel-compile: the commands that need the compiler. `doppel compile`, `doppel check`, `doppel
// fmt` and `doppel train` start it.
#include "frontends/cli/Inputs.h"
#include "frontends/cli/Usage.h"
#include "frontends/cli/compile/Driver.h"

#include "runtime/core/Process.h"
#include "runtime/core/Text.h"

#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <unistd.h>

using namespace doppel;

namespace doppel::cli {

static std::string message;

std::string bugMessage() { return message; }

void reportCrashes(int argc, char **argv) {
  constexpr const char *kBug =
      "doppel: internal error: this is a bug in Doppel 0.1.0, not in your spec. Please report it "
      "with the spec and this command:\n";
  // The longer message takes memory, which may be refused.
  runtime::guardProcess(kBug);
  message = kBug;
  message += "  doppel";
  for (int i = 1; i < argc; ++i)
    message += std::string(" ") + argv[i];
  message += '\n';
  runtime::guardProcess(message.c_str());
  llvm::install_fatal_error_handler([](void *, const char *reason, bool) {
    if (llvm::StringRef(reason).starts_with("pthread_create failed")) {
      fputs("doppel: error: the system refuses a thread or the memory for its stack (ulimit -v, "
            "ulimit -u, or the limit of a control group)\n",
            stderr);
      _exit(userError);
    }
    fprintf(stderr, "doppel: %s\n%s", reason, message.c_str());
    _exit(internalError);
  });
  llvm::install_bad_alloc_error_handler(
      [](void *, const char *, bool) { runtime::exitForMemory(); });
}

int finishOutput(int code) {
  llvm::outs().flush();
  if (std::error_code error = llvm::outs().error()) {
    // Without this LLVM's own end of the process is a crash.
    llvm::outs().clear_error();
    llvm::errs() << "doppel: error: cannot write to stdout: " << error.message() << '\n';
    code = code == done ? int(userError) : code;
  }
  llvm::errs().clear_error();
  return code;
}

} // namespace doppel::cli

namespace {

/// "name=value" of --set.
std::string addSet(cli::CompileOptions &options, const std::string &text) {
  size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos)
    return "'" + text + "' is not of the form name=value";
  options.sets.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  return "";
}

/// Whether the file may be a spec, by its name and kind; if not, it has been said.
bool isSpec(std::string_view command, const std::string &path) {
  auto expected = cli::expectSpec(command, path);
  if (!expected)
    fprintf(stderr, "doppel: error: %s\n", runtime::printable(expected.error().message).c_str());
  return expected.has_value();
}

std::string phaseNames() {
  std::string names = "ast";
  for (const PhaseInfo &info : getPhases())
    names += ", " + info.name.str() + (info.phase == Phase::Code ? ", ptx" : "");
  return names;
}

std::string phaseHelp() {
  std::string text = "\nPhases, for --emit and --dump-phases:\n";
  for (const PhaseInfo &info : getPhases()) {
    std::string name = info.name.str();
    text += "  " + name + std::string(12 - name.size(), ' ') + info.description.str() + "\n";
  }
  return text;
}

/// The options of the commands that read specs, beside the specs themselves.
void declareParams(CLI::App &command, cli::CompileOptions &options,
                   std::vector<std::string> &sets) {
  command
      .add_option("--set", sets,
                  "name=value: gives a param of the spec another value; may be repeated")
      ->allow_extra_args(false)
      ->type_name("NAME=VALUE");
  command
      .add_option("-I,--import-path", options.importPaths,
                  "folder in which `use \"file\"` looks, after the spec's own")
      ->allow_extra_args(false)
      ->type_name("DIR");
}

int run(int argc, char **argv) {
  CLI::App app("The compiler of Doppel: a spec of a self-supervised method in, one artifact out.");
  app.name("doppel");
  app.require_subcommand(1);
  app.set_version_flag("--version", "doppel 0.1.0");

  cli::CompileOptions options;
  std::vector<std::string> sets;
  std::string emit = "artifact", code, target = "cpu", precision = "f32";

  CLI::App *compile = app.add_subcommand("compile", "compile a spec into an artifact");
  compile
      ->add_option("SPEC", options.input,
                   "the method: a spec (.dpl), or a module of nn or ssl (.mlir)")
      ->required();
  declareParams(*compile, options, sets);
  compile
      ->add_option("-o,--output", options.output,
                   "file to write (default: the spec's name with .dpx; --emit: the terminal)")
      ->type_name("FILE");
  compile
      ->add_option(
          "--target", target,
          "cpu: this machine's processor; cpu:NAME: another one, by LLVM's name (cpu:x86-64-v3); "
          "cuda: GPUs from sm_80 on; cuda:sm_80,sm_90: those named, and newer ones; cuda-sim: the "
          "same kernels on this machine's processor; cuda-sim:check: and looks for races and "
          "accesses out of bounds")
      ->type_name("TARGET")
      ->capture_default_str()
      ->check([](const std::string &target) {
        std::string error;
        plan::parseTarget(target, error);
        return error;
      });
  compile
      ->add_option(
          "--precision", precision,
          "what convolutions and products round their operands to. f32: nothing; tf32: 10 "
          "bits, in the tensor cores of GPUs (with --target cuda; cuda-sim computes such a "
          "program in f32)")
      ->type_name("PRECISION")
      ->capture_default_str()
      ->check(CLI::IsMember({"f32", "tf32"}));
  compile->add_option("--emit", emit, "stop at this phase and print it: " + phaseNames())
      ->type_name("PHASE")
      ->check([](const std::string &name) {
        bool known = name == "ast" || name == "ptx" || findPhase(name);
        return known ? std::string() : "'" + name + "' is no phase; phases are " + phaseNames();
      });
  compile->add_option("--dump-phases", options.dumpFolder, "write the module of every phase here")
      ->type_name("DIR");
  compile
      ->add_option(
          "--dump-kernels", options.kernelsFolder,
          "write the kernels' LLVM IR and code here; for GPUs also kernels.txt, a table of "
          "registers, shared memory and spills")
      ->type_name("DIR");
  compile->add_flag("--explain", options.explain,
                    "tell which operations were fused, where they stand, and the bytes that saves");
  compile->add_flag("--timing", options.timing, "print the time of each pass");
  compile->add_flag("-q,--quiet", options.quiet, "no summary");
  compile->footer(phaseHelp());

  std::vector<std::string> checked;
  CLI::App *check = app.add_subcommand("check", "report the errors and warnings of specs");
  check->add_option("SPEC", checked, "the methods: specs (.dpl), each for itself")->required();
  declareParams(*check, options, sets);

  CLI::App *explain = app.add_subcommand("explain", "tell what the code of a message means");
  explain->add_option("CODE", code, "as in the message: E0312")->required();

  cli::FormatOptions layout;
  CLI::App *fmt = app.add_subcommand("fmt", "lay specs out in the one style of the language");
  fmt->add_option("FILE", layout.inputs,
                  "specs, rewritten in place unless they are laid out already; the names of those "
                  "that changed are printed. '-': from stdin to stdout")
      ->required();
  fmt->add_flag("--check", layout.check,
                "write nothing; print the names of those that would change, and exit with 1 if "
                "there are any");
  fmt->footer("Line breaks and the words of comments stay as they are; indentation, spaces and "
              "empty lines\nare set. A spec with errors of syntax is left alone.");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    std::string word = argc > 1 ? argv[1] : "";
    CLI::App *command = nullptr;
    for (CLI::App *each : {compile, check, explain, fmt})
      if (each->get_name() == word)
        command = each;
    if (command && error.get_exit_code() != 0) {
      std::string_view unknown = cli::firstUnknownOption(
          std::span(argv, size_t(argc)).subspan(2),
          [&](const std::string &name) { return command->get_option_no_throw(name) != nullptr; });
      if (!unknown.empty()) {
        fprintf(stderr, "doppel: error: %s\n",
                runtime::printable(cli::whyNoOption(word, unknown)).c_str());
        return cli::usageError;
      }
    }
    return app.exit(error) == 0 ? cli::done : cli::usageError;
  }
  for (const std::string &set : sets)
    if (std::string problem = addSet(options, set); !problem.empty()) {
      fprintf(stderr, "doppel: error: --set: %s\n", problem.c_str());
      return cli::usageError;
    }
  if (explain->parsed())
    return cli::explainCode(code);
  if (check->parsed()) {
    int worst = cli::done;
    for (const std::string &input : checked) {
      options.input = input;
      int code = isSpec("check", input) ? cli::check(options) : cli::userError;
      worst = std::max(worst, code);
    }
    return worst;
  }
  if (fmt->parsed())
    return cli::formatSpecs(layout);
  std::string error;
  if (compile->count("--target"))
    options.target = plan::parseTarget(target, error);
  if (compile->count("--precision"))
    options.precision = nn::symbolizePrecision(precision);
  options.emitAst = emit == "ast";
  options.emitPtx = emit == "ptx";
  if (options.emitPtx)
    options.emit = Phase::Code;
  else if (!options.emitAst)
    options.emit = *findPhase(emit);
  return isSpec("compile", options.input) ? cli::compile(options) : cli::userError;
}

} // namespace

int main(int argc, char **argv) {
  cli::reportCrashes(argc, argv);
  try {
    return cli::finishOutput(run(argc, argv));
  } catch (...) {
    return runtime::reportException(std::current_exception());
  }
}
