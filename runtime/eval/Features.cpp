#include "runtime/eval/Features.h"

#include <algorithm>
#include <cmath>

namespace doppel::runtime {
namespace {

Result<void> check(const LabelledFeatures &set, std::string_view name, int32_t classes) {
  if (set.size() == 0)
    return fail("an evaluation needs {} samples, and there are none", name);
  if (set.dimension < 1 || int64_t(set.features.size()) != set.size() * set.dimension)
    return failInternal("{} features: {} values for {} samples of dimension {}", name,
                        set.features.size(), set.size(), set.dimension);
  for (int64_t sample = 0; sample < set.size(); ++sample)
    if (set.labels[size_t(sample)] < 0 || set.labels[size_t(sample)] >= classes)
      return fail("{} sample {} has label {}, but there are {} classes; an evaluation needs a "
                  "class for every image",
                  name, sample, set.labels[size_t(sample)], classes);
  auto bad = std::find_if_not(set.features.begin(), set.features.end(),
                              [](float value) { return std::isfinite(value); });
  if (bad != set.features.end())
    return fail("the features of {} sample {} are not finite: the encoder diverged", name,
                (bad - set.features.begin()) / set.dimension);
  return {};
}

} // namespace

Result<void> checkFeatures(const LabelledFeatures &known, std::string_view name,
                           const LabelledFeatures &test, int32_t classes) {
  DOPPEL_CHECK(check(known, name, classes));
  DOPPEL_CHECK(check(test, "test", classes));
  if (known.dimension != test.dimension)
    return failInternal("{} features have {} dimensions, test features {}", name, known.dimension,
                        test.dimension);
  return {};
}

} // namespace doppel::runtime
