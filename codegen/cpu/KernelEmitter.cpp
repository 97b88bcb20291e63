// The function around a kernel's nests: loads the buffers' addresses, loops over the workgroups,
// branches to the nest that each is of.
#include "codegen/cpu/KernelEmitter.h"

#include "codegen/cpu/SharedObject.h"
#include "dialects/plan/Workgroups.h"
#include "llvm/IR/Module.h"

using namespace doppel;
using namespace doppel::cpu;
using namespace doppel::plan;
using llvm::BasicBlock;
using llvm::Value;

mlir::LogicalResult cpu::emitKernel(KernelOp kernel, llvm::Module &module, unsigned lanes) {
  mlir::Block &body = kernel.getBody().front();
  bool isAugment = kernel.getKind() == nn::KernelKind::Augment;
  mlir::FailureOr<KernelForm> form = KernelForm{};
  if (!isAugment) {
    mlir::FailureOr<Machine> machine = machineOf(kernel);
    form = buildKernelForm(body);
    if (failed(form) || failed(machine))
      return mlir::failure();
    cutIntoWorkgroups(*form, *machine);
    if (form->grid != int64_t(kernel.getGrid()))
      return kernel.emitError("has a grid of ")
             << kernel.getGrid() << " workgroups, its body has " << form->grid;
  }
  if (usesRun(body) && !kernel.getUsesRun())
    return kernel.emitError("reads the run's scalars, but lacks uses_run");

  llvm::LLVMContext &context = module.getContext();
  llvm::Type *pointer = llvm::PointerType::getUnqual(context),
             *i64 = llvm::Type::getInt64Ty(context);
  auto *type =
      llvm::FunctionType::get(llvm::Type::getVoidTy(context), {pointer, i64, i64, pointer}, false);
  auto *function =
      llvm::Function::Create(type, llvm::Function::ExternalLinkage, kernel.getSymName(), module);
  function->setDoesNotThrow();
  emitSignature(kernel, module);
  for (unsigned argument : {0u, 3u})
    function->addParamAttr(argument, llvm::Attribute::NoAlias);

  llvm::IRBuilder<> b(BasicBlock::Create(context, "entry", function));
  llvm::FastMathFlags flags;
  flags.setAllowContract();
  b.setFastMathFlags(flags);
  kernels::KernelBuffers buffers;
  unsigned number = 0;
  auto next = [&] {
    return b.CreateLoad(pointer,
                        b.CreateConstInBoundsGEP1_64(pointer, function->getArg(0), number++));
  };
  for (unsigned i = 0; i < body.getNumArguments(); ++i)
    buffers.inputs.push_back(next());
  if (kernel.getUsesRun())
    buffers.run = next();
  for (unsigned i = 0; i < body.getTerminator()->getNumOperands(); ++i)
    buffers.outputs.push_back(next());
  for (mlir::Type type : body.getArgumentTypes())
    buffers.slabs.push_back(mlir::isa<nn::ImagesType>(type) ? next() : nullptr);

  BasicBlock *entry = b.GetInsertBlock();
  BasicBlock *header = BasicBlock::Create(context, "groups", function);
  BasicBlock *inside = BasicBlock::Create(context, "group", function);
  BasicBlock *latch = BasicBlock::Create(context, "next", function);
  BasicBlock *done = BasicBlock::Create(context, "done", function);
  b.CreateBr(header);
  b.SetInsertPoint(header);
  llvm::PHINode *group = b.CreatePHI(i64, 2);
  group->addIncoming(function->getArg(1), entry);
  b.CreateCondBr(b.CreateICmpSLT(group, function->getArg(2)), inside, done);
  b.SetInsertPoint(inside);
  if (isAugment) {
    if (failed(emitAugment(kernel, b, buffers, group, function->getArg(3), lanes)))
      return mlir::failure();
    b.CreateBr(latch);
  } else {
    int64_t first = 0;
    for (const LoopNest &nest : form->nests) {
      BasicBlock *own = BasicBlock::Create(context, "nest", function);
      BasicBlock *other =
          &nest == &form->nests.back() ? own : BasicBlock::Create(context, "other", function);
      if (own == other)
        b.CreateBr(own);
      else
        b.CreateCondBr(b.CreateICmpSLT(group, b.getInt64(first + nest.groups)), own, other);
      b.SetInsertPoint(own);
      NestEmitter(b, nest, buffers, lanes)
          .emit(first ? b.CreateSub(group, b.getInt64(first)) : group);
      b.CreateBr(latch);
      if (own != other)
        b.SetInsertPoint(other);
      first += nest.groups;
    }
  }
  b.SetInsertPoint(latch);
  group->addIncoming(b.CreateAdd(group, b.getInt64(1), "", true, true), latch);
  b.CreateBr(header);
  b.SetInsertPoint(done);
  b.CreateRetVoid();
  return mlir::success();
}
