// Memory for the pixels of batches that are decoded as they are needed. What a batch let go is used
// again: memory that a device copies from directly takes long to get.
#pragma once

#include "runtime/core/Error.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace doppel::runtime {

/// Gives memory of the host, freed with its last owner.
using HostAllocator = std::function<Result<std::shared_ptr<uint8_t>>(size_t bytes)>;

class SlabPool {
public:
  /// Without an allocator memory is the heap's.
  explicit SlabPool(HostAllocator allocate = {});

  /// At least `bytes`, not initialised. For any thread; slabs may outlive the pool.
  Result<std::shared_ptr<uint8_t>> take(size_t bytes);

private:
  struct Block {
    std::shared_ptr<uint8_t> memory;
    size_t bytes;
  };
  struct Free {
    std::mutex mutex;
    std::vector<Block> blocks;
    size_t given = 0; ///< blocks in use, for which `blocks` has room reserved
  };
  HostAllocator allocate;
  std::shared_ptr<Free> free = std::make_shared<Free>();
};

} // namespace doppel::runtime
