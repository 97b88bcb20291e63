// What every device must do, told as tests over the interface alone: memory, kernels, command
// lists, checks and the flag; in DeviceConformanceCalls.h library operations, in
// DeviceConformanceStreams.h streams and where memory lies. A device's own test file instantiates
// the suite with what makes the device and with its code of the kernels: kernels/Conformance.cpp on
// a CPU, kernels/Conformance.ll on what runs blocks of threads.
#pragma once

#include "runtime/device/Device.h"
#include "runtime/schema/Abi.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>

namespace doppel::runtime::test {

struct DeviceUnderTest {
  std::unique_ptr<Device> (*make)();
  /// The code segment of the kernels.
  std::vector<std::byte> (*kernels)();
  uint32_t threads = 1;      ///< of a workgroup of these
  bool poolsAreCalls = true; ///< else its programs have kernels for them
  bool convolves = true;     ///< else its library is another's, or not here
  /// Whether filters may be in the order of the language, too.
  bool takesFiltersFirst = true;
  double rounding = 1e-6; ///< of a sum, as a part of its terms' absolute values
};

class DeviceConformance : public testing::TestWithParam<DeviceUnderTest> {
protected:
  static constexpr size_t kScratchBytes = 4100, kSpoiledBytes = 1 << 20;

  void SetUp() override {
    device = GetParam().make();
    auto loaded = device->loadModule(GetParam().kernels());
    ASSERT_TRUE(loaded) << loaded.error().message;
    kernels = *std::move(loaded);
    auto made = device->makeStream();
    ASSERT_TRUE(made) << made.error().message;
    stream = *std::move(made);
  }

  TensorRef empty(std::vector<int64_t> shape, schema::DType dtype = schema::DType::F32) {
    TensorRef ref{nullptr, dtype, std::move(shape)};
    auto memory = device->allocate(ref.bytes());
    EXPECT_TRUE(memory);
    ref.data = (*memory)->data();
    ref.memory = (*memory)->memory();
    allocations.push_back(*std::move(memory));
    return ref;
  }

  /// A tensor in device memory with the given values.
  template <typename T>
  TensorRef tensor(std::vector<int64_t> shape, const std::vector<T> &values,
                   schema::DType dtype = schema::DType::F32) {
    TensorRef ref = empty(std::move(shape), dtype);
    EXPECT_EQ(ref.bytes(), values.size() * sizeof(T));
    EXPECT_TRUE(device->upload(ref, values.data()));
    return ref;
  }
  TensorRef tensor(std::vector<int64_t> shape, std::initializer_list<float> values) {
    return tensor(std::move(shape), std::vector<float>(values));
  }

  /// Seeded values in [-1, 1) with a tensor of them.
  TensorRef random(std::vector<int64_t> shape, uint64_t seed, std::vector<float> &values) {
    values.resize(
        size_t(std::accumulate(shape.begin(), shape.end(), int64_t(1), std::multiplies<>())));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = 2 * abi::uniform(abi::philox(seed, i, 0, 0, 0)[0]) - 1;
    return tensor(std::move(shape), values);
  }

  template <typename T = float> std::vector<T> values(const TensorRef &ref) {
    std::vector<T> result(size_t(ref.elements()));
    EXPECT_EQ(ref.bytes(), result.size() * sizeof(T));
    EXPECT_TRUE(device->download(result.data(), ref));
    return result;
  }

  std::unique_ptr<CommandList> makeList() {
    auto list = device->makeCommandList();
    EXPECT_TRUE(list);
    return *std::move(list);
  }

  void launch(CommandList &list, KernelLaunch launch) {
    launch.threads = GetParam().threads;
    auto recorded = list.launch(*kernels, launch);
    ASSERT_TRUE(recorded) << recorded.error().message;
  }

  /// Records use_scratch of a grid that all threads share.
  void launchScratch(CommandList &list, int64_t grid, const TensorRef &wrong) {
    TensorRef workers = tensor({1}, std::vector<int32_t>{device->threads()}, schema::DType::I32);
    TensorRef arrived = empty({1}, schema::DType::I32);
    launch(list, {"use_scratch", grid, kScratchBytes, {workers}, {wrong, arrived}});
  }

  /// Elements [begin, begin + count) of a vector of floats.
  static TensorRef part(const TensorRef &ref, int64_t begin, int64_t count) {
    return {static_cast<float *>(ref.data) + begin, ref.dtype, {count}, ref.memory};
  }

  void wait() {
    auto mark = stream->mark();
    ASSERT_TRUE(mark);
    auto waited = stream->wait(*mark);
    ASSERT_TRUE(waited) << waited.error().message;
    EXPECT_TRUE(stream->reached(*mark));
  }

  /// Runs a list and waits; the flag that it leaves, which is cleared.
  std::optional<NonFinite> flagOf(CommandList &list, std::span<const TensorRef> slabs = {}) {
    std::optional<NonFinite> flag;
    auto ran = stream->run(list, slabs);
    EXPECT_TRUE(ran) << ran.error().message;
    EXPECT_TRUE(stream->readFlag(flag));
    EXPECT_TRUE(stream->clearFlag());
    wait();
    return flag;
  }

  /// Runs a list to its end.
  void run(CommandList &list, std::span<const TensorRef> slabs = {}) {
    auto failed = flagOf(list, slabs);
    ASSERT_FALSE(failed) << "stopped at command " << failed->command;
  }

  std::optional<NonFinite> traceOf(CommandList &list) {
    auto traced = stream->trace(list, {});
    EXPECT_TRUE(traced) << traced.error().message;
    return traced ? *traced : std::nullopt;
  }

  /// Records one library call and runs it twice, on a workspace full of NaN: it must read nothing
  /// there that it has not written, and the second run must find everything as the first did.
  void execute(const LibraryCall &call) {
    auto list = makeList();
    launch(*list, {"spoil_scratch", 1, kSpoiledBytes, {}, {empty({1}, schema::DType::I32)}});
    auto recorded = list->call(call);
    ASSERT_TRUE(recorded) << recorded.error().message;
    for (int i = 0; i < 2; ++i)
      run(*list);
  }

  std::unique_ptr<Device> device;
  std::unique_ptr<KernelModule> kernels;
  std::vector<std::unique_ptr<Allocation>> allocations;
  std::unique_ptr<Stream> stream;
};

// Memory.

TEST_P(DeviceConformance, AllocatesZeroedAlignedMemory) {
  for (int64_t count : {1, 1000, 3 << 20}) {
    TensorRef ref = empty({count});
    EXPECT_EQ(reinterpret_cast<uintptr_t>(ref.data) % 64, 0u);
    EXPECT_EQ(values(ref), std::vector<float>(size_t(count), 0.0f));
    // What comes after it is free again: no value of it may be seen.
    std::vector<float> ones(size_t(count), 1.0f);
    ASSERT_TRUE(device->upload(ref, ones.data()));
    EXPECT_EQ(allocations.back()->bytes(), ref.bytes());
    allocations.pop_back();
    EXPECT_EQ(values(empty({count})), std::vector<float>(size_t(count), 0.0f));
  }
}

TEST_P(DeviceConformance, RefusesMemoryThatThereIsNot) {
  auto memory = device->allocate(size_t(1) << 60);
  ASSERT_FALSE(memory);
  EXPECT_NE(memory.error().message.find("memory"), std::string::npos) << memory.error().message;
  EXPECT_EQ(memory.error().kind, ErrorKind::User);
}

TEST_P(DeviceConformance, UploadsAndDownloadsParts) {
  TensorRef ref = tensor({4}, {1, 2, 3, 4});
  float two[2] = {8, 9}, read[2];
  ASSERT_TRUE(device->upload(part(ref, 1, 2), two));
  EXPECT_EQ(values(ref), (std::vector<float>{1, 8, 9, 4}));
  ASSERT_TRUE(device->download(read, part(ref, 2, 2)));
  EXPECT_EQ(read[0], 9);
  EXPECT_EQ(read[1], 4);
}

TEST_P(DeviceConformance, CopiesBetweenBuffers) {
  std::vector<float> expected;
  TensorRef source = random({7, 9}, 1, expected), target = empty({63}), behind = empty({1});
  auto list = makeList();
  ASSERT_TRUE(list->copy(source, target, false));
  EXPECT_FALSE(list->copy(source, empty({62}), false));
  run(*list);
  EXPECT_EQ(values(target), expected);
  EXPECT_EQ(values(behind), std::vector<float>{0});
}

// Kernels.

TEST_P(DeviceConformance, DoesEachWorkgroupOnce) {
  for (int64_t grid : {1, 2, 3, 4, 5, 64, 1001}) {
    std::vector<float> x(static_cast<size_t>(grid)), once, twice;
    std::iota(x.begin(), x.end(), 0.0f);
    for (float value : x) {
      once.push_back(value + 1);
      twice.push_back(2 * (value + 1));
    }
    TensorRef sum = empty({grid + 8});
    auto list = makeList();
    launch(*list, {"count_groups", grid, 0, {tensor({grid}, x)}, {sum}});
    run(*list);
    once.resize(size_t(grid) + 8), twice.resize(size_t(grid) + 8);
    EXPECT_EQ(values(sum), once) << "grid " << grid;
    run(*list);
    EXPECT_EQ(values(sum), twice) << "grid " << grid;
  }
}

TEST_P(DeviceConformance, GivesAKernelEveryKindOfArgument) {
  using schema::DType;
  constexpr int64_t kCount = 5;
  std::vector<uint8_t> pixels(kCount * 12 + abi::imagePadding);
  std::iota(pixels.begin(), pixels.end(), uint8_t(1));
  std::vector<abi::ImageRef> images;
  std::vector<float> f32;
  std::vector<double> f64;
  std::vector<int64_t> i64;
  std::vector<int32_t> i32;
  std::vector<uint8_t> u8, flags;
  for (int64_t i = 0; i < kCount; ++i) {
    images.push_back({uint64_t(12 * i), 2, int32_t(1 + i % 2), 1000 + 7 * i});
    f32.push_back(float(i) + 0.5f);
    f64.push_back(double(i) * 1e10);
    i64.push_back((int64_t(1) << 40) - i);
    i32.push_back(int32_t(-3 * i));
    u8.push_back(uint8_t(200 + i));
    flags.push_back(uint8_t(i % 2));
  }
  abi::RunScalars run{12345, 6, 78, 9, 1011};
  TensorRef runBuffer = empty({}, DType::RunScalars);
  ASSERT_TRUE(device->upload(runBuffer, &run));
  TensorRef sum = empty({kCount}, DType::F64);
  auto list = makeList();
  launch(*list, {"read_every_kind",
                 kCount,
                 0,
                 {tensor({kCount}, f32), tensor({kCount}, f64, DType::F64),
                  tensor({kCount}, i64, DType::I64), tensor({kCount}, i32, DType::I32),
                  tensor({kCount}, u8, DType::U8), tensor({kCount}, flags, DType::Bool),
                  tensor({kCount}, images, DType::ImageRef), runBuffer},
                 {sum},
                 {1}});
  TensorRef other = tensor({1}, std::vector<uint8_t>{77}, DType::U8);
  std::vector<TensorRef> slabs = {other, tensor({int64_t(pixels.size())}, pixels, DType::U8)};
  this->run(*list, slabs);
  std::vector<double> expected;
  for (size_t i = 0; i < kCount; ++i) {
    const abi::ImageRef &image = images[i];
    expected.push_back(
        f32[i] + 2 * f64[i] + 3 * double(i64[i]) + 5 * double(i32[i]) + 7 * double(u8[i]) +
        11 * double(flags[i]) + 13 * double(pixels[image.offset]) +
        17 * double(pixels[image.offset + size_t(image.height * image.width * 3 - 1)]) +
        19 * double(image.index) + 23 * double(run.seed) + 29 * double(run.step) +
        31 * double(run.stepsPerEpoch) + 37 * double(run.epochs) + 41 * double(run.samples));
  }
  EXPECT_EQ(values<double>(sum), expected);
  // The next run has its pictures elsewhere.
  std::vector<uint8_t> brighter = pixels;
  for (uint8_t &level : brighter)
    level += 100;
  for (double &value : expected)
    value += 100 * (13 + 17);
  slabs[1] = tensor({int64_t(brighter.size())}, brighter, DType::U8);
  this->run(*list, slabs);
  EXPECT_EQ(values<double>(sum), expected);
  if (device->readsHostMemory()) {
    slabs[1] = hostBytes(brighter.data(), brighter.size());
    this->run(*list, slabs);
    EXPECT_EQ(values<double>(sum), expected);
  }
}

TEST_P(DeviceConformance, TakesEveryKindOfResultFromAKernel) {
  using schema::DType;
  constexpr int64_t kCount = 300;
  TensorRef f32 = empty({kCount}), f64 = empty({kCount}, DType::F64);
  TensorRef i64 = empty({kCount}, DType::I64), i32 = empty({kCount}, DType::I32);
  TensorRef u8 = empty({kCount}, DType::U8), flags = empty({kCount}, DType::Bool);
  auto list = makeList();
  launch(*list, {"write_every_kind", kCount, 0, {}, {f32, f64, i64, i32, u8, flags}});
  // Whole numbers whose bits are a float's infinity are no reason to stop a trace.
  EXPECT_FALSE(traceOf(*list));
  for (int64_t i : {int64_t(0), int64_t(1), int64_t(255), int64_t(256), kCount - 1}) {
    EXPECT_EQ(values(f32)[size_t(i)], float(i) + 0.5f);
    EXPECT_EQ(values<double>(f64)[size_t(i)], double(i) + 0.25);
    EXPECT_EQ(values<int64_t>(i64)[size_t(i)], (int64_t(1) << 40) + i);
    EXPECT_EQ(values<int32_t>(i32)[size_t(i)], 0x7f800000);
    EXPECT_EQ(values<uint8_t>(u8)[size_t(i)], uint8_t(i));
    EXPECT_EQ(values<uint8_t>(flags)[size_t(i)], uint8_t(i % 2));
  }
}

TEST_P(DeviceConformance, GivesEachThreadScratchOfItsOwn) {
  for (int64_t grid : {int64_t(device->threads()), int64_t(200)}) {
    TensorRef wrong = empty({grid}, schema::DType::I32);
    std::vector<int32_t> ones(size_t(grid), 1);
    ASSERT_TRUE(device->upload(wrong, ones.data()));
    auto list = makeList();
    launchScratch(*list, grid, wrong);
    EXPECT_GE(device->workspaceBytes(), kScratchBytes);
    run(*list);
    EXPECT_EQ(values<int32_t>(wrong), std::vector<int32_t>(size_t(grid), 0));
  }
}

/// Recording a command that needs more workspace must not leave earlier commands with the old one.
TEST_P(DeviceConformance, EarlierCommandsFollowAGrownWorkspace) {
  int64_t grid = device->threads();
  TensorRef wrong = empty({grid}, schema::DType::I32), spoiled = empty({1}, schema::DType::I32);
  auto first = makeList(), second = makeList();
  launchScratch(*first, grid, wrong);
  size_t before = device->workspaceBytes();
  launch(*second, {"spoil_scratch", 1, kSpoiledBytes, {}, {spoiled}});
  EXPECT_GE(device->workspaceBytes(), std::max(before, kSpoiledBytes));
  run(*second);
  run(*first);
  EXPECT_EQ(values<int32_t>(wrong), std::vector<int32_t>(size_t(grid), 0));
  EXPECT_EQ(values<int32_t>(spoiled), std::vector<int32_t>{1});
}

TEST_P(DeviceConformance, RefusesAKernelThatTheCodeDoesNotHave) {
  auto list = makeList();
  auto recorded = list->launch(*kernels, {"count_grapes", 1, 0, {}, {empty({1})}});
  ASSERT_FALSE(recorded);
  EXPECT_NE(recorded.error().message.find("'count_grapes'"), std::string::npos);
  run(*list); // and the list is still good, and empty
}

TEST_P(DeviceConformance, ModulesDoNotKnowOfEachOther) {
  auto other = device->loadModule(GetParam().kernels());
  ASSERT_TRUE(other);
  TensorRef sum = empty({3}), x = tensor({3}, {1, 2, 3});
  auto list = makeList();
  KernelLaunch count{"count_groups", 3, 0, {x}, {sum}};
  count.threads = GetParam().threads;
  ASSERT_TRUE(list->launch(**other, count));
  run(*list);
  list.reset();
  other->reset();
  list = makeList();
  launch(*list, {"count_groups", 3, 0, {x}, {sum}});
  run(*list);
  EXPECT_EQ(values(sum), (std::vector<float>{4, 6, 8}));
}

TEST_P(DeviceConformance, ExecutesInTheOrderOfRecording) {
  TensorRef x = tensor({2}, {1, 2}), y = empty({2}), z = empty({2}), w = empty({2});
  auto list = makeList();
  launch(*list, {"double_and_invert", 2, 0, {x}, {y, z}}); // y = 2 x
  ASSERT_TRUE(list->copy(y, x, false));                    // x = 2 x
  launch(*list, {"double_and_invert", 2, 0, {x}, {y, z}}); // y = 4 x
  auto product = list->call({schema::LibraryOp::Matmul,
                             {y.reshaped({1, 2}), x.reshaped({2, 1})},
                             {part(w, 0, 1).reshaped({1, 1})},
                             {0, 0}});
  ASSERT_TRUE(product) << product.error().message;
  run(*list);
  EXPECT_EQ(values(w), (std::vector<float>{4 * 2 + 8 * 4, 0}));
  run(*list); // x was changed: the second run begins with it
  EXPECT_EQ(values(w), (std::vector<float>{4 * (4 * 2 + 8 * 4), 0}));
}

// Checks and traces.

TEST_P(DeviceConformance, StopsAtTheFirstCheckThatFails) {
  TensorRef x = tensor({3}, {1, 0, 2}), doubled = empty({3}), inverse = empty({3});
  TensorRef state = empty({3}), copy = empty({3});
  auto list = makeList();
  launch(*list, {"double_and_invert", 3, 0, {x}, {doubled, inverse}});
  ASSERT_TRUE(list->check(doubled));
  ASSERT_TRUE(list->check(inverse));
  launch(*list, {"count_groups", 3, 0, {x}, {state}, {}, /*guarded=*/true});
  ASSERT_TRUE(list->copy(doubled, copy, /*guarded=*/true));
  ASSERT_TRUE(list->check(inverse));
  auto failed = flagOf(*list);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->command, 2u) << "the first that fails, not the last";
  EXPECT_EQ(failed->element, 1);
  EXPECT_EQ(values(state), std::vector<float>(3, 0.0f)) << "a later launch was executed";
  EXPECT_EQ(values(copy), std::vector<float>(3, 0.0f)) << "a later copy was executed";
  // The same list goes through once the value is finite.
  float half = 0.5f;
  ASSERT_TRUE(device->upload(part(x, 1, 1), &half));
  run(*list);
  EXPECT_EQ(values(state), (std::vector<float>{2, 1.5f, 3}));
  EXPECT_EQ(values(copy), (std::vector<float>{2, 1, 4}));
}

TEST_P(DeviceConformance, ChecksFindTheFirstValueThatIsNotFinite) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr int64_t kCount = 10'000;
  // Finite, however large or small.
  std::vector<float> fine(kCount, std::numeric_limits<float>::max());
  fine[1] = std::numeric_limits<float>::lowest();
  fine[2] = std::numeric_limits<float>::denorm_min();
  TensorRef x = tensor({kCount}, fine);
  auto list = makeList();
  ASSERT_TRUE(list->check(x));
  run(*list);
  for (float bad : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(),
                    -std::numeric_limits<float>::quiet_NaN()})
    for (int64_t place : {0, 1, 63, 4095, 4096, 4097, 8191, 8192, int(kCount) - 1}) {
      std::vector<float> some = fine;
      some[size_t(place)] = bad;
      some.back() = kInfinity;
      ASSERT_TRUE(device->upload(x, some.data()));
      auto failed = flagOf(*list);
      ASSERT_TRUE(failed);
      EXPECT_EQ(failed->element, place) << bad;
    }
}

TEST_P(DeviceConformance, ChecksFloatsOnly) {
  auto list = makeList();
  EXPECT_FALSE(list->check(empty({4}, schema::DType::I32)));
}

TEST_P(DeviceConformance, ATraceFindsTheCommandThatMadeTheValue) {
  TensorRef x = tensor({3}, {1, 2, 0}), doubled = empty({3}), inverse = empty({3});
  TensorRef y = empty({3}), state = empty({3});
  auto list = makeList();
  ASSERT_TRUE(list->copy(x, y, false));
  launch(*list, {"double_and_invert", 3, 0, {y}, {doubled, inverse}});
  launch(*list, {"count_groups", 3, 0, {inverse}, {state}});
  auto traced = traceOf(*list);
  ASSERT_TRUE(traced);
  EXPECT_EQ(traced->command, 1u) << "of a launch with two outputs the second";
  EXPECT_EQ(traced->element, 2);
  EXPECT_EQ(values(state), std::vector<float>(3, 0.0f)) << "a later command was executed";
  // What a command reads, it has not made.
  float nan = std::numeric_limits<float>::quiet_NaN();
  TensorRef input = tensor({2}, {1, nan}), product = empty({1, 1});
  auto other = makeList();
  ASSERT_TRUE(other->copy(x, y, false));
  ASSERT_TRUE(other->call({schema::LibraryOp::Matmul,
                           {input.reshaped({1, 2}), input.reshaped({2, 1})},
                           {product},
                           {0, 0}}));
  traced = traceOf(*other);
  ASSERT_TRUE(traced);
  EXPECT_EQ(traced->command, 1u);
  EXPECT_EQ(traced->element, 0);
}

TEST_P(DeviceConformance, TimesEveryCommand) {
  TensorRef x = tensor({3}, {1, 2, 3}), sum = empty({3}), copy = empty({3});
  auto list = makeList();
  launch(*list, {"count_groups", 3, 0, {x}, {sum}});
  ASSERT_TRUE(list->copy(sum, copy, false));
  std::vector<double> seconds = {100, 200}, few = {0};
  ASSERT_TRUE(stream->time(*list, {}, seconds));
  EXPECT_GE(seconds[0], 100);
  EXPECT_GE(seconds[1], 200);
  EXPECT_EQ(values(copy), (std::vector<float>{2, 3, 4})) << "timed, but not executed";
  EXPECT_FALSE(stream->time(*list, {}, few));
}

} // namespace doppel::runtime::test
