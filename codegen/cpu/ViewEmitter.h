// Emits the view of one image as LLVM IR, stage by stage (dialects/nn/README.md, "Augmentation
// stages"). Between the crop and the last store a view is planar in the thread's scratch memory:
// three planes of floats, so that every stage steps in whole vectors of pixels whatever the order
// and number of stages. A stage that is drawn for one image in two is a branch, not a blend: what
// is not drawn costs nothing.
#pragma once

#include "codegen/cpu/VectorMath.h"
#include "dialects/nn/NnDialect.h"

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/IR/IRBuilder.h"

namespace doppel::cpu {

class ViewEmitter {
public:
  /// `lanes`: floats of a vector, a power of two up to 16. `image`: address of the abi::ImageRef.
  /// `run`: of abi::RunScalars.
  ViewEmitter(llvm::IRBuilder<> &b, nn::AugmentOp augment, llvm::Value *image, llvm::Value *run,
              llvm::Value *scratch, unsigned lanes);

  /// Emits all stages; the view goes to `out`, [size, size, 3].
  void emit(llvm::Value *out);

private:
  using Values = llvm::SmallVector<llvm::Value *, 4>;
  using Draws = std::array<llvm::Value *, 4>; ///< float, uniform on [0, 1)
  struct Pixel {
    llvm::Value *r, *g, *b;
  };
  /// How one axis is resampled: tables in scratch memory, an entry an output, and what all outputs
  /// share.
  struct Axis {
    llvm::Value *length;  ///< source pixels, i64
    llvm::Value *scale;   ///< source pixels an output, f64
    llvm::Value *radius;  ///< of the filter in source pixels, f64
    llvm::Value *inverse; ///< 1 / max(scale, 1), float
    llvm::Value *taps;    ///< source pixels under the filter at most, i64
    llvm::Value *begin;   ///< number of output 0 in the whole resampled axis, i64
    llvm::Value *first;   ///< table, i32: the first source pixel under the filter
    llvm::Value *phase;   ///< table, float: the filter's argument there
    llvm::Value *norm;    ///< table, float: 1 / sum of the weights
  };
  struct Box {
    llvm::Value *top, *left, *height, *width; ///< i64
  };

  // Control flow.
  void loop(llvm::Value *low, llvm::Value *high, int64_t step, Values &carried,
            llvm::function_ref<void(llvm::Value *, Values &)> body);
  void loop(llvm::Value *low, llvm::Value *high, int64_t step,
            llvm::function_ref<void(llvm::Value *)> body);
  void ifThen(llvm::Value *condition, llvm::function_ref<void()> body);
  /// With probability `p`, by the draw `u`; no branch where it is certain.
  void withProbability(double p, llvm::Value *u, llvm::function_ref<void()> body);

  // Crops (ViewResample.cpp).
  void emitRandomResizedCrop(nn::StageAttr stage, llvm::Value *mirror);
  Box emitRandomBox(nn::StageAttr stage);
  void emitCenterCrop(nn::StageAttr stage, llvm::Value *mirror);
  void resample(const Box &box, Axis rows, Axis columns, bool cubic);
  Axis makeAxis(llvm::Value *length, llvm::Value *outputs, llvm::Value *begin, llvm::Value *mirror,
                unsigned table, bool cubic);
  llvm::Value *filter(llvm::Value *t, bool cubic);
  void emitSourceRow(llvm::Value *source, const Axis &columns, bool cubic);
  void mirrorInPlace();

  // Stages on the planes (ViewStages.cpp).
  void emitColorJitter(nn::StageAttr stage, unsigned number);
  void emitAdjustment(unsigned adjustment, llvm::Value *amount, bool addsBrightness);
  void emitGaussianBlur(nn::StageAttr stage, const Draws &u);
  void emitRotation(nn::StageAttr stage, const Draws &u);
  void store(llvm::Value *out, nn::StageAttr normalize);
  void mapPixels(llvm::function_ref<Pixel(Pixel)> change);
  Pixel turnHue(Pixel p, llvm::Value *turn);
  llvm::Value *meanGrey();

  // Values.
  Draws draws(llvm::Value *draw);
  Draws draws(unsigned draw) { return draws(b.getInt32(draw)); }
  llvm::Value *clampToUnit(llvm::Value *x);
  llvm::Value *grey(Pixel p);
  llvm::Value *least(llvm::Value *x, llvm::Value *y);
  llvm::Value *greatest(llvm::Value *x, llvm::Value *y);
  llvm::Value *splat(llvm::Value *x) { return b.CreateVectorSplat(lanes, x); }
  llvm::Value *reals(double value) { return llvm::ConstantFP::get(reals_, value); }
  llvm::Value *real(double value) { return llvm::ConstantFP::get(b.getFloatTy(), value); }
  llvm::Value *precise(double value) { return llvm::ConstantFP::get(b.getDoubleTy(), value); }
  llvm::Value *integer(int64_t value) { return b.getInt64(value); }
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

  llvm::IRBuilder<> &b;
  VectorMath math;
  nn::AugmentOp augment;
  unsigned lanes;
  int64_t size;      ///< pixels of a side
  int64_t rowSize;   ///< `size` up to a whole vector of any machine
  int64_t planeSize; ///< size * size up to the same
  llvm::Type *reals_;
  llvm::Type *integers_;
  llvm::Value *pixels, *height, *width; ///< of the image
  std::array<llvm::Value *, 2> index;   ///< words of its number in the data set
  llvm::Value *seedLow, *seedHigh, *step;
  llvm::Value *view, *other; ///< three planes each
  llvm::Value *row;          ///< three rows
  llvm::Value *tables;       ///< six rows
  llvm::Value *padded;       ///< a row with room for a blur's edges; then the blur's weights
};

} // namespace doppel::cpu
