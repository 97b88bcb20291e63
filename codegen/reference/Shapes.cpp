// Tensors under other shapes, reductions and products.
#include "codegen/reference/Formulas.h"

#include <cmath>

namespace doppel::reference {

Tensor broadcast(const Tensor &input, Numbers dims, const Shape &shape) {
  Tensor result(shape);
  Shape source(dims.size());
  forEachIndex(shape, [&](const Shape &index, int64_t linear) {
    for (size_t i = 0; i < dims.size(); ++i)
      source[i] = index[dims[i]];
    result[linear] = input[input.at(source)];
  });
  return result;
}

Tensor transpose(const Tensor &input, Numbers permutation) {
  Shape shape, source(permutation.size());
  for (int64_t dim : permutation)
    shape.push_back(input.shape[dim]);
  Tensor result(shape);
  forEachIndex(shape, [&](const Shape &index, int64_t linear) {
    for (size_t i = 0; i < permutation.size(); ++i)
      source[permutation[i]] = index[i];
    result[linear] = input[input.at(source)];
  });
  return result;
}

/// Calls visit(element of the part, element of the whole) for each element of the part.
template <typename Visit>
static void forEachOfPart(const Shape &part, const Tensor &whole, Numbers offsets, Numbers strides,
                          Visit visit) {
  Shape place(part.size());
  forEachIndex(part, [&](const Shape &index, int64_t linear) {
    for (size_t i = 0; i < part.size(); ++i)
      place[i] = offsets[i] + index[i] * strides[i];
    visit(linear, whole.at(place));
  });
}

Tensor slice(const Tensor &input, Numbers offsets, Numbers strides, const Shape &shape) {
  Tensor result(shape);
  forEachOfPart(shape, input, offsets, strides,
                [&](int64_t part, int64_t whole) { result[part] = input[whole]; });
  return result;
}

Tensor pad(const Tensor &input, Numbers offsets, Numbers strides, const Shape &shape) {
  Tensor result(shape);
  forEachOfPart(input.shape, result, offsets, strides,
                [&](int64_t part, int64_t whole) { result[whole] = input[part]; });
  return result;
}

Tensor concat(llvm::ArrayRef<const Tensor *> inputs, int64_t axis, const Shape &shape) {
  Tensor result(shape);
  int64_t begin = 0;
  for (const Tensor *input : inputs) {
    forEachIndex(input->shape, [&](const Shape &index, int64_t linear) {
      Shape place = index;
      place[axis] += begin;
      result[result.at(place)] = (*input)[linear];
    });
    begin += input->shape[axis];
  }
  return result;
}

Tensor reduce(const Tensor &input, nn::ReduceKind kind, Numbers dims, const Shape &shape) {
  double empty = kind == nn::ReduceKind::Sum   ? 0
                 : kind == nn::ReduceKind::Max ? -INFINITY
                                               : INFINITY;
  Tensor result(shape, empty);
  Shape kept(shape.size());
  forEachIndex(input.shape, [&](const Shape &index, int64_t linear) {
    size_t next = 0;
    for (size_t dim = 0; dim < index.size(); ++dim)
      if (!llvm::is_contained(dims, static_cast<int64_t>(dim)))
        kept[next++] = index[dim];
    double &total = result[result.at(kept)];
    double value = input[linear];
    if (kind == nn::ReduceKind::Sum)
      total += value;
    else if (std::isnan(value) || (kind == nn::ReduceKind::Max ? value > total : value < total))
      total = value;
  });
  return result;
}

Tensor matmul(const Tensor &lhs, const Tensor &rhs, bool transposeLhs, bool transposeRhs,
              const Shape &shape) {
  int64_t batches = shape.size() == 3 ? shape[0] : 1;
  int64_t rows = shape[shape.size() - 2], columns = shape.back();
  int64_t inner = lhs.size() / (batches * rows);
  Tensor result(shape);
  for (int64_t b = 0; b < batches; ++b)
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t k = 0; k < inner; ++k)
        for (int64_t j = 0; j < columns; ++j) {
          double x = lhs[b * rows * inner + (transposeLhs ? k * rows + i : i * inner + k)];
          double y = rhs[b * inner * columns + (transposeRhs ? j * inner + k : k * columns + j)];
          result[(b * rows + i) * columns + j] += x * y;
        }
  return result;
}

Tensor gemm(const Tensor &lhs, const Tensor &rhs, const Tensor *addend, const Tensor *bias,
            bool transposeLhs, bool transposeRhs, bool relu, const Shape &shape) {
  Tensor result = matmul(lhs, rhs, transposeLhs, transposeRhs, shape);
  for (int64_t i = 0; i < result.size(); ++i) {
    double value = result[i];
    if (addend)
      value += (*addend)[i];
    if (bias)
      value += (*bias)[i % shape.back()];
    result[i] = relu && value < 0 ? 0 : value;
  }
  return result;
}

} // namespace doppel::reference
