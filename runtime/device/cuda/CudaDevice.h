// The CUDA device: kernels are functions of PTX or cubins, convolutions are cuDNN's, products
// cuBLASLt's. Each list is captured into one graph when it first runs.
#pragma once

#include "runtime/device/Device.h"
#include "runtime/device/cuda/Library.h"

namespace doppel::runtime::cuda {

/// The registry's way to a GPU: opens the driver and takes the first GPU (CUDA_VISIBLE_DEVICES says
/// which that is). Fails with the way out where there is none.
Result<std::unique_ptr<Device>> openCudaDevice(const schema::Program &program,
                                               const DeviceOptions &options);

/// The same with libraries from elsewhere.
Result<std::unique_ptr<Device>> makeCudaDevice(const LibrarySearch &search);

} // namespace doppel::runtime::cuda
