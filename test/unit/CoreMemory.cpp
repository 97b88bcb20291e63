// Memory that a process may take: the least limit on the way up, of either version of control
// groups, and of `ulimit`, on a machine that the test writes down.

#include "DataFixtures.h"
#include "runtime/core/Limits.h"
#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace doppel::runtime;
using namespace doppel::runtime::fixtures;

namespace {

constexpr uint64_t kMiB = uint64_t(1) << 20;

struct Machine : TemporaryFolder {
  void put(const std::string &name, const std::string &text) const {
    write(name, {reinterpret_cast<const uint8_t *>(text.data()), text.size()});
  }
  /// 8,000 MiB are free, and no limit is set.
  Machine() {
    put("proc/meminfo", "MemTotal: 16384000 kB\nMemFree: 1024 kB\nMemAvailable:    8192000 kB\n");
    put("proc/self/status", "Name:\tdoppel\nVmSize:\t  204800 kB\nVmData:\t  102400 kB\n");
    put("proc/self/limits",
        "Limit                     Soft Limit           Hard Limit           Units\n"
        "Max data size             unlimited            unlimited            bytes\n"
        "Max address space         unlimited            unlimited            bytes\n");
  }
  void second(const std::string &group, const std::string &mounted = "/") const {
    put("proc/self/cgroup", "0::" + group + "\n");
    put("proc/self/mountinfo", "25 20 0:22 / /proc rw - proc proc rw\n30 25 0:26 " + mounted +
                                   " /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n");
  }
  uint64_t mebibytes() const { return availableMemory(path()) / kMiB; }
};

TEST(CoreMemory, WithoutGroupsItIsWhatTheMachineHasFree) {
  Machine machine;
  EXPECT_EQ(machine.mebibytes(), 8000u);
}

TEST(CoreMemory, TheLeastGroupOnTheWayUpCounts) {
  Machine machine;
  machine.second("/slurm/job/step");
  machine.put("sys/fs/cgroup/slurm/job/step/memory.max", "max\n");
  machine.put("sys/fs/cgroup/slurm/job/step/memory.current", "1048576\n");
  EXPECT_EQ(machine.mebibytes(), 8000u);
  machine.put("sys/fs/cgroup/slurm/memory.max", fmt::format("{}\n", 900 * kMiB));
  machine.put("sys/fs/cgroup/slurm/memory.current", fmt::format("{}\n", 300 * kMiB));
  EXPECT_EQ(machine.mebibytes(), 600u);
  machine.put("sys/fs/cgroup/slurm/job/memory.max", fmt::format("{}\n", 500 * kMiB));
  machine.put("sys/fs/cgroup/slurm/job/memory.current", fmt::format("{}\n", 80 * kMiB));
  EXPECT_EQ(machine.mebibytes(), 420u);
  // Files in the cache give way.
  machine.put("sys/fs/cgroup/slurm/job/memory.stat",
              fmt::format("anon 5\ninactive_file {}\n", 50 * kMiB));
  EXPECT_EQ(machine.mebibytes(), 470u);
  machine.put("sys/fs/cgroup/slurm/job/memory.current", fmt::format("{}\n", 700 * kMiB));
  EXPECT_EQ(machine.mebibytes(), 0u) << "more used than allowed";
}

TEST(CoreMemory, TheRootOfAContainerAndAnotherGroupsMountCount) {
  Machine machine;
  machine.second("/", "/");
  machine.put("sys/fs/cgroup/memory.max", fmt::format("{}\n", 700 * kMiB));
  EXPECT_EQ(machine.mebibytes(), 700u);
  // The host's name of the group, where that group alone is mounted.
  machine.second("/docker/abc/inner", "/docker/abc");
  EXPECT_EQ(machine.mebibytes(), 700u);
  machine.put("sys/fs/cgroup/inner/memory.max", fmt::format("{}\n", 300 * kMiB));
  EXPECT_EQ(machine.mebibytes(), 300u);
  machine.second("/../../other", "/");
  EXPECT_EQ(machine.mebibytes(), 700u);
}

TEST(CoreMemory, VersionOneIsRead) {
  Machine machine;
  machine.put("proc/self/cgroup", "12:cpu,cpuacct:/a\n5:memory:/a/b\n0::/\n");
  machine.put("proc/self/mountinfo",
              "33 25 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
              "34 25 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  std::string limit = "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes";
  machine.put(limit, "9223372036854771712\n");
  EXPECT_EQ(machine.mebibytes(), 8000u);
  machine.put(limit, fmt::format("{}\n", 400 * kMiB));
  machine.put("sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", fmt::format("{}\n", 100 * kMiB));
  machine.put("sys/fs/cgroup/memory/a/b/memory.stat",
              fmt::format("inactive_file 7\ntotal_inactive_file {}\n", 10 * kMiB));
  EXPECT_EQ(machine.mebibytes(), 310u);
  EXPECT_EQ(controlGroups("cpu", machine.path()),
            (std::vector<std::filesystem::path>{machine.path("sys/fs/cgroup/cpu,cpuacct/a"),
                                                machine.path("sys/fs/cgroup/cpu,cpuacct")}));
}

TEST(CoreMemory, UlimitCountsWithoutWhatIsTakenAlready) {
  Machine machine;
  machine.put(
      "proc/self/limits",
      fmt::format("Max data size             unlimited            unlimited            bytes\n"
                  "Max address space         {}            unlimited            bytes\n",
                  1000 * kMiB));
  EXPECT_EQ(machine.mebibytes(), 800u);
  machine.put("proc/self/limits",
              fmt::format("Max data size             {}            unlimited            bytes\n",
                          150 * kMiB));
  EXPECT_EQ(machine.mebibytes(), 50u);
}

TEST(CoreMemory, OfThisMachineAreMoreThanNothing) { EXPECT_GT(availableMemory(), 0u); }

} // namespace
