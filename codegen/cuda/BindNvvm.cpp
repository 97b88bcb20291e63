#include "codegen/cuda/Bind.h"
#include "codegen/cuda/Placeholders.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/IR/IntrinsicsNVPTX.h"

using namespace doppel;
using namespace doppel::cuda;
using llvm::IRBuilder;
using llvm::Value;

/// The shuffle of all lanes, which PTX has for 32 bits.
static Value *shuffle(IRBuilder<> &b, Value *x, Value *mask) {
  llvm::Type *type = x->getType(), *i32 = b.getInt32Ty();
  auto word = [&](Value *value) -> Value * {
    return b.CreateIntrinsic(llvm::Intrinsic::nvvm_shfl_sync_bfly_i32,
                             {b.getInt32(-1), value, mask, b.getInt32(31)});
  };
  if (type->getPrimitiveSizeInBits() == 32)
    return b.CreateBitCast(word(b.CreateBitCast(x, i32)), type);
  auto *pair = llvm::FixedVectorType::get(i32, 2);
  Value *words = b.CreateBitCast(x, pair), *result = llvm::PoisonValue::get(pair);
  for (uint64_t i = 0; i < 2; ++i)
    result = b.CreateInsertElement(result, word(b.CreateExtractElement(words, i)), i);
  return b.CreateBitCast(result, type);
}

void cuda::bindNvvm(llvm::Module &module) {
  llvm::LLVMContext &context = module.getContext();
  auto intrinsic = [](llvm::Intrinsic::ID id) {
    return [id](IRBuilder<> &b, llvm::CallInst &) -> Value * {
      return b.CreateIntrinsic(id, llvm::ArrayRef<Value *>{});
    };
  };
  replacePlaceholder(module, placeholder::thread,
                     intrinsic(llvm::Intrinsic::nvvm_read_ptx_sreg_tid_x));
  replacePlaceholder(module, placeholder::block,
                     intrinsic(llvm::Intrinsic::nvvm_read_ptx_sreg_ctaid_x));
  replacePlaceholder(module, placeholder::barrier, [](IRBuilder<> &b, llvm::CallInst &) -> Value * {
    b.CreateIntrinsic(llvm::Intrinsic::nvvm_barrier_cta_sync_aligned_all, {b.getInt32(0)});
    return nullptr;
  });
  for (llvm::Type *type : shuffleTypes(context))
    replacePlaceholder(module, shuffleName(type), [](IRBuilder<> &b, llvm::CallInst &call) {
      return shuffle(b, call.getArgOperand(0), call.getArgOperand(1));
    });
  llvm::MapVector<llvm::Function *, llvm::GlobalVariable *> memory;
  replacePlaceholder(module, placeholder::shared, [&](IRBuilder<> &, llvm::CallInst &call) {
    llvm::Function *kernel = call.getFunction();
    llvm::GlobalVariable *&array = memory[kernel];
    if (!array) {
      auto *type = llvm::ArrayType::get(llvm::Type::getInt8Ty(context), sharedBytes(*kernel));
      array = new llvm::GlobalVariable(
          module, type, /*isConstant=*/false, llvm::GlobalValue::InternalLinkage,
          llvm::PoisonValue::get(type), kernel->getName() + "_shared",
          /*InsertBefore=*/nullptr, llvm::GlobalValue::NotThreadLocal, sharedSpace);
      array->setAlignment(llvm::Align(16));
    }
    return array;
  });
  for (llvm::Function &function : module)
    if (isKernel(function)) {
      function.setCallingConv(llvm::CallingConv::PTX_Kernel);
      function.addFnAttr("nvvm.reqntid", std::to_string(blockThreads(function)));
    }
}
