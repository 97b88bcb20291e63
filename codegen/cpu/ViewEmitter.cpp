// The pipeline of a view: draws, control flow, the order of stages and the final store.
#include "codegen/cpu/ViewEmitter.h"

#include "codegen/cpu/Draws.h"
#include "runtime/schema/Abi.h"

#include "llvm/IR/Intrinsics.h"
#include "llvm/Support/MathExtras.h"

using namespace doppel;
using namespace doppel::cpu;
using llvm::BasicBlock;
using llvm::Value;

ViewEmitter::ViewEmitter(llvm::IRBuilder<> &b, nn::AugmentOp augment, Value *image, Value *run,
                         Value *scratch, unsigned lanes)
    : b(b), math(b), augment(augment), lanes(lanes), size(augment.getType().getShape()[1]),
      rowSize(llvm::alignTo(size, 16)), planeSize(llvm::alignTo(size * size, 16)),
      reals_(llvm::FixedVectorType::get(b.getFloatTy(), lanes)),
      integers_(llvm::FixedVectorType::get(b.getInt32Ty(), lanes)) {
  auto field = [&](Value *base, llvm::Type *type, size_t offset) {
    return b.CreateLoad(type, b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), base, offset));
  };
  auto words = [&](Value *wide) {
    return std::array{b.CreateTrunc(wide, b.getInt32Ty()),
                      b.CreateTrunc(b.CreateLShr(wide, 32), b.getInt32Ty())};
  };
  pixels = field(image, b.getPtrTy(), offsetof(abi::ImageRef, pixels));
  height =
      b.CreateSExt(field(image, b.getInt32Ty(), offsetof(abi::ImageRef, height)), b.getInt64Ty());
  width =
      b.CreateSExt(field(image, b.getInt32Ty(), offsetof(abi::ImageRef, width)), b.getInt64Ty());
  index = words(field(image, b.getInt64Ty(), offsetof(abi::ImageRef, index)));
  auto seed = words(field(run, b.getInt64Ty(), offsetof(abi::RunScalars, seed)));
  seedLow = seed[0], seedHigh = seed[1];
  step = b.CreateTrunc(field(run, b.getInt64Ty(), offsetof(abi::RunScalars, step)), b.getInt32Ty());

  // The layout that plan::augmentScratchBytes makes room for.
  view = scratch;
  other = at(view, integer(3 * planeSize));
  row = at(other, integer(3 * planeSize));
  tables = at(row, integer(3 * rowSize));
  padded = at(tables, integer(6 * rowSize));
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

void ViewEmitter::withProbability(double p, Value *u, llvm::function_ref<void()> body) {
  if (p >= 1)
    body();
  else if (p > 0)
    ifThen(b.CreateFCmpOLT(b.CreateFPExt(u, b.getDoubleTy()), precise(p)), body);
}

//===- Values ---------------------------------------------------------------------------------===//

ViewEmitter::Draws ViewEmitter::draws(Value *draw) {
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

Value *ViewEmitter::clampToUnit(Value *x) {
  llvm::Type *type = x->getType();
  return least(greatest(x, llvm::ConstantFP::get(type, 0.0)), llvm::ConstantFP::get(type, 1.0));
}

Value *ViewEmitter::grey(Pixel p) {
  auto weighed = [&](Value *x, double weight) {
    return b.CreateFMul(x, llvm::ConstantFP::get(x->getType(), weight));
  };
  return b.CreateFAdd(b.CreateFAdd(weighed(p.r, 0.299), weighed(p.g, 0.587)), weighed(p.b, 0.114));
}

Value *ViewEmitter::laneIndices(Value *start) {
  llvm::SmallVector<uint32_t> numbers;
  for (unsigned lane = 0; lane < lanes; ++lane)
    numbers.push_back(lane);
  return b.CreateAdd(splat(b.CreateTrunc(start, b.getInt32Ty())),
                     llvm::ConstantDataVector::get(b.getContext(), numbers));
}

Value *ViewEmitter::maskOf(Value *start, int64_t size) {
  if (size % lanes == 0)
    return nullptr;
  return b.CreateICmpSLT(laneIndices(start), splat(b.getInt32(uint32_t(size))));
}

Value *ViewEmitter::load(Value *base, Value *index) {
  return b.CreateAlignedLoad(reals_, at(base, index), llvm::Align(4));
}

void ViewEmitter::store(Value *value, Value *base, Value *index, Value *mask) {
  if (mask)
    b.CreateMaskedStore(value, at(base, index), llvm::Align(4), mask);
  else
    b.CreateAlignedStore(value, at(base, index), llvm::Align(4));
}

void ViewEmitter::mapPixels(llvm::function_ref<Pixel(Pixel)> change) {
  loop(integer(0), integer(planeSize), lanes, [&](Value *i) {
    Pixel p = change({load(plane(view, 0), i), load(plane(view, 1), i), load(plane(view, 2), i)});
    store(p.r, plane(view, 0), i, nullptr);
    store(p.g, plane(view, 1), i, nullptr);
    store(p.b, plane(view, 2), i, nullptr);
  });
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
    mirror = b.CreateFCmpOLT(b.CreateFPExt(draws(unsigned(i))[0], b.getDoubleTy()), precise(p));
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
        drawn([&](const Draws &) { mirrorInPlace(); });
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
          Value *bright = b.CreateFCmpOGE(x, reals(stage.getNumber("threshold")));
          return b.CreateSelect(bright, b.CreateFSub(reals(1), x), x);
        };
        mapPixels([&](Pixel p) { return Pixel{turn(p.r), turn(p.g), turn(p.b)}; });
      });
      break;
    case nn::Transform::Rotation:
      drawn([&](const Draws &u) { emitRotation(stage, u); });
      break;
    case nn::Transform::Normalize: {
      auto mean = stage.getNumbers("mean"), deviation = stage.getNumbers("std");
      auto normal = [&](Value *x, unsigned c) {
        return b.CreateFMul(b.CreateFSub(x, reals(mean[c])), reals(1 / deviation[c]));
      };
      mapPixels([&](Pixel p) { return Pixel{normal(p.r, 0), normal(p.g, 1), normal(p.b, 2)}; });
      break;
    }
    }
  }
  store(out, normalizesLast ? pipeline.back() : nn::StageAttr());
}

void ViewEmitter::store(Value *out, nn::StageAttr normalize) {
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
        channels[c] =
            b.CreateFMul(b.CreateFSub(channels[c], reals(normalize.getNumbers("mean")[c])),
                         reals(1 / normalize.getNumbers("std")[c]));
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
