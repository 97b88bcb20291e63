// What a program takes of a GPU's memory, asked for before it is taken.
#pragma once

#include "runtime/device/cuda/Driver.h"

namespace doppel::runtime::cuda {

/// Bytes of a GPU's memory, by what they are for.
struct MemoryNeeds {
  uint64_t states = 0;
  uint64_t step = 0;      ///< transient and Io arenas
  uint64_t libraries = 0; ///< workspaces, and scratch memory of kernels
  uint64_t total() const { return states + step + libraries; }
};

/// Fails where they do not fit into `freeBytes`: "the program needs 700 MiB of memory (states 100,
/// a step 500, libraries 100), and ...", with which of them does not, by how much, whether it is
/// the GPU that is small or others that hold it, and the way out.
Result<void> fitMemory(const MemoryNeeds &needs, const GpuInfo &gpu, uint64_t freeBytes);

} // namespace doppel::runtime::cuda
