// The stages of a view after its crop that are more than one formula a pixel: colour jitter, blur,
// rotation.
#include "codegen/cpu/ViewEmitter.h"

#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/Module.h"

#include <algorithm>
#include <numbers>

using namespace doppel;
using namespace doppel::cpu;
using llvm::BasicBlock;
using llvm::Value;

//===- Colour ---------------------------------------------------------------------------------===//

Value *ViewEmitter::meanGrey() {
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

ViewEmitter::Pixel ViewEmitter::turnHue(Pixel p, Value *turn) {
  Value *value = greatest(greatest(p.r, p.g), p.b);
  Value *chroma = b.CreateFSub(value, least(least(p.r, p.g), p.b));
  Value *colourless = b.CreateFCmpOEQ(chroma, reals(0));
  Value *inverse = b.CreateFDiv(reals(1.0 / 6), b.CreateSelect(colourless, reals(1), chroma));
  auto sector = [&](Value *x, Value *y, double offset) {
    return b.CreateFAdd(b.CreateFMul(b.CreateFSub(x, y), inverse), reals(offset / 6));
  };
  Value *hue =
      b.CreateSelect(b.CreateFCmpOEQ(value, p.g), sector(p.b, p.r, 2), sector(p.r, p.g, 4));
  hue = b.CreateSelect(b.CreateFCmpOEQ(value, p.r), sector(p.g, p.b, 0), hue);
  hue = b.CreateFAdd(hue, splat(turn));
  hue = b.CreateFSub(hue, b.CreateUnaryIntrinsic(llvm::Intrinsic::floor, hue));
  Value *sixth = b.CreateFMul(hue, reals(6));
  // value - chroma max(0, min(k, 4 - k, 1)) with k = (offset + 6 hue) mod 6.
  auto channel = [&](double offset, Value *old) {
    Value *k = b.CreateFAdd(sixth, reals(offset));
    k = b.CreateSelect(b.CreateFCmpOGE(k, reals(6)), b.CreateFSub(k, reals(6)), k);
    Value *part = least(least(k, b.CreateFSub(reals(4), k)), reals(1));
    Value *x = b.CreateFSub(value, b.CreateFMul(chroma, greatest(part, reals(0))));
    return b.CreateSelect(colourless, old, clampToUnit(x));
  };
  return {channel(5, p.r), channel(3, p.g), channel(1, p.b)};
}

void ViewEmitter::emitAdjustment(unsigned adjustment, Value *amount, bool addsBrightness) {
  // factor x + (1 - factor) towards, clamped.
  auto blend = [&](Value *x, Value *towards) {
    Value *rest = b.CreateFMul(splat(b.CreateFSub(real(1), amount)), towards);
    return clampToUnit(b.CreateFAdd(b.CreateFMul(splat(amount), x), rest));
  };
  switch (adjustment) {
  case 0:
    mapPixels([&](Pixel p) {
      auto changed = [&](Value *x) {
        return addsBrightness ? clampToUnit(b.CreateFAdd(x, splat(amount))) : blend(x, reals(0));
      };
      return Pixel{changed(p.r), changed(p.g), changed(p.b)};
    });
    return;
  case 1: {
    Value *mean = splat(meanGrey());
    mapPixels([&](Pixel p) { return Pixel{blend(p.r, mean), blend(p.g, mean), blend(p.b, mean)}; });
    return;
  }
  case 2:
    mapPixels([&](Pixel p) {
      Value *y = grey(p);
      return Pixel{blend(p.r, y), blend(p.g, y), blend(p.b, y)};
    });
    return;
  default:
    mapPixels([&](Pixel p) { return turnHue(p, amount); });
  }
}

void ViewEmitter::emitColorJitter(nn::StageAttr stage, unsigned number) {
  Draws u = draws(number);
  withProbability(stage.getNumber("p"), u[0], [&] {
    Draws factors = draws(64 + number);
    std::array<Value *, 4> amounts;
    std::array<double, 4> strengths = {stage.getNumber("brightness"), stage.getNumber("contrast"),
                                       stage.getNumber("saturation"), stage.getNumber("hue")};
    bool adds = stage.getString("brightness_by") == "offset";
    for (unsigned i = 0; i < 4; ++i) {
      double centre = i == 3 || (i == 0 && adds) ? 0 : 1; // what is added, or a factor
      double low = centre ? std::max(0.0, centre - strengths[i]) : -strengths[i];
      double high = centre + strengths[i];
      amounts[i] = b.CreateFAdd(real(low), b.CreateFMul(factors[i], real(high - low)));
    }
    if (stage.getString("order") == "fixed") {
      for (unsigned i = 0; i < 4; ++i)
        if (strengths[i] > 0)
          emitAdjustment(i, amounts[i], adds);
      return;
    }
    // All orders in a table, in lexicographic order; a view walks through the row that it drew.
    llvm::SmallVector<uint8_t> orders;
    std::array<uint8_t, 4> order = {0, 1, 2, 3};
    do
      orders.append(order.begin(), order.end());
    while (std::next_permutation(order.begin(), order.end()));
    auto *constant = llvm::ConstantDataArray::get(b.getContext(), orders);
    auto *table = new llvm::GlobalVariable(*b.GetInsertBlock()->getModule(), constant->getType(),
                                           /*isConstant=*/true, llvm::GlobalValue::PrivateLinkage,
                                           constant, "orders");
    Value *drawn = b.CreateFPToSI(b.CreateFMul(u[1], real(24)), b.getInt64Ty());
    Value *begin = b.CreateMul(drawn, integer(4));
    loop(integer(0), integer(4), 1, [&](Value *i) {
      Value *place = b.CreateInBoundsGEP(b.getInt8Ty(), table, b.CreateAdd(begin, i));
      Value *adjustment = b.CreateLoad(b.getInt8Ty(), place);
      llvm::Function *function = b.GetInsertBlock()->getParent();
      BasicBlock *after = BasicBlock::Create(b.getContext(), "adjusted", function);
      llvm::SwitchInst *choice = b.CreateSwitch(adjustment, after, 4);
      for (unsigned k = 0; k < 4; ++k) {
        if (strengths[k] <= 0)
          continue;
        BasicBlock *block = BasicBlock::Create(b.getContext(), "adjust", function);
        choice->addCase(b.getInt8(uint8_t(k)), block);
        b.SetInsertPoint(block);
        emitAdjustment(k, amounts[k], adds);
        b.CreateBr(after);
      }
      b.SetInsertPoint(after);
    });
  });
}

//===- Place ----------------------------------------------------------------------------------===//

void ViewEmitter::emitGaussianBlur(nn::StageAttr stage, const Draws &u) {
  auto range = stage.getNumbers("sigma");
  int64_t taps = stage.getInteger("kernel"), radius = taps / 2;
  Value *weights = at(padded, integer(rowSize + 2 * radius + 16));
  Value *sigma = b.CreateFAdd(real(range[0]), b.CreateFMul(u[1], real(range[1] - range[0])));
  Value *exponent = b.CreateFDiv(real(-0.5), b.CreateFMul(sigma, sigma));
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

void ViewEmitter::emitRotation(nn::StageAttr stage, const Draws &u) {
  double degrees = stage.getNumber("degrees"), centre = double(size - 1) / 2;
  Value *angle = b.CreateFMul(b.CreateFSub(b.CreateFMul(real(2), u[1]), real(1)),
                              real(degrees * std::numbers::pi / 180));
  Value *cosine = splat(math.cos(angle)), *sine = splat(math.sin(angle));
  auto floored = [&](Value *x) { return b.CreateUnaryIntrinsic(llvm::Intrinsic::floor, x); };
  loop(integer(0), integer(size), 1, [&](Value *y) {
    Value *dy = splat(b.CreateFSub(b.CreateSIToFP(y, b.getFloatTy()), real(centre)));
    loop(integer(0), integer(size), lanes, [&](Value *x) {
      Value *dx = b.CreateFSub(b.CreateSIToFP(laneIndices(x), reals_), reals(centre));
      Value *sourceX = b.CreateFSub(b.CreateFMul(cosine, dx), b.CreateFMul(sine, dy));
      Value *sourceY = b.CreateFAdd(b.CreateFMul(sine, dx), b.CreateFMul(cosine, dy));
      sourceX = b.CreateFAdd(sourceX, reals(centre)),
      sourceY = b.CreateFAdd(sourceY, reals(centre));
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
