// The boxes that crops cut from an image, and where each output of a resampled axis reads. In f64
// and in the order of the reference, without fast-math flags.
#include "codegen/kernels/ViewEmitter.h"

#include "llvm/IR/Intrinsics.h"

#include <cmath>

using namespace doppel;
using namespace doppel::kernels;
using llvm::Value;

Value *ViewEmitter::filter(Value *t, bool cubic) {
  llvm::Type *type = t->getType();
  auto number = [&](double value) { return llvm::ConstantFP::get(type, value); };
  t = b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, t);
  if (!cubic)
    return greatest(number(0), b.CreateFSub(number(1), t));
  // Keys' cubic with a = -0.5: ((a + 2) t - (a + 3)) t^2 + 1 below 1, a (((t - 5) t + 8) t - 4)
  // below 2.
  Value *near = b.CreateFSub(b.CreateFMul(number(1.5), t), number(2.5));
  near = b.CreateFAdd(b.CreateFMul(b.CreateFMul(near, t), t), number(1));
  Value *far = b.CreateFAdd(b.CreateFMul(b.CreateFSub(t, number(5)), t), number(8));
  far = b.CreateFMul(b.CreateFSub(b.CreateFMul(far, t), number(4)), number(-0.5));
  Value *weight = b.CreateSelect(b.CreateFCmpOLT(t, number(2)), far, number(0));
  return b.CreateSelect(b.CreateFCmpOLT(t, number(1)), near, weight);
}

Value *ViewEmitter::weightAt(const Axis &axis, Value *phase, Value *tap, bool cubic) {
  Value *t = b.CreateFMul(b.CreateSIToFP(tap, b.getFloatTy()), axis.inverse);
  return filter(b.CreateFAdd(phase, like(phase, t)), cubic);
}

ViewEmitter::Axis ViewEmitter::makeAxis(Value *length, Value *outputs, Value *begin, bool cubic) {
  llvm::IRBuilder<>::FastMathFlagGuard guard(b);
  b.clearFastMathFlags();
  llvm::Type *f64 = b.getDoubleTy();
  Axis axis;
  axis.length = length;
  axis.scale = b.CreateFDiv(b.CreateSIToFP(length, f64), b.CreateSIToFP(outputs, f64));
  Value *widening = greatest(axis.scale, precise(1));
  axis.radius = b.CreateFMul(widening, precise(cubic ? 2 : 1));
  axis.wideInverse = b.CreateFDiv(precise(1), widening);
  axis.inverse = b.CreateFPTrunc(axis.wideInverse, b.getFloatTy());
  Value *reach =
      b.CreateUnaryIntrinsic(llvm::Intrinsic::ceil, b.CreateFMul(axis.radius, precise(2)));
  axis.taps = b.CreateAdd(b.CreateFPToSI(reach, b.getInt64Ty()), integer(1));
  axis.begin = begin;
  return axis;
}

/// Output number `output` of the view, i32.
ViewEmitter::Source ViewEmitter::sourceOf(const Axis &axis, Value *output) {
  llvm::IRBuilder<>::FastMathFlagGuard guard(b);
  b.clearFastMathFlags();
  llvm::Type *i32 = output->getType(), *f64 = i32->getWithNewType(b.getDoubleTy());
  output = b.CreateAdd(output, like(output, b.CreateTrunc(axis.begin, b.getInt32Ty())));
  auto number = [&](double value) { return llvm::ConstantFP::get(f64, value); };
  Value *centre = b.CreateFMul(b.CreateFAdd(b.CreateSIToFP(output, f64), number(0.5)),
                               like(output, axis.scale));
  Value *lowest = b.CreateFSub(b.CreateFSub(centre, number(0.5)), like(output, axis.radius));
  lowest = greatest(b.CreateUnaryIntrinsic(llvm::Intrinsic::ceil, lowest), number(0));
  Value *phase = b.CreateFMul(b.CreateFSub(b.CreateFAdd(lowest, number(0.5)), centre),
                              like(output, axis.wideInverse));
  return {b.CreateFPToSI(lowest, i32), b.CreateFPTrunc(phase, i32->getWithNewType(b.getFloatTy()))};
}

/// The first of ten boxes that lies in the image, else the middle as large as the ratios allow. In
/// f64 and in the order of the reference, so that every target cuts the same box.
ViewEmitter::Box ViewEmitter::randomBox(nn::StageAttr stage) {
  llvm::IRBuilder<>::FastMathFlagGuard guard(b);
  b.clearFastMathFlags();
  llvm::Type *f64 = b.getDoubleTy();
  auto scale = stage.getNumbers("scale"), ratios = stage.getNumbers("ratio");
  double low = std::log(ratios[0]), high = std::log(ratios[1]);
  auto rounded = [&](Value *extent) {
    Value *whole = math.nearest(extent);
    return b.CreateSelect(b.CreateICmpSLT(whole, integer(1)), integer(1), whole);
  };
  auto fits = [&](Value *part, Value *whole) { return b.CreateICmpSLE(part, whole); };
  auto real = [&](Value *whole) { return b.CreateSIToFP(whole, f64); };

  llvm::Function *function = b.GetInsertBlock()->getParent();
  auto block = [&](const char *name) {
    return llvm::BasicBlock::Create(b.getContext(), name, function);
  };
  llvm::BasicBlock *before = b.GetInsertBlock(), *attempt = block("box"), *again = block("again"),
                   *middle = block("middle"), *chosen = block("chosen");
  b.CreateBr(attempt);
  b.SetInsertPoint(attempt);
  llvm::PHINode *number = b.CreatePHI(b.getInt32Ty(), 2);
  number->addIncoming(b.getInt32(0), before);
  Value *isFirst = b.CreateICmpEQ(number, b.getInt32(0));
  Draws drawn = draws(b.CreateSelect(isFirst, b.getInt32(0), b.CreateAdd(number, b.getInt32(128))));
  std::array<Value *, 4> u;
  for (unsigned i = 0; i < 4; ++i)
    u[i] = b.CreateFPExt(drawn[i], f64);
  Value *area = b.CreateFAdd(precise(scale[0]), b.CreateFMul(u[0], precise(scale[1] - scale[0])));
  area = b.CreateFMul(b.CreateFMul(area, real(height)), real(width));
  Value *ratio = math.exp(b.CreateFAdd(precise(low), b.CreateFMul(u[1], precise(high - low))));
  auto root = [&](Value *x) { return b.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, x); };
  Box box;
  box.width = rounded(root(b.CreateFMul(area, ratio)));
  box.height = rounded(root(b.CreateFDiv(area, ratio)));
  auto place = [&](Value *draw, Value *whole, Value *part) {
    Value *places = b.CreateAdd(b.CreateSub(whole, part), integer(1));
    return b.CreateFPToSI(b.CreateFMul(draw, real(places)), b.getInt64Ty());
  };
  box.top = place(u[2], height, box.height);
  box.left = place(u[3], width, box.width);
  b.CreateCondBr(b.CreateAnd(fits(box.width, width), fits(box.height, height)), chosen, again);

  b.SetInsertPoint(again);
  Value *next = b.CreateAdd(number, b.getInt32(1));
  number->addIncoming(next, again);
  b.CreateCondBr(b.CreateICmpULT(next, b.getInt32(10)), attempt, middle);

  b.SetInsertPoint(middle);
  auto smaller = [&](Value *x, Value *y) { return b.CreateSelect(fits(x, y), x, y); };
  Box most;
  most.width = smaller(width, rounded(b.CreateFMul(real(height), precise(ratios[1]))));
  most.height = smaller(height, rounded(b.CreateFDiv(real(width), precise(ratios[0]))));
  most.top = b.CreateSDiv(b.CreateSub(height, most.height), integer(2));
  most.left = b.CreateSDiv(b.CreateSub(width, most.width), integer(2));
  b.CreateBr(chosen);

  b.SetInsertPoint(chosen);
  auto either = [&](Value *drawnBox, Value *middleBox) {
    llvm::PHINode *phi = b.CreatePHI(b.getInt64Ty(), 2);
    phi->addIncoming(drawnBox, attempt);
    phi->addIncoming(middleBox, middle);
    return phi;
  };
  return {either(box.top, most.top), either(box.left, most.left), either(box.height, most.height),
          either(box.width, most.width)};
}

void ViewEmitter::emitRandomResizedCrop(nn::StageAttr stage, Value *mirror) {
  Box box = randomBox(stage);
  bool cubic = stage.getString("interpolation") == "bicubic";
  Axis rows = makeAxis(box.height, integer(size), integer(0), cubic);
  Axis columns = makeAxis(box.width, integer(size), integer(0), cubic);
  crop(box, rows, columns, mirror, cubic);
  if (cubic)
    mapPixels([&](Pixel p) { return Pixel{clampToUnit(p.r), clampToUnit(p.g), clampToUnit(p.b)}; });
}

void ViewEmitter::emitCenterCrop(nn::StageAttr stage, Value *mirror) {
  Value *resize = integer(stage.getInteger("resize"));
  Value *shorter = b.CreateSelect(b.CreateICmpSLT(height, width), height, width);
  auto axis = [&](Value *length) {
    Value *outputs = b.CreateSDiv(b.CreateMul(resize, length), shorter);
    // Half of what is cut off, a half rounded to even.
    Value *cut = b.CreateSub(outputs, integer(size)), *half = b.CreateAShr(cut, 1);
    Value *begin = b.CreateAdd(half, b.CreateAnd(b.CreateAnd(cut, half), integer(1)));
    return makeAxis(length, outputs, begin, /*cubic=*/false);
  };
  Axis rows = axis(height), columns = axis(width);
  crop({integer(0), integer(0), height, width}, rows, columns, mirror, /*cubic=*/false);
}
