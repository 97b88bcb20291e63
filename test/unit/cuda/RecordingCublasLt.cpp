// A stand-in for cuBLASLt on memory of the host, built as a libcublasLt.so.13 beside the recording
// driver: column-major products and what ends them as the library documents them. Its first
// algorithm wants 64 MiB of workspace. It knows none for operands of which it was promised more
// than 64 bytes of alignment, nor for a bias that is nowhere.
#include <cublasLt.h>
#include <cuda.h>

#include <cstring>
#include <functional>
#include <vector>

/// RecordingDriver.cpp: now, or when the graph that is being captured is launched.
extern "C" CUresult doppelOnStream(CUstream stream, const char *text,
                                   const std::function<void()> &work);

namespace {

struct Layout {
  uint64_t rows, columns;
  int64_t lead;
  int32_t batch = 1;
  int64_t stride = 0;
};

struct Matmul {
  cublasComputeType_t compute;
  cublasOperation_t a = CUBLAS_OP_N, b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const float *bias = nullptr;

  bool addsBias() const {
    return epilogue == CUBLASLT_EPILOGUE_BIAS || epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
  }
  bool takesRelu() const {
    return epilogue == CUBLASLT_EPILOGUE_RELU || epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
  }
  /// What tensor cores multiply.
  float rounded(float value) const {
    if (compute != CUBLAS_COMPUTE_32F_FAST_TF32)
      return value;
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    bits = (bits + 0x1000) & ~0x1fffu;
    std::memcpy(&value, &bits, sizeof bits);
    return value;
  }
};

struct Preference {
  size_t workspace = 0;
  uint32_t alignment[4] = {256, 256, 256, 256}; ///< as the library has it where it is not told
};

// Ours behind the library's pointers.
Layout &of(cublasLtMatrixLayout_t layout) { return *reinterpret_cast<Layout *>(layout); }
Matmul &of(cublasLtMatmulDesc_t matmul) { return *reinterpret_cast<Matmul *>(matmul); }
Preference &of(cublasLtMatmulPreference_t preference) {
  return *reinterpret_cast<Preference *>(preference);
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

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *matmul, cublasComputeType_t compute,
                                        cudaDataType_t) {
  return give(matmul, Matmul{compute});
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t matmul) {
  delete &of(matmul);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t matmul,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t bytes) {
  auto set = [&](auto &target) {
    if (bytes != sizeof target)
      return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&target, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
  };
  switch (attribute) {
  case CUBLASLT_MATMUL_DESC_TRANSA:
    return set(of(matmul).a);
  case CUBLASLT_MATMUL_DESC_TRANSB:
    return set(of(matmul).b);
  case CUBLASLT_MATMUL_DESC_EPILOGUE:
    return set(of(matmul).epilogue);
  case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
    return set(of(matmul).bias);
  default:
    return CUBLAS_STATUS_INVALID_VALUE;
  }
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
  return give(preference, Preference{});
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete &of(preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t bytes) {
  int operand = attribute == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES   ? 0
                : attribute == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES ? 1
                : attribute == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES ? 2
                : attribute == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES ? 3
                                                                          : -1;
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES && bytes == 8)
    std::memcpy(&of(preference).workspace, value, bytes);
  else if (operand >= 0 && bytes == 4)
    std::memcpy(&of(preference).alignment[operand], value, bytes);
  else
    return CUBLAS_STATUS_INVALID_VALUE;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t matmul,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t preference, int asked,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int *count) {
  *count = 0;
  const Preference &given = of(preference);
  for (uint32_t alignment : given.alignment)
    if (alignment > 64)
      return CUBLAS_STATUS_NOT_SUPPORTED;
  if (of(matmul).addsBias() && !of(matmul).bias)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  for (size_t bytes : {wants, size_t(0)})
    if (*count < asked && bytes <= given.workspace) {
      results[*count] = {};
      results[*count].state = CUBLAS_STATUS_SUCCESS;
      results[(*count)++].workspaceSize = bytes;
    }
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t matmul, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t aLayout, const void *b,
                              cublasLtMatrixLayout_t bLayout, const void *beta, const void *c,
                              cublasLtMatrixLayout_t cLayout, void *d,
                              cublasLtMatrixLayout_t dLayout, const cublasLtMatmulAlgo_t *,
                              void *workspace, size_t bytes, cudaStream_t stream) {
  // By value: descriptors may change, and go, before a graph does.
  const Layout A = of(aLayout), B = of(bLayout), C = of(cLayout), D = of(dLayout);
  const Matmul how = of(matmul);
  float share = *static_cast<const float *>(beta);
  bool turnA = how.a == CUBLAS_OP_T, turnB = how.b == CUBLAS_OP_T;
  uint64_t m = turnA ? A.columns : A.rows, k = turnA ? A.rows : A.columns;
  uint64_t n = turnB ? B.rows : B.columns, inner = turnB ? B.columns : B.rows;
  bool fits = k == inner && D.rows == m && D.columns == n && A.batch == D.batch &&
              B.batch == D.batch && *static_cast<const float *>(alpha) == 1 && C.rows == m &&
              C.columns == n && C.batch == D.batch && (bytes == 0 || workspace);
  if (!fits)
    return CUBLAS_STATUS_INVALID_VALUE;
  auto at = [](const void *base, const Layout &layout, int32_t batch, uint64_t row,
               uint64_t column) {
    return static_cast<const float *>(
        base)[batch * layout.stride + int64_t(column) * layout.lead + int64_t(row)];
  };
  auto multiply = [=] {
    for (int32_t batch = 0; batch < D.batch; ++batch)
      for (uint64_t i = 0; i < m; ++i)
        for (uint64_t j = 0; j < n; ++j) {
          double sum = 0;
          for (uint64_t l = 0; l < k; ++l)
            sum += double(how.rounded(turnA ? at(a, A, batch, l, i) : at(a, A, batch, i, l))) *
                   how.rounded(turnB ? at(b, B, batch, j, l) : at(b, B, batch, l, j));
          if (share != 0) // else nothing is read there
            sum += share * at(c, C, batch, i, j);
          if (how.addsBias())
            sum += how.bias[i];
          if (how.takesRelu() && sum < 0)
            sum = 0;
          static_cast<float *>(d)[batch * D.stride + int64_t(j) * D.lead + int64_t(i)] = float(sum);
        }
  };
  return doppelOnStream(stream, "cublasLtMatmul", multiply) ? CUBLAS_STATUS_EXECUTION_FAILED
                                                            : CUBLAS_STATUS_SUCCESS;
}
}
