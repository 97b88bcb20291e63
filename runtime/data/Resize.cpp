// Two passes, columns then rows, each a sparse row of weights for every output position.

#include "runtime/data/Resize.h"
#include <algorithm>
#include <cmath>

namespace doppel::runtime {
namespace {

/// The input positions that make one output position, and their weights (of sum 1).
struct Taps {
  int32_t first;
  std::vector<float> weights;
};

std::vector<Taps> tapsOf(int32_t source, int32_t target) {
  double scale = double(source) / target;
  double reach = std::max(1.0, scale);
  std::vector<Taps> taps(static_cast<size_t>(target));
  for (int32_t position = 0; position < target; ++position) {
    double centre = (position + 0.5) * scale;
    int32_t first = std::max(0, int32_t(std::floor(centre - reach)));
    int32_t last = std::min(source, int32_t(std::ceil(centre + reach)));
    taps[position].first = first;
    double sum = 0;
    for (int32_t at = first; at < last; ++at) {
      double weight = std::max(0.0, 1 - std::fabs(at + 0.5 - centre) / reach);
      taps[position].weights.push_back(float(weight));
      sum += weight;
    }
    for (float &weight : taps[position].weights)
      weight = float(weight / sum);
  }
  return taps;
}

} // namespace

void resize(const Picture &image, Extent target, float *values) {
  if (target == image.extent) {
    std::copy_n(image.pixels, target.bytes(), values);
    return;
  }
  std::vector<Taps> columns = tapsOf(image.extent.width, target.width);
  std::vector<Taps> rows = tapsOf(image.extent.height, target.height);
  size_t rowValues = size_t(target.width) * 3;
  std::vector<float> narrow(size_t(image.extent.height) * rowValues);
  for (int32_t row = 0; row < image.extent.height; ++row)
    for (int32_t column = 0; column < target.width; ++column) {
      const Taps &taps = columns[column];
      const uint8_t *source = image.pixels + (size_t(row) * image.extent.width + taps.first) * 3;
      float *sum = narrow.data() + row * rowValues + size_t(column) * 3;
      for (size_t tap = 0; tap < taps.weights.size(); ++tap)
        for (int channel = 0; channel < 3; ++channel)
          sum[channel] += taps.weights[tap] * source[3 * tap + channel];
    }
  for (int32_t row = 0; row < target.height; ++row) {
    float *sum = values + row * rowValues;
    std::fill_n(sum, rowValues, 0.f);
    for (size_t tap = 0; tap < rows[row].weights.size(); ++tap)
      for (size_t value = 0; value < rowValues; ++value)
        sum[value] += rows[row].weights[tap] * narrow[(rows[row].first + tap) * rowValues + value];
  }
}

Image resize(const Picture &image, Extent target) {
  Image result{target, std::vector<uint8_t>(target.bytes())};
  std::vector<float> values(target.bytes());
  resize(image, target, values.data());
  for (size_t value = 0; value < values.size(); ++value)
    result.pixels[value] = uint8_t(std::clamp(values[value] + 0.5f, 0.f, 255.f));
  return result;
}

} // namespace doppel::runtime
