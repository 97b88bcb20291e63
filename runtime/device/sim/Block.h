// One block of a CUDA kernel on one thread of a CPU: its threads are fibres that run until they
// meet (at a barrier or a shuffle) or end.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/device/sim/Checker.h"
#include "runtime/schema/SimAbi.h"

#include <memory>
#include <vector>

namespace doppel::runtime::sim {

/// What kernels call.
const abi::SimServices &services();

/// Runs blocks one after another. Not for two threads at once: each has its own.
class BlockRunner {
public:
  BlockRunner() = default;
  BlockRunner(const BlockRunner &) = delete;
  BlockRunner &operator=(const BlockRunner &) = delete;
  ~BlockRunner();

  /// For the blocks that follow: `threads` is a multiple of a warp. Fails where memory is short.
  Result<void> prepare(int32_t threads, size_t sharedBytes);
  const std::byte *shared() const;

  /// Runs block `number`. An error names the first thread that did what a GPU must not be asked
  /// for. `checker` may be null.
  Result<void> run(abi::SimKernelFunction kernel, void *const *buffers, int32_t number,
                   Checker *checker);

private:
  friend struct Services;
  enum class State : uint8_t { Ready, AtBarrier, AtShuffle, Done };
  struct Fibre {
    void *stackPointer = nullptr; ///< while it does not run
    int stack = -1;               ///< from its begin to its end
    State state = State::Ready;
    int32_t site = 0;
    int32_t lane = 0; ///< whose value it wants
    uint64_t given = 0, taken = 0;
  };

  static void enter();
  void resume(int32_t thread);
  void pause(State state, int32_t site);
  Result<void> runWarp(int32_t first);
  int takeStack();

  std::vector<Fibre> fibres;
  std::vector<void *> stacks;
  std::vector<int> freeStacks;
  std::unique_ptr<std::byte[]> sharedMemory;
  size_t sharedBytes = 0;

  // Of the block that runs.
  abi::SimKernelFunction kernel = nullptr;
  void *const *buffers = nullptr;
  Checker *checker = nullptr;
  int32_t block = 0, current = 0;
  void *home = nullptr; ///< stack pointer of who runs the block
  std::string fault;    ///< set by a thread, which then never goes on
};

} // namespace doppel::runtime::sim
