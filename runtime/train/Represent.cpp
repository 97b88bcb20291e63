// Feeds a data set through an encoder, batch by batch.
#include "runtime/train/Represent.h"

namespace doppel::runtime {

Result<LabelledFeatures> representDataset(const Dataset &dataset, int64_t batch,
                                          const BatchEncoder &encode,
                                          const std::function<void(int64_t, int64_t)> &progress) {
  LabelledFeatures result;
  int64_t size = dataset.size();
  for (int64_t first = 0, count; first < size; first += count) {
    count = dataset.fitting(first, batch);
    DOPPEL_TRY(Batch images, dataset.range(first, count));
    std::vector<abi::ImageRef> refs(images.images().begin(), images.images().end());
    // The program's batch is fixed: the last image stands in for those that are missing.
    refs.resize(size_t(batch), refs.back());
    DOPPEL_TRY(BatchFeatures features, encode(refs));
    if (int64_t(features.values.size()) != batch * features.dimension)
      return failInternal("{} values are features of a batch of {} in {} dimensions",
                          features.values.size(), batch, features.dimension);
    result.dimension = features.dimension;
    for (int64_t i = 0; i < count; ++i) {
      // A broken sample is replaced by its successor, which has its own turn.
      if (refs[size_t(i)].index != first + i)
        continue;
      auto row = features.values.begin() + i * result.dimension;
      result.features.insert(result.features.end(), row, row + result.dimension);
      result.labels.push_back(dataset.label(first + i));
    }
    if (progress)
      progress(first + count, size);
  }
  return result;
}

Result<LabelledFeatures> representDataset(Executable &executable, const Dataset &dataset,
                                          const std::function<void(int64_t, int64_t)> &progress) {
  auto encode = [&](std::span<const abi::ImageRef> images) -> Result<BatchFeatures> {
    DOPPEL_CHECK(executable.setImages(images));
    DOPPEL_TRY(std::optional<NonFiniteReport> failure, executable.run("represent"));
    if (failure)
      return fail("{} is not finite", failure->what);
    std::vector<int64_t> shape;
    DOPPEL_TRY(std::vector<float> values, executable.output("represent", "features", &shape));
    return BatchFeatures{std::move(values), shape.size() > 1 ? shape[1] : 1};
  };
  return representDataset(dataset, executable.localBatch(), encode, progress);
}

} // namespace doppel::runtime
