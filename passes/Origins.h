// Where a number that is not finite most likely comes from, for messages at run time.
#pragma once

#include "dialects/nn/NnDialect.h"

namespace doppel {

/// The location of a kernel's launch: where the spec itself has an operation that can leave the
/// finite numbers, that one is remembered (plan::withOrigin). What the library has is guarded.
mlir::Location launchLocationOf(nn::FusedOp fused);

} // namespace doppel
