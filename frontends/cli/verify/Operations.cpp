// `doppel-verify operations`: the nn dialect as the passes see it, one line an operation, from its
// traits and the table of derivatives. The table of dialects/nn/README.md is held against it.
#include "frontends/cli/verify/Verify.h"

#include "dialects/nn/NnDialect.h"
#include "passes/DerivativeRules.h"

using namespace mlir;

namespace doppel::verify {

/// Who executes it in the end.
static StringRef executorOf(OperationName name) {
  if (name.hasTrait<nn::Collective>())
    return "ranks";
  if (name.hasTrait<nn::LibraryCall>())
    return "library";
  if (name.hasTrait<nn::GoneInTrain>())
    return "lowered";
  if (name.hasTrait<nn::Fusible>())
    return name.hasTrait<nn::Layout>() ? "kernel or placement" : "kernel";
  return name.hasTrait<nn::Layout>() ? "placement" : "program";
}

int operations(MLIRContext &context) {
  context.loadDialect<nn::NnDialect>();
  for (RegisteredOperationName name : context.getRegisteredOperationsByDialect("nn")) {
    Derivative::Outcome outcome = getDerivative(name).outcome;
    llvm::outs() << name.stripDialect() << " | " << executorOf(name) << " | "
                 << (outcome == Derivative::Rule   ? "rule"
                     : outcome == Derivative::Zero ? "zero"
                                                   : "none")
                 << '\n';
  }
  return 0;
}

} // namespace doppel::verify
