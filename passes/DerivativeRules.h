// What is known of each operation's derivative: a rule, exactly zero, or nothing. The table is in
// DerivativeRules.cpp.
#pragma once

#include "passes/Expr.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

#include <functional>

namespace doppel {

/// The gradients found so far in a reverse sweep, as a rule sees them.
class Adjoints {
public:
  Adjoints(mlir::ImplicitLocOpBuilder &builder, const llvm::DenseSet<mlir::Value> &active)
      : builder(builder), active(active) {}

  /// Whether a gradient of `value` is asked for: rules make nothing for others.
  bool wants(mlir::Value value) const { return active.contains(value); }
  /// The gradient of `value`, empty where none has reached it.
  Expr of(mlir::Value value) const {
    mlir::Value gradient = gradients.lookup(value);
    return gradient ? Expr(builder, gradient) : Expr();
  }
  /// Adds to the gradient of `value`. Sums grow in the order of the calls, so they are the same in
  /// every run.
  void add(mlir::Value value, mlir::Value gradient);
  Expr expr(mlir::Value value) const { return {builder, value}; }

  mlir::ImplicitLocOpBuilder &builder;

private:
  const llvm::DenseSet<mlir::Value> &active;
  llvm::DenseMap<mlir::Value, mlir::Value> gradients;
};

struct Derivative {
  enum Outcome {
    NotWritten, ///< an error if the gradient of the operation is asked for
    Zero,       ///< exactly zero, everywhere it exists
    Rule,
  } outcome = NotWritten;
  /// Given the gradients of the operation's results, adds to those of its operands.
  std::function<void(mlir::Operation *, Adjoints &)> rule;
};

/// What is known of operations of this kind: exactly zero by their trait, a rule by the table.
const Derivative &getDerivative(mlir::OperationName name);

/// Whether a change of an operand can change this result smoothly: integers have no derivative, nor
/// have the statistics that batch_norm returns beside its result.
bool isDifferentiable(mlir::OpResult result);

} // namespace doppel
