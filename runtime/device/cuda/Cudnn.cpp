#include "runtime/device/cuda/Cudnn.h"

#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#define NV_CUDNN_FRONTEND_DISABLE_LOGGING
#include <cudnn_frontend.h>

#include <nlohmann/json.hpp>

namespace fe = cudnn_frontend;
using fe::graph::Tensor_attributes;

namespace cudnn_frontend {
/// What the frontend finds cuDNN's functions in.
void *cudnn_dlhandle = nullptr;
} // namespace cudnn_frontend

namespace doppel::runtime::cuda {

std::string Convolution::key() const {
  return fmt::format("{}-n{}h{}w{}c{}-k{}p{}q{}-r{}s{}-u{}v{}-d{}e{}-t{}l{}b{}r{}-g{}-{}",
                     kind == Kind::Forward        ? "forward"
                     : kind == Kind::BackwardData ? "data"
                                                  : "weights",
                     batch, height, width, channels, filters, outHeight, outWidth, kernelHeight,
                     kernelWidth, strideY, strideX, dilationY, dilationX, top, left, bottom, right,
                     groups, tf32 ? "tf32" : "f32");
}

namespace {

constexpr int64_t firstId = 1, secondId = 2, resultId = 3;

/// One line of the frontend's words.
std::string words(fe::error_object error) {
  std::string text = error.get_message();
  std::ranges::replace(text, '\n', ' ');
  return text;
}

/// The frontend throws in places; nothing of it leaves this file.
template <typename T>
Result<T> guarded(std::string_view what, const std::function<Result<T>()> &body) {
  try {
    return body();
  } catch (const std::exception &error) {
    return fail("{}: {}", what, error.what());
  }
}

class Graph : public fe::graph::Graph {
public:
  bool isDeterministic(int64_t plan) const {
    return plan >= int64_t(plans.numeric_notes.size()) ||
           std::ranges::find(plans.numeric_notes[plan], fe::NumericalNote_t::NONDETERMINISTIC) ==
               plans.numeric_notes[plan].end();
  }
};

/// As cuDNN wants it: dimensions in the order N, C, H, W whatever the memory's.
Tensor_attributes image(const char *name, int64_t id, int64_t n, int64_t h, int64_t w, int64_t c) {
  return Tensor_attributes()
      .set_name(name)
      .set_uid(id)
      .set_dim({n, c, h, w})
      .set_stride({h * w * c, 1, w * c, c})
      .set_data_type(fe::DataType_t::FLOAT);
}

std::shared_ptr<Graph> makeGraph(const Convolution &c) {
  auto graph = std::make_shared<Graph>();
  graph->set_io_data_type(fe::DataType_t::FLOAT)
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  auto x = [&](int64_t id) { return image("x", id, c.batch, c.height, c.width, c.channels); };
  auto y = [&](int64_t id) { return image("y", id, c.batch, c.outHeight, c.outWidth, c.filters); };
  auto w = [&](int64_t id) {
    return image("w", id, c.filters, c.kernelHeight, c.kernelWidth, c.channels / c.groups);
  };
  auto set = [&](auto attributes) {
    return attributes.set_pre_padding({c.top, c.left})
        .set_post_padding({c.bottom, c.right})
        .set_stride({c.strideY, c.strideX})
        .set_dilation({c.dilationY, c.dilationX});
  };
  std::shared_ptr<Tensor_attributes> result;
  Tensor_attributes shape;
  switch (c.kind) {
  case Convolution::Kind::Forward:
    result = graph->conv_fprop(graph->tensor(x(firstId)), graph->tensor(w(secondId)),
                               set(fe::graph::Conv_fprop_attributes()));
    shape = y(resultId);
    break;
  case Convolution::Kind::BackwardData:
    result = graph->conv_dgrad(graph->tensor(y(firstId)), graph->tensor(w(secondId)),
                               set(fe::graph::Conv_dgrad_attributes()));
    shape = x(resultId);
    break;
  case Convolution::Kind::BackwardWeights:
    result = graph->conv_wgrad(graph->tensor(y(secondId)), graph->tensor(x(firstId)),
                               set(fe::graph::Conv_wgrad_attributes()));
    shape = w(resultId);
    break;
  }
  result->set_output(true)
      .set_uid(resultId)
      .set_dim(shape.get_dim())
      .set_stride(shape.get_stride())
      .set_data_type(fe::DataType_t::FLOAT);
  return graph;
}

class Plan : public ConvolutionPlan {
public:
  Plan(std::shared_ptr<Graph> graph, int64_t index, cudnnHandle_t handle)
      : graph(std::move(graph)), index(index), handle(handle) {}

  size_t workspaceBytes() const override {
    return size_t(std::max<int64_t>(0, graph->get_workspace_size_plan_at_index(index)));
  }
  std::string name() const override {
    std::string text;
    (void)graph->get_plan_name_at_index(index, text);
    return text;
  }
  Result<std::vector<uint8_t>> serialize() override {
    return guarded<std::vector<uint8_t>>("cuDNN", [&]() -> Result<std::vector<uint8_t>> {
      std::vector<uint8_t> bytes;
      if (auto status = graph->serialize(bytes); status.is_bad())
        return fail("cuDNN does not write its plan: {}", words(status));
      return bytes;
    });
  }
  Result<void> run(const void *first, const void *second, void *result, void *workspace) override {
    if (!handle)
      return failInternal("a plan for a GPU that is not there is run");
    return guarded<void>("cuDNN", [&]() -> Result<void> {
      std::unordered_map<int64_t, void *> buffers = {{firstId, const_cast<void *>(first)},
                                                     {secondId, const_cast<void *>(second)},
                                                     {resultId, result}};
      if (auto status = graph->execute_plan_at_index(handle, buffers, workspace, index);
          status.is_bad())
        return fail("cuDNN does not run a convolution: {}", words(status));
      return {};
    });
  }

private:
  std::shared_ptr<Graph> graph;
  int64_t index;
  cudnnHandle_t handle;
};

class OpenCudnn : public Cudnn {
public:
  explicit OpenCudnn(size_t number) : number(number) {}
  ~OpenCudnn() override {
    if (handle)
      fe::detail::destroy_handle(handle);
  }
  std::string version() const override {
    return fmt::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
  }

  Result<void> attach(CUstream_st *stream, int of) override {
    if (handle)
      return failInternal("cuDNN is attached twice");
    if (auto status = fe::detail::create_handle(&handle); status != CUDNN_STATUS_SUCCESS)
      return fail("cuDNN {} does not start: {}", version(), fe::detail::get_error_string(status));
    if (auto status = fe::detail::set_stream(handle, stream); status != CUDNN_STATUS_SUCCESS)
      return fail("cuDNN {} does not take the stream: {}", version(),
                  fe::detail::get_error_string(status));
    architecture = of;
    return {};
  }

  Result<void> describe(const GpuDescription &gpu) override {
    nlohmann::json json = {
        {"maxGridSize", {2147483647, 65535, 65535}},
        {"maxBlockSize", {1024, 1024, 64}},
        {"regsPerBlock", 65536},
        {"multiProcessorCount", gpu.multiprocessors},
        {"warpSize", 32},
        {"maxSharedMemoryPerBlock", 49152},
        {"maxSharedMemoryPerBlockOptin", gpu.sharedBytesOfBlock},
        {"reservedSharedMemoryPerBlock", 1024},
        {"maxRegistersPerSM", 65536},
        {"maxCtasPerSM", 32},
        {"maxThreadsPerBlock", 1024},
        {"maxThreadsPerSM", 2048},
        {"pciDeviceId", 0},
        {"isTccDriver", 0},
        {"supportCoopLaunch", 1},
        {"totalGlobalMem", gpu.memoryBytes},
        {"smClockRateKHz", 1500000},
        {"memClockRateKHz", 1500000},
        {"l2CacheSize", gpu.l2Bytes},
        {"cudaDeviceId", 0},
        {"deviceVer", 10 * gpu.architecture},
        {"driverVer", 13000},
        {"deviceName", gpu.name},
    };
    std::string text = json.dump();
    return guarded<void>("cuDNN", [&]() -> Result<void> {
      properties = std::make_shared<fe::DeviceProperties>();
      if (auto status = properties->deserialize(std::vector<uint8_t>(text.begin(), text.end()));
          status.is_bad())
        return fail("cuDNN {} does not know a GPU like {}: {}", version(), gpu.name, words(status));
      architecture = gpu.architecture;
      return {};
    });
  }

  Result<std::unique_ptr<ConvolutionPlan>>
  choose(const Convolution &convolution, size_t workspaceLimit,
         const std::function<Result<bool>(ConvolutionPlan &)> &accept) override;
  Result<std::unique_ptr<ConvolutionPlan>> restore(const Convolution &convolution,
                                                   std::span<const uint8_t> bytes) override;

private:
  Result<std::unique_ptr<ConvolutionPlan>>
  chooseUnguarded(const Convolution &convolution, size_t workspaceLimit,
                  const std::function<Result<bool>(ConvolutionPlan &)> &accept);

  size_t number;
  cudnnHandle_t handle = nullptr;
  std::shared_ptr<fe::DeviceProperties> properties;
  int architecture = 0;
};

Result<std::unique_ptr<ConvolutionPlan>>
OpenCudnn::chooseUnguarded(const Convolution &convolution, size_t workspaceLimit,
                           const std::function<Result<bool>(ConvolutionPlan &)> &accept) {
  std::shared_ptr<Graph> graph = makeGraph(convolution);
  if (!handle)
    graph->set_device_properties(properties);
  // Else the frontend asks CUDA's runtime library, which nobody needs to have.
  graph->set_sm_version(architecture);
  auto wrong = [&](const char *step, const fe::error_object &status) {
    return fail("cuDNN {} has no way for the convolution {} ({}): {}", version(), convolution.key(),
                step, words(status));
  };
  if (auto status = graph->validate(); status.is_bad())
    return wrong("its shape", status);
  auto built = handle ? graph->build_operation_graph(handle) : graph->build_operation_graph();
  if (built.is_bad())
    return wrong("its graph", built);
  if (auto status = graph->create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK});
      status.is_bad())
    return wrong("its engines", status);
  // Works only after the plans are there.
  graph->deselect_numeric_notes({fe::NumericalNote_t::NONDETERMINISTIC});
  if (!convolution.tf32)
    graph->deselect_numeric_notes({fe::NumericalNote_t::TENSOR_CORE});
  if (auto status = graph->check_support(); status.is_bad())
    return wrong("deterministic engines", status);
  std::string refused;
  for (int64_t index = 0; index < graph->get_execution_plan_count(); ++index) {
    if (graph->build_plan_at_index(index).is_bad())
      continue; // deselected, or not for this shape
    auto plan = std::make_unique<Plan>(graph, index, handle);
    if (plan->workspaceBytes() > workspaceLimit) {
      refused += fmt::format("{} wants {} MiB; ", plan->name(), plan->workspaceBytes() >> 20);
      continue;
    }
    if (!graph->isDeterministic(index))
      continue;
    DOPPEL_TRY(bool good, accept(*plan));
    if (good)
      return plan;
    refused += plan->name() + " gives other bits each time; ";
  }
  return fail("cuDNN {} has no deterministic plan within {} MiB for the convolution {}{}{}",
              version(), workspaceLimit >> 20, convolution.key(), refused.empty() ? "" : ": ",
              refused.substr(0, refused.empty() ? 0 : refused.size() - 2));
}

Result<std::unique_ptr<ConvolutionPlan>>
OpenCudnn::choose(const Convolution &convolution, size_t workspaceLimit,
                  const std::function<Result<bool>(ConvolutionPlan &)> &accept) {
  if (!handle && !properties)
    return failInternal("cuDNN is asked for a plan before it knows the GPU");
  return guarded<std::unique_ptr<ConvolutionPlan>>(
      "cuDNN", [&] { return chooseUnguarded(convolution, workspaceLimit, accept); });
}

Result<std::unique_ptr<ConvolutionPlan>> OpenCudnn::restore(const Convolution &convolution,
                                                            std::span<const uint8_t> bytes) {
  return guarded<std::unique_ptr<ConvolutionPlan>>(
      "cuDNN", [&]() -> Result<std::unique_ptr<ConvolutionPlan>> {
        auto graph = std::make_shared<Graph>();
        std::vector<uint8_t> copy(bytes.begin(), bytes.end());
        if (!handle)
          graph->set_device_properties(properties);
        // No warm-up: it would capture a run by CUDA's runtime library, which nobody needs to have.
        auto status = handle ? graph->deserialize(handle, copy, /*enforce_precompiled=*/false,
                                                  /*run_warmup=*/false)
                             : graph->deserialize(copy);
        if (status.is_bad())
          return fail("cuDNN {} does not read a plan for the convolution {}: {}", version(),
                      convolution.key(), words(status));
        return std::make_unique<Plan>(graph, 0, handle);
      });
}

} // namespace

Result<std::unique_ptr<Cudnn>> Cudnn::open(const LibrarySearch &search) {
  constexpr const char *names[] = {"libcudnn.so.9"};
  auto library = openLibrary("cuDNN 9", names, search);
  if (!library)
    return fail("{}; `pip install nvidia-cudnn-cu13` brings it, or set CUDA_HOME",
                library.error().message);
  auto getVersion =
      reinterpret_cast<decltype(&::cudnnGetVersion)>(library->symbol("cudnnGetVersion"));
  size_t number = getVersion ? getVersion() : 0;
  // 8907 is 8.9.7, 90100 is 9.1.0.
  size_t major = number < 10000 ? number / 1000 : number / 10000;
  if (major != 9)
    return fail("{} is cuDNN {}, version 9 is needed: `pip install nvidia-cudnn-cu13` brings it",
                library->name(), major);
  fe::cudnn_dlhandle = library->handle();
  return std::make_unique<OpenCudnn>(number);
}

} // namespace doppel::runtime::cuda
