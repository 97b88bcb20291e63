// Feeds a data set through an encoder, batch by batch.
#include "runtime/train/Represent.h"

#include <algorithm>

namespace doppel::runtime {
namespace {

/// Samples whose features are not read yet.
struct Pending {
  int64_t first = 0;
  std::vector<int64_t> indices; ///< what stands for sample first, first + 1, ...
  uint64_t bytes = 0;           ///< decoded, of data that are not kept
};

class SessionEncoder : public BatchEncoder {
public:
  explicit SessionEncoder(Session &session) : session(session) {}

  Result<void> submit(Batch batch) override {
    return session.submit("represent", 0, std::move(batch));
  }
  Result<BatchFeatures> next() override {
    DOPPEL_TRY(Session::Finished finished, session.next());
    if (finished.failure)
      return fail("{} is not finite", finished.failure->what);
    std::vector<int64_t> shape;
    DOPPEL_TRY(std::vector<float> values,
               session.executable().output(finished.ticket, "features", &shape));
    return BatchFeatures{std::move(values), shape.size() > 1 ? shape[1] : 1};
  }

private:
  Session &session;
};

} // namespace

Result<LabelledFeatures> representDataset(const Dataset &dataset, int64_t batch,
                                          BatchEncoder &encoder,
                                          const std::function<void(int64_t, int64_t)> &progress) {
  LabelledFeatures result;
  auto read = [&](const Pending &samples) -> Result<void> {
    DOPPEL_TRY(BatchFeatures features, encoder.next());
    if (int64_t(features.values.size()) != batch * features.dimension)
      return failInternal("{} values are features of a batch of {} in {} dimensions",
                          features.values.size(), batch, features.dimension);
    result.dimension = features.dimension;
    for (size_t i = 0; i < samples.indices.size(); ++i) {
      int64_t sample = samples.first + int64_t(i);
      // A broken sample is replaced by its successor, which has its own turn.
      if (samples.indices[i] != sample)
        continue;
      auto row = features.values.begin() + int64_t(i) * result.dimension;
      result.features.insert(result.features.end(), row, row + result.dimension);
      result.labels.push_back(dataset.label(sample));
    }
    if (progress)
      progress(samples.first + int64_t(samples.indices.size()), dataset.size());
    return {};
  };

  Pending before;
  for (int64_t first = 0; first < dataset.size();) {
    Pending now{first, std::vector<int64_t>(size_t(dataset.fitting(first, batch))), 0};
    for (int64_t &index : now.indices)
      index = first++;
    now.bytes = dataset.decodedBytes(now.indices);
    // As what a loader decodes ahead.
    bool bothFit = before.bytes + now.bytes <= dataset.batchBytes() / 2;
    if (!before.indices.empty() && !bothFit)
      DOPPEL_CHECK(read(std::exchange(before, {})));
    DOPPEL_TRY(Batch images, dataset.gather(now.indices));
    for (size_t i = 0; i < now.indices.size(); ++i)
      now.indices[i] = images.images()[i].index;
    // The program's batch is fixed.
    images.repeatTo(batch);
    DOPPEL_CHECK(encoder.submit(std::move(images)));
    if (!before.indices.empty())
      DOPPEL_CHECK(read(before));
    before = std::move(now);
  }
  if (!before.indices.empty())
    DOPPEL_CHECK(read(before));
  return result;
}

Result<LabelledFeatures> representDataset(Session &session, const Dataset &dataset,
                                          const std::function<void(int64_t, int64_t)> &progress) {
  SessionEncoder encoder(session);
  return representDataset(dataset, session.executable().localBatch(), encoder, progress);
}

} // namespace doppel::runtime
