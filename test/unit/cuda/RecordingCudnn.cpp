// A stand-in for cuDNN on memory of the host, built as a libcudnn.so.9 beside the recording driver:
// convolutions of f32 as the graph interface documents them, two engines for each, of which the
// first wants 1 MiB of workspace. DOPPEL_STAND_IN_CUDNN is the version that it says it is of
// (91901 if absent).
//
// Descriptors are bags of attributes; what is computed follows from those of the operation alone.
#include <cuda.h>
#include <cudnn.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

/// RecordingDriver.cpp: now, or when the graph that is being captured is launched.
extern "C" CUresult doppelOnStream(CUstream stream, const char *text,
                                   const std::function<void()> &work);

struct cudnnContext {
  CUstream stream = nullptr;
};

namespace {

constexpr int64_t wants = int64_t(1) << 20;

struct Tensor {
  int64_t id = 0;
  std::array<int64_t, 4> sizes{}, strides{}; ///< N, C, H, W
};

/// One convolution: which of x, w, y is made of the others.
struct Work {
  int result = 2; ///< 0: x, 1: w, 2: y
  std::array<Tensor, 3> operands;
  std::array<int64_t, 2> before{}, stride{}, dilation{};
  int64_t workspace = 0;

  template <typename Visit> void visit(Visit &&each) {
    each(result), each(workspace);
    for (Tensor &tensor : operands) {
      each(tensor.id);
      for (size_t i = 0; i < 4; ++i)
        each(tensor.sizes[i]), each(tensor.strides[i]);
    }
    for (size_t i = 0; i < 2; ++i)
      each(before[i]), each(stride[i]), each(dilation[i]);
  }
};

struct Node {
  cudnnBackendDescriptorType_t type;
  std::map<int, std::vector<char>> values;
  std::map<int, std::vector<std::shared_ptr<Node>>> nodes;
  Work work; ///< of a plan

  std::shared_ptr<Node> node(int attribute) const {
    auto found = nodes.find(attribute);
    return found == nodes.end() || found->second.empty() ? nullptr : found->second[0];
  }
  template <typename T> void put(int attribute, T value) {
    const char *bytes = reinterpret_cast<const char *>(&value);
    values[attribute].assign(bytes, bytes + sizeof value);
  }
  template <typename T> std::vector<T> all(int attribute) const {
    auto found = values.find(attribute);
    if (found == values.end())
      return {};
    std::vector<T> result(found->second.size() / sizeof(T));
    std::memcpy(result.data(), found->second.data(), result.size() * sizeof(T));
    return result;
  }
};

std::shared_ptr<Node> &nodeOf(cudnnBackendDescriptor_t descriptor) {
  return *static_cast<std::shared_ptr<Node> *>(descriptor);
}

size_t sizeOf(cudnnBackendAttributeType_t type) {
  switch (type) {
  case CUDNN_TYPE_BOOLEAN:
  case CUDNN_TYPE_CHAR:
    return 1;
  case CUDNN_TYPE_INT64:
  case CUDNN_TYPE_DOUBLE:
  case CUDNN_TYPE_HANDLE:
  case CUDNN_TYPE_VOID_PTR:
    return 8;
  default:
    return 4; // enumerations, f32, i32
  }
}

bool readTensor(const std::shared_ptr<Node> &node, Tensor &tensor) {
  if (!node)
    return false;
  auto sizes = node->all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS),
       strides = node->all<int64_t>(CUDNN_ATTR_TENSOR_STRIDES),
       id = node->all<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID);
  if (sizes.size() != 4 || strides.size() != 4 || id.size() != 1)
    return false;
  tensor.id = id[0];
  std::copy_n(sizes.begin(), 4, tensor.sizes.begin());
  std::copy_n(strides.begin(), 4, tensor.strides.begin());
  return true;
}

/// What an engine's graph of one convolution computes.
bool readWork(const Node &engine, Work &work) {
  std::shared_ptr<Node> graph = engine.node(CUDNN_ATTR_ENGINE_OPERATION_GRAPH);
  std::shared_ptr<Node> operation = graph ? graph->node(CUDNN_ATTR_OPERATIONGRAPH_OPS) : nullptr;
  if (!operation)
    return false;
  std::array<int, 4> names; // x, w, y, convolution
  switch (operation->type) {
  case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
    names = {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC};
    work.result = 2;
    break;
  case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
    names = {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC};
    work.result = 0;
    break;
  case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
    names = {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC};
    work.result = 1;
    break;
  default:
    return false;
  }
  for (size_t i = 0; i < 3; ++i)
    if (!readTensor(operation->node(names[i]), work.operands[i]))
      return false;
  std::shared_ptr<Node> convolution = operation->node(names[3]);
  if (!convolution)
    return false;
  auto take = [&](int attribute, std::array<int64_t, 2> &target) {
    auto values = convolution->all<int64_t>(attribute);
    if (values.size() == 2)
      target = {values[0], values[1]};
    return values.size() == 2;
  };
  auto index = engine.all<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
  work.workspace = !index.empty() && index[0] == 0 ? wants : 0;
  return take(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, work.before) &&
         take(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, work.stride) &&
         take(CUDNN_ATTR_CONVOLUTION_DILATIONS, work.dilation);
}

/// y[n, k, p, q] = sum over c, r, s of x[n, c, p u - t + r d, q v - l + s e] w[k, c, r, s], or what
/// its derivative is; groups are blocks of channels and filters.
void convolve(const Work &work, std::array<float *, 3> data) {
  const auto &[x, w, y] = work.operands;
  int64_t groupFilters = y.sizes[1] / (x.sizes[1] / w.sizes[1]);
  const Tensor &result = work.operands[size_t(work.result)];
  std::vector<double> sums(
      size_t(result.sizes[0] * result.sizes[1] * result.sizes[2] * result.sizes[3]));
  auto at = [](const Tensor &tensor, int64_t n, int64_t c, int64_t h, int64_t w) {
    return n * tensor.strides[0] + c * tensor.strides[1] + h * tensor.strides[2] +
           w * tensor.strides[3];
  };
  for (int64_t n = 0; n < y.sizes[0]; ++n)
    for (int64_t p = 0; p < y.sizes[2]; ++p)
      for (int64_t q = 0; q < y.sizes[3]; ++q)
        for (int64_t r = 0; r < w.sizes[2]; ++r)
          for (int64_t s = 0; s < w.sizes[3]; ++s) {
            int64_t h = p * work.stride[0] - work.before[0] + r * work.dilation[0];
            int64_t v = q * work.stride[1] - work.before[1] + s * work.dilation[1];
            if (h < 0 || h >= x.sizes[2] || v < 0 || v >= x.sizes[3])
              continue;
            for (int64_t k = 0; k < y.sizes[1]; ++k)
              for (int64_t c = 0; c < w.sizes[1]; ++c) {
                int64_t channel = k / groupFilters * w.sizes[1] + c;
                int64_t ofX = at(x, n, channel, h, v), ofW = at(w, k, c, r, s),
                        ofY = at(y, n, k, p, q);
                if (work.result == 2)
                  sums[size_t(ofY)] += double(data[0][ofX]) * data[1][ofW];
                else if (work.result == 0)
                  sums[size_t(ofX)] += double(data[2][ofY]) * data[1][ofW];
                else
                  sums[size_t(ofW)] += double(data[0][ofX]) * data[2][ofY];
              }
          }
  std::copy(sums.begin(), sums.end(), data[size_t(work.result)]);
}

} // namespace

extern "C" {

size_t cudnnGetVersion() {
  const char *version = std::getenv("DOPPEL_STAND_IN_CUDNN");
  return version ? size_t(std::atoi(version)) : 91901;
}
size_t cudnnGetCudartVersion() { return 13000; }
const char *cudnnGetErrorString(cudnnStatus_t) { return "a stand-in's error"; }
void cudnnGetLastErrorString(char *message, size_t size) {
  std::strncpy(message, "a stand-in's error", size);
}
cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
  *handle = new cudnnContext;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t *stream) {
  *stream = handle->stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t *descriptor) {
  *descriptor = new std::shared_ptr<Node>(new Node{type, {}, {}, {}});
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  delete &nodeOf(descriptor);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void *array) {
  Node &node = *nodeOf(descriptor);
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    auto &nodes = node.nodes[name];
    nodes.clear();
    for (int64_t i = 0; i < count; ++i)
      nodes.push_back(nodeOf(static_cast<const cudnnBackendDescriptor_t *>(array)[i]));
    return CUDNN_STATUS_SUCCESS;
  }
  const char *bytes = static_cast<const char *>(array);
  node.values[name].assign(bytes, bytes + size_t(count) * sizeOf(type));
  return CUDNN_STATUS_SUCCESS;
}

/// Descriptors of the caller's that are filled in; values that are copied.
cudnnStatus_t cudnnBackendGetAttribute(const cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t room,
                                       int64_t *count, void *array) {
  Node &node = *nodeOf(descriptor);
  int64_t ignored;
  int64_t &found = count ? *count : ignored;
  if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS && node.nodes[name].empty())
    for (int64_t index : {0, 1}) {
      auto engine = std::make_shared<Node>(Node{CUDNN_BACKEND_ENGINE_DESCRIPTOR, {}, {}, {}});
      engine->nodes[CUDNN_ATTR_ENGINE_OPERATION_GRAPH] = {
          node.node(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH)};
      engine->put(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, index);
      auto config = std::make_shared<Node>(Node{CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, {}, {}, {}});
      config->put(CUDNN_ATTR_ENGINECFG_SHARED_MEMORY_USED, int32_t(0));
      config->put(CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE, index == 0 ? wants : int64_t(0));
      config->nodes[CUDNN_ATTR_ENGINECFG_ENGINE] = {engine};
      node.nodes[name].push_back(config);
    }
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    const auto &nodes = node.nodes[name];
    found = int64_t(nodes.size());
    for (int64_t i = 0; array && i < std::min(room, found); ++i)
      nodeOf(static_cast<cudnnBackendDescriptor_t *>(array)[i]) = nodes[size_t(i)];
    return CUDNN_STATUS_SUCCESS;
  }
  std::vector<char> bytes = node.values[name];
  if (name == CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION) {
    std::string text;
    node.work.visit([&](auto value) { text += std::to_string(value) + " "; });
    bytes.assign(text.begin(), text.end());
  }
  found = int64_t(bytes.size() / sizeOf(type));
  if (array)
    std::memcpy(array, bytes.data(), std::min(bytes.size(), size_t(room) * sizeOf(type)));
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  Node &node = *nodeOf(descriptor);
  if (node.type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)
    return CUDNN_STATUS_SUCCESS;
  auto text = node.all<char>(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION);
  if (!text.empty()) {
    std::istringstream words(std::string(text.begin(), text.end()));
    node.work.visit([&](auto &value) { words >> value; });
    node.put(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, node.work.workspace);
    return words ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
  }
  std::shared_ptr<Node> config = node.node(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  std::shared_ptr<Node> engine = config ? config->node(CUDNN_ATTR_ENGINECFG_ENGINE) : nullptr;
  if (!engine || !readWork(*engine, node.work))
    return CUDNN_STATUS_NOT_SUPPORTED;
  node.put(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, node.work.workspace);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t variants) {
  const Work &work = nodeOf(plan)->work;
  auto ids = nodeOf(variants)->all<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  auto pointers = nodeOf(variants)->all<void *>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  auto workspace = nodeOf(variants)->all<void *>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  std::array<float *, 3> data{};
  for (size_t i = 0; i < ids.size() && i < pointers.size(); ++i)
    for (size_t operand = 0; operand < 3; ++operand)
      if (work.operands[operand].id == ids[i])
        data[operand] = static_cast<float *>(pointers[i]);
  bool hasWorkspace = work.workspace == 0 || (!workspace.empty() && workspace[0]);
  if (!data[0] || !data[1] || !data[2] || !hasWorkspace)
    return CUDNN_STATUS_BAD_PARAM;
  return doppelOnStream(handle->stream, "cudnnBackendExecute",
                        [work, data] { convolve(work, data); })
             ? CUDNN_STATUS_EXECUTION_FAILED
             : CUDNN_STATUS_SUCCESS;
}
}
