// One kernel as an LLVM function over the threads of a block, with placeholders (Placeholders.h)
// where a GPU has an instruction. A workgroup of the plan is a block.
#pragma once

#include "dialects/plan/Machine.h"
#include "dialects/plan/PlanDialect.h"

#include "llvm/IR/Module.h"

namespace doppel::cuda {

/// Adds the function of a kernel to a module: void (ptr buffer, ...), inputs, then the run's
/// scalars where the kernel reads them, then outputs; then scratch memory where the kernel has
/// scratch_bytes: so many for each of its workgroups, one after the other. Draws that it calls are
/// declared alone (codegen/kernels/Draws.h). `disjoint`, where it is not empty, says of each buffer
/// whether it shares no bytes with one that is written (Disjoint.h).
mlir::LogicalResult emitKernel(plan::KernelOp kernel, const plan::Machine &machine,
                               llvm::Module &module, llvm::ArrayRef<bool> disjoint = {});

} // namespace doppel::cuda
