// Kernels of kind augment.
#include "codegen/cpu/KernelEmitter.h"

using namespace doppel;

mlir::LogicalResult cpu::emitAugment(plan::KernelOp kernel, llvm::IRBuilder<> &b, const KernelBuffers &buffers,
                                     llvm::Value *sample, llvm::Value *scratch, unsigned lanes) {
  return kernel.emitError("augment kernels have no code for this processor");
}
