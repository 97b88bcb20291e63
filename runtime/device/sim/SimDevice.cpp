#include "runtime/device/sim/SimDevice.h"

#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/sim/Block.h"

#include <omp.h>

namespace doppel::runtime::sim {
namespace {

/// Functions abi::SimKernelFunction, in the order of a launch: inputs, outputs, slabs, scratch
/// memory.
class SimModule : public cpu::HostKernels {
public:
  SimModule(std::unique_ptr<cpu::SharedObject> object, bool checked)
      : object(std::move(object)), checked(checked) {}

  Result<void> check(const KernelLaunch &launch) const override {
    return cpu::checkSignature(*object, launch);
  }

  Result<cpu::PreparedLaunch> prepare(const KernelLaunch &launch, int threads) override;

private:
  struct Kernel {
    std::string name; ///< and what it computes where
    abi::SimKernelFunction function;
    int32_t blocks;
    size_t sharedBytes;
    std::vector<Region> regions; ///< of inputs and outputs, without bases
    size_t scratchBytes;         ///< of the whole launch; 0: none
  };
  Result<void> runBlocks(const Kernel &kernel, std::span<void *const> buffers,
                         std::span<const TensorRef> slabs, int threads);

  std::unique_ptr<cpu::SharedObject> object;
  bool checked;
  std::vector<std::unique_ptr<BlockRunner>> runners; ///< one for each thread of the host
};

Result<cpu::PreparedLaunch> SimModule::prepare(const KernelLaunch &launch, int threads) {
  auto kernel = std::make_shared<Kernel>();
  kernel->name = launch.place.empty()
                     ? fmt::format("kernel '{}'", launch.symbol)
                     : fmt::format("kernel '{}' ({})", launch.symbol, launch.place);
  kernel->function = reinterpret_cast<abi::SimKernelFunction>(object->find(launch.symbol));
  if (!kernel->function)
    return failInternal("the code segment has no kernel '{}'", launch.symbol);
  kernel->blocks = int32_t(launch.grid);
  kernel->sharedBytes = launch.sharedBytes;
  kernel->scratchBytes = launch.scratchBytes * size_t(launch.grid);
  for (const TensorRef &tensor : launch.inputs)
    kernel->regions.push_back({nullptr, tensor.bytes(), elementBytes(tensor.dtype), false});
  for (const TensorRef &tensor : launch.outputs)
    kernel->regions.push_back({nullptr, tensor.bytes(), elementBytes(tensor.dtype), true});
  if (checked)
    threads = 1;
  while (runners.size() < size_t(threads))
    runners.push_back(std::make_unique<BlockRunner>());
  // Now, so that memory that is short is told before the first step.
  for (int i = 0; i < threads; ++i)
    DOPPEL_CHECK(runners[i]->prepare(int32_t(launch.threads), launch.sharedBytes));
  auto run = [this, kernel, threads, width = int32_t(launch.threads)](
                 std::span<void *const> given, std::span<const TensorRef> slabs,
                 void *scratch) -> Result<void> {
    std::vector<void *> buffers(given.begin(), given.end());
    if (kernel->scratchBytes > 0)
      buffers.push_back(scratch);
    for (int i = 0; i < threads; ++i)
      DOPPEL_CHECK(runners[i]->prepare(width, kernel->sharedBytes));
    if (auto ran = runBlocks(*kernel, buffers, slabs, threads); !ran)
      return std::unexpected(std::move(ran.error()).within(kernel->name));
    return {};
  };
  return cpu::PreparedLaunch{run, kernel->scratchBytes};
}

Result<void> SimModule::runBlocks(const Kernel &kernel, std::span<void *const> buffers,
                                  std::span<const TensorRef> slabs, int threads) {
  if (checked) {
    std::vector<Region> regions = kernel.regions;
    for (const TensorRef &slab : slabs)
      regions.push_back({nullptr, slab.bytes(), 1, false});
    if (kernel.scratchBytes > 0)
      regions.push_back({nullptr, kernel.scratchBytes, sizeof(float), true, true});
    for (size_t i = 0; i < regions.size(); ++i)
      regions[i].base = static_cast<const std::byte *>(buffers[i]);
    Checker checker(regions, runners[0]->shared(), kernel.sharedBytes);
    for (int32_t block = 0; block < kernel.blocks; ++block)
      DOPPEL_CHECK(runners[0]->run(kernel.function, buffers.data(), block, &checker));
    if (auto missing = checker.finish())
      return failInternal("{}", *missing);
    return {};
  }
  std::vector<Result<void>> results(threads);
#pragma omp parallel num_threads(threads)
  {
    int thread = omp_get_thread_num(), count = omp_get_num_threads();
    int32_t end = int32_t(int64_t(kernel.blocks) * (thread + 1) / count);
    for (auto block = int32_t(int64_t(kernel.blocks) * thread / count); block < end; ++block) {
      results[thread] = runners[thread]->run(kernel.function, buffers.data(), block, nullptr);
      if (!results[thread])
        break;
    }
  }
  for (Result<void> &result : results)
    if (!result)
      return std::move(result);
  return {};
}

} // namespace

std::unique_ptr<Device> makeSimDevice(int threads, bool checked) {
  auto load =
      [checked](
          std::unique_ptr<cpu::SharedObject> object) -> Result<std::unique_ptr<cpu::HostKernels>> {
    auto *services_ = static_cast<const abi::SimServices **>(object->find(abi::simServicesSymbol));
    if (!services_)
      return fail("the code segment is not for the simulator: it has no variable '{}'",
                  abi::simServicesSymbol);
    *services_ = &services();
    return std::make_unique<SimModule>(std::move(object), checked);
  };
  return cpu::makeHostDevice(
      threads,
      {"cuda-sim", checked ? "checking simulator of CUDA on " : "simulator of CUDA on ", load});
}

Result<std::unique_ptr<Device>> openSimDevice(const schema::Program &program,
                                              const DeviceOptions &options) {
  return makeSimDevice(options.threads, program.target()->check());
}

} // namespace doppel::runtime::sim
