// doppel-opt: reads a module of any phase, runs passes, prints the result. For developers and lit
// tests.
#include "dialects/nn/NnDialect.h"
#include "dialects/plan/PlanDialect.h"
#include "dialects/ssl/SslDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"
#include "llvm/Support/CommandLine.h"

int main(int argc, char **argv) {
  // What is registered by now are LLVM's own options, hundreds; --help-hidden does not show them
  // either.
  for (auto &entry : llvm::cl::getRegisteredOptions())
    entry.second->setHiddenFlag(llvm::cl::ReallyHidden);

  mlir::DialectRegistry registry;
  registry.insert<mlir::func::FuncDialect, doppel::nn::NnDialect, doppel::plan::PlanDialect,
                  doppel::ssl::SslDialect>();
  mlir::registerCanonicalizerPass();
  mlir::registerCSEPass();
  mlir::registerSymbolDCEPass();
  doppel::registerPasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Doppel's pass driver, for developers\n", registry));
}
