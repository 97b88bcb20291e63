// The crops of a view: a box of the image resampled to the view's size, the columns of one source
// row at a time. A source row is read once and added to every output row whose filter it lies
// under, so scratch memory does not grow with the image.
#include "codegen/cpu/ViewEmitter.h"

#include "llvm/IR/Intrinsics.h"

#include <cmath>

using namespace doppel;
using namespace doppel::cpu;
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

ViewEmitter::Axis ViewEmitter::makeAxis(Value *length, Value *outputs, Value *begin, Value *mirror,
                                        unsigned table, bool cubic) {
  llvm::IRBuilder<>::FastMathFlagGuard guard(b);
  b.clearFastMathFlags();
  llvm::Type *f64 = b.getDoubleTy();
  auto *wide = llvm::FixedVectorType::get(f64, lanes);
  auto wides = [&](double value) { return llvm::ConstantFP::get(wide, value); };
  Axis axis;
  axis.length = length;
  axis.scale = b.CreateFDiv(b.CreateSIToFP(length, f64), b.CreateSIToFP(outputs, f64));
  Value *widening = greatest(axis.scale, precise(1));
  axis.radius = b.CreateFMul(widening, precise(cubic ? 2 : 1));
  Value *inverse = b.CreateFDiv(precise(1), widening);
  axis.inverse = b.CreateFPTrunc(inverse, b.getFloatTy());
  Value *reach =
      b.CreateUnaryIntrinsic(llvm::Intrinsic::ceil, b.CreateFMul(axis.radius, precise(2)));
  axis.taps = b.CreateAdd(b.CreateFPToSI(reach, b.getInt64Ty()), integer(1));
  axis.begin = begin;
  axis.first = at(tables, integer(int64_t(3 * table) * rowSize));
  axis.phase = at(tables, integer(int64_t(3 * table + 1) * rowSize));
  axis.norm = at(tables, integer(int64_t(3 * table + 2) * rowSize));

  loop(integer(0), integer(size), lanes, [&](Value *i) {
    Value *output = laneIndices(i);
    Value *mirrored = b.CreateSub(splat(b.getInt32(uint32_t(size - 1))), output);
    output = b.CreateSelect(mirror, mirrored, output);
    output = b.CreateAdd(output, splat(b.CreateTrunc(begin, b.getInt32Ty())));
    Value *centre =
        b.CreateFMul(b.CreateFAdd(b.CreateSIToFP(output, wide), wides(0.5)), splat(axis.scale));
    Value *lowest = b.CreateFSub(b.CreateFSub(centre, wides(0.5)), splat(axis.radius));
    lowest = greatest(b.CreateUnaryIntrinsic(llvm::Intrinsic::ceil, lowest), wides(0));
    Value *first = b.CreateFPToSI(lowest, integers_);
    Value *phase =
        b.CreateFMul(b.CreateFSub(b.CreateFAdd(lowest, wides(0.5)), centre), splat(inverse));
    phase = b.CreateFPTrunc(phase, reals_);
    Values sum{reals(0)};
    Value *last = splat(b.CreateTrunc(b.CreateSub(length, integer(1)), b.getInt32Ty()));
    loop(integer(0), axis.taps, 1, sum, [&](Value *tap, Values &sum) {
      Value *t = b.CreateFMul(b.CreateSIToFP(tap, b.getFloatTy()), axis.inverse);
      Value *weight = filter(b.CreateFAdd(phase, splat(t)), cubic);
      Value *inside =
          b.CreateICmpSLE(b.CreateAdd(first, splat(b.CreateTrunc(tap, b.getInt32Ty()))), last);
      sum[0] = b.CreateFAdd(sum[0], b.CreateSelect(inside, weight, reals(0)));
    });
    b.CreateAlignedStore(first, at(axis.first, i), llvm::Align(4));
    store(phase, axis.phase, i, nullptr);
    store(b.CreateFDiv(reals(1), sum[0]), axis.norm, i, nullptr);
  });
  return axis;
}

/// The first of ten boxes that lies in the image, else the middle as large as the ratios allow. In
/// f64 and in the order of the reference, so that every target cuts the same box.
ViewEmitter::Box ViewEmitter::emitRandomBox(nn::StageAttr stage) {
  llvm::IRBuilder<>::FastMathFlagGuard guard(b);
  b.clearFastMathFlags();
  llvm::Type *f64 = b.getDoubleTy();
  auto scale = stage.getNumbers("scale"), ratios = stage.getNumbers("ratio");
  double low = std::log(ratios[0]), high = std::log(ratios[1]);
  auto rounded = [&](Value *extent) {
    Value *whole = b.CreateIntrinsic(b.getInt64Ty(), llvm::Intrinsic::lrint, {extent});
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
  Box box = emitRandomBox(stage);
  bool cubic = stage.getString("interpolation") == "bicubic";
  Axis rows = makeAxis(box.height, integer(size), integer(0), b.getFalse(), 0, cubic);
  Axis columns = makeAxis(box.width, integer(size), integer(0), mirror, 1, cubic);
  resample(box, rows, columns, cubic);
  if (cubic)
    mapPixels([&](Pixel p) { return Pixel{clampToUnit(p.r), clampToUnit(p.g), clampToUnit(p.b)}; });
}

void ViewEmitter::emitCenterCrop(nn::StageAttr stage, Value *mirror) {
  Value *resize = integer(stage.getInteger("resize"));
  Value *shorter = b.CreateSelect(b.CreateICmpSLT(height, width), height, width);
  auto axis = [&](Value *length, Value *mirror, unsigned table) {
    Value *outputs = b.CreateSDiv(b.CreateMul(resize, length), shorter);
    // Half of what is cut off, a half rounded to even.
    Value *cut = b.CreateSub(outputs, integer(size)), *half = b.CreateAShr(cut, 1);
    Value *begin = b.CreateAdd(half, b.CreateAnd(b.CreateAnd(cut, half), integer(1)));
    return makeAxis(length, outputs, begin, mirror, table, /*cubic=*/false);
  };
  Axis rows = axis(height, b.getFalse(), 0), columns = axis(width, mirror, 1);
  resample({integer(0), integer(0), height, width}, rows, columns, /*cubic=*/false);
}

void ViewEmitter::emitSourceRow(Value *source, const Axis &columns, bool cubic) {
  Value *last = splat(b.CreateTrunc(b.CreateSub(columns.length, integer(1)), b.getInt32Ty()));
  loop(integer(0), integer(size), lanes, [&](Value *i) {
    Value *first = b.CreateAlignedLoad(integers_, at(columns.first, i), llvm::Align(4));
    Value *phase = load(columns.phase, i);
    Values sums{reals(0), reals(0), reals(0)};
    loop(integer(0), columns.taps, 1, sums, [&](Value *tap, Values &sums) {
      Value *t = b.CreateFMul(b.CreateSIToFP(tap, b.getFloatTy()), columns.inverse);
      Value *weight = filter(b.CreateFAdd(phase, splat(t)), cubic);
      Value *place = b.CreateAdd(first, splat(b.CreateTrunc(tap, b.getInt32Ty())));
      Value *inside = b.CreateICmpSLE(place, last);
      weight = b.CreateSelect(inside, weight, reals(0));
      place = b.CreateSelect(inside, place, last);
      // Four bytes hold the three channels; abi::ImageRef promises the byte after the last pixel.
      Value *bytes = b.CreateMul(place, splat(b.getInt32(3)), "", true, true);
      Value *words = b.CreateMaskedGather(integers_, b.CreateGEP(b.getInt8Ty(), source, bytes),
                                          llvm::Align(1));
      for (unsigned c = 0; c < 3; ++c) {
        Value *byte =
            b.CreateAnd(b.CreateLShr(words, splat(b.getInt32(8 * c))), splat(b.getInt32(255)));
        sums[c] = b.CreateFAdd(sums[c], b.CreateFMul(weight, b.CreateSIToFP(byte, reals_)));
      }
    });
    Value *norm = b.CreateFMul(load(columns.norm, i), reals(1.0 / 255));
    for (unsigned c = 0; c < 3; ++c)
      store(b.CreateFMul(sums[c], norm), row, b.CreateAdd(i, integer(c * rowSize)), nullptr);
  });
}

void ViewEmitter::resample(const Box &box, Axis rows, Axis columns, bool cubic) {
  llvm::Type *f64 = b.getDoubleTy(), *i64 = b.getInt64Ty();
  loop(integer(0), integer(3 * planeSize), lanes,
       [&](Value *i) { store(reals(0), view, i, nullptr); });
  auto clamped = [&](Value *x, Value *low, Value *high) {
    x = b.CreateSelect(b.CreateICmpSLT(x, low), low, x);
    return b.CreateSelect(b.CreateICmpSGT(x, high), high, x);
  };
  auto floored = [&](Value *x) {
    return b.CreateFPToSI(b.CreateUnaryIntrinsic(llvm::Intrinsic::floor, x), i64);
  };
  // Source rows under any output row, and the output rows that one lies under; a row too many has
  // weight zero.
  Value *begin = b.CreateSIToFP(rows.begin, f64);
  Value *low = b.CreateFSub(b.CreateFMul(begin, rows.scale), rows.radius);
  Value *high = b.CreateFAdd(b.CreateFMul(b.CreateFAdd(begin, precise(double(size))), rows.scale),
                             rows.radius);
  Value *firstRow = clamped(floored(low), integer(0), rows.length);
  Value *endRow = clamped(b.CreateAdd(floored(high), integer(1)), integer(0), rows.length);
  Value *rowBytes = b.CreateMul(width, integer(3));
  Value *corner = b.CreateAdd(b.CreateMul(box.top, rowBytes), b.CreateMul(box.left, integer(3)));
  loop(firstRow, endRow, 1, [&](Value *i) {
    Value *offset = b.CreateAdd(corner, b.CreateMul(i, rowBytes));
    emitSourceRow(b.CreateGEP(b.getInt8Ty(), pixels, offset), columns, cubic);
    Value *place = b.CreateFAdd(b.CreateSIToFP(i, f64), precise(0.5));
    auto output = [&](Value *source) {
      return b.CreateFSub(b.CreateFDiv(source, rows.scale), begin);
    };
    Value *firstOutput =
        clamped(floored(output(b.CreateFSub(place, rows.radius))), integer(0), integer(size));
    Value *endOutput =
        clamped(b.CreateAdd(floored(output(b.CreateFAdd(place, rows.radius))), integer(1)),
                integer(0), integer(size));
    loop(firstOutput, endOutput, 1, [&](Value *y) {
      Value *first = b.CreateLoad(b.getInt32Ty(), at(rows.first, y));
      Value *tap = b.CreateSub(b.CreateTrunc(i, b.getInt32Ty()), first);
      Value *t = b.CreateFMul(b.CreateSIToFP(tap, b.getFloatTy()), rows.inverse);
      Value *weight =
          filter(b.CreateFAdd(b.CreateLoad(b.getFloatTy(), at(rows.phase, y)), t), cubic);
      weight = splat(b.CreateFMul(weight, b.CreateLoad(b.getFloatTy(), at(rows.norm, y))));
      Value *start = b.CreateMul(y, integer(size), "", true, true);
      loop(integer(0), integer(size), lanes, [&](Value *x) {
        Value *mask = maskOf(x, size), *at = b.CreateAdd(start, x, "", true, true);
        for (unsigned c = 0; c < 3; ++c) {
          Value *term = b.CreateFMul(weight, load(row, b.CreateAdd(x, integer(c * rowSize))));
          store(b.CreateFAdd(load(plane(view, c), at), term), plane(view, c), at, mask);
        }
      });
    });
  });
}

void ViewEmitter::mirrorInPlace() {
  loop(integer(0), integer(3), 1, [&](Value *c) {
    Value *base = at(view, b.CreateMul(c, integer(planeSize)));
    loop(integer(0), integer(size), 1, [&](Value *y) {
      Value *line = at(base, b.CreateMul(y, integer(size)));
      loop(integer(0), integer(size), lanes,
           [&](Value *x) { store(load(line, x), row, x, nullptr); });
      loop(integer(0), integer(size), lanes, [&](Value *x) {
        Value *source = b.CreateSub(splat(b.getInt32(uint32_t(size - 1))), laneIndices(x));
        Value *mask = maskOf(x, size);
        Value *mirrored = b.CreateMaskedGather(reals_, at(row, source), llvm::Align(4), mask);
        store(mirrored, line, x, mask);
      });
    });
  });
}
