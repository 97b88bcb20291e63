// The crops of a view: a box of the image resampled to the view's size, the columns of one source
// row at a time. A source row is read once and added to every output row whose filter it lies
// under, so scratch memory does not grow with the image.
#include "codegen/cpu/ViewPlanes.h"

#include "llvm/IR/Intrinsics.h"

using namespace doppel;
using namespace doppel::cpu;
using llvm::Value;

ViewPlanes::TableAxis ViewPlanes::tableOf(const Axis &shared, Value *mirror, unsigned table,
                                          bool cubic) {
  llvm::IRBuilder<>::FastMathFlagGuard guard(b);
  b.clearFastMathFlags();
  TableAxis axis{shared};
  axis.first = at(tables, integer(int64_t(3 * table) * rowSize));
  axis.phase = at(tables, integer(int64_t(3 * table + 1) * rowSize));
  axis.norm = at(tables, integer(int64_t(3 * table + 2) * rowSize));
  loop(integer(0), integer(size), lanes, [&](Value *i) {
    Value *output = laneIndices(i);
    Value *mirrored = b.CreateSub(splat(b.getInt32(uint32_t(size - 1))), output);
    Source source = sourceOf(axis, b.CreateSelect(mirror, mirrored, output));
    Values sum{reals(0)};
    Value *last = splat(b.CreateTrunc(b.CreateSub(axis.length, integer(1)), b.getInt32Ty()));
    loop(integer(0), axis.taps, 1, sum, [&](Value *tap, Values &sum) {
      Value *weight = weightAt(axis, source.phase, tap, cubic);
      Value *place = b.CreateAdd(source.first, splat(b.CreateTrunc(tap, b.getInt32Ty())));
      Value *inside = b.CreateICmpSLE(place, last);
      sum[0] = b.CreateFAdd(sum[0], b.CreateSelect(inside, weight, reals(0)));
    });
    b.CreateAlignedStore(source.first, at(axis.first, i), llvm::Align(4));
    store(source.phase, axis.phase, i, nullptr);
    store(b.CreateFDiv(reals(1), sum[0]), axis.norm, i, nullptr);
  });
  return axis;
}

void ViewPlanes::emitSourceRow(Value *source, const TableAxis &columns, bool cubic) {
  Value *last = splat(b.CreateTrunc(b.CreateSub(columns.length, integer(1)), b.getInt32Ty()));
  loop(integer(0), integer(size), lanes, [&](Value *i) {
    Value *first = b.CreateAlignedLoad(integers_, at(columns.first, i), llvm::Align(4));
    Value *phase = load(columns.phase, i);
    Values sums{reals(0), reals(0), reals(0)};
    loop(integer(0), columns.taps, 1, sums, [&](Value *tap, Values &sums) {
      Value *weight = weightAt(columns, phase, tap, cubic);
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

void ViewPlanes::crop(const Box &box, const Axis &rowAxis, const Axis &columnAxis, Value *mirror,
                      bool cubic) {
  TableAxis rows = tableOf(rowAxis, b.getFalse(), 0, cubic);
  TableAxis columns = tableOf(columnAxis, mirror, 1, cubic);
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
      Value *phase = b.CreateLoad(b.getFloatTy(), at(rows.phase, y));
      Value *weight = weightAt(rows, phase, tap, cubic);
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

void ViewPlanes::mirrorPixels() {
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
