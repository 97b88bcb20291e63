// Batches are slabs: of the data set where it is kept, else of memory that is used again, laid out
// anew where a stand-in is larger than what it stands in for.

#include "DataFixtures.h"
#include "runtime/data/Dataset.h"
#include "runtime/data/Png.h"
#include "runtime/data/SlabPool.h"
#include <gtest/gtest.h>

using namespace doppel::runtime;
using namespace doppel::runtime::fixtures;

namespace {

TEST(DataSlabs, BlocksAreUsedAgain) {
  size_t made = 0;
  SlabPool pool([&](size_t bytes) -> Result<std::shared_ptr<uint8_t>> {
    ++made;
    return std::shared_ptr<uint8_t>(new uint8_t[bytes], std::default_delete<uint8_t[]>());
  });
  for (int round = 0; round < 5; ++round) {
    auto one = pool.take(100), other = pool.take(80);
    ASSERT_TRUE(one && other);
    EXPECT_NE(one->get(), other->get());
  }
  EXPECT_EQ(made, 2u);
  // One that is too small goes for a larger one, so that there are never more than were in use.
  auto larger = pool.take(1000);
  ASSERT_TRUE(larger);
  EXPECT_EQ(made, 3u);
  auto small = pool.take(10);
  EXPECT_EQ(made, 3u);
}

TEST(DataSlabs, ABlockOutlivesItsPool) {
  std::shared_ptr<uint8_t> block;
  {
    SlabPool pool;
    block = pool.take(16).value();
  }
  std::fill_n(block.get(), 16, uint8_t(1));
  block.reset();
}

TEST(DataSlabs, MemoryThatThereIsNotIsTold) {
  SlabPool refusing([](size_t) -> Result<std::shared_ptr<uint8_t>> { return fail("no memory"); });
  EXPECT_EQ(refusing.take(1).error().message, "no memory");
  EXPECT_NE(SlabPool().take(size_t(1) << 60).error().message.find("not enough memory"),
            std::string::npos);
  DataOptions options;
  options.memoryBytes = 1;
  options.allocate = [](size_t) -> Result<std::shared_ptr<uint8_t>> { return fail("no memory"); };
  auto dataset = openDataset("shapes:4", Split::Train, options);
  ASSERT_TRUE(dataset);
  auto batch = (*dataset)->range(0, 2);
  ASSERT_FALSE(batch);
  EXPECT_EQ(batch.error().message, "no memory");
}

TEST(DataSlabs, OffsetsCountFromTheSlab) {
  for (uint64_t memory : {uint64_t(0), uint64_t(1)}) {
    auto dataset = openDataset("shapes:9,size=16", Split::Train, {.memoryBytes = memory});
    ASSERT_TRUE(dataset);
    auto batch = (*dataset)->range(3, 4), one = (*dataset)->range(5, 1);
    ASSERT_TRUE(batch && one);
    EXPECT_EQ(batch->sharesSlab(), memory == 0);
    EXPECT_EQ(batch->slab().data() == one->slab().data(), memory == 0);
    constexpr uint64_t kBytes = 16 * 16 * 3;
    EXPECT_EQ(batch->slab().size(), (memory ? 4 : 9) * kBytes + doppel::abi::imagePadding);
    EXPECT_EQ(batch->images()[2].offset, (memory ? 2 : 5) * kBytes);
    EXPECT_EQ(batch->picture(2).pixels, batch->slab().data() + batch->images()[2].offset);
    EXPECT_TRUE(std::equal(one->picture(0).pixels, one->picture(0).pixels + kBytes,
                           batch->picture(2).pixels));
    batch->repeatTo(6);
    ASSERT_EQ(batch->size(), 6);
    EXPECT_EQ(batch->images()[5].index, 4);
    batch->repeatTo(2);
    EXPECT_EQ(batch->size(), 6);
  }
}

/// The broken picture is small, the one that stands in for it large.
TEST(DataSlabs, AStandInHasRoomOfItsOwn) {
  TemporaryFolder folder;
  for (int number = 0; number < 5; ++number) {
    Extent extent{number == 1 ? 3 : 9, number == 1 ? 4 : 10 + number};
    std::vector<uint8_t> pixels(extent.bytes(), uint8_t(10 * number));
    std::vector<uint8_t> file = encodePng(extent, pixels.data()).value();
    if (number == 1)
      file.resize(file.size() - 20); // the header stays good
    folder.write(fmt::format("a/{}.png", number), file);
  }
  for (uint64_t memory : {uint64_t(0), uint64_t(1)}) {
    auto dataset = openDataset(folder.path(), Split::Train, {.memoryBytes = memory, .threads = 2});
    ASSERT_TRUE(dataset);
    // Behind the broken one lies another than its stand-in.
    const std::vector<int64_t> wanted = {0, 1, 4, 3, 2}, found = {0, 2, 4, 3, 2};
    for (int round = 0; round < 2; ++round) {
      auto batch = (*dataset)->gather(wanted);
      ASSERT_TRUE(batch);
      uint64_t end = 0;
      for (int64_t at = 0; at < 5; ++at) {
        int64_t shown = found[size_t(at)];
        EXPECT_EQ(batch->images()[at].index, shown);
        Picture picture = batch->picture(at);
        ASSERT_EQ(picture.extent, (Extent{9, int32_t(10 + shown)}));
        EXPECT_TRUE(std::all_of(picture.pixels, picture.pixels + picture.extent.bytes(),
                                [&](uint8_t level) { return level == 10 * shown; }));
        end = std::max(end, batch->images()[at].offset + picture.extent.bytes());
      }
      EXPECT_LE(end + doppel::abi::imagePadding, batch->slab().size());
    }
  }
}

} // namespace
