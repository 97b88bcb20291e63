// The number of threads is what the control groups leave, whichever version they are and wherever
// they are mounted.
#include "runtime/core/Limits.h"

#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

namespace doppel::runtime::test {

namespace {

namespace fs = std::filesystem;

/// A root folder with files of /proc and /sys.
class CoreLimits : public testing::Test {
protected:
  void SetUp() override {
    root = fs::temp_directory_path() / ("doppel-limits-" + std::to_string(getpid()));
    fs::remove_all(root);
  }
  void TearDown() override { fs::remove_all(root); }

  void write(const fs::path &file, const std::string &text) {
    fs::create_directories((root / file).parent_path());
    std::ofstream(root / file) << text;
  }

  fs::path root;
};

TEST_F(CoreLimits, NothingMountedIsNoLimit) {
  EXPECT_FALSE(processorQuota(root));
  write("proc/self/cgroup", "0::/\n");
  write("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n");
  EXPECT_FALSE(processorQuota(root));
  EXPECT_TRUE(controlGroups("cpu", root).empty());
}

TEST_F(CoreLimits, UnifiedQuotaOfTheNarrowestGroupAboveCounts) {
  write("proc/self/cgroup", "0::/slice/pod/box\n");
  write("proc/self/mountinfo",
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
  write("sys/fs/cgroup/slice/pod/box/cpu.max", "max 100000\n");
  EXPECT_FALSE(processorQuota(root));
  write("sys/fs/cgroup/slice/pod/cpu.max", "250000 100000\n");
  EXPECT_EQ(processorQuota(root), 3);
  write("sys/fs/cgroup/slice/cpu.max", "50000 100000\n");
  EXPECT_EQ(processorQuota(root), 1);
}

TEST_F(CoreLimits, QuotaOfTheFirstVersion) {
  write("proc/self/cgroup", "4:memory:/a\n3:cpu,cpuacct:/docker/x\n0::/\n");
  write("proc/self/mountinfo",
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n");
  write("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
  EXPECT_FALSE(processorQuota(root));
  write("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "400000\n");
  EXPECT_EQ(processorQuota(root), 4);
}

TEST_F(CoreLimits, AMountThatShowsAPartOfTheHierarchy) {
  write("proc/self/cgroup", "3:cpu:/docker/x/inner\n");
  write("proc/self/mountinfo",
        "32 31 0:29 /docker/x /cg\\040roups/cpu rw - cgroup cgroup rw,cpu\n");
  write("cg roups/cpu/inner/cpu.cfs_quota_us", "150000");
  write("cg roups/cpu/inner/cpu.cfs_period_us", "100000");
  std::vector<fs::path> expected = {root / "cg roups/cpu/inner", root / "cg roups/cpu"};
  EXPECT_EQ(controlGroups("cpu", root), expected);
  EXPECT_EQ(processorQuota(root), 2);
  // Seen from another namespace the group is above the mount: its top is all there is.
  write("proc/self/cgroup", "3:cpu:/../../other\n");
  expected.erase(expected.begin());
  EXPECT_EQ(controlGroups("cpu", root), expected);
}

TEST_F(CoreLimits, LimitsThatAreNoNumbers) {
  write("a", "max\n");
  write("b", "4096\n");
  EXPECT_FALSE(readLimit(root / "a"));
  EXPECT_FALSE(readLimit(root / "none"));
  EXPECT_EQ(readLimit(root / "b"), 4096);
}

TEST(CoreLimitsHere, ThereIsAProcessor) { EXPECT_GE(availableProcessors(), 1); }

} // namespace
} // namespace doppel::runtime::test
