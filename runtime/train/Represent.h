// Features of a whole data set by a program's `represent` function.
#pragma once

#include "runtime/data/Dataset.h"
#include "runtime/eval/Features.h"
#include "runtime/executor/Executable.h"

#include <functional>

namespace doppel::runtime {

/// What an encoder makes of a batch.
struct BatchFeatures {
  std::vector<float> values; ///< [batch, dimension]
  int64_t dimension;
};

/// Features of a whole batch of images, always as many as `batch` says.
using BatchEncoder = std::function<Result<BatchFeatures>(std::span<const abi::ImageRef>)>;

/// Features and labels of every sample, in order. Samples that prove to be broken while read are
/// left out. `encode` gets batches of `batch` images; where samples end, or where more would not
/// fit in memory at once, the last image is repeated. `progress(done, total)` counts images.
Result<LabelledFeatures>
representDataset(const Dataset &dataset, int64_t batch, const BatchEncoder &encode,
                 const std::function<void(int64_t, int64_t)> &progress = {});

/// The same by an executable's `represent` with its present states.
Result<LabelledFeatures>
representDataset(Executable &executable, const Dataset &dataset,
                 const std::function<void(int64_t, int64_t)> &progress = {});

} // namespace doppel::runtime
