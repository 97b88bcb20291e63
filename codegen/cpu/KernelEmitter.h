// One kernel as an LLVM function. A kind of kernel that is no nest of loops has an emitter of its
// own, named here.
#pragma once

#include "codegen/cpu/NestEmitter.h"
#include "dialects/plan/PlanDialect.h"

namespace doppel::cpu {

/// Adds the function of a kernel to an LLVM module: void (ptr buffers, i64 begin, i64 end, ptr
/// scratch).
mlir::LogicalResult emitKernel(plan::KernelOp kernel, llvm::Module &module, unsigned lanes);

/// Emits the views of image `sample` for a kernel of kind augment at the builder's place.
mlir::LogicalResult emitAugment(plan::KernelOp kernel, llvm::IRBuilder<> &b,
                                const kernels::KernelBuffers &buffers, llvm::Value *sample,
                                llvm::Value *scratch, unsigned lanes);

} // namespace doppel::cpu
