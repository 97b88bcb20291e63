// Commands are recorded as functions that put themselves on a stream; a graph is a capture of all.
#include "runtime/device/Operands.h"
#include "runtime/device/cuda/Calls.h"
#include "runtime/device/cuda/CudaParts.h"
#include "runtime/schema/GpuAbi.h"

#include <algorithm>

namespace doppel::runtime::cuda {

namespace {

uint64_t address(const void *pointer) { return reinterpret_cast<uint64_t>(pointer); }
CUdeviceptr gpuAddress(const void *pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

CallShapes shapesOf(const LibraryCall &call) {
  CallShapes shapes;
  for (const auto *tensors : {&call.inputs, &call.outputs})
    for (const TensorRef &tensor : *tensors)
      shapes.push_back(tensor.shape);
  return shapes;
}

/// Blocks for work on so many vectors of 16 bytes: what a GPU holds at once, and no more than there
/// is work for.
uint64_t blocksFor(const GpuInfo &gpu, uint64_t vectors) {
  return std::clamp<uint64_t>((vectors + abi::gpuReservedThreads - 1) / abi::gpuReservedThreads, 1,
                              uint64_t(std::max(gpu.multiprocessors, 1)) * 8);
}

uint64_t checkBlocks(const GpuInfo &gpu, int64_t elements) {
  return blocksFor(gpu, uint64_t(elements) / 4);
}

} // namespace

Result<size_t> workspaceOf(Context &context, const LibraryCall &call) {
  switch (call.op) {
  case schema::LibraryOp::Conv2D:
  case schema::LibraryOp::Conv2DBackwardData:
  case schema::LibraryOp::Conv2DBackwardWeights: {
    DOPPEL_TRY(Convolution convolution,
               convolutionOf(call.op, shapesOf(call), call.ints, call.precision));
    DOPPEL_TRY(std::shared_ptr<ConvolutionPlan> plan, context.planOf(convolution));
    return plan->workspaceBytes();
  }
  case schema::LibraryOp::Matmul:
  case schema::LibraryOp::Gemm: {
    DOPPEL_TRY(Product product, productOf(call.op, shapesOf(call), call.ints, call.precision));
    DOPPEL_TRY(std::shared_ptr<ProductPlan> plan, context.planOf(product));
    return plan->workspaceBytes();
  }
  default:
    return 0;
  }
}

size_t checkBytes(const GpuInfo &gpu, int64_t elements) {
  return checkBlocks(gpu, elements) * sizeof(uint64_t);
}

Result<void> CudaModule::check(const KernelLaunch &launch) const {
  DOPPEL_TRY([[maybe_unused]] CUfunction found, module->function(launch.symbol));
  return {};
}

CudaCommandList::~CudaCommandList() {
  for (auto &[flag, captured] : captures)
    if (captured.exec)
      context.driver().cuGraphExecDestroy(captured.exec);
}

Result<void> CudaCommandList::put(CUfunction function, const std::string &name, uint64_t blocks,
                                  unsigned threads, std::vector<uint64_t> arguments) {
  std::vector<void *> places;
  for (uint64_t &argument : arguments)
    places.push_back(&argument);
  const Driver &driver = context.driver();
  return driver.check(driver.cuLaunchKernel(function, unsigned(blocks), 1, 1, threads, 1, 1, 0,
                                            context.recording(), places.data(), nullptr),
                      fmt::format("cannot launch the kernel '{}'", name));
}

Result<void> CudaCommandList::launch(KernelModule &module, const KernelLaunch &launch) {
  DOPPEL_CHECK(context.use());
  DOPPEL_CHECK(expectOperands(device, launch.symbol, launch.inputs, launch.outputs));
  if (launch.grid <= 0 || launch.grid > INT32_MAX)
    return failInternal("kernel '{}' has {} blocks", launch.symbol, launch.grid);
  DOPPEL_TRY(CUfunction function,
             static_cast<CudaModule &>(module).module->function(launch.symbol));
  DOPPEL_CHECK(context.reserve(launch.scratchBytes * size_t(launch.grid)));
  std::vector<uint64_t> arguments;
  for (const auto *tensors : {&launch.inputs, &launch.outputs})
    for (const TensorRef &tensor : *tensors)
      arguments.push_back(address(tensor.data));
  for (uint32_t slab : launch.slabs)
    slabsNeeded = std::max<size_t>(slabsNeeded, slab + 1);
  commands.push_back({launch.outputs, [=, this, name = launch.symbol, blocks = launch.grid,
                                       threads = launch.threads, slabs = launch.slabs,
                                       scratch = launch.scratchBytes > 0,
                                       guarded = launch.guarded](const Placement &placement) {
                        std::vector<uint64_t> all = arguments;
                        for (uint32_t slab : slabs)
                          all.push_back(address(placement.slabs[slab].data));
                        if (scratch)
                          all.push_back(address(context.workspace()));
                        all.push_back(guarded ? address(placement.guard) : 0);
                        return put(function, name, uint64_t(blocks), threads, std::move(all));
                      }});
  return {};
}

Result<void> CudaCommandList::call(const LibraryCall &call) {
  DOPPEL_CHECK(context.use());
  const char *name = schema::EnumNameLibraryOp(call.op);
  DOPPEL_CHECK(expectArity(call));
  DOPPEL_CHECK(expectOperands(device, name, call.inputs, call.outputs));
  std::vector<void *> operands;
  for (const auto *tensors : {&call.inputs, &call.outputs})
    for (const TensorRef &tensor : *tensors)
      operands.push_back(tensor.data);
  switch (call.op) {
  case schema::LibraryOp::Conv2D:
  case schema::LibraryOp::Conv2DBackwardData:
  case schema::LibraryOp::Conv2DBackwardWeights: {
    DOPPEL_TRY(Convolution convolution,
               convolutionOf(call.op, shapesOf(call), call.ints, call.precision));
    DOPPEL_TRY(std::shared_ptr<ConvolutionPlan> plan, context.planOf(convolution));
    DOPPEL_CHECK(context.reserve(plan->workspaceBytes()));
    commands.push_back({call.outputs, [=, this](const Placement &) {
                          return plan->run(operands[0], operands[1], operands[2],
                                           context.workspace());
                        }});
    return {};
  }
  case schema::LibraryOp::Matmul:
  case schema::LibraryOp::Gemm: {
    DOPPEL_TRY(Product product, productOf(call.op, shapesOf(call), call.ints, call.precision));
    ProductOperands o{.a = operands[0], .b = operands[1], .c = operands.back()};
    if (product.addend)
      o.addend = operands[2];
    if (product.bias)
      o.bias = operands[operands.size() - 2];
    DOPPEL_TRY(std::shared_ptr<ProductPlan> plan, context.planOf(product));
    DOPPEL_CHECK(context.reserve(plan->workspaceBytes()));
    commands.push_back({call.outputs, [=, this](const Placement &) {
                          return plan->run(o, context.workspace(), context.recording());
                        }});
    return {};
  }
  case schema::LibraryOp::RandomPermutation: {
    DOPPEL_TRY(CUfunction function, context.reserved(abi::gpuPermutation));
    std::vector<uint64_t> arguments = {address(operands[0]), address(operands[1]),
                                       uint64_t(call.outputs[0].elements()),
                                       uint64_t(call.ints[0])};
    commands.push_back({call.outputs, [=, this](const Placement &) {
                          return put(function, abi::gpuPermutation, 1, abi::gpuReservedThreads,
                                     arguments);
                        }});
    return {};
  }
  default:
    return fail("{} is no call on a GPU, where kernels do it: compile the spec with --target cuda",
                name);
  }
}

Result<void> CudaCommandList::copy(const TensorRef &source, const TensorRef &target, bool guarded) {
  DOPPEL_CHECK(context.use());
  DOPPEL_CHECK(expectCopy(device, source, target));
  DOPPEL_CHECK(expectOperands(device, "copy", {&source, 1}, {&target, 1}));
  size_t bytes = source.bytes();
  void *from = source.data, *to = target.data;
  if (!guarded) {
    commands.push_back({{target}, [=, this](const Placement &) {
                          const Driver &driver = context.driver();
                          return driver.check(driver.cuMemcpyDtoDAsync(gpuAddress(to),
                                                                       gpuAddress(from), bytes,
                                                                       context.recording()),
                                              "cannot copy");
                        }});
    return {};
  }
  DOPPEL_TRY(CUfunction function, context.reserved(abi::gpuCopy));
  uint64_t blocks = blocksFor(context.gpu(), bytes / 16);
  commands.push_back({{target}, [=, this](const Placement &placement) {
                        return put(
                            function, abi::gpuCopy, blocks, abi::gpuReservedThreads,
                            {address(from), address(to), bytes, blocks, address(placement.guard)});
                      }});
  return {};
}

Result<std::function<Result<void>(const Placement &)>>
CudaCommandList::checkOf(const TensorRef &tensor, size_t command) {
  DOPPEL_TRY(CUfunction partials, context.reserved(abi::gpuCheckPartials));
  DOPPEL_TRY(CUfunction last, context.reserved(abi::gpuCheckFlag));
  auto count = uint64_t(tensor.elements());
  uint64_t blocks = checkBlocks(context.gpu(), tensor.elements());
  DOPPEL_CHECK(context.reserve(checkBytes(context.gpu(), tensor.elements())));
  return [=, this, values = tensor.data](const Placement &placement) -> Result<void> {
    uint64_t found = address(context.workspace());
    DOPPEL_CHECK(put(partials, abi::gpuCheckPartials, blocks, abi::gpuReservedThreads,
                     {address(values), count, blocks, found}));
    return put(last, abi::gpuCheckFlag, 1, abi::gpuReservedThreads,
               {found, blocks, command, address(placement.checkFlag)});
  };
}

Result<void> CudaCommandList::check(const TensorRef &tensor) {
  DOPPEL_CHECK(context.use());
  if (tensor.dtype != schema::DType::F32)
    return failInternal("a finite check of a buffer that is not f32");
  DOPPEL_CHECK(expectOperands(device, "check", {&tensor, 1}, {}));
  DOPPEL_TRY(auto enqueue, checkOf(tensor, commands.size()));
  commands.push_back({{}, std::move(enqueue)});
  return {};
}

Result<void> CudaCommandList::checkOutputs(size_t command, const Placement &placement) {
  for (const TensorRef &output : commands[command].outputs)
    if (output.dtype == schema::DType::F32) {
      DOPPEL_TRY(auto enqueue, checkOf(output, command));
      DOPPEL_CHECK(enqueue(placement));
    }
  return {};
}

Result<CUgraphExec> CudaCommandList::graph(const Placement &placement) {
  Captured &captured = captures[placement.guard];
  std::vector<void *> slabs;
  for (size_t i = 0; i < slabsNeeded; ++i)
    slabs.push_back(placement.slabs[i].data);
  if (captured.exec && captured.slabs == slabs &&
      captured.workspaceMoves == context.workspaceMoves())
    return captured.exec;
  if (captured.exec) {
    // It may be running.
    const Driver &driver = context.driver();
    DOPPEL_CHECK(driver.check(driver.cuCtxSynchronize(), "a graph that is captured again"));
    driver.cuGraphExecDestroy(captured.exec);
    captured.exec = nullptr;
  }
  DOPPEL_TRY(captured.exec, capture(placement));
  captured.slabs = std::move(slabs);
  captured.workspaceMoves = context.workspaceMoves();
  return captured.exec;
}

Result<CUgraphExec> CudaCommandList::capture(const Placement &placement) {
  const Driver &driver = context.driver();
  // Relaxed: a plan that was kept has not run in this process, and its library loads the kernel
  // now.
  DOPPEL_CHECK(
      driver.check(driver.cuStreamBeginCapture(context.recording(), CU_STREAM_CAPTURE_MODE_RELAXED),
                   "cannot capture a graph"));
  Result<void> put;
  for (size_t i = 0; i < commands.size() && put; ++i)
    put = enqueue(i, placement);
  CUgraph graph = nullptr;
  CUresult ended = driver.cuStreamEndCapture(context.recording(), &graph);
  CUgraphExec exec = nullptr;
  Result<void> made = driver.check(ended, "cannot capture a graph");
  if (put && made)
    made = driver.check(driver.cuGraphInstantiate(&exec, graph, 0), "cannot make a graph");
  if (graph)
    driver.cuGraphDestroy(graph);
  DOPPEL_CHECK(std::move(put));
  DOPPEL_CHECK(std::move(made));
  return exec;
}

} // namespace doppel::runtime::cuda
