#include "runtime/device/sim/Block.h"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

#ifndef __x86_64__
#error "the simulator's switch between fibres is written for x86-64"
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

// Saves the registers that a called function keeps, and the stack, at *save; goes on at `to`.
extern "C" void doppelSimSwitch(void **save, void *to);
asm(R"(
  .text
  .hidden doppelSimSwitch
  .globl doppelSimSwitch
  .type doppelSimSwitch, @function
doppelSimSwitch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size doppelSimSwitch, .-doppelSimSwitch
)");

namespace doppel::runtime::sim {
namespace {

constexpr size_t stackBytes = 64 << 10, guardBytes = 4096;
constexpr int savedRegisters = 6;

thread_local BlockRunner *running = nullptr;

} // namespace

struct Services {
  static int32_t thread() { return running->current; }
  static int32_t block() { return running->block; }
  static void *shared() { return running->sharedMemory.get(); }
  static void barrier(int32_t site) { running->pause(BlockRunner::State::AtBarrier, site); }
  static uint64_t shuffle(int32_t site, uint64_t bits, int32_t lane) {
    BlockRunner::Fibre &fibre = running->fibres[running->current];
    fibre.given = bits;
    fibre.lane = lane;
    running->pause(BlockRunner::State::AtShuffle, site);
    return fibre.taken;
  }
  static void access(const void *address, int64_t bytes, int32_t kind) {
    BlockRunner &runner = *running;
    if (!runner.checker)
      return;
    end(runner.checker->access(runner.current, static_cast<const std::byte *>(address), bytes,
                               kind));
  }
  static void table(const void *address, int64_t bytes, const void *base, int64_t size) {
    BlockRunner &runner = *running;
    if (runner.checker)
      end(runner.checker->table(runner.current, static_cast<const std::byte *>(address), bytes,
                                static_cast<const std::byte *>(base), size));
  }
  /// The thread never goes on where something is wrong, so nothing of it may be left on its stack.
  static void end(std::optional<std::string> &&wrong) {
    if (!wrong)
      return;
    running->fault = std::move(*wrong);
    wrong.reset();
    running->pause(BlockRunner::State::Done, 0);
  }
};

const abi::SimServices &services() {
  static constexpr abi::SimServices table = {Services::thread,  Services::block,   Services::shared,
                                             Services::barrier, Services::shuffle, Services::access,
                                             Services::table};
  return table;
}

BlockRunner::~BlockRunner() {
  for (void *stack : stacks)
    munmap(stack, stackBytes + guardBytes);
}

const std::byte *BlockRunner::shared() const { return sharedMemory.get(); }

Result<void> BlockRunner::prepare(int32_t threads, size_t bytes) {
  if (threads <= 0 || threads % abi::warpThreads != 0)
    return failInternal("a block of {} threads is no number of whole warps", threads);
  fibres.resize(threads);
  if (bytes > sharedBytes || !sharedMemory) {
    sharedMemory = std::make_unique<std::byte[]>(bytes + 16);
    sharedBytes = bytes;
  }
  // Untouched ones cost no memory.
  while (stacks.size() < size_t(threads)) {
    void *stack = mmap(nullptr, stackBytes + guardBytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED)
      return fail("not enough memory: the stacks of {} simulated threads", threads);
    mprotect(stack, guardBytes, PROT_NONE);
    freeStacks.push_back(int(stacks.size()));
    stacks.push_back(stack);
  }
  return {};
}

/// Where a fibre begins: on its own stack.
void BlockRunner::enter() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
  running->kernel(running->buffers);
  running->pause(State::Done, 0);
  __builtin_unreachable();
}

int BlockRunner::takeStack() {
  int stack = freeStacks.back();
  freeStacks.pop_back();
#ifdef __SANITIZE_ADDRESS__
  // Whoever had it left it in the middle of its functions.
  __asan_unpoison_memory_region(static_cast<std::byte *>(stacks[stack]) + guardBytes, stackBytes);
#endif
  return stack;
}

/// Runs a thread until it pauses.
void BlockRunner::resume(int32_t thread) {
  Fibre &fibre = fibres[thread];
  if (fibre.stack < 0) {
    fibre.stack = takeStack();
    auto *top = reinterpret_cast<void **>(static_cast<std::byte *>(stacks[fibre.stack]) +
                                          guardBytes + stackBytes);
    // Looks as if `enter` had been called from nowhere and had switched away at once; the address
    // of nowhere leaves the stack as a call does, 8 bytes off a multiple of 16.
    *--top = nullptr;
    *--top = reinterpret_cast<void *>(&BlockRunner::enter);
    for (int i = 0; i < savedRegisters; ++i)
      *--top = nullptr;
    fibre.stackPointer = top;
  }
  current = thread;
#ifdef __SANITIZE_ADDRESS__
  void *fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, static_cast<std::byte *>(stacks[fibre.stack]) + guardBytes,
                                 stackBytes);
#endif
  doppelSimSwitch(&home, fibre.stackPointer);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
  if (fibre.state == State::Done) {
    freeStacks.push_back(fibre.stack);
    fibre.stack = -1;
  }
}

/// Called on the stack of the thread that runs: back to who resumed it.
void BlockRunner::pause(State state, int32_t site) {
  Fibre &fibre = fibres[current];
  fibre.state = state;
  fibre.site = site;
#ifdef __SANITIZE_ADDRESS__
  void *fake = nullptr;
  __sanitizer_start_switch_fiber(state == State::Done ? nullptr : &fake, nullptr, 0);
#endif
  doppelSimSwitch(&fibre.stackPointer, home);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

/// Runs the threads of a warp, and their shuffles, until each is at a barrier or at its end.
Result<void> BlockRunner::runWarp(int32_t first) {
  auto warp = std::span(fibres).subspan(first, abi::warpThreads);
  for (;;) {
    int32_t shuffling = 0;
    const Fibre *at = nullptr;
    for (int32_t lane = 0; lane < abi::warpThreads; ++lane) {
      if (warp[lane].state == State::Ready) {
        resume(first + lane);
        if (!fault.empty())
          return failInternal("{}", fault);
      }
      if (warp[lane].state == State::AtShuffle) {
        ++shuffling;
        at = &warp[lane];
      }
    }
    if (shuffling == 0)
      return {};
    for (int32_t lane = 0; lane < abi::warpThreads; ++lane)
      if (shuffling < abi::warpThreads || warp[lane].site != at->site) {
        const Fibre &other = warp[lane];
        if (&other == at || (other.state == State::AtShuffle && other.site == at->site))
          continue;
        return failInternal("threads {} and {} of block {} are of one warp, and one shuffles where "
                            "the other {}",
                            first + (at - warp.data()), first + lane, block,
                            other.state == State::AtShuffle   ? "shuffles at another place"
                            : other.state == State::AtBarrier ? "waits at a barrier"
                                                              : "has ended");
      }
    for (Fibre &fibre : warp) {
      if (fibre.lane < 0 || fibre.lane >= abi::warpThreads)
        return failInternal("thread {} of block {} asks for the value of lane {}",
                            first + (&fibre - warp.data()), block, fibre.lane);
      fibre.taken = warp[fibre.lane].given;
    }
    for (Fibre &fibre : warp)
      fibre.state = State::Ready;
  }
}

Result<void> BlockRunner::run(abi::SimKernelFunction function, void *const *arguments,
                              int32_t number, Checker *checks) {
  kernel = function;
  buffers = arguments;
  block = number;
  checker = checks;
  fault.clear();
  for (Fibre &fibre : fibres) {
    // A block that failed left its threads in the middle.
    if (fibre.stack >= 0)
      freeStacks.push_back(fibre.stack);
    fibre = {};
  }
  if (checker)
    checker->beginBlock(number);
  BlockRunner *outer = std::exchange(running, this);
  auto finish = [&](Result<void> result) {
    running = outer;
    return result;
  };
  for (;;) {
    for (int32_t first = 0; first < int32_t(fibres.size()); first += abi::warpThreads)
      if (auto ran = runWarp(first); !ran)
        return finish(std::move(ran));
    const Fibre *waiting = nullptr, *ended = nullptr;
    for (const Fibre &fibre : fibres)
      (fibre.state == State::Done ? ended : waiting) = &fibre;
    if (!waiting)
      return finish({});
    auto index = [&](const Fibre *fibre) { return fibre - fibres.data(); };
    if (ended)
      return finish(
          failInternal("thread {} of block {} waits at a barrier, and thread {} has ended",
                       index(waiting), block, index(ended)));
    for (Fibre &fibre : fibres) {
      if (fibre.site != waiting->site)
        return finish(failInternal("threads {} and {} of block {} wait at different barriers",
                                   index(&fibre), index(waiting), block));
      fibre.state = State::Ready;
    }
    if (checker)
      checker->barrier();
  }
}

} // namespace doppel::runtime::sim
