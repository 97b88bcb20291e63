// doppel-verify: checks the compiler against the oracle. For developers and lit tests; `doppel-verify SUBCOMMAND --help` tells more.
#include "frontends/cli/verify/Verify.h"

#include "dialects/nn/NnDialect.h"
#include "dialects/plan/PlanDialect.h"
#include "dialects/ssl/SslDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AsmState.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"

namespace cl = llvm::cl;
using namespace doppel;

static cl::SubCommand runCommand("run", "Interpret functions with seeded arguments, print results");
static cl::SubCommand gradientsCommand("gradients",
                                       "Compare autodiff with central differences in double");

static cl::opt<std::string> file(cl::Positional, cl::desc("FILE.mlir"), cl::init("-"),
                                 cl::sub(runCommand), cl::sub(gradientsCommand));
static cl::opt<std::string> function("function", cl::desc("Only this function"),
                                     cl::sub(runCommand), cl::sub(gradientsCommand));
static cl::opt<uint64_t> seed("seed", cl::desc("Of the run and its arguments"), cl::init(1),
                              cl::sub(runCommand), cl::sub(gradientsCommand));
static cl::opt<int64_t> step("step", cl::desc("Number of the first step"), cl::init(0),
                             cl::sub(runCommand));
static cl::opt<int64_t> steps("steps", cl::desc("Number of calls, each the next step"),
                              cl::init(1), cl::sub(runCommand));
static cl::opt<int> ranks("ranks", cl::desc("Simulated ranks, each a thread"), cl::init(1),
                          cl::sub(runCommand));
static cl::opt<double> tolerance("tolerance", cl::desc("Greatest relative error"), cl::init(1e-6),
                                 cl::sub(gradientsCommand));

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::ParseCommandLineOptions(argc, argv, "Checks Doppel's compiler against its oracle\n");
  if (!runCommand && !gradientsCommand) {
    cl::PrintHelpMessage();
    return 2;
  }
  if (runCommand && ranks < 1) {
    llvm::errs() << "error: --ranks must be at least 1\n";
    return 2;
  }
  mlir::DialectRegistry registry;
  registry.insert<mlir::func::FuncDialect, nn::NnDialect, plan::PlanDialect, ssl::SslDialect>();
  mlir::MLIRContext context(registry);
  llvm::SourceMgr sources;
  mlir::SourceMgrDiagnosticHandler handler(sources, &context);
  auto module = mlir::parseSourceFile<mlir::ModuleOp>(file, sources, &context);
  if (!module)
    return 1;
  if (gradientsCommand)
    return verify::gradients(*module, {function, seed, tolerance});
  return verify::run(*module, {function, seed, step, steps, ranks});
}
