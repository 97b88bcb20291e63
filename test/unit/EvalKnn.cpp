// Weighted kNN against the definition, one query at a time in double.

#include "runtime/data/Dataset.h"
#include "runtime/eval/Knn.h"
#include "runtime/eval/RawPixels.h"
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>
#include <random>

using namespace doppel::runtime;

namespace {

LabelledFeatures clusters(int64_t count, int64_t dimension, int32_t classes, uint32_t seed) {
  std::mt19937 random(seed), centres(99);
  std::normal_distribution<float> normal;
  std::vector<float> centre(size_t(classes * dimension));
  for (float &value : centre)
    value = normal(centres);
  LabelledFeatures set{dimension, {}, {}};
  for (int64_t sample = 0; sample < count; ++sample) {
    int32_t label = int32_t(random() % uint32_t(classes));
    set.labels.push_back(label);
    float scale = 0.1f + float(random() % 100); // length must not matter
    for (int64_t axis = 0; axis < dimension; ++axis)
      set.features.push_back(scale * (centre[label * dimension + axis] + 2 * normal(random)));
  }
  return set;
}

int32_t predictPlainly(const LabelledFeatures &bank, const float *query, int32_t classes, int64_t k,
                       double temperature) {
  std::vector<std::pair<double, int64_t>> ranked;
  for (int64_t row = 0; row < bank.size(); ++row) {
    double product = 0, one = 0, other = 0;
    for (int64_t axis = 0; axis < bank.dimension; ++axis) {
      double b = bank.features[row * bank.dimension + axis], q = query[axis];
      product += b * q, one += b * b, other += q * q;
    }
    ranked.emplace_back(-product / std::sqrt(one * other), row);
  }
  std::ranges::sort(ranked);
  std::vector<double> votes(static_cast<size_t>(classes));
  for (int64_t at = 0; at < std::min<int64_t>(k, bank.size()); ++at)
    votes[bank.labels[ranked[at].second]] += std::exp(-ranked[at].first / temperature);
  return int32_t(std::ranges::max_element(votes) - votes.begin());
}

TEST(EvalKnn, AgreesWithTheDefinition) {
  // Sizes that do not divide the tiles, below and above one tile.
  for (auto [banks, tests, k] : {std::tuple{300, 70, 20}, {5000, 600, 200}, {4097, 513, 1}}) {
    LabelledFeatures bank = clusters(banks, 24, 7, 1), test = clusters(tests, 24, 7, 2);
    auto result = classifyByNeighbours(bank, test, 7, {.neighbours = k});
    ASSERT_TRUE(result) << result.error().message;
    int64_t correct = 0;
    for (int64_t sample = 0; sample < tests; ++sample)
      correct += predictPlainly(bank, test.features.data() + sample * 24, 7, k, 0.07) ==
                 test.labels[sample];
    EXPECT_NEAR(double(result->correct), double(correct), 1) << banks; // a near tie may round
    EXPECT_EQ(result->total, tests);
    EXPECT_EQ(result->neighbours, k);
    EXPECT_EQ(result->note, "");
    EXPECT_GT(result->accuracy, 0.4);
    EXPECT_LT(result->accuracy, 0.999);
  }
}

TEST(EvalKnn, AsManyNeighboursAsTheBankHas) {
  LabelledFeatures bank = clusters(50, 8, 3, 1), test = clusters(40, 8, 3, 2);
  auto result = classifyByNeighbours(bank, test, 3);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->neighbours, 50);
  EXPECT_NE(result->note.find("50 instead of 200"), std::string::npos);
  int64_t correct = 0;
  for (int64_t sample = 0; sample < 40; ++sample)
    correct +=
        predictPlainly(bank, test.features.data() + sample * 8, 3, 50, 0.07) == test.labels[sample];
  EXPECT_EQ(result->correct, correct);
}

TEST(EvalKnn, ClosenessOutweighsNumbers) {
  // One neighbour at cosine 1 against two at cosine 0.8: exp(1/T) against 2 exp(0.8/T). T 0.07: the
  // one wins. T 1: the two.
  LabelledFeatures bank{2, {1, 0, 4, 3, 8, 6}, {0, 1, 1}}, test{2, {5, 0}, {0}};
  EXPECT_EQ(classifyByNeighbours(bank, test, 2)->correct, 1);
  EXPECT_EQ(classifyByNeighbours(bank, test, 2, {.temperature = 1})->correct, 0);
}

TEST(EvalKnn, TiesGoToTheLowerIndexAndLabel) {
  // Five equal neighbours, k 3: the first three vote.
  LabelledFeatures bank{1, {1, 2, 3, 4, 5}, {2, 1, 1, 2, 2}}, test{1, {1}, {1}};
  EXPECT_EQ(classifyByNeighbours(bank, test, 3, {.neighbours = 3})->correct, 1);
  LabelledFeatures even{1, {1, 2}, {1, 0}}, query{1, {1}, {0}};
  EXPECT_EQ(classifyByNeighbours(even, query, 2)->correct, 1);
}

TEST(EvalKnn, TheKthNeighbourHasAVoteAndTheNextHasNone) {
  // Rows at growing angles from the query, in any order; of the first k, which weigh about the
  // same, one more is of class 0 than of class 1 (the k-th of class 0 decides), and all behind them
  // are of class 1.
  std::mt19937 random(7);
  for (int64_t k : {1, 3, 5, 21, 101})
    for (int trial = 0; trial < 4; ++trial) {
      std::vector<int64_t> order(400);
      std::iota(order.begin(), order.end(), 0);
      std::ranges::shuffle(order, random);
      LabelledFeatures bank{2, {}, {}}, test{2, {1, 0}, {0}};
      for (int64_t rank : order) {
        float angle = 0.003f * float(rank + 1);
        bank.features.insert(bank.features.end(), {std::cos(angle), std::sin(angle)});
        bank.labels.push_back(rank >= k || rank % 2 == 1 ? 1 : 0);
      }
      auto result = classifyByNeighbours(bank, test, 2, {.neighbours = k, .temperature = 100});
      ASSERT_TRUE(result);
      EXPECT_EQ(result->correct, 1) << "k " << k << ", trial " << trial;
    }
}

TEST(EvalKnn, AccuracyByClassAndCollapse) {
  LabelledFeatures bank{2, {1, 0, 0, 1}, {0, 1}},
      test{2, {1, 0, 1, 0.1f, 0, 1, 1, 0}, {0, 0, 1, 1}};
  auto result = classifyByNeighbours(bank, test, 3, {.neighbours = 1});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->accuracyByClass[0], 1);
  EXPECT_EQ(result->accuracyByClass[1], 0.5);
  EXPECT_TRUE(std::isnan(result->accuracyByClass[2]));
  // All features equal, even all zero: chance, not a crash.
  LabelledFeatures zero{2, std::vector<float>(20), {0, 1, 0, 1, 0, 1, 0, 1, 0, 1}};
  EXPECT_EQ(classifyByNeighbours(zero, zero, 2)->accuracy, 0.5);
}

TEST(EvalKnn, BadInputIsNamed) {
  LabelledFeatures good = clusters(10, 4, 2, 1), none{4, {}, {}}, wrong = good, infinite = good;
  wrong.labels[3] = -1;
  infinite.features[17] = INFINITY;
  EXPECT_NE(classifyByNeighbours(none, good, 2).error().message.find("bank"), std::string::npos);
  EXPECT_NE(classifyByNeighbours(good, none, 2).error().message.find("test"), std::string::npos);
  EXPECT_NE(classifyByNeighbours(good, wrong, 2).error().message.find("label -1"),
            std::string::npos);
  EXPECT_NE(classifyByNeighbours(infinite, good, 2).error().message.find("sample 4 are not finite"),
            std::string::npos);
  EXPECT_FALSE(classifyByNeighbours(good, clusters(10, 5, 2, 1), 2));
  EXPECT_FALSE(classifyByNeighbours(good, good, 2, {.neighbours = 0}));
  EXPECT_FALSE(classifyByNeighbours(good, good, 2, {.temperature = 0}));
}

TEST(EvalRawPixels, AreNormalisedByChannel) {
  auto dataset = openDataset("shapes:20,size=32", Split::Train);
  ASSERT_TRUE(dataset);
  auto set = rawPixelFeatures(**dataset);
  ASSERT_TRUE(set);
  EXPECT_EQ(set->size(), 20);
  EXPECT_EQ(set->dimension, 3072);
  auto image = (*dataset)->range(7, 1);
  ASSERT_TRUE(image);
  const uint8_t *pixels = image->picture(0).pixels;
  const float *feature = set->features.data() + 7 * 3072;
  EXPECT_NEAR(feature[300], (pixels[300] / 255. - 0.4914) / 0.247, 1e-5);
  EXPECT_NEAR(feature[301], (pixels[301] / 255. - 0.4822) / 0.2435, 1e-5);
  EXPECT_NEAR(feature[302], (pixels[302] / 255. - 0.4465) / 0.2616, 1e-5);
  auto small = rawPixelFeatures(**dataset, 8);
  ASSERT_TRUE(small);
  EXPECT_EQ(small->dimension, 192);
}

} // namespace
