// Features of a whole data set: each stands with its own label, in order, whatever the batch, and
// broken samples leave no trace.

#include "DataFixtures.h"
#include "runtime/data/Png.h"
#include "runtime/train/Represent.h"
#include <gtest/gtest.h>
#include <set>

using namespace doppel::runtime;
using namespace doppel::runtime::fixtures;

namespace {

/// Two features of an image that tell which it is: its first level, and its index.
Result<BatchFeatures> identify(std::span<const doppel::abi::ImageRef> images) {
  BatchFeatures features{{}, 2};
  for (const doppel::abi::ImageRef &image : images) {
    features.values.push_back(image.pixels[0]);
    features.values.push_back(float(image.index));
  }
  return features;
}

/// `count` images of levels 0, 1, ... in classes a, b, c by turns of four.
void writeImages(const TemporaryFolder &folder, int count, int broken = -1) {
  for (int number = 0; number < count; ++number) {
    std::vector<uint8_t> pixels(5 * 4 * 3, uint8_t(number));
    std::vector<uint8_t> file = encodePng({5, 4}, pixels.data()).value();
    if (number == broken)
      file.resize(file.size() - 20); // the header stays good
    folder.write(fmt::format("{}/{:02}.png", char('a' + number / 4), number), file);
  }
}

TEST(RepresentDataset, EachFeatureStandsWithItsOwnLabel) {
  TemporaryFolder folder;
  writeImages(folder, 11);
  auto dataset = openDataset(folder.path(), Split::Train);
  ASSERT_TRUE(dataset);
  for (int64_t batch : {1, 3, 4, 11, 16}) {
    std::vector<int64_t> done;
    auto set = representDataset(
        **dataset, batch,
        [&](std::span<const doppel::abi::ImageRef> images) {
          EXPECT_EQ(int64_t(images.size()), batch) << "the program's batch is fixed";
          return identify(images);
        },
        [&](int64_t images, int64_t all) {
          done.push_back(images);
          EXPECT_EQ(all, 11);
        });
    ASSERT_TRUE(set);
    ASSERT_EQ(set->size(), 11);
    EXPECT_EQ(set->dimension, 2);
    ASSERT_EQ(set->features.size(), 22u);
    for (int64_t sample = 0; sample < 11; ++sample) {
      EXPECT_EQ(set->features[2 * sample], float(sample));
      EXPECT_EQ(set->features[2 * sample + 1], float(sample));
      EXPECT_EQ(set->labels[sample], sample / 4);
    }
    EXPECT_EQ(done.back(), 11);
  }
}

TEST(RepresentDataset, BrokenSamplesAreLeftOutWhetherKeptOrStreamed) {
  TemporaryFolder folder;
  writeImages(folder, 11, 5);
  for (uint64_t memory : {uint64_t(0), uint64_t(1)}) {
    auto dataset = openDataset(folder.path(), Split::Train, {.memoryBytes = memory});
    ASSERT_TRUE(dataset);
    for (int64_t batch : {2, 4, 20}) {
      auto set = representDataset(**dataset, batch, identify);
      ASSERT_TRUE(set);
      ASSERT_EQ(set->size(), 10);
      for (int64_t sample = 0; sample < 10; ++sample) {
        int64_t number = sample < 5 ? sample : sample + 1;
        EXPECT_EQ(set->features[2 * sample], float(number));
        EXPECT_EQ(set->labels[sample], number / 4);
      }
    }
    EXPECT_EQ((*dataset)->broken().size(), 1u);
  }
}

TEST(RepresentDataset, FewerAtOnceWhereABatchDoesNotFitInMemory) {
  TemporaryFolder folder;
  writeImages(folder, 11);
  auto dataset = openDataset(folder.path(), Split::Train, {.memoryBytes = 1, .batchBytes = 300});
  ASSERT_TRUE(dataset);
  // 60 bytes each; to decode one takes 180 more, 80 above the third of 300.
  EXPECT_EQ((*dataset)->fitting(0, 8), 3);
  EXPECT_EQ((*dataset)->fitting(9, 8), 2);
  std::set<int64_t> distinct;
  auto set = representDataset(**dataset, 8, [&](std::span<const doppel::abi::ImageRef> images) {
    std::set<const uint8_t *> pictures;
    for (const doppel::abi::ImageRef &image : images)
      pictures.insert(image.pixels);
    distinct.insert(int64_t(pictures.size()));
    EXPECT_EQ(images.size(), 8u);
    return identify(images);
  });
  ASSERT_TRUE(set);
  ASSERT_EQ(set->size(), 11);
  EXPECT_EQ(distinct, (std::set<int64_t>{2, 3}));
  for (int64_t sample = 0; sample < 11; ++sample)
    EXPECT_EQ(set->features[2 * sample], float(sample));
}

TEST(RepresentDataset, ErrorsOfTheEncoderAndWrongShapesAreTold) {
  TemporaryFolder folder;
  writeImages(folder, 5);
  auto dataset = openDataset(folder.path(), Split::Train);
  ASSERT_TRUE(dataset);
  auto failed =
      representDataset(**dataset, 2, [](auto) -> Result<BatchFeatures> { return fail("no"); });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "no");
  auto wrong = representDataset(**dataset, 2, [](auto) -> Result<BatchFeatures> {
    return BatchFeatures{{1, 2, 3}, 2};
  });
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, ErrorKind::Internal);
}

} // namespace
