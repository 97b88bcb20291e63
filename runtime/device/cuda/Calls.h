// What the library calls of a program are to cuDNN and cuBLASLt.
#pragma once

#include "runtime/device/cuda/CublasLt.h"
#include "runtime/device/cuda/Cudnn.h"
#include "runtime/schema/program_generated.h"

namespace doppel::runtime::cuda {

/// Shapes of a call's inputs, then of its outputs; which and which `ints`: dialects/plan/README.md,
/// "Calls".
using CallShapes = std::vector<std::vector<int64_t>>;

/// Of the three operations of convolutions. Fails where the numbers are no convolution's, or its
/// filters are not channels-last.
Result<Convolution> convolutionOf(schema::LibraryOp op, const CallShapes &shapes,
                                  const std::vector<int64_t> &ints, schema::Precision precision);

/// Of matmul and gemm. Fails where the numbers are no product's.
Result<Product> productOf(schema::LibraryOp op, const CallShapes &shapes,
                          const std::vector<int64_t> &ints, schema::Precision precision);

} // namespace doppel::runtime::cuda
