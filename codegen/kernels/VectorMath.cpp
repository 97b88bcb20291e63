// Each function: reduce the argument to a small interval, a polynomial there (Taylor's or a minimax
// fit, after Cephes' choice of intervals), undo the reduction with bit operations. No branch:
// selects alone.
#include "codegen/kernels/VectorMath.h"

#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/Module.h"

#include <cmath>

using namespace llvm;
using namespace doppel::kernels;

Value *VectorMath::real(Value *like, double value) {
  return ConstantFP::get(like->getType(), value);
}

/// An integer as wide as `like`.
Value *VectorMath::word(Value *like, uint64_t value) {
  Type *type = like->getType();
  return ConstantInt::get(type->getWithNewType(b.getIntNTy(type->getScalarSizeInBits())), value);
}

Value *VectorMath::fma(Value *x, Value *y, Value *z) {
  return b.CreateIntrinsic(Intrinsic::fma, {x->getType()}, {x, y, z});
}

Value *VectorMath::bits(Value *x) { return b.CreateBitCast(x, word(x, 0)->getType()); }

Value *VectorMath::fromBits(Value *x) {
  bool wide = x->getType()->getScalarSizeInBits() == 64;
  return b.CreateBitCast(x, x->getType()->getWithNewType(wide ? b.getDoubleTy() : b.getFloatTy()));
}

Value *VectorMath::polynomial(Value *x, ArrayRef<double> coefficients) {
  Value *sum = real(x, coefficients.back());
  for (double coefficient : reverse(coefficients.drop_back()))
    sum = fma(sum, x, real(x, coefficient));
  return sum;
}

Value *VectorMath::library(StringRef name, ArrayRef<Value *> operands) {
  Type *type = operands[0]->getType(), *element = type->getScalarType();
  SmallVector<Type *> types(operands.size(), element);
  FunctionCallee callee = b.GetInsertBlock()->getModule()->getOrInsertFunction(
      name, FunctionType::get(element, types, false));
  auto *function = cast<Function>(callee.getCallee());
  function->setDoesNotThrow();
  function->setOnlyAccessesInaccessibleMemory();
  auto *vector = dyn_cast<FixedVectorType>(type);
  if (!vector)
    return b.CreateCall(callee, operands);
  Value *result = PoisonValue::get(type);
  for (unsigned lane = 0; lane < vector->getNumElements(); ++lane) {
    SmallVector<Value *> scalars;
    for (Value *operand : operands)
      scalars.push_back(b.CreateExtractElement(operand, lane));
    result = b.CreateInsertElement(result, b.CreateCall(callee, scalars), lane);
  }
  return result;
}

Value *VectorMath::exp(Value *x) {
  if (x->getType()->getScalarType()->isDoubleTy())
    return exp64(x);
  // e^x = 2^n e^r with n = round(x / ln 2); the addition of 1.5 * 2^23 rounds and leaves n in the
  // low bits.
  Value *greatest = real(x, 89.0), *least = real(x, -104.0);
  x = b.CreateSelect(b.CreateFCmpOGT(x, greatest), greatest, x);
  x = b.CreateSelect(b.CreateFCmpOLT(x, least), least, x);
  Value *shifted = fma(x, real(x, 1.44269504088896341), real(x, 12582912.0));
  Value *n = b.CreateFSub(shifted, real(x, 12582912.0));
  Value *r = fma(n, real(x, -0.693145751953125), x);
  r = fma(n, real(x, -1.42860682030941723e-6), r);
  Value *p =
      polynomial(r, {1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040});
  // Two factors, since 2^n itself may be no normal number.
  Value *power = b.CreateSub(bits(shifted), word(x, 0x4B400000));
  Value *half = b.CreateAShr(power, word(x, 1));
  auto scale = [&](Value *exponent) {
    return fromBits(b.CreateShl(b.CreateAdd(exponent, word(x, 127)), word(x, 23)));
  };
  return b.CreateFMul(b.CreateFMul(p, scale(half)), scale(b.CreateSub(power, half)));
}

Value *VectorMath::log(Value *x) {
  if (x->getType()->getScalarType()->isDoubleTy())
    return log64(x);
  Value *zero = real(x, 0);
  Value *small = b.CreateFCmpOLT(x, real(x, 0x1p-126));
  Value *normal = b.CreateSelect(small, b.CreateFMul(x, real(x, 0x1p23)), x);
  // x = 2^e m with m in [sqrt(1/2), sqrt(2)).
  Value *offset = b.CreateSub(bits(normal), word(x, 0x3F3504F3));
  Value *e = b.CreateSIToFP(b.CreateAShr(offset, word(x, 23)), x->getType());
  e = b.CreateSelect(small, b.CreateFSub(e, real(x, 23)), e);
  Value *m = fromBits(b.CreateAdd(b.CreateAnd(offset, word(x, 0x7FFFFF)), word(x, 0x3F3504F3)));
  Value *f = b.CreateFSub(m, real(x, 1));
  Value *square = b.CreateFMul(f, f);
  Value *p = polynomial(f, {3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1,
                            1.4249322787e-1, -1.2420140846e-1, 1.1676998740e-1, -1.1514610310e-1,
                            7.0376836292e-2});
  Value *tail = b.CreateFMul(b.CreateFMul(f, square), p);
  tail = fma(e, real(x, -2.12194440e-4), tail);
  tail = fma(square, real(x, -0.5), tail);
  Value *result = b.CreateFAdd(f, tail);
  result = fma(e, real(x, 0.693359375), result);
  Value *infinity = real(x, INFINITY);
  result = b.CreateSelect(b.CreateFCmpOEQ(x, infinity), infinity, result);
  result = b.CreateSelect(b.CreateFCmpOEQ(x, zero), real(x, -INFINITY), result);
  result = b.CreateSelect(b.CreateFCmpOLT(x, zero), real(x, NAN), result);
  return b.CreateSelect(b.CreateFCmpUNO(x, x), x, result);
}

Value *VectorMath::circular(Value *x, int quarter) {
  if (x->getType()->getScalarType()->isDoubleTy())
    return circular64(x, quarter);
  Value *shifted = fma(x, real(x, 0.636619772367581343), real(x, 12582912.0));
  Value *q = b.CreateFSub(shifted, real(x, 12582912.0));
  Value *r = fma(q, real(x, -1.57079637050628662), x);
  r = fma(q, real(x, 4.37113900018624283e-8), r);
  r = fma(q, real(x, 1.71512451306e-15), r);
  Value *square = b.CreateFMul(r, r);
  Value *sine = fma(b.CreateFMul(r, square),
                    polynomial(square, {-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4}), r);
  Value *cosine =
      fma(b.CreateFMul(square, square),
          polynomial(square, {4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5}),
          fma(square, real(x, -0.5), real(x, 1)));
  Value *number = b.CreateAdd(bits(shifted), word(x, quarter));
  Value *odd = b.CreateICmpNE(b.CreateAnd(number, word(x, 1)), word(x, 0));
  Value *sign = b.CreateShl(b.CreateAnd(number, word(x, 2)), word(x, 30));
  Value *result = b.CreateSelect(odd, cosine, sine);
  return fromBits(b.CreateXor(bits(result), sign));
}

Value *VectorMath::tanh(Value *x) {
  if (x->getType()->getScalarType()->isDoubleTy())
    return tanh64(x);
  Value *magnitude = b.CreateUnaryIntrinsic(Intrinsic::fabs, x);
  Value *square = b.CreateFMul(x, x);
  Value *near = fma(b.CreateFMul(x, square),
                    polynomial(square, {-3.33332819422e-1, 1.33314422036e-1, -5.37397155531e-2,
                                        2.06390887954e-2, -5.70498872745e-3}),
                    x);
  Value *power = exp(b.CreateFAdd(magnitude, magnitude));
  Value *far = b.CreateFSub(real(x, 1), b.CreateFDiv(real(x, 2), b.CreateFAdd(power, real(x, 1))));
  far = b.CreateBinaryIntrinsic(Intrinsic::copysign, far, x);
  return b.CreateSelect(b.CreateFCmpOLT(magnitude, real(x, 0.625)), near, far);
}

Value *VectorMath::sigmoid(Value *x) {
  Value *one = ConstantFP::get(x->getType(), 1);
  return b.CreateFDiv(one, b.CreateFAdd(one, exp(b.CreateFNeg(x))));
}

Value *VectorMath::erf(Value *x) {
  if (x->getType()->getScalarType()->isDoubleTy())
    return library("erf", {x});
  // Below 1 the series of Maclaurin; above, 1 - e^(-x^2) times a polynomial of 1 / (1 + x / 2)
  // fitted to it.
  Value *magnitude = b.CreateUnaryIntrinsic(Intrinsic::fabs, x);
  Value *square = b.CreateFMul(x, x);
  SmallVector<double> series;
  double factorial = 1;
  for (int n = 0; n < 11; ++n) {
    factorial *= n ? n : 1;
    series.push_back((n % 2 ? -1.0 : 1.0) * 1.12837916709551257 / (factorial * (2 * n + 1)));
  }
  Value *near = b.CreateFMul(x, polynomial(square, series));
  Value *t = b.CreateFDiv(real(x, 1), fma(magnitude, real(x, 0.5), real(x, 1)));
  Value *exponent = polynomial(t, {-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806,
                                   0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277});
  Value *far = b.CreateFSub(real(x, 1), b.CreateFMul(t, exp(b.CreateFSub(exponent, square))));
  far = b.CreateBinaryIntrinsic(Intrinsic::copysign, far, x);
  return b.CreateSelect(b.CreateFCmpOLT(magnitude, real(x, 1)), near, far);
}

Value *VectorMath::pow(Value *x, Value *y) {
  // e^(y log |x|) in f64, then what C says of signs and of powers that the product loses.
  Type *type = x->getType(), *wide = type->getWithNewType(b.getDoubleTy());
  auto widened = [&](Value *value) { return type == wide ? value : b.CreateFPExt(value, wide); };
  auto floored = [&](Value *value) { return b.CreateUnaryIntrinsic(Intrinsic::floor, value); };
  Value *magnitude = b.CreateUnaryIntrinsic(Intrinsic::fabs, x);
  Value *result = exp64(b.CreateFMul(widened(y), log64(widened(magnitude))));
  result = type == wide ? result : b.CreateFPTrunc(result, type);
  Value *zero = real(x, 0), *one = real(x, 1);
  Value *half = b.CreateFMul(y, real(x, 0.5));
  Value *whole = b.CreateFCmpOEQ(floored(y), y);
  Value *odd = b.CreateAnd(whole, b.CreateFCmpUNE(floored(half), half));
  Value *negative = b.CreateICmpSLT(bits(x), word(x, 0));
  result = b.CreateSelect(b.CreateAnd(negative, odd), b.CreateFNeg(result), result);
  Value *none = b.CreateAnd(b.CreateFCmpOLT(x, zero), b.CreateFCmpOGT(x, real(x, -INFINITY)));
  result = b.CreateSelect(b.CreateAnd(none, b.CreateNot(whole)), real(x, NAN), result);
  Value *infinite = b.CreateFCmpOEQ(b.CreateUnaryIntrinsic(Intrinsic::fabs, y), real(x, INFINITY));
  Value *unit = b.CreateAnd(b.CreateFCmpOEQ(magnitude, one), infinite);
  unit = b.CreateOr(unit, b.CreateFCmpOEQ(x, one));
  return b.CreateSelect(b.CreateOr(unit, b.CreateFCmpOEQ(y, zero)), one, result);
}

std::array<Value *, 4> VectorMath::philox(std::array<Value *, 4> counter, Value *key0,
                                          Value *key1) {
  Type *type = counter[0]->getType(), *wide = type->getWithNewType(b.getInt64Ty());
  auto multiply = [&](Value *x, uint32_t factor) {
    Value *product = b.CreateMul(b.CreateZExt(x, wide), ConstantInt::get(wide, factor));
    return std::pair(b.CreateTrunc(b.CreateLShr(product, ConstantInt::get(wide, 32)), type),
                     b.CreateTrunc(product, type));
  };
  for (int round = 0; round < 10; ++round) {
    auto [high0, low0] = multiply(counter[0], 0xD2511F53u);
    auto [high1, low1] = multiply(counter[2], 0xCD9E8D57u);
    counter = {b.CreateXor(b.CreateXor(high1, counter[1]), key0), low1,
               b.CreateXor(b.CreateXor(high0, counter[3]), key1), low0};
    key0 = b.CreateAdd(key0, ConstantInt::get(type, 0x9E3779B9u));
    key1 = b.CreateAdd(key1, ConstantInt::get(type, 0xBB67AE85u));
  }
  return counter;
}

Value *VectorMath::uniform(Value *word) {
  Type *type = word->getType();
  Value *number = b.CreateSIToFP(b.CreateLShr(word, ConstantInt::get(type, 8)),
                                 type->getWithNewType(b.getFloatTy()));
  return b.CreateFMul(number, ConstantFP::get(number->getType(), 0x1p-24));
}
