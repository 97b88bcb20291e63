// Kernels of kind augment: a workgroup makes the view of one image.
#include "codegen/cpu/KernelEmitter.h"
#include "codegen/cpu/ViewPlanes.h"

#include "runtime/schema/Abi.h"

using namespace doppel;

mlir::LogicalResult cpu::emitAugment(plan::KernelOp kernel, llvm::IRBuilder<> &b,
                                     const kernels::KernelBuffers &buffers, llvm::Value *sample,
                                     llvm::Value *scratch, unsigned lanes) {
  mlir::Block &body = kernel.getBody().front();
  for (auto [number, value] : llvm::enumerate(body.getTerminator()->getOperands())) {
    auto augment = value.getDefiningOp<nn::AugmentOp>();
    auto images = augment ? mlir::dyn_cast<mlir::BlockArgument>(augment.getImages()) : nullptr;
    if (!images)
      return kernel.emitError("yields a value that is not a view of the images");
    int64_t size = augment.getType().getShape()[1];
    for (auto stage : augment.getPipeline().getAsRange<nn::StageAttr>())
      if (stage.getTransform() == nn::Transform::GaussianBlur &&
          stage.getInteger("kernel") / 2 >= size)
        return augment.emitError("a blur of ")
               << stage.getInteger("kernel") << " taps does not fit views of " << size
               << " pixels: its reach must be below the side";
    auto byteOffset = [&](llvm::Value *base, int64_t bytes) {
      return b.CreateInBoundsGEP(b.getInt8Ty(), base,
                                 b.CreateMul(sample, b.getInt64(bytes), "", true, true));
    };
    llvm::Value *image = byteOffset(buffers.inputs[images.getArgNumber()], sizeof(abi::ImageRef));
    ViewPlanes(b, augment, image, buffers.slabs[images.getArgNumber()], buffers.run, scratch, lanes)
        .emit(byteOffset(buffers.outputs[number], size * size * 3 * int64_t(sizeof(float))));
  }
  return mlir::success();
}
