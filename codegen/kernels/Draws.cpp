// The functions of Draws.h: their names and types, and their bodies. No fast-math flags: every
// target draws the same bits.
#include "codegen/kernels/Draws.h"

#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/Module.h"

#include <cmath>

using namespace llvm;
using namespace doppel;
using namespace doppel::kernels;

namespace {

/// Names: what is drawn, then the number of lanes.
constexpr StringRef prefix = "draw.", uniformName = "draw.uniform.", normalName = "draw.normal.",
                    blockName = "draw.block";

FunctionType *typeOf(StringRef name, LLVMContext &context) {
  Type *word = Type::getInt32Ty(context), *wide = Type::getInt64Ty(context),
       *real = Type::getFloatTy(context);
  if (name == blockName)
    return FunctionType::get(FixedVectorType::get(real, 4), SmallVector<Type *>(6, word), false);
  unsigned lanes = 1;
  name.rsplit('.').second.getAsInteger(10, lanes);
  auto each = [&](Type *type) { return lanes == 1 ? type : FixedVectorType::get(type, lanes); };
  return FunctionType::get(each(real), {each(wide), word, wide, word}, false);
}

/// Declares the function where the module lacks it. It depends on its arguments alone, so LLVM may
/// move and merge calls.
Function *declare(Module &module, StringRef name) {
  if (Function *known = module.getFunction(name))
    return known;
  Function *function =
      Function::Create(typeOf(name, module.getContext()), Function::ExternalLinkage, name, module);
  function->setVisibility(GlobalValue::HiddenVisibility);
  function->setDSOLocal(true);
  function->setDoesNotThrow();
  function->setDoesNotAccessMemory();
  function->setWillReturn();
  function->addFnAttr(Attribute::NoInline);
  return function;
}

/// Element `element` of the draws of `stream`: a block of Philox holds four elements.
Value *draw(IRBuilder<> &b, bool normal, Value *element, Value *stream, Value *seed, Value *step) {
  VectorMath math(b);
  Type *wide = element->getType(), *word = wide->getWithNewType(b.getInt32Ty());
  auto likeWord = [&](Value *scalar) {
    auto *vector = dyn_cast<FixedVectorType>(word);
    return vector ? b.CreateVectorSplat(vector->getNumElements(), scalar) : scalar;
  };
  Value *block = b.CreateLShr(element, ConstantInt::get(wide, 2));
  Value *low = b.CreateTrunc(block, word);
  Value *high = b.CreateTrunc(b.CreateLShr(block, ConstantInt::get(wide, 32)), word);
  std::array<Value *, 4> words =
      math.philox({low, high, likeWord(b.CreateShl(stream, 8)), likeWord(step)},
                  likeWord(b.CreateTrunc(seed, b.getInt32Ty())),
                  likeWord(b.CreateTrunc(b.CreateLShr(seed, 32), b.getInt32Ty())));
  auto bit = [&](uint64_t value) {
    Value *masked = b.CreateAnd(b.CreateTrunc(element, word), ConstantInt::get(word, value));
    return b.CreateICmpNE(masked, Constant::getNullValue(word));
  };
  Value *upper = bit(2), *odd = bit(1);
  Value *first = b.CreateSelect(upper, words[2], words[0]),
        *second = b.CreateSelect(upper, words[3], words[1]);
  if (!normal)
    return math.uniform(b.CreateSelect(odd, second, first));
  Value *u0 = math.uniform(first), *u1 = math.uniform(second);
  auto real = [&](double value) { return ConstantFP::get(u0->getType(), value); };
  Value *radius = b.CreateUnaryIntrinsic(
      Intrinsic::sqrt, b.CreateFMul(real(-2), math.log(b.CreateFSub(real(1), u0))));
  Value *angle = b.CreateFMul(u1, real(2 * M_PI));
  return b.CreateFMul(radius, b.CreateSelect(odd, math.sin(angle), math.cos(angle)));
}

Value *uniforms(IRBuilder<> &b, ArrayRef<Value *> arguments) {
  VectorMath math(b);
  std::array<Value *, 4> words = math.philox(
      {arguments[0], arguments[1], arguments[2], arguments[3]}, arguments[4], arguments[5]);
  Value *all = PoisonValue::get(FixedVectorType::get(b.getInt32Ty(), 4));
  for (auto [i, word] : enumerate(words))
    all = b.CreateInsertElement(all, word, i);
  return math.uniform(all);
}

} // namespace

Value *kernels::callDraw(IRBuilder<> &b, nn::Distribution distribution, Value *element,
                         uint32_t stream, Value *seed, Value *step) {
  auto *vector = dyn_cast<FixedVectorType>(element->getType());
  StringRef name = distribution == nn::Distribution::Normal ? normalName : uniformName;
  Function *function = declare(*b.GetInsertBlock()->getModule(),
                               (name + Twine(vector ? vector->getNumElements() : 1)).str());
  return b.CreateCall(function, {element, b.getInt32(stream), seed, step});
}

Value *kernels::callUniforms(IRBuilder<> &b, std::array<Value *, 4> counter, Value *keyLow,
                             Value *keyHigh) {
  Function *function = declare(*b.GetInsertBlock()->getModule(), blockName);
  return b.CreateCall(function, {counter[0], counter[1], counter[2], counter[3], keyLow, keyHigh});
}

std::set<std::string> kernels::missingDraws(const Module &module) {
  std::set<std::string> names;
  for (const Function &function : module)
    if (function.isDeclaration() && function.getName().starts_with(prefix))
      names.insert(function.getName().str());
  return names;
}

void kernels::defineDraw(StringRef name, Module &module) {
  Function *function = declare(module, name);
  IRBuilder<> b(BasicBlock::Create(module.getContext(), "entry", function));
  SmallVector<Value *, 6> arguments(llvm::make_pointer_range(function->args()));
  if (name == blockName)
    b.CreateRet(uniforms(b, arguments));
  else
    b.CreateRet(draw(b, name.starts_with(normalName), arguments[0], arguments[1], arguments[2],
                     arguments[3]));
}
