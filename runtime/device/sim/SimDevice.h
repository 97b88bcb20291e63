// The device of the target `cuda-sim`: memory and library operations are the CPU device's, kernels
// are those of a GPU, whose blocks run as BlockRunner does it.
#pragma once

#include "runtime/device/Device.h"

namespace doppel::runtime::sim {

/// `threads` 0 takes availableProcessors(). `checked`: as under `cuda-sim:check`.
std::unique_ptr<Device> makeSimDevice(int threads, bool checked);

/// The registry's way to the simulator. Under `cuda-sim:check` a launch fails at the first access
/// that a GPU must not be asked for, on one thread; else blocks are shared among threads.
Result<std::unique_ptr<Device>> openSimDevice(const schema::Program &program,
                                              const DeviceOptions &options);

} // namespace doppel::runtime::sim
