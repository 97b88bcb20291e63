// The pixels of a view on a GPU: a block makes one view, in planes of its scratch memory; a thread
// has the same pixels in every stage, so that threads meet only where a stage reads its
// neighbours'.
#pragma once

#include "codegen/cuda/Placeholders.h"
#include "codegen/kernels/NodeEmitter.h"
#include "codegen/kernels/ViewEmitter.h"
#include "dialects/plan/Machine.h"
#include "dialects/plan/PlanDialect.h"

namespace doppel::cuda {

/// Emits all views of a kernel of kind augment at the builder's place: block i makes view i, i +
/// blocks, ... of each output. `scratch`: of the whole launch, the kernel's scratch_bytes a block.
/// Returns the bytes of shared memory that a block needs.
mlir::FailureOr<uint64_t> emitViews(plan::KernelOp kernel, const plan::Machine &machine,
                                    llvm::IRBuilder<> &b, const kernels::KernelBuffers &buffers,
                                    llvm::Value *scratch);

class ViewBlocks : public kernels::ViewEmitter {
public:
  /// `scratch`: of this block.
  ViewBlocks(llvm::IRBuilder<> &b, nn::AugmentOp augment, llvm::Value *image, llvm::Value *slab,
             llvm::Value *run, llvm::Value *scratch, const plan::Machine &machine);

private:
  void crop(const Box &box, const Axis &rows, const Axis &columns, llvm::Value *mirror,
            bool cubic) override;
  void mapPixels(llvm::function_ref<Pixel(Pixel)> change) override;
  llvm::Value *meanGrey() override;
  void mirrorPixels() override;
  void blur(int64_t taps, llvm::Value *exponent) override;
  void rotate(llvm::Value *cosine, llvm::Value *sine) override;
  void storePixels(llvm::Value *out, nn::StageAttr normalize) override;

  /// Tables of an axis, an entry an output: Source, and 1 / sum of the weights.
  struct Tables {
    llvm::Value *first, *phase, *norm;
  };
  Tables makeTables(const Axis &axis, llvm::Value *mirror, unsigned number, bool cubic);

  /// body(i) for each i below `count`, the threads in turn. i is i64.
  void eachOf(int64_t count, llvm::function_ref<void(llvm::Value *)> body);
  void eachPixel(llvm::function_ref<void(llvm::Value *)> body) { eachOf(size * size, body); }
  /// (x, y) of pixel number i, i32 as i64.
  std::pair<llvm::Value *, llvm::Value *> placeOf(llvm::Value *pixel);
  llvm::Value *at(llvm::Value *base, llvm::Value *index) {
    return b.CreateInBoundsGEP(b.getFloatTy(), base, index);
  }
  llvm::Value *load(llvm::Value *base, llvm::Value *index) {
    return b.CreateLoad(b.getFloatTy(), at(base, index));
  }
  void store(llvm::Value *value, llvm::Value *base, llvm::Value *index) {
    b.CreateStore(value, at(base, index));
  }
  llvm::Value *plane(llvm::Value *view, unsigned channel) {
    return at(view, integer(channel * planeSize));
  }

  Placeholders gpu;
  int64_t threads, planeSize, rowSize;
  llvm::Value *thread;       ///< i64
  llvm::Value *view, *other; ///< three planes each
  llvm::Value *tables;       ///< six rows
  llvm::Value *weights;      ///< of a blur
};

} // namespace doppel::cuda
