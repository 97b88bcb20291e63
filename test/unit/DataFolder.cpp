// Data sets on disk: classes, splits, broken files among good ones, and what each error says.

#include "DataFixtures.h"
#include "runtime/data/Dataset.h"
#include "runtime/data/Png.h"
#include <algorithm>
#include <gtest/gtest.h>

using namespace doppel::runtime;
using namespace doppel::runtime::fixtures;

namespace {

std::vector<uint8_t> pngOf(const Image &image) {
  return encodePng(image.extent, image.pixels.data()).value();
}

Image flat(uint8_t level, int32_t height = 4, int32_t width = 6) {
  return {{height, width}, std::vector<uint8_t>(size_t(height * width * 3), level)};
}

std::vector<uint8_t> bytesOf(std::string_view text) { return {text.begin(), text.end()}; }

std::string errorOf(const std::string &specification, Split split = Split::Train,
                    const DataOptions &options = {}) {
  auto dataset = openDataset(specification, split, options);
  EXPECT_FALSE(dataset) << specification;
  return dataset ? "" : dataset.error().message;
}

std::unique_ptr<Dataset> opened(const std::string &specification, Split split = Split::Train,
                                const DataOptions &options = {}) {
  auto dataset = openDataset(specification, split, options);
  EXPECT_TRUE(dataset) << dataset.error().message;
  return dataset ? *std::move(dataset) : nullptr;
}

TEST(DataFolder, ClassesAreSubfoldersByNameAndSizesMayDiffer) {
  TemporaryFolder folder;
  folder.write("dog/deep/a.png", pngOf(flat(10, 3, 5)));
  folder.write("dog/b.jpg", encodeJpeg(gradient(20, 30)));
  folder.write("cat/c.PNG", pngOf(flat(30)));
  folder.write("cat/.hidden.png", bytesOf("no"));
  folder.write("notes/readme.md", bytesOf("no class"));
  auto train = opened(folder.path());
  EXPECT_EQ(train->classNames(), (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(train->size(), 3);
  EXPECT_TRUE(train->broken().empty());
  EXPECT_FALSE(train->uniformExtent());
  EXPECT_EQ(train->classesSeen(), 2);
  auto batch = train->range(0, 1);
  ASSERT_TRUE(batch);
  EXPECT_EQ(train->label(0), 0);
  EXPECT_EQ(batch->images()[0].height, 4);
  EXPECT_EQ(batch->images()[0].width, 6);
  EXPECT_EQ(batch->picture(0).pixels[0], 30);
}

TEST(DataFolder, FlatFoldersHaveNoClasses) {
  TemporaryFolder folder;
  folder.write("1.png", pngOf(flat(1)));
  folder.write("2.png", pngOf(flat(2)));
  auto train = opened(folder.path());
  EXPECT_EQ(train->size(), 2);
  EXPECT_TRUE(train->classNames().empty());
  EXPECT_EQ(train->label(1), -1);
  EXPECT_NE(errorOf(folder.path(), Split::Test).find("no class folders"), std::string::npos);
}

TEST(DataFolder, BrokenFilesAmongGoodOnesAreSkippedCountedAndNamed) {
  TemporaryFolder folder;
  std::vector<uint8_t> jpeg = encodeJpeg(gradient(40, 40));
  for (int number = 0; number < 8; ++number)
    folder.write(fmt::format("train/a/good{}.png", number),
                 pngOf(flat(uint8_t(10 * number), 8, 20 + number)));
  jpeg.resize(jpeg.size() - 100);
  folder.write("train/a/cut.jpg", jpeg);
  folder.write("train/a/empty.jpg", {});
  folder.write("train/a/text.png", bytesOf("this is no picture"));
  folder.write("train/stray.jpg", jpeg);
  folder.write("train/LICENSE", bytesOf("beside classes and no image: not worth a word"));
  folder.write("test/a/good.jpg", encodeJpeg(gradient(40, 40)));

  auto dataset = opened(folder.path());
  std::vector<BrokenFile> broken = dataset->broken();
  std::ranges::sort(broken, {}, &BrokenFile::path);
  ASSERT_EQ(broken.size(), 3u);
  EXPECT_EQ(broken[0].path, folder.path("train/a/cut.jpg"));
  EXPECT_NE(broken[0].reason.find("Premature end"), std::string::npos) << broken[0].reason;
  EXPECT_EQ(broken[1].reason, "the file is empty");
  EXPECT_EQ(broken[2].reason, "it is none of JPEG, PNG, WebP, BMP, GIF, TIFF");
  EXPECT_NE(dataset->summary().find("8 images of 1 class, of several sizes"), std::string::npos)
      << dataset->summary();
  EXPECT_NE(dataset->summary().find("; 3 broken files skipped (others stand in for 1 of them)"),
            std::string::npos)
      << dataset->summary();
  EXPECT_EQ(dataset->remarks(),
            (std::vector<std::string>{"left out 1 image beside the folders, in none of them: " +
                                      folder.path("train/stray.jpg")}));

  // Kept or not, the cut file has its place, and the next good one stands in for it; behind it each
  // picture is its own. Not in memory, it is found out when it is read.
  for (uint64_t memory : {0, 1}) {
    auto data = opened(folder.path(), Split::Train, {.memoryBytes = memory});
    EXPECT_EQ(data->inMemory(), memory == 0);
    EXPECT_EQ(data->fingerprint(), dataset->fingerprint());
    ASSERT_EQ(data->size(), 9);
    EXPECT_EQ(data->broken().size(), memory ? 2u : 3u);
    EXPECT_EQ(data->describe(0), folder.path("train/a/cut.jpg"));
    for (int repeat = 0; repeat < 2; ++repeat) {
      auto all = data->range(0, 9);
      ASSERT_TRUE(all);
      EXPECT_EQ(data->broken().size(), 3u);
      EXPECT_EQ(all->images()[0].index, 1);
      for (int64_t index = 1; index < 9; ++index) {
        EXPECT_EQ(data->describe(index), folder.path(fmt::format("train/a/good{}.png", index - 1)));
        EXPECT_EQ(all->images()[index].index, index);
        EXPECT_EQ(all->images()[index].width, 19 + index);
      }
      for (int64_t index = 0; index < 9; ++index) {
        int value = 10 * int(std::max<int64_t>(index - 1, 0));
        int64_t bytes = all->images()[index].width * 8 * 3;
        EXPECT_EQ(all->picture(index).pixels[0], value);
        EXPECT_EQ(all->picture(index).pixels[bytes - 1], value);
      }
    }
  }
}

TEST(DataFolder, OneSentenceTellsOfAnyNumberOfBrokenFiles) {
  EXPECT_EQ(describeBroken({}), "");
  std::vector<BrokenFile> files = {{"a.jpg", "cut"}};
  EXPECT_EQ(describeBroken(files), "skipped 1 broken file: a.jpg: cut");
  files.resize(3, {"b.png", "empty"});
  EXPECT_EQ(describeBroken(files),
            "skipped 3 broken files: a.jpg: cut; b.png: empty; b.png: empty");
  files.resize(1000, {"c.png", "empty"});
  EXPECT_EQ(describeBroken(files),
            "skipped 1,000 broken files: a.jpg: cut; b.png: empty; b.png: empty; and 997 more");
}

TEST(DataFolder, TheFingerprintIsOfNamesAndSizesOfImages) {
  TemporaryFolder folder, elsewhere;
  for (const TemporaryFolder *one : {&folder, &elsewhere}) {
    one->write("a/1.png", pngOf(flat(1)));
    one->write("a/2.png", pngOf(flat(2, 30, 30)));
    one->write("b/1.png", pngOf(flat(3)));
  }
  uint64_t print = opened(folder.path())->fingerprint();
  EXPECT_EQ(opened(elsewhere.path())->fingerprint(), print) << "it does not matter where they lie";
  EXPECT_EQ(opened(folder.path() + "/")->fingerprint(), print);
  EXPECT_EQ(opened(folder.path() + "/./a/..")->fingerprint(), print);

  // What is no image has no part in it.
  folder.write("a/0.txt", bytesOf("no image"));
  folder.write("a/notes", bytesOf("no image"));
  folder.write("a0/labels.txt", bytesOf("no class"));
  folder.write("a1/Makefile", bytesOf("no class"));
  folder.write("a2/broken.png", bytesOf("no class either"));
  folder.write("list.csv", bytesOf("no class"));
  EXPECT_EQ(opened(folder.path())->fingerprint(), print);

  folder.write("a/2.png", pngOf(flat(2, 30, 31)));
  EXPECT_NE(opened(folder.path())->fingerprint(), print) << "of another size in bytes";
  elsewhere.write("b/2.png", pngOf(flat(3)));
  std::filesystem::remove(elsewhere.path("b/1.png"));
  EXPECT_NE(opened(elsewhere.path())->fingerprint(), print) << "of another name";
}

TEST(DataFolder, LabelsBecomeThoseOfOtherData) {
  TemporaryFolder folder;
  folder.write("cat/1.png", pngOf(flat(1)));
  folder.write("dog/1.png", pngOf(flat(2)));
  auto data = opened(folder.path());
  ASSERT_TRUE(data->relabel({"ant", "dog", "cat"}));
  EXPECT_EQ(data->label(0), 2);
  EXPECT_EQ(data->label(1), 1);
  EXPECT_EQ(data->classNames().size(), 3u);
  EXPECT_EQ(data->classesSeen(), 2);
  auto unknown = data->relabel({"dog"});
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("cat/1.png is of the class 'cat'"), std::string::npos);
  EXPECT_EQ(data->label(0), 2);
}

TEST(DataFolder, ABatchLargerThanItsMemoryIsRefusedBeforeItIsDecoded) {
  TemporaryFolder folder;
  for (int number = 0; number < 4; ++number)
    folder.write(fmt::format("{}.png", number), pngOf(flat(1, 100, 100)));
  folder.write("4.png", pngOf(flat(1, 300, 500)));
  auto data = opened(folder.path(), Split::Train, {.memoryBytes = 1, .batchBytes = 300'000});
  EXPECT_FALSE(data->inMemory());
  EXPECT_TRUE(data->range(0, 4));
  auto batch = data->range(3, 2);
  ASSERT_FALSE(batch);
  EXPECT_NE(batch.error().message.find("to decode 2 images takes"), std::string::npos);
  EXPECT_NE(batch.error().message.find("4.png is 500 x 300"), std::string::npos);
  // What decoding takes counts too: 270,000 bytes for this one, 170,000 above the third of 300,000.
  folder.write("4.png", pngOf(flat(1, 200, 150)));
  data = opened(folder.path(), Split::Train, {.memoryBytes = 1, .batchBytes = 300'000});
  EXPECT_TRUE(data->range(3, 2));
  EXPECT_FALSE(data->range(2, 3));
  EXPECT_EQ(data->fitting(2, 3), 2);
}

TEST(DataFolder, AllBrokenIsAnError) {
  TemporaryFolder folder;
  folder.write("train/a/1.jpg", bytesOf("no"));
  folder.write("train/b/2.jpg", bytesOf("no"));
  folder.write("test/a/3.jpg", bytesOf("no"));
  std::string message = errorOf(folder.path());
  EXPECT_NE(message.find("none of its 2 files"), std::string::npos) << message;
  EXPECT_NE(message.find("1.jpg: it is none of JPEG"), std::string::npos) << message;

  TemporaryFolder cut;
  std::vector<uint8_t> jpeg = encodeJpeg(gradient(40, 40));
  jpeg.resize(jpeg.size() - 100);
  cut.write("1.jpg", jpeg);
  EXPECT_NE(errorOf(cut.path()).find("none of its 1 files"), std::string::npos);
  auto streamed = opened(cut.path(), Split::Train, {.memoryBytes = 1});
  auto batch = streamed->range(0, 1);
  ASSERT_FALSE(batch);
  EXPECT_NE(batch.error().message.find("all 1 images are broken"), std::string::npos);
}

TEST(DataFolder, MissingEmptyAndWrongPathsSayWhatWouldHelp) {
  TemporaryFolder folder;
  std::string message = errorOf(folder.path("nowhere"));
  EXPECT_NE(message.find(folder.path("nowhere")), std::string::npos);
  EXPECT_NE(message.find("`shapes`"), std::string::npos);
  message = errorOf(folder.path());
  EXPECT_NE(message.find("has no images"), std::string::npos);
  EXPECT_NE(message.find(folder.path()), std::string::npos);
  std::string file = folder.write("one.jpg", bytesOf("x"));
  EXPECT_NE(errorOf(file).find("is a file"), std::string::npos);
}

TEST(DataFolder, UnreadableFoldersAreErrors) {
  if (geteuid() == 0)
    GTEST_SKIP() << "root reads everything";
  TemporaryFolder folder;
  folder.write("a/1.png", pngOf(flat(1)));
  std::filesystem::permissions(folder.path("a"), std::filesystem::perms::none);
  std::string message = errorOf(folder.path());
  std::filesystem::permissions(folder.path("a"), std::filesystem::perms::owner_all);
  EXPECT_NE(message.find("cannot read the folder"), std::string::npos) << message;
}

TEST(DataFolder, ProgressEndsWithTheWhole) {
  TemporaryFolder folder;
  for (int number = 0; number < 5; ++number)
    folder.write(fmt::format("{}.png", number), pngOf(flat(1)));
  std::string last;
  opened(folder.path(), Split::Train,
         {.progress = [&](std::string_view activity, int64_t done, int64_t total) {
           last = fmt::format("{} {} / {}", activity, done, total);
         }});
  EXPECT_EQ(last, "decoding 5 / 5");
}

std::vector<uint8_t> cifarBatch(std::span<const uint8_t> labels) {
  std::vector<uint8_t> bytes;
  for (uint8_t label : labels) {
    bytes.push_back(label);
    for (int channel = 0; channel < 3; ++channel)
      for (int pixel = 0; pixel < 1024; ++pixel)
        bytes.push_back(uint8_t(label * 20 + channel * 70 + pixel % 32));
  }
  return bytes;
}

TEST(DataCifar, RecordsBecomeInterleavedImages) {
  TemporaryFolder folder;
  for (uint8_t number = 1; number <= 5; ++number)
    folder.write(fmt::format("cifar-10-batches-bin/data_batch_{}.bin", number),
                 cifarBatch(std::vector<uint8_t>{number, 0}));
  folder.write("cifar-10-batches-bin/test_batch.bin", cifarBatch(std::vector<uint8_t>{9, 77, 3}));
  for (std::string path : {folder.path(), folder.path("cifar-10-batches-bin")}) {
    auto train = opened(path), test = opened(path, Split::Test);
    EXPECT_EQ(train->size(), 10);
    EXPECT_EQ(train->label(4), 3);
    EXPECT_EQ(train->classNames()[9], "truck");
    auto batch = train->range(4, 1);
    ASSERT_TRUE(batch);
    const uint8_t *pixel = batch->picture(0).pixels + (5 * 32 + 7) * 3;
    EXPECT_EQ(pixel[0], 67);
    EXPECT_EQ(pixel[1], 137);
    EXPECT_EQ(pixel[2], 207);
    EXPECT_EQ(test->size(), 2); // label 77 is of no class
    ASSERT_EQ(test->broken().size(), 1u);
    EXPECT_NE(test->broken()[0].path.find("test_batch.bin record 1"), std::string::npos);
    EXPECT_EQ(test->label(1), 3);
  }
}

TEST(DataCifar, TruncatedAndMissingBatchesAreNamed) {
  TemporaryFolder folder;
  std::vector<uint8_t> bytes = cifarBatch(std::vector<uint8_t>{1, 2});
  folder.write("data_batch_1.bin", bytes);
  EXPECT_NE(errorOf(folder.path()).find("data_batch_2.bin"), std::string::npos);
  EXPECT_NE(errorOf(folder.path(), Split::Test).find("test_batch.bin"), std::string::npos);
  bytes.pop_back();
  folder.write("data_batch_1.bin", bytes);
  std::string message = errorOf(folder.path());
  EXPECT_NE(message.find("6145 bytes"), std::string::npos) << message;
}

TEST(DataFolder, HeadersBehindLargeProfilesAndHugeFilesThatAreNone) {
  TemporaryFolder folder;
  // Comments before the frame, beyond the first and the second piece that is read.
  std::vector<uint8_t> jpeg = encodeJpeg(gradient(20, 30));
  for (int comments : {2, 40}) {
    std::vector<uint8_t> file(jpeg.begin(), jpeg.begin() + 2);
    for (int comment = 0; comment < comments; ++comment) {
      std::vector<uint8_t> marker(65'535 + 2, 'c');
      marker[0] = 0xFF, marker[1] = 0xFE, marker[2] = marker[3] = 0xFF;
      file.insert(file.end(), marker.begin(), marker.end());
    }
    file.insert(file.end(), jpeg.begin() + 2, jpeg.end());
    folder.write(fmt::format("{}.jpg", comments), file);
  }
  // 8 TiB on paper; to read all of it would end the process.
  folder.write("huge.jpg", bytesOf("no image"));
  std::filesystem::resize_file(folder.path("huge.jpg"), uint64_t(1) << 43);
  auto dataset = opened(folder.path());
  EXPECT_EQ(dataset->size(), 2);
  ASSERT_EQ(dataset->broken().size(), 1u);
  EXPECT_EQ(dataset->broken()[0].reason, "it is none of JPEG, PNG, WebP, BMP, GIF, TIFF");
  folder.write("huge.jpg", std::span(jpeg).first(40));
  std::filesystem::resize_file(folder.path("huge.jpg"), uint64_t(1) << 43);
  EXPECT_NE(opened(folder.path())->broken()[0].reason.find("it has 8796093022208 bytes"),
            std::string::npos);
}

} // namespace
