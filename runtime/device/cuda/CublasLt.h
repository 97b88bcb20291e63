// Matrix products by cuBLASLt.
#pragma once

#include "runtime/device/cuda/Library.h"

#include <functional>
#include <memory>

struct CUstream_st;

namespace doppel::runtime::cuda {

/// c = f(op(a) op(b) + addend + bias of each column) of dense row-major f32 matrices, `batch` of
/// them one after another: op(a) is [m, k], op(b) [k, n], c and addend [m, n], bias [n].
struct Product {
  int64_t batch = 1, m = 0, n = 0, k = 0;
  bool transposeA = false, transposeB = false; ///< stored [k, m], [n, k]
  bool addend = false, bias = false;           ///< whether they are added
  bool relu = false;                           ///< f is max(x, 0), else nothing
  bool tf32 = false; ///< whether tensor cores may round the operands to 10 bits

  /// Its sizes and what is done with it, as words, equal for equal products: the key of plans.
  std::string key() const;
};

/// Where a product's matrices lie, at multiples of `productAlignment` bytes; null what it has not.
struct ProductOperands {
  const void *a = nullptr, *b = nullptr, *addend = nullptr, *bias = nullptr;
  void *c = nullptr;
};
inline constexpr uint32_t productAlignment = 64;

/// An algorithm for one product.
class ProductPlan {
public:
  virtual ~ProductPlan() = default;
  virtual size_t workspaceBytes() const = 0;
  virtual Result<void> run(const ProductOperands &operands, void *workspace,
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
