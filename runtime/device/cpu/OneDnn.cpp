// Library operations of the CPU device: convolutions, products and pooling by oneDNN. Activations
// stay NHWC, as the program has them; only weights go through oneDNN's own layout, in the
// workspace, since they are small beside the work.
#include "runtime/device/Operands.h"
#include "runtime/device/cpu/CpuDevice.h"

#include "runtime/core/Process.h"
#include "runtime/schema/Abi.h"

#include <dnnl.hpp>
#include <malloc.h>
#include <numeric>

#ifndef __SANITIZE_ADDRESS__
/// In place of the C library's: oneDNN, whose objects come from here, writes to them without asking
/// whether it got memory.
extern "C" int posix_memalign(void **result, size_t alignment, size_t bytes) noexcept {
  *result = memalign(alignment, bytes);
  if (!*result)
    doppel::runtime::exitForMemory();
  return 0;
}
#endif

namespace doppel::runtime::cpu {

namespace {

using dnnl::memory;

const dnnl::engine &engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream &stream() {
  static dnnl::stream stream(engine());
  return stream;
}

/// Row-major strides of `shape`.
memory::dims denseStrides(const memory::dims &shape) {
  memory::dims strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;)
    strides[i - 1] = strides[i] * shape[i];
  return strides;
}

/// An NHWC tensor as oneDNN sees it: logical NCHW with NHWC strides.
memory::desc imageDesc(const TensorRef &tensor) {
  const auto &s = tensor.shape;
  return {{s[0], s[3], s[1], s[2]}, memory::data_type::f32, memory::format_tag::nhwc};
}

/// Filters of a convolution: [O, I / groups, KH, KW], or with `channelsLast` [O, KH, KW, I /
/// groups].
struct Filters {
  int64_t groups;
  bool channelsLast;

  explicit Filters(std::span<const int64_t> ints) : groups(ints[8]), channelsLast(ints[9]) {}

  /// As oneDNN counts them: [groups, O / groups,] I / groups, KH, KW.
  memory::dims dims(const TensorRef &tensor) const {
    const auto &s = tensor.shape;
    memory::dims own =
        channelsLast ? memory::dims{s[0], s[3], s[1], s[2]} : memory::dims{s[0], s[1], s[2], s[3]};
    if (groups > 1) {
      own[0] /= groups;
      own.insert(own.begin(), groups);
    }
    return own;
  }
  memory::desc dense(const TensorRef &tensor) const {
    memory::dims own = dims(tensor), strides = denseStrides(own);
    if (channelsLast) {
      size_t i = own.size() - 3; // of the channels
      strides[i] = 1;
      strides[i + 2] = own[i];
      strides[i + 1] = own[i] * own[i + 2];
    }
    return {own, memory::data_type::f32, strides};
  }
  memory::desc any(const TensorRef &tensor) const {
    return {dims(tensor), memory::data_type::f32, memory::format_tag::any};
  }
};

dnnl::primitive_attr userScratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

/// The windows of a convolution or pooling from a call's `ints`, from the stride on.
struct Window {
  memory::dims strides, paddingBefore, paddingAfter, dilations;

  explicit Window(std::span<const int64_t> ints)
      : strides{ints[0], ints[1]}, paddingBefore{ints[2], ints[3]}, paddingAfter{ints[4], ints[5]} {
    // oneDNN counts the gaps between taps.
    if (ints.size() > 6)
      dilations = {ints[6] - 1, ints[7] - 1};
  }
};

/// A primitive whose weights oneDNN wants in a layout of its own: reorder in, compute, reorder out.
class WeightedCall {
public:
  WeightedCall(dnnl::primitive primitive, const memory::desc &scratchpad)
      : primitive_(std::move(primitive)), scratchpad_(scratchpad, engine(), nullptr),
        bytes_(aligned(scratchpad.get_size())) {}

  void bind(int argument, const memory::desc &desc, void *data) {
    arguments_.insert_or_assign(argument, memory(desc, engine(), data));
  }

  /// Binds weights that the program has as `own` and the primitive as `wanted`.
  void bindWeights(int argument, const memory::desc &own, const memory::desc &wanted, void *data,
                   bool output) {
    if (own == wanted) {
      bind(argument, own, data);
      return;
    }
    ownWeights_ = memory(own, engine(), data);
    weights_ = memory(wanted, engine(), nullptr);
    arguments_.insert_or_assign(argument, weights_);
    weightsOffset_ = bytes_;
    bytes_ += aligned(wanted.get_size());
    weightsAreOutput_ = output;
    reorder_ = output ? dnnl::reorder(weights_, ownWeights_) : dnnl::reorder(ownWeights_, weights_);
  }

  PreparedCall finish() {
    arguments_.insert_or_assign(DNNL_ARG_SCRATCHPAD, scratchpad_);
    size_t bytes = bytes_;
    return {[call = std::make_shared<WeightedCall>(std::move(*this))](void *workspace) {
              call->run(static_cast<char *>(workspace));
            },
            bytes};
  }

private:
  void run(char *workspace) {
    scratchpad_.set_data_handle(workspace);
    if (weights_)
      weights_.set_data_handle(workspace + weightsOffset_);
    if (weights_ && !weightsAreOutput_)
      reorder_.execute(stream(), ownWeights_, weights_);
    primitive_.execute(stream(), arguments_);
    if (weights_ && weightsAreOutput_)
      reorder_.execute(stream(), weights_, ownWeights_);
  }

  dnnl::primitive primitive_;
  memory scratchpad_;
  memory ownWeights_, weights_;
  dnnl::reorder reorder_;
  bool weightsAreOutput_ = false;
  size_t weightsOffset_ = 0;
  size_t bytes_;
  std::unordered_map<int, memory> arguments_;
};

dnnl::convolution_forward::primitive_desc convolutionForward(const memory::desc &input,
                                                             const memory::desc &weights,
                                                             const memory::desc &output,
                                                             const Window &window) {
  dnnl::convolution_forward::desc desc(
      dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, input, weights,
      output, window.strides, window.dilations, window.paddingBefore, window.paddingAfter);
  return {desc, userScratchpad(), engine()};
}

PreparedCall prepareConv2D(const LibraryCall &call) {
  const TensorRef &x = call.inputs[0], &w = call.inputs[1], &y = call.outputs[0];
  Window window(call.ints);
  Filters filters(call.ints);
  auto pd = convolutionForward(imageDesc(x), filters.any(w), imageDesc(y), window);
  WeightedCall prepared(dnnl::convolution_forward(pd), pd.scratchpad_desc());
  prepared.bind(DNNL_ARG_SRC, pd.src_desc(), x.data);
  prepared.bind(DNNL_ARG_DST, pd.dst_desc(), y.data);
  prepared.bindWeights(DNNL_ARG_WEIGHTS, filters.dense(w), pd.weights_desc(), w.data,
                       /*output=*/false);
  return prepared.finish();
}

PreparedCall prepareConv2DBackwardData(const LibraryCall &call) {
  const TensorRef &dy = call.inputs[0], &w = call.inputs[1], &dx = call.outputs[0];
  Window window(call.ints);
  Filters filters(call.ints);
  auto hint = convolutionForward(imageDesc(dx), filters.any(w), imageDesc(dy), window);
  dnnl::convolution_backward_data::desc desc(
      dnnl::algorithm::convolution_direct, imageDesc(dx), filters.any(w), imageDesc(dy),
      window.strides, window.dilations, window.paddingBefore, window.paddingAfter);
  dnnl::convolution_backward_data::primitive_desc pd(desc, userScratchpad(), engine(), hint);
  WeightedCall prepared(dnnl::convolution_backward_data(pd), pd.scratchpad_desc());
  prepared.bind(DNNL_ARG_DIFF_DST, pd.diff_dst_desc(), dy.data);
  prepared.bind(DNNL_ARG_DIFF_SRC, pd.diff_src_desc(), dx.data);
  prepared.bindWeights(DNNL_ARG_WEIGHTS, filters.dense(w), pd.weights_desc(), w.data,
                       /*output=*/false);
  return prepared.finish();
}

PreparedCall prepareConv2DBackwardWeights(const LibraryCall &call) {
  const TensorRef &x = call.inputs[0], &dy = call.inputs[1], &dw = call.outputs[0];
  Window window(call.ints);
  Filters filters(call.ints);
  auto hint = convolutionForward(imageDesc(x), filters.any(dw), imageDesc(dy), window);
  dnnl::convolution_backward_weights::desc desc(
      dnnl::algorithm::convolution_direct, imageDesc(x), filters.any(dw), imageDesc(dy),
      window.strides, window.dilations, window.paddingBefore, window.paddingAfter);
  dnnl::convolution_backward_weights::primitive_desc pd(desc, userScratchpad(), engine(), hint);
  // oneDNN 2.6 packs the pixels that a strided 1x1 convolution sees before it multiplies. Where the
  // channels do not fill its vectors, what it packs between them is not initialised, and is summed.
  auto sumsGarbage = [&] {
    return std::string_view(pd.impl_info_str()).find("1x1") != std::string_view::npos &&
           (window.strides[0] > 1 || window.strides[1] > 1) &&
           filters.dims(dw)[filters.groups > 1 ? 2 : 1] % 16 != 0;
  };
  while (sumsGarbage() && pd.next_impl()) {
  }
  WeightedCall prepared(dnnl::convolution_backward_weights(pd), pd.scratchpad_desc());
  prepared.bind(DNNL_ARG_SRC, pd.src_desc(), x.data);
  prepared.bind(DNNL_ARG_DIFF_DST, pd.diff_dst_desc(), dy.data);
  prepared.bindWeights(DNNL_ARG_DIFF_WEIGHTS, filters.dense(dw), pd.diff_weights_desc(), dw.data,
                       /*output=*/true);
  return prepared.finish();
}

/// A matrix (or a batch of them) as stored, seen transposed or not.
memory::desc matrixDesc(const TensorRef &tensor, bool transpose) {
  memory::dims shape(tensor.shape.begin(), tensor.shape.end());
  memory::dims strides = denseStrides(shape);
  if (transpose) {
    std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
    std::swap(strides[strides.size() - 1], strides[strides.size() - 2]);
  }
  return {shape, memory::data_type::f32, strides};
}

PreparedCall prepareMatmul(const LibraryCall &call) {
  const TensorRef &a = call.inputs[0], &b = call.inputs[1], &c = call.outputs[0];
  dnnl::matmul::desc desc(matrixDesc(a, call.ints[0]), matrixDesc(b, call.ints[1]),
                          matrixDesc(c, false));
  dnnl::matmul::primitive_desc pd(desc, userScratchpad(), engine());
  WeightedCall prepared(dnnl::matmul(pd), pd.scratchpad_desc());
  prepared.bind(DNNL_ARG_SRC, pd.src_desc(), a.data);
  prepared.bind(DNNL_ARG_WEIGHTS, pd.weights_desc(), b.data);
  prepared.bind(DNNL_ARG_DST, pd.dst_desc(), c.data);
  return prepared.finish();
}

/// A product, then what is added to it, in the order of `nn.gemm`. Programs for GPUs alone have it,
/// and run here in the simulator, so it is made plainly; relu keeps a NaN, as kernels do.
PreparedCall prepareGemm(const LibraryCall &call) {
  PreparedCall product = prepareMatmul(call);
  bool hasAddend = call.ints[2], hasBias = call.ints[3], relu = call.ints[4];
  const TensorRef &c = call.outputs[0];
  auto *result = static_cast<float *>(c.data);
  auto *addend = hasAddend ? static_cast<const float *>(call.inputs[2].data) : nullptr;
  auto *bias = hasBias ? static_cast<const float *>(call.inputs[2 + hasAddend].data) : nullptr;
  int64_t columns = c.shape.back(), rows = c.elements() / std::max<int64_t>(columns, 1);
  auto run = [=, multiply = std::move(product.run)](void *workspace) {
    multiply(workspace);
#pragma omp parallel for
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t column = 0; column < columns; ++column) {
        int64_t i = row * columns + column;
        float value = result[i];
        if (addend)
          value += addend[i];
        if (bias)
          value += bias[column];
        result[i] = relu && value < 0 ? 0 : value;
      }
  };
  return {run, product.workspaceBytes};
}

dnnl::pooling_forward::primitive_desc poolingForward(dnnl::algorithm algorithm,
                                                     const memory::desc &input,
                                                     const memory::desc &output,
                                                     std::span<const int64_t> ints) {
  Window window(ints.subspan(2));
  dnnl::pooling_forward::desc desc(dnnl::prop_kind::forward_training, algorithm, input, output,
                                   window.strides, {ints[0], ints[1]}, window.paddingBefore,
                                   window.paddingAfter);
  return {desc, userScratchpad(), engine()};
}

PreparedCall preparePool(const LibraryCall &call, dnnl::algorithm algorithm) {
  const TensorRef &x = call.inputs[0], &y = call.outputs[0];
  auto pd = poolingForward(algorithm, imageDesc(x), imageDesc(y), call.ints);
  WeightedCall prepared(dnnl::pooling_forward(pd), pd.scratchpad_desc());
  prepared.bind(DNNL_ARG_SRC, pd.src_desc(), x.data);
  prepared.bind(DNNL_ARG_DST, pd.dst_desc(), y.data);
  if (algorithm == dnnl::algorithm::pooling_max) {
    // One byte an output element, as the program has it, for windows of up to 256 elements.
    if (pd.workspace_desc().get_size() != call.outputs[1].bytes())
      throw dnnl::error(dnnl_unimplemented, "a window of over 256 elements");
    prepared.bind(DNNL_ARG_WORKSPACE, pd.workspace_desc(), call.outputs[1].data);
  }
  return prepared.finish();
}

PreparedCall preparePoolBackward(const LibraryCall &call, dnnl::algorithm algorithm) {
  const TensorRef &dy = call.inputs[0], &dx = call.outputs[0];
  std::span<const int64_t> ints = call.ints;
  auto hint = poolingForward(algorithm, imageDesc(dx), imageDesc(dy), ints);
  Window window(ints.subspan(2));
  dnnl::pooling_backward::desc desc(algorithm, imageDesc(dx), imageDesc(dy), window.strides,
                                    {ints[0], ints[1]}, window.paddingBefore, window.paddingAfter);
  dnnl::pooling_backward::primitive_desc pd(desc, userScratchpad(), engine(), hint);
  WeightedCall prepared(dnnl::pooling_backward(pd), pd.scratchpad_desc());
  prepared.bind(DNNL_ARG_DIFF_DST, pd.diff_dst_desc(), dy.data);
  prepared.bind(DNNL_ARG_DIFF_SRC, pd.diff_src_desc(), dx.data);
  if (algorithm == dnnl::algorithm::pooling_max)
    prepared.bind(DNNL_ARG_WORKSPACE, pd.workspace_desc(), call.inputs[1].data);
  return prepared.finish();
}

/// Fisher-Yates, as dialects/nn/README.md defines it.
PreparedCall preparePermutation(const LibraryCall &call) {
  auto *run = static_cast<const abi::RunScalars *>(call.inputs[0].data);
  auto *permutation = static_cast<int32_t *>(call.outputs[0].data);
  int64_t count = call.outputs[0].elements();
  uint32_t id = uint32_t(call.ints[0]);
  return {[=](void *) {
            std::iota(permutation, permutation + count, 0);
            for (int64_t i = count - 1; i >= 1; --i) {
              uint32_t word =
                  abi::philox(run->seed, uint64_t(i / 4), id, 0, uint32_t(run->step))[i % 4];
              auto j = int64_t(double(abi::uniform(word)) * double(i + 1));
              std::swap(permutation[i], permutation[j]);
            }
          },
          0};
}

PreparedCall prepareChecked(const LibraryCall &call) {
  switch (call.op) {
  case schema::LibraryOp::Matmul:
    return prepareMatmul(call);
  case schema::LibraryOp::Conv2D:
    return prepareConv2D(call);
  case schema::LibraryOp::Conv2DBackwardData:
    return prepareConv2DBackwardData(call);
  case schema::LibraryOp::Conv2DBackwardWeights:
    return prepareConv2DBackwardWeights(call);
  case schema::LibraryOp::MaxPool2D:
    return preparePool(call, dnnl::algorithm::pooling_max);
  case schema::LibraryOp::MaxPool2DBackward:
    return preparePoolBackward(call, dnnl::algorithm::pooling_max);
  case schema::LibraryOp::AvgPool2D:
    return preparePool(call, dnnl::algorithm::pooling_avg_include_padding);
  case schema::LibraryOp::AvgPool2DBackward:
    return preparePoolBackward(call, dnnl::algorithm::pooling_avg_include_padding);
  case schema::LibraryOp::RandomPermutation:
    return preparePermutation(call);
  case schema::LibraryOp::Gemm:
    return prepareGemm(call);
  case schema::LibraryOp::Unspecified:
    break;
  }
  return {};
}

} // namespace

std::string oneDnnVersion() {
  const dnnl::version_t *version = dnnl::version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

Result<PreparedCall> prepareCall(const LibraryCall &call) {
  DOPPEL_CHECK(expectArity(call));
  try {
    return prepareChecked(call);
  } catch (const dnnl::error &error) {
    return failInternal("oneDNN refuses {}: {}", schema::EnumNameLibraryOp(call.op), error.what());
  }
}

} // namespace doppel::runtime::cpu
