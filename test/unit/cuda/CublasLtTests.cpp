// Products by cuBLASLt: how they are described to it, against a stand-in that computes what it is
// told.
#include "runtime/device/cuda/CublasLt.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <set>

using namespace doppel::runtime;
using namespace doppel::runtime::cuda;

namespace {

const std::string folder = DOPPEL_RECORDING_DRIVER;

constexpr size_t limit = size_t(32) << 20;

Result<bool> any(ProductPlan &) { return true; }

class CublasLtProducts : public testing::Test {
protected:
  std::unique_ptr<CublasLt> lt;
  void SetUp() override {
    auto opened = CublasLt::open({{folder}, false, {}});
    ASSERT_TRUE(opened) << opened.error().message;
    lt = std::move(*opened);
  }
};

TEST_F(CublasLtProducts, AreRowMajorTurnedOrNot) {
  EXPECT_EQ(lt->version(), "13.1.0");
  ASSERT_TRUE(lt->attach());
  for (int64_t batch : {1, 3})
    for (bool turnA : {false, true})
      for (bool turnB : {false, true}) {
        Product p{batch, 5, 4, 7, turnA, turnB};
        std::vector<float> a(batch * 35), b(batch * 28), c(batch * 20, -1.0f);
        for (size_t i = 0; i < a.size(); ++i)
          a[i] = float(i % 11) - 5;
        for (size_t i = 0; i < b.size(); ++i)
          b[i] = float(i % 7) - 3;
        auto plan = lt->choose(p, limit, any);
        ASSERT_TRUE(plan) << plan.error().message;
        auto ran = (*plan)->run({.a = a.data(), .b = b.data(), .c = c.data()}, nullptr, nullptr);
        ASSERT_TRUE(ran) << ran.error().message;
        for (int64_t n = 0; n < batch; ++n)
          for (int64_t i = 0; i < 5; ++i)
            for (int64_t j = 0; j < 4; ++j) {
              float sum = 0;
              for (int64_t l = 0; l < 7; ++l)
                sum += a[n * 35 + (turnA ? l * 5 + i : i * 7 + l)] *
                       b[n * 28 + (turnB ? j * 7 + l : l * 4 + j)];
              ASSERT_EQ(c[n * 20 + i * 4 + j], sum) << p.key();
            }
      }
}

/// Numbers of which every product and sum is exact.
std::vector<float> numbers(size_t count, int period) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = float(int(i * 7) % period - period / 2);
  return values;
}

TEST_F(CublasLtProducts, AddAMatrixAndABiasAndTakeRelu) {
  ASSERT_TRUE(lt->attach());
  std::set<std::string> keys;
  for (int64_t batch : {1, 3})
    for (int parts = 0; parts < 8; ++parts) {
      Product p{.batch = batch,
                .m = 5,
                .n = 4,
                .k = 7,
                .transposeB = true,
                .addend = bool(parts & 1),
                .bias = bool(parts & 2),
                .relu = bool(parts & 4)};
      EXPECT_TRUE(keys.insert(p.key()).second) << p.key();
      auto a = numbers(batch * 35, 11), b = numbers(batch * 28, 9),
           addend = numbers(batch * 20, 37);
      auto first = numbers(4, 23), second = numbers(4, 31);
      std::vector<float> c(batch * 20, -1.0f), d = c;
      auto plan = lt->choose(p, limit, any);
      ASSERT_TRUE(plan) << plan.error().message;
      // One plan for two calls with biases of their own.
      for (auto [bias, result] : {std::pair(&first, &c), std::pair(&second, &d)}) {
        auto ran = (*plan)->run({.a = a.data(),
                                 .b = b.data(),
                                 .addend = p.addend ? addend.data() : nullptr,
                                 .bias = p.bias ? bias->data() : nullptr,
                                 .c = result->data()},
                                nullptr, nullptr);
        ASSERT_TRUE(ran) << ran.error().message;
      }
      for (auto [bias, result] : {std::pair(&first, &c), std::pair(&second, &d)})
        for (int64_t i = 0; i < batch * 20; ++i) {
          int64_t n = i / 20, row = i / 4, column = i % 4;
          float sum = 0;
          for (int64_t l = 0; l < 7; ++l)
            sum += a[row * 7 + l] * b[(n * 4 + column) * 7 + l];
          sum += (p.addend ? addend[i] : 0) + (p.bias ? (*bias)[column] : 0);
          ASSERT_EQ((*result)[i], p.relu ? std::max(sum, 0.0f) : sum) << p.key() << " " << i;
        }
    }
}

TEST_F(CublasLtProducts, RoundToTf32WhereItIsAsked) {
  ASSERT_TRUE(lt->attach());
  const float value = 1 + 0x1p-11f, other = 1;
  for (bool tf32 : {false, true}) {
    Product p{.m = 1, .n = 1, .k = 1, .tf32 = tf32};
    auto plan = lt->choose(p, limit, any);
    ASSERT_TRUE(plan) << plan.error().message;
    float result = 0;
    ASSERT_TRUE((*plan)->run({.a = &value, .b = &other, .c = &result}, nullptr, nullptr));
    EXPECT_EQ(result, tf32 ? 1 + 0x1p-10f : value);
  }
}

TEST_F(CublasLtProducts, KeepToTheWorkspaceAndToWhatIsAccepted) {
  ASSERT_TRUE(lt->attach());
  Product p{1, 5, 4, 7};
  auto large = lt->choose(p, size_t(1) << 30, any);
  ASSERT_TRUE(large);
  EXPECT_EQ((*large)->workspaceBytes(), size_t(64) << 20);
  auto small = lt->choose(p, limit, any);
  ASSERT_TRUE(small);
  EXPECT_EQ((*small)->workspaceBytes(), 0u);
  int asked = 0;
  auto second =
      lt->choose(p, size_t(1) << 30, [&](ProductPlan &) -> Result<bool> { return ++asked == 2; });
  ASSERT_TRUE(second);
  EXPECT_EQ((*second)->workspaceBytes(), 0u);
  auto none = lt->choose(p, limit, [](ProductPlan &) -> Result<bool> { return false; });
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message,
            "cuBLASLt 13.1.0 has no deterministic algorithm within 32 MiB for the "
            "product 1x[5, 7] [7, 4] (of 1)");
}

TEST(CublasLt, WithoutItSaysHowToGetIt) {
  auto opened = CublasLt::open({{"/nowhere"}, false, {}});
  ASSERT_FALSE(opened);
  EXPECT_EQ(
      opened.error().message,
      "cuBLASLt is not here: looked for libcublasLt.so.13 or libcublasLt.so.12 in /nowhere; `pip "
      "install nvidia-cublas` brings it, or set CUDA_HOME");
}

TEST(CublasLt, ALibraryOfTheNameThatIsNotIsNamed) {
  std::filesystem::path place = std::filesystem::path(testing::TempDir()) / "doppel-no-cublas";
  std::filesystem::remove_all(place);
  std::filesystem::create_directories(place);
  std::filesystem::create_symlink("/lib/x86_64-linux-gnu/libm.so.6", place / "libcublasLt.so.13");
  auto opened = CublasLt::open({{place}, false, {}});
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find("has no function cublasLtCreate"), std::string::npos)
      << opened.error().message;
  std::filesystem::remove_all(place);
}

TEST(CublasLt, TheRealOneHasAllFunctionsThatAreUsed) {
  auto opened = CublasLt::open(usualSearch());
  if (!opened && opened.error().message.find("is not here") != std::string::npos)
    GTEST_SKIP() << opened.error().message;
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_GE((*opened)->version(), "12");
}

} // namespace
