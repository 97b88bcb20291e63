#include "runtime/device/cuda/MemoryNeeds.h"

#include <iterator>

namespace doppel::runtime::cuda {

namespace {

/// Up, so that what does not fit by a byte does not look as if it did.
uint64_t mebibytes(uint64_t bytes) { return (bytes >> 20) + ((bytes & ((1 << 20) - 1)) != 0); }

} // namespace

Result<void> fitMemory(const MemoryNeeds &needs, const GpuInfo &gpu, uint64_t freeBytes) {
  uint64_t room = std::min(freeBytes, gpu.totalBytes), wanted = needs.total();
  if (wanted <= room)
    return {};
  std::string parts, missing;
  uint64_t sum = 0;
  for (auto [name, bytes] : {std::pair("states", needs.states), std::pair("a step", needs.step),
                             std::pair("libraries", needs.libraries)}) {
    if (bytes > 0)
      fmt::format_to(std::back_inserter(parts), "{}{} {}", parts.empty() ? "" : ", ", name,
                     mebibytes(bytes));
    // They are taken in this order.
    sum += bytes;
    if (missing.empty() && sum > room)
      missing = fmt::format("{} MiB are missing, for {}", mebibytes(wanted - room), name);
  }
  uint64_t total = gpu.totalBytes >> 20;
  if (wanted > gpu.totalBytes)
    return fail("the program needs {} MiB of memory ({}), and {} has {} MiB: {}; compile the spec "
                "for a smaller batch (--set batch=N) or smaller images",
                mebibytes(wanted), parts, gpu.name, total, missing);
  return fail("the program needs {} MiB of memory ({}), and of the {} MiB of {} others and the "
              "driver hold {}: {}; end what holds them (`nvidia-smi` lists it), or compile the "
              "spec for a smaller batch (--set batch=N)",
              mebibytes(wanted), parts, total, gpu.name, mebibytes(gpu.totalBytes - room), missing);
}

} // namespace doppel::runtime::cuda
