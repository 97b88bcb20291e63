// The linear classifier: separable classes are found, the answer does not depend on threads, bad
// input is refused.
#include "runtime/eval/Linear.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <numbers>
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

/// Softmax regression of one axis as Linear.h defines it, all samples a step, in double; the place
/// at which the answer changes from class 0 to class 1.
double boundaryOf(const LabelledFeatures &train, const LinearOptions &options) {
  double mean = 0, squares = 0, count = double(train.size());
  for (float value : train.features)
    mean += value / count;
  for (float value : train.features)
    squares += (value - mean) * (value - mean) / count;
  double deviation = std::sqrt(squares), slope = 0, bias = 0, slopeSpeed = 0, biasSpeed = 0;
  for (int64_t step = 0; step < options.epochs; ++step) {
    double slopeGradient = 0,
           biasGradient = 0; // of the logit of class 1, half the logits' difference
    for (int64_t row = 0; row < train.size(); ++row) {
      double x = (train.features[size_t(row)] - mean) / deviation;
      double rest = 1 / (1 + std::exp(-2 * (slope * x + bias))) - train.labels[size_t(row)];
      slopeGradient += rest * x / count;
      biasGradient += rest / count;
    }
    double rate = options.learningRate *
                  (1 + std::cos(std::numbers::pi * double(step) / double(options.epochs))) / 2;
    slopeSpeed = options.momentum * slopeSpeed + slopeGradient;
    biasSpeed = options.momentum * biasSpeed + biasGradient;
    slope -= rate * slopeSpeed;
    bias -= rate * biasSpeed;
  }
  return mean - deviation * bias / slope;
}

TEST(EvalLinear, ItsRateFallsByHalfACosine) {
  // Few steps, so that where the boundary stands tells how long each was.
  LabelledFeatures train{1, {0, 0.4f, 1, 1.3f, 1.5f, 2, 3, 9}, {0, 0, 1, 0, 0, 0, 1, 1}},
      test{1, {}, {}};
  for (int64_t epochs : {1, 2, 3, 6, 10}) {
    LinearOptions options{.epochs = epochs, .learningRate = 0.8};
    double boundary = boundaryOf(train, options);
    ASSERT_GT(boundary, -5);
    ASSERT_LT(boundary, 25);
    // On a line of points that are all said to be of class 0, the accuracy is the part before the
    // boundary.
    test = {1, {}, {}};
    for (int point = 0; point < 30'000; ++point) {
      test.features.push_back(float(point) / 1000 - 5);
      test.labels.push_back(0);
    }
    auto result = classifyLinearly(train, test, 2, options);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_NEAR(result->accuracy * 30 - 5, boundary, 0.005) << epochs << " epochs";
  }
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
