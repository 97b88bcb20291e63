// What compiled kernels and the runtime agree on in memory: layouts, the kernel's signature and the
// random numbers. Part of the artifact's schema: a change here is a new schema version. No
// dependency beyond the standard library.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace doppel::abi {

/// Bytes after a slab's last pixel that may be read: a kernel reads a pixel's three channels as one
/// word.
inline constexpr size_t imagePadding = 1;

/// One decoded sample of a batch: interleaved 8-bit RGB, rows without padding, in a slab of bytes
/// that holds the pictures of many. A batch is an array of these.
struct ImageRef {
  uint64_t offset; ///< bytes from the slab's base to [height, width, 3]
  int32_t height;  ///< pixels
  int32_t width;   ///< pixels
  int64_t index;   ///< the sample's index in the data set: the key of all its random draws
};
static_assert(sizeof(ImageRef) == 24);

/// The scalars of a run that a step may read, in the program's `run` buffer.
struct RunScalars {
  uint64_t seed;
  int64_t step;          ///< number of steps taken before this one; 0 at the first
  int64_t stepsPerEpoch; ///< floor(samples / global batch)
  int64_t epochs;        ///< epochs of the whole run, the horizon of schedules
  int64_t samples;       ///< samples of the data set
};
static_assert(sizeof(RunScalars) == 40);

/// Executes workgroups [begin, end) of a kernel. `buffers` holds one base address an argument, in
/// the order of the plan's launch, and after those for each argument of images the base of their
/// slab; `scratch` is memory of this thread alone, of the kernel's scratch_bytes, aligned to 64.
using KernelFunction = void (*)(void *const *buffers, int64_t begin, int64_t end, void *scratch);

/// What a kernel was compiled for: 64-bit integers that stand in the code segment under the
/// kernel's symbol with this behind it. In order: workgroups, scratch bytes, number of inputs,
/// number of outputs, then the bytes of each input and output. A launch must have the same.
inline constexpr const char *signatureSuffix = ".signature";

/// Philox4x32-10 (Salmon et al. 2011): the only source of randomness in a run.
///
/// Key: the run's seed, low word first. Counter: (index low, index high, stream * 2^8 + draw,
/// step). `index` is the sample's index in the data set, or the element's linear index / 4 for
/// draws by element; `stream` (24 bits) is unique to an operation of the program; `draw` (8 bits)
/// numbers the blocks of four words of one sample in that operation; `step` is taken modulo 2^32 (0
/// outside of a step).
inline std::array<uint32_t, 4> philox(uint64_t seed, uint64_t index, uint32_t stream, uint32_t draw,
                                      uint32_t step) {
  std::array<uint32_t, 4> counter = {uint32_t(index), uint32_t(index >> 32), (stream << 8) | draw,
                                     step};
  uint32_t key0 = uint32_t(seed), key1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    uint64_t product0 = uint64_t(0xD2511F53u) * counter[0];
    uint64_t product1 = uint64_t(0xCD9E8D57u) * counter[2];
    counter = {uint32_t(product1 >> 32) ^ counter[1] ^ key0, uint32_t(product1),
               uint32_t(product0 >> 32) ^ counter[3] ^ key1, uint32_t(product0)};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// A word as a uniform number in [0, 1): its upper 24 bits times 2^-24, exact in float.
inline float uniform(uint32_t word) { return float(word >> 8) * 0x1p-24f; }

} // namespace doppel::abi
