#include "runtime/device/cuda/CudaDevice.h"

#include "runtime/device/cpu/Processor.h"
#include "runtime/device/cuda/CudaParts.h"
#include "runtime/device/cuda/MemoryNeeds.h"

namespace doppel::runtime::cuda {

namespace {

CUdeviceptr gpuAddress(const void *pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

/// Memory of the host that the GPU copies from and to by itself.
class PinnedMemory : public Allocation {
public:
  PinnedMemory(const Context &context, void *pages, size_t size, Memory where)
      : context(context), pages(pages), size(size), where(where) {}
  ~PinnedMemory() override {
    if (context.use())
      context.driver().cuMemFreeHost(pages);
  }
  void *data() override { return pages; }
  size_t bytes() const override { return size; }
  Memory memory() const override { return where; }

private:
  const Context &context;
  void *pages;
  size_t size;
  Memory where;
};

class CudaDevice : public Device {
public:
  Result<void> open(const LibrarySearch &search) {
    DOPPEL_TRY(context, Context::open(search, *this));
    return {};
  }

  std::string description() const override {
    const GpuInfo &gpu = context->gpu();
    std::string text = fmt::format("{} (sm_{}, {} MiB), CUDA {}", gpu.name, gpu.architecture,
                                   gpu.totalBytes >> 20, cudaVersion(context->driver().version()));
    for (const std::string &each : {remark, context->planRemark()})
      if (!each.empty())
        text += "; " + each;
    return text;
  }

  Result<void> checkTarget(const schema::Program &program) const override {
    if (program.target()->kind()->string_view() != "cuda")
      return fail("was compiled for {}, this is a GPU: {}", program.target()->kind()->string_view(),
                  compileCommand(program));
    DOPPEL_TRY([[maybe_unused]] CodeChoice choice, chooseOf(program));
    return fit(needsOf(program));
  }

  const schema::CodeSet *chooseCode(const Artifact &artifact) const override {
    auto choice = chooseOf(artifact.program());
    if (!choice)
      return nullptr;
    remark = choice->remark;
    context->setArtifact(artifact.name());
    return artifact.program().code()->Get(uint32_t(choice->offer));
  }

  /// Trying a plan takes an operand, a result and a workspace, no more than the program itself
  /// will; so they come before it.
  Result<void> prepare(const schema::Program &program) override {
    DOPPEL_CHECK(context->use());
    size_t workspace = 0;
    for (const schema::Function *function : *program.functions())
      for (const schema::Instruction *instruction : *function->instructions()) {
        auto bytes = workspaceOf(program, *instruction);
        if (!bytes)
          return std::unexpected(
              std::move(bytes.error())
                  .within(fmt::format("function '{}'", function->name()->str())));
        workspace = std::max(workspace, *bytes);
      }
    context->keepPlans();
    MemoryNeeds needs = needsOf(program);
    needs.libraries = workspace;
    DOPPEL_CHECK(fit(needs));
    return context->reserve(workspace);
  }
  Result<std::optional<DeviceMemory>> memory() const override {
    DOPPEL_CHECK(context->use());
    DOPPEL_TRY(uint64_t free, context->freeBytes());
    return DeviceMemory{free, context->gpu().totalBytes};
  }

  Result<std::unique_ptr<Allocation>> allocate(size_t bytes) override {
    DOPPEL_TRY(std::unique_ptr<GpuMemory> memory, context->allocate(bytes));
    return memory;
  }
  Result<std::unique_ptr<Allocation>> allocateHost(size_t bytes) override {
    DOPPEL_CHECK(context->use());
    void *pages = nullptr;
    DOPPEL_CHECK(context->driver().check(
        context->driver().cuMemHostAlloc(&pages, std::max<size_t>(bytes, 1),
                                         CU_MEMHOSTALLOC_PORTABLE),
        fmt::format("cannot take {} MiB of pinned memory of the host", bytes >> 20)));
    return std::make_unique<PinnedMemory>(*context, pages, bytes,
                                          Memory{Memory::Place::Host, this});
  }
  bool readsHostMemory() const override { return false; }

  Result<void> upload(const TensorRef &target, const void *source) override {
    DOPPEL_CHECK(context->use());
    DOPPEL_CHECK(expectDeviceMemory(*this, target, "the target of an upload"));
    if (target.bytes() == 0)
      return {};
    return context->driver().check(
        context->driver().cuMemcpyHtoD(gpuAddress(target.data), source, target.bytes()),
        "cannot copy to the GPU");
  }
  Result<void> download(void *target, const TensorRef &source) override {
    DOPPEL_CHECK(context->use());
    DOPPEL_CHECK(expectDeviceMemory(*this, source, "the source of a download"));
    if (source.bytes() == 0)
      return {};
    return context->driver().check(
        context->driver().cuMemcpyDtoH(target, gpuAddress(source.data), source.bytes()),
        "cannot copy from the GPU");
  }

  Result<std::unique_ptr<KernelModule>> loadModule(std::span<const std::byte> code) override {
    DOPPEL_CHECK(context->use());
    DOPPEL_TRY(std::unique_ptr<Module> module, Module::load(context->driver(), code));
    return std::make_unique<CudaModule>(*context, std::move(module));
  }
  Result<std::unique_ptr<CommandList>> makeCommandList() override {
    return std::make_unique<CudaCommandList>(*this, *context);
  }
  Result<std::unique_ptr<Stream>> makeStream() override {
    DOPPEL_TRY(std::unique_ptr<CudaStream> stream, CudaStream::make(*this, *context));
    return stream;
  }
  size_t workspaceBytes() const override { return context->workspaceBytes(); }
  int threads() const override { return 1; }

private:
  Result<CodeChoice> chooseOf(const schema::Program &program) const {
    std::vector<CodeOffer> offers;
    for (const schema::CodeSet *set : *program.code())
      offers.push_back({set->kind() == schema::CodeKind::Ptx,
                        set->architecture() ? set->architecture()->str() : ""});
    return cuda::chooseCode(offers, context->gpu());
  }

  static MemoryNeeds needsOf(const schema::Program &program) {
    MemoryNeeds needs;
    for (const schema::Arena *arena : *program.arenas())
      (arena->kind() == schema::ArenaKind::State ? needs.states : needs.step) += arena->bytes();
    return needs;
  }
  Result<void> fit(const MemoryNeeds &needs) const {
    DOPPEL_CHECK(context->use());
    DOPPEL_TRY(uint64_t free, context->freeBytes());
    return fitMemory(needs, context->gpu(), free);
  }
  /// What an instruction works in beside its buffers.
  Result<size_t> workspaceOf(const schema::Program &program,
                             const schema::Instruction &instruction) {
    auto shaped = [&](uint32_t index) {
      const schema::Buffer &buffer = *program.buffers()->Get(index);
      TensorRef tensor;
      tensor.dtype = buffer.dtype();
      if (buffer.shape())
        tensor.shape.assign(buffer.shape()->begin(), buffer.shape()->end());
      return tensor;
    };
    if (const schema::Launch *launch = instruction.operation_as_Launch()) {
      const schema::Kernel &kernel = *program.kernels()->Get(launch->kernel());
      return kernel.scratch_bytes() * size_t(kernel.grid());
    }
    if (const schema::Check *check = instruction.operation_as_Check())
      return checkBytes(context->gpu(), shaped(check->buffer()).elements());
    const schema::Call *call = instruction.operation_as_Call();
    if (!call)
      return 0;
    LibraryCall shapes{call->op(), {}, {}, {}, call->precision()};
    for (uint32_t index : *call->inputs())
      shapes.inputs.push_back(shaped(index));
    for (uint32_t index : *call->outputs())
      shapes.outputs.push_back(shaped(index));
    if (call->ints())
      shapes.ints.assign(call->ints()->begin(), call->ints()->end());
    return cuda::workspaceOf(*context, shapes);
  }

  std::unique_ptr<Context> context;
  mutable std::string remark; ///< of the code that was chosen
};

} // namespace

Result<std::unique_ptr<Device>> makeCudaDevice(const LibrarySearch &search) {
  auto device = std::make_unique<CudaDevice>();
  DOPPEL_CHECK(device->open(search));
  return device;
}

Result<std::unique_ptr<Device>> openCudaDevice(const schema::Program &, const DeviceOptions &) {
  return makeCudaDevice(usualSearch());
}

} // namespace doppel::runtime::cuda
