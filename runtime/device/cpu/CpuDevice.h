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

/// What preparing a library call gives: what to run, and how much of the device's workspace the run
/// needs at its start.
struct PreparedCall {
  std::function<void(void *workspace)> run;
  size_t workspaceBytes = 0;
};

/// A kernel of a shared object, ready to be launched.
struct PreparedLaunch {
  /// `buffers`: one base address an argument, slabs behind outputs; `slabs`: the latter's tensors.
  std::function<Result<void>(std::span<void *const> buffers, std::span<const TensorRef> slabs,
                             void *workspace)>
      run;
  size_t workspaceBytes = 0;
};

/// A code segment opened from memory.
class SharedObject {
public:
  static Result<std::unique_ptr<SharedObject>> open(std::span<const std::byte> code);
  SharedObject(const SharedObject &) = delete;
  SharedObject &operator=(const SharedObject &) = delete;
  ~SharedObject();
  /// Null where there is none of the name.
  void *find(const std::string &symbol) const;

private:
  explicit SharedObject(void *handle) : handle_(handle) {}
  void *handle_;
};

/// Fails unless the object has that kernel and says that it was compiled for such a launch
/// (abi::signatureSuffix).
Result<void> checkSignature(const SharedObject &object, const KernelLaunch &launch);

/// The kernels of a shared object, and how they are run: as functions of vectors, or as threads of
/// blocks.
class HostKernels : public KernelModule {
public:
  /// `threads` of the host take part.
  virtual Result<PreparedLaunch> prepare(const KernelLaunch &launch, int threads) = 0;
};

/// What a device of host memory and oneDNN adds to a CPU's: its code.
struct HostCode {
  std::string kind;        ///< of the targets that it runs: "cpu"
  std::string description; ///< before the processor's: "simulator of sm_80 on "; empty for a CPU
  std::function<Result<std::unique_ptr<HostKernels>>(std::unique_ptr<SharedObject>)> load;
};

/// A device whose kernels `code` runs. See makeCpuDevice.
std::unique_ptr<Device> makeHostDevice(int threads, HostCode code);

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
