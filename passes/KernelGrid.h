// The tiling rule of kernels. It belongs to the form of a kernel (dialects/plan/KernelForm.h),
// which code generation reads as well.
#pragma once

#include "dialects/plan/KernelForm.h"

namespace doppel {
using plan::gridOf;
using plan::KernelGrid;
using plan::usesRun;
} // namespace doppel
