#include "codegen/cuda/Placeholders.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace doppel;
using namespace doppel::cuda;
using llvm::Value;

static constexpr llvm::StringLiteral blockAttribute = "doppel.block",
                                     sharedAttribute = "doppel.shared";

llvm::Function *cuda::makeKernel(llvm::Module &module, llvm::StringRef name, unsigned threads,
                                 llvm::ArrayRef<bool> disjoint) {
  llvm::LLVMContext &context = module.getContext();
  llvm::SmallVector<llvm::Type *> buffers(disjoint.size(), llvm::PointerType::getUnqual(context));
  auto *type = llvm::FunctionType::get(llvm::Type::getVoidTy(context), buffers, false);
  auto *kernel = llvm::Function::Create(type, llvm::Function::ExternalLinkage, name, module);
  kernel->setDoesNotThrow();
  kernel->addFnAttr(blockAttribute, std::to_string(threads));
  for (auto [number, own] : llvm::enumerate(disjoint)) {
    kernel->addParamAttr(number, llvm::Attribute::getWithAlignment(context, llvm::Align(64)));
    if (own)
      kernel->addParamAttr(number, llvm::Attribute::NoAlias);
  }
  return kernel;
}

bool cuda::isKernel(const llvm::Function &function) {
  return function.hasFnAttribute(blockAttribute);
}

unsigned cuda::blockThreads(const llvm::Function &kernel) {
  return kernel.getFnAttributeAsParsedInteger(blockAttribute);
}

uint64_t cuda::sharedBytes(const llvm::Function &kernel) {
  return kernel.getFnAttributeAsParsedInteger(sharedAttribute);
}

void cuda::setSharedBytes(llvm::Function &kernel, uint64_t bytes) {
  kernel.addFnAttr(sharedAttribute, std::to_string(bytes));
}

/// A call that `meets` other threads is never moved across a branch; another is only a number.
Value *Placeholders::call(const llvm::Twine &name, llvm::Type *type,
                          llvm::ArrayRef<Value *> operands, bool meets) {
  llvm::SmallVector<llvm::Type *> types;
  for (Value *operand : operands)
    types.push_back(operand->getType());
  llvm::Module &module = *b.GetInsertBlock()->getModule();
  llvm::FunctionCallee callee =
      module.getOrInsertFunction(name.str(), llvm::FunctionType::get(type, types, false));
  auto *function = llvm::cast<llvm::Function>(callee.getCallee());
  function->setDoesNotThrow();
  if (meets) {
    function->setConvergent();
  } else {
    function->setDoesNotAccessMemory();
    function->setWillReturn();
  }
  return b.CreateCall(callee, operands);
}

Value *Placeholders::thread() { return call(placeholder::thread, b.getInt32Ty(), {}, false); }
Value *Placeholders::block() { return call(placeholder::block, b.getInt32Ty(), {}, false); }
void Placeholders::barrier() { call(placeholder::barrier, b.getVoidTy(), {}, true); }

Value *Placeholders::shared() {
  return call(placeholder::shared, b.getPtrTy(sharedSpace), {}, false);
}

Value *Placeholders::shuffleXor(Value *x, unsigned mask) {
  return call(shuffleName(x->getType()), x->getType(), {x, b.getInt32(mask)}, true);
}

llvm::SmallVector<llvm::Type *> cuda::shuffleTypes(llvm::LLVMContext &context) {
  return {llvm::Type::getInt32Ty(context), llvm::Type::getInt64Ty(context),
          llvm::Type::getFloatTy(context), llvm::Type::getDoubleTy(context)};
}

std::string cuda::shuffleName(llvm::Type *type) {
  std::string name = placeholder::shuffleXor.str();
  llvm::raw_string_ostream(name) << *type;
  return name;
}

void cuda::replacePlaceholder(
    llvm::Module &module, llvm::StringRef name,
    llvm::function_ref<Value *(llvm::IRBuilder<> &, llvm::CallInst &)> make) {
  llvm::Function *function = module.getFunction(name);
  if (!function)
    return;
  for (llvm::User *user : llvm::make_early_inc_range(function->users())) {
    auto *call = llvm::cast<llvm::CallInst>(user);
    llvm::IRBuilder<> b(call);
    if (Value *value = make(b, *call))
      call->replaceAllUsesWith(value);
    call->eraseFromParent();
  }
  function->eraseFromParent();
}
