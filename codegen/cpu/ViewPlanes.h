// The pixels of a view on a CPU: planar in the thread's scratch memory between the crop and the
// last store, three planes of floats, so that every stage steps in whole vectors of pixels whatever
// the order and number of stages.
#pragma once

#include "codegen/kernels/ViewEmitter.h"

namespace doppel::cpu {

class ViewPlanes : public kernels::ViewEmitter {
public:
  /// `lanes`: floats of a vector, a power of two up to 16. The others as a ViewEmitter has them.
  ViewPlanes(llvm::IRBuilder<> &b, nn::AugmentOp augment, llvm::Value *image, llvm::Value *slab,
             llvm::Value *run, llvm::Value *scratch, unsigned lanes);

private:
  /// An axis with tables in scratch memory, an entry an output.
  struct TableAxis : Axis {
    llvm::Value *first = nullptr; ///< i32: the first source pixel under the filter
    llvm::Value *phase = nullptr; ///< float: the filter's argument there
    llvm::Value *norm = nullptr;  ///< float: 1 / sum of the weights
  };

  // ViewResample.cpp.
  void crop(const Box &box, const Axis &rows, const Axis &columns, llvm::Value *mirror,
            bool cubic) override;
  TableAxis tableOf(const Axis &shared, llvm::Value *mirror, unsigned table, bool cubic);
  void emitSourceRow(llvm::Value *source, const TableAxis &columns, bool cubic);
  void mirrorPixels() override;

  // ViewPlanes.cpp.
  void mapPixels(llvm::function_ref<Pixel(Pixel)> change) override;
  llvm::Value *meanGrey() override;
  void blur(int64_t taps, llvm::Value *exponent) override;
  void rotate(llvm::Value *cosine, llvm::Value *sine) override;
  void storePixels(llvm::Value *out, nn::StageAttr normalize) override;

  llvm::Value *splat(llvm::Value *x) { return b.CreateVectorSplat(lanes, x); }
  llvm::Value *reals(double value) { return llvm::ConstantFP::get(reals_, value); }
  /// lane + start, <lanes x i32>.
  llvm::Value *laneIndices(llvm::Value *start);
  /// Which lanes from `start` on are below `size`; null where all are, for any start that is a
  /// multiple of the lanes.
  llvm::Value *maskOf(llvm::Value *start, int64_t size);
  llvm::Value *at(llvm::Value *base, llvm::Value *index) {
    return b.CreateInBoundsGEP(b.getFloatTy(), base, index);
  }
  llvm::Value *load(llvm::Value *base, llvm::Value *index);
  void store(llvm::Value *value, llvm::Value *base, llvm::Value *index, llvm::Value *mask);
  llvm::Value *plane(llvm::Value *view, unsigned channel) {
    return at(view, integer(channel * planeSize));
  }

  unsigned lanes;
  int64_t rowSize;   ///< `size` up to a whole vector of any machine
  int64_t planeSize; ///< size * size up to the same
  llvm::Type *reals_;
  llvm::Type *integers_;
  llvm::Value *view, *other; ///< three planes each
  llvm::Value *row;          ///< three rows
  llvm::Value *tables;       ///< six rows
  llvm::Value *padded;       ///< a row with room for a blur's edges; then the blur's weights
};

} // namespace doppel::cpu
