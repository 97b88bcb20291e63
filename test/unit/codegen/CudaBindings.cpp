// One kernel with every placeholder, bound to NVVM and to the simulator.
#include "codegen/cuda/Bind.h"
#include "codegen/cuda/Placeholders.h"
#include "codegen/cuda/Ptx.h"
#include "runtime/device/sim/Block.h"

#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/TargetSelect.h"

#include <gtest/gtest.h>

using namespace doppel::cuda;
using namespace doppel::runtime::sim;
using llvm::IRBuilder;
using llvm::Value;

namespace {

constexpr unsigned threads = 128;

/// What the kernel leaves out or does wrong.
enum Slip { NoSlip, NoBarrier, ReadsBehind, WritesInput };

/// y[b] = sum of x[b, 0 .. 127], in f64, as every thread has it; the kernel "row_sum".
llvm::Function *rowSum(llvm::Module &module, Slip slip = NoSlip) {
  llvm::Function *kernel = makeKernel(module, "row_sum", threads, {true, true});
  setSharedBytes(*kernel, threads / warpThreads * sizeof(double));
  llvm::LLVMContext &context = module.getContext();
  IRBuilder<> b(llvm::BasicBlock::Create(context, "entry", kernel));
  Placeholders gpu(b);
  llvm::Type *f32 = b.getFloatTy(), *f64 = b.getDoubleTy();
  Value *thread = gpu.thread(), *block = gpu.block();
  Value *element = b.CreateAdd(b.CreateMul(block, b.getInt32(threads)), thread);
  if (slip == ReadsBehind)
    element = b.CreateAdd(element, b.getInt32(1));
  Value *x = b.CreateLoad(f32, b.CreateGEP(f32, kernel->getArg(0), element));
  Value *sum = b.CreateFPExt(x, f64);
  for (unsigned mask = warpThreads / 2; mask > 0; mask /= 2)
    sum = b.CreateFAdd(sum, gpu.shuffleXor(sum, mask));
  Value *memory = gpu.shared();
  auto slot = [&](Value *warp) { return b.CreateGEP(f64, memory, warp); };
  auto inBranch = [&](Value *condition, llvm::function_ref<void()> body) {
    auto *in = llvm::BasicBlock::Create(context, "in", kernel),
         *out = llvm::BasicBlock::Create(context, "out", kernel);
    b.CreateCondBr(condition, in, out);
    b.SetInsertPoint(in);
    body();
    b.CreateBr(out);
    b.SetInsertPoint(out);
  };
  inBranch(b.CreateICmpEQ(b.CreateAnd(thread, warpThreads - 1), b.getInt32(0)),
           [&] { b.CreateStore(sum, slot(b.CreateLShr(thread, 5))); });
  if (slip != NoBarrier)
    gpu.barrier();
  Value *total = llvm::ConstantFP::get(f64, 0);
  for (unsigned warp = 0; warp < threads / warpThreads; ++warp)
    total = b.CreateFAdd(total, b.CreateLoad(f64, slot(b.getInt32(warp))));
  inBranch(b.CreateICmpEQ(thread, b.getInt32(0)), [&] {
    Value *target = kernel->getArg(slip == WritesInput ? 0 : 1);
    b.CreateStore(b.CreateFPTrunc(total, f32), b.CreateGEP(f32, target, block));
  });
  b.CreateRetVoid();
  return kernel;
}

TEST(CudaBindings, NvvmMakesPtxOfEveryPlaceholder) {
  llvm::LLVMContext context;
  llvm::Module module("kernels", context);
  rowSum(module);
  std::string text = llvm::cantFail(makePtx(module, "sm_80"));
  for (const char *part : {".entry row_sum", ".reqntid 128", "%tid.x", "%ctaid.x", "bar.sync",
                           "shfl.sync.bfly", ".shared .align 16 .b8 row_sum_shared[32]"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  EXPECT_EQ(text.find("doppel."), std::string::npos);
}

/// Runs the kernel over 4 rows in the simulator; the sums, or what it found.
std::string simulate(Slip slip, std::vector<float> &sums) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  auto context = std::make_unique<llvm::LLVMContext>();
  auto module = std::make_unique<llvm::Module>("kernels", *context);
  auto jit = llvm::cantFail(llvm::orc::LLJITBuilder().create());
  module->setDataLayout(jit->getDataLayout());
  rowSum(*module, slip);
  llvm::cantFail(bindSim(*module, /*checked=*/true));
  EXPECT_FALSE(llvm::verifyModule(*module, &llvm::errs()));
  llvm::cantFail(jit->addIRModule({std::move(module), std::move(context)}));
  auto address = [&](const char *name) { return llvm::cantFail(jit->lookup(name)); };
  *address(doppel::abi::simServicesSymbol).toPtr<const doppel::abi::SimServices **>() = &services();
  auto kernel = address("row_sum").toPtr<doppel::abi::SimKernelFunction>();

  std::vector<float> x(4 * threads);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = float(i % 7) + 1e8f * float(i % 2);
  sums.assign(4, -1);
  size_t sharedBytes = threads / warpThreads * sizeof(double);
  BlockRunner runner;
  EXPECT_TRUE(runner.prepare(threads, sharedBytes));
  Region regions[] = {{reinterpret_cast<std::byte *>(x.data()), x.size() * 4, 4, false},
                      {reinterpret_cast<std::byte *>(sums.data()), sums.size() * 4, 4, true}};
  Checker checker(regions, runner.shared(), sharedBytes);
  void *buffers[] = {x.data(), sums.data()};
  for (int block = 0; block < 4; ++block)
    if (auto ran = runner.run(kernel, buffers, block, &checker); !ran)
      return ran.error().message;
  for (int block = 0; block < 4; ++block) {
    double sum = 0;
    for (unsigned i = 0; i < threads; ++i)
      sum += double(x[block * threads + i]);
    EXPECT_EQ(sums[block], float(sum)) << block;
  }
  return "";
}

TEST(CudaBindings, TheSimulatorComputesTheSame) {
  std::vector<float> sums;
  EXPECT_EQ(simulate(NoSlip, sums), "");
}

TEST(CudaBindings, TheSimulatorFindsSlipsOfTheKernel) {
  std::vector<float> sums;
  EXPECT_NE(simulate(NoBarrier, sums).find("of shared memory, which no thread wrote"),
            std::string::npos);
  EXPECT_NE(simulate(ReadsBehind, sums).find("thread 127 of block 3 reads 4 bytes outside of"),
            std::string::npos);
  EXPECT_NE(simulate(WritesInput, sums).find("writes buffer 0, an input"), std::string::npos);
}

TEST(CudaBindings, MaskedAccessesAreRefusedWhereTheyWouldBeChecked) {
  llvm::LLVMContext context;
  llvm::Module module("kernels", context);
  llvm::Function *kernel = makeKernel(module, "masked", 32, {true});
  IRBuilder<> b(llvm::BasicBlock::Create(context, "entry", kernel));
  auto *type = llvm::FixedVectorType::get(b.getFloatTy(), 4);
  auto *mask = llvm::FixedVectorType::get(b.getInt1Ty(), 4);
  b.CreateMaskedStore(llvm::Constant::getNullValue(type), kernel->getArg(0), llvm::Align(16),
                      llvm::Constant::getAllOnesValue(mask));
  b.CreateRetVoid();
  std::string message = llvm::toString(bindSim(module, true));
  EXPECT_NE(message.find("kernel 'masked' uses memory by 'llvm.masked.store"), std::string::npos)
      << message;
}

} // namespace
