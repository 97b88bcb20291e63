// The kernels that code for GPUs has beside its program's, as the stand-in for the driver runs them
// (codegen/cuda/Reserved makes those that ship).
#pragma once

#include "RecordingDriver.h"
#include "runtime/schema/GpuAbi.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace doppel::test {

template <typename T> T *pointer(const Recording::Launch &launch, size_t number) {
  return static_cast<T *>(launch.pointers[number]);
}
inline uint64_t number(const Recording::Launch &launch, size_t at) {
  return std::bit_cast<uint64_t>(launch.pointers[at]);
}
inline bool isSet(const uint64_t *flag) { return flag && *flag != abi::gpuFlagClear; }

/// A kernel of so many arguments.
inline void addKernel(Recording &recording, const std::string &name, size_t arguments,
                      std::function<void(const Recording::Launch &)> body) {
  recording.kernels[name] = std::move(body);
  recording.parameters[name] = arguments;
}

/// All but the permutation.
inline void addReservedKernels(Recording &recording) {
  addKernel(recording, abi::gpuCheckPartials, 4, [](const Recording::Launch &launch) {
    uint64_t found = abi::gpuFlagClear;
    for (uint64_t i = number(launch, 1); i-- > 0;)
      if (!std::isfinite(pointer<float>(launch, 0)[i]))
        found = i;
    std::fill_n(pointer<uint64_t>(launch, 3), number(launch, 2), abi::gpuFlagClear);
    *pointer<uint64_t>(launch, 3) = found;
  });
  addKernel(recording, abi::gpuCheckFlag, 4, [](const Recording::Launch &launch) {
    uint64_t found = *pointer<uint64_t>(launch, 0), *flag = pointer<uint64_t>(launch, 3);
    if (found != abi::gpuFlagClear && !isSet(flag))
      *flag = number(launch, 2) << abi::gpuFlagCommandShift | found;
  });
  addKernel(recording, abi::gpuCopy, 5, [](const Recording::Launch &launch) {
    if (!isSet(pointer<uint64_t>(launch, 4)))
      std::memcpy(pointer<void>(launch, 1), pointer<void>(launch, 0), number(launch, 2));
  });
}

} // namespace doppel::test
