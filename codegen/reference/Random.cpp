// Draws by element: word i % 4 of philox(seed, i / 4, stream, 0, step).
#include "codegen/reference/Formulas.h"

#include <cmath>
#include <numbers>

namespace doppel::reference {

static double uniformOf(uint64_t seed, uint32_t stream, uint32_t step, int64_t i) {
  return abi::uniform(abi::philox(seed, static_cast<uint64_t>(i / 4), stream, 0, step)[i % 4]);
}

Tensor random(nn::Distribution distribution, uint64_t seed, uint32_t stream, uint32_t step,
              const Shape &shape, const Tensor *by) {
  Tensor result(shape);
  int64_t row = by ? result.size() / shape[0] : 1;
  for (int64_t place = 0; place < result.size(); ++place) {
    int64_t i = by ? int64_t((*by)[place / row]) * row + place % row : place;
    if (distribution == nn::Distribution::Uniform) {
      result[place] = uniformOf(seed, stream, step, i);
      continue;
    }
    // Box and Muller: words 2j and 2j + 1 of a block make the normal draws 2j and 2j + 1.
    double u0 = uniformOf(seed, stream, step, i / 2 * 2);
    double u1 = uniformOf(seed, stream, step, i / 2 * 2 + 1);
    double radius = std::sqrt(-2 * std::log1p(-u0)), angle = 2 * std::numbers::pi * u1;
    result[place] = i % 2 == 0 ? radius * std::cos(angle) : radius * std::sin(angle);
  }
  return result;
}

Tensor randomPermutation(uint64_t seed, uint32_t stream, uint32_t step, int64_t count) {
  Tensor result(Shape{count});
  for (int64_t i = 0; i < count; ++i)
    result[i] = static_cast<double>(i);
  for (int64_t i = count - 1; i >= 1; --i) {
    double u = uniformOf(seed, stream, step, i);
    std::swap(result[i], result[static_cast<int64_t>(std::floor(u * static_cast<double>(i + 1)))]);
  }
  return result;
}

} // namespace doppel::reference
