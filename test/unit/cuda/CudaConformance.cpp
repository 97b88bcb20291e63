// The CUDA device passes the conformance suite: over the stand-in for the driver, which runs the
// kernels' blocks in the simulator, and on a GPU where there is one (test/gpu).
#include "RecordingDriver.h"
#include "test/unit/DeviceConformanceCalls.h"
#include "test/unit/DeviceConformanceStreams.h"

#include "runtime/core/File.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/device/sim/Block.h"
#include "runtime/schema/GpuAbi.h"

namespace doppel::runtime::test {

namespace {

using cuda::LibrarySearch;
using doppel::test::Recording;

const char ptx[] =
#include "gpu.inc"
    ;

std::vector<std::byte> gpuKernels() {
  auto *begin = reinterpret_cast<const std::byte *>(ptx);
  return {begin, begin + sizeof ptx};
}

std::unique_ptr<Device> orNone(Result<std::unique_ptr<Device>> made) {
  EXPECT_TRUE(made) << made.error().message;
  return made ? *std::move(made) : nullptr;
}

/// Arguments of each kernel of Conformance.ll, with slab, scratch memory and flag, and of those
/// that are reserved.
const std::pair<const char *, size_t> arguments[] = {
    {"count_groups", 3},        {"double_and_invert", 4}, {"read_every_kind", 11},
    {"write_every_kind", 7},    {"use_scratch", 5},       {"spoil_scratch", 3},
    {abi::gpuCheckPartials, 4}, {abi::gpuCheckFlag, 4},   {abi::gpuCopy, 5},
    {abi::gpuPermutation, 4}};

void addKernels(Recording &recording) {
  static std::unique_ptr<cpu::SharedObject> object = [] {
    auto file = readFile(DOPPEL_TEST_BLOCKS "/driver.so", 1 << 20);
    return *cpu::SharedObject::open(std::as_bytes(std::span(*file)));
  }();
  static sim::BlockRunner runner;
  *static_cast<const abi::SimServices **>(object->find(abi::simServicesSymbol)) = &sim::services();
  for (auto [name, count] : arguments) {
    auto kernel = reinterpret_cast<abi::SimKernelFunction>(object->find(name));
    ASSERT_TRUE(kernel) << name;
    recording.parameters[name] = count;
    recording.kernels[name] = [=](const Recording::Launch &launch) {
      ASSERT_TRUE(runner.prepare(int32_t(launch.threads), /*sharedBytes=*/48 << 10));
      for (unsigned block = 0; block < launch.blocks; ++block) {
        auto ran = runner.run(kernel, launch.pointers.data(), int32_t(block), nullptr);
        ASSERT_TRUE(ran) << launch.kernel << ": " << ran.error().message;
      }
    };
  }
}

/// Over a recording of its own, unless a device of the same test lives.
std::unique_ptr<Device> overStandIn() {
  static Recording *recording = nullptr;
  if (!recording || recording->count("cuDevicePrimaryCtxRetain") ==
                        recording->count("cuDevicePrimaryCtxRelease")) {
    recording = &doppel::test::recordingOf(DOPPEL_RECORDING_DRIVER);
    addKernels(*recording);
  }
  return orNone(cuda::makeCudaDevice({{DOPPEL_RECORDING_DRIVER}, false, {}}));
}

std::unique_ptr<Device> onGpu() { return orNone(cuda::makeCudaDevice(cuda::usualSearch())); }

std::vector<DeviceUnderTest> gpusHere() {
  auto driver = cuda::Driver::open(cuda::usualSearch());
  if (!driver || !(*driver)->gpus())
    return {};
  // cuDNN may take Winograd's way, whose sums are of larger terms.
  return {{.make = onGpu,
           .kernels = gpuKernels,
           .threads = 32,
           .poolsAreCalls = false,
           .takesFiltersFirst = false,
           .rounding = 1e-5}};
}

} // namespace

// cuDNN's frontend keeps the functions of the first library that a process opens, which other tests
// here want to be the real one: test/e2e/gpu.test has the stand-in's convolutions.
INSTANTIATE_TEST_SUITE_P(Recorded, DeviceConformance,
                         testing::Values(DeviceUnderTest{.make = overStandIn,
                                                         .kernels = gpuKernels,
                                                         .threads = 32,
                                                         .poolsAreCalls = false,
                                                         .convolves = false,
                                                         .takesFiltersFirst = false}));
INSTANTIATE_TEST_SUITE_P(Gpu, DeviceConformance, testing::ValuesIn(gpusHere()));

} // namespace doppel::runtime::test
