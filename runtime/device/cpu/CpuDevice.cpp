// Memory, the code segment and command lists of the CPU device. A kernel's workgroups are split
// evenly among OpenMP threads; the split never changes a result, since a workgroup's work does not
// depend on which thread has it.
#include "runtime/device/cpu/CpuDevice.h"

#include "runtime/device/Operands.h"

#include "runtime/core/Limits.h"
#include "runtime/device/cpu/Processor.h"
#include "runtime/schema/Abi.h"

#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <omp.h>
#include <sys/mman.h>
#include <unistd.h>

namespace doppel::runtime::cpu {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t(2) << 20;

void *allocateAligned(size_t bytes) {
  if (bytes == 0)
    bytes = kAlignment;
  void *data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED)
    return nullptr;
  if (bytes >= kHugePage)
    madvise(data, bytes, MADV_HUGEPAGE);
  return data;
}

void freeAligned(void *data, size_t bytes) {
  if (data)
    munmap(data, bytes == 0 ? kAlignment : bytes);
}

Workspace::~Workspace() { freeAligned(data_, bytes_); }

Result<void> Workspace::reserve(size_t bytes) {
  if (bytes <= bytes_)
    return {};
  void *grown = allocateAligned(bytes);
  if (!grown)
    return fail("not enough memory: {} MiB of library workspace", bytes >> 20);
  freeAligned(data_, bytes_);
  data_ = grown;
  bytes_ = bytes;
  return {};
}

namespace {

class CpuAllocation : public Allocation {
public:
  CpuAllocation(void *data, size_t bytes, Memory memory)
      : data_(data), bytes_(bytes), memory_(memory) {}
  ~CpuAllocation() override { freeAligned(data_, bytes_); }
  void *data() override { return data_; }
  size_t bytes() const override { return bytes_; }
  Memory memory() const override { return memory_; }

private:
  void *data_;
  size_t bytes_;
  Memory memory_;
};

/// Functions abi::KernelFunction.
class CpuModule : public HostKernels {
public:
  explicit CpuModule(std::unique_ptr<SharedObject> object) : object_(std::move(object)) {}

  Result<PreparedLaunch> prepare(const KernelLaunch &launch, int most) override {
    void *address = object_->find(launch.symbol);
    if (!address)
      return failInternal("the code segment has no kernel '{}'", launch.symbol);
    auto function = reinterpret_cast<abi::KernelFunction>(address);
    size_t scratch = (launch.scratchBytes + kAlignment - 1) / kAlignment * kAlignment;
    int64_t grid = launch.grid;
    int threads = int(std::min<int64_t>(most, grid));
    auto run = [=](std::span<void *const> buffers, std::span<const TensorRef>,
                   void *workspace) -> Result<void> {
      char *base = static_cast<char *>(workspace);
      if (threads <= 1) {
        function(buffers.data(), 0, grid, base);
        return {};
      }
#pragma omp parallel num_threads(threads)
      {
        int64_t thread = omp_get_thread_num(), count = omp_get_num_threads();
        int64_t begin = grid * thread / count, end = grid * (thread + 1) / count;
        if (begin < end)
          function(buffers.data(), begin, end, base + scratch * thread);
      }
      return {};
    };
    return PreparedLaunch{run, scratch * most};
  }

  Result<void> check(const KernelLaunch &launch) const override {
    return checkSignature(*object_, launch);
  }

private:
  std::unique_ptr<SharedObject> object_;
};

/// Linear index of the first value that is not finite, or -1.
int64_t firstNonFinite(const float *values, int64_t count) {
  // By blocks: within one the loop has no exit, so that it vectorises.
  constexpr int64_t kBlock = 4096;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    int64_t end = std::min(count, begin + kBlock);
    uint32_t exponent = 0;
    for (int64_t i = begin; i < end; ++i) {
      uint32_t bits = std::bit_cast<uint32_t>(values[i]) & 0x7f800000u;
      exponent |= uint32_t(bits == 0x7f800000u);
    }
    if (!exponent)
      continue;
    for (int64_t i = begin; i < end; ++i)
      if (!std::isfinite(values[i]))
        return i;
  }
  return -1;
}

/// Whatever the environment says, each parallel region of this thread gets the threads that it asks
/// for: oneDNN's barriers wait for all of them, for ever where some are missing.
void useThreads(int threads) {
  omp_set_dynamic(0);
  omp_set_max_active_levels(std::max(1, omp_get_max_active_levels()));
  omp_set_num_threads(threads);
}

/// As many threads as OpenMP gives of those `wanted`: OMP_THREAD_LIMIT binds.
int startThreads(int wanted) {
  useThreads(wanted);
  int given = 1;
#pragma omp parallel num_threads(wanted)
#pragma omp single
  given = omp_get_num_threads();
  return given;
}

class CpuCommandList : public CommandList {
public:
  CpuCommandList(const Device &device, Workspace &workspace)
      : device_(device), threads_(device.threads()), workspace_(workspace) {}

  Result<void> launch(KernelModule &module, const KernelLaunch &launch) override {
    DOPPEL_CHECK(expectOperands(device_, launch.symbol, launch.inputs, launch.outputs));
    DOPPEL_TRY(PreparedLaunch prepared,
               static_cast<HostKernels &>(module).prepare(launch, threads_));
    DOPPEL_CHECK(workspace_.reserve(prepared.workspaceBytes));
    std::vector<void *> buffers;
    for (const TensorRef &tensor : launch.inputs)
      buffers.push_back(tensor.data);
    for (const TensorRef &tensor : launch.outputs)
      buffers.push_back(tensor.data);
    size_t firstSlab = buffers.size();
    buffers.resize(firstSlab + launch.slabs.size());
    for (uint32_t slab : launch.slabs)
      slabsNeeded_ = std::max<size_t>(slabsNeeded_, slab + 1);
    append(launch.outputs, [this, firstSlab, run = std::move(prepared.run), slabs = launch.slabs,
                            given = std::vector<TensorRef>(launch.slabs.size()),
                            buffers = std::move(buffers)]() mutable {
      for (size_t i = 0; i < slabs.size(); ++i) {
        given[i] = slabs_[slabs[i]];
        buffers[firstSlab + i] = given[i].data;
      }
      return run(buffers, given, workspace_.data());
    });
    return {};
  }

  Result<void> call(const LibraryCall &call) override {
    DOPPEL_CHECK(
        expectOperands(device_, schema::EnumNameLibraryOp(call.op), call.inputs, call.outputs));
    DOPPEL_TRY(PreparedCall prepared, prepareCall(call));
    DOPPEL_CHECK(workspace_.reserve(prepared.workspaceBytes));
    append(call.outputs, [this, run = std::move(prepared.run)]() -> Result<void> {
      run(workspace_.data());
      return {};
    });
    return {};
  }

  /// A run ends at the check that fails, so nothing that is guarded comes after it.
  Result<void> copy(const TensorRef &source, const TensorRef &target, bool) override {
    DOPPEL_CHECK(expectCopy(device_, source, target));
    DOPPEL_CHECK(expectOperands(device_, "copy", {&source, 1}, {&target, 1}));
    void *to = target.data;
    const void *from = source.data;
    size_t bytes = source.bytes();
    append({target}, [=]() -> Result<void> {
      std::memmove(to, from, bytes);
      return {};
    });
    return {};
  }

  Result<void> check(const TensorRef &tensor) override {
    if (tensor.dtype != schema::DType::F32)
      return failInternal("a finite check of a buffer that is not f32");
    DOPPEL_CHECK(expectOperands(device_, "check", {&tensor, 1}, {}));
    commands_.push_back({.check = tensor, .outputs = {}, .run = {}});
    return {};
  }

  Result<std::optional<NonFinite>> run(std::span<const TensorRef> slabs) {
    DOPPEL_CHECK(begin(slabs));
    for (size_t i = 0; i < commands_.size(); ++i) {
      DOPPEL_TRY(std::optional<NonFinite> failure, execute(i));
      if (failure)
        return failure;
    }
    return std::nullopt;
  }

  Result<std::optional<NonFinite>> trace(std::span<const TensorRef> slabs) {
    DOPPEL_CHECK(begin(slabs));
    for (size_t i = 0; i < commands_.size(); ++i) {
      DOPPEL_TRY(std::optional<NonFinite> failure, execute(i));
      if (failure)
        return failure;
      for (const TensorRef &output : commands_[i].outputs)
        if (output.dtype == schema::DType::F32)
          if (int64_t at = firstNonFinite(static_cast<float *>(output.data), output.elements());
              at >= 0)
            return NonFinite{i, at};
    }
    return std::nullopt;
  }

  Result<void> time(std::span<const TensorRef> slabs, std::span<double> seconds) {
    if (seconds.size() != commands_.size())
      return failInternal("{} timers for {} commands", seconds.size(), commands_.size());
    DOPPEL_CHECK(begin(slabs));
    for (size_t i = 0; i < commands_.size(); ++i) {
      auto start = std::chrono::steady_clock::now();
      DOPPEL_CHECK(execute(i));
      seconds[i] += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
    return {};
  }

private:
  struct Entry {
    std::optional<TensorRef> check; ///< engaged for a finite check, which has no `run`
    std::vector<TensorRef> outputs;
    std::function<Result<void>()> run;
  };

  void append(std::vector<TensorRef> outputs, std::function<Result<void>()> run) {
    commands_.push_back(
        {.check = std::nullopt, .outputs = std::move(outputs), .run = std::move(run)});
  }

  Result<void> begin(std::span<const TensorRef> slabs) {
    DOPPEL_CHECK(expectSlabs(device_, slabs, slabsNeeded_));
    slabs_ = slabs;
    useThreads(threads_);
    return {};
  }

  Result<std::optional<NonFinite>> execute(size_t index) {
    Entry &entry = commands_[index];
    if (!entry.check) {
      DOPPEL_CHECK(entry.run());
      return std::nullopt;
    }
    int64_t at = firstNonFinite(static_cast<float *>(entry.check->data), entry.check->elements());
    if (at < 0)
      return std::nullopt;
    return NonFinite{index, at};
  }

  const Device &device_;
  int threads_;
  Workspace &workspace_;
  std::vector<Entry> commands_;
  size_t slabsNeeded_ = 0;
  std::span<const TensorRef> slabs_; ///< of the run that goes on
};

/// Executes what it is given before the call returns: every mark is reached. A thread of its own
/// would have a pool of OpenMP threads of its own, and nothing to do beside a step that has all
/// processors.
class CpuStream : public Stream {
public:
  explicit CpuStream(const Device &device) : device_(device) {}

  Result<void> copy(const TensorRef &source, const TensorRef &target) override {
    DOPPEL_CHECK(expectCopy(device_, source, target));
    std::memmove(target.data, source.data, source.bytes());
    return {};
  }
  Result<void> run(CommandList &list, std::span<const TensorRef> slabs) override {
    if (flag_)
      return {};
    DOPPEL_TRY(flag_, static_cast<CpuCommandList &>(list).run(slabs));
    return {};
  }
  Result<void> readFlag(std::optional<NonFinite> &target) override {
    target = flag_;
    return {};
  }
  Result<void> clearFlag() override {
    flag_.reset();
    return {};
  }
  Result<Mark> mark() override { return ++marks_; }
  Result<void> waitFor(Stream &, Mark) override { return {}; }
  bool reached(Mark) override { return true; }
  Result<void> wait(Mark) override { return {}; }
  Result<std::optional<NonFinite>> trace(CommandList &list,
                                         std::span<const TensorRef> slabs) override {
    return static_cast<CpuCommandList &>(list).trace(slabs);
  }
  Result<void> time(CommandList &list, std::span<const TensorRef> slabs,
                    std::span<double> seconds) override {
    return static_cast<CpuCommandList &>(list).time(slabs, seconds);
  }

private:
  const Device &device_;
  std::optional<NonFinite> flag_;
  Mark marks_ = 0;
};

std::string processorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name"))
      return line.substr(line.find(':') + 2);
  return "CPU";
}

class CpuDevice : public Device {
public:
  CpuDevice(int threads, HostCode code) : threads_(startThreads(threads)), code_(std::move(code)) {
    useThreads(threads_);
  }

  std::string description() const override {
    return fmt::format("{}{}, {} thread{}, oneDNN {}", code_.description, processorName(), threads_,
                       threads_ == 1 ? "" : "s", oneDnnVersion());
  }

  Result<void> checkTarget(const schema::Program &program) const override {
    return checkProcessor(program, code_.kind);
  }
  const schema::CodeSet *chooseCode(const Artifact &artifact) const override {
    return artifact.code(schema::CodeKind::Elf);
  }

  Result<std::unique_ptr<Allocation>> allocate(size_t bytes) override {
    return allocate(bytes, {Memory::Place::Device, this});
  }
  Result<std::unique_ptr<Allocation>> allocateHost(size_t bytes) override {
    return allocate(bytes, {Memory::Place::Host, this});
  }
  bool readsHostMemory() const override { return true; }

  Result<void> upload(const TensorRef &target, const void *source) override {
    DOPPEL_CHECK(expectDeviceMemory(*this, target, "the target of an upload"));
    std::memcpy(target.data, source, target.bytes());
    return {};
  }

  Result<void> download(void *target, const TensorRef &source) override {
    DOPPEL_CHECK(expectDeviceMemory(*this, source, "the source of a download"));
    std::memcpy(target, source.data, source.bytes());
    return {};
  }

  Result<std::unique_ptr<KernelModule>> loadModule(std::span<const std::byte> code) override {
    DOPPEL_TRY(std::unique_ptr<SharedObject> object, SharedObject::open(code));
    return code_.load(std::move(object));
  }

  Result<std::unique_ptr<CommandList>> makeCommandList() override {
    return std::make_unique<CpuCommandList>(*this, workspace_);
  }
  Result<std::unique_ptr<Stream>> makeStream() override {
    return std::make_unique<CpuStream>(*this);
  }

  size_t workspaceBytes() const override { return workspace_.bytes(); }
  int threads() const override { return threads_; }

private:
  Result<std::unique_ptr<Allocation>> allocate(size_t bytes, Memory memory) {
    void *data = allocateAligned(bytes);
    if (!data)
      return fail("not enough memory: {} MiB wanted", bytes >> 20);
    return std::make_unique<CpuAllocation>(data, bytes, memory);
  }

  int threads_;
  HostCode code_;
  Workspace workspace_;
};

} // namespace

Result<std::unique_ptr<SharedObject>> SharedObject::open(std::span<const std::byte> code) {
  int file = memfd_create("doppel-kernels", MFD_CLOEXEC);
  if (file < 0)
    return fail("cannot make an in-memory file for the kernels: {}", std::strerror(errno));
  size_t written = 0;
  while (written < code.size()) {
    ssize_t count = write(file, code.data() + written, code.size() - written);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0) {
      close(file);
      return fail("cannot write the kernels to memory: {}", std::strerror(errno));
    }
    written += size_t(count);
  }
  void *handle = dlopen(fmt::format("/proc/self/fd/{}", file).c_str(), RTLD_NOW | RTLD_LOCAL);
  close(file);
  if (!handle)
    return fail("cannot load the artifact's kernels: {}", dlerror());
  return std::unique_ptr<SharedObject>(new SharedObject(handle));
}

SharedObject::~SharedObject() { dlclose(handle_); }

void *SharedObject::find(const std::string &symbol) const { return dlsym(handle_, symbol.c_str()); }

Result<void> checkSignature(const SharedObject &object, const KernelLaunch &launch) {
  const std::string &name = launch.symbol;
  if (!object.find(name))
    return fail("the code segment has no kernel '{}'", name);
  auto *made = static_cast<const int64_t *>(object.find(name + abi::signatureSuffix));
  if (!made)
    return fail("the code segment does not say what kernel '{}' was compiled for: compile the "
                "spec again",
                name);
  std::vector<int64_t> asked{launch.grid, int64_t(launch.scratchBytes),
                             int64_t(launch.inputs.size()), int64_t(launch.outputs.size())};
  for (const std::vector<TensorRef> *tensors : {&launch.inputs, &launch.outputs})
    for (const TensorRef &tensor : *tensors)
      asked.push_back(int64_t(tensor.bytes()));
  constexpr const char *what[] = {"workgroups", "bytes of scratch", "inputs", "outputs"};
  // The numbers of buffers come before their bytes, so nothing is read that is not there.
  for (size_t i = 0; i < asked.size(); ++i)
    if (made[i] != asked[i])
      return fail("kernel '{}' is launched with {} {}, but was compiled for {}", name, asked[i],
                  i < 4 ? std::string(what[i]) : fmt::format("bytes of buffer {}", i - 4), made[i]);
  return {};
}

std::unique_ptr<Device> makeHostDevice(int threads, HostCode code) {
  return std::make_unique<CpuDevice>(threads > 0 ? threads : availableProcessors(),
                                     std::move(code));
}

std::unique_ptr<Device> makeCpuDevice(int threads) {
  return makeHostDevice(threads, {"cpu", "", [](std::unique_ptr<SharedObject> object) {
                                    return std::make_unique<CpuModule>(std::move(object));
                                  }});
}

Result<std::unique_ptr<Device>> openCpuDevice(const schema::Program &,
                                              const DeviceOptions &options) {
  return makeCpuDevice(options.threads);
}

} // namespace doppel::runtime::cpu
