// The parts of the CUDA device, which know each other: the context with its memory and libraries,
// command lists that become graphs, streams.
#pragma once

#include "runtime/device/Device.h"
#include "runtime/device/cuda/CublasLt.h"
#include "runtime/device/cuda/Modules.h"
#include "runtime/device/cuda/PlanCache.h"

#include <deque>
#include <map>

namespace doppel::runtime::cuda {

/// Memory of the GPU, freed with this object.
class GpuMemory : public Allocation {
public:
  /// `taken` counts the bytes of all that live.
  GpuMemory(const Driver &driver, CUdeviceptr address, size_t size, Memory where, uint64_t &taken)
      : driver(driver), address(address), size(size), where(where), taken(taken) {
    taken += size;
  }
  GpuMemory(const GpuMemory &) = delete;
  GpuMemory &operator=(const GpuMemory &) = delete;
  ~GpuMemory() override {
    driver.cuMemFree(address);
    taken -= size;
  }
  void *data() override { return reinterpret_cast<void *>(address); }
  size_t bytes() const override { return size; }
  Memory memory() const override { return where; }

private:
  const Driver &driver;
  CUdeviceptr address;
  size_t size;
  Memory where;
  uint64_t &taken;
};

/// One GPU's context, and what all lists and streams of it share.
class Context {
public:
  static Result<std::unique_ptr<Context>> open(const LibrarySearch &search, const Device &device);
  Context(const Context &) = delete;
  Context &operator=(const Context &) = delete;
  ~Context();

  const Driver &driver() const { return *driver_; }
  const GpuInfo &gpu() const { return gpu_; }
  /// Makes the context that of this thread. Everything here needs it.
  Result<void> use() const {
    return driver_->check(driver_->cuCtxSetCurrent(context), "cannot use the GPU");
  }
  /// What is captured, and what runs command by command, is put on this one.
  CUstream recording() const { return recording_; }
  Result<uint64_t> freeBytes() const;
  /// Zeroed.
  Result<std::unique_ptr<GpuMemory>> allocate(size_t bytes);

  /// At least so many bytes for one command at a time. Where it moves, graphs are captured again
  /// (`workspaceMoves`); waits for all that use it.
  Result<void> reserve(size_t bytes);
  void *workspace() const { return workspace_ ? workspace_->data() : nullptr; }
  size_t workspaceBytes() const { return workspace_ ? workspace_->bytes() : 0; }
  uint64_t workspaceMoves() const { return moves; }
  /// Commands of two streams would meet in the workspace: what comes next in `stream` waits for
  /// what was put into another one, until release().
  Result<void> acquire(CUstream stream);
  Result<void> release(CUstream stream);

  /// Takes a module's reserved kernels (GpuAbi.h), if it has them, until it is withdrawn.
  void offer(const Module &module);
  void withdraw(const Module &module);
  Result<CUfunction> reserved(const char *kernel) const;

  /// Where plans of cuDNN are kept; none are where there is no such file.
  void setArtifact(std::filesystem::path path) { artifact = std::move(path); }
  /// The same for the same sizes: a program has many layers of one.
  Result<std::shared_ptr<ConvolutionPlan>> planOf(const Convolution &convolution);
  Result<std::shared_ptr<ProductPlan>> planOf(const Product &product);
  /// Writes the plans that were chosen; a folder that cannot be written costs the next run its
  /// time.
  void keepPlans();
  /// A sentence where plans that were kept are of no use, else empty.
  std::string planRemark() const { return cache ? cache->remark() : ""; }

private:
  explicit Context(const LibrarySearch &search, const Device &device)
      : search(search), device(device) {}
  Result<void> openCudnn();
  Result<bool> givesTheSameTwice(
      size_t inputBytes, size_t outputBytes, size_t workspaceBytes,
      const std::function<Result<void>(const void *input, void *output, void *workspace)> &run);
  Result<uint64_t> digest(const void *memory, size_t bytes) const;

  LibrarySearch search;
  const Device &device;
  std::unique_ptr<Driver> driver_;
  GpuInfo gpu_;
  CUcontext context = nullptr;
  CUstream recording_ = nullptr;
  uint64_t taken = 0; ///< bytes of the GPU's memory, by this process
  std::unique_ptr<GpuMemory> workspace_;
  uint64_t moves = 0;
  CUstream lastUser = nullptr;
  CUevent lastUse = nullptr;
  std::multimap<std::string, std::pair<const Module *, CUfunction>> reserved_;
  std::filesystem::path artifact;
  std::unique_ptr<Cudnn> cudnn;
  std::unique_ptr<PlanCache> cache;
  std::unique_ptr<CublasLt> cublasLt;
  std::map<std::string, std::shared_ptr<ConvolutionPlan>> convolutions; ///< by key, as products
  std::map<std::string, std::shared_ptr<ProductPlan>> products;
};

/// Chooses how a library does a call, of which no more than the shapes is looked at: bytes of the
/// workspace that it wants.
Result<size_t> workspaceOf(Context &context, const LibraryCall &call);
/// Bytes that a check of so many values works in.
size_t checkBytes(const GpuInfo &gpu, int64_t elements);

/// What commands are put on the recording stream with.
struct Placement {
  std::span<const TensorRef> slabs;
  void *guard;     ///< the flag that guarded commands heed; null: none
  void *checkFlag; ///< that checks set
};

class CudaModule : public KernelModule {
public:
  CudaModule(Context &context, std::unique_ptr<Module> code)
      : module(std::move(code)), context(context) {
    context.offer(*module);
  }
  ~CudaModule() override { context.withdraw(*module); }
  Result<void> check(const KernelLaunch &launch) const override;
  const std::unique_ptr<Module> module;

private:
  Context &context;
};

class CudaCommandList : public CommandList {
public:
  CudaCommandList(const Device &device, Context &context) : device(device), context(context) {}
  ~CudaCommandList() override;

  Result<void> launch(KernelModule &module, const KernelLaunch &launch) override;
  Result<void> call(const LibraryCall &call) override;
  Result<void> copy(const TensorRef &source, const TensorRef &target, bool guarded) override;
  Result<void> check(const TensorRef &tensor) override;

  size_t size() const { return commands.size(); }
  Result<void> expect(std::span<const TensorRef> slabs) const {
    return expectSlabs(device, slabs, slabsNeeded);
  }
  /// Puts one command on the recording stream.
  Result<void> enqueue(size_t command, const Placement &placement) {
    return commands[command].enqueue(placement);
  }
  /// Puts checks of a command's outputs of f32 on it, under the command's number.
  Result<void> checkOutputs(size_t command, const Placement &placement);
  /// The list as a graph with these addresses, captured where there is none yet.
  Result<CUgraphExec> graph(const Placement &placement);

private:
  struct Command {
    std::vector<TensorRef> outputs;
    std::function<Result<void>(const Placement &)> enqueue;
  };
  /// A capture and the addresses that it holds.
  struct Captured {
    CUgraphExec exec = nullptr;
    std::vector<void *> slabs;
    uint64_t workspaceMoves = 0;
  };
  Result<std::function<Result<void>(const Placement &)>> checkOf(const TensorRef &tensor,
                                                                 size_t command);
  /// Launches `blocks` blocks of a kernel with arguments of 64 bits each.
  Result<void> put(CUfunction function, const std::string &name, uint64_t blocks, unsigned threads,
                   std::vector<uint64_t> arguments);
  Result<CUgraphExec> capture(const Placement &placement);

  const Device &device;
  Context &context;
  std::vector<Command> commands;
  size_t slabsNeeded = 0;
  std::map<void *, Captured> captures; ///< by the flag, which is its stream's
};

class CudaStream : public Stream {
public:
  static Result<std::unique_ptr<CudaStream>> make(const Device &device, Context &context);
  ~CudaStream() override;

  Result<void> copy(const TensorRef &source, const TensorRef &target) override;
  Result<void> run(CommandList &list, std::span<const TensorRef> slabs) override;
  Result<void> readFlag(std::optional<NonFinite> &target) override;
  Result<void> clearFlag() override;
  Result<Mark> mark() override;
  Result<void> waitFor(Stream &other, Mark mark) override;
  bool reached(Mark mark) override;
  Result<void> wait(Mark mark) override;
  Result<std::optional<NonFinite>> trace(CommandList &list,
                                         std::span<const TensorRef> slabs) override;
  Result<void> time(CommandList &list, std::span<const TensorRef> slabs,
                    std::span<double> seconds) override;

private:
  CudaStream(const Device &device, Context &context) : device(device), context(context) {}
  /// A flag that is on its way to the host.
  struct Reading {
    std::optional<NonFinite> *target;
    uint64_t *slot; ///< pinned
    Mark end;       ///< the first mark behind it
  };
  Result<void> check(CUresult status, std::string_view what) const {
    return context.driver().check(status, what);
  }
  Result<void> synchronize();
  void settle(Mark mark);
  CUevent eventOf(Mark mark) const;

  const Device &device;
  Context &context;
  CUstream handle = nullptr;
  std::unique_ptr<GpuMemory> flag, traceFlag;
  std::deque<std::pair<Mark, CUevent>> events; ///< of marks that nobody waited for yet
  Mark last = 0, done = 0;
  std::deque<Reading> readings;
  std::vector<uint64_t *> freeSlots;
};

/// What a flag says.
std::optional<NonFinite> decodeFlag(uint64_t flag);

} // namespace doppel::runtime::cuda
