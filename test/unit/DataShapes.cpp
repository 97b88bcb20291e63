// The built-in data: the same samples wherever and in whatever order they are drawn, every class
// recognisable, pixels alone useless.

#include "runtime/data/Dataset.h"
#include "runtime/eval/Knn.h"
#include "runtime/eval/RawPixels.h"
#include <cstring>
#include <gtest/gtest.h>
#include <map>

#include <xxhash.h>

using namespace doppel::runtime;

namespace {

std::unique_ptr<Dataset> opened(const std::string &specification, Split split = Split::Train,
                                const DataOptions &options = {}) {
  auto dataset = openDataset(specification, split, options);
  EXPECT_TRUE(dataset) << dataset.error().message;
  return dataset ? *std::move(dataset) : nullptr;
}

uint64_t hashOf(const Dataset &dataset, int64_t index) {
  auto batch = dataset.range(index, 1);
  EXPECT_TRUE(batch);
  Picture picture = batch->picture(0);
  return XXH3_64bits(picture.pixels, picture.extent.bytes());
}

TEST(DataShapes, DefaultsAndOptions) {
  auto train = opened("shapes", Split::Train, {.memoryBytes = 1}); // measured, not drawn
  EXPECT_EQ(train->size(), 10'000);
  EXPECT_EQ(train->extent(0), (Extent{32, 32}));
  EXPECT_EQ(train->classNames().size(), 10u);
  EXPECT_EQ(opened("shapes", Split::Test, {.memoryBytes = 1})->size(), 2'000);
  auto other = opened("shapes:30,size=48,test=20,seed=3");
  EXPECT_EQ(other->size(), 30);
  EXPECT_EQ(other->extent(7), (Extent{48, 48}));
  EXPECT_EQ(opened("shapes:size=16,test=20", Split::Test)->size(), 20);
}

TEST(DataShapes, SamplesDependOnIndexSplitAndSeedAlone) {
  auto one = opened("shapes:50", Split::Train, {.threads = 1});
  auto many = opened("shapes:90", Split::Train, {.threads = 4});
  auto streamed = opened("shapes:50", Split::Train, {.memoryBytes = 1});
  auto test = opened("shapes:50,test=50", Split::Test);
  auto seeded = opened("shapes:50,seed=1");
  std::map<uint64_t, int> seen;
  for (int64_t index = 0; index < 50; ++index) {
    EXPECT_EQ(hashOf(*one, index), hashOf(*many, index));
    EXPECT_EQ(hashOf(*one, index), hashOf(*streamed, index));
    EXPECT_EQ(one->label(index), index % 10);
    ++seen[hashOf(*one, index)], ++seen[hashOf(*test, index)], ++seen[hashOf(*seeded, index)];
  }
  EXPECT_EQ(seen.size(), 150u);
}

TEST(DataShapes, PixelsAreNotWorthMuch) {
  auto bank = rawPixelFeatures(*opened("shapes:3000"));
  auto test = rawPixelFeatures(*opened("shapes:test=500", Split::Test));
  ASSERT_TRUE(bank && test);
  auto result = classifyByNeighbours(*bank, *test, 10);
  ASSERT_TRUE(result);
  EXPECT_LT(result->accuracy, 0.35);
}

TEST(DataShapes, WrongOptionsAreNamed) {
  for (auto [specification, part] :
       std::map<std::string, std::string>{{"shapes:many", "\"many\""},
                                          {"shapes:0", "\"0\""},
                                          {"shapes:10,size=4", "size is \"4\""},
                                          {"shapes:10,colour=red", "\"colour=red\""},
                                          {"shapes:10,20", "\"20\""},
                                          {"shapes:size=", "size is \"\""}}) {
    auto dataset = openDataset(specification, Split::Train);
    ASSERT_FALSE(dataset) << specification;
    EXPECT_NE(dataset.error().message.find(part), std::string::npos) << dataset.error().message;
  }
  EXPECT_FALSE(openDataset("shapesmith", Split::Train)); // a path, not an option
}

} // namespace
