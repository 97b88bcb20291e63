// A run's folder is one process's, is not remade when it was removed, and a run that cannot begin
// takes nothing away.
#include "runtime/train/RunFolder.h"

#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

namespace doppel::runtime::test {

namespace {

namespace fs = std::filesystem;

class TrainFolder : public testing::Test {
protected:
  void SetUp() override {
    root = fs::temp_directory_path() / ("doppel-folder-" + std::to_string(getpid()));
    fs::remove_all(root);
  }
  void TearDown() override { fs::remove_all(root); }

  std::string errorOf(FolderMode mode) {
    auto folder = RunFolder::open(root / "run", mode);
    return folder ? "" : folder.error().message;
  }
  void begin(RunFolder &folder, const std::string &artifact) {
    RunDescription description;
    description.run = {
        .states = 1, .method = 6, .seed = 2, .samples = 3, .epochs = 4, .pictures = 5};
    description.method = artifact;
    auto begun = folder.begin(bytesOf(artifact), description, artifact == "old" ? "a.png\n" : "");
    ASSERT_TRUE(begun) << begun.error().message;
  }

  fs::path root;
};

TEST_F(TrainFolder, BeginsAndIsFoundAgain) {
  {
    auto folder = RunFolder::open(root / "run", FolderMode::Fresh);
    ASSERT_TRUE(folder);
    begin(*folder, "code");
  }
  EXPECT_EQ(readFile(root / "run" / "artifact.dpx").value(), "code");
  EXPECT_EQ(readDescription(root / "run" / "run.json")->seed, 2u);
  EXPECT_NE(errorOf(FolderMode::Fresh).find("already holds a run"), std::string::npos);
  EXPECT_EQ(errorOf(FolderMode::Resume), "");
}

TEST_F(TrainFolder, TwoProcessesDoNotShareIt) {
  auto folder = RunFolder::open(root / "run", FolderMode::Fresh);
  ASSERT_TRUE(folder);
  EXPECT_NE(errorOf(FolderMode::Fresh).find("another process is running in"), std::string::npos);
  EXPECT_NE(errorOf(FolderMode::Overwrite).find("another process is running in"),
            std::string::npos);
}

TEST_F(TrainFolder, LeavesNoFolderWhereNoRunBegan) {
  for (const char *path : {"a/b/run", "a/b/run/"}) {
    {
      auto folder = RunFolder::open(root / path, FolderMode::Fresh);
      ASSERT_TRUE(folder);
      std::ofstream(folder->temporary("compiled.dpx")) << "half";
    }
    EXPECT_FALSE(fs::exists(root)) << path;
  }
  EXPECT_NE(errorOf(FolderMode::Resume).find("holds no run to resume"), std::string::npos);
  EXPECT_FALSE(fs::exists(root));
  // One that was there stays, and so does what another put into it.
  fs::create_directories(root / "run");
  EXPECT_EQ(errorOf(FolderMode::Fresh), "");
  EXPECT_TRUE(fs::exists(root / "run"));
  {
    auto folder = RunFolder::open(root / "other", FolderMode::Fresh);
    std::ofstream(root / "other" / "notes.txt") << "mine";
  }
  EXPECT_TRUE(fs::exists(root / "other" / "notes.txt"));
}

TEST_F(TrainFolder, OverwriteReplacesAll) {
  {
    auto folder = RunFolder::open(root / "run", FolderMode::Fresh);
    ASSERT_TRUE(folder);
    begin(*folder, "old");
  }
  fs::create_directories(root / "run" / "checkpoints" / "step-00000001");
  std::ofstream(root / "run" / "metrics.jsonl") << "{}\n";
  std::ofstream(root / "run" / "notes.txt") << "mine";
  auto folder = RunFolder::open(root / "run", FolderMode::Overwrite);
  ASSERT_TRUE(folder);
  begin(*folder, "new");
  EXPECT_EQ(readFile(folder->artifact()).value(), "new");
  EXPECT_FALSE(fs::exists(folder->checkpoints()));
  EXPECT_FALSE(fs::exists(folder->metrics()));
  EXPECT_FALSE(fs::exists(folder->heldOut()));
  EXPECT_TRUE(fs::exists(root / "run" / "notes.txt"));
  auto entries = entriesOf(root / "run");
  ASSERT_TRUE(entries);
  for (const fs::path &entry : *entries)
    EXPECT_FALSE(entry.filename().string().starts_with(kTemporary)) << entry;
}

// A process that is killed while it replaces a run has moved some of the files, in this order.
TEST_F(TrainFolder, AnOldRunIsPutBackWhereTheNewOneDidNotTakeItsPlace) {
  fs::path run = root / "run", replaced = run / ".tmp-replaced", staged = run / ".tmp-new";
  const std::vector<std::string> old = {"checkpoints", "metrics.jsonl", "artifact.dpx",
                                        "held-out.txt", "run.json"};
  const std::vector<std::string> files = {"artifact.dpx", "held-out.txt", "run.json"};
  for (bool heldOut : {false, true})
    for (size_t moved = 0; moved <= old.size() + files.size(); ++moved) {
      fs::remove_all(root);
      fs::create_directories(run / "checkpoints" / "step-00000001");
      fs::create_directories(replaced);
      fs::create_directories(staged);
      for (const std::string &name : old)
        if (name != "checkpoints" && (heldOut || name != "held-out.txt"))
          std::ofstream(run / name) << "old";
      for (const std::string &name : files)
        std::ofstream(staged / name) << "new";
      for (size_t i = 0; i < moved; ++i) {
        if (i >= old.size())
          fs::rename(staged / files[i - old.size()], run / files[i - old.size()]);
        else if (fs::exists(run / old[i]))
          fs::rename(run / old[i], replaced / old[i]);
      }
      EXPECT_EQ(errorOf(FolderMode::Resume), "") << moved;
      EXPECT_TRUE(fs::exists(run / "checkpoints" / "step-00000001")) << moved;
      for (const std::string &name : old)
        if (name != "checkpoints" && (heldOut || name != "held-out.txt")) {
          EXPECT_EQ(readFile(run / name).value_or("none"), "old") << moved << " " << name;
        }
      EXPECT_EQ(fs::exists(run / "held-out.txt"), heldOut) << moved;
      EXPECT_FALSE(fs::exists(replaced)) << moved;
    }
}

TEST_F(TrainFolder, CheckpointsWithoutADescriptionAreARun) {
  fs::create_directories(root / "run" / "checkpoints" / "step-00000001");
  EXPECT_NE(errorOf(FolderMode::Fresh).find("already holds a run"), std::string::npos);
  EXPECT_EQ(errorOf(FolderMode::Resume), "");
}

TEST_F(TrainFolder, KnowsThatItWasRemovedOrReplaced) {
  auto folder = RunFolder::open(root / "run", FolderMode::Fresh);
  ASSERT_TRUE(folder);
  begin(*folder, "code");
  EXPECT_TRUE(folder->check());
  fs::remove_all(root / "run");
  ASSERT_FALSE(folder->check());
  EXPECT_NE(folder->check().error().message.find("was removed or replaced"), std::string::npos);
  auto next = RunFolder::open(root / "run", FolderMode::Fresh);
  ASSERT_TRUE(next);
  EXPECT_FALSE(folder->check()) << "another run's folder is taken for this one's";
  EXPECT_TRUE(next->check());
}

TEST_F(TrainFolder, MetricsAreCutToTheCheckpoint) {
  auto folder = RunFolder::open(root / "run", FolderMode::Fresh);
  ASSERT_TRUE(folder);
  begin(*folder, "code");
  std::string lines = "{\"step\":0}\n{\"step\":1}\n{\"step\":2}\n{\"step\":";
  std::ofstream(folder->metrics()) << lines;
  ASSERT_TRUE(folder->openMetrics(2));
  ASSERT_TRUE(folder->appendMetrics("{\"step\":2,\"loss\":1}"));
  EXPECT_EQ(readFile(folder->metrics()).value(),
            "{\"step\":0}\n{\"step\":1}\n{\"step\":2,\"loss\":1}\n");
}

} // namespace
} // namespace doppel::runtime::test
