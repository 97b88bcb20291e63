// The simulator of GPU blocks: what kernels compute in it, and each fault that it must find.
#include "runtime/device/sim/Block.h"

#include <bit>
#include <gtest/gtest.h>
#include <numeric>

using namespace doppel::runtime;
using namespace doppel::runtime::sim;

namespace {

const doppel::abi::SimServices &gpu = services();
constexpr int32_t threads = 64;

template <typename T> T *at(void *const *buffers, int number) {
  return static_cast<T *>(buffers[number]);
}

template <typename T> T *shared() { return static_cast<T *>(gpu.shared()); }

constexpr int32_t aligned(size_t bytes) {
  return std::countr_zero(bytes) << doppel::abi::simAlignShift;
}

template <typename T> T load(const T *address, int32_t kind = 0) {
  gpu.access(address, sizeof(T), kind | aligned(sizeof(T)));
  return *address;
}

template <typename T> void store(T *address, T value, int32_t kind = 0) {
  gpu.access(address, sizeof(T), kind | doppel::abi::simWrite | aligned(sizeof(T)));
  *address = value;
}

/// Runs `blocks` blocks over an input and an output of floats; the words of the error, or "".
struct Machine {
  std::vector<float> x = std::vector<float>(256), y = std::vector<float>(256, -1.0f);
  size_t sharedBytes = 4 * threads;

  std::string run(doppel::abi::SimKernelFunction kernel, int32_t blocks = 1, bool inPlace = false,
                  bool checked = true) {
    std::iota(x.begin(), x.end(), 0.0f);
    BlockRunner runner;
    EXPECT_TRUE(runner.prepare(threads, sharedBytes));
    float *out = inPlace ? x.data() : y.data();
    Region regions[] = {{reinterpret_cast<std::byte *>(x.data()), x.size() * 4, 4, false},
                        {reinterpret_cast<std::byte *>(out), x.size() * 4, 4, true}};
    Checker checker(regions, runner.shared(), sharedBytes);
    void *buffers[] = {x.data(), out};
    for (int32_t i = 0; i < blocks; ++i)
      if (auto ran = runner.run(kernel, buffers, i, checked ? &checker : nullptr); !ran)
        return ran.error().message;
    return "";
  }
};

/// y[b] = sum of the block's 64 values: shuffles within warps, shared memory between them.
template <bool withBarrier> void sum(void *const *buffers) {
  int32_t t = gpu.thread(), b = gpu.block();
  float value = load(at<float>(buffers, 0) + b * threads + t);
  for (int32_t k = 16; k > 0; k /= 2)
    value += std::bit_cast<float>(uint32_t(
        gpu.shuffle(k, std::bit_cast<uint32_t>(value), (t % doppel::abi::warpThreads) ^ k)));
  if (t % doppel::abi::warpThreads == 0)
    store(shared<float>() + t / doppel::abi::warpThreads, value, doppel::abi::simShared);
  if (withBarrier)
    gpu.barrier(1);
  float total = load(shared<float>(), doppel::abi::simShared) +
                load(shared<float>() + 1, doppel::abi::simShared);
  if (t == 0)
    store(at<float>(buffers, 1) + b, total);
}

TEST(SimBlocks, ReducesByShufflesAndSharedMemory) {
  Machine machine;
  EXPECT_EQ(machine.run(sum<true>, 4), "");
  for (int b = 0; b < 4; ++b)
    EXPECT_EQ(machine.y[b], 64 * (64 * b) + 2016) << b;
}

TEST(SimBlocks, GoesOnAfterABlockThatFailed) {
  Machine machine;
  BlockRunner runner;
  ASSERT_TRUE(runner.prepare(threads, machine.sharedBytes));
  void *buffers[] = {machine.x.data(), machine.y.data()};
  auto half = [](void *const *) {
    if (gpu.thread() < 40)
      gpu.barrier(1);
  };
  for (int i = 0; i < 300; ++i)
    ASSERT_FALSE(runner.run(half, buffers, 0, nullptr));
  EXPECT_TRUE(runner.run(sum<true>, buffers, 0, nullptr));
}

struct Fault {
  const char *name;
  doppel::abi::SimKernelFunction kernel;
  const char *message;
  int32_t blocks = 1;
  bool inPlace = false;
  bool always = false; ///< found without :check, too
};

void PrintTo(const Fault &fault, std::ostream *out) { *out << fault.name; }

const Fault faults[] = {
    {"MissingBarrier", sum<false>, "reads byte 4 of shared memory, which no thread wrote"},
    {"RaceInSharedMemory",
     [](void *const *) {
       int32_t t = gpu.thread();
       store(shared<float>() + t, 1.0f, doppel::abi::simShared);
       if (t > 0)
         load(shared<float>() + t - 1, doppel::abi::simShared);
     },
     "threads 0 and 1 of block 0 write and read, without a barrier between them (byte 0 of shared "
     "memory)"},
    {"WriteAfterReadInSharedMemory",
     [](void *const *) {
       int32_t t = gpu.thread();
       store(shared<float>() + t, 1.0f, doppel::abi::simShared);
       gpu.barrier(1);
       if (t % 2 == 0)
         load(shared<float>() + t + 1, doppel::abi::simShared);
       else
         store(shared<float>() + t, 2.0f, doppel::abi::simShared);
     },
     "writes what another thread read, without a barrier"},
    {"TwoWriters", [](void *const *) { store(shared<float>(), 1.0f, doppel::abi::simShared); },
     "threads 0 and 1 of block 0 both write"},
    {"SharedOfTheBlockBefore",
     [](void *const *) {
       if (gpu.block() == 0)
         store(shared<float>() + gpu.thread(), 1.0f, doppel::abi::simShared);
       else
         load(shared<float>() + gpu.thread(), doppel::abi::simShared);
     },
     "thread 0 of block 1 reads byte 0 of shared memory, which no thread wrote", 2},
    {"BehindSharedMemory",
     [](void *const *) { store(shared<float>() + gpu.thread() + 1, 1.0f, doppel::abi::simShared); },
     "thread 63 of block 0 writes 4 bytes at 256 of 256 bytes of shared memory"},
    {"BehindTheInput",
     [](void *const *buffers) { load(at<float>(buffers, 0) + 4 * gpu.thread() + 4); },
     "thread 63 of block 0 reads 4 bytes outside of the launch's buffers"},
    {"WriteOfAnInput", [](void *const *buffers) { store(at<float>(buffers, 0), 1.0f); },
     "thread 0 of block 0 writes buffer 0, an input"},
    {"ReadOfAnOutput", [](void *const *buffers) { load(at<float>(buffers, 1) + gpu.thread()); },
     "thread 0 of block 0 reads element 0 of buffer 1, an output, before anyone wrote it"},
    {"BlocksWriteOneElement",
     [](void *const *buffers) {
       if (gpu.thread() == 7)
         store(at<float>(buffers, 1) + 5, 1.0f);
     },
     "thread 7 of block 1 writes what thread 7 of block 0 writes (element 5 of buffer 1)", 2},
    {"BlockReadsWhatAnotherWrites",
     [](void *const *buffers) {
       float *y = at<float>(buffers, 1);
       if (gpu.thread() > 0)
         return;
       store(y + gpu.block(), 1.0f);
       load(y);
     },
     "thread 0 of block 1 reads what thread 0 of block 0 writes", 2},
    {"InPlaceNeighbour",
     [](void *const *buffers) {
       int32_t t = gpu.thread();
       float left = t > 0 ? load(at<float>(buffers, 0) + t - 1) : 0.0f;
       store(at<float>(buffers, 1) + t, left);
     },
     "threads 0 and 1 of block 0 write and read, without a barrier between them (element 0 of "
     "buffer "
     "1)",
     1, true},
    {"InPlaceNeighbourOfAnotherBlock",
     [](void *const *buffers) {
       int32_t i = gpu.block() * threads + gpu.thread();
       float right = load(at<float>(buffers, 0) + i + 1);
       gpu.barrier(1);
       store(at<float>(buffers, 1) + i, right);
     },
     "thread 0 of block 1 writes what another block reads", 2, true},
    {"Misaligned",
     [](void *const *buffers) {
       gpu.access(at<float>(buffers, 0) + 1, 8, 3 << doppel::abi::simAlignShift);
     },
     "thread 0 of block 0 reads 8 bytes at an address that is no multiple of 8"},
    {"DivergentShuffle",
     [](void *const *) {
       if (gpu.thread() < 40)
         gpu.shuffle(1, 0, 0);
     },
     "threads 39 and 40 of block 0 are of one warp, and one shuffles where the other has ended", 1,
     false, true},
    {"ShufflesAtTwoPlaces", [](void *const *) { gpu.shuffle(gpu.thread() % 2 ? 1 : 2, 0, 0); },
     "threads 31 and 0 of block 0 are of one warp, and one shuffles where the other shuffles at "
     "another place",
     1, false, true},
    {"ShuffleBesideABarrier",
     [](void *const *) {
       if (gpu.thread() < 3)
         gpu.barrier(1);
       else
         gpu.shuffle(2, 0, 0);
     },
     "one shuffles where the other waits at a barrier", 1, false, true},
    {"DivergentBarrier",
     [](void *const *) {
       if (gpu.thread() != 17)
         gpu.barrier(1);
     },
     "waits at a barrier, and thread 17 has ended", 1, false, true},
    {"BarriersAtTwoPlaces", [](void *const *) { gpu.barrier(gpu.thread() < 32 ? 1 : 2); },
     "of block 0 wait at different barriers", 1, false, true},
    {"LaneOfNoWarp", [](void *const *) { gpu.shuffle(1, 0, 32); },
     "thread 0 of block 0 asks for the value of lane 32", 1, false, true},
};

class SimFaults : public testing::TestWithParam<Fault> {};

TEST_P(SimFaults, AreFound) {
  const Fault &fault = GetParam();
  for (bool checked : {true, false})
    if (checked || fault.always) {
      Machine machine;
      std::string message = machine.run(fault.kernel, fault.blocks, fault.inPlace, checked);
      EXPECT_NE(message.find(fault.message), std::string::npos) << message;
    }
}

INSTANTIATE_TEST_SUITE_P(, SimFaults, testing::ValuesIn(faults),
                         [](const auto &info) { return std::string(info.param.name); });

TEST(SimBlocks, UpdatesInPlaceAreFine) {
  Machine machine;
  auto twice = [](void *const *buffers) {
    int32_t i = gpu.block() * threads + gpu.thread();
    store(at<float>(buffers, 1) + i, 2 * load(at<float>(buffers, 0) + i));
  };
  EXPECT_EQ(machine.run(twice, 4, true), "");
  EXPECT_EQ(machine.x[255], 510.0f);
}

/// What block 0 left unwritten of y, in place of x or not.
std::string unwritten(doppel::abi::SimKernelFunction kernel, bool inPlace, bool scratch = false) {
  std::vector<float> x(threads), y(threads);
  float *out = inPlace ? x.data() : y.data();
  Region regions[] = {{reinterpret_cast<std::byte *>(x.data()), x.size() * 4, 4, false},
                      {reinterpret_cast<std::byte *>(out), x.size() * 4, 4, true, scratch}};
  BlockRunner runner;
  EXPECT_TRUE(runner.prepare(threads, 0));
  Checker checker(regions, runner.shared(), 0);
  void *buffers[] = {x.data(), out};
  EXPECT_TRUE(runner.run(kernel, buffers, 0, &checker));
  return checker.finish().value_or("");
}

TEST(SimBlocks, OutputsAreWrittenWholly) {
  auto half = [](void *const *buffers) {
    int32_t t = gpu.thread();
    float value = load(at<float>(buffers, 0) + t);
    if (t < 40)
      store(at<float>(buffers, 1) + t, value);
  };
  EXPECT_EQ(unwritten(half, false),
            "no thread of blocks 0 to 0 writes element 40 of buffer 1, an output");
  EXPECT_EQ(unwritten(half, true),
            "no thread of blocks 0 to 0 writes element 40 of buffer 1, an output, which they read");
  EXPECT_EQ(unwritten(half, false, /*scratch=*/true), "");
  // The other rows of a queue are not even read.
  auto some = [](void *const *buffers) {
    if (int32_t t = gpu.thread(); t < 40)
      store(at<float>(buffers, 1) + t, 1.0f);
  };
  EXPECT_EQ(unwritten(some, true), "");
}

TEST(SimBlocks, AccessesAreOfTheirOwnBuffer) {
  std::vector<float> memory(2 * threads);
  auto *base = reinterpret_cast<std::byte *>(memory.data());
  Region regions[] = {{base, 4 * threads, 4, false}, {base + 4 * threads, 4 * threads, 4, true}};
  Checker checker(regions, nullptr, 0);
  checker.beginBlock(0);
  auto of = [](int32_t buffer) { return (buffer + 1) << doppel::abi::simBufferShift | aligned(4); };
  EXPECT_EQ(checker.access(1, base + 4 * threads - 4, 4, of(0)), std::nullopt);
  EXPECT_EQ(checker.access(1, base + 4 * threads, 4, of(0)),
            "thread 1 of block 0 reads 4 bytes outside of buffer 0, at 256 of 256 bytes");
  EXPECT_EQ(checker.access(1, base, 4, of(1) | doppel::abi::simWrite),
            "thread 1 of block 0 writes 4 bytes outside of buffer 1, at -256 of 256 bytes");
  EXPECT_EQ(checker.access(1, base, 4, of(0) | doppel::abi::simWrite),
            "thread 1 of block 0 writes buffer 0, an input");
  // What may be of several buffers is of any.
  EXPECT_EQ(checker.access(1, base + 4 * threads, 4, doppel::abi::simWrite | aligned(4)),
            std::nullopt);
}

TEST(SimBlocks, TablesHaveEnds) {
  alignas(8) std::byte table[24];
  Checker checker({}, nullptr, 0);
  checker.beginBlock(2);
  EXPECT_EQ(checker.table(5, table + 16, 8, table, 24), std::nullopt);
  EXPECT_EQ(checker.table(5, table + 20, 8, table, 24),
            "thread 5 of block 2 reads 8 bytes at 20 of a table of 24 bytes");
  EXPECT_EQ(checker.table(5, table, 8, table + 8, 16),
            "thread 5 of block 2 reads 8 bytes at -8 of a table of 16 bytes");
}

TEST(SimBlocks, RefusesHalfAWarp) {
  BlockRunner runner;
  EXPECT_FALSE(runner.prepare(48, 0));
  EXPECT_FALSE(runner.prepare(0, 0));
}

} // namespace
