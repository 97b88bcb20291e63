// Plans of cuDNN for GPUs that are not there, where cuDNN is installed.
#include "Gpus.h"

#include <filesystem>
#include <gtest/gtest.h>

using namespace doppel::runtime;
using namespace doppel::runtime::cuda;
using doppel::test::gpus;

namespace {

constexpr size_t limit = size_t(256) << 20;

Result<bool> any(ConvolutionPlan &) { return true; }

/// A 3x3 convolution that keeps the size of its images.
Convolution same(Convolution::Kind kind, int64_t channels, int64_t filters, int64_t size = 32) {
  Convolution c{.kind = kind, .batch = 64, .height = size, .width = size, .channels = channels};
  c.outHeight = c.outWidth = size;
  c.filters = filters;
  c.kernelHeight = c.kernelWidth = 3;
  c.top = c.left = c.bottom = c.right = 1;
  return c;
}

constexpr Convolution::Kind kinds[] = {Convolution::Kind::Forward, Convolution::Kind::BackwardData,
                                       Convolution::Kind::BackwardWeights};

class CudnnPlans : public testing::Test {
protected:
  std::unique_ptr<Cudnn> cudnn;
  void SetUp() override {
    auto opened = Cudnn::open(usualSearch());
    if (!opened && opened.error().message.find("is not here") != std::string::npos)
      GTEST_SKIP() << opened.error().message;
    ASSERT_TRUE(opened) << opened.error().message;
    cudnn = std::move(*opened);
  }
};

TEST_F(CudnnPlans, AreMadeForGpusThatAreNotThere) {
  for (const GpuDescription &gpu : gpus) {
    ASSERT_TRUE(cudnn->describe(gpu));
    for (bool tf32 : {true, false})
      for (Convolution::Kind kind : kinds) {
        Convolution c = same(kind, 64, 64);
        c.tf32 = tf32;
        auto plan = cudnn->choose(c, limit, any);
        ASSERT_TRUE(plan) << gpu.name << ": " << plan.error().message;
        EXPECT_LE((*plan)->workspaceBytes(), limit);
      }
  }
}

TEST_F(CudnnPlans, AreOfTheSizesThatWereAsked) {
  ASSERT_TRUE(cudnn->describe(gpus[1]));
  Convolution wrong = same(Convolution::Kind::Forward, 64, 64);
  wrong.outHeight = 31;
  auto plan = cudnn->choose(wrong, limit, any);
  ASSERT_FALSE(plan);
  EXPECT_NE(plan.error().message.find(wrong.key()), std::string::npos) << plan.error().message;
}

TEST_F(CudnnPlans, KeepToTheWorkspace) {
  ASSERT_TRUE(cudnn->describe(gpus[1]));
  Convolution c = same(Convolution::Kind::Forward, 64, 64);
  size_t least = SIZE_MAX, most = 0;
  auto none = cudnn->choose(c, SIZE_MAX, [&](ConvolutionPlan &plan) -> Result<bool> {
    least = std::min(least, plan.workspaceBytes());
    most = std::max(most, plan.workspaceBytes());
    return false;
  });
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("gives other bits each time"), std::string::npos)
      << none.error().message;
  ASSERT_LT(least, most);
  auto small = cudnn->choose(c, most - 1, any);
  ASSERT_TRUE(small) << small.error().message;
  EXPECT_LT((*small)->workspaceBytes(), most);
}

TEST_F(CudnnPlans, AreRestoredFromTheirBytes) {
  ASSERT_TRUE(cudnn->describe(gpus[1]));
  Convolution c = same(Convolution::Kind::BackwardWeights, 64, 128);
  auto plan = cudnn->choose(c, limit, any);
  ASSERT_TRUE(plan) << plan.error().message;
  auto bytes = (*plan)->serialize();
  ASSERT_TRUE(bytes) << bytes.error().message;
  auto restored = cudnn->restore(c, *bytes);
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ((*restored)->workspaceBytes(), (*plan)->workspaceBytes());
  // Not on another architecture.
  ASSERT_TRUE(cudnn->describe(gpus[0]));
  auto elsewhere = cudnn->restore(c, *bytes);
  ASSERT_FALSE(elsewhere);
  EXPECT_NE(elsewhere.error().message.find("does not read a plan"), std::string::npos);
  std::vector<uint8_t> torn(bytes->begin(), bytes->begin() + long(bytes->size() / 2));
  EXPECT_FALSE(cudnn->restore(c, torn));
}

TEST_F(CudnnPlans, GroupsStridesAndUnevenPaddingAreKnown) {
  ASSERT_TRUE(cudnn->describe(gpus[1]));
  for (Convolution::Kind kind : kinds) {
    Convolution grouped = same(kind, 64, 64);
    grouped.groups = 4;
    auto plan = cudnn->choose(grouped, limit, any);
    EXPECT_TRUE(plan) << plan.error().message;
    Convolution strided = same(kind, 8, 64, 224);
    strided.kernelHeight = strided.kernelWidth = 7;
    strided.strideY = strided.strideX = 2;
    strided.top = strided.left = 3;
    strided.bottom = strided.right = 2;
    strided.outHeight = strided.outWidth = 112;
    strided.tf32 = true;
    plan = cudnn->choose(strided, limit, any);
    EXPECT_TRUE(plan) << plan.error().message;
  }
}

TEST(Cudnn, WithoutItSaysHowToGetIt) {
  auto opened = Cudnn::open({{"/nowhere"}, false, {}});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message,
            "cuDNN 9 is not here: looked for libcudnn.so.9 in /nowhere; `pip "
            "install nvidia-cudnn-cu13` brings it, or set CUDA_HOME");
}

TEST(Cudnn, ALibraryOfTheNameThatIsNotCudnnIsNamed) {
  std::filesystem::path place = std::filesystem::path(testing::TempDir()) / "doppel-no-cudnn";
  std::filesystem::remove_all(place);
  std::filesystem::create_directories(place);
  std::filesystem::create_symlink("/lib/x86_64-linux-gnu/libm.so.6", place / "libcudnn.so.9");
  auto opened = Cudnn::open({{place}, false, {}});
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find("is cuDNN 0, version 9 is needed"), std::string::npos)
      << opened.error().message;
  std::filesystem::remove_all(place);
}

TEST(Convolution, ItsKeyTellsEachSize) {
  Convolution c = same(Convolution::Kind::Forward, 3, 5);
  std::string key = c.key();
  int64_t Convolution::*sizes[] = {
      &Convolution::batch,     &Convolution::height,       &Convolution::width,
      &Convolution::channels,  &Convolution::outHeight,    &Convolution::outWidth,
      &Convolution::filters,   &Convolution::kernelHeight, &Convolution::kernelWidth,
      &Convolution::strideY,   &Convolution::strideX,      &Convolution::dilationY,
      &Convolution::dilationX, &Convolution::top,          &Convolution::left,
      &Convolution::bottom,    &Convolution::right,        &Convolution::groups};
  for (auto size : sizes) {
    Convolution other = c;
    other.*size += 10;
    EXPECT_NE(other.key(), key);
  }
  Convolution other = c;
  other.tf32 = true;
  EXPECT_NE(other.key(), key);
  other = c;
  other.kind = Convolution::Kind::BackwardData;
  EXPECT_NE(other.key(), key);
}

} // namespace
