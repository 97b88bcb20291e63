// The view of one image as LLVM IR, for every target (dialects/nn/README.md, "Augmentation
// stages"): the order of stages, what is drawn for each, boxes, factors and the formulas of pixels.
// Where pixels lie and who loops over them is a target's own, behind the virtual functions. A stage
// that is drawn for one image in two is a branch, not a blend: what is not drawn costs nothing.
//
// Draws, boxes and factors carry no fast-math flags and their fma stands by name, so every target
// makes the same of an image, bit for bit; pixels agree to rounding.
#pragma once

#include "codegen/kernels/VectorMath.h"
#include "dialects/nn/NnDialect.h"

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/IR/IRBuilder.h"

namespace doppel::kernels {

/// Values of pixels, positions and weights are plain or vectors, as the target's loops have them;
/// what a whole view shares is plain.
class ViewEmitter {
public:
  /// `image`: address of the abi::ImageRef. `slab`: of the bytes that it counts from. `run`: of
  /// abi::RunScalars. `tableSpace`: the address space of constant tables.
  ViewEmitter(llvm::IRBuilder<> &b, nn::AugmentOp augment, llvm::Value *image, llvm::Value *slab,
              llvm::Value *run, unsigned tableSpace);
  virtual ~ViewEmitter() = default;

  /// Emits all stages; the view goes to `out`, [size, size, 3].
  void emit(llvm::Value *out);

protected:
  using Values = llvm::SmallVector<llvm::Value *, 4>;
  using Draws = std::array<llvm::Value *, 4>; ///< float, uniform on [0, 1)
  struct Pixel {
    llvm::Value *r, *g, *b;
  };
  struct Box {
    llvm::Value *top, *left, *height, *width; ///< i64
  };
  /// How one axis is resampled: what all outputs share.
  struct Axis {
    llvm::Value *length;      ///< source pixels, i64
    llvm::Value *scale;       ///< source pixels an output, f64
    llvm::Value *radius;      ///< of the filter in source pixels, f64
    llvm::Value *inverse;     ///< 1 / max(scale, 1), float
    llvm::Value *wideInverse; ///< the same, f64
    llvm::Value *taps;        ///< source pixels under the filter at most, i64
    llvm::Value *begin;       ///< number of output 0 in the whole resampled axis, i64
  };
  /// Where an output's filter begins.
  struct Source {
    llvm::Value *first; ///< source pixel, i32
    llvm::Value *phase; ///< the filter's argument there, float
  };

  // What a target does with its pixels.
  /// Resamples the box to the view; its columns from right to left where `mirror`.
  virtual void crop(const Box &box, const Axis &rows, const Axis &columns, llvm::Value *mirror,
                    bool cubic) = 0;
  virtual void mapPixels(llvm::function_ref<Pixel(Pixel)> change) = 0;
  /// Mean of the grey of all pixels.
  virtual llvm::Value *meanGrey() = 0;
  virtual void mirrorPixels() = 0;
  /// Weight of tap d: e^(exponent (d - taps / 2)^2) over the sum of all. Edges are reflected.
  virtual void blur(int64_t taps, llvm::Value *exponent) = 0;
  /// Bilinear about the middle; zero outside.
  virtual void rotate(llvm::Value *cosine, llvm::Value *sine) = 0;
  /// `normalize` may be null.
  virtual void storePixels(llvm::Value *out, nn::StageAttr normalize) = 0;

  // Control flow that a whole view shares.
  void loop(llvm::Value *low, llvm::Value *high, int64_t step, Values &carried,
            llvm::function_ref<void(llvm::Value *, Values &)> body);
  void loop(llvm::Value *low, llvm::Value *high, int64_t step,
            llvm::function_ref<void(llvm::Value *)> body);
  void ifThen(llvm::Value *condition, llvm::function_ref<void()> body);

  // Boxes (ViewBoxes.cpp).
  Source sourceOf(const Axis &axis, llvm::Value *output);
  /// The filter at the tap'th source pixel of an output (i64, plain).
  llvm::Value *weightAt(const Axis &axis, llvm::Value *phase, llvm::Value *tap, bool cubic);

  // Formulas of pixels (ViewPixels.cpp).
  llvm::Value *clampToUnit(llvm::Value *x);
  llvm::Value *grey(Pixel p);
  llvm::Value *normalized(llvm::Value *x, nn::StageAttr stage, unsigned channel);
  /// Where the pixel (x, y), as distances from the middle, comes from: the same. float.
  std::pair<llvm::Value *, llvm::Value *> turned(llvm::Value *dx, llvm::Value *dy,
                                                 llvm::Value *cosine, llvm::Value *sine);
  double middle() const { return double(size - 1) / 2; }

  llvm::Value *least(llvm::Value *x, llvm::Value *y);
  llvm::Value *greatest(llvm::Value *x, llvm::Value *y);
  /// `x`, plain, in as many lanes as `model` has.
  llvm::Value *like(llvm::Value *model, llvm::Value *x);
  llvm::Value *like(llvm::Value *model, double x) {
    return llvm::ConstantFP::get(model->getType(), x);
  }
  llvm::Value *real(double value) { return llvm::ConstantFP::get(b.getFloatTy(), value); }
  llvm::Value *precise(double value) { return llvm::ConstantFP::get(b.getDoubleTy(), value); }
  llvm::Value *integer(int64_t value) { return b.getInt64(value); }

  llvm::IRBuilder<> &b;
  VectorMath math;
  nn::AugmentOp augment;
  int64_t size;                         ///< pixels of a side
  llvm::Value *pixels, *height, *width; ///< of the image

private:
  Draws draws(llvm::Value *draw);
  Draws draws(unsigned draw) { return draws(b.getInt32(draw)); }
  llvm::Value *happens(double p, llvm::Value *u);
  void withProbability(double p, llvm::Value *u, llvm::function_ref<void()> body);
  /// low + u (high - low), of float.
  llvm::Value *between(double low, double high, llvm::Value *u);

  Box randomBox(nn::StageAttr stage);
  Axis makeAxis(llvm::Value *length, llvm::Value *outputs, llvm::Value *begin, bool cubic);
  void emitRandomResizedCrop(nn::StageAttr stage, llvm::Value *mirror);
  void emitCenterCrop(nn::StageAttr stage, llvm::Value *mirror);
  llvm::Value *filter(llvm::Value *t, bool cubic);

  void emitColorJitter(nn::StageAttr stage, unsigned number);
  void emitAdjustment(unsigned adjustment, llvm::Value *amount, bool addsBrightness);
  void emitGaussianBlur(nn::StageAttr stage, const Draws &u);
  void emitRotation(nn::StageAttr stage, const Draws &u);
  std::array<llvm::Value *, 4> jitterAmounts(nn::StageAttr stage, const Draws &u);
  llvm::Value *orderNumber(llvm::Value *u);
  llvm::Value *blurExponent(nn::StageAttr stage, llvm::Value *u);
  std::pair<llvm::Value *, llvm::Value *> cosineAndSine(nn::StageAttr stage, llvm::Value *u);
  Pixel turnHue(Pixel p, llvm::Value *turn);

  unsigned tableSpace;
  std::array<llvm::Value *, 2> index; ///< words of the image's number in the data set
  llvm::Value *seedLow, *seedHigh, *step;
};

} // namespace doppel::kernels
