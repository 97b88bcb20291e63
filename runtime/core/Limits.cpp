// Reads /proc/self/cgroup (which groups) and /proc/self/mountinfo (where they are mounted).
// Whatever is missing there sets no limit.
#include "runtime/core/Limits.h"

#include <algorithm>
#include <fstream>
#include <sched.h>
#include <sstream>
#include <string>
#include <unistd.h>

namespace doppel::runtime {

namespace fs = std::filesystem;

namespace {

/// Whether a list with commas holds `word`.
bool lists(std::string_view list, std::string_view word) {
  for (size_t begin = 0; begin <= list.size();) {
    size_t end = std::min(list.find(',', begin), list.size());
    if (list.substr(begin, end - begin) == word)
      return true;
    begin = end + 1;
  }
  return false;
}

/// A mounted hierarchy of groups.
struct Mount {
  std::string top;   ///< the group that is seen at the mount point
  std::string point; ///< where it is mounted
  bool unified;      ///< cgroups v2
};

/// mountinfo writes a blank as \040.
std::string unescaped(const std::string &text) {
  auto digit = [&](size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '7'; };
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      result += char((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

/// The number after `key` in a file of lines "key number ...".
std::optional<uint64_t> numberAfter(const fs::path &file, std::string_view key) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    uint64_t number = 0;
    if (line.starts_with(key) && std::istringstream(line.substr(key.size())) >> number)
      return number;
  }
  return std::nullopt;
}

std::vector<Mount> mountsOf(std::string_view controller, const fs::path &root) {
  std::vector<Mount> mounts;
  std::ifstream file(root / "proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    // id, parent, device, top, point, options, optional fields, "-", type, source, options
    std::istringstream words(line);
    std::string word, top, point, type, source, options;
    words >> word >> word >> word >> top >> point;
    while (words >> word && word != "-") {
    }
    words >> type >> source >> options;
    if (type == "cgroup2" || (type == "cgroup" && lists(options, controller)))
      mounts.push_back({unescaped(top), unescaped(point), type == "cgroup2"});
  }
  return mounts;
}

} // namespace

std::vector<fs::path> controlGroups(std::string_view controller, const fs::path &root) {
  std::vector<fs::path> folders;
  std::vector<Mount> mounts = mountsOf(controller, root);
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    // number ":" controllers, none for v2 ":" group
    size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos)
      continue;
    std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    std::string group = line.substr(second + 1);
    bool unified = controllers.empty();
    if (!unified && !lists(controllers, controller))
      continue;
    for (const Mount &mount : mounts) {
      if (mount.unified != unified)
        continue;
      // Inside of a container the mount shows a part of the hierarchy: `top` and what is below.
      std::string inner = group;
      if (mount.top != "/")
        inner = group == mount.top || group.starts_with(mount.top + "/")
                    ? group.substr(mount.top.size())
                    : "";
      fs::path point = root / fs::path(mount.point).relative_path();
      fs::path below = fs::path(inner).relative_path().lexically_normal();
      if (below == "." || (!below.empty() && *below.begin() == ".."))
        below.clear();
      for (; !below.empty(); below = below.parent_path())
        folders.push_back(point / below);
      folders.push_back(point);
      break;
    }
  }
  return folders;
}

std::optional<int64_t> readLimit(const fs::path &file) {
  int64_t number;
  if (std::ifstream stream(file); stream >> number)
    return number;
  return std::nullopt;
}

std::optional<int64_t> processorQuota(const fs::path &root) {
  std::optional<int64_t> least;
  auto take = [&](std::optional<int64_t> quota, std::optional<int64_t> period) {
    if (!quota || !period || *quota <= 0 || *period <= 0)
      return;
    int64_t processors = *quota / *period + (*quota % *period != 0);
    least = std::min(least.value_or(processors), processors);
  };
  for (const fs::path &folder : controlGroups("cpu", root)) {
    take(readLimit(folder / "cpu.cfs_quota_us"), readLimit(folder / "cpu.cfs_period_us"));
    int64_t quota, period; // "max 100000" or "50000 100000"
    if (std::ifstream file(folder / "cpu.max"); file >> quota >> period)
      take(quota, period);
  }
  return least;
}

int availableProcessors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int64_t count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set)
                                                               : sysconf(_SC_NPROCESSORS_ONLN);
  return int(std::max<int64_t>(1, std::min(count, processorQuota().value_or(count))));
}

uint64_t availableMemory(const fs::path &root) {
  uint64_t available = uint64_t(1) << 32; // where nothing is told
  if (auto free = numberAfter(root / "proc/meminfo", "MemAvailable:"))
    available = *free << 10;
  auto bound = [&](uint64_t limit, uint64_t used) {
    available = std::min(available, limit - std::min(limit, used));
  };
  for (const fs::path &group : controlGroups("memory", root)) {
    // Files that were read lately count as used, and go where memory is wanted. Of version 1 only
    // the total counts groups below.
    auto cached = numberAfter(group / "memory.stat", "total_inactive_file");
    if (!cached)
      cached = numberAfter(group / "memory.stat", "inactive_file");
    for (auto [limitName, usedName] : {std::pair{"memory.max", "memory.current"},
                                       {"memory.limit_in_bytes", "memory.usage_in_bytes"}}) {
      auto limit = readLimit(group / limitName);
      uint64_t used = uint64_t(readLimit(group / usedName).value_or(0));
      if (limit && *limit >= 0)
        bound(uint64_t(*limit), used - std::min(used, cached.value_or(0)));
    }
  }
  fs::path limits = root / "proc/self/limits", status = root / "proc/self/status";
  for (auto [name, use] : {std::pair{"Max address space", "VmSize:"}, {"Max data size", "VmData:"}})
    if (auto limit = numberAfter(limits, name))
      bound(*limit, numberAfter(status, use).value_or(0) << 10);
  return available;
}

} // namespace doppel::runtime
