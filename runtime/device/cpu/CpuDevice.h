// The CPU device: kernels are functions of an ELF object, library operations are oneDNN's, both on
// one pool of OpenMP threads.
#pragma once

#include "runtime/device/Device.h"

#include <functional>

namespace doppel::runtime::cpu {

/// Memory shared by all commands of a device, as large as the greediest needs: commands run one
/// after another.
class Workspace {
public:
  ~Workspace();
  /// Makes at least `bytes` available from the next `data()` on. Pointers from before are invalid.
  Result<void> reserve(size_t bytes);
  void *data() const { return data_; }
  size_t bytes() const { return bytes_; }

private:
  void *data_ = nullptr;
  size_t bytes_ = 0;
};

/// One prepared command.
using Command = std::function<void()>;

/// What preparing a library call gives: what to run, and how much of the device's workspace the run
/// needs at its start.
struct PreparedCall {
  std::function<void(void *workspace)> run;
  size_t workspaceBytes = 0;
};

/// Prepares an operation of oneDNN (or, for random_permutation, our own). Fails on shapes that
/// oneDNN refuses.
Result<PreparedCall> prepareCall(const LibraryCall &call);

/// The version of oneDNN in use: "2.6.0".
std::string oneDnnVersion();

/// The registry's way to a CPU.
Result<std::unique_ptr<Device>> openCpuDevice(const schema::Program &program,
                                              const DeviceOptions &options);

/// `threads` 0 takes availableProcessors(). OpenMP may give fewer than wanted (OMP_THREAD_LIMIT):
/// threads() tells.
std::unique_ptr<Device> makeCpuDevice(int threads = 0);

/// 64-byte aligned zeroed memory, in huge pages where it is large. Null when there is none.
void *allocateAligned(size_t bytes);
void freeAligned(void *data, size_t bytes);

} // namespace doppel::runtime::cpu
