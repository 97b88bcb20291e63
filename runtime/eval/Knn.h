// Weighted k-nearest-neighbour classification of features: what a representation is worth before
// anything is trained on it.
#pragma once

#include "runtime/eval/Features.h"

#include <string>

namespace doppel::runtime {

struct KnnOptions {
  int64_t neighbours = 200;
  float temperature = 0.07f;
};

struct KnnResult {
  double accuracy = 0; ///< 0 .. 1
  int64_t correct = 0;
  int64_t total = 0;
  int64_t neighbours = 0;              ///< the k that was used: at most the bank's size
  std::vector<double> accuracyByClass; ///< [classes]; NaN for a class without test samples
  std::string note;                    ///< says so where k was capped; else empty
};

/// Classifies each row of `test` by its k nearest rows of `bank`: similarity s is the cosine, a
/// neighbour votes for its class with exp(s / temperature). Ties among neighbours go to the lower
/// index, among classes to the lower label.
///
/// Fails if the dimensions differ, either side is empty, a label is outside of [0, classes) or a
/// feature is not finite. Cost: 2*N*M*D operations in matrix products of oneDNN; extra memory about
/// 20 MB and one copy of `bank` and `test`. Source: Wu et al. 2018 (arXiv 1805.01978), section 3.4.
Result<KnnResult> classifyByNeighbours(const LabelledFeatures &bank, const LabelledFeatures &test,
                                       int32_t classes, const KnnOptions &options = {});

} // namespace doppel::runtime
