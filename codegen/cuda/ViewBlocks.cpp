#include "codegen/cuda/ViewBlocks.h"

#include "runtime/schema/Abi.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/Support/MathExtras.h"

using namespace doppel;
using namespace doppel::cuda;
using llvm::BasicBlock;
using llvm::Value;

mlir::FailureOr<uint64_t> cuda::emitViews(plan::KernelOp kernel, const plan::Machine &machine,
                                          llvm::IRBuilder<> &b,
                                          const kernels::KernelBuffers &buffers, Value *scratch) {
  mlir::Block &body = kernel.getBody().front();
  llvm::Function *function = b.GetInsertBlock()->getParent();
  llvm::LLVMContext &context = b.getContext();
  Placeholders gpu(b);
  Value *block = b.CreateZExt(gpu.block(), b.getInt64Ty());
  auto offset = [&](Value *base, Value *number, int64_t bytes) {
    return b.CreateInBoundsGEP(b.getInt8Ty(), base,
                               b.CreateMul(number, b.getInt64(bytes), "", true, true));
  };
  Value *own = offset(scratch, block, kernel.getScratchBytes());
  for (auto [number, value] : llvm::enumerate(body.getTerminator()->getOperands())) {
    auto augment = value.getDefiningOp<nn::AugmentOp>();
    auto images = augment ? mlir::dyn_cast<mlir::BlockArgument>(augment.getImages()) : nullptr;
    if (!images)
      return kernel.emitError("yields a value that is not a view of the images");
    int64_t views = augment.getType().getShape()[0], size = augment.getType().getShape()[1];
    BasicBlock *before = b.GetInsertBlock();
    BasicBlock *header = BasicBlock::Create(context, "views", function);
    BasicBlock *inside = BasicBlock::Create(context, "view", function);
    BasicBlock *after = BasicBlock::Create(context, "viewed", function);
    b.CreateBr(header);
    b.SetInsertPoint(header);
    llvm::PHINode *sample = b.CreatePHI(b.getInt64Ty(), 2);
    sample->addIncoming(block, before);
    b.CreateCondBr(b.CreateICmpSLT(sample, b.getInt64(views)), inside, after);
    b.SetInsertPoint(inside);
    gpu.barrier(); // scratch memory is the last view's until all threads have made it
    unsigned input = images.getArgNumber();
    Value *image = offset(buffers.inputs[input], sample, sizeof(abi::ImageRef));
    ViewBlocks(b, augment, image, buffers.slabs[input], buffers.run, own, machine)
        .emit(offset(buffers.outputs[number], sample, size * size * 3 * int64_t(sizeof(float))));
    sample->addIncoming(b.CreateAdd(sample, b.getInt64(kernel.getGrid()), "", true, true),
                        b.GetInsertBlock());
    b.CreateBr(header);
    b.SetInsertPoint(after);
  }
  return uint64_t(machine.threads / machine.warpThreads) * sizeof(double);
}

ViewBlocks::ViewBlocks(llvm::IRBuilder<> &b, nn::AugmentOp augment, Value *image, Value *slab,
                       Value *run, Value *scratch, const plan::Machine &machine)
    : ViewEmitter(b, augment, image, slab, run, /*tableSpace=*/0), gpu(b), threads(machine.threads),
      planeSize(llvm::alignTo(size * size, 16)), rowSize(llvm::alignTo(size, 16)),
      thread(b.CreateZExt(gpu.thread(), b.getInt64Ty())) {
  // Within Machine::augmentScratchBytes.
  view = scratch;
  other = at(view, integer(3 * planeSize));
  tables = at(other, integer(3 * planeSize));
  weights = at(tables, integer(6 * rowSize));
}

void ViewBlocks::eachOf(int64_t count, llvm::function_ref<void(Value *)> body) {
  loop(thread, integer(count), threads, body);
}

std::pair<Value *, Value *> ViewBlocks::placeOf(Value *pixel) {
  Value *narrow = b.CreateTrunc(pixel, b.getInt32Ty()), *side = b.getInt32(uint32_t(size));
  return {b.CreateZExt(b.CreateURem(narrow, side), b.getInt64Ty()),
          b.CreateZExt(b.CreateUDiv(narrow, side), b.getInt64Ty())};
}

//===- Crops ----------------------------------------------------------------------------------===//

ViewBlocks::Tables ViewBlocks::makeTables(const Axis &axis, Value *mirror, unsigned number,
                                          bool cubic) {
  Tables made = {at(tables, integer(int64_t(3 * number) * rowSize)),
                 at(tables, integer(int64_t(3 * number + 1) * rowSize)),
                 at(tables, integer(int64_t(3 * number + 2) * rowSize))};
  llvm::IRBuilder<>::FastMathFlagGuard guard(b);
  b.clearFastMathFlags();
  eachOf(size, [&](Value *i) {
    Value *mirrored = b.CreateSub(integer(size - 1), i);
    Value *output = b.CreateTrunc(b.CreateSelect(mirror, mirrored, i), b.getInt32Ty());
    Source source = sourceOf(axis, output);
    Value *first = b.CreateSExt(source.first, b.getInt64Ty());
    Values sum{real(0)};
    loop(integer(0), axis.taps, 1, sum, [&](Value *tap, Values &sum) {
      Value *weight = weightAt(axis, source.phase, tap, cubic);
      Value *inside = b.CreateICmpSLT(b.CreateAdd(first, tap), axis.length);
      sum[0] = b.CreateFAdd(sum[0], b.CreateSelect(inside, weight, real(0)));
    });
    b.CreateStore(source.first, at(made.first, i));
    store(source.phase, made.phase, i);
    store(b.CreateFDiv(real(1), sum[0]), made.norm, i);
  });
  return made;
}

/// Each pixel reads the source pixels under its filter: neighbours share them in the cache. The
/// planes are written by their own threads alone.
void ViewBlocks::crop(const Box &box, const Axis &rowAxis, const Axis &columnAxis, Value *mirror,
                      bool cubic) {
  Tables rows = makeTables(rowAxis, b.getFalse(), 0, cubic);
  Tables columns = makeTables(columnAxis, mirror, 1, cubic);
  gpu.barrier();
  Value *rowBytes = b.CreateMul(width, integer(3));
  Value *corner = b.CreateAdd(b.CreateMul(box.top, rowBytes), b.CreateMul(box.left, integer(3)));
  eachPixel([&](Value *i) {
    auto [x, y] = placeOf(i);
    auto entry = [&](Value *table, Value *place) {
      return b.CreateSExt(b.CreateLoad(b.getInt32Ty(), at(table, place)), b.getInt64Ty());
    };
    Value *firstRow = entry(rows.first, y), *firstColumn = entry(columns.first, x);
    Value *rowPhase = load(rows.phase, y), *columnPhase = load(columns.phase, x);
    Value *rowNorm = load(rows.norm, y);
    Value *columnNorm = b.CreateFMul(load(columns.norm, x), real(1.0 / 255));
    auto least64 = [&](Value *p, Value *q) { return b.CreateSelect(b.CreateICmpSLT(p, q), p, q); };
    // Taps behind the last source pixel have no weight.
    Value *rowTaps = least64(rowAxis.taps, b.CreateSub(rowAxis.length, firstRow));
    Value *columnTaps = least64(columnAxis.taps, b.CreateSub(columnAxis.length, firstColumn));
    Values totals{real(0), real(0), real(0)};
    loop(integer(0), rowTaps, 1, totals, [&](Value *rowTap, Values &totals) {
      Value *line = b.CreateAdd(corner, b.CreateMul(b.CreateAdd(firstRow, rowTap), rowBytes));
      Values sums{real(0), real(0), real(0)};
      loop(integer(0), columnTaps, 1, sums, [&](Value *tap, Values &sums) {
        Value *weight = weightAt(columnAxis, columnPhase, tap, cubic);
        Value *place = b.CreateAdd(line, b.CreateMul(b.CreateAdd(firstColumn, tap), integer(3)));
        Value *source = b.CreateInBoundsGEP(b.getInt8Ty(), pixels, place);
        for (unsigned c = 0; c < 3; ++c) {
          Value *byte =
              b.CreateLoad(b.getInt8Ty(), b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), source, c));
          Value *value = b.CreateUIToFP(byte, b.getFloatTy());
          sums[c] = b.CreateFAdd(sums[c], b.CreateFMul(weight, value));
        }
      });
      Value *weight = b.CreateFMul(weightAt(rowAxis, rowPhase, rowTap, cubic), rowNorm);
      for (unsigned c = 0; c < 3; ++c)
        totals[c] =
            b.CreateFAdd(totals[c], b.CreateFMul(weight, b.CreateFMul(sums[c], columnNorm)));
    });
    for (unsigned c = 0; c < 3; ++c)
      store(totals[c], plane(view, c), i);
  });
}

/// Swaps the pixels of each pair.
void ViewBlocks::mirrorPixels() {
  gpu.barrier();
  int64_t half = size / 2;
  eachOf(size * half, [&](Value *i) {
    Value *narrow = b.CreateTrunc(i, b.getInt32Ty()), *side = b.getInt32(uint32_t(half));
    Value *x = b.CreateZExt(b.CreateURem(narrow, side), b.getInt64Ty());
    Value *y = b.CreateZExt(b.CreateUDiv(narrow, side), b.getInt64Ty());
    Value *start = b.CreateMul(y, integer(size));
    Value *left = b.CreateAdd(start, x);
    Value *right = b.CreateAdd(start, b.CreateSub(integer(size - 1), x));
    for (unsigned c = 0; c < 3; ++c) {
      Value *first = load(plane(view, c), left), *second = load(plane(view, c), right);
      store(second, plane(view, c), left);
      store(first, plane(view, c), right);
    }
  });
  gpu.barrier();
}

//===- Stages ---------------------------------------------------------------------------------===//

void ViewBlocks::mapPixels(llvm::function_ref<Pixel(Pixel)> change) {
  eachPixel([&](Value *i) {
    Pixel p = change({load(plane(view, 0), i), load(plane(view, 1), i), load(plane(view, 2), i)});
    store(p.r, plane(view, 0), i);
    store(p.g, plane(view, 1), i);
    store(p.b, plane(view, 2), i);
  });
}

Value *ViewBlocks::meanGrey() {
  llvm::Type *f64 = b.getDoubleTy();
  Values sum{precise(0)};
  loop(thread, integer(size * size), threads, sum, [&](Value *i, Values &sum) {
    Value *y = grey({load(plane(view, 0), i), load(plane(view, 1), i), load(plane(view, 2), i)});
    sum[0] = b.CreateFAdd(sum[0], b.CreateFPExt(y, f64));
  });
  Value *total = sum[0];
  for (unsigned mask = warpThreads / 2; mask > 0; mask /= 2)
    total = b.CreateFAdd(total, gpu.shuffleXor(total, mask));
  Value *memory = gpu.shared();
  auto slot = [&](Value *warp) { return b.CreateInBoundsGEP(f64, memory, warp); };
  Value *warp = b.CreateUDiv(thread, integer(warpThreads));
  ifThen(b.CreateICmpEQ(b.CreateURem(thread, integer(warpThreads)), integer(0)),
         [&] { b.CreateStore(total, slot(warp)); });
  gpu.barrier();
  total = precise(0);
  for (int64_t i = 0; i < threads / warpThreads; ++i)
    total = b.CreateFAdd(total, b.CreateLoad(f64, slot(integer(i))));
  gpu.barrier(); // before the next mean
  return b.CreateFPTrunc(b.CreateFMul(total, precise(1 / double(size * size))), b.getFloatTy());
}

void ViewBlocks::blur(int64_t taps, Value *exponent) {
  int64_t radius = taps / 2;
  gpu.barrier();
  eachOf(taps, [&](Value *i) {
    Value *d = b.CreateSIToFP(b.CreateSub(i, integer(radius)), b.getFloatTy());
    store(math.exp(b.CreateFMul(b.CreateFMul(d, d), exponent)), weights, i);
  });
  gpu.barrier();
  Values total{real(0)};
  loop(integer(0), integer(taps), 1, total,
       [&](Value *i, Values &total) { total[0] = b.CreateFAdd(total[0], load(weights, i)); });
  Value *norm = b.CreateFDiv(real(1), total[0]);
  // The place of a tap along a side of `size`, its edges reflected.
  auto reflected = [&](Value *place, Value *tap) {
    Value *source = b.CreateSub(b.CreateAdd(place, tap), integer(radius));
    source = b.CreateSelect(b.CreateICmpSLT(source, integer(0)), b.CreateNeg(source), source);
    Value *back = b.CreateSub(integer(2 * (size - 1)), source);
    return b.CreateSelect(b.CreateICmpSLT(source, integer(size)), source, back);
  };
  auto pass = [&](Value *from, Value *to, bool alongColumns) {
    eachPixel([&](Value *i) {
      auto [x, y] = placeOf(i);
      Values sums{real(0), real(0), real(0)};
      loop(integer(0), integer(taps), 1, sums, [&](Value *tap, Values &sums) {
        Value *row = alongColumns ? reflected(y, tap) : y;
        Value *column = alongColumns ? x : reflected(x, tap);
        Value *source = b.CreateAdd(b.CreateMul(row, integer(size)), column);
        Value *weight = b.CreateFMul(load(weights, tap), norm);
        for (unsigned c = 0; c < 3; ++c)
          sums[c] = b.CreateFAdd(sums[c], b.CreateFMul(weight, load(plane(from, c), source)));
      });
      for (unsigned c = 0; c < 3; ++c)
        store(sums[c], plane(to, c), i);
    });
  };
  pass(view, other, /*alongColumns=*/true);
  gpu.barrier();
  pass(other, view, /*alongColumns=*/false);
}

void ViewBlocks::rotate(Value *cosine, Value *sine) {
  llvm::Type *i32 = b.getInt32Ty();
  auto floored = [&](Value *x) { return b.CreateUnaryIntrinsic(llvm::Intrinsic::floor, x); };
  gpu.barrier();
  eachPixel([&](Value *i) {
    auto [x, y] = placeOf(i);
    auto fromMiddle = [&](Value *place) {
      return b.CreateFSub(b.CreateSIToFP(place, b.getFloatTy()), real(middle()));
    };
    auto [sourceX, sourceY] = turned(fromMiddle(x), fromMiddle(y), cosine, sine);
    sourceX = b.CreateFAdd(sourceX, real(middle())),
    sourceY = b.CreateFAdd(sourceY, real(middle()));
    Value *left = floored(sourceX), *top = floored(sourceY);
    Value *fractionX = b.CreateFSub(sourceX, left), *fractionY = b.CreateFSub(sourceY, top);
    Value *column = b.CreateFPToSI(left, i32), *line = b.CreateFPToSI(top, i32);
    Values sums{real(0), real(0), real(0)};
    for (uint32_t down : {0, 1})
      for (uint32_t right : {0, 1}) {
        Value *wx = right ? fractionX : b.CreateFSub(real(1), fractionX);
        Value *wy = down ? fractionY : b.CreateFSub(real(1), fractionY);
        Value *at = b.CreateAdd(column, b.getInt32(right)),
              *of = b.CreateAdd(line, b.getInt32(down));
        // Unsigned, so that below zero is outside as well.
        Value *limit = b.getInt32(uint32_t(size));
        Value *inside = b.CreateAnd(b.CreateICmpULT(at, limit), b.CreateICmpULT(of, limit));
        Value *place = b.CreateAdd(b.CreateMul(of, limit), at);
        place = b.CreateZExt(b.CreateSelect(inside, place, b.getInt32(0)), b.getInt64Ty());
        Value *weight = b.CreateSelect(inside, b.CreateFMul(wx, wy), real(0));
        for (unsigned c = 0; c < 3; ++c)
          sums[c] = b.CreateFAdd(sums[c], b.CreateFMul(weight, load(plane(view, c), place)));
      }
    for (unsigned c = 0; c < 3; ++c)
      store(sums[c], plane(other, c), i);
  });
  gpu.barrier(); // before a thread changes what another reads
  eachPixel([&](Value *i) {
    for (unsigned c = 0; c < 3; ++c)
      store(load(plane(other, c), i), plane(view, c), i);
  });
}

void ViewBlocks::storePixels(Value *out, nn::StageAttr normalize) {
  eachPixel([&](Value *i) {
    Value *first = b.CreateMul(i, integer(3), "", true, true);
    for (unsigned c = 0; c < 3; ++c) {
      Value *value = load(plane(view, c), i);
      store(normalize ? normalized(value, normalize, c) : value, out,
            b.CreateAdd(first, integer(c)));
    }
  });
}
