// Views of images, stage by stage, by the table of stages in dialects/nn/README.md. A view is [H,
// W, 3] in doubles.
#include "codegen/reference/Formulas.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

namespace doppel::reference {

namespace {
/// The four uniform draws of one sample at one stage.
struct Draws {
  double u[4];
  double operator[](int i) const { return u[i]; }
};

/// What a pipeline draws from: one sample of one operation at one step.
struct Sample {
  uint64_t seed, index;
  uint32_t stream, step;

  Draws draws(uint32_t draw) const {
    auto words = abi::philox(seed, index, stream, draw, step);
    Draws result;
    for (int i = 0; i < 4; ++i)
      result.u[i] = abi::uniform(words[i]);
    return result;
  }
};

struct Pixel {
  double r, g, b;
};

/// One image of the batch.
struct Picture {
  const uint8_t *pixels; ///< [height, width, 3]
  int32_t height, width;
};

/// The part of an image, in pixels, that a crop resamples: [top, top + height) x [left, left +
/// width).
struct Box {
  int64_t top, left, height, width;
};
} // namespace

static double clampToUnit(double x) { return std::clamp(x, 0.0, 1.0); }
static double grey(Pixel p) { return 0.299 * p.r + 0.587 * p.g + 0.114 * p.b; }

/// Replaces each pixel by `change` of it.
static void mapPixels(Tensor &view, const std::function<Pixel(Pixel)> &change) {
  for (int64_t i = 0; i < view.size(); i += 3) {
    Pixel p = change({view[i], view[i + 1], view[i + 2]});
    view[i] = p.r, view[i + 1] = p.g, view[i + 2] = p.b;
  }
}

//===- Resampling -----------------------------------------------------------------------------===//

static double bilinear(double t) { return std::max(0.0, 1 - std::abs(t)); }

/// Keys' cubic with a = -0.5.
static double bicubic(double t) {
  t = std::abs(t);
  constexpr double a = -0.5;
  if (t < 1)
    return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2)
    return a * (((t - 5) * t + 8) * t - 4);
  return 0;
}

/// Weights [count, length] of the `length` source pixels for outputs begin .. begin + count of
/// `size`.
static Tensor resampling(int64_t length, int64_t size, int64_t begin, int64_t count,
                         double (*filter)(double)) {
  Tensor weights(Shape{count, length});
  double scale = static_cast<double>(length) / static_cast<double>(size);
  for (int64_t i = 0; i < count; ++i) {
    double centre = (static_cast<double>(begin + i) + 0.5) * scale, total = 0;
    for (int64_t k = 0; k < length; ++k) {
      double weight = filter((static_cast<double>(k) + 0.5 - centre) / std::max(scale, 1.0));
      weights[i * length + k] = weight;
      total += weight;
    }
    for (int64_t k = 0; k < length; ++k)
      weights[i * length + k] /= total;
  }
  return weights;
}

/// view[y, x] = sum over the box of rows[y, i] columns[x, j] image[i, j]; columns first, as rows of
/// it are shared.
static Tensor resample(const Picture &image, Box box, const Tensor &rows, const Tensor &columns) {
  int64_t height = rows.shape[0], width = columns.shape[0];
  Tensor narrow(Shape{box.height, width, 3}), view(Shape{height, width, 3});
  for (int64_t i = 0; i < box.height; ++i)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t j = 0; j < box.width; ++j)
        for (int64_t c = 0; c < 3; ++c)
          narrow[(i * width + x) * 3 + c] +=
              columns[x * box.width + j] *
              image.pixels[((box.top + i) * image.width + box.left + j) * 3 + c] / 255;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t i = 0; i < box.height; ++i)
      for (int64_t x = 0; x < width * 3; ++x)
        view[y * width * 3 + x] += rows[y * box.height + i] * narrow[i * width * 3 + x];
  return view;
}

/// The first of ten boxes that lies in the image, else the middle as large as the ratios allow.
static Box randomBox(nn::StageAttr stage, const Picture &image, const Sample &sample) {
  auto scale = stage.getNumbers("scale"), ratios = stage.getNumbers("ratio");
  double low = std::log(ratios[0]), high = std::log(ratios[1]);
  auto rounded = [](double extent) { return std::max<int64_t>(std::llrint(extent), 1); };
  for (uint32_t attempt = 0; attempt < 10; ++attempt) {
    Draws u = sample.draws(attempt == 0 ? 0 : 128 + attempt);
    double area = (scale[0] + u[0] * (scale[1] - scale[0])) * image.height * image.width;
    double ratio = std::exp(low + u[1] * (high - low));
    int64_t width = rounded(std::sqrt(area * ratio)), height = rounded(std::sqrt(area / ratio));
    if (width <= image.width && height <= image.height)
      return {static_cast<int64_t>(u[2] * static_cast<double>(image.height - height + 1)),
              static_cast<int64_t>(u[3] * static_cast<double>(image.width - width + 1)), height,
              width};
  }
  int64_t width = std::min<int64_t>(image.width, rounded(image.height * ratios[1]));
  int64_t height = std::min<int64_t>(image.height, rounded(image.width / ratios[0]));
  return {(image.height - height) / 2, (image.width - width) / 2, height, width};
}

static Tensor randomResizedCrop(nn::StageAttr stage, const Picture &image, const Sample &sample) {
  Box box = randomBox(stage, image, sample);
  bool isCubic = stage.getString("interpolation") == "bicubic";
  auto filter = isCubic ? bicubic : bilinear;
  int64_t size = stage.getInteger("size");
  Tensor view = resample(image, box, resampling(box.height, size, 0, size, filter),
                         resampling(box.width, size, 0, size, filter));
  if (isCubic)
    for (double &x : view.values)
      x = clampToUnit(x);
  return view;
}

static Tensor centerCrop(nn::StageAttr stage, const Picture &image) {
  int64_t size = stage.getInteger("size"), resize = stage.getInteger("resize");
  int64_t shorter = std::min(image.height, image.width);
  int64_t height = resize * image.height / shorter, width = resize * image.width / shorter;
  // A half is rounded to even, as by torchvision.
  auto begin = [&](int64_t extent) { return std::llrint(static_cast<double>(extent - size) / 2); };
  return resample(image, {0, 0, image.height, image.width},
                  resampling(image.height, height, begin(height), size, bilinear),
                  resampling(image.width, width, begin(width), size, bilinear));
}

//===- Colour ---------------------------------------------------------------------------------===//

/// Turns the hue by `turn` of a full circle.
static Pixel turnHue(Pixel p, double turn) {
  double value = std::max({p.r, p.g, p.b}), chroma = value - std::min({p.r, p.g, p.b});
  if (chroma == 0)
    return p;
  double hue = value == p.r   ? (p.g - p.b) / chroma
               : value == p.g ? 2 + (p.b - p.r) / chroma
                              : 4 + (p.r - p.g) / chroma;
  hue = hue / 6 + turn;
  hue -= std::floor(hue);
  // Channel `offset`: value - chroma * max(0, min(k, 4 - k, 1)), k = (offset + 6 hue) mod 6.
  auto channel = [&](double offset) {
    double k = std::fmod(offset + 6 * hue, 6);
    return clampToUnit(value - chroma * std::max(0.0, std::min({k, 4 - k, 1.0})));
  };
  return {channel(5), channel(3), channel(1)};
}

/// f x + (1 - f) towards, clamped.
static Pixel blend(Pixel p, double factor, double towards) {
  auto channel = [&](double x) { return clampToUnit(factor * x + (1 - factor) * towards); };
  return {channel(p.r), channel(p.g), channel(p.b)};
}

static void colorJitter(nn::StageAttr stage, Tensor &view, Draws u, Draws factors) {
  if (!(u[0] < stage.getNumber("p")))
    return;
  auto factor = [&](llvm::StringRef name, double draw) {
    double strength = stage.getNumber(name), low = std::max(0.0, 1 - strength);
    return low + draw * (1 + strength - low);
  };
  bool adds = stage.getString("brightness_by") == "offset";
  double brightness = adds ? (2 * factors[0] - 1) * stage.getNumber("brightness")
                           : factor("brightness", factors[0]),
         contrast = factor("contrast", factors[1]), saturation = factor("saturation", factors[2]);
  double turn = (2 * factors[3] - 1) * stage.getNumber("hue");

  int order[] = {0, 1, 2, 3};
  if (stage.getString("order") == "random")
    for (auto number = static_cast<int>(u[1] * 24); number > 0; --number)
      std::next_permutation(order, order + 4); // the next in lexicographic order
  for (int adjustment : order) {
    if (adjustment == 0)
      mapPixels(view, [&](Pixel p) {
        auto moved = [&](double x) { return clampToUnit(x + brightness); };
        return adds ? Pixel{moved(p.r), moved(p.g), moved(p.b)} : blend(p, brightness, 0);
      });
    if (adjustment == 1) {
      double mean = 0;
      for (int64_t i = 0; i < view.size(); i += 3)
        mean += grey({view[i], view[i + 1], view[i + 2]}) / (static_cast<double>(view.size()) / 3);
      mapPixels(view, [&](Pixel p) { return blend(p, contrast, mean); });
    }
    if (adjustment == 2)
      mapPixels(view, [&](Pixel p) { return blend(p, saturation, grey(p)); });
    if (adjustment == 3)
      mapPixels(view, [&](Pixel p) { return turnHue(p, turn); });
  }
}

//===- Place ----------------------------------------------------------------------------------===//

static Tensor flip(const Tensor &view) {
  Tensor result(view.shape);
  int64_t width = view.shape[1];
  forEachIndex(view.shape, [&](const Shape &index, int64_t linear) {
    result[linear] = view[view.at({index[0], width - 1 - index[1], index[2]})];
  });
  return result;
}

/// Along `axis` (0 or 1), by normalised weights of d = -radius .. radius; the edge pixel is not
/// repeated.
static Tensor blurAlong(const Tensor &view, int axis, const std::vector<double> &weights) {
  Tensor result(view.shape);
  auto radius = static_cast<int64_t>(weights.size() / 2);
  int64_t extent = view.shape[axis];
  forEachIndex(view.shape, [&](const Shape &index, int64_t linear) {
    for (int64_t d = -radius; d <= radius; ++d) {
      Shape source = index;
      int64_t place = std::abs(index[axis] + d);
      source[axis] = place < extent ? place : 2 * (extent - 1) - place;
      result[linear] += weights[d + radius] * view[view.at(source)];
    }
  });
  return result;
}

static Tensor gaussianBlur(nn::StageAttr stage, const Tensor &view, Draws u) {
  auto range = stage.getNumbers("sigma");
  double sigma = range[0] + u[1] * (range[1] - range[0]), total = 0;
  int64_t taps = stage.getInteger("kernel");
  std::vector<double> weights(taps);
  for (int64_t i = 0; i < taps; ++i) {
    auto d = static_cast<double>(i - taps / 2);
    weights[i] = std::exp(-d * d / (2 * sigma * sigma));
    total += weights[i];
  }
  for (double &weight : weights)
    weight /= total;
  return blurAlong(blurAlong(view, 0, weights), 1, weights);
}

/// Counter-clockwise as seen, about the centre.
static Tensor rotate(const Tensor &view, double degrees) {
  Tensor result(view.shape);
  int64_t size = view.shape[0];
  double angle = degrees * std::numbers::pi / 180, centre = static_cast<double>(size - 1) / 2;
  forEachIndex(view.shape, [&](const Shape &index, int64_t linear) {
    double dy = static_cast<double>(index[0]) - centre, dx = static_cast<double>(index[1]) - centre;
    double x = centre + std::cos(angle) * dx - std::sin(angle) * dy;
    double y = centre + std::sin(angle) * dx + std::cos(angle) * dy;
    for (int64_t j = 0; j < 2; ++j)
      for (int64_t i = 0; i < 2; ++i) {
        auto row = static_cast<int64_t>(std::floor(y)) + j;
        auto column = static_cast<int64_t>(std::floor(x)) + i;
        if (row >= 0 && row < size && column >= 0 && column < size)
          result[linear] += bilinear(y - static_cast<double>(row)) *
                            bilinear(x - static_cast<double>(column)) *
                            view[view.at({row, column, index[2]})];
      }
  });
  return result;
}

//===- Pipelines ------------------------------------------------------------------------------===//

static Tensor viewOf(const Picture &image, llvm::ArrayRef<nn::StageAttr> pipeline,
                     const Sample &sample) {
  Tensor view;
  for (auto [number, stage] : llvm::enumerate(pipeline)) {
    Draws u = sample.draws(static_cast<uint32_t>(number));
    switch (stage.getTransform()) {
    case nn::Transform::RandomResizedCrop:
      view = randomResizedCrop(stage, image, sample);
      break;
    case nn::Transform::CenterCrop:
      view = centerCrop(stage, image);
      break;
    case nn::Transform::HorizontalFlip:
      if (u[0] < stage.getNumber("p"))
        view = flip(view);
      break;
    case nn::Transform::ColorJitter:
      colorJitter(stage, view, u, sample.draws(static_cast<uint32_t>(64 + number)));
      break;
    case nn::Transform::Grayscale:
      if (u[0] < stage.getNumber("p"))
        mapPixels(view, [](Pixel p) { return Pixel{grey(p), grey(p), grey(p)}; });
      break;
    case nn::Transform::GaussianBlur:
      if (u[0] < stage.getNumber("p"))
        view = gaussianBlur(stage, view, u);
      break;
    case nn::Transform::Solarize:
      if (u[0] < stage.getNumber("p"))
        for (double &x : view.values)
          x = x >= stage.getNumber("threshold") ? 1 - x : x;
      break;
    case nn::Transform::Rotation:
      if (u[0] < stage.getNumber("p"))
        view = rotate(view, (2 * u[1] - 1) * stage.getNumber("degrees"));
      break;
    case nn::Transform::Normalize: {
      auto mean = stage.getNumbers("mean"), deviation = stage.getNumbers("std");
      for (int64_t i = 0; i < view.size(); ++i)
        view[i] = (view[i] - mean[i % 3]) / deviation[i % 3];
      break;
    }
    }
  }
  return view;
}

Tensor augment(std::span<const abi::ImageRef> images, const uint8_t *slab,
               llvm::ArrayRef<nn::StageAttr> pipeline, uint64_t seed, uint32_t stream,
               uint32_t step) {
  int64_t size = pipeline.front().getInteger("size");
  Tensor result(Shape{static_cast<int64_t>(images.size()), size, size, 3});
  auto next = result.values.begin();
  for (const abi::ImageRef &image : images) {
    Sample sample{seed, static_cast<uint64_t>(image.index), stream, step};
    Tensor view = viewOf({slab + image.offset, image.height, image.width}, pipeline, sample);
    next = std::copy(view.values.begin(), view.values.end(), next);
  }
  return result;
}

} // namespace doppel::reference
