// The CUDA device against the recording driver: what is captured and when, flags, marks, faults.
#include "ReservedKernels.h"
#include "runtime/device/cuda/CudaDevice.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

using namespace doppel::runtime;
using namespace doppel::runtime::cuda;
using namespace doppel::test;
namespace gpu = doppel::abi;

namespace {

const std::string folder = DOPPEL_RECORDING_DRIVER;

class CudaDeviceTest : public testing::Test {
protected:
  Recording &recording = recordingOf(folder);
  std::unique_ptr<Device> device;
  std::unique_ptr<KernelModule> module;
  std::vector<std::unique_ptr<Allocation>> allocations;

  void kernel(const char *name, size_t arguments,
              std::function<void(const Recording::Launch &)> body) {
    addKernel(recording, name, arguments, std::move(body));
  }

  void SetUp() override {
    addReservedKernels(recording);
    // y = x + 1, with the flag last.
    kernel("increment", 3, [](const Recording::Launch &launch) {
      if (!isSet(pointer<uint64_t>(launch, 2)))
        *pointer<float>(launch, 1) = *pointer<float>(launch, 0) + 1;
    });
    // y = the slab's first byte, through scratch memory.
    kernel("first_pixel", 5, [](const Recording::Launch &launch) {
      *pointer<float>(launch, 3) = *pointer<uint8_t>(launch, 2);
      *pointer<float>(launch, 1) = *pointer<float>(launch, 3);
    });
    auto opened = makeCudaDevice({{folder}, false, {}});
    ASSERT_TRUE(opened) << opened.error().message;
    device = std::move(*opened);
    auto loaded = device->loadModule(std::as_bytes(std::span(".version 8.0", 12)));
    ASSERT_TRUE(loaded) << loaded.error().message;
    module = std::move(*loaded);
  }
  void TearDown() override {
    allocations.clear();
    module.reset();
    device.reset();
    if (recording.loseAtCall < 0) {
      EXPECT_EQ(recording.liveAllocations, 0u);
      EXPECT_EQ(recording.count("cuDevicePrimaryCtxRelease"), 1u);
    }
  }

  TensorRef tensor(float value, size_t count = 1) {
    auto memory = device->allocate(count * sizeof(float));
    EXPECT_TRUE(memory) << memory.error().message;
    TensorRef ref{
        (*memory)->data(), doppel::schema::DType::F32, {int64_t(count)}, (*memory)->memory()};
    allocations.push_back(std::move(*memory));
    std::vector<float> values(count, value);
    EXPECT_TRUE(device->upload(ref, values.data()));
    return ref;
  }
  float value(const TensorRef &ref) {
    std::vector<float> values(size_t(ref.elements()));
    EXPECT_TRUE(device->download(values.data(), ref));
    return values[0];
  }
  std::unique_ptr<CommandList> list() { return *device->makeCommandList(); }
  std::unique_ptr<Stream> stream() {
    auto made = device->makeStream();
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }
  KernelLaunch increment(const TensorRef &x, const TensorRef &y, bool guarded = false) {
    return {.symbol = "increment",
            .grid = 1,
            .inputs = {x},
            .outputs = {y},
            .guarded = guarded,
            .threads = 256};
  }
  static void wait(Stream &stream) {
    auto mark = stream.mark();
    ASSERT_TRUE(mark) << mark.error().message;
    auto waited = stream.wait(*mark);
    ASSERT_TRUE(waited) << waited.error().message;
  }
};

TEST_F(CudaDeviceTest, SaysWhatItIs) {
  EXPECT_EQ(device->description(), "Recorded GPU 0 (sm_90, 81920 MiB), CUDA 12.4");
  EXPECT_FALSE(device->readsHostMemory());
}

TEST_F(CudaDeviceTest, MemoryIsZeroedAndWhatIsMissingIsTold) {
  auto memory = device->allocate(1000);
  ASSERT_TRUE(memory);
  TensorRef ref{(*memory)->data(), doppel::schema::DType::U8, {1000}, (*memory)->memory()};
  std::vector<uint8_t> bytes(1000, 9);
  ASSERT_TRUE(device->download(bytes.data(), ref));
  EXPECT_EQ(bytes, std::vector<uint8_t>(1000, 0));
  recording.othersBytes = size_t(79) << 30;
  auto large = device->allocate(size_t(2) << 30);
  ASSERT_FALSE(large);
  EXPECT_TRUE(
      large.error().message.starts_with("not enough memory on Recorded GPU 0: 2048 MiB wanted, "
                                        "1023 of 81920 MiB are free, 0 are this run's; end"))
      << large.error().message;
}

TEST_F(CudaDeviceTest, AListIsCapturedOnceAndReplayed) {
  TensorRef x = tensor(1), y = tensor(0);
  auto commands = list();
  ASSERT_TRUE(commands->launch(*module, increment(x, y)));
  ASSERT_TRUE(commands->copy(y, x, false));
  auto running = stream();
  int allocations = recording.allocations;
  for (int i = 0; i < 3; ++i) {
    auto ran = running->run(*commands, {});
    ASSERT_TRUE(ran) << ran.error().message;
  }
  wait(*running);
  EXPECT_EQ(value(x), 4);
  EXPECT_EQ(recording.count("cuStreamBeginCapture"), 1u);
  EXPECT_EQ(recording.count("cuGraphInstantiate 2 nodes"), 1u);
  EXPECT_EQ(recording.count("cuGraphLaunch 2 nodes"), 3u);
  EXPECT_EQ(recording.allocations, allocations);
  // Another stream has another flag.
  auto other = stream();
  ASSERT_TRUE(other->run(*commands, {}));
  wait(*other);
  EXPECT_EQ(recording.count("cuStreamBeginCapture"), 2u);
  EXPECT_EQ(value(x), 5);
}

TEST_F(CudaDeviceTest, OtherSlabsAndAMovedWorkspaceAreCapturedAgain) {
  TensorRef x = tensor(0), y = tensor(0);
  auto bytes = [&](uint8_t first) {
    auto memory = device->allocate(4);
    TensorRef ref{(*memory)->data(), doppel::schema::DType::U8, {4}, (*memory)->memory()};
    allocations.push_back(std::move(*memory));
    uint8_t values[4] = {first};
    EXPECT_TRUE(device->upload(ref, values));
    return ref;
  };
  TensorRef one[] = {bytes(10)}, two[] = {bytes(20)};
  KernelLaunch launch{.symbol = "first_pixel",
                      .grid = 1,
                      .scratchBytes = 64,
                      .inputs = {x},
                      .outputs = {y},
                      .slabs = {0},
                      .threads = 256};
  auto commands = list();
  ASSERT_TRUE(commands->launch(*module, launch));
  auto running = stream();
  EXPECT_FALSE(running->run(*commands, {})); // a slab is missing
  auto runs = [&](std::span<const TensorRef> slabs) {
    auto ran = running->run(*commands, slabs);
    EXPECT_TRUE(ran) << ran.error().message;
    wait(*running);
    return value(y);
  };
  EXPECT_EQ(runs(one), 10);
  EXPECT_EQ(runs(one), 10);
  EXPECT_EQ(recording.count("cuStreamBeginCapture"), 1u);
  EXPECT_EQ(runs(two), 20);
  EXPECT_EQ(recording.count("cuStreamBeginCapture"), 2u);
  launch.scratchBytes = 1 << 20;
  ASSERT_TRUE(list()->launch(*module, launch));
  EXPECT_EQ(runs(two), 20);
  EXPECT_EQ(recording.count("cuStreamBeginCapture"), 3u);
  EXPECT_GE(device->workspaceBytes(), size_t(1) << 20);
}

TEST_F(CudaDeviceTest, ABadValueStopsWhatWritesStatesUntilTheHostClears) {
  TensorRef loss = tensor(NAN, 5), state = tensor(1), other = tensor(7), transient = tensor(0);
  auto commands = list();
  ASSERT_TRUE(commands->launch(*module, increment(state, transient)));
  ASSERT_TRUE(commands->check(loss));
  ASSERT_TRUE(commands->launch(*module, increment(state, state, /*guarded=*/true)));
  ASSERT_TRUE(commands->copy(transient, other, /*guarded=*/true));
  auto running = stream();
  std::optional<NonFinite> first, second, third;
  ASSERT_TRUE(running->run(*commands, {}));
  ASSERT_TRUE(running->readFlag(first));
  // Queued before the host knows; its loss is good.
  std::vector<float> good(5, 1);
  ASSERT_TRUE(device->upload(loss, good.data()));
  ASSERT_TRUE(running->run(*commands, {}));
  ASSERT_TRUE(running->readFlag(second));
  EXPECT_FALSE(first); // not before wait()
  wait(*running);
  for (const auto &flag : {first, second}) {
    ASSERT_TRUE(flag);
    EXPECT_EQ(flag->command, 1u);
    EXPECT_EQ(flag->element, 0);
  }
  EXPECT_EQ(value(state), 1);
  EXPECT_EQ(value(other), 7);
  EXPECT_EQ(value(transient), 2);
  ASSERT_TRUE(running->clearFlag());
  ASSERT_TRUE(running->run(*commands, {}));
  ASSERT_TRUE(running->readFlag(third));
  wait(*running);
  EXPECT_FALSE(third);
  EXPECT_EQ(value(state), 2);
  EXPECT_EQ(value(other), 2);
}

TEST_F(CudaDeviceTest, ATraceFindsTheFirstCommandAndHeedsNoFlag) {
  TensorRef x = tensor(1), y = tensor(0), z = tensor(INFINITY), bad = tensor(0);
  auto commands = list();
  ASSERT_TRUE(commands->launch(*module, increment(x, y, /*guarded=*/true)));
  ASSERT_TRUE(commands->launch(*module, increment(z, bad)));
  ASSERT_TRUE(commands->launch(*module, increment(x, x)));
  auto running = stream();
  auto traced = running->trace(*commands, {});
  ASSERT_TRUE(traced) << traced.error().message;
  ASSERT_TRUE(*traced);
  EXPECT_EQ((*traced)->command, 1u);
  EXPECT_EQ((*traced)->element, 0);
  EXPECT_EQ(value(y), 2);
  EXPECT_EQ(value(x), 1); // what comes after is not executed
  std::optional<NonFinite> flag;
  ASSERT_TRUE(running->readFlag(flag));
  wait(*running);
  EXPECT_FALSE(flag);
}

TEST_F(CudaDeviceTest, TimesAreThoseOfEvents) {
  TensorRef x = tensor(1), y = tensor(0);
  auto commands = list();
  ASSERT_TRUE(commands->launch(*module, increment(x, y)));
  ASSERT_TRUE(commands->check(y));
  auto running = stream();
  double seconds[] = {1, 0};
  auto timed = running->time(*commands, {}, seconds);
  ASSERT_TRUE(timed) << timed.error().message;
  // The stand-in's clock goes on by a microsecond an event.
  EXPECT_NEAR(seconds[0], 1 + 1e-6, 1e-9);
  EXPECT_NEAR(seconds[1], 1e-6, 1e-9);
  EXPECT_EQ(value(y), 2);
  EXPECT_FALSE(running->time(*commands, {}, std::span(seconds, 1)));
}

TEST_F(CudaDeviceTest, ACommandsTimeIsBetweenTheEventsAroundIt) {
  TensorRef x = tensor(1), y = tensor(0);
  auto commands = list();
  ASSERT_TRUE(commands->launch(*module, increment(x, y)));
  ASSERT_TRUE(commands->check(y)); // two launches
  ASSERT_TRUE(commands->copy(x, y, false));
  auto running = stream();
  double seconds[] = {0, 0, 0};
  size_t before = recording.calls.size();
  ASSERT_TRUE(running->time(*commands, {}, seconds));
  std::vector<std::string> done;
  for (size_t i = before; i < recording.calls.size(); ++i)
    if (std::string name = recording.calls[i]; name.starts_with("cuEventRecord") ||
                                               name.starts_with("cuLaunchKernel") ||
                                               name.starts_with("cuMemcpyDtoDAsync"))
      done.push_back(name.substr(0, name.find(' ', name.find(' ') + 1)));
  const std::vector<std::string> expected = {
      "cuEventRecord on",
      "cuLaunchKernel increment",
      "cuEventRecord on",
      "cuLaunchKernel doppel_check_partials",
      "cuLaunchKernel doppel_check_flag",
      "cuEventRecord on",
      "cuMemcpyDtoDAsync 4",
      "cuEventRecord on",
  };
  EXPECT_EQ(done, expected);
  // Nobody waits between two commands: that would be in their times.
  EXPECT_EQ(std::ranges::count_if(
                recording.calls.begin() + int64_t(before), recording.calls.end(),
                [](const std::string &call) { return call.starts_with("cuStreamSynchronize"); }),
            2);
  EXPECT_EQ(recording.count("cuEventCreate"), recording.count("cuEventDestroy") + 1); // lastUse
}

TEST_F(CudaDeviceTest, ProductsAreCublasLts) {
  TensorRef a = tensor(2, 6).reshaped({2, 3}), b = tensor(3, 12).reshaped({3, 4}),
            c = tensor(0, 8).reshaped({2, 4});
  auto commands = list();
  auto called = commands->call({doppel::schema::LibraryOp::Matmul, {a, b}, {c}, {0, 0}});
  ASSERT_TRUE(called) << called.error().message;
  auto running = stream();
  double seconds[] = {0};
  ASSERT_TRUE(running->time(*commands, {}, seconds));
  EXPECT_EQ(value(c), 18);
  // What was tried is given back; the workspace of the algorithm stays.
  EXPECT_EQ(device->workspaceBytes(), size_t(64) << 20);
  // Another product of the same sizes is not tried again.
  int allocations = recording.allocations;
  ASSERT_TRUE(commands->call({doppel::schema::LibraryOp::Matmul, {a, b}, {c}, {0, 0}}));
  EXPECT_EQ(recording.allocations, allocations);
}

TEST_F(CudaDeviceTest, ProductsAddWhatTheirCallsSay) {
  TensorRef a = tensor(2, 6).reshaped({2, 3}), b = tensor(3, 12).reshaped({3, 4}),
            c = tensor(0, 8).reshaped({2, 4}), addend = tensor(-40, 8).reshaped({2, 4}),
            bias = tensor(5, 4);
  struct {
    std::vector<TensorRef> more;
    std::vector<int64_t> ints;
    float expected;
  } cases[] = {{{addend}, {0, 0, 1, 0, 0}, -22},
               {{bias}, {0, 0, 0, 1, 0}, 23},
               {{addend, bias}, {0, 0, 1, 1, 0}, -17},
               {{addend, bias}, {0, 0, 1, 1, 1}, 0}};
  for (const auto &each : cases) {
    auto commands = list();
    doppel::runtime::LibraryCall call{doppel::schema::LibraryOp::Gemm, {a, b}, {c}, each.ints};
    call.inputs.insert(call.inputs.end(), each.more.begin(), each.more.end());
    auto called = commands->call(call);
    ASSERT_TRUE(called) << called.error().message;
    auto running = stream();
    double seconds[] = {0};
    ASSERT_TRUE(running->time(*commands, {}, seconds));
    EXPECT_EQ(value(c), each.expected);
  }
  // Each is another product than the one before it, and was tried by itself.
  int allocations = recording.allocations;
  auto commands = list();
  ASSERT_TRUE(
      commands->call({doppel::schema::LibraryOp::Gemm, {a, b, bias}, {c}, {0, 0, 0, 1, 0}}));
  EXPECT_EQ(recording.allocations, allocations);
  ASSERT_TRUE(commands->call(
      {doppel::schema::LibraryOp::Matmul, {a, b}, {c}, {0, 0}, doppel::schema::Precision::TF32}));
  EXPECT_GT(recording.allocations, allocations);
}

TEST_F(CudaDeviceTest, CallsOfOtherTargetsAreRefused) {
  TensorRef x = tensor(0);
  auto commands = list();
  auto called =
      commands->call({doppel::schema::LibraryOp::MaxPool2D, {x}, {x, x}, {1, 1, 1, 1, 0, 0, 0, 0}});
  ASSERT_FALSE(called);
  EXPECT_NE(called.error().message.find("compile the spec with --target cuda"), std::string::npos);
  TensorRef image = tensor(0, 16).reshaped({1, 4, 4, 1}), w = tensor(0).reshaped({1, 1, 1, 1});
  called = commands->call(
      {doppel::schema::LibraryOp::Conv2D, {image, w}, {image}, {1, 1, 0, 0, 0, 0, 1, 1, 1, 0}});
  ASSERT_FALSE(called);
  EXPECT_NE(called.error().message.find("compile the spec with --target cuda"), std::string::npos)
      << called.error().message;
}

TEST_F(CudaDeviceTest, StreamsOfOneDeviceTakeTurnsInTheWorkspace) {
  TensorRef x = tensor(1), y = tensor(0);
  auto commands = list();
  ASSERT_TRUE(commands->launch(*module, increment(x, y)));
  auto one = stream(), two = stream();
  ASSERT_TRUE(one->run(*commands, {}));
  ASSERT_TRUE(one->run(*commands, {}));
  EXPECT_EQ(recording.count("cuStreamWaitEvent"), 0u);
  ASSERT_TRUE(two->run(*commands, {}));
  EXPECT_EQ(recording.count("cuStreamWaitEvent"), 1u);
  auto mark = one->mark();
  ASSERT_TRUE(mark);
  ASSERT_TRUE(two->waitFor(*one, *mark));
  EXPECT_EQ(recording.count("cuStreamWaitEvent"), 2u);
  wait(*one);
  EXPECT_TRUE(one->reached(*mark));
  EXPECT_FALSE(one->wait(99)); // was not made
}

TEST_F(CudaDeviceTest, AnErrorInACaptureEndsIt) {
  TensorRef x = tensor(1), y = tensor(0);
  auto commands = list();
  ASSERT_TRUE(commands->launch(*module, increment(x, y)));
  KernelLaunch none = increment(x, y);
  none.threads = 0; // which the driver refuses
  ASSERT_TRUE(commands->launch(*module, none));
  auto running = stream();
  EXPECT_FALSE(running->run(*commands, {}));
  EXPECT_EQ(recording.count("cuStreamEndCapture"), 1u);
  EXPECT_EQ(recording.count("cuGraphDestroy"), 1u);
  EXPECT_EQ(recording.count("cuGraphLaunch"), 0u);
  // The next list is captured as if nothing had been.
  auto good = list();
  ASSERT_TRUE(good->launch(*module, increment(x, y)));
  EXPECT_TRUE(running->run(*good, {}));
}

TEST_F(CudaDeviceTest, AGpuThatIsLostIsTold) {
  TensorRef x = tensor(1), y = tensor(0);
  auto commands = list();
  ASSERT_TRUE(commands->launch(*module, increment(x, y)));
  auto running = stream();
  ASSERT_TRUE(running->run(*commands, {}));
  recording.faultCall = "cuGraphLaunch";
  auto ran = running->run(*commands, {});
  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error().message, "the GPU is lost to this process, cannot run a graph: "
                                 "CUDA_ERROR_LAUNCH_FAILED (unspecified launch failure)");
}

TEST_F(CudaDeviceTest, MemoryOfTheHostIsNoOperand) {
  TensorRef x = tensor(1);
  float host = 0;
  TensorRef outside = hostBytes(&host, sizeof host);
  EXPECT_FALSE(list()->launch(*module, increment(outside, x)));
  EXPECT_FALSE(list()->copy(outside, x, true));
  EXPECT_FALSE(device->upload(outside, &host));
}

TEST(CudaDeviceOpen, CodeWithoutTheReservedKernelsIsTold) {
  Recording &recording = recordingOf(folder);
  recording.kernels["increment"] = [](const Recording::Launch &) {};
  auto device = makeCudaDevice({{folder}, false, {}});
  ASSERT_TRUE(device);
  auto module = (*device)->loadModule(std::as_bytes(std::span(".version 8.0", 12)));
  ASSERT_TRUE(module);
  auto memory = (*device)->allocate(4);
  TensorRef x{(*memory)->data(), doppel::schema::DType::F32, {1}, (*memory)->memory()};
  auto checked = (*(*device)->makeCommandList())->check(x);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().message,
            "the artifact's code has no kernel 'doppel_check_partials': compile the spec again");
}

} // namespace
