// What is evaluated: features with their labels.
#pragma once

#include "runtime/core/Error.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace doppel::runtime {

/// Features with their labels. Rows need not have unit length: kNN normalises them.
struct LabelledFeatures {
  int64_t dimension = 0;
  std::vector<float> features; ///< [N, dimension]
  std::vector<int32_t> labels; ///< [N], each 0 .. classes-1

  int64_t size() const { return int64_t(labels.size()); }
};

/// Fails if `known` or `test` is empty, their dimensions differ, a label is outside of [0, classes)
/// or a feature is not finite. `known`: the samples whose labels are used; `name` is theirs in
/// messages.
Result<void> checkFeatures(const LabelledFeatures &known, std::string_view name,
                           const LabelledFeatures &test, int32_t classes);

} // namespace doppel::runtime
