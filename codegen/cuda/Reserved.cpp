#include "codegen/cuda/Reserved.h"

#include "codegen/cuda/Placeholders.h"
#include "codegen/kernels/Draws.h"
#include "runtime/schema/GpuAbi.h"

#include "llvm/Transforms/Utils/Cloning.h"

using namespace doppel;
using namespace doppel::cuda;
using llvm::BasicBlock;
using llvm::Value;

namespace {

constexpr unsigned threads = abi::gpuReservedThreads;
constexpr unsigned warps = threads / warpThreads;

/// One of the reserved kernels while it is made. Numbers are i64.
class Maker {
public:
  Maker(llvm::Module &module, const char *name, llvm::ArrayRef<bool> pointers)
      : context(module.getContext()), b(context), gpu(b) {
    llvm::SmallVector<llvm::Type *> types;
    for (bool isPointer : pointers)
      types.push_back(isPointer ? static_cast<llvm::Type *>(b.getPtrTy()) : b.getInt64Ty());
    // makeKernel's own arguments are buffers alone.
    llvm::Function *bare = makeKernel(module, name, threads, llvm::ArrayRef<bool>{});
    function = llvm::Function::Create(llvm::FunctionType::get(b.getVoidTy(), types, false),
                                      bare->getLinkage(), "", module);
    function->copyAttributesFrom(bare);
    function->takeName(bare);
    bare->eraseFromParent();
    setSharedBytes(*function, 0);
    entry = BasicBlock::Create(context, "entry", function);
    b.SetInsertPoint(entry);
    thread = b.CreateZExt(gpu.thread(), b.getInt64Ty());
  }
  ~Maker() { b.CreateRetVoid(); }

  Value *argument(unsigned number) { return function->getArg(number); }
  /// Marks an argument as bytes that this kernel reaches by no other.
  void own(unsigned number) { function->addParamAttr(number, llvm::Attribute::NoAlias); }
  Value *number(uint64_t value) { return b.getInt64(value); }
  Value *least(Value *x, Value *y) { return b.CreateBinaryIntrinsic(llvm::Intrinsic::umin, x, y); }
  Value *isClear(Value *flag) {
    return b.CreateICmpEQ(b.CreateLoad(b.getInt64Ty(), flag), number(abi::gpuFlagClear));
  }
  /// A variable, of which the optimizer makes registers.
  Value *variable(Value *begin) {
    llvm::IRBuilder<> top(entry, entry->begin());
    Value *slot = top.CreateAlloca(begin->getType());
    b.CreateStore(begin, slot);
    return slot;
  }
  Value *get(Value *variable) { return b.CreateLoad(b.getInt64Ty(), variable); }

  void when(Value *condition, llvm::function_ref<void()> body) {
    auto *in = BasicBlock::Create(context, "in", function),
         *out = BasicBlock::Create(context, "out", function);
    b.CreateCondBr(condition, in, out);
    b.SetInsertPoint(in);
    body();
    b.CreateBr(out);
    b.SetInsertPoint(out);
  }
  /// `body` while `condition`.
  void loop(llvm::function_ref<Value *()> condition, llvm::function_ref<void()> body) {
    auto *test = BasicBlock::Create(context, "test", function),
         *in = BasicBlock::Create(context, "loop", function),
         *out = BasicBlock::Create(context, "after", function);
    b.CreateBr(test);
    b.SetInsertPoint(test);
    b.CreateCondBr(condition(), in, out);
    b.SetInsertPoint(in);
    body();
    b.CreateBr(test);
    b.SetInsertPoint(out);
  }
  /// `body` for begin, begin + step, ... below end.
  void count(Value *begin, Value *end, Value *step, llvm::function_ref<void(Value *)> body) {
    Value *index = variable(begin);
    loop([&] { return b.CreateICmpSLT(get(index), end); },
         [&] {
           Value *i = get(index);
           body(i);
           b.CreateStore(b.CreateAdd(i, step), index);
         });
  }
  /// Index of this thread among those of `blocks` blocks, and their number.
  std::pair<Value *, Value *> placeInGrid(Value *blocks) {
    Value *block = b.CreateZExt(gpu.block(), b.getInt64Ty());
    return {b.CreateAdd(b.CreateMul(block, number(threads)), thread),
            b.CreateMul(blocks, number(threads))};
  }
  /// `body` in the block's first thread, with the least of all threads' `x`.
  void withLeastOfBlock(Value *x, llvm::function_ref<void(Value *)> body) {
    for (unsigned mask = warpThreads / 2; mask > 0; mask /= 2)
      x = least(x, gpu.shuffleXor(x, mask));
    setSharedBytes(*function, warps * sizeof(uint64_t));
    Value *memory = gpu.shared();
    auto slot = [&](Value *warp) { return b.CreateGEP(b.getInt64Ty(), memory, warp); };
    when(b.CreateICmpEQ(b.CreateAnd(thread, warpThreads - 1), number(0)),
         [&] { b.CreateStore(x, slot(b.CreateUDiv(thread, number(warpThreads)))); });
    gpu.barrier();
    when(b.CreateICmpEQ(thread, number(0)), [&] {
      Value *all = x;
      for (unsigned warp = 1; warp < warps; ++warp)
        all = least(all, b.CreateLoad(b.getInt64Ty(), slot(number(warp))));
      body(all);
    });
  }

  llvm::LLVMContext &context;
  llvm::IRBuilder<> b;
  Placeholders gpu;
  llvm::Function *function;
  BasicBlock *entry;
  Value *thread;
};

constexpr bool pointer = true, integer = false;

void emitCheckPartials(llvm::Module &module) {
  Maker k(module, abi::gpuCheckPartials, {pointer, integer, integer, pointer});
  k.own(0);
  k.own(3);
  auto &b = k.b;
  Value *values = k.argument(0), *count = k.argument(1);
  auto [place, all] = k.placeInGrid(k.argument(2));
  Value *found = k.variable(k.number(abi::gpuFlagClear));
  constexpr uint32_t exponent = 0x7f800000; // all of it set: infinite or no number
  auto look = [&](Value *bad, Value *element) {
    Value *index = b.CreateSelect(bad, element, k.number(abi::gpuFlagClear));
    b.CreateStore(k.least(k.get(found), index), found);
  };
  constexpr unsigned lanes = 4;
  Value *vectors = b.CreateUDiv(count, k.number(lanes));
  k.count(place, vectors, all, [&](Value *vector) {
    auto *type = llvm::FixedVectorType::get(b.getInt32Ty(), lanes);
    Value *bits = b.CreateAlignedLoad(type, b.CreateGEP(type, values, vector), llvm::Align(16));
    Value *mask = b.CreateVectorSplat(lanes, b.getInt32(exponent));
    Value *bad = b.CreateICmpEQ(b.CreateAnd(bits, mask), mask);
    Value *any = b.getFalse();
    for (uint64_t lane = 0; lane < lanes; ++lane)
      any = b.CreateOr(any, b.CreateExtractElement(bad, lane));
    k.when(any, [&] {
      for (uint64_t lane = 0; lane < lanes; ++lane)
        look(b.CreateExtractElement(bad, lane),
             b.CreateAdd(b.CreateMul(vector, k.number(lanes)), k.number(lane)));
    });
  });
  // What is behind the last whole vector.
  Value *rest = b.CreateAdd(b.CreateMul(vectors, k.number(lanes)), place);
  k.when(b.CreateICmpSLT(rest, count), [&] {
    Value *bits = b.CreateLoad(b.getInt32Ty(), b.CreateGEP(b.getInt32Ty(), values, rest));
    look(b.CreateICmpEQ(b.CreateAnd(bits, exponent), b.getInt32(exponent)), rest);
  });
  k.withLeastOfBlock(k.get(found), [&](Value *least) {
    b.CreateStore(least, b.CreateGEP(b.getInt64Ty(), k.argument(3), k.gpu.block()));
  });
}

void emitCheckFlag(llvm::Module &module) {
  Maker k(module, abi::gpuCheckFlag, {pointer, integer, integer, pointer});
  k.own(0);
  auto &b = k.b;
  Value *found = k.variable(k.number(abi::gpuFlagClear)), *flag = k.argument(3);
  k.count(k.thread, k.argument(1), k.number(threads), [&](Value *i) {
    Value *partial = b.CreateLoad(b.getInt64Ty(), b.CreateGEP(b.getInt64Ty(), k.argument(0), i));
    b.CreateStore(k.least(k.get(found), partial), found);
  });
  k.withLeastOfBlock(k.get(found), [&](Value *element) {
    Value *bad = b.CreateICmpNE(element, k.number(abi::gpuFlagClear));
    k.when(b.CreateAnd(bad, k.isClear(flag)), [&] {
      Value *command = b.CreateShl(k.argument(2), abi::gpuFlagCommandShift);
      b.CreateStore(b.CreateOr(command, element), flag);
    });
  });
}

void emitCopy(llvm::Module &module) {
  Maker k(module, abi::gpuCopy, {pointer, pointer, integer, integer});
  k.own(0);
  k.own(1);
  auto &b = k.b;
  Value *source = k.argument(0), *target = k.argument(1), *bytes = k.argument(2);
  auto [place, all] = k.placeInGrid(k.argument(3));
  auto *byte = b.getInt8Ty();
  auto *vector = llvm::FixedVectorType::get(b.getInt32Ty(), 4);
  auto move = [&](llvm::Type *type, llvm::Align align, Value *i) {
    Value *value = b.CreateAlignedLoad(type, b.CreateGEP(type, source, i), align);
    b.CreateAlignedStore(value, b.CreateGEP(type, target, i), align);
  };
  auto *i64 = b.getInt64Ty();
  Value *either = b.CreateOr(b.CreatePtrToInt(source, i64), b.CreatePtrToInt(target, i64));
  Value *aligned = b.CreateICmpEQ(b.CreateAnd(either, 15), k.number(0));
  Value *vectors = b.CreateSelect(aligned, b.CreateUDiv(bytes, k.number(16)), k.number(0));
  k.count(place, vectors, all, [&](Value *i) { move(vector, llvm::Align(16), i); });
  k.count(b.CreateAdd(b.CreateMul(vectors, k.number(16)), place), bytes, all,
          [&](Value *i) { move(byte, llvm::Align(1), i); });
}

/// Fisher-Yates, as dialects/nn/README.md defines it: all threads draw, the first one swaps.
void emitPermutation(llvm::Module &module) {
  Maker k(module, abi::gpuPermutation, {pointer, pointer, integer, integer});
  k.own(0);
  k.own(1);
  auto &b = k.b;
  auto *i64 = b.getInt64Ty(), *i32 = b.getInt32Ty();
  Value *permutation = k.argument(1), *count = k.argument(2);
  Value *seed = b.CreateLoad(i64, k.argument(0));
  Value *step = b.CreateTrunc(b.CreateLoad(i64, b.CreateGEP(i64, k.argument(0), k.number(1))), i32);
  Value *counter = b.CreateShl(b.CreateTrunc(k.argument(3), i32), 8);
  auto place = [&](Value *i) { return b.CreateGEP(i32, permutation, i); };
  setSharedBytes(*k.function, threads * sizeof(uint64_t));
  Value *memory = k.gpu.shared();
  auto drawn = [&](Value *i) { return b.CreateGEP(i64, memory, i); };
  k.count(k.thread, count, k.number(threads),
          [&](Value *i) { b.CreateStore(b.CreateTrunc(i, i32), place(i)); });
  // Elements last, last - 1, ... in rounds of one a thread.
  Value *last = k.variable(b.CreateSub(count, k.number(1)));
  k.loop([&] { return b.CreateICmpSGE(k.get(last), k.number(1)); },
         [&] {
           Value *i = b.CreateSub(k.get(last), k.thread);
           k.when(b.CreateICmpSGE(i, k.number(1)), [&] {
             Value *index = b.CreateUDiv(i, k.number(4)), *lane = b.CreateAnd(i, 3);
             Value *uniforms = kernels::callUniforms(
                 b,
                 {b.CreateTrunc(index, i32), b.CreateTrunc(b.CreateLShr(index, 32), i32), counter,
                  step},
                 b.CreateTrunc(seed, i32), b.CreateTrunc(b.CreateLShr(seed, 32), i32));
             Value *uniform = b.CreateExtractElement(uniforms, uint64_t(0));
             for (uint64_t each = 1; each < 4; ++each)
               uniform = b.CreateSelect(b.CreateICmpEQ(lane, k.number(each)),
                                        b.CreateExtractElement(uniforms, each), uniform);
             auto *f64 = b.getDoubleTy();
             Value *choices = b.CreateSIToFP(b.CreateAdd(i, k.number(1)), f64);
             Value *other = b.CreateFPToSI(b.CreateFMul(b.CreateFPExt(uniform, f64), choices), i64);
             b.CreateStore(other, drawn(k.thread));
           });
           k.gpu.barrier();
           Value *begin = k.get(last);
           k.when(b.CreateICmpEQ(k.thread, k.number(0)), [&] {
             Value *swaps = k.least(begin, k.number(threads));
             k.count(k.number(0), swaps, k.number(1), [&](Value *turn) {
               Value *one = place(b.CreateSub(begin, turn));
               Value *other = place(b.CreateLoad(i64, drawn(turn)));
               Value *x = b.CreateLoad(i32, one), *y = b.CreateLoad(i32, other);
               b.CreateStore(y, one);
               b.CreateStore(x, other);
             });
           });
           k.gpu.barrier();
           b.CreateStore(b.CreateSub(begin, k.number(threads)), last);
         });
}

} // namespace

void cuda::emitReserved(llvm::Module &module) {
  emitCheckPartials(module);
  emitCheckFlag(module);
  emitCopy(module);
  addFlag(*module.getFunction(abi::gpuCopy));
  emitPermutation(module);
}

llvm::Function *cuda::addFlag(llvm::Function &kernel) {
  llvm::LLVMContext &context = kernel.getContext();
  llvm::SmallVector<llvm::Type *> types(kernel.getFunctionType()->params());
  types.push_back(llvm::PointerType::getUnqual(context));
  auto *flagged =
      llvm::Function::Create(llvm::FunctionType::get(kernel.getReturnType(), types, false),
                             kernel.getLinkage(), "", kernel.getParent());
  llvm::ValueToValueMapTy map;
  for (llvm::Argument &argument : kernel.args())
    map[&argument] = flagged->getArg(argument.getArgNo());
  llvm::SmallVector<llvm::ReturnInst *> returns;
  llvm::CloneFunctionInto(flagged, &kernel, map, llvm::CloneFunctionChangeType::LocalChangesOnly,
                          returns);
  flagged->takeName(&kernel);
  llvm::Argument *flag = flagged->getArg(kernel.arg_size());
  kernel.eraseFromParent();
  // Checks are other launches: while this one runs, nobody writes it.
  flag->addAttr(llvm::Attribute::NoAlias);
  // Behind the stack's variables, which are in registers only as long as they begin the function.
  BasicBlock &entry = flagged->getEntryBlock();
  BasicBlock *body = entry.splitBasicBlock(entry.getFirstNonPHIOrDbgOrAlloca(), "body");
  entry.getTerminator()->eraseFromParent();
  auto *look = BasicBlock::Create(context, "look", flagged, body),
       *end = BasicBlock::Create(context, "end", flagged);
  llvm::IRBuilder<> b(&entry);
  b.CreateCondBr(b.CreateIsNull(flag), body, look);
  b.SetInsertPoint(look);
  Value *isClear =
      b.CreateICmpEQ(b.CreateLoad(b.getInt64Ty(), flag), b.getInt64(abi::gpuFlagClear));
  b.CreateCondBr(isClear, body, end);
  llvm::ReturnInst::Create(context, end);
  return flagged;
}
