// What a kernel compiled for `cuda-sim` and the simulator agree on: where a GPU has an instruction,
// the kernel calls one of these. No dependency beyond the standard library.
#pragma once

#include <cstdint>

namespace doppel::abi {

/// Threads of a warp: those that shuffle with each other.
inline constexpr int32_t warpThreads = 32;

/// How a kernel is about to use memory, in the word that SimServices::access takes.
enum SimAccess : int32_t {
  simWrite = 1,  ///< else it reads
  simShared = 2, ///< of the block's shared memory, else of the launch's buffers
  /// From this bit on, eight: log2 of the alignment in bytes that the code relies on.
  simAlignShift = 8,
  /// From this bit on: 1 + the number of the launch's buffer that the address is computed from; 0
  /// where the code does not tell.
  simBufferShift = 16,
};

/// Called by threads of a simulated block. `site` numbers the places of a kernel where threads
/// meet, so that two that meet at different places are told apart.
struct SimServices {
  int32_t (*thread)(); ///< index in the block
  int32_t (*block)();
  void *(*shared)(); ///< the block's shared memory, aligned to 16 bytes
  void (*barrier)(int32_t site);
  /// What lane `lane` of the warp gave for `bits` at this place.
  uint64_t (*shuffle)(int32_t site, uint64_t bits, int32_t lane);
  /// Under `cuda-sim:check`, before each load and store.
  void (*access)(const void *address, int64_t bytes, int32_t kind);
  /// Under `cuda-sim:check`, before each load of a table of constants, of `size` bytes at `base`.
  void (*table)(const void *address, int64_t bytes, const void *base, int64_t size);
};

/// The variable of a code segment that points at the services; set when the segment is loaded.
inline constexpr const char *simServicesSymbol = "doppel.sim";

/// One thread of a block. `buffers` holds one base address an argument.
using SimKernelFunction = void (*)(void *const *buffers);

} // namespace doppel::abi
