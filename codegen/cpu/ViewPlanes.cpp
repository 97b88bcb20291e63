// The stages of a view on its planes: all pixels, the mean of their grey, blur, rotation, the
// store.
#include "codegen/cpu/ViewPlanes.h"

#include "llvm/IR/Intrinsics.h"

using namespace doppel;
using namespace doppel::cpu;
using llvm::Value;

ViewPlanes::ViewPlanes(llvm::IRBuilder<> &b, nn::AugmentOp augment, Value *image, Value *slab,
                       Value *run, Value *scratch, unsigned lanes)
    : ViewEmitter(b, augment, image, slab, run, /*tableSpace=*/0), lanes(lanes),
      rowSize(llvm::alignTo(size, 16)), planeSize(llvm::alignTo(size * size, 16)),
      reals_(llvm::FixedVectorType::get(b.getFloatTy(), lanes)),
      integers_(llvm::FixedVectorType::get(b.getInt32Ty(), lanes)) {
  // The layout that plan::augmentScratchBytes makes room for.
  view = scratch;
  other = at(view, integer(3 * planeSize));
  row = at(other, integer(3 * planeSize));
  tables = at(row, integer(3 * rowSize));
  padded = at(tables, integer(6 * rowSize));
}

Value *ViewPlanes::laneIndices(Value *start) {
  llvm::SmallVector<uint32_t> numbers;
  for (unsigned lane = 0; lane < lanes; ++lane)
    numbers.push_back(lane);
  return b.CreateAdd(splat(b.CreateTrunc(start, b.getInt32Ty())),
                     llvm::ConstantDataVector::get(b.getContext(), numbers));
}

Value *ViewPlanes::maskOf(Value *start, int64_t size) {
  if (size % lanes == 0)
    return nullptr;
  return b.CreateICmpSLT(laneIndices(start), splat(b.getInt32(uint32_t(size))));
}

Value *ViewPlanes::load(Value *base, Value *index) {
  return b.CreateAlignedLoad(reals_, at(base, index), llvm::Align(4));
}

void ViewPlanes::store(Value *value, Value *base, Value *index, Value *mask) {
  if (mask)
    b.CreateMaskedStore(value, at(base, index), llvm::Align(4), mask);
  else
    b.CreateAlignedStore(value, at(base, index), llvm::Align(4));
}

void ViewPlanes::mapPixels(llvm::function_ref<Pixel(Pixel)> change) {
  loop(integer(0), integer(planeSize), lanes, [&](Value *i) {
    Pixel p = change({load(plane(view, 0), i), load(plane(view, 1), i), load(plane(view, 2), i)});
    store(p.r, plane(view, 0), i, nullptr);
    store(p.g, plane(view, 1), i, nullptr);
    store(p.b, plane(view, 2), i, nullptr);
  });
}

Value *ViewPlanes::meanGrey() {
  Values sum{reals(0)};
  loop(integer(0), integer(size * size), lanes, sum, [&](Value *i, Values &sum) {
    Value *y = grey({load(plane(view, 0), i), load(plane(view, 1), i), load(plane(view, 2), i)});
    if (Value *mask = maskOf(i, size * size))
      y = b.CreateSelect(mask, y, reals(0));
    sum[0] = b.CreateFAdd(sum[0], y);
  });
  // Lane by lane in order: the same sum for every width of vector that divides the other.
  Value *total = real(0);
  for (unsigned lane = 0; lane < lanes; ++lane)
    total = b.CreateFAdd(total, b.CreateExtractElement(sum[0], lane));
  return b.CreateFMul(total, real(1 / double(size * size)));
}

void ViewPlanes::blur(int64_t taps, Value *exponent) {
  int64_t radius = taps / 2;
  Value *weights = at(padded, integer(rowSize + 2 * radius + 16));
  Values total{real(0)};
  loop(integer(0), integer(taps), 1, total, [&](Value *i, Values &total) {
    Value *d = b.CreateSIToFP(b.CreateSub(i, integer(radius)), b.getFloatTy());
    Value *weight = math.exp(b.CreateFMul(b.CreateFMul(d, d), exponent));
    b.CreateStore(weight, at(weights, i));
    total[0] = b.CreateFAdd(total[0], weight);
  });
  Value *norm = b.CreateFDiv(real(1), total[0]);
  auto weight = [&](Value *i) {
    return splat(b.CreateFMul(b.CreateLoad(b.getFloatTy(), at(weights, i)), norm));
  };

  // Columns: view -> other.
  loop(integer(0), integer(size), 1, [&](Value *y) {
    Value *start = b.CreateMul(y, integer(size));
    loop(integer(0), integer(size), lanes, [&](Value *x) {
      Values sums{reals(0), reals(0), reals(0)};
      loop(integer(0), integer(taps), 1, sums, [&](Value *i, Values &sums) {
        Value *source = b.CreateSub(b.CreateAdd(y, i), integer(radius));
        source = b.CreateSelect(b.CreateICmpSLT(source, integer(0)), b.CreateNeg(source), source);
        Value *reflected = b.CreateSub(integer(2 * (size - 1)), source);
        source = b.CreateSelect(b.CreateICmpSLT(source, integer(size)), source, reflected);
        Value *at = b.CreateAdd(b.CreateMul(source, integer(size)), x), *w = weight(i);
        for (unsigned c = 0; c < 3; ++c)
          sums[c] = b.CreateFAdd(sums[c], b.CreateFMul(w, load(plane(view, c), at)));
      });
      for (unsigned c = 0; c < 3; ++c)
        store(sums[c], plane(other, c), b.CreateAdd(start, x), maskOf(x, size));
    });
  });

  // Rows: other -> view, by way of a row with its edges reflected.
  loop(integer(0), integer(3), 1, [&](Value *c) {
    Value *from = at(other, b.CreateMul(c, integer(planeSize)));
    Value *to = at(view, b.CreateMul(c, integer(planeSize)));
    loop(integer(0), integer(size), 1, [&](Value *y) {
      Value *source = at(from, b.CreateMul(y, integer(size)));
      Value *target = at(to, b.CreateMul(y, integer(size)));
      auto copy = [&](Value *fromIndex, Value *toIndex) {
        b.CreateStore(b.CreateLoad(b.getFloatTy(), at(source, fromIndex)), at(padded, toIndex));
      };
      loop(integer(0), integer(size), lanes, [&](Value *x) {
        store(load(source, x), padded, b.CreateAdd(x, integer(radius)), maskOf(x, size));
      });
      loop(integer(1), integer(radius + 1), 1, [&](Value *e) {
        copy(e, b.CreateSub(integer(radius), e));
        copy(b.CreateSub(integer(size - 1), e), b.CreateAdd(integer(radius + size - 1), e));
      });
      loop(integer(0), integer(size), lanes, [&](Value *x) {
        Values sum{reals(0)};
        loop(integer(0), integer(taps), 1, sum, [&](Value *i, Values &sum) {
          sum[0] = b.CreateFAdd(sum[0], b.CreateFMul(weight(i), load(padded, b.CreateAdd(x, i))));
        });
        store(sum[0], target, x, maskOf(x, size));
      });
    });
  });
}

void ViewPlanes::rotate(Value *cosine, Value *sine) {
  auto floored = [&](Value *x) { return b.CreateUnaryIntrinsic(llvm::Intrinsic::floor, x); };
  loop(integer(0), integer(size), 1, [&](Value *y) {
    Value *dy = splat(b.CreateFSub(b.CreateSIToFP(y, b.getFloatTy()), real(middle())));
    loop(integer(0), integer(size), lanes, [&](Value *x) {
      Value *dx = b.CreateFSub(b.CreateSIToFP(laneIndices(x), reals_), reals(middle()));
      auto [sourceX, sourceY] = turned(dx, dy, cosine, sine);
      sourceX = b.CreateFAdd(sourceX, reals(middle())),
      sourceY = b.CreateFAdd(sourceY, reals(middle()));
      Value *left = floored(sourceX), *top = floored(sourceY);
      Value *fractionX = b.CreateFSub(sourceX, left), *fractionY = b.CreateFSub(sourceY, top);
      Value *column = b.CreateFPToSI(left, integers_), *line = b.CreateFPToSI(top, integers_);
      Values sums{reals(0), reals(0), reals(0)};
      for (uint32_t j : {0, 1})
        for (uint32_t i : {0, 1}) {
          Value *wx = i ? fractionX : b.CreateFSub(reals(1), fractionX);
          Value *wy = j ? fractionY : b.CreateFSub(reals(1), fractionY);
          Value *at = b.CreateAdd(column, splat(b.getInt32(i))),
                *of = b.CreateAdd(line, splat(b.getInt32(j)));
          // Unsigned, so that below zero is outside as well.
          Value *limit = splat(b.getInt32(uint32_t(size)));
          Value *inside = b.CreateAnd(b.CreateICmpULT(at, limit), b.CreateICmpULT(of, limit));
          Value *place = b.CreateAdd(b.CreateMul(of, limit), at), *w = b.CreateFMul(wx, wy);
          for (unsigned c = 0; c < 3; ++c) {
            Value *pointers = this->at(plane(view, c), place);
            Value *found = b.CreateMaskedGather(reals_, pointers, llvm::Align(4), inside, reals(0));
            sums[c] = b.CreateFAdd(sums[c], b.CreateFMul(w, found));
          }
        }
      Value *start = b.CreateAdd(b.CreateMul(y, integer(size)), x);
      for (unsigned c = 0; c < 3; ++c)
        store(sums[c], plane(other, c), start, maskOf(x, size));
    });
  });
  loop(integer(0), integer(size * size), lanes, [&](Value *i) {
    for (unsigned c = 0; c < 3; ++c)
      store(load(plane(other, c), i), plane(view, c), i, nullptr);
  });
}

void ViewPlanes::storePixels(Value *out, nn::StageAttr normalize) {
  // The three planes' vectors a, b, c become a0 b0 c0 a1 b1 c1 ...
  llvm::SmallVector<int> pairs, triples, rest;
  for (int i = 0; i < int(lanes) * 2; ++i)
    pairs.push_back(i);
  for (int i = 0; i < int(lanes) * 2; ++i)
    rest.push_back(i < int(lanes) ? i : -1);
  for (int i = 0; i < int(lanes); ++i)
    triples.append({i, i + int(lanes), i + 2 * int(lanes)});
  int64_t total = size * size;
  loop(integer(0), integer(total), lanes, [&](Value *i) {
    std::array<Value *, 3> channels;
    for (unsigned c = 0; c < 3; ++c) {
      channels[c] = load(plane(view, c), i);
      if (normalize)
        channels[c] = normalized(channels[c], normalize, c);
    }
    Value *two = b.CreateShuffleVector(channels[0], channels[1], pairs);
    Value *one = b.CreateShuffleVector(channels[2], channels[2], rest);
    Value *interleaved = b.CreateShuffleVector(two, one, triples);
    Value *address = at(out, b.CreateMul(i, integer(3), "", true, true));
    if (total % lanes == 0) {
      b.CreateAlignedStore(interleaved, address, llvm::Align(4));
      return;
    }
    llvm::SmallVector<uint32_t> numbers;
    for (unsigned lane = 0; lane < 3 * lanes; ++lane)
      numbers.push_back(lane);
    Value *left =
        b.CreateTrunc(b.CreateMul(b.CreateSub(integer(total), i), integer(3)), b.getInt32Ty());
    Value *mask = b.CreateICmpSLT(llvm::ConstantDataVector::get(b.getContext(), numbers),
                                  b.CreateVectorSplat(3 * lanes, left));
    b.CreateMaskedStore(interleaved, address, llvm::Align(4), mask);
  });
}
