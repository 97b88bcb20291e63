// A stand-in for NVIDIA's driver: memory is the host's, launches call what a test gave for a
// kernel's name, and every call is written down in order. Built as a libcuda.so.1 of its own, which
// tests open by LibrarySearch::first; `recordingOf` finds the switches behind it. In a process of
// its own (`doppel run`, which finds it by LD_LIBRARY_PATH) DOPPEL_STAND_IN sets them: see
// RecordingDriver.cpp.
#pragma once

#include "runtime/device/cuda/Driver.h"

#include <dlfcn.h>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace doppel::test {

struct Recording {
  // What the machine has.
  int version = 12040;
  CUresult initStatus = CUDA_SUCCESS;
  int devices = 1;
  int architecture = 90;
  int multiprocessors = 132;
  size_t totalBytes = size_t(80) << 30;
  size_t othersBytes = 0;    ///< that other processes hold
  bool acceptsCubins = true; ///< else they are of another architecture
  bool acceptsPtx = true;
  CUresult moduleStatus = CUDA_SUCCESS; ///< of loading any module
  std::string jitLog;                   ///< what is said where one is not loaded

  // What goes wrong. Calls and allocations are counted from 0; -1: never.
  int failAllocation = -1;
  int loseAtCall = -1; ///< this call and all later ones fail
  CUresult lostStatus = CUDA_ERROR_LAUNCH_FAILED;
  std::string faultCall; ///< the call of this name and number fails,
  int faultAt = 0;
  CUresult faultStatus = CUDA_ERROR_LAUNCH_FAILED; ///< and all later ones, but for short memory
  /// Work is as late as it may be: an event is reached when somebody has waited.
  bool late = false;

  /// By kernel name: runs at a launch, with the kernel's parameters and grid.
  struct Launch {
    std::string kernel;
    unsigned blocks, threads, sharedBytes;
    std::vector<void *> pointers;
  };
  std::map<std::string, std::function<void(const Launch &)>> kernels;
  /// Number of pointers that a kernel takes; a launch of any other is an error.
  std::map<std::string, size_t> parameters;

  // What was done. A call is its function and what tells it from others: "cuMemAlloc 4096",
  // "cuLaunchKernel k 3x128 on stream 1 (captured)".
  std::vector<std::string> calls;
  std::string ptx; ///< the last that was loaded
  size_t allocatedBytes = 0;
  size_t liveAllocations = 0;
  int allocations = 0;

  /// Calls whose text begins so.
  size_t count(std::string_view begin) const {
    size_t found = 0;
    for (const std::string &call : calls)
      found += call.starts_with(begin);
    return found;
  }
};

/// The recording of a stand-in in `folder`, fresh: as if the process had just started.
inline Recording &recordingOf(const std::string &folder) {
  void *library = dlopen((folder + "/libcuda.so.1").c_str(), RTLD_NOW | RTLD_LOCAL);
  auto fresh = reinterpret_cast<Recording *(*)()>(dlsym(library, "doppelFreshRecording"));
  return *fresh();
}

} // namespace doppel::test
