// Matrix products by cuBLASLt.
#pragma once

#include "runtime/device/cuda/Library.h"

#include <functional>
#include <memory>

struct CUstream_st;

namespace doppel::runtime::cuda {

/// c = op(a) op(b) of dense row-major f32 matrices, `batch` of them one after another: op(a) is [m,
/// k], op(b) [k, n], c [m, n].
struct Product {
  int64_t batch = 1, m = 0, n = 0, k = 0;
  bool transposeA = false, transposeB = false; ///< stored [k, m], [n, k]
  bool tf32 = false; ///< whether tensor cores may round the operands to 10 bits

  /// Its sizes as a word, for messages.
  std::string key() const;
};

/// An algorithm for one product.
class ProductPlan {
public:
  virtual ~ProductPlan() = default;
  virtual size_t workspaceBytes() const = 0;
  virtual Result<void> run(const void *a, const void *b, void *c, void *workspace,
                           CUstream_st *stream) = 0;
};

class CublasLt {
public:
  /// Fails where it is missing or lacks a function.
  static Result<std::unique_ptr<CublasLt>> open(const LibrarySearch &search);
  virtual ~CublasLt() = default;
  virtual std::string version() const = 0; ///< "13.1.0"

  /// From here on plans are for the GPU of the current context.
  virtual Result<void> attach() = 0;
  /// The first of cuBLASLt's algorithms, in the order of its own expectation, within
  /// `workspaceLimit` bytes that `accept` takes (see Cudnn::choose).
  virtual Result<std::unique_ptr<ProductPlan>>
  choose(const Product &product, size_t workspaceLimit,
         const std::function<Result<bool>(ProductPlan &)> &accept) = 0;
};

} // namespace doppel::runtime::cuda
