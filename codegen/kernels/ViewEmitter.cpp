// The pipeline of a view: draws, control flow, the order of stages.
#include "codegen/kernels/ViewEmitter.h"

#include "codegen/kernels/Draws.h"
#include "runtime/schema/Abi.h"

#include "llvm/IR/Intrinsics.h"
#include "llvm/Support/MathExtras.h"

using namespace doppel;
using namespace doppel::kernels;
using llvm::BasicBlock;
using llvm::Value;

ViewEmitter::ViewEmitter(llvm::IRBuilder<> &b, nn::AugmentOp augment, Value *image, Value *slab,
                         Value *run, unsigned tableSpace)
    : b(b), math(b), augment(augment), size(augment.getType().getShape()[1]),
      tableSpace(tableSpace) {
  auto field = [&](Value *base, llvm::Type *type, size_t offset) {
    return b.CreateLoad(type, b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), base, offset));
  };
  auto words = [&](Value *wide) {
    return std::array{b.CreateTrunc(wide, b.getInt32Ty()),
                      b.CreateTrunc(b.CreateLShr(wide, 32), b.getInt32Ty())};
  };
  pixels = b.CreateGEP(b.getInt8Ty(), slab,
                       field(image, b.getInt64Ty(), offsetof(abi::ImageRef, offset)));
  height =
      b.CreateSExt(field(image, b.getInt32Ty(), offsetof(abi::ImageRef, height)), b.getInt64Ty());
  width =
      b.CreateSExt(field(image, b.getInt32Ty(), offsetof(abi::ImageRef, width)), b.getInt64Ty());
  index = words(field(image, b.getInt64Ty(), offsetof(abi::ImageRef, index)));
  auto seed = words(field(run, b.getInt64Ty(), offsetof(abi::RunScalars, seed)));
  seedLow = seed[0], seedHigh = seed[1];
  step = b.CreateTrunc(field(run, b.getInt64Ty(), offsetof(abi::RunScalars, step)), b.getInt32Ty());
}

//===- Control flow ---------------------------------------------------------------------------===//

void ViewEmitter::loop(Value *low, Value *high, int64_t step, Values &carried,
                       llvm::function_ref<void(Value *, Values &)> body) {
  llvm::Function *function = b.GetInsertBlock()->getParent();
  llvm::LLVMContext &context = b.getContext();
  BasicBlock *before = b.GetInsertBlock();
  BasicBlock *header = BasicBlock::Create(context, "loop", function);
  BasicBlock *inside = BasicBlock::Create(context, "body", function);
  BasicBlock *after = BasicBlock::Create(context, "after", function);
  b.CreateBr(header);
  b.SetInsertPoint(header);
  llvm::PHINode *counter = b.CreatePHI(b.getInt64Ty(), 2);
  counter->addIncoming(low, before);
  llvm::SmallVector<llvm::PHINode *> phis;
  for (Value *&value : carried) {
    phis.push_back(b.CreatePHI(value->getType(), 2));
    phis.back()->addIncoming(value, before);
    value = phis.back();
  }
  Values results = carried;
  b.CreateCondBr(b.CreateICmpSLT(counter, high), inside, after);
  b.SetInsertPoint(inside);
  body(counter, carried);
  BasicBlock *latch = b.GetInsertBlock();
  counter->addIncoming(b.CreateAdd(counter, integer(step), "", true, true), latch);
  for (auto [phi, value] : llvm::zip(phis, carried))
    phi->addIncoming(value, latch);
  b.CreateBr(header);
  b.SetInsertPoint(after);
  carried = results;
}

void ViewEmitter::loop(Value *low, Value *high, int64_t step,
                       llvm::function_ref<void(Value *)> body) {
  Values none;
  loop(low, high, step, none, [&](Value *i, Values &) { body(i); });
}

void ViewEmitter::ifThen(Value *condition, llvm::function_ref<void()> body) {
  llvm::Function *function = b.GetInsertBlock()->getParent();
  BasicBlock *inside = BasicBlock::Create(b.getContext(), "then", function);
  BasicBlock *after = BasicBlock::Create(b.getContext(), "after", function);
  b.CreateCondBr(condition, inside, after);
  b.SetInsertPoint(inside);
  body();
  b.CreateBr(after);
  b.SetInsertPoint(after);
}

/// With probability `p`, by the draw `u`.
Value *ViewEmitter::happens(double p, Value *u) {
  llvm::IRBuilder<>::FastMathFlagGuard guard(b);
  b.clearFastMathFlags();
  return b.CreateFCmpOLT(b.CreateFPExt(u, b.getDoubleTy()), precise(p));
}

/// No branch where it is certain.
void ViewEmitter::withProbability(double p, Value *u, llvm::function_ref<void()> body) {
  if (p >= 1)
    body();
  else if (p > 0)
    ifThen(happens(p, u), body);
}

//===- Values ---------------------------------------------------------------------------------===//

ViewEmitter::Draws ViewEmitter::draws(Value *draw) {
  llvm::IRBuilder<>::FastMathFlagGuard guard(b);
  b.clearFastMathFlags();
  auto stream = uint32_t(augment.getStream());
  std::array<Value *, 4> counter{index[0], index[1], b.CreateOr(b.getInt32(stream << 8), draw),
                                 step};
  Value *all = callUniforms(b, counter, seedLow, seedHigh);
  auto number = [&](uint64_t i) { return b.CreateExtractElement(all, i); };
  return {number(0), number(1), number(2), number(3)};
}

Value *ViewEmitter::least(Value *x, Value *y) {
  return b.CreateSelect(b.CreateFCmpOLT(x, y), x, y);
}
Value *ViewEmitter::greatest(Value *x, Value *y) {
  return b.CreateSelect(b.CreateFCmpOGT(x, y), x, y);
}

Value *ViewEmitter::like(Value *model, Value *x) {
  auto *vector = llvm::dyn_cast<llvm::FixedVectorType>(model->getType());
  return vector ? b.CreateVectorSplat(vector->getNumElements(), x) : x;
}

//===- The pipeline ---------------------------------------------------------------------------===//

void ViewEmitter::emit(Value *out) {
  auto pipeline = llvm::to_vector(augment.getPipeline().getAsRange<nn::StageAttr>());

  // A mirror image costs nothing in the crop. All that may stand between them is the same for a
  // mirrored view, but for a rotation.
  Value *mirror = b.getFalse();
  size_t folded = 0;
  for (size_t i = 1; i < pipeline.size() && pipeline[i].getTransform() != nn::Transform::Rotation;
       ++i) {
    if (pipeline[i].getTransform() != nn::Transform::HorizontalFlip)
      continue;
    double p = pipeline[i].getNumber("p");
    mirror = happens(p, draws(unsigned(i))[0]);
    folded = i;
    break;
  }

  bool normalizesLast = pipeline.back().getTransform() == nn::Transform::Normalize;
  for (size_t i = 0; i < pipeline.size() - normalizesLast; ++i) {
    nn::StageAttr stage = pipeline[i];
    auto drawn = [&](llvm::function_ref<void(const Draws &)> body) {
      Draws u = draws(unsigned(i));
      withProbability(stage.getNumber("p"), u[0], [&] { body(u); });
    };
    switch (stage.getTransform()) {
    case nn::Transform::RandomResizedCrop:
      emitRandomResizedCrop(stage, mirror);
      break;
    case nn::Transform::CenterCrop:
      emitCenterCrop(stage, mirror);
      break;
    case nn::Transform::HorizontalFlip:
      if (i != folded)
        drawn([&](const Draws &) { mirrorPixels(); });
      break;
    case nn::Transform::ColorJitter:
      emitColorJitter(stage, unsigned(i));
      break;
    case nn::Transform::Grayscale:
      drawn([&](const Draws &) {
        mapPixels([&](Pixel p) {
          Value *y = grey(p);
          return Pixel{y, y, y};
        });
      });
      break;
    case nn::Transform::GaussianBlur:
      drawn([&](const Draws &u) { emitGaussianBlur(stage, u); });
      break;
    case nn::Transform::Solarize:
      drawn([&](const Draws &) {
        auto turn = [&](Value *x) {
          Value *bright = b.CreateFCmpOGE(x, like(x, stage.getNumber("threshold")));
          return b.CreateSelect(bright, b.CreateFSub(like(x, 1), x), x);
        };
        mapPixels([&](Pixel p) { return Pixel{turn(p.r), turn(p.g), turn(p.b)}; });
      });
      break;
    case nn::Transform::Rotation:
      drawn([&](const Draws &u) { emitRotation(stage, u); });
      break;
    case nn::Transform::Normalize:
      mapPixels([&](Pixel p) {
        return Pixel{normalized(p.r, stage, 0), normalized(p.g, stage, 1),
                     normalized(p.b, stage, 2)};
      });
      break;
    }
  }
  storePixels(out, normalizesLast ? pipeline.back() : nn::StageAttr());
}
