// What values of a method's small graph lie between, whatever its networks give.
#pragma once

#include "dialects/nn/NnDialect.h"
#include "llvm/ADT/DenseMap.h"

#include <cmath>

namespace doppel {

struct Interval {
  double low = -INFINITY, high = INFINITY;
};

/// What values lie between, as far as their formulas tell; unknown is everything.
using Bounds = llvm::DenseMap<mlir::Value, Interval>;

/// The bounds of `value` from those of what it is computed from.
Interval boundsOf(mlir::Value value, const Bounds &known);

/// `value` behind what only repeats it, reshapes it or stops its gradient.
mlir::Value strip(mlir::Value value);

bool isReductionOf(mlir::Value value, nn::ReduceKind kind);

} // namespace doppel
