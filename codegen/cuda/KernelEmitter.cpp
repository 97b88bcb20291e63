// The function around a kernel's nests: finds the nest that the block is of.
#include "codegen/cuda/KernelEmitter.h"

#include "codegen/cuda/NestEmitter.h"
#include "codegen/cuda/Placeholders.h"
#include "codegen/cuda/ViewBlocks.h"
#include "dialects/plan/Workgroups.h"

using namespace doppel;
using namespace doppel::cuda;
using namespace doppel::plan;
using llvm::BasicBlock;
using llvm::Value;

mlir::LogicalResult cuda::emitKernel(KernelOp kernel, const Machine &machine, llvm::Module &module,
                                     llvm::ArrayRef<bool> disjoint) {
  mlir::Block &body = kernel.getBody().front();
  bool isAugment = kernel.getKind() == nn::KernelKind::Augment;
  mlir::FailureOr<KernelForm> form = KernelForm{};
  if (!isAugment) {
    form = buildKernelForm(body);
    if (failed(form))
      return mlir::failure();
    cutIntoWorkgroups(*form, machine);
    if (form->grid != int64_t(kernel.getGrid()))
      return kernel.emitError("has a grid of ")
             << kernel.getGrid() << " workgroups, its body has " << form->grid;
  }
  if (usesRun(body) && !kernel.getUsesRun())
    return kernel.emitError("reads the run's scalars, but lacks uses_run");

  size_t inputs = body.getNumArguments(), outputs = body.getTerminator()->getNumOperands();
  // An output may be the bytes of an input: an update in place. Slabs are only read, and scratch
  // memory is nobody else's.
  bool hasScratch = kernel.getScratchBytes() > 0;
  llvm::SmallVector<bool> own(inputs + kernel.getUsesRun() + outputs, false);
  assert((disjoint.empty() || disjoint.size() == own.size()) && "a launch has other buffers");
  if (!disjoint.empty())
    own.assign(disjoint.begin(), disjoint.end());
  own.append(llvm::count_if(body.getArgumentTypes(), llvm::IsaPred<nn::ImagesType>), true);
  if (hasScratch)
    own.push_back(true);
  llvm::Function *function = makeKernel(module, kernel.getSymName(), machine.threads, own);
  llvm::LLVMContext &context = module.getContext();
  llvm::IRBuilder<> b(BasicBlock::Create(context, "entry", function));
  llvm::FastMathFlags flags;
  flags.setAllowContract();
  b.setFastMathFlags(flags);
  kernels::KernelBuffers buffers;
  unsigned number = 0;
  for (size_t i = 0; i < inputs; ++i)
    buffers.inputs.push_back(function->getArg(number++));
  if (kernel.getUsesRun())
    buffers.run = function->getArg(number++);
  for (size_t i = 0; i < outputs; ++i)
    buffers.outputs.push_back(function->getArg(number++));
  for (mlir::Type type : body.getArgumentTypes())
    buffers.slabs.push_back(mlir::isa<nn::ImagesType>(type) ? function->getArg(number++) : nullptr);

  if (isAugment) {
    mlir::FailureOr<uint64_t> shared =
        emitViews(kernel, machine, b, buffers, function->getArg(number));
    if (failed(shared))
      return mlir::failure();
    b.CreateRetVoid();
    setSharedBytes(*function, *shared);
    return mlir::success();
  }
  Placeholders gpu(b);
  Value *block = b.CreateZExt(gpu.block(), b.getInt64Ty());
  uint64_t shared = 0;
  int64_t first = 0;
  BasicBlock *done = BasicBlock::Create(context, "done", function);
  for (const LoopNest &nest : form->nests) {
    BasicBlock *own = BasicBlock::Create(context, "nest", function, done);
    bool isLast = &nest == &form->nests.back();
    BasicBlock *other = isLast ? done : BasicBlock::Create(context, "other", function, done);
    if (isLast)
      b.CreateBr(own);
    else
      b.CreateCondBr(b.CreateICmpSLT(block, b.getInt64(first + nest.groups)), own, other);
    b.SetInsertPoint(own);
    Value *group = first ? b.CreateSub(block, b.getInt64(first)) : block;
    shared = std::max(shared, emitNest(b, nest, buffers, machine, group));
    b.CreateBr(done);
    b.SetInsertPoint(other);
    first += nest.groups;
  }
  b.SetInsertPoint(done);
  b.CreateRetVoid();
  setSharedBytes(*function, shared);
  return mlir::success();
}
