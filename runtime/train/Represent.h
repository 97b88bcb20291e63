// Features of a whole data set by a program's `represent` function.
#pragma once

#include "runtime/data/Dataset.h"
#include "runtime/eval/Features.h"
#include "runtime/executor/Executable.h"

#include <functional>

namespace doppel::runtime {

/// Runs `represent` on every sample with the executable's present states. Samples that prove to be
/// broken while read are left out. `progress(done, total)` counts images.
Result<LabelledFeatures>
representDataset(Executable &executable, const Dataset &dataset,
                 const std::function<void(int64_t, int64_t)> &progress = {});

} // namespace doppel::runtime
