// The CUDA device: kernels are functions of PTX or cubins, convolutions are cuDNN's, products
// cuBLASLt's. Each list is captured into one graph when it first runs.
#pragma once

#include "runtime/device/Device.h"
#include "runtime/device/cuda/Libraries.h"

namespace doppel::runtime::cuda {

/// The kernels that every code set for GPUs has beside the program's own, as (symbol, parameters).
namespace reserved {
/// doppel.check(const float *values, i64 count, i64 command, u64 *flag): sets the flag to command *
/// 2^40 + element, the first element that is not finite, unless a command set it before.
inline constexpr const char *check = "doppel.check";
/// doppel.copy(const void *source, void *target, i64 bytes, const u64 *flag): nothing where the
/// flag is set.
inline constexpr const char *copy = "doppel.copy";
/// doppel.permutation(const RunScalars *run, i32 *p, i64 n, i64 stream): as the CPU's
/// random_permutation.
inline constexpr const char *permutation = "doppel.permutation";
} // namespace reserved

/// A flag that no check has set; else command * 2^40 + element.
inline constexpr uint64_t clearFlag = ~uint64_t(0);
inline constexpr unsigned flagShift = 40;

/// The registry's way to a GPU: opens the driver, takes the first GPU, and fails with the way out
/// where there is none, or where the program has no code for it.
Result<std::unique_ptr<Device>> openCudaDevice(const schema::Program &program,
                                               const DeviceOptions &options);

/// The same with libraries from elsewhere: what tests use.
Result<std::unique_ptr<Device>> makeCudaDevice(const schema::Program *program,
                                               const LibrarySearch &search);

} // namespace doppel::runtime::cuda
