// Pixels as features, batch by batch, so that data that do not fit in memory need not.

#include "runtime/eval/RawPixels.h"
#include "runtime/data/Resize.h"
#include <array>

namespace doppel::runtime {
namespace {

// Of CIFAR-10's training images, in 0 .. 1.
constexpr std::array<float, 3> kMean = {0.4914f, 0.4822f, 0.4465f};
constexpr std::array<float, 3> kDeviation = {0.247f, 0.2435f, 0.2616f};

constexpr int64_t kBatch = 256;

} // namespace

Result<LabelledFeatures> rawPixelFeatures(const Dataset &dataset, int32_t side) {
  LabelledFeatures set;
  set.dimension = int64_t(side) * side * 3;
  set.features.reserve(size_t(dataset.size() * set.dimension));
  for (int64_t first = 0, count; first < dataset.size(); first += count) {
    count = dataset.fitting(first, kBatch);
    DOPPEL_TRY(Batch batch, dataset.range(first, count));
    size_t offset = set.features.size();
    set.features.resize(offset + size_t(count * set.dimension));
#pragma omp parallel for
    for (int64_t at = 0; at < count; ++at) {
      float *feature = set.features.data() + offset + size_t(at * set.dimension);
      resize(batch.picture(at), {side, side}, feature);
      for (int64_t value = 0; value < set.dimension; ++value)
        feature[value] = (feature[value] / 255 - kMean[value % 3]) / kDeviation[value % 3];
    }
    // A broken sample was replaced by a later one, which has its own place in the set.
    size_t kept = 0;
    for (int64_t at = 0; at < count; ++at) {
      if (batch.images()[at].index != first + at)
        continue;
      float *base = set.features.data() + offset;
      if (int64_t(kept) != at)
        std::copy_n(base + at * set.dimension, set.dimension, base + kept * set.dimension);
      set.labels.push_back(dataset.label(first + at));
      ++kept;
    }
    set.features.resize(offset + kept * size_t(set.dimension));
  }
  return set;
}

} // namespace doppel::runtime
