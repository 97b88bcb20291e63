// What all lists and streams of a GPU share: its context, memory, workspace, libraries.
#include "runtime/device/cuda/CudaParts.h"
#include "runtime/schema/Abi.h"
#include "runtime/schema/GpuAbi.h"

#include <algorithm>
#include <xxhash.h>

namespace doppel::runtime::cuda {

namespace {

/// What one library call may take: cuBLAS wants 32 MB on Hopper, cuDNN's strict f32 more.
constexpr size_t workspaceLimit = size_t(256) << 20;

CUdeviceptr gpuAddress(const void *pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

} // namespace

Result<std::unique_ptr<Context>> Context::open(const LibrarySearch &search, const Device &device) {
  std::unique_ptr<Context> made(new Context(search, device));
  DOPPEL_TRY(made->driver_, Driver::open(search));
  const Driver &driver = *made->driver_;
  DOPPEL_TRY(std::vector<GpuInfo> gpus, driver.gpus());
  made->gpu_ = gpus.front();
  DOPPEL_CHECK(driver.check(driver.cuDevicePrimaryCtxRetain(&made->context, made->gpu_.ordinal),
                            fmt::format("cannot start {}", made->gpu_.name)));
  DOPPEL_CHECK(made->use());
  DOPPEL_CHECK(driver.check(driver.cuStreamCreate(&made->recording_, CU_STREAM_NON_BLOCKING),
                            "cannot make a stream"));
  DOPPEL_CHECK(driver.check(driver.cuEventCreate(&made->lastUse, CU_EVENT_DISABLE_TIMING),
                            "cannot make an event"));
  return made;
}

Context::~Context() {
  if (!context)
    return;
  (void)use();
  driver_->cuCtxSynchronize();
  // Before the context that they live in.
  convolutions.clear();
  products.clear();
  cudnn.reset();
  cublasLt.reset();
  workspace_.reset();
  if (lastUse)
    driver_->cuEventDestroy(lastUse);
  if (recording_)
    driver_->cuStreamDestroy(recording_);
  driver_->cuDevicePrimaryCtxRelease(gpu_.ordinal);
}

Result<uint64_t> Context::freeBytes() const {
  size_t free = 0, total = 0;
  DOPPEL_CHECK(
      driver_->check(driver_->cuMemGetInfo(&free, &total), "cannot ask for the GPU's memory"));
  return free;
}

Result<std::unique_ptr<GpuMemory>> Context::allocate(size_t bytes) {
  DOPPEL_CHECK(use());
  CUdeviceptr address = 0;
  CUresult status = driver_->cuMemAlloc(&address, std::max<size_t>(bytes, 1));
  if (status == CUDA_ERROR_OUT_OF_MEMORY) {
    DOPPEL_TRY(uint64_t free, freeBytes());
    return fail("not enough memory on {}: {} MiB wanted, {} of {} MiB are free, {} are this run's; "
                "end what holds the others (`nvidia-smi` lists it), or compile the spec for a "
                "smaller batch (--set batch=N)",
                gpu_.name, (bytes + (1 << 20) - 1) >> 20, free >> 20, gpu_.totalBytes >> 20,
                taken >> 20);
  }
  DOPPEL_CHECK(driver_->check(status, fmt::format("cannot take {} bytes of the GPU", bytes)));
  auto memory = std::make_unique<GpuMemory>(*driver_, address, bytes,
                                            Memory{Memory::Place::Device, &device}, taken);
  if (bytes > 0) {
    DOPPEL_CHECK(driver_->check(driver_->cuMemsetD8Async(address, 0, bytes, recording_),
                                "cannot clear memory"));
    DOPPEL_CHECK(driver_->check(driver_->cuStreamSynchronize(recording_), "cannot clear memory"));
  }
  return memory;
}

Result<void> Context::reserve(size_t bytes) {
  if (bytes <= workspaceBytes())
    return {};
  DOPPEL_CHECK(driver_->check(driver_->cuCtxSynchronize(), "while the workspace was in use"));
  workspace_.reset();
  ++moves;
  DOPPEL_TRY(workspace_, allocate(bytes));
  return {};
}

Result<void> Context::acquire(CUstream stream) {
  if (!lastUser || lastUser == stream)
    return {};
  return driver_->check(driver_->cuStreamWaitEvent(stream, lastUse, 0), "cannot wait for a stream");
}

Result<void> Context::release(CUstream stream) {
  lastUser = stream;
  return driver_->check(driver_->cuEventRecord(lastUse, stream), "cannot mark a stream");
}

void Context::offer(const Module &module) {
  for (const char *kernel :
       {abi::gpuCheckPartials, abi::gpuCheckFlag, abi::gpuCopy, abi::gpuPermutation})
    if (auto function = module.function(kernel))
      reserved_.emplace(kernel, std::pair(&module, *function));
}

void Context::withdraw(const Module &module) {
  std::erase_if(reserved_, [&](const auto &each) { return each.second.first == &module; });
}

Result<CUfunction> Context::reserved(const char *kernel) const {
  if (auto found = reserved_.find(kernel); found != reserved_.end())
    return found->second.second;
  return fail("the artifact's code has no kernel '{}': compile the spec again", kernel);
}

Result<void> Context::openCudnn() {
  if (cudnn)
    return {};
  DOPPEL_TRY(std::unique_ptr<Cudnn> opened, Cudnn::open(search));
  DOPPEL_CHECK(opened->attach(recording_, gpu_.architecture));
  cudnn = std::move(opened);
  std::error_code ignored;
  if (!artifact.empty() && std::filesystem::is_regular_file(artifact, ignored)) {
    PlanKind kind{cudnn->version(), gpu_.architecture, gpu_.multiprocessors};
    cache = std::make_unique<PlanCache>(PlanCache::pathOf(artifact, kind), kind);
  }
  return {};
}

Result<uint64_t> Context::digest(const void *memory, size_t bytes) const {
  std::unique_ptr<XXH64_state_t, decltype(&XXH64_freeState)> state(XXH64_createState(),
                                                                   &XXH64_freeState);
  XXH64_reset(state.get(), 0);
  std::vector<std::byte> part(std::min<size_t>(bytes, size_t(64) << 20));
  for (size_t done = 0; done < bytes; done += part.size()) {
    size_t count = std::min(part.size(), bytes - done);
    DOPPEL_CHECK(
        driver_->check(driver_->cuMemcpyDtoH(part.data(), gpuAddress(memory) + done, count),
                       "cannot read a result"));
    XXH64_update(state.get(), part.data(), count);
  }
  return XXH64_digest(state.get());
}

/// The notes of libraries do not tell all: sums in the order in which blocks end show here, on
/// random numbers. The operands may be the same ones.
Result<bool>
Context::givesTheSameTwice(size_t inputBytes, size_t outputBytes, size_t workspaceBytes,
                           const std::function<Result<void>(const void *, void *, void *)> &run) {
  auto beside = [](Error error) {
    return std::unexpected(std::move(error).within("to try a library's plan"));
  };
  auto input = allocate(inputBytes), output = allocate(outputBytes),
       workspace = allocate(workspaceBytes);
  for (const auto *memory : {&input, &output, &workspace})
    if (!*memory)
      return beside(memory->error());
  std::vector<float> values(size_t(1) << 18);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = 2 * abi::uniform(abi::philox(7, i / 4, 0, 0, 0)[i % 4]) - 1;
  for (size_t done = 0; done < inputBytes; done += values.size() * sizeof(float))
    DOPPEL_CHECK(driver_->check(
        driver_->cuMemcpyHtoD(gpuAddress((*input)->data()) + done, values.data(),
                              std::min(values.size() * sizeof(float), inputBytes - done)),
        "cannot write numbers to try a plan"));
  uint64_t digests[2];
  for (int turn : {0, 1}) {
    // Another workspace and another result before: both are to be written before they are read.
    for (const auto *memory : {&output, &workspace})
      if ((*memory)->get()->bytes() > 0)
        DOPPEL_CHECK(driver_->check(driver_->cuMemsetD8Async(gpuAddress((*memory)->get()->data()),
                                                             turn ? 0xff : 0,
                                                             (*memory)->get()->bytes(), recording_),
                                    "cannot clear memory"));
    DOPPEL_CHECK(run((*input)->data(), (*output)->data(), (*workspace)->data()));
    DOPPEL_CHECK(
        driver_->check(driver_->cuStreamSynchronize(recording_), "while a plan was tried"));
    DOPPEL_TRY(digests[turn], digest((*output)->data(), outputBytes));
  }
  return digests[0] == digests[1];
}

Result<std::shared_ptr<ConvolutionPlan>> Context::planOf(const Convolution &c) {
  std::shared_ptr<ConvolutionPlan> &known = convolutions[c.key()];
  if (known)
    return known;
  DOPPEL_CHECK(openCudnn());
  constexpr size_t number = sizeof(float);
  size_t x = size_t(c.batch * c.height * c.width * c.channels) * number,
         y = size_t(c.batch * c.outHeight * c.outWidth * c.filters) * number,
         w = size_t(c.filters * c.kernelHeight * c.kernelWidth * (c.channels / c.groups)) * number;
  size_t result = c.kind == Convolution::Kind::Forward        ? y
                  : c.kind == Convolution::Kind::BackwardData ? x
                                                              : w;
  auto accept = [&](ConvolutionPlan &plan) {
    return givesTheSameTwice(std::max({x, y, w}), result, plan.workspaceBytes(),
                             [&](const void *input, void *output, void *workspace) {
                               return plan.run(input, input, output, workspace);
                             });
  };
  auto plan = cache ? cache->plan(*cudnn, c, workspaceLimit, accept)
                    : cudnn->choose(c, workspaceLimit, accept);
  if (!plan)
    return std::unexpected(std::move(plan.error()));
  known = *std::move(plan);
  return known;
}

Result<std::shared_ptr<ProductPlan>> Context::planOf(const Product &p) {
  std::shared_ptr<ProductPlan> &known = products[p.key()];
  if (known)
    return known;
  if (!cublasLt) {
    DOPPEL_TRY(std::unique_ptr<CublasLt> opened, CublasLt::open(search));
    DOPPEL_CHECK(opened->attach());
    cublasLt = std::move(opened);
  }
  size_t operand = size_t(p.batch * std::max(p.m, p.n) * p.k) * sizeof(float),
         result = size_t(p.batch * p.m * p.n) * sizeof(float);
  // The addend is like the result, and a bias is no longer than that.
  size_t read = p.addend || p.bias ? std::max(operand, result) : operand;
  auto accept = [&](ProductPlan &plan) {
    return givesTheSameTwice(read, result, plan.workspaceBytes(),
                             [&](const void *input, void *output, void *workspace) {
                               return plan.run({.a = input,
                                                .b = input,
                                                .addend = p.addend ? input : nullptr,
                                                .bias = p.bias ? input : nullptr,
                                                .c = output},
                                               workspace, recording_);
                             });
  };
  DOPPEL_TRY(std::unique_ptr<ProductPlan> plan, cublasLt->choose(p, workspaceLimit, accept));
  known = std::move(plan);
  return known;
}

void Context::keepPlans() {
  if (cache)
    (void)cache->save();
}

} // namespace doppel::runtime::cuda
