// doppel: the command that users run. It links no LLVM: `compile`, `check`, `fmt` and the first
// half of `train` are done by doppel-compile, which lies beside it.
#include "frontends/cli/Inputs.h"
#include "frontends/cli/Usage.h"
#include "frontends/cli/run/Commands.h"
#include "frontends/cli/run/Terminal.h"

#include "runtime/core/Process.h"
#include "runtime/core/Text.h"

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstring>
#include <limits>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace doppel;

namespace {

std::string compilerPath() {
  char path[4096];
  ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
  if (length <= 0)
    return "doppel-compile";
  return (std::filesystem::path(std::string(path, size_t(length))).parent_path() / "doppel-compile")
      .string();
}

std::vector<char *> asArguments(std::vector<std::string> &words) {
  std::vector<char *> arguments;
  for (std::string &word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  return arguments;
}

int compilerMissing(const std::string &path) {
  cli::printError(
      "doppel: error: the compiler {} cannot be started ({}); this installation can run "
      "artifacts but not compile specs\n",
      path, std::strerror(errno));
  return 1;
}

/// Replaces this process by the compiler.
int execCompiler(std::vector<std::string> words) {
  words.insert(words.begin(), compilerPath());
  std::vector<char *> arguments = asArguments(words);
  execv(arguments[0], arguments.data());
  return compilerMissing(words[0]);
}

/// Runs the compiler and waits for it; its exit code. The compiler dies with this process, whose
/// folder it writes into.
int callCompiler(std::vector<std::string> words) {
  words.insert(words.begin(), compilerPath());
  pid_t parent = getpid(), child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
      _exit(1);
    std::vector<char *> arguments = asArguments(words);
    execv(arguments[0], arguments.data());
    _exit(compilerMissing(words[0]));
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) < 0)
    return compilerMissing(words[0]);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 70;
}

/// A check of a number; CLI11's own prints the largest double as the upper end.
CLI::Validator atLeast(int64_t least, int64_t most = std::numeric_limits<int64_t>::max()) {
  return CLI::Validator(
      [=](std::string &text) {
        double value = 0;
        if (!CLI::detail::lexical_cast(text, value))
          return "'" + text + "' is no number";
        if (value >= double(least) && value <= double(most))
          return std::string();
        return text + " is not allowed: it must be " +
               (value < double(least) ? fmt::format("at least {}", least)
                                      : fmt::format("from {} to {}", least, most));
      },
      "", "");
}

/// Of --threads: 0 stands for all processors.
CLI::Validator threadNumber() { return atLeast(0, 1024); }

/// Of --holdout: a part, but not all.
CLI::Validator fraction() {
  return CLI::Validator(
      [](std::string &text) {
        double value = 0;
        if (!CLI::detail::lexical_cast(text, value) || !(value >= 0 && value < 1))
          return "'" + text + "' is no fraction from 0 to below 1, such as 0.1";
        return std::string();
      },
      "", "");
}

/// The options that `run` and `train` share.
struct RunArguments {
  runtime::TrainOptions options;
  std::string out;
  bool resume = false, overwrite = false;

  void declare(CLI::App &command) {
    command
        .add_option("--data", options.data,
                    "folder of images, CIFAR-10 binaries, or `shapes` (built in; "
                    "shapes:5000,test=1000 has so many images)")
        ->required();
    command
        .add_option("--holdout", options.holdout,
                    "of data without a test split: the fraction of images that training leaves out "
                    "and eval classifies, such as 0.1 (default: none)")
        ->check(fraction());
    command.add_option("--out", out, "run folder: checkpoints, metrics.jsonl")->required();
    auto *epochs =
        command.add_option("--epochs", options.epochs,
                           "epochs to train; schedules stretch over them (default: the spec's)");
    epochs->check(atLeast(1, std::numeric_limits<int32_t>::max()));
    command
        .add_option("--steps", options.steps,
                    "stop after so many steps of the run; schedules go on as if it were whole")
        ->check(atLeast(1));
    command.add_option("--seed", options.seed, "seed of all random draws (default 0)")
        ->check(atLeast(0));
    command.add_option("--threads", options.threads, "threads (default: all processors)")
        ->check(threadNumber());
    command
        .add_option("--checkpoint-steps", options.checkpointSteps,
                    "steps between checkpoints (default: an epoch)")
        ->check(atLeast(1));
    auto *resumeFlag = command.add_flag("--resume", resume, "go on with the run in --out");
    command.add_flag("--overwrite", overwrite, "replace the run in --out")->excludes(resumeFlag);
  }

  /// Opens the folder and locks it.
  runtime::Result<runtime::RunFolder> open() const {
    return runtime::RunFolder::open(out, resume      ? runtime::FolderMode::Resume
                                         : overwrite ? runtime::FolderMode::Overwrite
                                                     : runtime::FolderMode::Fresh);
  }

  int run(const runtime::Result<runtime::Artifact> &artifact, runtime::RunFolder &folder) const {
    return artifact ? cli::runTrain(options, *artifact, folder) : cli::report(artifact.error());
  }
};

/// Reports what is not as it should be.
bool isExpected(const runtime::Result<void> &result, int &code) {
  if (!result)
    code = cli::report(result.error());
  return result.has_value();
}

/// The argument of a command, and the words that stand behind it and belong to no option.
std::pair<std::string, std::vector<std::string>> argumentsOf(const CLI::App &command) {
  std::string argument;
  for (const CLI::Option *option : command.get_options())
    if (option->get_positional() && option->count() > 0)
      argument = option->results()[0];
  return {argument, argument.empty() ? std::vector<std::string>() : command.remaining()};
}

int runProgram(int argc, char **argv) {
  CLI::App app(
      "Doppel compiles self-supervised learning methods and trains encoders with them.\n"
      "A method is a spec (.dpl); `compile` makes an artifact (.dpx) of it, `run` trains.");
  app.require_subcommand(1);
  app.set_version_flag("--version", "doppel 0.1.0");
  int code = 0;

  // Their options are the compiler's own; its --help tells them.
  for (auto [name, text] :
       {std::pair{"compile", "compile a spec into an artifact (doppel compile --help)"},
        std::pair{"check", "report the errors of a spec (doppel check --help)"},
        std::pair{"fmt", "lay specs out in the style of the language (doppel fmt --help)"},
        std::pair{"explain", "tell what the code of a message means (doppel explain E0312)"}})
    app.add_subcommand(name, text)->prefix_command();

  std::string artifact;
  RunArguments run;
  CLI::App *runCommand = app.add_subcommand("run", "train with an artifact");
  runCommand->add_option("ARTIFACT", artifact, "artifact made by `doppel compile`")->required();
  run.declare(*runCommand);
  runCommand->callback([&] {
    if (!isExpected(cli::expectArtifact("run", artifact), code) ||
        !isExpected(cli::expectData(run.options.data), code) ||
        !isExpected(runtime::checkDataset(run.options.data), code))
      return;
    run.options.artifact = artifact;
    auto folder = run.open();
    code =
        folder ? run.run(runtime::Artifact::load(artifact), *folder) : cli::report(folder.error());
  });

  std::string spec, target, precision;
  std::vector<std::string> sets, imports;
  RunArguments trained;
  CLI::App *trainCommand = app.add_subcommand("train", "compile a spec and train with it");
  trainCommand->add_option("SPEC", spec, "spec of the method")->required();
  trained.declare(*trainCommand);
  trainCommand->add_option("--set", sets, "value of a param of the spec: name=value")
      ->allow_extra_args(false);
  trainCommand
      ->add_option("-I,--import-path", imports,
                   "folder in which `use \"file\"` looks, after the spec's own")
      ->allow_extra_args(false);
  trainCommand->add_option(
      "--target", target,
      "what to compile for: cpu (this one), cpu:NAME, cuda, cuda:ARCHITECTURES or cuda-sim");
  trainCommand
      ->add_option("--precision", precision, "what products are rounded to: f32, or on GPUs tf32")
      ->check(CLI::IsMember({"f32", "tf32"}));
  trainCommand->callback([&] {
    // What can be known before the compiler runs.
    if (!isExpected(cli::expectSpec("train", spec), code) ||
        !isExpected(cli::expectData(trained.options.data), code) ||
        !isExpected(runtime::checkDataset(trained.options.data), code))
      return;
    // The folder is this process's from before the compiler runs until the run is over: another
    // `train` into it never sees what this one compiled.
    auto folder = trained.open();
    if (!folder) {
      code = cli::report(folder.error());
      return;
    }
    std::string path = folder->temporary("compiled.dpx").string();
    std::vector<std::string> words{"compile", spec, "-o", path};
    for (const std::string &set : sets)
      words.insert(words.end(), {"--set", set});
    for (const std::string &folder : imports)
      words.insert(words.end(), {"-I", folder});
    if (!target.empty())
      words.insert(words.end(), {"--target", target});
    if (!precision.empty())
      words.insert(words.end(), {"--precision", precision});
    code = callCompiler(words);
    if (code != 0)
      return;
    trained.options.artifact = folder->artifact();
    auto compiled = runtime::Artifact::load(path);
    std::error_code error;
    std::filesystem::remove(path, error);
    code = trained.run(compiled, *folder);
  });

  cli::EvalOptions eval;
  CLI::App *evalCommand = app.add_subcommand(
      "eval", "kNN and linear accuracy of a run's encoder on a data set with classes");
  evalCommand->add_option("RUN", eval.run, "run folder (or an artifact, with --untrained)")
      ->required();
  evalCommand
      ->add_option("--data", eval.data,
                   "as for run; its test split, or what the run held out, is classified by its "
                   "training split")
      ->required();
  evalCommand->add_option("--artifact", eval.artifact,
                          "an artifact of the same networks in place of the run's own, compiled "
                          "for this machine");
  evalCommand->add_option(
      "--test", eval.test,
      "images to classify in place of those: a folder of class folders, or data "
      "with a test split");
  evalCommand->add_flag("--untrained", eval.untrained, "the encoder as initialised by --seed");
  evalCommand->add_flag("--linear", eval.linear, "a linear classifier on the features too");
  evalCommand->add_flag("--raw", eval.raw, "raw pixels too");
  evalCommand->add_option("--step", eval.step, "checkpoint of this step (default: the newest)");
  evalCommand->add_option("--seed", eval.seed, "seed of --untrained");
  evalCommand->add_option("--threads", eval.threads, "threads (default: all processors)")
      ->check(threadNumber());
  evalCommand->add_option("--k", eval.neighbours, "neighbours")
      ->check(atLeast(1))
      ->capture_default_str();
  evalCommand
      ->add_option("--temperature", eval.temperature, "of the neighbours' weights exp(s / T)")
      ->check(CLI::Range(1e-3, 1e3))
      ->capture_default_str();
  evalCommand->add_flag("--json", eval.json, "one line of JSON");
  evalCommand->callback([&] { code = cli::runEval(eval); });

  cli::InspectOptions inspect;
  CLI::App *inspectCommand = app.add_subcommand("inspect", "show what is in an artifact");
  inspectCommand->add_option("ARTIFACT", inspect.artifact, "artifact")->required();
  inspectCommand->add_flag("--kernels", inspect.kernels, "every kernel and state");
  inspectCommand->add_flag("--params", inspect.params, "the params alone");
  inspectCommand->add_flag("--nets", inspect.nets, "the networks and their parts alone");
  inspectCommand->callback([&] { code = cli::runInspect(inspect); });

  cli::BenchOptions bench;
  CLI::App *benchCommand = app.add_subcommand("bench", "time a training step without reading data");
  benchCommand->add_option("ARTIFACT", bench.artifact, "artifact")->required();
  benchCommand->add_option(
      "--data", bench.data,
      "as for run; one batch of it is used over and over (default: `shapes` of "
      "32 pixels; shapes:512,size=256 has so large ones)");
  benchCommand->add_option("--steps", bench.steps, "steps to time")
      ->check(atLeast(1, 1'000'000))
      ->capture_default_str();
  benchCommand->add_option("--warmup", bench.warmup, "steps before")
      ->check(atLeast(0, 1'000'000))
      ->capture_default_str();
  benchCommand->add_option("--threads", bench.threads, "threads (default: all processors)")
      ->check(threadNumber());
  benchCommand->add_flag("--views", bench.views, "time the views alone");
  benchCommand->add_flag("--profile", bench.profile, "time of each kernel and library call");
  benchCommand->add_flag("--json", bench.json, "one line of JSON");
  benchCommand->callback([&] { code = cli::runBench(bench); });

  std::string previewData = "shapes", previewOut;
  int64_t previewImages = 8;
  uint64_t previewSeed = 0;
  CLI::App *previewCommand =
      app.add_subcommand("preview", "draw an artifact's views of some images as a PNG");
  previewCommand->add_option("ARTIFACT", artifact, "artifact")->required();
  previewCommand->add_option("--data", previewData, "as for run")->capture_default_str();
  previewCommand->add_option("-o,--out", previewOut, "PNG file")->required();
  previewCommand->add_option("--images", previewImages, "rows")
      ->check(atLeast(1))
      ->capture_default_str();
  previewCommand->add_option("--seed", previewSeed, "seed of the draws")->capture_default_str();
  previewCommand->callback([&] {
    code = cli::runPreview(artifact, previewData, previewOut, previewImages, previewSeed, 0);
  });

  if (argc == 1) {
    cli::printOut("{}", app.help());
    return 2;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    std::string word = argv[1];
    CLI::App *command = nullptr;
    for (CLI::App *each : app.get_subcommands({}))
      if (each->get_name() == word)
        command = each;
    if (!command && !word.starts_with("-")) {
      std::string meant = cli::whatWasMeant(word);
      cli::printError("doppel: error: there is no command '{}'{}{}\n", runtime::printable(word),
                      meant.empty() ? "" : "; ", runtime::printable(meant));
      if (meant.empty())
        cli::printError("\n{}", app.help());
      return 2;
    }
    std::string_view unknown = cli::firstUnknownOption(
        std::span(argv, size_t(argc)).subspan(2), [&](const std::string &name) {
          return name == "--help" || (command && command->get_option_no_throw(name));
        });
    if (command && !unknown.empty() && error.get_exit_code() != 0) {
      cli::printError("doppel: error: {}\n", runtime::printable(cli::whyNoOption(word, unknown)));
      return 2;
    }
    if (command && error.get_exit_code() != 0) {
      auto [argument, words] = argumentsOf(*command);
      if (!words.empty()) {
        auto needsOption = [&](const std::string &name) {
          const CLI::Option *option = command->get_option_no_throw(name);
          return option && option->count() == 0;
        };
        cli::printError("doppel: error: {}\n",
                        runtime::printable(cli::whyTooMany(word, argument, words, needsOption)));
        return 2;
      }
    }
    return app.exit(error) == 0 ? 0 : 2;
  }
  return code;
}

} // namespace

int main(int argc, char **argv) {
  runtime::guardProcess(
      "doppel: internal error: this is a bug in Doppel 0.1.0; please report it with the "
      "command.\n");
  // `help run` is `run --help`.
  char help[] = "--help";
  std::vector<char *> words(argv, argv + argc);
  if (argc >= 2 && std::strcmp(argv[1], "help") == 0) {
    words.erase(words.begin() + 1);
    words.resize(std::min<size_t>(words.size(), 2));
    words.push_back(help);
    argc = int(words.size());
    words.push_back(nullptr);
    argv = words.data();
  }
  // Handed over untouched, so that the compiler's own help and errors show.
  if (argc >= 2 && (std::strcmp(argv[1], "compile") == 0 || std::strcmp(argv[1], "check") == 0 ||
                    std::strcmp(argv[1], "fmt") == 0 || std::strcmp(argv[1], "explain") == 0))
    return execCompiler(std::vector<std::string>(argv + 1, argv + argc));
  try {
    int code = runProgram(argc, argv);
    // What a run gives is in its folder; what the other commands give is what they print.
    bool trains =
        argc >= 2 && (std::strcmp(argv[1], "run") == 0 || std::strcmp(argv[1], "train") == 0);
    return cli::flushOutput() || trains || code != 0 ? code : 1;
  } catch (...) {
    return runtime::reportException(std::current_exception());
  }
}
