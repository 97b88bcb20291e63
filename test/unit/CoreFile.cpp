// Files appear whole or not at all; what is no regular file is refused, never waited for.
#include "runtime/core/File.h"

#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace doppel::runtime::test {

namespace {

namespace fs = std::filesystem;

class CoreFile : public testing::Test {
protected:
  void SetUp() override {
    folder = fs::temp_directory_path() / ("doppel-file-" + std::to_string(getpid()));
    fs::remove_all(folder);
    fs::create_directory(folder);
  }
  void TearDown() override { fs::remove_all(folder); }

  fs::path folder;
};

TEST_F(CoreFile, WritesReadsAndReplaces) {
  fs::path path = folder / "a";
  ASSERT_TRUE(writeFileAtomically(path, bytesOf("first")));
  ASSERT_TRUE(writeFileAtomically(path, bytesOf("second")));
  EXPECT_EQ(readFile(path).value(), "second");
  EXPECT_EQ(entriesOf(folder)->size(), 1u) << "a temporary file stayed";
}

TEST_F(CoreFile, PermissionsAreTheUmasks) {
  mode_t mask = umask(027);
  ASSERT_TRUE(writeFileAtomically(folder / "a", bytesOf("x")));
  umask(mask);
  EXPECT_EQ(fs::status(folder / "a").permissions(), fs::perms(0640));
}

TEST_F(CoreFile, AFailureLeavesWhatWasThere) {
  // A folder in the file's place cannot be renamed over.
  fs::create_directories(folder / "a" / "inside");
  auto written = writeFileAtomically(folder / "a", bytesOf("x"));
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().message.find("cannot write " + (folder / "a").string()),
            std::string::npos)
      << written.error().message;
  EXPECT_TRUE(fs::exists(folder / "a" / "inside"));
  EXPECT_EQ(entriesOf(folder)->size(), 1u) << "a temporary file stayed";
  EXPECT_FALSE(writeFileAtomically(folder / "none" / "a", bytesOf("x")));
}

TEST_F(CoreFile, RefusesWhatIsNoRegularFile) {
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  for (const fs::path &path : {folder / "pipe", fs::path("/dev/zero"), folder}) {
    auto file = readFile(path);
    ASSERT_FALSE(file);
    EXPECT_NE(file.error().message.find("no regular file"), std::string::npos)
        << file.error().message;
  }
  EXPECT_FALSE(readFile(folder / "none"));
}

TEST_F(CoreFile, ReadsNoMoreThanAllowed) {
  std::ofstream(folder / "a") << "12345";
  EXPECT_TRUE(readFile(folder / "a", 5));
  EXPECT_FALSE(readFile(folder / "a", 4));
  EXPECT_EQ(readBytes(folder / "a", 2).value(), (std::vector<uint8_t>{'1', '2'}));
  EXPECT_EQ(readBytes(folder / "a").value().size(), 5u);
  EXPECT_EQ(readBytes(folder / "none").error().message,
            "cannot open the file: No such file or directory");
}

/// To take a folder that cannot be read for an empty one would lose what is in it.
TEST_F(CoreFile, AFolderThatCannotBeReadIsNoEmptyOne) {
  std::ofstream(folder / "a") << "12345";
  EXPECT_EQ(*entriesOf(folder), std::vector<fs::path>{folder / "a"});
  EXPECT_TRUE(entriesOf(folder / "none")->empty());
  auto file = entriesOf(folder / "a");
  ASSERT_FALSE(file);
  EXPECT_NE(file.error().message.find("cannot read the folder"), std::string::npos);
}

TEST_F(CoreFile, WhatAKilledWriterLeftIsRemoved) {
  fs::create_directories(folder / ".tmp-step-00000001" / "x");
  std::ofstream(folder / ".tmp-run.json-abcdef") << "torn";
  std::ofstream(folder / "run.json") << "good";
  removeTemporaries(folder);
  EXPECT_EQ(*entriesOf(folder), std::vector<fs::path>{folder / "run.json"});
}

} // namespace
} // namespace doppel::runtime::test
