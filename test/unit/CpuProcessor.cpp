// What this machine's processor has: the baseline of its architecture, and artifacts that ask for
// it are taken.

#include "ArtifactFixture.h"

#include "runtime/device/cpu/Processor.h"
#include "runtime/executor/Executable.h"
#include <gtest/gtest.h>

namespace doppel::runtime::test {
namespace {

TEST(CpuProcessor, HasTheBaselineOfItsArchitecture) {
#if defined(__x86_64__)
  const std::vector<std::string> baseline = {"fpu", "sse2", "fxsr"};
#elif defined(__aarch64__)
  const std::vector<std::string> baseline = {"fp", "asimd"};
#else
  GTEST_SKIP();
#endif
  std::set<std::string> present = processorFeatures().value();
  for (const std::string &feature : baseline)
    EXPECT_TRUE(present.contains(feature)) << feature;
  EXPECT_FALSE(present.contains("flags") || present.contains(":") || present.contains(""));

  ProgramParts parts;
  parts.features = baseline;
  auto artifact = Artifact::parse(artifactOf(parts.bytes()), "toy.dpx");
  ASSERT_TRUE(artifact) << artifact.error().message;
  auto fits = checkProcessor(artifact->program());
  EXPECT_TRUE(fits) << fits.error().message;
}

std::string refusal(const ProgramParts &parts) {
  auto artifact = Artifact::parse(artifactOf(parts.bytes()), "toy.dpx");
  auto fits = checkProcessor(artifact.value().program());
  return fits ? "" : fits.error().message;
}

TEST(CpuProcessor, RefusesCodeForAnother) {
  ProgramParts parts;
  parts.features = {"avx9000", "psychic"};
  std::string error = refusal(parts);
  EXPECT_NE(error.find("this one lacks avx9000, psychic"), std::string::npos) << error;
  EXPECT_NE(error.find("doppel compile toy.dpl -o ARTIFACT --set dim=8"), std::string::npos)
      << error;
}

TEST(CpuProcessor, IsAskedBeforeAProgramIsLoaded) {
  ProgramParts parts;
  parts.features = {"avx9000"};
  auto artifact = Artifact::parse(artifactOf(parts.bytes()), "toy.dpx");
  std::unique_ptr<Device> device = makeCpuDevice(1);
  auto executable = Executable::create(artifact.value(), *device);
  ASSERT_FALSE(executable);
  EXPECT_NE(executable.error().message.find("toy.dpx: was compiled for the processor any"),
            std::string::npos)
      << executable.error().message;
}

TEST(CpuProcessor, RefusesCodeForNoProcessor) {
  ProgramParts parts;
  parts.targetKind = "cuda";
  std::string error = refusal(parts);
  EXPECT_NE(error.find("was compiled for cuda, and runs on no CPU"), std::string::npos) << error;
  EXPECT_NE(error.find("doppel compile toy.dpl"), std::string::npos) << error;
}

TEST(CpuProcessor, AListThatCannotBeReadIsNoMissingFeature) {
  for (auto [file, why] : {std::pair("/nowhere/cpuinfo", "/nowhere/cpuinfo No such file"),
                           {"/dev/null", "/dev/null has no list of its features"}}) {
    auto features = processorFeatures(file);
    ASSERT_FALSE(features);
    EXPECT_NE(features.error().message.find(why), std::string::npos) << features.error().message;
  }
}

} // namespace
} // namespace doppel::runtime::test
