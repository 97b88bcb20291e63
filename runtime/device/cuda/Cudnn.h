// Convolutions by cuDNN, through the graph interface of cudnn-frontend (which only Cudnn.cpp
// includes: it is a minute of compiling).
#pragma once

#include "runtime/device/cuda/Library.h"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

struct cudnnContext;
struct CUstream_st;

namespace doppel::runtime::cuda {

/// One convolution of f32 tensors: x [N, H, W, C], w [K, KH, KW, C / groups], y [N, OH, OW, K], all
/// dense. The filters' last dimension is the channels', as the images' is: cuDNN has its fast
/// kernels for that order alone.
struct Convolution {
  enum class Kind : uint8_t {
    Forward,         ///< x, w -> y
    BackwardData,    ///< dy, w -> dx
    BackwardWeights, ///< x, dy -> dw
  };
  Kind kind = Kind::Forward;
  int64_t batch = 0, height = 0, width = 0, channels = 0; ///< of x
  int64_t outHeight = 0, outWidth = 0, filters = 0;       ///< of y
  int64_t kernelHeight = 0, kernelWidth = 0;
  int64_t strideY = 1, strideX = 1, dilationY = 1, dilationX = 1;
  int64_t top = 0, left = 0, bottom = 0, right = 0; ///< padding
  int64_t groups = 1;
  bool tf32 = false; ///< whether tensor cores may round the operands to 10 bits

  /// Its sizes as a word, equal for equal convolutions: the key of caches.
  std::string key() const;
};

/// A GPU as cuDNN is told of one that is not there.
struct GpuDescription {
  std::string name;
  int architecture = 0; ///< 90 for sm_90
  int multiprocessors = 0;
  uint64_t memoryBytes = 0;
  uint64_t sharedBytesOfSm = 0, sharedBytesOfBlock = 0, l2Bytes = 0;
};

/// A way that cuDNN knows to compute one convolution.
class ConvolutionPlan {
public:
  virtual ~ConvolutionPlan() = default;
  virtual size_t workspaceBytes() const = 0;
  /// cuDNN's, with the engine's number; empty of a restored one.
  virtual std::string name() const = 0;
  /// The plan's bytes, which `restore` reads back.
  virtual Result<std::vector<uint8_t>> serialize() = 0;
  /// Puts the convolution on the stream of `attach`. Operands in the order of Convolution::Kind;
  /// the workspace is of workspaceBytes.
  virtual Result<void> run(const void *first, const void *second, void *result,
                           void *workspace) = 0;
};

class Cudnn {
public:
  /// Fails where it is missing, or is not version 9.
  static Result<std::unique_ptr<Cudnn>> open(const LibrarySearch &search);
  virtual ~Cudnn() = default;
  virtual std::string
  version() const = 0; ///< "9.19.1", whole: plans of one version are not another's

  /// From here on plans are for the GPU of the current context, an sm_`architecture`, and run on
  /// `stream`.
  virtual Result<void> attach(CUstream_st *stream, int architecture) = 0;
  /// From here on plans are for a GPU that is not there; they cannot be run.
  virtual Result<void> describe(const GpuDescription &gpu) = 0;

  /// The first of cuDNN's plans, in the order of its own expectation, that takes no more than
  /// `workspaceLimit` bytes, is deterministic by its notes, and that `accept` takes (which runs it
  /// twice, where it can run: the notes do not tell all). Fails with what stood in the way of each.
  virtual Result<std::unique_ptr<ConvolutionPlan>>
  choose(const Convolution &convolution, size_t workspaceLimit,
         const std::function<Result<bool>(ConvolutionPlan &)> &accept) = 0;
  /// A plan that was serialized for this GPU by this version.
  virtual Result<std::unique_ptr<ConvolutionPlan>> restore(const Convolution &convolution,
                                                           std::span<const uint8_t> bytes) = 0;
};

} // namespace doppel::runtime::cuda
