#include "codegen/cuda/Bind.h"
#include "codegen/cuda/Placeholders.h"

#include "runtime/schema/SimAbi.h"
#include "llvm/Analysis/ValueTracking.h"
#include "llvm/Analysis/VectorUtils.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"

using namespace doppel;
using namespace doppel::cuda;
using llvm::IRBuilder;
using llvm::Value;

namespace {

/// The fields of abi::SimServices, all of them pointers.
enum Service : unsigned { Thread, Block, Shared, Barrier, Shuffle, Access, Table, services };
static_assert(sizeof(abi::SimServices) == services * sizeof(void *));

class SimBinder {
public:
  explicit SimBinder(llvm::Module &module) : module(module) {
    auto *pointer = llvm::PointerType::getUnqual(module.getContext());
    // Each part of the code segment has it; the linker makes them one.
    table = new llvm::GlobalVariable(
        module, pointer, /*isConstant=*/false, llvm::GlobalValue::WeakAnyLinkage,
        llvm::ConstantPointerNull::get(pointer), abi::simServicesSymbol);
  }

  void bindPlaceholders();
  llvm::Error showAccesses(llvm::Function &function);
  void wrap(llvm::Function &kernel);

private:
  llvm::CallInst *call(IRBuilder<> &b, Service service, llvm::Type *type,
                       llvm::ArrayRef<Value *> operands);
  void show(llvm::Instruction &before, Value *address, Value *bytes, llvm::Align align,
            bool writes);

  llvm::Module &module;
  llvm::GlobalVariable *table;
  int sites = 0;
};

llvm::CallInst *SimBinder::call(IRBuilder<> &b, Service service, llvm::Type *type,
                                llvm::ArrayRef<Value *> operands) {
  llvm::SmallVector<llvm::Type *> types;
  for (Value *operand : operands)
    types.push_back(operand->getType());
  Value *services = b.CreateLoad(b.getPtrTy(), table);
  Value *function =
      b.CreateLoad(b.getPtrTy(), b.CreateConstInBoundsGEP1_32(b.getPtrTy(), services, service));
  llvm::CallInst *made =
      b.CreateCall(llvm::FunctionType::get(type, types, false), function, operands);
  made->setDoesNotThrow();
  if (service == Thread || service == Block || service == Shared)
    made->setDoesNotAccessMemory();
  else
    made->setConvergent();
  return made;
}

void SimBinder::bindPlaceholders() {
  auto number = [&](Service service) {
    return [this, service](IRBuilder<> &b, llvm::CallInst &) -> Value * {
      return call(b, service, b.getInt32Ty(), {});
    };
  };
  replacePlaceholder(module, placeholder::thread, number(Thread));
  replacePlaceholder(module, placeholder::block, number(Block));
  replacePlaceholder(module, placeholder::shared, [&](IRBuilder<> &b, llvm::CallInst &) -> Value * {
    return b.CreateAddrSpaceCast(call(b, Shared, b.getPtrTy(), {}), b.getPtrTy(sharedSpace));
  });
  replacePlaceholder(module, placeholder::barrier, [&](IRBuilder<> &b, llvm::CallInst &) {
    call(b, Barrier, b.getVoidTy(), {b.getInt32(sites++)});
    return nullptr;
  });
  for (llvm::Type *type : shuffleTypes(module.getContext()))
    replacePlaceholder(
        module, shuffleName(type), [&](IRBuilder<> &b, llvm::CallInst &shuffle) -> Value * {
          llvm::Type *bits = b.getIntNTy(type->getPrimitiveSizeInBits());
          Value *given =
              b.CreateZExt(b.CreateBitCast(shuffle.getArgOperand(0), bits), b.getInt64Ty());
          Value *lane = b.CreateXor(
              b.CreateAnd(call(b, Thread, b.getInt32Ty(), {}), b.getInt32(warpThreads - 1)),
              shuffle.getArgOperand(1));
          Value *taken = call(b, Shuffle, b.getInt64Ty(), {b.getInt32(sites++), given, lane});
          return b.CreateBitCast(b.CreateTrunc(taken, bits), type);
        });
}

/// What an address points into, also where it is one of a vector of addresses into one buffer or
/// table. Null where it may be one of several.
const Value *objectOf(const Value *address) {
  for (;;) {
    address = llvm::getUnderlyingObject(address, /*MaxLookup=*/0);
    if (auto *element = llvm::dyn_cast<llvm::ExtractElementInst>(address)) {
      address = element->getVectorOperand();
    } else if (auto *each = llvm::dyn_cast<llvm::GetElementPtrInst>(address)) {
      address = each->getPointerOperand();
    } else if (auto *either = llvm::dyn_cast<llvm::SelectInst>(address)) {
      const Value *object = objectOf(either->getTrueValue());
      return object == objectOf(either->getFalseValue()) ? object : nullptr;
    } else if (const Value *one = llvm::getSplatValue(address)) {
      address = one;
    } else {
      return address;
    }
  }
}

/// Shows an access to the simulator, unless it is of memory that no other thread can reach.
void SimBinder::show(llvm::Instruction &before, Value *address, Value *bytes, llvm::Align align,
                     bool writes) {
  const Value *object = objectOf(address);
  if (llvm::isa_and_nonnull<llvm::AllocaInst>(object))
    return;
  IRBuilder<> b(&before);
  if (auto *table = llvm::dyn_cast_or_null<llvm::GlobalVariable>(object)) {
    call(b, Table, b.getVoidTy(),
         {address, b.CreateZExtOrTrunc(bytes, b.getInt64Ty()), const_cast<Value *>(object),
          b.getInt64(module.getDataLayout().getTypeAllocSize(table->getValueType()))});
    return;
  }
  bool shared = address->getType()->getPointerAddressSpace() == sharedSpace;
  if (shared)
    address = b.CreateAddrSpaceCast(address, b.getPtrTy());
  int32_t kind = (writes ? abi::simWrite : 0) | (shared ? abi::simShared : 0) |
                 int32_t(llvm::Log2(align)) << abi::simAlignShift;
  auto *buffer = llvm::dyn_cast_or_null<llvm::Argument>(object);
  if (buffer && isKernel(*buffer->getParent()))
    kind |= int32_t(buffer->getArgNo() + 1) << abi::simBufferShift;
  call(b, Access, b.getVoidTy(),
       {address, b.CreateZExtOrTrunc(bytes, b.getInt64Ty()), b.getInt32(kind)});
}

llvm::Error SimBinder::showAccesses(llvm::Function &function) {
  const llvm::DataLayout &layout = module.getDataLayout();
  for (llvm::Instruction &each : llvm::make_early_inc_range(llvm::instructions(function))) {
    auto bytes = [&](llvm::Type *type) {
      return llvm::ConstantInt::get(llvm::Type::getInt64Ty(module.getContext()),
                                    layout.getTypeStoreSize(type));
    };
    if (auto *load = llvm::dyn_cast<llvm::LoadInst>(&each)) {
      show(each, load->getPointerOperand(), bytes(load->getType()), load->getAlign(), false);
    } else if (auto *store = llvm::dyn_cast<llvm::StoreInst>(&each)) {
      show(each, store->getPointerOperand(), bytes(store->getValueOperand()->getType()),
           store->getAlign(), true);
    } else if (auto *move = llvm::dyn_cast<llvm::MemTransferInst>(&each)) {
      show(each, move->getRawSource(), move->getLength(), move->getSourceAlign().valueOrOne(),
           false);
      show(each, move->getRawDest(), move->getLength(), move->getDestAlign().valueOrOne(), true);
    } else if (auto *set = llvm::dyn_cast<llvm::MemSetInst>(&each)) {
      show(each, set->getRawDest(), set->getLength(), set->getDestAlign().valueOrOne(), true);
    } else if (auto *other = llvm::dyn_cast<llvm::CallInst>(&each)) {
      if (other->getIntrinsicID() != llvm::Intrinsic::not_intrinsic &&
          other->mayReadOrWriteMemory() && !other->isLifetimeStartOrEnd() &&
          !llvm::isa<llvm::AssumeInst>(other))
        return llvm::createStringError("kernel '%s' uses memory by '%s', which cannot be checked",
                                       function.getName().str().c_str(),
                                       other->getCalledFunction()->getName().str().c_str());
    } else if (each.isAtomic()) {
      return llvm::createStringError("kernel '%s' has an atomic access",
                                     function.getName().str().c_str());
    }
  }
  return llvm::Error::success();
}

/// The kernel becomes internal, and a function of its name calls it with the launch's buffers.
void SimBinder::wrap(llvm::Function &kernel) {
  std::string name = kernel.getName().str();
  kernel.setName(name + ".thread");
  kernel.setLinkage(llvm::GlobalValue::InternalLinkage);
  llvm::LLVMContext &context = module.getContext();
  auto *pointer = llvm::PointerType::getUnqual(context);
  auto *wrapper = llvm::Function::Create(
      llvm::FunctionType::get(llvm::Type::getVoidTy(context), {pointer}, false),
      llvm::GlobalValue::ExternalLinkage, name, module);
  wrapper->setDoesNotThrow();
  IRBuilder<> b(llvm::BasicBlock::Create(context, "entry", wrapper));
  llvm::SmallVector<Value *> buffers;
  for (unsigned i = 0; i < kernel.arg_size(); ++i)
    // Of a reserved kernel some are numbers, in place of pointers.
    buffers.push_back(b.CreateLoad(kernel.getArg(i)->getType(),
                                   b.CreateConstInBoundsGEP1_32(pointer, wrapper->getArg(0), i)));
  b.CreateCall(&kernel, buffers);
  b.CreateRetVoid();
}

} // namespace

llvm::Error cuda::bindSim(llvm::Module &module, bool checked) {
  llvm::SmallVector<llvm::Function *> kernels, bodies;
  for (llvm::Function &function : module) {
    if (isKernel(function))
      kernels.push_back(&function);
    if (!function.isDeclaration())
      bodies.push_back(&function);
  }
  SimBinder binder(module);
  if (checked)
    for (llvm::Function *function : bodies)
      if (llvm::Error error = binder.showAccesses(*function))
        return error;
  binder.bindPlaceholders();
  for (llvm::Function *kernel : kernels)
    binder.wrap(*kernel);
  return llvm::Error::success();
}
