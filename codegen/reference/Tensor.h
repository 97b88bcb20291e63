// A tensor of the oracle: doubles in row-major order, whatever the element type. Integers and
// booleans are exact in them below 2^53.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace doppel::reference {

using Shape = std::vector<int64_t>;

/// Number of elements of `shape`; 1 for a scalar.
inline int64_t elementCount(const Shape &shape) {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

struct Tensor {
  Shape shape;
  std::vector<double> values;

  Tensor() = default;
  explicit Tensor(Shape shape, double value = 0)
      : shape(std::move(shape)), values(elementCount(this->shape), value) {}
  Tensor(Shape shape, std::vector<double> values)
      : shape(std::move(shape)), values(std::move(values)) {}

  int64_t rank() const { return static_cast<int64_t>(shape.size()); }
  int64_t size() const { return static_cast<int64_t>(values.size()); }
  double &operator[](int64_t linear) { return values[linear]; }
  double operator[](int64_t linear) const { return values[linear]; }

  /// Linear index of the element at `index`, one entry a dimension.
  int64_t at(const Shape &index) const {
    int64_t linear = 0;
    for (size_t dim = 0; dim < shape.size(); ++dim)
      linear = linear * shape[dim] + index[dim];
    return linear;
  }
};

/// Calls `visit(index, linear)` for every index of `shape` in row-major order.
template <typename Visit> void forEachIndex(const Shape &shape, Visit visit) {
  int64_t count = elementCount(shape);
  Shape index(shape.size(), 0);
  for (int64_t linear = 0; linear < count; ++linear) {
    visit(static_cast<const Shape &>(index), linear);
    for (size_t dim = shape.size(); dim-- > 0;) {
      if (++index[dim] < shape[dim])
        break;
      index[dim] = 0;
    }
  }
}

} // namespace doppel::reference
