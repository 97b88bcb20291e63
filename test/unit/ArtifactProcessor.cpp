// What this machine's processor has: the baseline of its architecture, and artifacts that ask for
// it are taken.

#include "ArtifactFixture.h"

#include "runtime/artifact/Validate.h"
#include <gtest/gtest.h>

namespace doppel::runtime::test {
namespace {

TEST(ArtifactProcessor, HasTheBaselineOfItsArchitecture) {
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
  auto artifact =
      Artifact::parse(artifactOf(parts.bytes()), "toy.dpx", Artifact::Machine::Required);
  EXPECT_TRUE(artifact) << artifact.error().message;
}

TEST(ArtifactProcessor, AListThatCannotBeReadIsNoMissingFeature) {
  for (auto [file, why] : {std::pair("/nowhere/cpuinfo", "/nowhere/cpuinfo No such file"),
                           {"/dev/null", "/dev/null has no list of its features"}}) {
    auto features = processorFeatures(file);
    ASSERT_FALSE(features);
    EXPECT_NE(features.error().message.find(why), std::string::npos) << features.error().message;
  }
}

} // namespace
} // namespace doppel::runtime::test
