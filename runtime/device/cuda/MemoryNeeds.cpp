#include "runtime/device/cuda/MemoryNeeds.h"

namespace doppel::runtime::cuda {

namespace {

/// Up, so that what does not fit by a byte does not look as if it did.
uint64_t mebibytes(uint64_t bytes) { return (bytes >> 20) + ((bytes & ((1 << 20) - 1)) != 0); }

} // namespace

Result<std::string> fitMemory(const MemoryNeeds &needs, const GpuInfo &gpu, uint64_t freeBytes) {
  std::string parts =
      fmt::format("states {}, a step {}, libraries {}, images {}", mebibytes(needs.states),
                  mebibytes(needs.step), mebibytes(needs.libraries), mebibytes(needs.images));
  uint64_t wanted = mebibytes(needs.total()), total = gpu.totalBytes >> 20, free = freeBytes >> 20;
  if (needs.total() > gpu.totalBytes)
    return fail(
        "the program needs {} MiB of memory ({}), and {} has {} MiB: compile the spec for a "
        "smaller batch (--set batch=N), smaller images or more ranks",
        wanted, parts, gpu.name, total);
  if (needs.total() > freeBytes)
    return fail(
        "the program needs {} MiB of memory ({}), and of the {} MiB of {} only {} are free: "
        "end what holds the others (`nvidia-smi` lists it), or compile the spec for a "
        "smaller batch (--set batch=N)",
        wanted, parts, total, gpu.name, free);
  return fmt::format("{} MiB: {}; {} of {} MiB are free", wanted, parts, free, total);
}

} // namespace doppel::runtime::cuda
