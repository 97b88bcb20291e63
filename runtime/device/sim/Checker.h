// Holds each access of a simulated kernel against what it may do: `cuda-sim:check`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace doppel::runtime::sim {

/// A buffer of a launch: what an argument of the kernel points at.
struct Region {
  const std::byte *base = nullptr;
  size_t bytes = 0;
  size_t elementBytes = 1;
  bool written = false; ///< an output; an input may be the same bytes (an update in place)
  bool scratch = false; ///< written, and need not be
};

class Checker {
public:
  /// `regions` in the order of the launch's buffers; further ones may follow.
  Checker(std::span<const Region> regions, const std::byte *shared, size_t sharedBytes);

  void beginBlock(int32_t number);
  /// All threads of the block have met: what they did before is seen by all of them.
  void barrier() { ++epoch; }
  /// What is wrong with this access, if anything. `kind` is of abi::SimAccess.
  std::optional<std::string> access(int32_t thread, const std::byte *address, int64_t bytes,
                                    int32_t kind);
  /// What is wrong with this read of a table of constants, if anything.
  std::optional<std::string> table(int32_t thread, const std::byte *address, int64_t bytes,
                                   const std::byte *base, int64_t size) const;
  /// All blocks have run: what of the outputs nobody wrote, if anything. What an update in place
  /// did not even read may stay as it was: the rows of a queue.
  std::optional<std::string> finish() const;

private:
  static constexpr int32_t none = -1, many = -2;
  /// Who used an element last.
  struct Cell {
    int32_t writerBlock = none, writer = none;
    int32_t readerBlock = none, reader = none;
    int64_t writeEpoch = 0, readEpoch = 0;
  };
  struct Output {
    size_t number; ///< of its region
    bool isInput;  ///< an input of the launch has bytes of it
    std::vector<Cell> cells;
  };

  std::optional<std::string> accessShared(int32_t thread, const std::byte *address, int64_t bytes,
                                          bool write);
  std::optional<std::string> accessGlobal(int32_t thread, const std::byte *address, int64_t bytes,
                                          bool write, int32_t buffer);
  /// Whether the bytes lie in the buffer that they have to, or else in any.
  std::optional<std::string> findBuffer(int32_t thread, const std::byte *address, int64_t bytes,
                                        bool write, int32_t buffer) const;
  std::optional<std::string> touch(Cell &cell, int32_t thread, bool write) const;

  std::span<const Region> regions;
  const std::byte *shared;
  std::vector<Cell> sharedCells; ///< one a byte
  std::vector<Output> outputs;
  int32_t block = 0;
  int64_t epoch = 1, firstEpoch = 1; ///< counted over all blocks; that in which the block began
};

} // namespace doppel::runtime::sim
