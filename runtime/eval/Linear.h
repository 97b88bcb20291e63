// A linear classifier on frozen features: what a representation is worth to a task that gets
// labels.
#pragma once

#include "runtime/eval/Features.h"

namespace doppel::runtime {

struct LinearOptions {
  int64_t epochs = 100;
  int64_t batch = 256;
  double learningRate = 0.1; ///< at the first step; half a cosine to 0
  double momentum = 0.9;
  uint64_t seed = 0; ///< of the order of samples
};

struct LinearResult {
  double accuracy = 0; ///< of the test samples, 0 .. 1
  double trainAccuracy = 0;
};

/// Trains a softmax layer on `train` and classifies `test`. Each axis is first shifted and scaled
/// to mean 0 and deviation 1 over `train`, as a batch norm without parameters before the layer
/// would (He et al. 2022, appendix A), so that one learning rate serves all encoders. Weights start
/// at 0; SGD with momentum, without weight decay or augmentation.
///
/// Fails if the dimensions differ, either side is empty, a label is outside of [0, classes) or a
/// feature is not finite. Equal inputs give equal results on any number of threads.
Result<LinearResult> classifyLinearly(const LabelledFeatures &train, const LabelledFeatures &test,
                                      int32_t classes, const LinearOptions &options = {});

} // namespace doppel::runtime
