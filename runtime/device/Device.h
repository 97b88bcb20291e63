// What a machine offers a program: memory, compiled kernels, library operations, command lists that
// are recorded once and replayed every step (prepared primitives on a CPU, a graph on a GPU), and
// streams that execute in order while the host goes on. Every implementation passes the suite in
// test/unit/DeviceConformance.h. Nothing here knows training. README.md has the contract.
#pragma once

#include "runtime/artifact/Artifact.h"
#include "runtime/core/Error.h"
#include "runtime/schema/program_generated.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::runtime {

class Device;

/// Where bytes lie.
struct Memory {
  enum class Place : uint8_t {
    Host,  ///< the host reads and writes it
    Device ///< kernels, library calls and copies of `device` alone
  };
  Place place = Place::Host;
  const Device *device = nullptr; ///< that allocated it; null for what is the process's own

  bool operator==(const Memory &) const = default;
};

/// A dense row-major tensor. Does not own its bytes.
struct TensorRef {
  void *data = nullptr;
  schema::DType dtype = schema::DType::Unspecified;
  std::vector<int64_t> shape;
  Memory memory = {};

  int64_t elements() const;
  size_t bytes() const;
  /// The same bytes under another shape of as many elements.
  TensorRef reshaped(std::vector<int64_t> other) const;
};

/// Bytes of the process as a tensor of u8.
TensorRef hostBytes(const void *data, size_t bytes);

/// A device's own memory as it is now, in bytes. What is not free, this process and others hold.
struct DeviceMemory {
  uint64_t free = 0, total = 0;
};

/// Memory of a device, freed with this object.
class Allocation {
public:
  virtual ~Allocation() = default;
  virtual void *data() = 0;
  virtual size_t bytes() const = 0;
  virtual Memory memory() const = 0;
};

struct KernelLaunch {
  std::string symbol;
  int64_t grid = 0;        ///< workgroups
  size_t scratchBytes = 0; ///< for each thread, aligned to 64
  std::vector<TensorRef> inputs;
  std::vector<TensorRef> outputs;
  /// For each input of images, in order, which slab of a run its offsets count from: what the
  /// kernel gets behind its buffers.
  std::vector<uint32_t> slabs = {};
  /// Writes states: does nothing while the flag is set.
  bool guarded = false;
  uint32_t threads = 1;     ///< of a workgroup
  uint32_t sharedBytes = 0; ///< that they share
  /// What it computes and where in the spec, for messages: "softmax(x) at a.dpl:3:5"; may be empty.
  std::string place = {};
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
  /// What a device may round operands of products to; computing in more is always right.
  schema::Precision precision = schema::Precision::F32;
};

/// Where a value was found that is not finite.
struct NonFinite {
  size_t command;  ///< its place in the list
  int64_t element; ///< linear index of the first such value
};

/// A sequence of commands. Recording prepares each (primitives, memory); a stream runs them in
/// order. Tensors must lie in memory of the device, or recording fails.
class CommandList {
public:
  virtual ~CommandList() = default;
  virtual Result<void> launch(KernelModule &module, const KernelLaunch &launch) = 0;
  virtual Result<void> call(const LibraryCall &call) = 0;
  /// `guarded`: writes states, so does nothing while the flag is set.
  virtual Result<void> copy(const TensorRef &source, const TensorRef &target, bool guarded) = 0;
  /// Sets the stream's flag if a value of `tensor` (f32) is not finite, unless it is set. From then
  /// on no guarded command of any run writes, until the host clears the flag.
  virtual Result<void> check(const TensorRef &tensor) = 0;
};

/// A place in a stream: all that was put into it before.
using Mark = uint64_t;

/// Work in order. What a call puts into it is done at some time between the call and the return of
/// wait() for a mark behind it; host memory and slabs must stay until then. A stream has one flag.
/// Streams of a device know nothing of each other but by waitFor().
class Stream {
public:
  virtual ~Stream() = default;
  /// Between memory of the host and memory of the device, or within either.
  virtual Result<void> copy(const TensorRef &source, const TensorRef &target) = 0;
  /// Runs a list with these slabs (u8): in memory of the device, or of the host where the device
  /// readsHostMemory(). A device that recorded addresses records again where they change.
  virtual Result<void> run(CommandList &list, std::span<const TensorRef> slabs) = 0;
  /// The flag as it is at this place, to `target` of the host.
  virtual Result<void> readFlag(std::optional<NonFinite> &target) = 0;
  virtual Result<void> clearFlag() = 0;

  virtual Result<Mark> mark() = 0;
  /// What comes later in this stream waits for a mark of another one of the device.
  virtual Result<void> waitFor(Stream &other, Mark mark) = 0;
  virtual bool reached(Mark mark) = 0;
  virtual Result<void> wait(Mark mark) = 0;

  /// Like run(), command by command, with a look at the outputs of each: which made the first value
  /// that is not finite; later ones are not executed. Waits; heeds no flag and sets none.
  virtual Result<std::optional<NonFinite>> trace(CommandList &list,
                                                 std::span<const TensorRef> slabs) = 0;
  /// Like run(), and adds each command's seconds to `seconds` (one element a command). Waits.
  virtual Result<void> time(CommandList &list, std::span<const TensorRef> slabs,
                            std::span<double> seconds) = 0;
};

/// A device outlives all that it made.
class Device {
public:
  virtual ~Device() = default;
  /// "AMD EPYC, 2 threads, oneDNN 2.6.0 (AVX-512)".
  virtual std::string description() const = 0;
  /// Fails where this machine cannot run what the program was compiled for; the error says what it
  /// lacks and how to compile for it.
  virtual Result<void> checkTarget(const schema::Program &program) const = 0;
  /// Which of the artifact's ways to run its kernels fits this machine best; null where none does.
  virtual const schema::CodeSet *chooseCode(const Artifact &artifact) const = 0;
  /// Chooses how libraries do the calls of a program, and takes what calls and kernels work in,
  /// before the program's own memory is taken: what does not fit is told before anything else is
  /// begun. After chooseCode().
  virtual Result<void> prepare(const schema::Program &program) { return {}; }
  /// Absent where the device's memory is the host's.
  virtual Result<std::optional<DeviceMemory>> memory() const { return std::nullopt; }
  /// Zeroed memory of the device, aligned to 64 bytes.
  virtual Result<std::unique_ptr<Allocation>> allocate(size_t bytes) = 0;
  /// Memory of the host that streams copy from and to without a detour (pinned), aligned to 64
  /// bytes. Not zeroed.
  virtual Result<std::unique_ptr<Allocation>> allocateHost(size_t bytes) = 0;
  /// Whether kernels read slabs wherever the host has them, so that pictures need not be copied.
  virtual bool readsHostMemory() const = 0;
  /// From and to memory of the device that no stream is using now; done on return.
  virtual Result<void> upload(const TensorRef &target, const void *source) = 0;
  virtual Result<void> download(void *target, const TensorRef &source) = 0;
  /// Loads a code segment (an ELF shared object on a CPU).
  virtual Result<std::unique_ptr<KernelModule>> loadModule(std::span<const std::byte> code) = 0;
  virtual Result<std::unique_ptr<CommandList>> makeCommandList() = 0;
  virtual Result<std::unique_ptr<Stream>> makeStream() = 0;
  /// Memory that libraries and kernels use beside the program's arenas.
  virtual size_t workspaceBytes() const = 0;
  /// Threads of the host that compute; the bits of a library's results may follow their number.
  virtual int threads() const = 0;
};

/// Fails unless `tensor` lies in memory of `device`; `what` names it.
Result<void> expectDeviceMemory(const Device &device, const TensorRef &tensor,
                                std::string_view what);
/// Fails unless a stream of `device` may copy between them: memory of the host or of the device, as
/// many bytes.
Result<void> expectCopy(const Device &device, const TensorRef &source, const TensorRef &target);
/// Fails unless there are as many as the launches of a list need, each where kernels may read it.
Result<void> expectSlabs(const Device &device, std::span<const TensorRef> slabs, size_t needed);

struct DeviceOptions {
  int threads = 0; ///< of the host; 0: availableProcessors()
};

/// Makes a device for programs like `program`, or says what this machine lacks and the way out.
using DeviceFactory = std::function<Result<std::unique_ptr<Device>>(const schema::Program &program,
                                                                    const DeviceOptions &options)>;

/// From now on programs whose target is of this kind are run by `make`, or by none if it is empty.
void registerDevice(std::string kind, DeviceFactory make);
/// Opens the device of the kind that the program's target names. Fails where this program knows
/// none, or the machine has none. What the code needs of it, Device::checkTarget() says.
Result<std::unique_ptr<Device>> openDevice(const schema::Program &program,
                                           const DeviceOptions &options = {});

} // namespace doppel::runtime
