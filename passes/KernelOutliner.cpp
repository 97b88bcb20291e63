// Makes plan.kernels, each with its grid.
#include "passes/KernelOutliner.h"

#include "dialects/plan/Workgroups.h"
#include "mlir/IR/OperationSupport.h"

using namespace mlir;

namespace doppel {

plan::KernelOp KernelOutliner::outline(Location location, nn::KernelKind kind, Region &body) {
  llvm::hash_code hash = llvm::hash_value(uint32_t(kind));
  for (Operation &op : body.front())
    hash = llvm::hash_combine(
        hash, OperationEquivalence::computeHash(&op, OperationEquivalence::ignoreHashValue,
                                                OperationEquivalence::ignoreHashValue,
                                                OperationEquivalence::IgnoreLocations));
  for (plan::KernelOp known : kernels[hash])
    if (known.getKind() == kind &&
        OperationEquivalence::isRegionEquivalentTo(&known.getBody(), &body,
                                                   OperationEquivalence::IgnoreLocations))
      return known;

  FailureOr<plan::KernelGrid> grid = plan::gridOf(kind, body.front(), machine);
  if (failed(grid))
    return nullptr;
  std::string name = (nn::stringifyKernelKind(kind) + "_" + Twine(count++)).str();
  auto kernel = plan::KernelOp::create(builder, location, name, kind, grid->grid,
                                       grid->scratchBytes, plan::usesRun(body.front()));
  kernel.getBody().takeBody(body);
  kernels[hash].push_back(kernel);
  return kernel;
}

} // namespace doppel
