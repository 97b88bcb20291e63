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
Result<BatchFeatures> identify(const Batch &images) {
  BatchFeatures features{{}, 2};
  for (int64_t at = 0; at < images.size(); ++at) {
    features.values.push_back(images.picture(at).pixels[0]);
    features.values.push_back(float(images.images()[size_t(at)].index));
  }
  return features;
}

/// Encodes when it is read, as late as may be: a batch must live until then.
struct LateEncoder : BatchEncoder {
  using Encode = std::function<Result<BatchFeatures>(const Batch &)>;
  LateEncoder(Encode encode) : encode(std::move(encode)) {}
  Result<void> submit(Batch batch) override {
    batches.push_back(std::move(batch));
    most = std::max(most, batches.size());
    return {};
  }
  Result<BatchFeatures> next() override {
    Batch batch = std::move(batches.front());
    batches.erase(batches.begin());
    return encode(batch);
  }
  Encode encode;
  std::vector<Batch> batches;
  size_t most = 0; ///< in flight
};

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
    LateEncoder encoder([&](const Batch &images) {
      EXPECT_EQ(images.size(), batch) << "the program's batch is fixed";
      return identify(images);
    });
    auto set = representDataset(**dataset, batch, encoder, [&](int64_t images, int64_t all) {
      done.push_back(images);
      EXPECT_EQ(all, 11);
    });
    EXPECT_EQ(encoder.most, batch < 11 ? 2u : 1u);
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
      LateEncoder encoder(identify);
      auto set = representDataset(**dataset, batch, encoder);
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
  LateEncoder encoder([&](const Batch &images) {
    std::set<const uint8_t *> pictures;
    for (int64_t at = 0; at < images.size(); ++at)
      pictures.insert(images.picture(at).pixels);
    distinct.insert(int64_t(pictures.size()));
    EXPECT_EQ(images.size(), 8);
    return identify(images);
  });
  auto set = representDataset(**dataset, 8, encoder);
  EXPECT_EQ(encoder.most, 1u) << "two at once do not fit";
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
  LateEncoder refusing([](const Batch &) -> Result<BatchFeatures> { return fail("no"); });
  auto failed = representDataset(**dataset, 2, refusing);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "no");
  LateEncoder short_([](const Batch &) -> Result<BatchFeatures> {
    return BatchFeatures{{1, 2, 3}, 2};
  });
  auto wrong = representDataset(**dataset, 2, short_);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, ErrorKind::Internal);
}

} // namespace
