#include "runtime/device/cuda/CublasLt.h"

#include <cublasLt.h>

#include <array>

namespace doppel::runtime::cuda {

std::string Product::key() const {
  return fmt::format("{}x[{}, {}] {}[{}, {}]{}{}{}{}{}", batch, m, k, transposeA ? "(turned) " : "",
                     k, n, transposeB ? " (turned)" : "", addend ? " + addend" : "",
                     bias ? " + bias" : "", relu ? " relu" : "", tf32 ? " tf32" : "");
}

namespace {

#define DOPPEL_CUBLASLT_FUNCTIONS(X)                                                               \
  X(cublasLtCreate)                                                                                \
  X(cublasLtDestroy)                                                                               \
  X(cublasLtGetVersion)                                                                            \
  X(cublasLtGetStatusString)                                                                       \
  X(cublasLtMatmulDescCreate)                                                                      \
  X(cublasLtMatmulDescDestroy)                                                                     \
  X(cublasLtMatmulDescSetAttribute)                                                                \
  X(cublasLtMatrixLayoutCreate)                                                                    \
  X(cublasLtMatrixLayoutDestroy)                                                                   \
  X(cublasLtMatrixLayoutSetAttribute)                                                              \
  X(cublasLtMatmulPreferenceCreate)                                                                \
  X(cublasLtMatmulPreferenceDestroy)                                                               \
  X(cublasLtMatmulPreferenceSetAttribute)                                                          \
  X(cublasLtMatmulAlgoGetHeuristic)                                                                \
  X(cublasLtMatmul)

struct Functions {
#define DOPPEL_DECLARE(function) decltype(&::function) function = nullptr;
  DOPPEL_CUBLASLT_FUNCTIONS(DOPPEL_DECLARE)
#undef DOPPEL_DECLARE
};

/// A handle of cuBLASLt and how it is given back.
template <typename Handle>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, cublasStatus_t (*)(Handle)>;

/// What describes one product: descriptors, which plans of it share.
struct Description {
  Owned<cublasLtMatmulDesc_t> matmul;
  Owned<cublasLtMatrixLayout_t> a, b, c;
};

class Plan : public ProductPlan {
public:
  Plan(const Functions &lt, cublasLtHandle_t handle, std::shared_ptr<Description> description,
       const cublasLtMatmulHeuristicResult_t &found, std::string key)
      : lt(lt), handle(handle), description(std::move(description)), algorithm(found.algo),
        bytes(found.workspaceSize), key(std::move(key)) {}

  size_t workspaceBytes() const override { return bytes; }
  Result<void> run(const ProductOperands &o, void *workspace, CUstream_st *stream) override {
    const float one = 1, share = o.addend ? 1 : 0;
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
    // The description is read when the product is put on the stream: products share it.
    if (o.bias)
      status = lt.cublasLtMatmulDescSetAttribute(
          description->matmul.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, &o.bias, sizeof o.bias);
    // Column-major, as it reads them, each matrix is its transpose: c^T = b^T a^T.
    if (status == CUBLAS_STATUS_SUCCESS)
      status = lt.cublasLtMatmul(handle, description->matmul.get(), &one, o.b, description->b.get(),
                                 o.a, description->a.get(), &share, o.addend ? o.addend : o.c,
                                 description->c.get(), o.c, description->c.get(), &algorithm,
                                 workspace, bytes, stream);
    if (status != CUBLAS_STATUS_SUCCESS)
      return fail("cuBLASLt does not run the product {}: {}", key,
                  lt.cublasLtGetStatusString(status));
    return {};
  }

private:
  const Functions &lt;
  cublasLtHandle_t handle;
  std::shared_ptr<Description> description;
  cublasLtMatmulAlgo_t algorithm;
  size_t bytes;
  std::string key;
};

class OpenCublasLt : public CublasLt {
public:
  explicit OpenCublasLt(const Functions &lt) : lt(lt) {}
  ~OpenCublasLt() override {
    if (handle)
      lt.cublasLtDestroy(handle);
  }

  std::string version() const override {
    size_t number = lt.cublasLtGetVersion();
    return fmt::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
  }
  Result<void> attach() override {
    if (handle)
      return failInternal("cuBLASLt is attached twice");
    return check(lt.cublasLtCreate(&handle), "start");
  }
  Result<std::unique_ptr<ProductPlan>>
  choose(const Product &product, size_t workspaceLimit,
         const std::function<Result<bool>(ProductPlan &)> &accept) override;

private:
  Result<void> check(cublasStatus_t status, std::string_view what) const {
    if (status == CUBLAS_STATUS_SUCCESS)
      return {};
    return fail("cuBLASLt {} does not {}: {}", version(), what, lt.cublasLtGetStatusString(status));
  }
  Result<Owned<cublasLtMatrixLayout_t>> layout(int64_t rows, int64_t columns, int64_t batch) const;
  Result<std::shared_ptr<Description>> describe(const Product &product) const;

  Functions lt;
  cublasLtHandle_t handle = nullptr;
};

/// Of a row-major matrix of `rows` x `columns`.
Result<Owned<cublasLtMatrixLayout_t>> OpenCublasLt::layout(int64_t rows, int64_t columns,
                                                           int64_t batch) const {
  cublasLtMatrixLayout_t made = nullptr;
  DOPPEL_CHECK(check(
      lt.cublasLtMatrixLayoutCreate(&made, CUDA_R_32F, uint64_t(columns), uint64_t(rows), columns),
      "describe a matrix"));
  Owned<cublasLtMatrixLayout_t> owned(made, lt.cublasLtMatrixLayoutDestroy);
  auto count = int32_t(batch);
  int64_t stride = rows * columns;
  DOPPEL_CHECK(check(lt.cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                                         &count, sizeof count),
                     "take a batch"));
  DOPPEL_CHECK(check(lt.cublasLtMatrixLayoutSetAttribute(
                         made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride),
                     "take a batch"));
  return owned;
}

Result<std::shared_ptr<Description>> OpenCublasLt::describe(const Product &p) const {
  cublasLtMatmulDesc_t made = nullptr;
  DOPPEL_CHECK(
      check(lt.cublasLtMatmulDescCreate(
                &made, p.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
            "describe a product"));
  Owned<cublasLtMatmulDesc_t> matmul(made, lt.cublasLtMatmulDescDestroy);
  // The first operand is b: see Plan::run.
  for (auto [which, turned] : {std::pair(CUBLASLT_MATMUL_DESC_TRANSA, p.transposeB),
                               std::pair(CUBLASLT_MATMUL_DESC_TRANSB, p.transposeA)}) {
    cublasOperation_t operation = turned ? CUBLAS_OP_T : CUBLAS_OP_N;
    DOPPEL_CHECK(check(lt.cublasLtMatmulDescSetAttribute(made, which, &operation, sizeof operation),
                       "turn a matrix"));
  }
  if (p.bias || p.relu) {
    // Along the rows of c^T, which are the columns of c.
    cublasLtEpilogue_t epilogue = !p.relu  ? CUBLASLT_EPILOGUE_BIAS
                                  : p.bias ? CUBLASLT_EPILOGUE_RELU_BIAS
                                           : CUBLASLT_EPILOGUE_RELU;
    DOPPEL_CHECK(check(lt.cublasLtMatmulDescSetAttribute(made, CUBLASLT_MATMUL_DESC_EPILOGUE,
                                                         &epilogue, sizeof epilogue),
                       "end a product so"));
  }
  if (p.bias) {
    // Algorithms are looked for with a pointer of the alignment that buffers have; none reads it.
    auto *somewhere = reinterpret_cast<const void *>(uintptr_t(productAlignment));
    DOPPEL_CHECK(check(lt.cublasLtMatmulDescSetAttribute(made, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                                         &somewhere, sizeof somewhere),
                       "take a bias"));
  }
  DOPPEL_TRY(auto a, p.transposeA ? layout(p.k, p.m, p.batch) : layout(p.m, p.k, p.batch));
  DOPPEL_TRY(auto b, p.transposeB ? layout(p.n, p.k, p.batch) : layout(p.k, p.n, p.batch));
  DOPPEL_TRY(auto c, layout(p.m, p.n, p.batch));
  return std::make_shared<Description>(std::move(matmul), std::move(a), std::move(b), std::move(c));
}

Result<std::unique_ptr<ProductPlan>>
OpenCublasLt::choose(const Product &product, size_t workspaceLimit,
                     const std::function<Result<bool>(ProductPlan &)> &accept) {
  if (!handle)
    return failInternal("cuBLASLt is asked for a plan before it is attached");
  DOPPEL_TRY(std::shared_ptr<Description> description, describe(product));
  cublasLtMatmulPreference_t made = nullptr;
  DOPPEL_CHECK(check(lt.cublasLtMatmulPreferenceCreate(&made), "take a preference"));
  Owned<cublasLtMatmulPreference_t> preference(made, lt.cublasLtMatmulPreferenceDestroy);
  DOPPEL_CHECK(
      check(lt.cublasLtMatmulPreferenceSetAttribute(made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                    &workspaceLimit, sizeof workspaceLimit),
            "take a limit of workspace"));
  for (auto which :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    DOPPEL_CHECK(check(lt.cublasLtMatmulPreferenceSetAttribute(made, which, &productAlignment,
                                                               sizeof productAlignment),
                       "take an alignment"));
  std::array<cublasLtMatmulHeuristicResult_t, 16> found{};
  int count = 0;
  DOPPEL_CHECK(check(lt.cublasLtMatmulAlgoGetHeuristic(
                         handle, description->matmul.get(), description->b.get(),
                         description->a.get(), description->c.get(), description->c.get(), made,
                         int(found.size()), found.data(), &count),
                     fmt::format("know the product {}", product.key())));
  for (int i = 0; i < count; ++i) {
    if (found[i].state != CUBLAS_STATUS_SUCCESS || found[i].workspaceSize > workspaceLimit)
      continue;
    auto plan = std::make_unique<Plan>(lt, handle, description, found[i], product.key());
    DOPPEL_TRY(bool good, accept(*plan));
    if (good)
      return plan;
  }
  return fail("cuBLASLt {} has no deterministic algorithm within {} MiB for the product {} (of {})",
              version(), workspaceLimit >> 20, product.key(), count);
}

} // namespace

Result<std::unique_ptr<CublasLt>> CublasLt::open(const LibrarySearch &search) {
  constexpr const char *names[] = {"libcublasLt.so.13", "libcublasLt.so.12"};
  auto library = openLibrary("cuBLASLt", names, search);
  if (!library)
    return fail("{}; `pip install nvidia-cublas` brings it, or set CUDA_HOME",
                library.error().message);
  Functions lt;
  std::string missing;
  auto find = [&](auto &function, const char *name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(library->symbol(name));
    if (!function && missing.empty())
      missing = name;
  };
#define DOPPEL_FIND(function) find(lt.function, #function);
  DOPPEL_CUBLASLT_FUNCTIONS(DOPPEL_FIND)
#undef DOPPEL_FIND
  if (!missing.empty())
    return fail("{} has no function {}: it is another version than cuBLAS 12 or 13",
                library->name(), missing);
  return std::make_unique<OpenCublasLt>(lt);
}

} // namespace doppel::runtime::cuda
