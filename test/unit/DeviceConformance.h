// What every device must do, told as tests over the interface alone. A device's own test file
// instantiates the suite with its factory.
#pragma once

#include "runtime/device/Device.h"
#include "runtime/schema/Abi.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>

namespace doppel::runtime::test {

using DeviceFactory = std::unique_ptr<Device> (*)();

class DeviceConformance : public testing::TestWithParam<DeviceFactory> {
protected:
  void SetUp() override { device = GetParam()(); }

  /// A tensor in device memory with the given values.
  TensorRef tensor(std::vector<int64_t> shape, const std::vector<float> &values) {
    TensorRef ref = empty(std::move(shape), schema::DType::F32);
    EXPECT_EQ(size_t(ref.elements()), values.size());
    EXPECT_TRUE(device->upload(ref.data, values.data(), ref.bytes()));
    return ref;
  }

  /// Seeded values in [-1, 1) with a tensor of them.
  TensorRef random(std::vector<int64_t> shape, uint64_t seed, std::vector<float> &values) {
    values.resize(
        size_t(std::accumulate(shape.begin(), shape.end(), int64_t(1), std::multiplies<>())));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = 2 * abi::uniform(abi::philox(seed, i, 0, 0, 0)[0]) - 1;
    return tensor(std::move(shape), values);
  }

  TensorRef empty(std::vector<int64_t> shape, schema::DType dtype = schema::DType::F32) {
    TensorRef ref{nullptr, dtype, std::move(shape)};
    auto memory = device->allocate(ref.bytes());
    EXPECT_TRUE(memory);
    ref.data = (*memory)->data();
    allocations.push_back(*std::move(memory));
    return ref;
  }

  std::vector<float> values(const TensorRef &ref) {
    std::vector<float> result(size_t(ref.elements()));
    EXPECT_TRUE(device->download(result.data(), ref.data, ref.bytes()));
    return result;
  }

  /// Records one library call and runs it twice: the second run must find everything as the first
  /// did.
  void execute(const LibraryCall &call) {
    auto list = device->makeCommandList();
    ASSERT_TRUE(list);
    auto recorded = (*list)->call(call);
    ASSERT_TRUE(recorded) << recorded.error().message;
    for (int i = 0; i < 2; ++i) {
      auto ran = (*list)->run();
      ASSERT_TRUE(ran);
      ASSERT_FALSE(*ran);
    }
  }

  void expectNear(const std::vector<float> &actual, const std::vector<double> &expected,
                  double tolerance = 1e-5) {
    ASSERT_EQ(actual.size(), expected.size());
    double scale = 1e-30;
    for (double value : expected)
      scale = std::max(scale, std::abs(value));
    for (size_t i = 0; i < actual.size(); ++i)
      ASSERT_NEAR(actual[i], expected[i], tolerance * scale) << "element " << i;
  }

  std::unique_ptr<Device> device;
  std::vector<std::unique_ptr<Allocation>> allocations;
};

/// A convolution's extents; weights [out, in / groups, kernel, kernel].
struct ConvolutionCase {
  int64_t batch, size, in, out, kernel, stride, before, after, dilation, groups;

  int64_t resultSize() const {
    return (size + before + after - dilation * (kernel - 1) - 1) / stride + 1;
  }
  std::vector<int64_t> ints() const {
    return {stride, stride, before, before, after, after, dilation, dilation, groups};
  }
  std::vector<int64_t> inputShape() const { return {batch, size, size, in}; }
  std::vector<int64_t> weightShape() const { return {out, in / groups, kernel, kernel}; }
  std::vector<int64_t> outputShape() const { return {batch, resultSize(), resultSize(), out}; }

  /// Calls f(input index, weight index, output index) for every product of the convolution.
  template <typename F> void forEach(F f) const {
    int64_t result = resultSize(), perGroup = in / groups;
    for (int64_t n = 0; n < batch; ++n)
      for (int64_t oy = 0; oy < result; ++oy)
        for (int64_t ox = 0; ox < result; ++ox)
          for (int64_t o = 0; o < out; ++o)
            for (int64_t i = 0; i < perGroup; ++i)
              for (int64_t ky = 0; ky < kernel; ++ky)
                for (int64_t kx = 0; kx < kernel; ++kx) {
                  int64_t y = oy * stride - before + ky * dilation;
                  int64_t x = ox * stride - before + kx * dilation;
                  if (y < 0 || y >= size || x < 0 || x >= size)
                    continue;
                  int64_t channel = o / (out / groups) * perGroup + i;
                  f(size_t(((n * size + y) * size + x) * in + channel),
                    size_t(((o * perGroup + i) * kernel + ky) * kernel + kx),
                    size_t(((n * result + oy) * result + ox) * out + o));
                }
  }
};

/// Stem, body, strided, 1x1, asymmetric padding, dilated, grouped; strided 1x1 on few channels.
inline const ConvolutionCase kConvolutions[] = {
    {2, 8, 3, 16, 3, 1, 1, 1, 1, 1},  {2, 8, 16, 16, 3, 1, 1, 1, 1, 1},
    {2, 8, 16, 32, 3, 2, 1, 1, 1, 1}, {2, 8, 16, 32, 1, 2, 0, 0, 1, 1},
    {1, 9, 3, 8, 7, 2, 3, 3, 1, 1},   {1, 8, 4, 6, 3, 2, 0, 1, 1, 1},
    {1, 9, 8, 8, 3, 1, 2, 2, 2, 1},   {2, 6, 8, 8, 3, 1, 1, 1, 1, 4},
    {16, 8, 4, 8, 1, 2, 0, 0, 1, 1},  {4, 14, 2, 12, 1, 2, 0, 0, 1, 1},
};

TEST_P(DeviceConformance, AllocatesZeroedAlignedMemory) {
  TensorRef ref = empty({1000});
  EXPECT_EQ(reinterpret_cast<uintptr_t>(ref.data) % 64, 0u);
  for (float value : values(ref))
    EXPECT_EQ(value, 0.0f);
}

TEST_P(DeviceConformance, CopiesBetweenBuffers) {
  std::vector<float> expected;
  TensorRef source = random({7, 9}, 1, expected), target = empty({63});
  auto list = device->makeCommandList();
  ASSERT_TRUE(list);
  ASSERT_TRUE((*list)->copy(source, target));
  EXPECT_FALSE((*list)->copy(source, empty({62})));
  ASSERT_TRUE((*list)->run());
  EXPECT_EQ(values(target), expected);
}

TEST_P(DeviceConformance, StopsAtTheFirstCheckThatFails) {
  TensorRef good = tensor({3}, {1, 2, 3});
  TensorRef bad = tensor({5000}, std::vector<float>(5000, 1.0f));
  TensorRef target = empty({3});
  float infinity = std::numeric_limits<float>::infinity();
  ASSERT_TRUE(device->upload(static_cast<float *>(bad.data) + 4321, &infinity, sizeof(float)));
  auto list = device->makeCommandList();
  ASSERT_TRUE(list);
  ASSERT_TRUE((*list)->check(good, "good"));
  ASSERT_TRUE((*list)->check(bad, "bad"));
  ASSERT_TRUE((*list)->copy(good, target));
  auto ran = (*list)->run();
  ASSERT_TRUE(ran);
  ASSERT_TRUE(*ran);
  EXPECT_EQ((*ran)->what, "bad");
  EXPECT_EQ((*ran)->command, 1u);
  EXPECT_EQ((*ran)->element, 4321);
  EXPECT_EQ(values(target), std::vector<float>(3, 0.0f)) << "a later command was executed";
}

TEST_P(DeviceConformance, ATraceFindsTheCommandThatMadeTheValue) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  TensorRef source = tensor({2}, {1, nan}), fine = tensor({2}, {1, 2}), target = empty({2});
  auto list = device->makeCommandList();
  ASSERT_TRUE(list);
  ASSERT_TRUE((*list)->copy(fine, target));
  ASSERT_TRUE((*list)->copy(source, target));
  auto ran = (*list)->runTraced();
  ASSERT_TRUE(ran);
  ASSERT_TRUE(*ran);
  EXPECT_EQ((*ran)->command, 1u);
  EXPECT_EQ((*ran)->element, 1);
}

TEST_P(DeviceConformance, MultipliesMatricesTransposedOrNot) {
  constexpr int64_t kBatch = 3, kRows = 5, kInner = 7, kColumns = 4;
  for (int transposeA : {0, 1})
    for (int transposeB : {0, 1}) {
      std::vector<float> a, b;
      TensorRef left = random(transposeA ? std::vector<int64_t>{kBatch, kInner, kRows}
                                         : std::vector<int64_t>{kBatch, kRows, kInner},
                              1, a);
      TensorRef right = random(transposeB ? std::vector<int64_t>{kBatch, kColumns, kInner}
                                          : std::vector<int64_t>{kBatch, kInner, kColumns},
                               2, b);
      TensorRef product = empty({kBatch, kRows, kColumns});
      execute({schema::LibraryOp::Matmul, {left, right}, {product}, {transposeA, transposeB}});
      std::vector<double> expected;
      for (int64_t n = 0; n < kBatch; ++n)
        for (int64_t i = 0; i < kRows; ++i)
          for (int64_t j = 0; j < kColumns; ++j) {
            double sum = 0;
            for (int64_t k = 0; k < kInner; ++k)
              sum += double(a[size_t(n * kRows * kInner +
                                     (transposeA ? k * kRows + i : i * kInner + k))]) *
                     b[size_t(n * kInner * kColumns +
                              (transposeB ? j * kInner + k : k * kColumns + j))];
            expected.push_back(sum);
          }
      expectNear(values(product), expected);
    }
}

TEST_P(DeviceConformance, ConvolvesForwardAndBackward) {
  for (const ConvolutionCase &c : kConvolutions) {
    std::vector<float> x, w, dy;
    TensorRef input = random(c.inputShape(), 1, x), weight = random(c.weightShape(), 2, w);
    TensorRef gradient = random(c.outputShape(), 3, dy);
    TensorRef output = empty(c.outputShape()), inputGradient = empty(c.inputShape());
    TensorRef weightGradient = empty(c.weightShape());
    execute({schema::LibraryOp::Conv2D, {input, weight}, {output}, c.ints()});
    execute({schema::LibraryOp::Conv2DBackwardData, {gradient, weight}, {inputGradient}, c.ints()});
    execute(
        {schema::LibraryOp::Conv2DBackwardWeights, {input, gradient}, {weightGradient}, c.ints()});
    std::vector<double> y(dy.size()), dx(x.size()), dw(w.size());
    c.forEach([&](size_t i, size_t k, size_t o) {
      y[o] += double(x[i]) * w[k];
      dx[i] += double(dy[o]) * w[k];
      dw[k] += double(dy[o]) * x[i];
    });
    expectNear(values(output), y);
    expectNear(values(inputGradient), dx);
    expectNear(values(weightGradient), dw);
  }
}

TEST_P(DeviceConformance, PoolsTheGreatestAndGivesItTheGradient) {
  // 3x3 windows at stride 2 with one pixel of padding on a 6x6 image: ResNet's stem.
  constexpr int64_t kSize = 6, kResult = 3, kChannels = 5;
  std::vector<int64_t> ints{3, 3, 2, 2, 1, 1, 1, 1};
  std::vector<float> x, dy;
  TensorRef input = random({1, kSize, kSize, kChannels}, 1, x);
  TensorRef output = empty({1, kResult, kResult, kChannels});
  TensorRef workspace = empty({1, kResult, kResult, kChannels}, schema::DType::U8);
  TensorRef gradient = random({1, kResult, kResult, kChannels}, 2, dy);
  TensorRef inputGradient = empty({1, kSize, kSize, kChannels});
  execute({schema::LibraryOp::MaxPool2D, {input}, {output, workspace}, ints});
  execute({schema::LibraryOp::MaxPool2DBackward, {gradient, workspace}, {inputGradient}, ints});
  std::vector<double> y, dx(x.size());
  for (int64_t oy = 0; oy < kResult; ++oy)
    for (int64_t ox = 0; ox < kResult; ++ox)
      for (int64_t c = 0; c < kChannels; ++c) {
        size_t best = x.size();
        for (int64_t iy = std::max<int64_t>(0, oy * 2 - 1); iy < std::min(kSize, oy * 2 + 2); ++iy)
          for (int64_t ix = std::max<int64_t>(0, ox * 2 - 1); ix < std::min(kSize, ox * 2 + 2);
               ++ix) {
            size_t at = size_t((iy * kSize + ix) * kChannels + c);
            if (best == x.size() || x[at] > x[best])
              best = at;
          }
        y.push_back(x[best]);
        dx[best] += dy[size_t((oy * kResult + ox) * kChannels + c)];
      }
  expectNear(values(output), y);
  expectNear(values(inputGradient), dx);
}

TEST_P(DeviceConformance, PoolsTheMeanWithPaddingAsZeros) {
  constexpr int64_t kSize = 4, kResult = 2, kChannels = 3;
  std::vector<int64_t> ints{3, 3, 2, 2, 1, 1, 0, 0};
  std::vector<float> x, dy;
  TensorRef input = random({1, kSize, kSize, kChannels}, 1, x);
  TensorRef output = empty({1, kResult, kResult, kChannels});
  TensorRef gradient = random({1, kResult, kResult, kChannels}, 2, dy);
  TensorRef inputGradient = empty({1, kSize, kSize, kChannels});
  execute({schema::LibraryOp::AvgPool2D, {input}, {output}, ints});
  execute({schema::LibraryOp::AvgPool2DBackward, {gradient}, {inputGradient}, ints});
  std::vector<double> y(dy.size()), dx(x.size());
  for (int64_t oy = 0; oy < kResult; ++oy)
    for (int64_t ox = 0; ox < kResult; ++ox)
      for (int64_t ky = 0; ky < 3; ++ky)
        for (int64_t kx = 0; kx < 3; ++kx)
          for (int64_t c = 0; c < kChannels; ++c) {
            int64_t iy = oy * 2 - 1 + ky, ix = ox * 2 - 1 + kx;
            if (iy < 0 || iy >= kSize || ix < 0 || ix >= kSize)
              continue;
            size_t in = size_t((iy * kSize + ix) * kChannels + c);
            size_t out = size_t((oy * kResult + ox) * kChannels + c);
            y[out] += x[in] / 9.0;
            dx[in] += dy[out] / 9.0;
          }
  expectNear(values(output), y);
  expectNear(values(inputGradient), dx);
}

TEST_P(DeviceConformance, PermutesByTheRunsSeedAndStep) {
  constexpr int64_t kCount = 100;
  TensorRef run = empty({}, schema::DType::RunScalars);
  TensorRef permutation = empty({kCount}, schema::DType::I32);
  auto draw = [&](uint64_t seed, int64_t step) {
    abi::RunScalars scalars{seed, step, 10, 1, kCount};
    EXPECT_TRUE(device->upload(run.data, &scalars, sizeof(scalars)));
    execute({schema::LibraryOp::RandomPermutation, {run}, {permutation}, {7}});
    std::vector<int32_t> result(kCount);
    EXPECT_TRUE(device->download(result.data(), permutation.data, permutation.bytes()));
    return result;
  };
  std::vector<int32_t> first = draw(1, 0);
  EXPECT_EQ(first, draw(1, 0));
  EXPECT_NE(first, draw(1, 1));
  EXPECT_NE(first, draw(2, 0));
  std::sort(first.begin(), first.end());
  for (int32_t i = 0; i < kCount; ++i)
    EXPECT_EQ(first[size_t(i)], i);
}

TEST_P(DeviceConformance, RefusesACallOfTheWrongArity) {
  TensorRef a = empty({2, 2});
  auto list = device->makeCommandList();
  ASSERT_TRUE(list);
  auto recorded = (*list)->call({schema::LibraryOp::Matmul, {a}, {a}, {0, 0}});
  ASSERT_FALSE(recorded);
  EXPECT_NE(recorded.error().message.find("2 inputs"), std::string::npos);
}

} // namespace doppel::runtime::test
