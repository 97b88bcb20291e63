// Feeds a data set through `represent`, batch by batch.
#include "runtime/train/Represent.h"

namespace doppel::runtime {

Result<LabelledFeatures> representDataset(Executable &executable, const Dataset &dataset,
                                          const std::function<void(int64_t, int64_t)> &progress) {
  LabelledFeatures result;
  int64_t batch = executable.batch(), size = dataset.size();
  for (int64_t first = 0; first < size; first += batch) {
    int64_t count = std::min(batch, size - first);
    DOPPEL_TRY(Batch images, dataset.range(first, count));
    std::vector<abi::ImageRef> refs(images.images().begin(), images.images().end());
    // The program's batch is fixed: the last images stand in for those that are missing.
    refs.resize(size_t(batch), refs.back());
    DOPPEL_CHECK(executable.setImages(refs));
    DOPPEL_TRY(std::optional<NonFiniteReport> failure, executable.run("represent"));
    if (failure)
      return fail("{} is not finite", failure->what);
    std::vector<int64_t> shape;
    DOPPEL_TRY(std::vector<float> features, executable.output("represent", "features", &shape));
    result.dimension = shape.size() > 1 ? shape[1] : 1;
    for (int64_t i = 0; i < count; ++i) {
      // A broken sample is replaced by its successor, which has its own turn.
      if (refs[size_t(i)].index != first + i)
        continue;
      auto row = features.begin() + i * result.dimension;
      result.features.insert(result.features.end(), row, row + result.dimension);
      result.labels.push_back(dataset.label(first + i));
    }
    if (progress)
      progress(first + count, size);
  }
  return result;
}

} // namespace doppel::runtime
