// The functions of f64: fdlibm's (Sun Microsystems, 1993) reductions and polynomials with an fma
// by name and without branches.
#include "codegen/kernels/VectorMath.h"

#include "llvm/IR/Intrinsics.h"

#include <cmath>

using namespace llvm;
using namespace doppel::kernels;

namespace {

/// Code of f64 keeps the order of its operations and every rounding, whatever the builder allows.
struct Strict {
  explicit Strict(IRBuilder<> &b) : guard(b) { b.clearFastMathFlags(); }
  IRBuilderBase::FastMathFlagGuard guard;
};

/// Adding it rounds a number below 2^51 to a whole one, which stands in the low bits then.
constexpr double roundingShift = 0x1.8p52;
constexpr uint64_t roundingShiftBits = 0x4338000000000000;
constexpr double ln2High = 6.93147180369123816490e-01, ln2Low = 1.90821492927058770002e-10;

} // namespace

Value *VectorMath::nearest(Value *x) {
  Strict strict(b);
  Value *shifted = b.CreateFAdd(x, real(x, roundingShift));
  return b.CreateSub(bits(shifted), word(x, roundingShiftBits));
}

/// x = n ln 2 + r with |r| <= ln 2 / 2: e^r - 1 by Taylor's series to r^13, and n, an i64.
std::pair<Value *, Value *> VectorMath::reducedExp64(Value *x) {
  Value *shifted = fma(x, real(x, 1.44269504088896338700e+00), real(x, roundingShift));
  Value *n = b.CreateFSub(shifted, real(x, roundingShift));
  Value *r = fma(n, real(x, -ln2High), x);
  r = fma(n, real(x, -ln2Low), r);
  SmallVector<double> series;
  double factorial = 1;
  for (int k = 2; k <= 13; ++k)
    series.push_back(1 / (factorial *= k));
  return {fma(b.CreateFMul(r, r), polynomial(r, series), r),
          b.CreateSub(bits(shifted), word(x, roundingShiftBits))};
}

/// 2^exponent, a normal number, from an i64.
Value *VectorMath::powerOfTwo64(Value *exponent) {
  Type *type = exponent->getType();
  Value *biased = b.CreateAdd(exponent, ConstantInt::get(type, 1023));
  return b.CreateBitCast(b.CreateShl(biased, ConstantInt::get(type, 52)),
                         type->getWithNewType(b.getDoubleTy()));
}

Value *VectorMath::exp64(Value *x) {
  Strict strict(b);
  Value *greatest = real(x, 710), *least = real(x, -746);
  x = b.CreateSelect(b.CreateFCmpOGT(x, greatest), greatest, x);
  x = b.CreateSelect(b.CreateFCmpOLT(x, least), least, x);
  auto [p, power] = reducedExp64(x);
  // Two factors, since 2^n itself may be no normal number.
  Value *half = b.CreateAShr(power, word(x, 1));
  p = b.CreateFMul(b.CreateFAdd(p, real(x, 1)), powerOfTwo64(half));
  return b.CreateFMul(p, powerOfTwo64(b.CreateSub(power, half)));
}

Value *VectorMath::log64(Value *x) {
  Strict strict(b);
  Value *small = b.CreateFCmpOLT(x, real(x, 0x1p-1022));
  Value *normal = b.CreateSelect(small, b.CreateFMul(x, real(x, 0x1p54)), x);
  // x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); log(1 + f) by s = f / (2 + f).
  constexpr uint64_t rootBits = 0x3FE6A09E667F3BCD;
  Value *offset = b.CreateSub(bits(normal), word(x, rootBits));
  Value *e = b.CreateSIToFP(b.CreateAShr(offset, word(x, 52)), x->getType());
  e = b.CreateSelect(small, b.CreateFSub(e, real(x, 54)), e);
  Value *mantissa = b.CreateAnd(offset, word(x, 0xFFFFFFFFFFFFF));
  Value *f = b.CreateFSub(fromBits(b.CreateAdd(mantissa, word(x, rootBits))), real(x, 1));
  Value *s = b.CreateFDiv(f, b.CreateFAdd(real(x, 2), f));
  Value *square = b.CreateFMul(s, s);
  Value *rest =
      b.CreateFMul(square, polynomial(square, {6.666666666666735130e-01, 3.999999999940941908e-01,
                                               2.857142874366239149e-01, 2.222219843214978396e-01,
                                               1.818357216161805012e-01, 1.531383769920937332e-01,
                                               1.479819860511658591e-01}));
  Value *half = b.CreateFMul(b.CreateFMul(f, f), real(x, 0.5));
  Value *tail = fma(s, b.CreateFAdd(half, rest), b.CreateFMul(e, real(x, ln2Low)));
  tail = b.CreateFSub(b.CreateFSub(half, tail), f);
  Value *result = fma(e, real(x, ln2High), b.CreateFNeg(tail));
  Value *infinity = real(x, INFINITY);
  result = b.CreateSelect(b.CreateFCmpOEQ(x, infinity), infinity, result);
  result = b.CreateSelect(b.CreateFCmpOEQ(x, real(x, 0)), real(x, -INFINITY), result);
  result = b.CreateSelect(b.CreateFCmpOLT(x, real(x, 0)), real(x, NAN), result);
  return b.CreateSelect(b.CreateFCmpUNO(x, x), x, result);
}

Value *VectorMath::circular64(Value *x, int quarter) {
  Strict strict(b);
  // pi / 2 in parts of 33, 33 and 53 bits, whose first products with n are exact.
  Value *shifted = fma(x, real(x, 6.36619772367581382433e-01), real(x, roundingShift));
  Value *n = b.CreateFSub(shifted, real(x, roundingShift));
  Value *first = fma(n, real(x, -1.57079632673412561417e+00), x);
  Value *second = b.CreateFMul(n, real(x, 6.07710050630396597660e-11));
  Value *middle = b.CreateFSub(first, second);
  Value *lost = b.CreateFSub(b.CreateFSub(first, middle), second);
  Value *third = fma(n, real(x, 2.02226624879595063154e-21), b.CreateFNeg(lost));
  Value *r = b.CreateFSub(middle, third);
  Value *low = b.CreateFSub(b.CreateFSub(middle, r), third);

  Value *square = b.CreateFMul(r, r), *half = b.CreateFMul(square, real(x, 0.5));
  Value *cube = b.CreateFMul(square, r);
  Value *tail = polynomial(square, {8.33333333332248946124e-03, -1.98412698298579493134e-04,
                                    2.75573137070700676789e-06, -2.50507602534068634195e-08,
                                    1.58969099521155010221e-10});
  // r - ((square (low / 2 - cube tail) - low) + cube / 6).
  Value *sine = fma(b.CreateFNeg(cube), tail, b.CreateFMul(low, real(x, 0.5)));
  sine = fma(square, sine, b.CreateFNeg(low));
  sine = fma(cube, real(x, 1.66666666666666324348e-01), sine);
  sine = b.CreateFSub(r, sine);
  tail = polynomial(square, {4.16666666666666019037e-02, -1.38888888888741095749e-03,
                             2.48015872894767294178e-05, -2.75573143513906633035e-07,
                             2.08757232129817482790e-09, -1.13596475577881948265e-11});
  tail = b.CreateFMul(b.CreateFMul(square, square), tail);
  tail = fma(b.CreateFNeg(r), low, tail);
  Value *near = b.CreateFSub(real(x, 1), half);
  Value *cosine = b.CreateFSub(b.CreateFSub(real(x, 1), near), half);
  cosine = b.CreateFAdd(near, b.CreateFAdd(cosine, tail));

  Value *number = b.CreateAdd(bits(shifted), word(x, quarter));
  Value *odd = b.CreateICmpNE(b.CreateAnd(number, word(x, 1)), word(x, 0));
  Value *sign = b.CreateShl(b.CreateAnd(number, word(x, 2)), word(x, 62));
  return fromBits(b.CreateXor(bits(b.CreateSelect(odd, cosine, sine)), sign));
}

Value *VectorMath::tanh64(Value *x) {
  Strict strict(b);
  // t / (t + 2) with t = e^(2 |x|) - 1 = 2^n (e^r - 1) + (2^n - 1), which keeps small numbers.
  Value *magnitude = b.CreateUnaryIntrinsic(Intrinsic::fabs, x), *most = real(x, 22);
  Value *twice = b.CreateSelect(b.CreateFCmpOGT(magnitude, most), most, magnitude);
  auto [p, n] = reducedExp64(b.CreateFAdd(twice, twice));
  Value *power = powerOfTwo64(n);
  Value *t = fma(power, p, b.CreateFSub(power, real(x, 1)));
  Value *result = b.CreateFDiv(t, b.CreateFAdd(t, real(x, 2)));
  return b.CreateBinaryIntrinsic(Intrinsic::copysign, result, x);
}
