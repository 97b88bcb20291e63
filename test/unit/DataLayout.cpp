// Which images of a folder are used, for what, and what is said of the others.

#include "DataFixtures.h"
#include "runtime/data/Dataset.h"
#include "runtime/data/Png.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <set>

using namespace doppel::runtime;
using namespace doppel::runtime::fixtures;

namespace {

namespace fs = std::filesystem;

struct Folder : TemporaryFolder {
  void image(const std::string &name) const {
    static const std::vector<uint8_t> bytes = [] {
      std::vector<uint8_t> pixels(4 * 4 * 3, 7);
      return encodePng({4, 4}, pixels.data()).value();
    }();
    write(name, bytes);
  }
  void text(const std::string &name) const {
    static const std::string_view words = "no image";
    write(name, {reinterpret_cast<const uint8_t *>(words.data()), words.size()});
  }
  void link(const std::string &target, const std::string &name) const {
    fs::create_directories(fs::path(path(name)).parent_path());
    fs::create_directory_symlink(target, path(name));
  }

  /// Names of the images of a split below the folder, or the error.
  std::vector<std::string> names(Split split, double holdout = 0) const {
    auto dataset = openDataset(path(), split, {.holdout = holdout});
    if (!dataset)
      return {"error: " + dataset.error().message};
    std::vector<std::string> found;
    for (int64_t index = 0; index < (*dataset)->size(); ++index)
      found.push_back((*dataset)->describe(index).substr(path().size() + 1));
    std::ranges::sort(found);
    return found;
  }
  std::string error(Split split, double holdout = 0) const {
    std::vector<std::string> found = names(split, holdout);
    return found.size() == 1 && found[0].starts_with("error: ") ? found[0] : "no error";
  }
  std::vector<std::string> classes(Split split = Split::Train) const {
    auto dataset = openDataset(path(), split);
    return dataset ? (*dataset)->classNames() : std::vector<std::string>{dataset.error().message};
  }
  std::string remarks(Split split = Split::Train) const {
    std::string all;
    if (auto dataset = openDataset(path(), split))
      for (const std::string &remark : (*dataset)->remarks())
        all += remark + "\n";
    for (size_t at; (at = all.find(path() + "/")) != all.npos;)
      all.erase(at, path().size() + 1);
    return all;
  }
};

using Names = std::vector<std::string>;

TEST(DataLayout, SplitsAreKnownByTheirUsualNames) {
  for (std::string train : {"train", "Train", "training", "TRAIN", "train2017"})
    for (std::string test : {"test", "Test", "testing", "val", "valid", "Validation", "val2017"}) {
      Folder folder;
      folder.image(train + "/b/1.png");
      folder.image(train + "/c/2.png");
      folder.image(test + "/a/3.png");
      folder.image(test + "/c/4.png");
      EXPECT_EQ(folder.names(Split::Train), (Names{train + "/b/1.png", train + "/c/2.png"}));
      EXPECT_EQ(folder.names(Split::Test), (Names{test + "/a/3.png", test + "/c/4.png"}));
      EXPECT_EQ(folder.names(Split::TestOrAll), folder.names(Split::Test));
      // Labels mean the same in both.
      EXPECT_EQ(folder.classes(), (Names{"a", "b", "c"}));
      EXPECT_EQ(folder.classes(Split::Test), folder.classes());
      auto dataset = openDataset(folder.path(), Split::Test);
      EXPECT_EQ((*dataset)->label(0), 0);
      EXPECT_EQ((*dataset)->label(1), 2);
      EXPECT_NE(folder.error(Split::Train, 0.5).find("leave out --holdout"), std::string::npos);
    }
}

TEST(DataLayout, ALabelledSplitIsPreferredToOneWithout) {
  Folder folder;
  folder.image("train/a/1.png");
  folder.image("test/2.png");
  folder.image("val/a/3.png");
  EXPECT_EQ(folder.names(Split::Test), (Names{"val/a/3.png"}));
  folder.image("testing/a/4.png");
  EXPECT_EQ(folder.names(Split::Test), (Names{"testing/a/4.png"}));
}

TEST(DataLayout, WithoutALabelledTestSplitTheWaysOutAreNamed) {
  Folder folder;
  folder.image("train/a/1.png");
  folder.image("train/b/2.png");
  folder.image("val/3.png");
  std::string message = folder.error(Split::Test);
  EXPECT_NE(message.find("val/ has no class folders"), std::string::npos) << message;
  EXPECT_NE(message.find("--test FOLDER"), std::string::npos);
  EXPECT_NE(message.find("--holdout 0.1"), std::string::npos);
  EXPECT_EQ(folder.names(Split::Train), (Names{"train/a/1.png", "train/b/2.png"}));
  EXPECT_EQ(folder.names(Split::TestOrAll), folder.names(Split::Train));
  // Such data can be held out from.
  EXPECT_EQ(folder.names(Split::Train, 0.5).size() + folder.names(Split::Test, 0.5).size(), 2u);
}

TEST(DataLayout, ATrainingSplitAloneIsNoClass) {
  Folder folder;
  folder.image("train/a/1.png");
  folder.image("train/b/2.png");
  folder.text("annotations/list.txt");
  EXPECT_EQ(folder.classes(), (Names{"a", "b"}));
  EXPECT_NE(folder.error(Split::Test).find("--holdout"), std::string::npos);
  Folder flat;
  flat.image("training/1.png");
  EXPECT_TRUE(flat.classes().empty());
  EXPECT_EQ(flat.names(Split::Train), (Names{"training/1.png"}));
}

TEST(DataLayout, ATestSplitAloneIsNoTrainingData) {
  Folder folder;
  folder.image("val/a/1.png");
  EXPECT_NE(folder.error(Split::Train).find("to train on it, give --data"), std::string::npos);
  EXPECT_EQ(folder.names(Split::Test), (Names{"val/a/1.png"}));
}

TEST(DataLayout, AmongOtherClassesTrainIsAClass) {
  Folder folder;
  for (std::string name : {"bus", "car", "train"})
    folder.image(name + "/1.png");
  EXPECT_EQ(folder.classes(), (Names{"bus", "car", "train"}));
}

TEST(DataLayout, TwoTrainingSplitsAreAnError) {
  Folder folder;
  folder.image("train/a/1.png");
  folder.image("Training/a/1.png");
  folder.image("test/a/1.png");
  EXPECT_NE(folder.error(Split::Train).find("could both be the training split"), std::string::npos);
}

TEST(DataLayout, OneFolderWithSplitsInItIsGoneInto) {
  Folder folder;
  folder.image("set/data/train/a/1.png");
  folder.image("set/data/test/a/2.png");
  folder.text("set/data/LICENSE");
  EXPECT_EQ(folder.names(Split::Train), (Names{"set/data/train/a/1.png"}));
  EXPECT_EQ(folder.names(Split::Test), (Names{"set/data/test/a/2.png"}));
  Folder single; // one class, as unlabelled images often lie
  single.image("images/1.png");
  single.image("images/deep/2.png");
  EXPECT_EQ(single.classes(), (Names{"images"}));
}

TEST(DataLayout, WhatLiesBesideOrWithinIsSaid) {
  Folder folder;
  folder.image("train/a/1.png");
  folder.image("test/a/2.png");
  folder.image("extra/3.png");
  folder.image("4.png");
  EXPECT_EQ(folder.remarks(),
            "left out 1 image beside the folders, in none of them: 4.png\n"
            "left out the images in extra: they stand beside the splits, in none of them\n");
  Folder within;
  for (std::string name : {"cat", "dog"}) {
    within.image(name + "/train/1.png");
    within.image(name + "/test/2.png");
  }
  EXPECT_NE(within.remarks().find("cat, dog hold folders of a training and of a test split"),
            std::string::npos);
  EXPECT_EQ(within.names(Split::Train).size(), 4u);
}

TEST(DataLayout, WhatIsNoImageIsCountedByKindInOneLine) {
  Folder folder;
  for (int number = 0; number < 3; ++number) {
    folder.image(fmt::format("cat/{}.png", number));
    folder.text(fmt::format("fox/{}.HEIC", number));
    folder.text(fmt::format("owl/{}.raw", number));
  }
  folder.text("cat/list.raw");
  folder.text("cat/Thumbs");
  folder.image("cat/an image without an ending");
  folder.image("cat/an image.data");
  EXPECT_EQ(folder.remarks(),
            "left out 8 files of no image format that is read (4 .raw, 3 .heic, 1 without "
            "an ending); there is nothing else in fox, owl\n");
  EXPECT_EQ(folder.classes(), (Names{"cat"}));
  EXPECT_EQ(folder.names(Split::Train).size(), 5u);
  Folder archive;
  archive.text("images.tar");
  EXPECT_NE(archive.error(Split::Train).find("has no images; it should hold files of JPEG"),
            std::string::npos);
  EXPECT_NE(archive.error(Split::Train).find("1 .tar"), std::string::npos);
}

TEST(DataLayout, LinksToFoldersAreFollowed) {
  Folder store, folder;
  store.image("one/1.png");
  store.image("two/deep/2.png");
  folder.link(store.path("one"), "a");
  folder.link(store.path("two"), "b/inner");
  EXPECT_EQ(folder.names(Split::Train), (Names{"a/1.png", "b/inner/deep/2.png"}));
  EXPECT_EQ(folder.remarks(), "");
  Folder splits;
  splits.link(store.path(), "train");
  EXPECT_EQ(splits.classes(), (Names{"one", "two"}));
}

TEST(DataLayout, CirclesOfLinksEnd) {
  Folder folder;
  folder.image("a/1.png");
  folder.image("b/2.png");
  folder.link(".", "itself");
  folder.link("..", "above");
  folder.link(folder.path(), "a/back");
  folder.link("../b", "a/friend");
  folder.link("../a", "b/friend");
  folder.link("none", "dangling");
  folder.link("self", "self");
  // A friend's images are of the class too; the circle of friends is cut at its second turn.
  EXPECT_EQ(folder.names(Split::Train),
            (Names{"a/1.png", "a/friend/2.png", "b/2.png", "b/friend/1.png"}));
  EXPECT_EQ(folder.classes(), (Names{"a", "b"}));
  std::string remarks = folder.remarks();
  EXPECT_TRUE(remarks.starts_with("left out 6 links to folders that are read already: a/back, "))
      << remarks;

  // Links that double at each level would be read 2^20 times.
  Folder tower;
  for (int level = 0; level < 20; ++level)
    for (std::string side : {"left", "right"})
      tower.link(fmt::format("../{}", level + 1), fmt::format("store/{}/{}", level, side));
  tower.image("store/20/1.png");
  Folder entry;
  entry.link(tower.path("store/0"), "a");
  EXPECT_EQ(entry.names(Split::Train).size(), 1u);
}

TEST(DataLayout, WithoutASplitTrainingTakesAll) {
  Folder folder;
  for (int number = 0; number < 20; ++number)
    folder.image(fmt::format("a/{}.png", number));
  EXPECT_EQ(folder.names(Split::Train).size(), 20u);
  EXPECT_EQ(folder.names(Split::TestOrAll).size(), 20u);
  EXPECT_NE(folder.error(Split::Test)
                .find("has no test split with classes; name labelled images by --test"),
            std::string::npos);
}

TEST(DataLayout, HoldingOutSplitsByTheImagesOwnNamesAlone) {
  Folder folder;
  for (int number = 0; number < 500; ++number)
    for (std::string name : {"a", "b"})
      folder.image(fmt::format("{}/{}.png", name, number));
  Names train = folder.names(Split::Train, 0.2), test = folder.names(Split::Test, 0.2);
  EXPECT_NEAR(double(test.size()), 200, 45); // 3.5 deviations
  std::set<std::string> all(train.begin(), train.end());
  all.insert(test.begin(), test.end());
  EXPECT_EQ(all.size(), 1000u);
  EXPECT_EQ(train.size() + test.size(), 1000u);
  auto of = [](const Names &names, std::string_view name) {
    return std::ranges::count_if(names,
                                 [&](const std::string &one) { return one.starts_with(name); });
  };
  EXPECT_NEAR(double(of(test, "a/")), double(of(test, "b/")), 60);

  auto dataset = openDataset(folder.path(), Split::Train, {.holdout = 0.2});
  Names heldOut = (*dataset)->heldOut();
  std::ranges::sort(heldOut);
  EXPECT_EQ(heldOut, test);
  EXPECT_NE((*dataset)->summary().find(fmt::format("({} more held out)", test.size())),
            std::string::npos);

  // Other files, images or not, move none to the other side.
  for (int number = 0; number < 50; ++number) {
    folder.text(fmt::format("a/{}.txt", number));
    folder.text(fmt::format("b/broken{}.png", number));
    folder.image(fmt::format("c/{}.png", number));
  }
  Names later = folder.names(Split::Test, 0.2);
  EXPECT_TRUE(std::ranges::includes(later, test));
  std::erase_if(later, [](const std::string &one) { return one.starts_with("c/"); });
  EXPECT_EQ(later, test);
}

TEST(DataLayout, AHoldoutOfNoneOrAllIsAnError) {
  Folder folder;
  folder.image("a/1.png");
  folder.image("a/2.png");
  EXPECT_NE(folder.error(Split::Train, 1e-9).find("leaves out none of the 2 images"),
            std::string::npos);
  EXPECT_NE(folder.error(Split::Train, 1e-9).find("give a larger fraction"), std::string::npos);
  EXPECT_NE(folder.error(Split::Test, 1e-9).find("leaves out none"), std::string::npos);
  EXPECT_NE(folder.error(Split::Train, 1 - 1e-9).find("leaves out all of the 2 images"),
            std::string::npos);
  auto shapes = openDataset("shapes:100", Split::Train, {.holdout = 0.1});
  ASSERT_FALSE(shapes);
  EXPECT_NE(shapes.error().message.find("leave out --holdout"), std::string::npos);
  EXPECT_TRUE(
      openDataset("shapes:100,test=10", Split::Test, {.holdout = 0.1, .holdoutIsOptional = true}));
}

TEST(DataLayout, NamesNeedNotBeText) {
  Folder folder;
  folder.image("caf\xe9/\xff.png");
  folder.image("b/1.png");
  EXPECT_EQ(folder.names(Split::Train), (Names{"b/1.png", "caf\xe9/\xff.png"}));
  EXPECT_EQ(folder.classes(), (Names{"b", "caf\xe9"}));
}

} // namespace
