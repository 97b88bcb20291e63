// GPUs of three architectures as cuDNN is told of them where they are not there. The numbers are
// those of their CUDA properties.
#pragma once

#include "runtime/device/cuda/Cudnn.h"

namespace doppel::test {

inline const runtime::cuda::GpuDescription gpus[] = {
    {"NVIDIA A100-SXM4-80GB", 80, 108, 85094301696, 167936, 166912, 41943040},
    {"NVIDIA H100 80GB HBM3", 90, 132, 85027979264, 233472, 232448, 52428800},
    {"NVIDIA B200", 100, 148, 190000000000, 233472, 232448, 130000000},
};

} // namespace doppel::test
