// How the nests of a kernel are cut into workgroups for a machine.
#pragma once

#include "dialects/plan/KernelForm.h"
#include "dialects/plan/Machine.h"

namespace doppel::plan {

/// Sets the workgroups of each nest and the kernel's grid. A function of the form and the machine,
/// which are the same wherever the program runs.
void cutIntoWorkgroups(KernelForm &form, const Machine &machine);

/// The workgroups of a kernel and the memory that each needs for itself while it runs.
struct KernelGrid {
  int64_t grid;
  int64_t scratchBytes;
};
mlir::FailureOr<KernelGrid> gridOf(nn::KernelKind kind, mlir::Block &body, const Machine &machine);

} // namespace doppel::plan
