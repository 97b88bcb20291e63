// Invariant: there are never more blocks, free ones included, than were in use at one time.

#include "runtime/data/SlabPool.h"

#include <algorithm>
#include <new>

namespace doppel::runtime {

SlabPool::SlabPool(HostAllocator allocate) : allocate(std::move(allocate)) {
  if (!this->allocate)
    this->allocate = [](size_t bytes) -> Result<std::shared_ptr<uint8_t>> {
      // For overwrite: std::make_shared would set all to zero first.
      std::unique_ptr<uint8_t[]> block(new (std::nothrow) uint8_t[bytes]);
      if (!block)
        return fail("not enough memory: {} MiB for a batch of images", bytes >> 20);
      uint8_t *address = block.get();
      return std::shared_ptr<uint8_t>(std::shared_ptr<uint8_t[]>(std::move(block)), address);
    };
}

Result<std::shared_ptr<uint8_t>> SlabPool::take(size_t bytes) {
  Block block{nullptr, bytes};
  {
    std::lock_guard lock(free->mutex);
    std::vector<Block> &blocks = free->blocks;
    blocks.reserve(blocks.size() + free->given + 1);
    auto found = std::ranges::find_if(blocks, [&](const Block &b) { return b.bytes >= bytes; });
    if (found != blocks.end()) {
      block = std::move(*found);
      blocks.erase(found);
    } else if (!blocks.empty()) {
      blocks.pop_back(); // too small: it makes room for the one that is made in its stead
    }
  }
  if (!block.memory) {
    DOPPEL_TRY(block.memory, allocate(bytes));
  }
  {
    std::lock_guard lock(free->mutex);
    ++free->given;
  }
  uint8_t *address = block.memory.get();
  return std::shared_ptr<uint8_t>(address, [owner = free, block](uint8_t *) noexcept {
    std::lock_guard lock(owner->mutex);
    --owner->given;
    if (owner->blocks.size() < owner->blocks.capacity())
      owner->blocks.push_back(block);
  });
}

} // namespace doppel::runtime
