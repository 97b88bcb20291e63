// What a machine offers a program: memory, compiled kernels, library operations, and command lists
// that are recorded once and replayed every step (prepared primitives on a CPU, a graph on a GPU).
// Every implementation passes the suite in test/unit/DeviceConformance.h. Nothing here knows
// training.
#pragma once

#include "runtime/artifact/Artifact.h"
#include "runtime/core/Error.h"
#include "runtime/schema/program_generated.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace doppel::runtime {

/// A dense row-major tensor in device memory. Does not own its bytes.
struct TensorRef {
  void *data = nullptr;
  schema::DType dtype = schema::DType::Unspecified;
  std::vector<int64_t> shape;

  int64_t elements() const;
  size_t bytes() const;
};

/// Device memory, freed with this object.
class Allocation {
public:
  virtual ~Allocation() = default;
  virtual void *data() = 0;
  virtual size_t bytes() const = 0;
};

struct KernelLaunch {
  std::string symbol;
  int64_t grid = 0;        ///< workgroups
  size_t scratchBytes = 0; ///< for each thread, aligned to 64
  std::vector<TensorRef> inputs;
  std::vector<TensorRef> outputs;
};

/// The functions of an artifact's code segment.
class KernelModule {
public:
  virtual ~KernelModule() = default;
  /// Fails unless the segment has that kernel and was compiled for such a launch: grid, scratch,
  /// number of buffers and the bytes of each.
  virtual Result<void> check(const KernelLaunch &launch) const { return {}; }
};

/// Operands and `ints` of each operation: dialects/plan/README.md, "Calls".
struct LibraryCall {
  schema::LibraryOp op = schema::LibraryOp::Unspecified;
  std::vector<TensorRef> inputs;
  std::vector<TensorRef> outputs;
  std::vector<int64_t> ints;
};

/// The first command of a run that a finite check stopped at.
struct NonFinite {
  size_t command;   ///< its place in the list
  std::string what; ///< the name given to the check, or empty where a trace found it
  int64_t element;  ///< linear index of the first such value
};

/// A sequence of commands. Recording prepares each (primitives, memory); `run` executes them in
/// order.
class CommandList {
public:
  virtual ~CommandList() = default;
  virtual Result<void> launch(KernelModule &module, const KernelLaunch &launch) = 0;
  virtual Result<void> call(const LibraryCall &call) = 0;
  virtual Result<void> copy(const TensorRef &source, const TensorRef &target) = 0;
  /// Stops a run here if a value of `tensor` (f32) is not finite.
  virtual Result<void> check(const TensorRef &tensor, std::string what) = 0;

  /// Executes all commands. An engaged result tells which check failed; later commands were not
  /// executed.
  virtual Result<std::optional<NonFinite>> run() = 0;
  /// Like `run`, but looks at the outputs of every command: which made the first value that is not
  /// finite.
  virtual Result<std::optional<NonFinite>> runTraced() = 0;
  /// Like `run`, and adds each command's seconds to `seconds` (one element a command).
  virtual Result<void> runTimed(std::span<double> seconds) = 0;
};

class Device {
public:
  virtual ~Device() = default;
  /// "AMD EPYC, 2 threads, oneDNN 2.6.0 (AVX-512)".
  virtual std::string description() const = 0;
  /// Fails where this machine cannot run what the program was compiled for; the error says what it
  /// lacks and how to compile for it.
  virtual Result<void> checkTarget(const schema::Program &program) const = 0;
  /// Zeroed memory, aligned to 64 bytes.
  virtual Result<std::unique_ptr<Allocation>> allocate(size_t bytes) = 0;
  virtual Result<void> upload(void *target, const void *source, size_t bytes) = 0;
  virtual Result<void> download(void *target, const void *source, size_t bytes) = 0;
  /// Loads a code segment (an ELF shared object on a CPU).
  virtual Result<std::unique_ptr<KernelModule>> loadModule(std::span<const std::byte> code) = 0;
  virtual Result<std::unique_ptr<CommandList>> makeCommandList() = 0;
  /// Memory that libraries and kernels use beside the program's arenas.
  virtual size_t workspaceBytes() const = 0;
  /// Threads of the host that compute; the bits of a library's results may follow their number.
  virtual int threads() const = 0;
};

/// The CPU device. `threads` 0 takes availableProcessors(). OpenMP may give fewer than wanted
/// (OMP_THREAD_LIMIT): threads() tells.
std::unique_ptr<Device> makeCpuDevice(int threads = 0);

} // namespace doppel::runtime
