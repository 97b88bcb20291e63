// The update rules of optimizers over packed vectors, each as its formula.
#pragma once

#include "passes/Expr.h"

namespace doppel {

/// One group of parameters as vectors [P], and what its rule needs.
struct PackedUpdate {
  Expr parameters;                ///< w [P]
  Expr gradients;                 ///< g [P]
  Expr learningRate, weightDecay; ///< scalars
  Expr step;                      ///< steps that the optimizer took before, a scalar
  bool decay, adapt; ///< whether all of the group is under weight decay, under LARS' adaptation
  llvm::SmallVector<int64_t> offsets, sizes; ///< of each parameter in the vectors
  mlir::DictionaryAttr options;              ///< as in nn.optimize
};

/// The suffixes of the moments that a rule keeps for each parameter: "momentum".
llvm::SmallVector<llvm::StringRef> getMomentNames(nn::OptimizerRule rule,
                                                  mlir::DictionaryAttr options);

/// Whether the gradients are clipped by the norm of all that the optimizer steps.
bool clipsGlobally(mlir::DictionaryAttr options);
/// Whether the rule's formula has the number of steps in it.
bool countsSteps(nn::OptimizerRule rule, mlir::DictionaryAttr options);
/// The factor by which the gradients of all groups of an optimizer are multiplied.
Expr globalClipFactor(llvm::ArrayRef<Expr> gradients, mlir::DictionaryAttr options);
/// The gradients, each parameter's clipped by its own norm.
Expr clipByTensor(const PackedUpdate &update);

/// The parameters after one step by `rule`. `moments` holds the old moments, in the order of
/// getMomentNames, and gets the new ones.
Expr applyOptimizer(nn::OptimizerRule rule, const PackedUpdate &update,
                    llvm::MutableArrayRef<Expr> moments);

} // namespace doppel
