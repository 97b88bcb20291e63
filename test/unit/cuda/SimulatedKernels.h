// What lets the stand-in for the driver compute: the kernels of a program for GPUs, as the artifact
// of the same program for `cuda-sim` has them. Plans of both are one, kernel by kernel.
#pragma once

#include "RecordingDriver.h"

namespace doppel::test {

/// From now on the recording has the kernels of the artifact at `path` and those that are reserved.
/// Ends the process where it cannot: what tests then see is that.
void simulateKernels(Recording &recording, const std::string &path);

} // namespace doppel::test
