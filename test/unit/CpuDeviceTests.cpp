// The CPU device passes the conformance suite, with one thread and with several, and when it does
// everything as late as it may. So does the simulator, whose library operations are the CPU's.
#include "test/unit/ArtifactFixture.h"
#include "test/unit/DeviceConformanceCalls.h"
#include "test/unit/DeviceConformanceStreams.h"
#include "test/unit/LateDevice.h"

#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/sim/SimDevice.h"

#include <dlfcn.h>
#include <fstream>
#include <iterator>

namespace doppel::runtime::test {

using cpu::makeCpuDevice;

namespace {

std::vector<std::byte> kernelsOf(const char *path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  auto *begin = reinterpret_cast<const std::byte *>(bytes.data());
  return {begin, begin + bytes.size()};
}

/// The kernels that the build made for the host.
std::vector<std::byte> hostKernels() { return kernelsOf(DOPPEL_TEST_KERNELS); }

} // namespace

INSTANTIATE_TEST_SUITE_P(
    Cpu, DeviceConformance,
    testing::Values(DeviceUnderTest{[] { return makeCpuDevice(1); }, hostKernels},
                    DeviceUnderTest{[] { return makeCpuDevice(3); }, hostKernels}));
INSTANTIATE_TEST_SUITE_P(Late, DeviceConformance,
                         testing::Values(DeviceUnderTest{[]() -> std::unique_ptr<Device> {
                                                           return std::make_unique<LateDevice>();
                                                         },
                                                         hostKernels}));

#ifdef DOPPEL_TEST_BLOCKS // made by the compiler, which a build of the runtime alone has not
static std::vector<std::byte> simulatedKernels() { return kernelsOf(DOPPEL_TEST_BLOCKS "/sim.so"); }

INSTANTIATE_TEST_SUITE_P(Sim, DeviceConformance,
                         testing::Values(DeviceUnderTest{
                             .make = [] { return sim::makeSimDevice(3, /*checked=*/false); },
                             .kernels = simulatedKernels,
                             .threads = 32,
                             .convolves = false})); // as a CPU does
#endif

TEST(CpuDevice, SaysWhatIsWrongWithACodeSegment) {
  auto device = makeCpuDevice(1);
  std::byte garbage[64] = {};
  auto module = device->loadModule(garbage);
  ASSERT_FALSE(module);
  EXPECT_NE(module.error().message.find("kernels"), std::string::npos);
}

/// Kernels of one artifact are not seen by those of another, nor by the program.
TEST(CpuDevice, KeepsTheSymbolsOfAModuleLocal) {
  auto device = makeCpuDevice(1);
  auto module = device->loadModule(hostKernels());
  ASSERT_TRUE(module);
  EXPECT_EQ(dlsym(RTLD_DEFAULT, "count_groups"), nullptr);
}

/// A launch that a kernel was not compiled for would read and write behind its buffers.
TEST(CpuDevice, HoldsALaunchAgainstWhatItsKernelWasCompiledFor) {
  auto device = makeCpuDevice(1);
  auto module = device->loadModule(hostKernels());
  ASSERT_TRUE(module);
  auto f32 = [](int64_t count) { return TensorRef{nullptr, schema::DType::F32, {count}}; };
  auto errorOf = [&](const KernelLaunch &launch) {
    auto fits = (*module)->check(launch);
    EXPECT_TRUE(fits || fits.error().kind == ErrorKind::User);
    return fits ? "" : fits.error().message;
  };
  EXPECT_EQ(errorOf({"count_groups", 3, 0, {f32(3)}, {f32(3)}}), "");
  EXPECT_EQ(errorOf({"count_groups", 4, 0, {f32(3)}, {f32(3)}}),
            "kernel 'count_groups' is launched with 4 workgroups, but was compiled for 3");
  EXPECT_EQ(errorOf({"count_groups", 3, 64, {f32(3)}, {f32(3)}}),
            "kernel 'count_groups' is launched with 64 bytes of scratch, but was compiled for 0");
  EXPECT_EQ(errorOf({"count_groups", 3, 0, {f32(3), f32(3)}, {f32(3)}}),
            "kernel 'count_groups' is launched with 2 inputs, but was compiled for 1");
  EXPECT_EQ(errorOf({"count_groups", 3, 0, {f32(3)}, {}}),
            "kernel 'count_groups' is launched with 0 outputs, but was compiled for 1");
  EXPECT_EQ(errorOf({"count_groups", 3, 0, {f32(3)}, {f32(2)}}),
            "kernel 'count_groups' is launched with 8 bytes of buffer 1, but was compiled for 12");
  EXPECT_EQ(errorOf({"count_grapes", 3, 0, {f32(3)}, {f32(3)}}),
            "the code segment has no kernel 'count_grapes'");
  EXPECT_NE(errorOf({"use_scratch", 3, 0, {f32(3)}, {f32(3)}}).find("compile the spec again"),
            std::string::npos);
}

TEST(CpuDevice, HasAsManyThreadsAsItWasMadeWith) {
  for (int threads : {1, 2, 3}) {
    auto device = makeCpuDevice(threads);
    EXPECT_EQ(device->threads(), threads);
    EXPECT_NE(device->description().find(std::to_string(threads) + " thread"), std::string::npos);
  }
}

TEST(DeviceRegistry, OpensTheDeviceThatTheTargetNames) {
  auto artifactFor = [](const std::string &kind) {
    ProgramParts parts;
    parts.targetKind = kind;
    if (kind != "cpu") {
      parts.targetArchitectures = {"sm_80"};
      parts.code = {{schema::CodeKind::Ptx, "sm_80", {0}, {{256, 0}}}};
    }
    auto segment = kind == "cpu" ? format::SegmentKind::Elf : format::SegmentKind::Ptx;
    return Artifact::parse(artifactOf(parts.bytes(), {}, {{segment, "code"}}), "toy.dpx");
  };
  auto cpu = artifactFor("cpu"), cuda = artifactFor("cuda");
  ASSERT_TRUE(cpu) << cpu.error().message;
  ASSERT_TRUE(cuda) << cuda.error().message;
  auto opened = openDevice(cpu->program(), {.threads = 1});
  ASSERT_TRUE(opened);
  EXPECT_EQ((*opened)->threads(), 1);
  EXPECT_TRUE((*opened)->checkTarget(cpu->program()));
  EXPECT_FALSE((*opened)->checkTarget(cuda->program()));
  EXPECT_EQ((*opened)->chooseCode(*cuda), nullptr);

  auto none = artifactFor("abacus");
  ASSERT_TRUE(none) << none.error().message;
  opened = openDevice(none->program());
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find("was compiled for abacus, and this program runs cpu"),
            std::string::npos)
      << opened.error().message;
  EXPECT_NE(opened.error().message.find("doppel compile toy.dpl"), std::string::npos);
  // A device that registers itself is opened for its kind.
  registerDevice("abacus", [](const schema::Program &, const DeviceOptions &options) {
    return Result<std::unique_ptr<Device>>(std::make_unique<LateDevice>(options.threads));
  });
  opened = openDevice(none->program(), {.threads = 1});
  ASSERT_TRUE(opened);
  EXPECT_FALSE((*opened)->readsHostMemory());
  registerDevice("cuda-sim", nullptr);
}

} // namespace doppel::runtime::test
