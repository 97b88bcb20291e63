// What a program takes of a GPU's memory, told before its first step.
#pragma once

#include "runtime/device/cuda/Driver.h"

namespace doppel::runtime::cuda {

/// Bytes of a GPU's memory, by what they are for.
struct MemoryNeeds {
  uint64_t states = 0;
  uint64_t step = 0;      ///< transient and Io arenas
  uint64_t libraries = 0; ///< workspaces
  uint64_t images = 0;    ///< slabs of pictures
  uint64_t total() const { return states + step + libraries + images; }
};

/// A line for the run's beginning: "310 MiB: states 90, a step 200, libraries 20, images 0; 80000
/// of 81090 MiB are free". Fails where it does not fit into `freeBytes`, which it has to be asked
/// for before anything is taken: with what the GPU has at all, or that others hold it.
Result<std::string> fitMemory(const MemoryNeeds &needs, const GpuInfo &gpu, uint64_t freeBytes);

} // namespace doppel::runtime::cuda
