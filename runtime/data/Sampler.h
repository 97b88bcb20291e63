// Shuffling without state: which sample stands at a position of an epoch is a function of (seed,
// epoch, position, size), so a run resumes anywhere without replaying anything, and every rank
// finds its slice alone.
#pragma once

#include "runtime/schema/Abi.h"
#include <array>
#include <bit>
#include <cassert>
#include <cstdint>

namespace doppel::runtime {

/// The Philox stream of shuffling. Streams of a program's operations count from 0 and do not reach
/// the last ones.
inline constexpr uint32_t kShuffleStream = 0xFFFFFF;

/// A pseudo-random permutation of [0, size) for each (seed, epoch): a Feistel network over the
/// smallest square power of two that holds `size`, whose round function is Philox, walked until it
/// falls into [0, size).
class Shuffle {
public:
  Shuffle(uint64_t seed, int64_t size) : seed(seed), size(uint64_t(size)) {
    assert(size >= 1);
    // Few bits make few permutations: below 2^10 the domain stays that large and the walk is
    // longer.
    int bits = size > 1 ? std::bit_width(uint64_t(size) - 1) : 1;
    halfBits = (bits < 10 ? 10 : bits + 1) / 2;
  }

  /// The sample at `position` (0 .. size-1) of `epoch`. Expected cost: six to some hundred rounds
  /// of Philox.
  int64_t indexAt(int64_t epoch, int64_t position) const {
    assert(position >= 0 && uint64_t(position) < size);
    uint64_t value = uint64_t(position);
    do
      value = permute(value, uint32_t(epoch));
    while (value >= size);
    return int64_t(value);
  }

private:
  static constexpr uint32_t kRounds = 6;

  uint64_t permute(uint64_t value, uint32_t epoch) const {
    uint64_t mask = (uint64_t(1) << halfBits) - 1;
    uint64_t left = value >> halfBits, right = value & mask;
    for (uint32_t round = 0; round < kRounds; ++round) {
      std::array<uint32_t, 4> words = abi::philox(seed, right, kShuffleStream, round, epoch);
      uint64_t mixed = left ^ ((uint64_t(words[1]) << 32 | words[0]) & mask);
      left = right;
      right = mixed;
    }
    return left << halfBits | right;
  }

  uint64_t seed;
  uint64_t size;
  int halfBits;
};

/// Which samples each step of a run takes: `batch` of them over all ranks; an epoch's incomplete
/// last batch is dropped.
///
/// Rank r of `world` takes positions r*batch/world .. (r+1)*batch/world-1 of the global batch, so
/// the batch is the same for any world.
class Sampler {
public:
  /// `batch` >= 1 divides by `world`, and batch <= size.
  Sampler(uint64_t seed, int64_t size, int64_t batch, int world = 1, int rank = 0)
      : shuffle(seed, size), batch(batch), steps(size / batch), local(batch / world), rank(rank) {
    assert(steps >= 1 && batch % world == 0 && rank < world);
  }

  int64_t stepsPerEpoch() const { return steps; }
  /// Samples that this rank takes in a step.
  int64_t localBatch() const { return local; }

  /// The data set's index of sample `position` (0 .. localBatch()-1) of this rank in `step`
  /// (counted over the whole run).
  int64_t indexAt(int64_t step, int64_t position) const {
    return shuffle.indexAt(step / steps, step % steps * batch + rank * local + position);
  }

private:
  Shuffle shuffle;
  int64_t batch, steps, local;
  int rank;
};

} // namespace doppel::runtime
