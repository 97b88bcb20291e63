// Plans that are kept beside an artifact, with a cuDNN that counts what it is asked.
#include "Gpus.h"
#include "runtime/device/cuda/PlanCache.h"

#include "runtime/core/File.h"

#include <gtest/gtest.h>

using namespace doppel::runtime;
using namespace doppel::runtime::cuda;

namespace {

/// Its bytes are the workspace that it needs, as text.
class TextPlan : public ConvolutionPlan {
public:
  TextPlan(size_t workspace, bool writes) : workspace(workspace), writes(writes) {}
  size_t workspaceBytes() const override { return workspace; }
  std::string name() const override { return "text"; }
  Result<std::vector<uint8_t>> serialize() override {
    if (!writes)
      return fail("no");
    std::string text = std::to_string(workspace);
    return std::vector<uint8_t>(text.begin(), text.end());
  }
  Result<void> run(const void *, const void *, void *, void *) override { return {}; }

private:
  size_t workspace;
  bool writes;
};

class CountingCudnn : public Cudnn {
public:
  size_t workspace = 100; ///< of a chosen plan
  bool writes = true, restores = true;
  int chosen = 0, restored = 0;

  std::string version() const override { return "9.1.2"; }
  Result<void> attach(CUstream_st *, int) override { return {}; }
  Result<void> describe(const GpuDescription &) override { return {}; }
  Result<std::unique_ptr<ConvolutionPlan>>
  choose(const Convolution &, size_t limit,
         const std::function<Result<bool>(ConvolutionPlan &)> &accept) override {
    ++chosen;
    auto plan = std::make_unique<TextPlan>(std::min(workspace, limit), writes);
    DOPPEL_TRY(bool good, accept(*plan));
    if (!good)
      return fail("none is accepted");
    return plan;
  }
  Result<std::unique_ptr<ConvolutionPlan>> restore(const Convolution &,
                                                   std::span<const uint8_t> bytes) override {
    ++restored;
    if (!restores)
      return fail("not mine");
    return std::make_unique<TextPlan>(std::stoul(std::string(bytes.begin(), bytes.end())), true);
  }
};

Result<bool> any(ConvolutionPlan &) { return true; }

Convolution some(int64_t channels) {
  return {.batch = 2, .height = 8, .width = 8, .channels = channels};
}

const PlanKind h100 = {"9.1.2", 90, 132};
constexpr size_t limit = 1000;

class PlanCaches : public testing::Test {
protected:
  std::filesystem::path folder, path;
  CountingCudnn cudnn;

  void SetUp() override {
    folder = std::filesystem::path(testing::TempDir()) /
             (std::string("doppel-plans-") +
              testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    path = PlanCache::pathOf(folder / "a.dpx", h100);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  /// A file with the plans of some(8) and some(16).
  void keepTwo() {
    PlanCache cache(path, h100);
    ASSERT_TRUE(cache.plan(cudnn, some(8), limit, any));
    ASSERT_TRUE(cache.plan(cudnn, some(16), limit, any));
    ASSERT_TRUE(cache.save());
    cudnn.chosen = cudnn.restored = 0;
  }
};

TEST_F(PlanCaches, StandBesideTheArtifactUnderTheirKind) {
  EXPECT_EQ(path.filename(), "a.dpx.cudnn-9.1.2-sm_90-132.plans");
}

TEST_F(PlanCaches, ASecondRunChoosesNothing) {
  keepTwo();
  PlanCache cache(path, h100);
  EXPECT_EQ(cache.remark(), "");
  EXPECT_EQ(cache.size(), 2u);
  auto never = [](ConvolutionPlan &) -> Result<bool> { return fail("a kept plan is tried again"); };
  auto plan = cache.plan(cudnn, some(16), limit, never);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ((*plan)->workspaceBytes(), 100u);
  EXPECT_EQ(cudnn.chosen, 0);
  EXPECT_EQ(cudnn.restored, 1);
}

TEST_F(PlanCaches, ANewConvolutionJoinsThoseThatAreKept) {
  keepTwo();
  PlanCache cache(path, h100);
  ASSERT_TRUE(cache.plan(cudnn, some(24), limit, any));
  EXPECT_EQ(cudnn.chosen, 1);
  ASSERT_TRUE(cache.save());
  EXPECT_EQ(PlanCache(path, h100).size(), 3u);
}

TEST_F(PlanCaches, NothingIsWrittenWhereNothingIsNew) {
  keepTwo();
  PlanCache cache(path, h100);
  ASSERT_TRUE(cache.plan(cudnn, some(8), limit, any));
  std::filesystem::remove(path);
  ASSERT_TRUE(cache.save());
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(PlanCaches, APlanOfTooMuchWorkspaceIsChosenAnew) {
  keepTwo();
  PlanCache cache(path, h100);
  auto plan = cache.plan(cudnn, some(8), 99, any);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ((*plan)->workspaceBytes(), 99u);
  EXPECT_EQ(cudnn.chosen, 1);
  // It has taken the place of the other.
  ASSERT_TRUE(cache.plan(cudnn, some(8), 99, any));
  EXPECT_EQ(cudnn.chosen, 1);
  EXPECT_EQ(cache.size(), 2u);
}

TEST_F(PlanCaches, APlanThatCudnnRefusesIsChosenAnew) {
  keepTwo();
  cudnn.restores = false;
  PlanCache cache(path, h100);
  ASSERT_TRUE(cache.plan(cudnn, some(8), limit, any));
  EXPECT_EQ(cudnn.chosen, 1);
}

TEST_F(PlanCaches, APlanThatIsNotAcceptedIsNotKept) {
  PlanCache cache(path, h100);
  EXPECT_FALSE(cache.plan(cudnn, some(8), limit, [](ConvolutionPlan &) { return false; }));
  EXPECT_EQ(cache.size(), 0u);
}

TEST_F(PlanCaches, APlanThatIsNotWrittenIsUsed) {
  cudnn.writes = false;
  PlanCache cache(path, h100);
  EXPECT_TRUE(cache.plan(cudnn, some(8), limit, any));
  EXPECT_EQ(cache.size(), 0u);
  ASSERT_TRUE(cache.save());
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(PlanCaches, PlansOfAnotherKindAreNotTaken) {
  keepTwo();
  for (const PlanKind &other :
       {PlanKind{"9.1.3", 90, 132}, PlanKind{"9.1.2", 80, 132}, PlanKind{"9.1.2", 90, 114}}) {
    EXPECT_NE(PlanCache::pathOf(folder / "a.dpx", other), path);
    // Renamed by hand.
    PlanCache cache(path, other);
    EXPECT_EQ(cache.size(), 0u);
    EXPECT_EQ(cache.remark(), path.string() +
                                  " is not used, and plans are chosen anew: its plans "
                                  "are for cudnn-9.1.2-sm_90-132, this is " +
                                  other.name());
  }
}

TEST_F(PlanCaches, ADamagedFileIsNeitherTakenNorInTheWay) {
  keepTwo();
  auto whole = readFile(path);
  ASSERT_TRUE(whole);
  for (size_t at = 0; at < whole->size(); ++at)
    for (bool cut : {false, true}) {
      std::string damaged = cut ? whole->substr(0, at) : *whole;
      if (!cut)
        damaged[at] ^= 0x10;
      ASSERT_TRUE(writeFileAtomically(path, bytesOf(damaged)));
      PlanCache cache(path, h100);
      EXPECT_EQ(cache.size(), 0u) << at;
      EXPECT_NE(cache.remark(), "") << at;
    }
  PlanCache cache(path, h100);
  ASSERT_TRUE(cache.plan(cudnn, some(8), limit, any));
  ASSERT_TRUE(cache.save());
  EXPECT_EQ(PlanCache(path, h100).size(), 1u);
}

TEST_F(PlanCaches, AFolderThatCannotBeWrittenIsASentence) {
  PlanCache cache(folder / "gone" / "a.plans", h100);
  ASSERT_TRUE(cache.plan(cudnn, some(8), limit, any));
  auto saved = cache.save();
  ASSERT_FALSE(saved);
  EXPECT_NE(saved.error().message.find("cannot write"), std::string::npos) << saved.error().message;
}

TEST_F(PlanCaches, CudnnsOwnPlansComeBack) {
  auto opened = Cudnn::open(usualSearch());
  if (!opened && opened.error().message.find("is not here") != std::string::npos)
    GTEST_SKIP() << opened.error().message;
  ASSERT_TRUE(opened) << opened.error().message;
  Cudnn &real = **opened;
  ASSERT_TRUE(real.describe(doppel::test::gpus[1]));
  PlanKind kind = {real.version(), 90, 132};
  Convolution c = some(64);
  c.outHeight = c.outWidth = 8;
  c.filters = 64;
  c.kernelHeight = c.kernelWidth = 1;
  size_t workspace;
  {
    PlanCache cache(path, kind);
    auto plan = cache.plan(real, c, size_t(64) << 20, any);
    ASSERT_TRUE(plan) << plan.error().message;
    workspace = (*plan)->workspaceBytes();
    ASSERT_TRUE(cache.save());
  }
  PlanCache cache(path, kind);
  auto never = [](ConvolutionPlan &) -> Result<bool> { return fail("a kept plan is tried again"); };
  auto plan = cache.plan(real, c, size_t(64) << 20, never);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ((*plan)->workspaceBytes(), workspace);
}

} // namespace
