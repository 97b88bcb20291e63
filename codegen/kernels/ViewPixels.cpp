// The formulas of pixels, and the factors that stages draw: colour jitter, blur, rotation.
#include "codegen/kernels/ViewEmitter.h"

#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/Module.h"

#include <algorithm>
#include <numbers>

using namespace doppel;
using namespace doppel::kernels;
using llvm::BasicBlock;
using llvm::Value;

namespace {

/// Of brightness, contrast, saturation and hue.
std::array<double, 4> strengthsOf(nn::StageAttr stage) {
  return {stage.getNumber("brightness"), stage.getNumber("contrast"), stage.getNumber("saturation"),
          stage.getNumber("hue")};
}

bool addsBrightness(nn::StageAttr stage) { return stage.getString("brightness_by") == "offset"; }

} // namespace

//===- Pixels ---------------------------------------------------------------------------------===//

Value *ViewEmitter::clampToUnit(Value *x) { return least(greatest(x, like(x, 0.0)), like(x, 1.0)); }

Value *ViewEmitter::grey(Pixel p) {
  auto weighed = [&](Value *x, double weight) { return b.CreateFMul(x, like(x, weight)); };
  return b.CreateFAdd(b.CreateFAdd(weighed(p.r, 0.299), weighed(p.g, 0.587)), weighed(p.b, 0.114));
}

Value *ViewEmitter::normalized(Value *x, nn::StageAttr stage, unsigned channel) {
  Value *centred = b.CreateFSub(x, like(x, stage.getNumbers("mean")[channel]));
  return b.CreateFMul(centred, like(x, 1 / stage.getNumbers("std")[channel]));
}

std::pair<Value *, Value *> ViewEmitter::turned(Value *dx, Value *dy, Value *cosine, Value *sine) {
  cosine = like(dx, cosine), sine = like(dx, sine);
  return {b.CreateFSub(b.CreateFMul(cosine, dx), b.CreateFMul(sine, dy)),
          b.CreateFAdd(b.CreateFMul(sine, dx), b.CreateFMul(cosine, dy))};
}

ViewEmitter::Pixel ViewEmitter::turnHue(Pixel p, Value *turn) {
  Value *value = greatest(greatest(p.r, p.g), p.b);
  Value *chroma = b.CreateFSub(value, least(least(p.r, p.g), p.b));
  Value *colourless = b.CreateFCmpOEQ(chroma, like(p.r, 0.0));
  Value *inverse =
      b.CreateFDiv(like(p.r, 1.0 / 6), b.CreateSelect(colourless, like(p.r, 1), chroma));
  auto sector = [&](Value *x, Value *y, double offset) {
    return b.CreateFAdd(b.CreateFMul(b.CreateFSub(x, y), inverse), like(p.r, offset / 6));
  };
  Value *hue =
      b.CreateSelect(b.CreateFCmpOEQ(value, p.g), sector(p.b, p.r, 2), sector(p.r, p.g, 4));
  hue = b.CreateSelect(b.CreateFCmpOEQ(value, p.r), sector(p.g, p.b, 0), hue);
  hue = b.CreateFAdd(hue, like(hue, turn));
  hue = b.CreateFSub(hue, b.CreateUnaryIntrinsic(llvm::Intrinsic::floor, hue));
  Value *sixth = b.CreateFMul(hue, like(p.r, 6));
  // value - chroma max(0, min(k, 4 - k, 1)) with k = (offset + 6 hue) mod 6.
  auto channel = [&](double offset, Value *old) {
    Value *k = b.CreateFAdd(sixth, like(p.r, offset));
    k = b.CreateSelect(b.CreateFCmpOGE(k, like(p.r, 6)), b.CreateFSub(k, like(p.r, 6)), k);
    Value *part = least(least(k, b.CreateFSub(like(p.r, 4), k)), like(p.r, 1));
    Value *x = b.CreateFSub(value, b.CreateFMul(chroma, greatest(part, like(p.r, 0.0))));
    return b.CreateSelect(colourless, old, clampToUnit(x));
  };
  return {channel(5, p.r), channel(3, p.g), channel(1, p.b)};
}

void ViewEmitter::emitAdjustment(unsigned adjustment, Value *amount, bool addsBrightness) {
  // factor x + (1 - factor) towards, clamped.
  auto blend = [&](Value *x, Value *towards) {
    Value *rest = b.CreateFMul(like(x, b.CreateFSub(real(1), amount)), towards);
    return clampToUnit(b.CreateFAdd(b.CreateFMul(like(x, amount), x), rest));
  };
  switch (adjustment) {
  case 0:
    mapPixels([&](Pixel p) {
      auto changed = [&](Value *x) {
        return addsBrightness ? clampToUnit(b.CreateFAdd(x, like(x, amount)))
                              : blend(x, like(x, 0.0));
      };
      return Pixel{changed(p.r), changed(p.g), changed(p.b)};
    });
    return;
  case 1: {
    Value *mean = meanGrey();
    mapPixels([&](Pixel p) {
      Value *towards = like(p.r, mean);
      return Pixel{blend(p.r, towards), blend(p.g, towards), blend(p.b, towards)};
    });
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

//===- Factors --------------------------------------------------------------------------------===//

Value *ViewEmitter::between(double low, double high, Value *u) {
  llvm::IRBuilder<>::FastMathFlagGuard guard(b);
  b.clearFastMathFlags();
  return b.CreateIntrinsic(llvm::Intrinsic::fma, {u->getType()}, {u, real(high - low), real(low)});
}

std::array<Value *, 4> ViewEmitter::jitterAmounts(nn::StageAttr stage, const Draws &u) {
  std::array<double, 4> strengths = strengthsOf(stage);
  std::array<Value *, 4> amounts;
  for (unsigned i = 0; i < 4; ++i) {
    double centre =
        i == 3 || (i == 0 && addsBrightness(stage)) ? 0 : 1; // what is added, or a factor
    double low = centre ? std::max(0.0, centre - strengths[i]) : -strengths[i];
    amounts[i] = between(low, centre + strengths[i], u[i]);
  }
  return amounts;
}

/// Which of the 24 orders, i64.
Value *ViewEmitter::orderNumber(Value *u) {
  llvm::IRBuilder<>::FastMathFlagGuard guard(b);
  b.clearFastMathFlags();
  return b.CreateFPToSI(b.CreateFMul(u, real(24)), b.getInt64Ty());
}

Value *ViewEmitter::blurExponent(nn::StageAttr stage, Value *u) {
  llvm::IRBuilder<>::FastMathFlagGuard guard(b);
  b.clearFastMathFlags();
  auto range = stage.getNumbers("sigma");
  Value *sigma = between(range[0], range[1], u);
  return b.CreateFDiv(real(-0.5), b.CreateFMul(sigma, sigma));
}

std::pair<Value *, Value *> ViewEmitter::cosineAndSine(nn::StageAttr stage, Value *u) {
  llvm::IRBuilder<>::FastMathFlagGuard guard(b);
  b.clearFastMathFlags();
  Value *angle =
      b.CreateFMul(between(-1, 1, u), real(stage.getNumber("degrees") * std::numbers::pi / 180));
  return {math.cos(angle), math.sin(angle)};
}

//===- Stages ---------------------------------------------------------------------------------===//

void ViewEmitter::emitColorJitter(nn::StageAttr stage, unsigned number) {
  Draws u = draws(number);
  withProbability(stage.getNumber("p"), u[0], [&] {
    std::array<Value *, 4> amounts = jitterAmounts(stage, draws(64 + number));
    std::array<double, 4> strengths = strengthsOf(stage);
    bool adds = addsBrightness(stage);
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
    auto *table =
        new llvm::GlobalVariable(*b.GetInsertBlock()->getModule(), constant->getType(),
                                 /*isConstant=*/true, llvm::GlobalValue::PrivateLinkage, constant,
                                 "orders", nullptr, llvm::GlobalValue::NotThreadLocal, tableSpace);
    Value *begin = b.CreateMul(orderNumber(u[1]), integer(4));
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

void ViewEmitter::emitGaussianBlur(nn::StageAttr stage, const Draws &u) {
  blur(stage.getInteger("kernel"), blurExponent(stage, u[1]));
}

void ViewEmitter::emitRotation(nn::StageAttr stage, const Draws &u) {
  auto [cosine, sine] = cosineAndSine(stage, u[1]);
  rotate(cosine, sine);
}
