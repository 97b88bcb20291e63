// Shuffling: a permutation for every seed and epoch, without state; ranks share one global batch.

#include "DataFixtures.h"
#include "runtime/data/DecodeGate.h"
#include "runtime/data/Loader.h"
#include "runtime/data/Png.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <thread>

using namespace doppel::runtime;
using namespace doppel::runtime::fixtures;

namespace {

std::vector<int64_t> order(uint64_t seed, int64_t epoch, int64_t size) {
  Shuffle shuffle(seed, size);
  std::vector<int64_t> indices;
  for (int64_t position = 0; position < size; ++position)
    indices.push_back(shuffle.indexAt(epoch, position));
  return indices;
}

TEST(DataSampler, EveryEpochIsAPermutation) {
  for (int64_t size : {1, 2, 3, 7, 64, 100, 1000, 1023, 1024, 1025, 50'000})
    for (int64_t epoch : {0, 1, 5}) {
      std::vector<int64_t> indices = order(9, epoch, size);
      std::ranges::sort(indices);
      for (int64_t index = 0; index < size; ++index)
        ASSERT_EQ(indices[index], index) << "size " << size << " epoch " << epoch;
    }
}

TEST(DataSampler, EpochsAndSeedsDiffer) {
  EXPECT_NE(order(1, 0, 1000), order(1, 1, 1000));
  EXPECT_NE(order(1, 0, 1000), order(2, 0, 1000));
  EXPECT_EQ(order(1, 3, 1000), order(1, 3, 1000));
}

TEST(DataSampler, AllOrdersOfThreeAreEquallyLikely) {
  std::map<std::vector<int64_t>, int> count;
  constexpr int kEpochs = 6000;
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch)
    ++count[order(4, epoch, 3)];
  ASSERT_EQ(count.size(), 6u);
  for (const auto &[indices, times] : count) // 1000 expected, deviation 29
    EXPECT_NEAR(times, kEpochs / 6, 150);
}

TEST(DataSampler, PositionsAreUncorrelatedWithSamples) {
  // The mean distance of a sample from its position is size/3 in a random order.
  std::vector<int64_t> indices = order(5, 2, 50'000);
  double sum = 0, neighbours = 0;
  for (int64_t position = 0; position < 50'000; ++position) {
    sum += std::abs(double(indices[position] - position));
    if (position)
      neighbours += std::abs(double(indices[position] - indices[position - 1]));
  }
  EXPECT_NEAR(sum / 50'000 / 50'000, 1 / 3., 0.01);
  EXPECT_NEAR(neighbours / 50'000 / 50'000, 1 / 3., 0.01);
}

TEST(DataSampler, RanksTogetherTakeTheBatchOfOneRankInOrder) {
  Sampler alone(3, 1000, 96);
  EXPECT_EQ(alone.stepsPerEpoch(), 10); // the incomplete eleventh is dropped
  for (int64_t step : {0, 7, 9, 10, 23}) {
    std::vector<int64_t> whole, parts;
    for (int64_t position = 0; position < 96; ++position)
      whole.push_back(alone.indexAt(step, position));
    for (int rank = 0; rank < 4; ++rank) {
      Sampler one(3, 1000, 96, 4, rank);
      EXPECT_EQ(one.localBatch(), 24);
      for (int64_t position = 0; position < 24; ++position)
        parts.push_back(one.indexAt(step, position));
    }
    EXPECT_EQ(whole, parts);
    EXPECT_EQ(std::set<int64_t>(whole.begin(), whole.end()).size(), 96u);
  }
}

std::vector<std::vector<uint8_t>> copies(const Batch &batch) {
  std::vector<std::vector<uint8_t>> images;
  for (int64_t at = 0; at < batch.size(); ++at) {
    Picture picture = batch.picture(at);
    images.emplace_back(picture.pixels, picture.pixels + picture.extent.bytes());
  }
  return images;
}

TEST(DataLoader, DecodingAheadGivesTheSameBatchesAsMemory) {
  Result<std::unique_ptr<Dataset>> kept = openDataset("shapes:200", Split::Train);
  Result<std::unique_ptr<Dataset>> streamed =
      openDataset("shapes:200", Split::Train, {.memoryBytes = 1});
  ASSERT_TRUE(kept && streamed);
  EXPECT_TRUE((*kept)->inMemory());
  EXPECT_FALSE((*streamed)->inMemory());
  auto one = Loader::create(**kept, {.seed = 5, .batch = 32, .threads = 3});
  auto other = Loader::create(**streamed, {.seed = 5, .batch = 32, .threads = 3});
  ASSERT_TRUE(one && other);
  EXPECT_EQ((*one)->stepsPerEpoch(), 6);
  for (int64_t step : {0, 1, 2, 3, 4, 5, 6, 7, 3, 4, 100, 0}) { // in sequence, back, and far ahead
    Result<Batch> expected = (*one)->batchAt(step), actual = (*other)->batchAt(step);
    ASSERT_TRUE(expected && actual);
    ASSERT_EQ(expected->size(), 32);
    for (int64_t at = 0; at < 32; ++at)
      ASSERT_EQ(expected->images()[at].index, actual->images()[at].index);
    ASSERT_EQ(copies(*expected), copies(*actual));
  }
}

TEST(DataLoader, BatchesOutliveTheLoader) {
  auto dataset = openDataset("shapes:64", Split::Train, {.memoryBytes = 1});
  ASSERT_TRUE(dataset);
  Batch kept;
  {
    auto loader = Loader::create(**dataset, {.seed = 1, .batch = 16, .threads = 2});
    ASSERT_TRUE(loader);
    Result<Batch> batch = (*loader)->batchAt(0);
    ASSERT_TRUE(batch);
    kept = *std::move(batch);
  }
  std::vector<int64_t> indices;
  for (const doppel::abi::ImageRef &image : kept.images())
    indices.push_back(image.index);
  Result<Batch> again = (*dataset)->gather(indices);
  ASSERT_TRUE(again);
  EXPECT_EQ(copies(kept), copies(*again));
}

TEST(DataLoader, ABatchLargerThanTheDataNamesBothNumbers) {
  auto dataset = openDataset("shapes:100", Split::Train);
  ASSERT_TRUE(dataset);
  auto loader = Loader::create(**dataset, {.batch = 256});
  ASSERT_FALSE(loader);
  EXPECT_NE(loader.error().message.find("256"), std::string::npos);
  EXPECT_NE(loader.error().message.find("100"), std::string::npos);
  EXPECT_FALSE(Loader::create(**dataset, {.batch = 10, .world = 4}));
  EXPECT_TRUE(Loader::create(**dataset, {.batch = 100}));
}

TEST(DataLoader, WhatIsDecodedAheadIsBoundedInBytes) {
  constexpr uint64_t kBatch = 16 * 32 * 32 * 3;
  for (auto [batches, expected] : {std::pair{2.0, 0}, {4.5, 1}, {6.0, 2}, {100.0, 4}}) {
    auto dataset =
        openDataset("shapes:160", Split::Train,
                    {.memoryBytes = 1, .batchBytes = uint64_t(batches * double(kBatch))});
    ASSERT_TRUE(dataset);
    auto loader = Loader::create(**dataset, {.batch = 16, .threads = 2});
    ASSERT_TRUE(loader);
    for (int64_t step : {0, 1, 2, 7, 3}) {
      auto batch = (*loader)->batchAt(step);
      ASSERT_TRUE(batch);
      EXPECT_EQ(batch->size(), 16);
      EXPECT_EQ((*loader)->bytesAhead(), uint64_t(expected) * kBatch) << batches << " batches";
    }
  }
}

TEST(DataLoader, TheLargestBatchIsThatOfTheLargestPictures) {
  TemporaryFolder folder;
  for (int32_t size : {4, 5, 6, 7, 8, 30}) {
    Image image = gradient(size, size + 1);
    ASSERT_TRUE(
        writePng(folder.path(std::to_string(size) + ".png"), image.extent, image.pixels.data()));
  }
  for (uint64_t memoryBytes : {uint64_t(0), uint64_t(1)}) {
    auto dataset =
        openDataset(folder.path(), Split::Train, {.memoryBytes = memoryBytes, .threads = 1});
    ASSERT_TRUE(dataset) << dataset.error().message;
    auto loader = Loader::create(**dataset, {.seed = 3, .batch = 2, .threads = 1});
    ASSERT_TRUE(loader);
    uint64_t largest = 0;
    for (int64_t step = 0; step < 3; ++step) {
      auto batch = (*loader)->batchAt(step);
      ASSERT_TRUE(batch);
      uint64_t bytes = 0;
      for (const doppel::abi::ImageRef &image : batch->images())
        bytes += uint64_t(image.height * image.width) * 3;
      largest = std::max(largest, bytes);
    }
    EXPECT_EQ((*loader)->largestBatchBytes(), largest);
  }
  auto shapes = openDataset("shapes:20,size=8", Split::Train);
  ASSERT_TRUE(shapes);
  auto loader = Loader::create(**shapes, {.batch = 5});
  ASSERT_TRUE(loader);
  EXPECT_EQ((*loader)->largestBatchBytes(), 5u * 8 * 8 * 3);
}

TEST(DataLoader, BatchesThatDoNotFitAreRefusedAtTheBeginning) {
  auto dataset = openDataset("shapes:160", Split::Train,
                             {.memoryBytes = 1, .batchBytes = 16 * 32 * 32 * 3 - 1});
  ASSERT_TRUE(dataset);
  auto loader = Loader::create(**dataset, {.batch = 16, .threads = 2});
  ASSERT_FALSE(loader);
  EXPECT_NE(loader.error().message.find("take a smaller batch or smaller pictures"),
            std::string::npos);
  EXPECT_TRUE(Loader::create(**dataset, {.batch = 15, .threads = 2}));
}

TEST(DataDecodeGate, AsManyDecodeAtOnceAsMayTakeMemory) {
  Extent small{10, 10}, large{100, 100};
  DecodeGate gate(3 * 2 * small.bytes());
  std::atomic<int> inside = 0, most = 0;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 6; ++thread)
      threads.emplace_back([&] {
        for (int round = 0; round < 50; ++round) {
          DecodeGate::Pass pass = gate.enter(small);
          int now = ++inside;
          for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
          }
          std::this_thread::yield();
          --inside;
        }
      });
  }
  EXPECT_LE(most, 2);
  EXPECT_EQ(gate.bytesTaken(), 0u);
  // What is larger than the limit goes alone.
  DecodeGate::Pass pass = gate.enter(large);
  EXPECT_EQ(gate.bytesTaken(), 3 * large.bytes());
  EXPECT_EQ(gate.beyond(large), 3 * large.bytes() - 3 * 2 * small.bytes());
  EXPECT_EQ(gate.beyond(small), 0u);
}

} // namespace
