// doppel-verify: checks the compiler against the oracle. For developers and lit tests;
// `doppel-verify SUBCOMMAND --help` tells more.
#include "frontends/cli/verify/Verify.h"

#include "dialects/nn/NnDialect.h"
#include "dialects/plan/PlanDialect.h"
#include "dialects/ssl/SslDialect.h"
#include "frontends/spec/Frontend.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AsmState.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/SourceMgr.h"

namespace cl = llvm::cl;
using namespace doppel;

static cl::SubCommand runCommand("run", "Interpret functions with seeded arguments, print results");
static cl::SubCommand gradientsCommand("gradients",
                                       "Compare autodiff with central differences in double");
static cl::SubCommand kernelsCommand("kernels", "Compare the compiled program with the oracle");
static cl::SubCommand simulateCommand("simulate",
                                      "Compare each kernel for a GPU, run by the simulator with "
                                      "all its checks, with the oracle");
static cl::SubCommand roundingCommand("rounding",
                                      "Tell where the compiled program loses digits: each kernel "
                                      "and library call against the oracle");
static cl::SubCommand stepCommand("step",
                                  "Compare a spec's training steps with a golden file of PyTorch");
static cl::SubCommand memoryCommand("memory",
                                    "Compare programs with and without copies elided and memory "
                                    "reused, bit by bit");
static cl::SubCommand loadCommand("load", "Write a module's artifact and load it");
static cl::SubCommand operationsCommand("operations", "List the operations of nn");

static cl::opt<std::string> file(cl::Positional,
                                 cl::desc("FILE (.mlir, or .dpl where it is a spec)"),
                                 cl::init("-"), cl::sub(runCommand), cl::sub(gradientsCommand),
                                 cl::sub(simulateCommand), cl::sub(kernelsCommand),
                                 cl::sub(roundingCommand), cl::sub(stepCommand),
                                 cl::sub(memoryCommand), cl::sub(loadCommand));
static cl::opt<std::string> function("function", cl::desc("Only this function"),
                                     cl::sub(runCommand), cl::sub(gradientsCommand),
                                     cl::sub(simulateCommand), cl::sub(kernelsCommand),
                                     cl::sub(roundingCommand));
static cl::opt<uint64_t> seed("seed", cl::desc("Of the run and its arguments"), cl::init(1),
                              cl::sub(runCommand), cl::sub(gradientsCommand),
                              cl::sub(simulateCommand), cl::sub(kernelsCommand),
                              cl::sub(roundingCommand), cl::sub(memoryCommand));
static cl::opt<int64_t> firstStep("step", cl::desc("Number of the (first) step"), cl::init(0),
                                  cl::sub(runCommand), cl::sub(simulateCommand),
                                  cl::sub(kernelsCommand), cl::sub(roundingCommand));
static cl::opt<int64_t> steps("steps", cl::desc("Number of calls, each the next step"), cl::init(1),
                              cl::sub(runCommand), cl::sub(memoryCommand));
static cl::opt<int> ranks("ranks", cl::desc("Simulated ranks, each a thread; of the artifact"),
                          cl::init(1), cl::sub(runCommand), cl::sub(loadCommand));
static cl::opt<double> tolerance("tolerance",
                                 cl::desc("Greatest relative error (gradients 1e-6, kernels 2e-5)"),
                                 cl::init(0), cl::sub(gradientsCommand), cl::sub(simulateCommand),
                                 cl::sub(kernelsCommand));
static cl::opt<bool> elements("elements",
                              cl::desc("Errors are relative to the element alone, however small"),
                              cl::sub(kernelsCommand));
static cl::opt<double>
    scaleFloor("floor", cl::desc("Errors of elements that are smaller are relative to this"),
               cl::init(0), cl::sub(simulateCommand), cl::sub(kernelsCommand));
static cl::opt<std::string> from("from",
                                 cl::desc("Phase that FILE is in: step, train (default) or fused"),
                                 cl::init("train"), cl::sub(simulateCommand),
                                 cl::sub(kernelsCommand), cl::sub(roundingCommand),
                                 cl::sub(memoryCommand), cl::sub(loadCommand));
static cl::opt<size_t> top("top", cl::desc("Instructions to show, the worst first"), cl::init(20),
                           cl::sub(roundingCommand));
static cl::opt<double> limit("limit",
                             cl::desc("Fail where an instruction alone loses more than this many "
                                      "units of 2^-24"),
                             cl::init(0), cl::sub(roundingCommand));
static cl::list<std::string> sets("set", cl::desc("A spec's parameter"),
                                  cl::value_desc("name=value"), cl::sub(simulateCommand),
                                  cl::sub(kernelsCommand), cl::sub(roundingCommand),
                                  cl::sub(memoryCommand), cl::sub(loadCommand));
static cl::opt<int> threads("threads", cl::desc("0: all processors"), cl::init(0),
                            cl::sub(kernelsCommand), cl::sub(roundingCommand), cl::sub(stepCommand),
                            cl::sub(memoryCommand));
static cl::opt<bool> ptx("ptx",
                         cl::desc("Make PTX of each kernel too, and assemble it where there is "
                                  "an assembler"),
                         cl::sub(simulateCommand));
static cl::opt<std::string> golden("golden",
                                   cl::desc("The golden file, whose settings the spec gets"),
                                   cl::value_desc("FILE.safetensors"), cl::sub(stepCommand));
static cl::list<std::string>
    programs("program",
             cl::desc("autodiff, train or compiled, by default all three; or "
                      "simulated: a GPU's, each access checked"),
             cl::sub(stepCommand));

/// `kernels`, `simulate`, `rounding`, `memory` or `load`, of a module in `phase`.
static int compiled(mlir::ModuleOp module, Phase phase) {
  if (roundingCommand)
    return verify::rounding(module, phase, {function, seed, firstStep, threads, top, limit});
  if (simulateCommand) {
    verify::SimulateOptions options{function, seed, firstStep};
    if (tolerance > 0)
      options.tolerance = tolerance;
    options.floor = scaleFloor;
    options.ptx = ptx;
    return verify::simulate(module, phase, options);
  }
  if (memoryCommand)
    return verify::memory(module, phase, {seed, steps, threads});
  if (loadCommand)
    return verify::load(module, phase, ranks);
  verify::KernelOptions options{function, seed, firstStep, threads};
  if (tolerance > 0)
    options.tolerance = tolerance;
  options.floor = scaleFloor;
  if (elements)
    options.share = 0;
  return verify::kernels(module, phase, options);
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  // LLVM's own options are hundreds; ours belong to the subcommands.
  for (auto &entry : cl::getRegisteredOptions())
    entry.second->setHiddenFlag(cl::ReallyHidden);
  cl::ParseCommandLineOptions(argc, argv, "Checks Doppel's compiler against its oracle\n");
  if (!runCommand && !gradientsCommand && !kernelsCommand && !simulateCommand && !roundingCommand &&
      !stepCommand && !memoryCommand && !loadCommand && !operationsCommand) {
    cl::PrintHelpMessage();
    return 2;
  }
  if ((runCommand || loadCommand) && ranks < 1) {
    llvm::errs() << "error: --ranks must be at least 1\n";
    return 2;
  }
  mlir::DialectRegistry registry;
  registry.insert<mlir::func::FuncDialect, nn::NnDialect, plan::PlanDialect, ssl::SslDialect>();
  mlir::MLIRContext context(registry);
  llvm::SourceMgr sources;
  mlir::SourceMgrDiagnosticHandler handler(sources, &context);
  if (stepCommand)
    return verify::step(context, file, {golden, programs, threads});

  if (operationsCommand)
    return verify::operations(context);

  bool compiles =
      kernelsCommand || simulateCommand || roundingCommand || memoryCommand || loadCommand;
  if (compiles && llvm::StringRef(file).ends_with(".dpl")) {
    spec::SpecOptions options;
    for (const std::string &text : sets) {
      auto [name, value] = llvm::StringRef(text).split('=');
      options.sets.emplace_back(name.str(), value.str());
    }
    auto module = spec::loadSpec(context, file, options, llvm::errs());
    return module ? compiled(*module, Phase::Ssl) : 1;
  }
  auto module = mlir::parseSourceFile<mlir::ModuleOp>(file, sources, &context);
  if (!module)
    return 1;
  if (gradientsCommand) {
    verify::GradientOptions options{function, seed};
    if (tolerance > 0)
      options.tolerance = tolerance;
    return verify::gradients(*module, options);
  }
  if (compiles) {
    auto phase = findPhase(from);
    if (!phase || *phase > Phase::Fused) {
      llvm::errs() << "error: --from is '" << from << "', not step, train or fused\n";
      return 2;
    }
    return compiled(*module, *phase);
  }
  return verify::run(*module, {function, seed, firstStep, steps, ranks});
}
