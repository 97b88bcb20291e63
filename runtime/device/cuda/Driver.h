// NVIDIA's driver as a table of functions, and what it says of the GPUs.
#pragma once

#include "runtime/device/cuda/Library.h"

#include <cuda.h>

namespace doppel::runtime::cuda {

// Function and the name under which a driver of CUDA 12.0 has it.
#define DOPPEL_DRIVER_FUNCTIONS(X)                                                                 \
  X(cuInit, "cuInit")                                                                              \
  X(cuDriverGetVersion, "cuDriverGetVersion")                                                      \
  X(cuGetErrorName, "cuGetErrorName")                                                              \
  X(cuGetErrorString, "cuGetErrorString")                                                          \
  X(cuDeviceGetCount, "cuDeviceGetCount")                                                          \
  X(cuDeviceGet, "cuDeviceGet")                                                                    \
  X(cuDeviceGetName, "cuDeviceGetName")                                                            \
  X(cuDeviceGetAttribute, "cuDeviceGetAttribute")                                                  \
  X(cuDeviceTotalMem, "cuDeviceTotalMem_v2")                                                       \
  X(cuDevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain")                                          \
  X(cuDevicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2")                                     \
  X(cuCtxSetCurrent, "cuCtxSetCurrent")                                                            \
  X(cuCtxSynchronize, "cuCtxSynchronize")                                                          \
  X(cuMemGetInfo, "cuMemGetInfo_v2")                                                               \
  X(cuMemAlloc, "cuMemAlloc_v2")                                                                   \
  X(cuMemFree, "cuMemFree_v2")                                                                     \
  X(cuMemHostAlloc, "cuMemHostAlloc")                                                              \
  X(cuMemFreeHost, "cuMemFreeHost")                                                                \
  X(cuMemcpyHtoD, "cuMemcpyHtoD_v2")                                                               \
  X(cuMemcpyDtoH, "cuMemcpyDtoH_v2")                                                               \
  X(cuMemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2")                                                     \
  X(cuMemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2")                                                     \
  X(cuMemcpyDtoDAsync, "cuMemcpyDtoDAsync_v2")                                                     \
  X(cuMemsetD8Async, "cuMemsetD8Async")                                                            \
  X(cuStreamCreate, "cuStreamCreate")                                                              \
  X(cuStreamDestroy, "cuStreamDestroy_v2")                                                         \
  X(cuStreamSynchronize, "cuStreamSynchronize")                                                    \
  X(cuStreamWaitEvent, "cuStreamWaitEvent")                                                        \
  X(cuStreamBeginCapture, "cuStreamBeginCapture_v2")                                               \
  X(cuStreamEndCapture, "cuStreamEndCapture")                                                      \
  X(cuEventCreate, "cuEventCreate")                                                                \
  X(cuEventRecord, "cuEventRecord")                                                                \
  X(cuEventQuery, "cuEventQuery")                                                                  \
  X(cuEventSynchronize, "cuEventSynchronize")                                                      \
  X(cuEventElapsedTime, "cuEventElapsedTime")                                                      \
  X(cuEventDestroy, "cuEventDestroy_v2")                                                           \
  X(cuModuleLoadDataEx, "cuModuleLoadDataEx")                                                      \
  X(cuModuleUnload, "cuModuleUnload")                                                              \
  X(cuModuleGetFunction, "cuModuleGetFunction")                                                    \
  X(cuFuncGetAttribute, "cuFuncGetAttribute")                                                      \
  X(cuLaunchKernel, "cuLaunchKernel")                                                              \
  X(cuGraphInstantiate, "cuGraphInstantiateWithFlags")                                             \
  X(cuGraphLaunch, "cuGraphLaunch")                                                                \
  X(cuGraphExecDestroy, "cuGraphExecDestroy")                                                      \
  X(cuGraphDestroy, "cuGraphDestroy")

/// One GPU.
struct GpuInfo {
  int ordinal = 0;
  std::string name;     ///< "NVIDIA H100 80GB HBM3"
  int architecture = 0; ///< 90 for sm_90
  int multiprocessors = 0;
  uint64_t totalBytes = 0; ///< of memory
};

class Driver {
public:
  /// Opens and starts the driver. Fails where there is none, where it is older than CUDA 12.0, and
  /// where it does not start (no GPU); each error is a sentence that ends with the way out.
  static Result<std::unique_ptr<Driver>> open(const LibrarySearch &search);

#define DOPPEL_DECLARE(function, symbol) decltype(&::function) function = nullptr;
  DOPPEL_DRIVER_FUNCTIONS(DOPPEL_DECLARE)
#undef DOPPEL_DECLARE

  /// Of CUDA that the driver speaks: 12040 for 12.4.
  int version() const { return version_; }
  Result<std::vector<GpuInfo>> gpus() const;

  /// An error unless `status` is success: "`what`: CUDA_ERROR_OUT_OF_MEMORY (out of memory)". A GPU
  /// that is lost for this process (fallen off the bus, a kernel that ran wild) says so.
  Result<void> check(CUresult status, std::string_view what) const;

private:
  Driver() = default;
  std::string words(CUresult status) const;
  int version_ = 0;
};

/// "12.4" of 12040.
std::string cudaVersion(int version);

} // namespace doppel::runtime::cuda
