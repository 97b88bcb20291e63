// A stand-in for cuBLASLt on memory of the host, built as a libcublasLt.so.13 beside the recording
// driver: column-major products as the library documents them. Its first algorithm wants 64 MiB of
// workspace.
#include <cublasLt.h>

#include <cstring>
#include <vector>

namespace {

struct Layout {
  uint64_t rows, columns;
  int64_t lead;
  int32_t batch = 1;
  int64_t stride = 0;
};

struct Matmul {
  cublasOperation_t a = CUBLAS_OP_N, b = CUBLAS_OP_N;
};

// Ours behind the library's pointers.
Layout &of(cublasLtMatrixLayout_t layout) { return *reinterpret_cast<Layout *>(layout); }
Matmul &of(cublasLtMatmulDesc_t matmul) { return *reinterpret_cast<Matmul *>(matmul); }
size_t &of(cublasLtMatmulPreference_t preference) {
  return *reinterpret_cast<size_t *>(preference);
}

template <typename Handle, typename T> cublasStatus_t give(Handle *handle, T value) {
  *handle = reinterpret_cast<Handle>(new T(value));
  return CUBLAS_STATUS_SUCCESS;
}

constexpr size_t wants = size_t(64) << 20;

} // namespace

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) { return give(handle, 0); }
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete reinterpret_cast<int *>(handle);
  return CUBLAS_STATUS_SUCCESS;
}
size_t cublasLtGetVersion() { return 130100; }
const char *cublasLtGetStatusString(cublasStatus_t) { return "a stand-in's error"; }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *matmul, cublasComputeType_t,
                                        cudaDataType_t) {
  return give(matmul, Matmul{});
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t matmul) {
  delete &of(matmul);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t matmul,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t bytes) {
  auto *target = attribute == CUBLASLT_MATMUL_DESC_TRANSA   ? &of(matmul).a
                 : attribute == CUBLASLT_MATMUL_DESC_TRANSB ? &of(matmul).b
                                                            : nullptr;
  if (!target || bytes != sizeof *target)
    return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(target, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type,
                                          uint64_t rows, uint64_t columns, int64_t lead) {
  if (type != CUDA_R_32F || lead < int64_t(rows))
    return CUBLAS_STATUS_INVALID_VALUE;
  return give(layout, Layout{rows, columns, lead});
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete &of(layout);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void *value, size_t bytes) {
  if (attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT && bytes == 4)
    std::memcpy(&of(layout).batch, value, bytes);
  else if (attribute == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET && bytes == 8)
    std::memcpy(&of(layout).stride, value, bytes);
  else
    return CUBLAS_STATUS_INVALID_VALUE;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) {
  return give(preference, size_t(0));
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete &of(preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t bytes) {
  if (attribute != CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES || bytes != 8)
    return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&of(preference), value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t preference, int asked,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int *count) {
  *count = 0;
  for (size_t bytes : {wants, size_t(0)})
    if (*count < asked && bytes <= of(preference)) {
      results[*count] = {};
      results[*count].state = CUBLAS_STATUS_SUCCESS;
      results[(*count)++].workspaceSize = bytes;
    }
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t matmul, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t aLayout, const void *b,
                              cublasLtMatrixLayout_t bLayout, const void *beta, const void *,
                              cublasLtMatrixLayout_t, void *d, cublasLtMatrixLayout_t dLayout,
                              const cublasLtMatmulAlgo_t *, void *workspace, size_t bytes,
                              cudaStream_t) {
  const Layout &A = of(aLayout), &B = of(bLayout), &D = of(dLayout);
  bool turnA = of(matmul).a == CUBLAS_OP_T, turnB = of(matmul).b == CUBLAS_OP_T;
  uint64_t m = turnA ? A.columns : A.rows, k = turnA ? A.rows : A.columns;
  uint64_t n = turnB ? B.rows : B.columns, inner = turnB ? B.columns : B.rows;
  bool fits = k == inner && D.rows == m && D.columns == n && A.batch == D.batch &&
              B.batch == D.batch && *static_cast<const float *>(alpha) == 1 &&
              *static_cast<const float *>(beta) == 0 && (bytes == 0 || workspace);
  if (!fits)
    return CUBLAS_STATUS_INVALID_VALUE;
  auto at = [](const void *base, const Layout &layout, int32_t batch, uint64_t row,
               uint64_t column) {
    return static_cast<const float *>(
        base)[batch * layout.stride + int64_t(column) * layout.lead + int64_t(row)];
  };
  for (int32_t batch = 0; batch < D.batch; ++batch)
    for (uint64_t i = 0; i < m; ++i)
      for (uint64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (uint64_t l = 0; l < k; ++l)
          sum += double(turnA ? at(a, A, batch, l, i) : at(a, A, batch, i, l)) *
                 (turnB ? at(b, B, batch, j, l) : at(b, B, batch, l, j));
        static_cast<float *>(d)[batch * D.stride + int64_t(j) * D.lead + int64_t(i)] = float(sum);
      }
  return CUBLAS_STATUS_SUCCESS;
}
}
