// Convolution, pooling and batch normalisation. A convolution and its two derivatives are one
// trilinear form: for each product x * w that is summed into y they read two of the three and sum
// into the third.
#include "codegen/reference/Formulas.h"

#include <cmath>

namespace doppel::reference {

/// Calls visit(x, w, y), linear indices, for each product x[...] * w[...] that conv2d adds to
/// y[...].
template <typename Visit>
static void forEachProduct(const Shape &x, const Shape &w, const Shape &y, const Window &window,
                           Visit visit) {
  bool last = window.channelsLast;
  int64_t height = x[1], width = x[2], inputs = last ? w[3] : w[1], outputs = y[3];
  int64_t kernelHeight = last ? w[1] : w[2], kernelWidth = last ? w[2] : w[3];
  int64_t groupOutputs = outputs / window.groups;
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t oy = 0; oy < y[1]; ++oy)
      for (int64_t ox = 0; ox < y[2]; ++ox)
        for (int64_t ky = 0; ky < kernelHeight; ++ky)
          for (int64_t kx = 0; kx < kernelWidth; ++kx) {
            int64_t iy = oy * window.strides[0] + ky * window.dilations[0] - window.padding[0];
            int64_t ix = ox * window.strides[1] + kx * window.dilations[1] - window.padding[1];
            if (iy < 0 || iy >= height || ix < 0 || ix >= width)
              continue;
            for (int64_t o = 0; o < outputs; ++o)
              for (int64_t i = 0; i < inputs; ++i) {
                int64_t channel = o / groupOutputs * inputs + i;
                visit(((n * height + iy) * width + ix) * x[3] + channel,
                      last ? ((o * kernelHeight + ky) * kernelWidth + kx) * inputs + i
                           : ((o * inputs + i) * kernelHeight + ky) * kernelWidth + kx,
                      ((n * y[1] + oy) * y[2] + ox) * outputs + o);
              }
          }
}

Tensor conv2d(const Tensor &x, const Tensor &w, const Window &window, const Shape &shape) {
  Tensor result(shape);
  forEachProduct(x.shape, w.shape, shape, window,
                 [&](int64_t xi, int64_t wi, int64_t yi) { result[yi] += x[xi] * w[wi]; });
  return result;
}

Tensor conv2dBackwardData(const Tensor &dy, const Tensor &w, const Window &window,
                          const Shape &shape) {
  Tensor result(shape);
  forEachProduct(shape, w.shape, dy.shape, window,
                 [&](int64_t xi, int64_t wi, int64_t yi) { result[xi] += dy[yi] * w[wi]; });
  return result;
}

Tensor conv2dBackwardWeights(const Tensor &x, const Tensor &dy, const Window &window,
                             const Shape &shape) {
  Tensor result(shape);
  forEachProduct(x.shape, shape, dy.shape, window,
                 [&](int64_t xi, int64_t wi, int64_t yi) { result[wi] += x[xi] * dy[yi]; });
  return result;
}

/// Calls visit(x, y, place) for each element x of the image in the window of y, linear indices; in
/// order of place.
template <typename Visit>
static void forEachInWindow(const Shape &x, const Shape &y, Numbers kernel, Numbers strides,
                            Numbers padding, Visit visit) {
  forEachIndex(y, [&](const Shape &index, int64_t linear) {
    for (int64_t place = 0; place < kernel[0] * kernel[1]; ++place) {
      int64_t iy = index[1] * strides[0] + place / kernel[1] - padding[0];
      int64_t ix = index[2] * strides[1] + place % kernel[1] - padding[1];
      if (iy >= 0 && iy < x[1] && ix >= 0 && ix < x[2])
        visit(((index[0] * x[1] + iy) * x[2] + ix) * x[3] + index[3], linear, place);
    }
  });
}

Tensor maxPool2d(const Tensor &x, Numbers kernel, Numbers strides, Numbers padding,
                 const Shape &shape, Tensor &workspace) {
  Tensor result(shape, -INFINITY);
  workspace = Tensor(shape, -1);
  forEachInWindow(x.shape, shape, kernel, strides, padding,
                  [&](int64_t xi, int64_t yi, int64_t place) {
                    if (workspace[yi] >= 0 && !(x[xi] > result[yi]) && !std::isnan(x[xi]))
                      return;
                    result[yi] = x[xi];
                    workspace[yi] = static_cast<double>(place);
                  });
  return result;
}

Tensor maxPool2dBackward(const Tensor &dy, const Tensor &workspace, Numbers kernel, Numbers strides,
                         Numbers padding, const Shape &shape) {
  Tensor result(shape);
  forEachInWindow(shape, dy.shape, kernel, strides, padding,
                  [&](int64_t xi, int64_t yi, int64_t place) {
                    if (workspace[yi] == static_cast<double>(place))
                      result[xi] += dy[yi];
                  });
  return result;
}

Tensor avgPool2d(const Tensor &x, Numbers kernel, Numbers strides, Numbers padding,
                 const Shape &shape) {
  Tensor result(shape);
  double places = static_cast<double>(kernel[0] * kernel[1]);
  forEachInWindow(x.shape, shape, kernel, strides, padding,
                  [&](int64_t xi, int64_t yi, int64_t) { result[yi] += x[xi] / places; });
  return result;
}

Tensor avgPool2dBackward(const Tensor &dy, Numbers kernel, Numbers strides, Numbers padding,
                         const Shape &shape) {
  Tensor result(shape);
  double places = static_cast<double>(kernel[0] * kernel[1]);
  forEachInWindow(shape, dy.shape, kernel, strides, padding,
                  [&](int64_t xi, int64_t yi, int64_t) { result[xi] += dy[yi] / places; });
  return result;
}

//===- Batch normalisation --------------------------------------------------------------------===//

/// Where element `i` of x [..., C] finds its statistics [G, C].
static int64_t statisticOf(const Tensor &x, int64_t groups, int64_t i) {
  int64_t channels = x.shape.back();
  int64_t group = i / (x.size() / groups);
  return group * channels + i % channels;
}

BatchNorm batchNorm(const Tensor &x, const Tensor &scale, const Tensor &bias, double epsilon,
                    int64_t groups) {
  int64_t channels = x.shape.back();
  double count = static_cast<double>(x.size() / (groups * channels));
  BatchNorm norm{Tensor(x.shape), Tensor(Shape{groups, channels}), Tensor(Shape{groups, channels})};
  for (int64_t i = 0; i < x.size(); ++i)
    norm.mean[statisticOf(x, groups, i)] += x[i] / count;
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t s = statisticOf(x, groups, i);
    norm.variance[s] += (x[i] - norm.mean[s]) * (x[i] - norm.mean[s]) / count;
  }
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t s = statisticOf(x, groups, i), c = i % channels;
    double normal = (x[i] - norm.mean[s]) / std::sqrt(norm.variance[s] + epsilon);
    norm.result[i] = normal * scale[c] + bias[c];
  }
  return norm;
}

// With n = (x - mean) / sqrt(var + epsilon) and g = dy * scale:
//   dx = (g - mean(g) - n mean(g n)) / sqrt(var + epsilon), dscale = sum(dy n), dbias = sum(dy);
//   means within a group.
BatchNormGradient batchNormBackward(const Tensor &x, const Tensor &scale, const Tensor &mean,
                                    const Tensor &variance, const Tensor &dy, double epsilon,
                                    int64_t groups) {
  int64_t channels = x.shape.back();
  double count = static_cast<double>(x.size() / (groups * channels));
  BatchNormGradient gradient{Tensor(x.shape), Tensor(Shape{channels}), Tensor(Shape{channels})};
  Tensor meanG(mean.shape), meanGn(mean.shape), normal(x.shape);
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t s = statisticOf(x, groups, i), c = i % channels;
    normal[i] = (x[i] - mean[s]) / std::sqrt(variance[s] + epsilon);
    meanG[s] += dy[i] * scale[c] / count;
    meanGn[s] += dy[i] * scale[c] * normal[i] / count;
    gradient.scale[c] += dy[i] * normal[i];
    gradient.bias[c] += dy[i];
  }
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t s = statisticOf(x, groups, i), c = i % channels;
    gradient.input[i] =
        (dy[i] * scale[c] - meanG[s] - normal[i] * meanGn[s]) / std::sqrt(variance[s] + epsilon);
  }
  return gradient;
}

} // namespace doppel::reference
