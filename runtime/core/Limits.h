// What the system lets this process use: processors by affinity and by the quota of its control
// groups, memory by their limits and by `ulimit`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

namespace doppel::runtime {

/// The folders with the limits that a controller ("cpu", "memory") sets to this process: its own
/// control group's first, then those above it, of cgroups v2 and v1 alike. Empty where none is
/// mounted. `root` is the folder that holds proc and the mount points; tests have their own.
std::vector<std::filesystem::path> controlGroups(std::string_view controller,
                                                 const std::filesystem::path &root = "/");

/// The number that a control group's file begins with; none where there is no such file, or it says
/// "max".
std::optional<int64_t> readLimit(const std::filesystem::path &file);

/// Processors' worth of time that the CFS quotas of all groups leave, rounded up; none where there
/// is no quota.
std::optional<int64_t> processorQuota(const std::filesystem::path &root = "/");

/// Threads that can run at once: the processors of the affinity mask, at most the quota, at least
/// 1. A thread beyond the quota would spin at barriers while the others are throttled.
int availableProcessors();

/// Bytes that this process may still take before the system refuses them or ends it: the least of
/// what is free on the machine, of every control group (its use without the files cached for it),
/// and of `ulimit -v` and `-d`.
uint64_t availableMemory(const std::filesystem::path &root = "/");

} // namespace doppel::runtime
