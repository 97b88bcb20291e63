// Pixels themselves as features: the baseline that any encoder must beat.
#pragma once

#include "runtime/data/Dataset.h"
#include "runtime/eval/Features.h"

namespace doppel::runtime {

/// Each image of `dataset` resized to side x side (32 keeps CIFAR's pixels as they are), each
/// channel normalised by CIFAR-10's mean and deviation, flattened: [N, side*side*3]. Samples that
/// prove to be broken while read are left out. Fails if no sample can be read.
Result<LabelledFeatures> rawPixelFeatures(const Dataset &dataset, int32_t side = 32);

} // namespace doppel::runtime
