// Features of a whole data set by a program's `represent` function.
#pragma once

#include "runtime/eval/Features.h"
#include "runtime/train/Session.h"

#include <functional>

namespace doppel::runtime {

/// What an encoder makes of a batch.
struct BatchFeatures {
  std::vector<float> values; ///< [batch, dimension]
  int64_t dimension;
};

/// Encodes whole batches of images, always as many as `batch` says, in order; up to two may be in
/// flight, so that the next is decoded while one is computed.
class BatchEncoder {
public:
  virtual ~BatchEncoder() = default;
  virtual Result<void> submit(Batch batch) = 0;
  /// Features of the oldest batch in flight.
  virtual Result<BatchFeatures> next() = 0;
};

/// Features and labels of every sample, in order. Samples that prove to be broken while read are
/// left out. `encoder` gets batches of `batch` images; where samples end, or where more would not
/// fit in memory at once, images are repeated. `progress(done, total)` counts images.
Result<LabelledFeatures>
representDataset(const Dataset &dataset, int64_t batch, BatchEncoder &encoder,
                 const std::function<void(int64_t, int64_t)> &progress = {});

/// The same by a session's `represent` with its present states.
Result<LabelledFeatures>
representDataset(Session &session, const Dataset &dataset,
                 const std::function<void(int64_t, int64_t)> &progress = {});

} // namespace doppel::runtime
