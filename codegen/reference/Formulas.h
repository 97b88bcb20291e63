// The meaning of the nn operations that are more than arithmetic on single elements, as functions
// of tensors. Each is its formula in one loop over indices; none is fast. Arguments have passed the
// operations' verifiers.
#pragma once

#include "codegen/reference/Tensor.h"
#include "dialects/nn/NnDialect.h"
#include "runtime/schema/Abi.h"

#include <span>

namespace doppel::reference {

using Numbers = llvm::ArrayRef<int64_t>;

//===- Shape (Shapes.cpp) ---------------------------------------------------------------------===//

/// result[index] = input[index[dims]].
Tensor broadcast(const Tensor &input, Numbers dims, const Shape &result);
/// Dimension i of the result is dimension permutation[i] of the input.
Tensor transpose(const Tensor &input, Numbers permutation);
/// result[i] = input[offsets + i * strides].
Tensor slice(const Tensor &input, Numbers offsets, Numbers strides, const Shape &result);
/// Zeros, with result[offsets + i * strides] = input[i].
Tensor pad(const Tensor &input, Numbers offsets, Numbers strides, const Shape &result);
Tensor concat(llvm::ArrayRef<const Tensor *> inputs, int64_t axis, const Shape &result);
/// Sum, greatest or least along `dims`, which the result lacks; NaN is greatest and least.
Tensor reduce(const Tensor &input, nn::ReduceKind kind, Numbers dims, const Shape &result);
/// Rank 2, or rank 3 with a batch in front.
Tensor matmul(const Tensor &lhs, const Tensor &rhs, bool transposeLhs, bool transposeRhs,
              const Shape &result);
/// f(lhs rhs + addend + bias of each column): f is relu or nothing; what is null is not added.
Tensor gemm(const Tensor &lhs, const Tensor &rhs, const Tensor *addend, const Tensor *bias,
            bool transposeLhs, bool transposeRhs, bool relu, const Shape &shape);

//===- Windows (Windows.cpp) ------------------------------------------------------------------===//

/// strides, dilations, kernel: [y, x]; padding: [top, left, bottom, right].
struct Window {
  Numbers strides, padding, dilations;
  int64_t groups = 1;
  bool channelsLast = false; ///< filters are [O, KH, KW, I / groups]
};
/// x: [N, H, W, I], w: [O, I / groups, KH, KW] -> [N, OH, OW, O].
Tensor conv2d(const Tensor &x, const Tensor &w, const Window &window, const Shape &result);
Tensor conv2dBackwardData(const Tensor &dy, const Tensor &w, const Window &window,
                          const Shape &result);
Tensor conv2dBackwardWeights(const Tensor &x, const Tensor &dy, const Window &window,
                             const Shape &result);
/// x: [N, H, W, C]. The result, and in `workspace` the place ky * KW + kx of each maximum.
Tensor maxPool2d(const Tensor &x, Numbers kernel, Numbers strides, Numbers padding,
                 const Shape &result, Tensor &workspace);
Tensor maxPool2dBackward(const Tensor &dy, const Tensor &workspace, Numbers kernel, Numbers strides,
                         Numbers padding, const Shape &result);
Tensor avgPool2d(const Tensor &x, Numbers kernel, Numbers strides, Numbers padding,
                 const Shape &result);
Tensor avgPool2dBackward(const Tensor &dy, Numbers kernel, Numbers strides, Numbers padding,
                         const Shape &result);

struct BatchNorm {
  Tensor result;         ///< [..., C]
  Tensor mean, variance; ///< [G, C]; biased
};
BatchNorm batchNorm(const Tensor &x, const Tensor &scale, const Tensor &bias, double epsilon,
                    int64_t groups);
struct BatchNormGradient {
  Tensor input;       ///< [..., C]
  Tensor scale, bias; ///< [C]
};
BatchNormGradient batchNormBackward(const Tensor &x, const Tensor &scale, const Tensor &mean,
                                    const Tensor &variance, const Tensor &dy, double epsilon,
                                    int64_t groups);

//===- Rows and segments (Rows.cpp) -----------------------------------------------------------===//

/// An index outside of the table gives a row of zeros, and takes none.
Tensor gatherRows(const Tensor &table, const Tensor &indices);
Tensor scatterRows(const Tensor &table, const Tensor &indices, const Tensor &rows, bool accumulate);
/// Rows [N, ...] go into the ring [K, ...] from row (step * N) mod K on.
Tensor enqueue(const Tensor &queue, const Tensor &rows, int64_t step);
Tensor pack(llvm::ArrayRef<const Tensor *> inputs, Numbers offsets, int64_t length);
Tensor segmentSum(const Tensor &input, Numbers offsets, Numbers sizes);
Tensor segmentBroadcast(const Tensor &input, Numbers offsets, Numbers sizes, int64_t length);

//===- Random (Random.cpp): the keys are those of dialects/nn/README.md -----------------------===//

Tensor random(nn::Distribution distribution, uint64_t seed, uint32_t stream, uint32_t step,
              const Shape &shape, const Tensor *by);
/// A permutation of 0 .. count - 1 by Fisher and Yates.
Tensor randomPermutation(uint64_t seed, uint32_t stream, uint32_t step, int64_t count);

//===- Views (Augment.cpp) --------------------------------------------------------------------===//

/// [batch, size, size, 3] by the table of stages in dialects/nn/README.md.
Tensor augment(std::span<const abi::ImageRef> images, const uint8_t *slab,
               llvm::ArrayRef<nn::StageAttr> pipeline, uint64_t seed, uint32_t stream,
               uint32_t step);

//===- Updates (Updates.cpp) ------------------------------------------------------------------===//

/// Whether the rule's update depends on how many steps were taken before.
bool hasStepsInFormula(nn::OptimizerRule rule, mlir::DictionaryAttr options);

/// Multiplies by min(1, clip / (norm + 1e-6)), the norm each tensor's own or that of all; nothing
/// if `options` have no clip. As torch.nn.utils.clip_grad_norm_.
void clipGradients(mlir::DictionaryAttr options, std::vector<Tensor> &gradients);

/// Moments of one parameter, each zero at first.
using Moments = llvm::SmallVector<Tensor, 2>;
/// What is added to a parameter's name for the names of its moments: momentum (none where its
/// factor is 0), or first_moment and second_moment of adamw.
llvm::SmallVector<llvm::StringRef> momentNames(nn::OptimizerRule rule,
                                               mlir::DictionaryAttr options);
/// One step of one parameter. `step`: number of steps taken before. Source: methods.md P20,
/// torch.optim.
void updateParameter(nn::OptimizerRule rule, mlir::DictionaryAttr options, bool decay, bool adapt,
                     double learningRate, double weightDecay, int64_t step, const Tensor &gradient,
                     Tensor &parameter, Moments &moments);

} // namespace doppel::reference
