// Elementary functions as straight-line LLVM IR, alike for a scalar and for a vector of any width:
// a loop that holds one stays a vector loop on every processor, and a number does not depend on the
// C library, on the target or on the place in a vector where it was computed. Those of f64 carry no
// fast-math flags, and an fma stands by name: boxes of views are the same bits on every target.
#pragma once

#include "llvm/IR/IRBuilder.h"

namespace doppel::kernels {

/// Of f32 and f64, to within 2 units in the last place, but where a function says more. Infinities,
/// NaN and subnormal numbers as in C.
class VectorMath {
public:
  explicit VectorMath(llvm::IRBuilder<> &b) : b(b) {}

  llvm::Value *exp(llvm::Value *x);
  llvm::Value *log(llvm::Value *x);
  /// Good for |x| <= 10^5.
  llvm::Value *sin(llvm::Value *x) { return circular(x, 0); }
  llvm::Value *cos(llvm::Value *x) { return circular(x, 1); }
  llvm::Value *tanh(llvm::Value *x);
  llvm::Value *sigmoid(llvm::Value *x);
  /// f64 by the C library, lane by lane: no spec computes it.
  llvm::Value *erf(llvm::Value *x);
  /// f64: off by 1 + 2 |y log x| units in the last place.
  llvm::Value *pow(llvm::Value *x, llvm::Value *y);
  /// The nearest whole number as an i64, a half to the even one. `x` is f64 with |x| < 2^51.
  llvm::Value *nearest(llvm::Value *x);

  /// The 32-bit words of Philox4x32-10 (runtime/schema/Abi.h). All of one type: i32 or a vector of
  /// it.
  std::array<llvm::Value *, 4> philox(std::array<llvm::Value *, 4> counter, llvm::Value *keyLow,
                                      llvm::Value *keyHigh);
  /// abi::uniform of a word.
  llvm::Value *uniform(llvm::Value *word);

private:
  llvm::Value *circular(llvm::Value *x, int quarter);
  // VectorMath64.cpp.
  llvm::Value *exp64(llvm::Value *x);
  llvm::Value *log64(llvm::Value *x);
  llvm::Value *circular64(llvm::Value *x, int quarter);
  llvm::Value *tanh64(llvm::Value *x);
  std::pair<llvm::Value *, llvm::Value *> reducedExp64(llvm::Value *x);
  llvm::Value *powerOfTwo64(llvm::Value *exponent);
  llvm::Value *library(llvm::StringRef name, llvm::ArrayRef<llvm::Value *> operands);
  llvm::Value *real(llvm::Value *like, double value);
  llvm::Value *word(llvm::Value *like, uint64_t value);
  llvm::Value *fma(llvm::Value *x, llvm::Value *y, llvm::Value *z);
  llvm::Value *bits(llvm::Value *x);
  llvm::Value *fromBits(llvm::Value *x);
  /// coefficients[0] + x (coefficients[1] + x (...)).
  llvm::Value *polynomial(llvm::Value *x, llvm::ArrayRef<double> coefficients);

  llvm::IRBuilder<> &b;
};

} // namespace doppel::kernels
