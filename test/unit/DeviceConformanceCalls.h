// The part of DeviceConformance.h about library operations: each against its formula in double,
// element by element. Sums may differ by the rounding of their own terms, nothing else.
#pragma once

#include "test/unit/DeviceConformance.h"

#include <algorithm>
#include <array>

namespace doppel::runtime::test {

/// A sum in double, and the sum of its terms' absolute values, which bounds the rounding in f32.
struct Sum {
  double value = 0, magnitude = 0;

  void add(double term) {
    value += term;
    magnitude += std::abs(term);
  }
};

inline void expectSums(const std::vector<float> &actual, const std::vector<Sum> &expected,
                       double rounding) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    ASSERT_NEAR(actual[i], expected[i].value, rounding * expected[i].magnitude) << "element " << i;
}

/// Vertical and horizontal.
using Pair = std::array<int64_t, 2>;

/// A convolution's extents; weights [out, in / groups, kernel, kernel], or [out, kernel, kernel, in
/// / groups].
struct ConvolutionCase {
  int64_t batch;
  Pair size;
  int64_t in, out;
  Pair kernel, stride, before, after, dilation;
  int64_t groups;
  bool channelsLast = false;

  int64_t result(int axis) const {
    return (size[axis] + before[axis] + after[axis] - dilation[axis] * (kernel[axis] - 1) - 1) /
               stride[axis] +
           1;
  }
  std::vector<int64_t> ints() const {
    return {stride[0], stride[1],   before[0],   before[1], after[0],
            after[1],  dilation[0], dilation[1], groups,    channelsLast};
  }
  std::vector<int64_t> inputShape() const { return {batch, size[0], size[1], in}; }
  std::vector<int64_t> weightShape() const {
    if (channelsLast)
      return {out, kernel[0], kernel[1], in / groups};
    return {out, in / groups, kernel[0], kernel[1]};
  }
  std::vector<int64_t> outputShape() const { return {batch, result(0), result(1), out}; }

  /// Calls f(input index, weight index, output index) for every product of the convolution.
  template <typename F> void forEach(F f) const {
    int64_t perGroup = in / groups;
    for (int64_t n = 0; n < batch; ++n)
      for (int64_t oy = 0; oy < result(0); ++oy)
        for (int64_t ox = 0; ox < result(1); ++ox)
          for (int64_t o = 0; o < out; ++o)
            for (int64_t i = 0; i < perGroup; ++i)
              for (int64_t ky = 0; ky < kernel[0]; ++ky)
                for (int64_t kx = 0; kx < kernel[1]; ++kx) {
                  int64_t y = oy * stride[0] - before[0] + ky * dilation[0];
                  int64_t x = ox * stride[1] - before[1] + kx * dilation[1];
                  if (y < 0 || y >= size[0] || x < 0 || x >= size[1])
                    continue;
                  int64_t channel = o / (out / groups) * perGroup + i;
                  f(size_t(((n * size[0] + y) * size[1] + x) * in + channel),
                    size_t(channelsLast ? ((o * kernel[0] + ky) * kernel[1] + kx) * perGroup + i
                                        : ((o * perGroup + i) * kernel[0] + ky) * kernel[1] + kx),
                    size_t(((n * result(0) + oy) * result(1) + ox) * out + o));
                }
  }
};

inline constexpr Pair kNone = {0, 0}, kOne = {1, 1}, kTwo = {2, 2}, kThree = {3, 3};

/// Stem, body, strided, 1x1, asymmetric padding, dilated, grouped; strided 1x1 on few channels; and
/// with everything different along the two axes.
inline const ConvolutionCase kConvolutions[] = {
    {2, {8, 8}, 3, 16, kThree, kOne, kOne, kOne, kOne, 1},
    {2, {8, 8}, 16, 16, kThree, kOne, kOne, kOne, kOne, 1},
    {2, {8, 8}, 16, 32, kThree, kTwo, kOne, kOne, kOne, 1},
    {2, {8, 8}, 16, 32, kOne, kTwo, kNone, kNone, kOne, 1},
    {1, {9, 9}, 3, 8, {7, 7}, kTwo, kThree, kThree, kOne, 1},
    {1, {8, 8}, 4, 6, kThree, kTwo, kNone, kOne, kOne, 1},
    {1, {9, 9}, 8, 8, kThree, kOne, kTwo, kTwo, kTwo, 1},
    {2, {6, 6}, 8, 8, kThree, kOne, kOne, kOne, kOne, 4},
    {16, {8, 8}, 4, 8, kOne, kTwo, kNone, kNone, kOne, 1},
    {4, {14, 14}, 2, 12, kOne, kTwo, kNone, kNone, kOne, 1},
    {2, {7, 12}, 4, 6, {3, 2}, {1, 3}, {2, 0}, {0, 1}, {1, 2}, 1},
    {2, {11, 5}, 6, 4, {2, 4}, {3, 1}, {0, 3}, {1, 0}, {2, 1}, 2},
};

TEST_P(DeviceConformance, ConvolvesForwardAndBackward) {
  if (!GetParam().convolves)
    GTEST_SKIP() << "its library is another's, or not here";
  for (const ConvolutionCase &given : kConvolutions)
    for (bool last : {false, true}) {
      if (!last && !GetParam().takesFiltersFirst)
        continue;
      SCOPED_TRACE(&given - kConvolutions);
      SCOPED_TRACE(last);
      ConvolutionCase c = given;
      c.channelsLast = last;
      std::vector<float> x, w, dy;
      TensorRef input = random(c.inputShape(), 1, x), weight = random(c.weightShape(), 2, w);
      TensorRef gradient = random(c.outputShape(), 3, dy);
      TensorRef output = empty(c.outputShape()), inputGradient = empty(c.inputShape());
      TensorRef weightGradient = empty(c.weightShape());
      execute({schema::LibraryOp::Conv2D, {input, weight}, {output}, c.ints()});
      execute(
          {schema::LibraryOp::Conv2DBackwardData, {gradient, weight}, {inputGradient}, c.ints()});
      execute({schema::LibraryOp::Conv2DBackwardWeights,
               {input, gradient},
               {weightGradient},
               c.ints()});
      std::vector<Sum> y(dy.size()), dx(x.size()), dw(w.size());
      c.forEach([&](size_t i, size_t k, size_t o) {
        y[o].add(double(x[i]) * w[k]);
        dx[i].add(double(dy[o]) * w[k]);
        dw[k].add(double(dy[o]) * x[i]);
      });
      expectSums(values(output), y, GetParam().rounding);
      expectSums(values(inputGradient), dx, GetParam().rounding);
      expectSums(values(weightGradient), dw, GetParam().rounding);
    }
}

TEST_P(DeviceConformance, MultipliesMatricesTransposedOrNot) {
  constexpr int64_t kRows = 5, kInner = 7, kColumns = 4;
  for (int64_t batch : {0, 1, 3}) // 0: matrices of rank 2
    for (int transposeA : {0, 1})
      for (int transposeB : {0, 1}) {
        auto shape = [&](int64_t rows, int64_t columns, bool transpose) {
          std::vector<int64_t> result = {rows, columns};
          if (transpose)
            std::swap(result[0], result[1]);
          if (batch)
            result.insert(result.begin(), batch);
          return result;
        };
        std::vector<float> a, b;
        TensorRef left = random(shape(kRows, kInner, transposeA), 1, a);
        TensorRef right = random(shape(kInner, kColumns, transposeB), 2, b);
        TensorRef product = empty(shape(kRows, kColumns, false));
        execute({schema::LibraryOp::Matmul, {left, right}, {product}, {transposeA, transposeB}});
        std::vector<Sum> expected;
        for (int64_t n = 0; n < std::max<int64_t>(batch, 1); ++n)
          for (int64_t i = 0; i < kRows; ++i)
            for (int64_t j = 0; j < kColumns; ++j) {
              Sum &sum = expected.emplace_back();
              for (int64_t k = 0; k < kInner; ++k)
                sum.add(double(a[size_t(n * kRows * kInner +
                                        (transposeA ? k * kRows + i : i * kInner + k))]) *
                        b[size_t(n * kInner * kColumns +
                                 (transposeB ? j * kInner + k : k * kColumns + j))]);
            }
        expectSums(values(product), expected, GetParam().rounding);
      }
}

/// An addend like the result, a bias of each column, relu: each alone and together.
TEST_P(DeviceConformance, AddsToProductsAndTakesRelu) {
  constexpr int64_t kRows = 5, kInner = 7, kColumns = 4;
  for (int64_t batch : {0, 2})
    for (int parts = 1; parts < 8; ++parts) {
      bool hasAddend = parts & 1, hasBias = parts & 2, relu = parts & 4;
      SCOPED_TRACE(parts);
      auto shape = [&](int64_t rows, int64_t columns) {
        return batch ? std::vector<int64_t>{batch, rows, columns}
                     : std::vector<int64_t>{rows, columns};
      };
      std::vector<float> a, b, c, v;
      TensorRef left = random(shape(kRows, kInner), 1, a);
      TensorRef right = random(shape(kColumns, kInner), 2, b);
      TensorRef addend = random(shape(kRows, kColumns), 3, c), bias = random({kColumns}, 4, v);
      TensorRef result = empty(shape(kRows, kColumns));
      LibraryCall call{
          schema::LibraryOp::Gemm, {left, right}, {result}, {0, 1, hasAddend, hasBias, relu}};
      if (hasAddend)
        call.inputs.push_back(addend);
      if (hasBias)
        call.inputs.push_back(bias);
      execute(call);
      std::vector<Sum> expected(c.size());
      for (size_t i = 0; i < expected.size(); ++i) {
        size_t row = i / kColumns, column = i % kColumns, n = row / kRows;
        for (size_t k = 0; k < kInner; ++k)
          expected[i].add(double(a[row * kInner + k]) * b[(n * kColumns + column) * kInner + k]);
        if (hasAddend)
          expected[i].add(c[i]);
        if (hasBias)
          expected[i].add(v[column]);
        if (relu)
          expected[i].value = std::max(expected[i].value, 0.0);
      }
      expectSums(values(result), expected, GetParam().rounding);
    }
}

/// Else a step whose numbers have left the finite ones would go on as if they had not.
TEST_P(DeviceConformance, ReluOfAProductKeepsNaN) {
  std::vector<float> a, b;
  TensorRef left = random({3, 3}, 1, a), right = random({3, 3}, 2, b), result = empty({3, 3});
  a[4] = NAN;
  ASSERT_TRUE(device->upload(left, a.data()));
  execute({schema::LibraryOp::Gemm, {left, right}, {result}, {0, 0, 0, 0, 1}});
  std::vector<float> found = values(result);
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_EQ(std::isnan(found[i]), i / 3 == 1) << i;
}

/// A pool's extents; ints as its call has them.
struct PoolCase {
  int64_t batch;
  Pair size;
  int64_t channels;
  Pair window, stride, before, after;

  int64_t result(int axis) const {
    return (size[axis] + before[axis] + after[axis] - window[axis]) / stride[axis] + 1;
  }
  std::vector<int64_t> ints() const {
    return {window[0], window[1], stride[0], stride[1], before[0], before[1], after[0], after[1]};
  }
  std::vector<int64_t> inputShape() const { return {batch, size[0], size[1], channels}; }
  std::vector<int64_t> outputShape() const { return {batch, result(0), result(1), channels}; }

  /// Calls f(output index, input indices of its window in order of rows) for every output.
  template <typename F> void forEach(F f) const {
    for (int64_t n = 0; n < batch; ++n)
      for (int64_t oy = 0; oy < result(0); ++oy)
        for (int64_t ox = 0; ox < result(1); ++ox)
          for (int64_t c = 0; c < channels; ++c) {
            std::vector<size_t> seen;
            for (int64_t ky = 0; ky < window[0]; ++ky)
              for (int64_t kx = 0; kx < window[1]; ++kx) {
                int64_t y = oy * stride[0] - before[0] + ky, x = ox * stride[1] - before[1] + kx;
                if (y >= 0 && y < size[0] && x >= 0 && x < size[1])
                  seen.push_back(size_t(((n * size[0] + y) * size[1] + x) * channels + c));
              }
            f(size_t(((n * result(0) + oy) * result(1) + ox) * channels + c), seen);
          }
  }
};

/// ResNet's stem; a window that tiles; everything different along the two axes.
inline const PoolCase kPools[] = {
    {1, {6, 6}, 5, kThree, kTwo, kOne, kOne},
    {2, {4, 4}, 3, kTwo, kTwo, kNone, kNone},
    {2, {5, 8}, 4, {3, 2}, {1, 3}, {2, 0}, {0, 1}},
    {2, {9, 4}, 3, {2, 4}, {3, 1}, {0, 3}, {1, 0}},
};

/// A device whose programs never ask for it says so.
TEST_P(DeviceConformance, PoolsOrRefusesTo) {
  TensorRef x = empty({1, 2, 2, 1}), y = empty({1, 1, 1, 1});
  auto recorded =
      makeList()->call({schema::LibraryOp::AvgPool2D, {x}, {y}, {2, 2, 2, 2, 0, 0, 0, 0}});
  EXPECT_EQ(recorded.has_value(), GetParam().poolsAreCalls);
  if (!recorded) {
    EXPECT_NE(recorded.error().message.find("AvgPool2D is no call"), std::string::npos)
        << recorded.error().message;
  }
}

TEST_P(DeviceConformance, PoolsTheGreatestAndGivesItTheGradient) {
  if (!GetParam().poolsAreCalls)
    GTEST_SKIP() << "kernels do it";
  for (const PoolCase &c : kPools) {
    SCOPED_TRACE(&c - kPools);
    std::vector<float> x, dy;
    TensorRef input = random(c.inputShape(), 1, x), gradient = random(c.outputShape(), 2, dy);
    for (float &value : x)
      value -= 2; // so that padding taken for zeros would win
    ASSERT_TRUE(device->upload(input, x.data()));
    TensorRef output = empty(c.outputShape()), inputGradient = empty(c.inputShape());
    TensorRef workspace = empty(c.outputShape(), schema::DType::U8);
    execute({schema::LibraryOp::MaxPool2D, {input}, {output, workspace}, c.ints()});
    execute(
        {schema::LibraryOp::MaxPool2DBackward, {gradient, workspace}, {inputGradient}, c.ints()});
    std::vector<float> y(dy.size());
    std::vector<Sum> dx(x.size());
    c.forEach([&](size_t out, const std::vector<size_t> &seen) {
      size_t best = *std::max_element(seen.begin(), seen.end(),
                                      [&](size_t a, size_t b) { return x[a] < x[b]; });
      y[out] = x[best];
      dx[best].add(dy[out]);
    });
    EXPECT_EQ(values(output), y);
    expectSums(values(inputGradient), dx, GetParam().rounding);
  }
}

TEST_P(DeviceConformance, PoolsTheMeanWithPaddingAsZeros) {
  if (!GetParam().poolsAreCalls)
    GTEST_SKIP() << "kernels do it";
  for (const PoolCase &c : kPools) {
    SCOPED_TRACE(&c - kPools);
    std::vector<float> x, dy;
    TensorRef input = random(c.inputShape(), 1, x), gradient = random(c.outputShape(), 2, dy);
    TensorRef output = empty(c.outputShape()), inputGradient = empty(c.inputShape());
    execute({schema::LibraryOp::AvgPool2D, {input}, {output}, c.ints()});
    execute({schema::LibraryOp::AvgPool2DBackward, {gradient}, {inputGradient}, c.ints()});
    std::vector<Sum> y(dy.size()), dx(x.size());
    double count = double(c.window[0] * c.window[1]);
    c.forEach([&](size_t out, const std::vector<size_t> &seen) {
      for (size_t in : seen) {
        y[out].add(x[in] / count);
        dx[in].add(dy[out] / count);
      }
    });
    expectSums(values(output), y, GetParam().rounding);
    expectSums(values(inputGradient), dx, GetParam().rounding);
  }
}

/// dialects/nn/README.md: i from N-1 down to 1, j = floor(u (i + 1)) with u of word i mod 4 of the
/// block i / 4; p[i] and p[j] change places.
TEST_P(DeviceConformance, PermutesAsDefined) {
  TensorRef run = empty({}, schema::DType::RunScalars);
  for (int64_t count : {1, 2, 3, 100, 4099})
    for (auto [seed, step, stream] :
         {std::tuple{uint64_t(1), int64_t(0), int64_t(7)},
          {uint64_t(1), int64_t(1), int64_t(7)},
          {uint64_t(1), int64_t(0), int64_t(8)},
          {(uint64_t(5) << 32) + 1, (int64_t(1) << 32) + 3, (int64_t(1) << 24) - 1}}) {
      abi::RunScalars scalars{seed, step, 10, 1, count};
      ASSERT_TRUE(device->upload(run, &scalars));
      TensorRef permutation = empty({count}, schema::DType::I32);
      execute({schema::LibraryOp::RandomPermutation, {run}, {permutation}, {stream}});
      std::vector<int32_t> expected(static_cast<size_t>(count));
      std::iota(expected.begin(), expected.end(), 0);
      for (int64_t i = count - 1; i >= 1; --i) {
        auto block = abi::philox(seed, uint64_t(i / 4), uint32_t(stream), 0, uint32_t(step));
        // Exact in double: 24 bits times at most 13.
        auto j = size_t(double(abi::uniform(block[size_t(i % 4)])) * double(i + 1));
        std::swap(expected[size_t(i)], expected[j]);
      }
      EXPECT_EQ(values<int32_t>(permutation), expected)
          << count << " from seed " << seed << ", step " << step << ", stream " << stream;
    }
}

/// The scalars are read when the list runs, not when it is recorded.
TEST_P(DeviceConformance, PermutesAnewEachStep) {
  TensorRef run = empty({}, schema::DType::RunScalars);
  TensorRef permutation = empty({50}, schema::DType::I32);
  auto list = makeList();
  ASSERT_TRUE(list->call({schema::LibraryOp::RandomPermutation, {run}, {permutation}, {0}}));
  std::vector<std::vector<int32_t>> drawn;
  for (int64_t step : {0, 1, 0}) {
    abi::RunScalars scalars{3, step, 10, 1, 50};
    ASSERT_TRUE(device->upload(run, &scalars));
    this->run(*list);
    drawn.push_back(values<int32_t>(permutation));
  }
  EXPECT_NE(drawn[0], drawn[1]);
  EXPECT_EQ(drawn[0], drawn[2]);
}

TEST_P(DeviceConformance, RefusesACallOfTheWrongArity) {
  using schema::LibraryOp;
  TensorRef a = empty({2, 2});
  auto list = makeList();
  for (LibraryOp op : schema::EnumValuesLibraryOp()) {
    if (op == LibraryOp::Unspecified)
      continue;
    auto recorded = list->call({op, {a, a, a}, {a}, {0, 0}});
    ASSERT_FALSE(recorded) << schema::EnumNameLibraryOp(op);
    EXPECT_NE(recorded.error().message.find(schema::EnumNameLibraryOp(op)), std::string::npos);
    EXPECT_NE(recorded.error().message.find("not 3, 1 and 2"), std::string::npos)
        << recorded.error().message;
  }
  EXPECT_FALSE(list->call({LibraryOp::Unspecified, {a}, {a}, {}}));
  EXPECT_FALSE(list->call({LibraryOp(99), {a}, {a}, {}}));
}

/// What a library refuses is an error that says what it refuses, not an end of the program.
TEST_P(DeviceConformance, RefusesShapesThatDoNotFit) {
  TensorRef a = empty({2, 3}), b = empty({4, 5}), c = empty({2, 5});
  auto list = makeList();
  auto recorded = list->call({schema::LibraryOp::Matmul, {a, b}, {c}, {0, 0}});
  ASSERT_FALSE(recorded);
  EXPECT_NE(recorded.error().message.find("Matmul"), std::string::npos);
}

} // namespace doppel::runtime::test
