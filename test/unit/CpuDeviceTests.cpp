// The CPU device passes the conformance suite, with one thread and with several.
#include "test/unit/DeviceConformance.h"

namespace doppel::runtime::test {

INSTANTIATE_TEST_SUITE_P(Cpu, DeviceConformance,
                         testing::Values(
                             +[] { return makeCpuDevice(1); }, +[] { return makeCpuDevice(3); }));

TEST(CpuDevice, SaysWhatIsWrongWithACodeSegment) {
  auto device = makeCpuDevice(1);
  std::byte garbage[64] = {};
  auto module = device->loadModule(garbage);
  ASSERT_FALSE(module);
  EXPECT_NE(module.error().message.find("kernels"), std::string::npos);
}

} // namespace doppel::runtime::test
