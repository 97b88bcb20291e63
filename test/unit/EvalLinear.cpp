// The linear classifier: separable classes are found, the answer does not depend on threads, bad
// input is refused.
#include "runtime/eval/Linear.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <limits>
#include <omp.h>
#include <random>

using namespace doppel::runtime;

namespace {

/// Classes at corners far apart, on axes of very different scales, with `noise`.
LabelledFeatures corners(int64_t count, float noise, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  LabelledFeatures set{3, {}, {}};
  for (int64_t sample = 0; sample < count; ++sample) {
    int32_t label = int32_t(random() % 4);
    set.labels.push_back(label);
    set.features.push_back(1000 + 100 * (float(label & 1) + noise * normal(random)));
    set.features.push_back(0.01f * (float(label >> 1) + noise * normal(random)));
    set.features.push_back(normal(random));
  }
  return set;
}

TEST(EvalLinear, FindsClassesThatAPlaneSeparates) {
  auto result = classifyLinearly(corners(1000, 0.1f, 1), corners(300, 0.1f, 2), 4);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_GT(result->accuracy, 0.99);
  EXPECT_GT(result->trainAccuracy, 0.99);
}

TEST(EvalLinear, IsAtChanceWhereFeaturesSayNothing) {
  LabelledFeatures train = corners(1000, 0.1f, 1), test = corners(1000, 0.1f, 2);
  std::mt19937 random(3);
  for (LabelledFeatures *set : {&train, &test})
    std::shuffle(set->labels.begin(), set->labels.end(), random);
  auto result = classifyLinearly(train, test, 4);
  ASSERT_TRUE(result);
  EXPECT_NEAR(result->accuracy, 0.25, 0.06);
}

TEST(EvalLinear, GivesTheSameOnAnyNumberOfThreads) {
  LabelledFeatures train = corners(500, 0.6f, 1), test = corners(500, 0.6f, 2);
  int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  auto one = classifyLinearly(train, test, 4);
  omp_set_num_threads(threads);
  auto many = classifyLinearly(train, test, 4);
  ASSERT_TRUE(one && many);
  EXPECT_EQ(one->accuracy, many->accuracy);
  EXPECT_EQ(one->trainAccuracy, many->trainAccuracy);
}

TEST(EvalLinear, RefusesWhatIsNoFeature) {
  LabelledFeatures good = corners(50, 0.1f, 1), empty{3, {}, {}}, wide{4, {1, 2, 3, 4}, {0}};
  EXPECT_FALSE(classifyLinearly(empty, good, 4));
  EXPECT_FALSE(classifyLinearly(good, wide, 4));
  EXPECT_FALSE(classifyLinearly(good, good, 2)) << "a label outside of the classes";
  LabelledFeatures broken = good;
  broken.features[7] = std::numeric_limits<float>::quiet_NaN();
  auto result = classifyLinearly(good, broken, 4);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("not finite"), std::string::npos);
}

} // namespace
