// The kernels that every program for GPUs has, and the flag, in the simulator with all of its
// checks; LLVM makes PTX of them.
#include "codegen/cuda/Bind.h"
#include "codegen/cuda/Placeholders.h"
#include "codegen/cuda/Ptx.h"
#include "codegen/cuda/Reserved.h"
#include "codegen/kernels/Draws.h"
#include "runtime/device/sim/Block.h"
#include "runtime/schema/Abi.h"
#include "runtime/schema/GpuAbi.h"

#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/TargetSelect.h"

#include <gtest/gtest.h>
#include <numeric>

using namespace doppel;
using namespace doppel::cuda;

namespace {

namespace abi = doppel::abi; // not the C++ library's

constexpr uint64_t clearFlag = abi::gpuFlagClear;

/// A kernel of one warp, y[thread] = 1, with a stack variable in front.
void emitWriter(llvm::Module &module) {
  llvm::Function *kernel = makeKernel(module, "writer", 32, llvm::ArrayRef<bool>{true});
  setSharedBytes(*kernel, 0);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(module.getContext(), "entry", kernel));
  llvm::Value *slot = b.CreateAlloca(b.getInt32Ty());
  b.CreateStore(b.getInt32(1), slot);
  b.CreateStore(b.CreateLoad(b.getInt32Ty(), slot),
                b.CreateGEP(b.getInt32Ty(), kernel->getArg(0), Placeholders(b).thread()));
  b.CreateRetVoid();
  addFlag(*kernel);
}

std::unique_ptr<llvm::Module> makeModule(llvm::LLVMContext &context) {
  auto module = std::make_unique<llvm::Module>("kernels", context);
  emitReserved(*module);
  emitWriter(*module);
  for (const std::string &draw : kernels::missingDraws(*module)) {
    kernels::defineDraw(draw, *module);
    module->getFunction(draw)->setLinkage(llvm::GlobalValue::InternalLinkage);
  }
  EXPECT_FALSE(llvm::verifyModule(*module, &llvm::errs()));
  return module;
}

/// What a launch gives: a number, or memory aligned to 64 bytes.
struct Argument {
  uint64_t number = 0;
  std::byte *memory = nullptr;
  size_t bytes = 0, elementBytes = 1;
  bool written = false;
  bool readToo = false; ///< what is written holds a value before
};

class CudaReserved : public testing::Test {
protected:
  CudaReserved() {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    auto context = std::make_unique<llvm::LLVMContext>();
    std::unique_ptr<llvm::Module> module = makeModule(*context);
    for (const llvm::Function &function : *module)
      if (isKernel(function))
        shapes[function.getName()] = {blockThreads(function), sharedBytes(function)};
    jit = llvm::cantFail(llvm::orc::LLJITBuilder().create());
    module->setDataLayout(jit->getDataLayout());
    llvm::cantFail(bindSim(*module, /*checked=*/true));
    llvm::cantFail(jit->addIRModule({std::move(module), std::move(context)}));
    *llvm::cantFail(jit->lookup(abi::simServicesSymbol)).toPtr<const abi::SimServices **>() =
        &runtime::sim::services();
  }

  /// Launches `blocks` blocks; what the simulator found, or empty.
  std::string launch(const char *kernel, int blocks, const std::vector<Argument> &arguments) {
    auto entry = llvm::cantFail(jit->lookup(kernel)).toPtr<abi::SimKernelFunction>();
    auto [threads, shared] = shapes[kernel];
    std::vector<void *> values;
    std::vector<runtime::sim::Region> regions; // one an argument, then old values
    for (const Argument &each : arguments) {
      values.push_back(each.memory ? static_cast<void *>(each.memory)
                                   : reinterpret_cast<void *>(each.number));
      regions.push_back({each.memory, each.bytes, each.elementBytes, each.written});
    }
    for (const Argument &each : arguments)
      if (each.readToo)
        regions.push_back({each.memory, each.bytes, each.elementBytes, false});
    runtime::sim::BlockRunner runner;
    if (!runner.prepare(int32_t(threads), shared))
      return "no memory";
    runtime::sim::Checker checker(regions, runner.shared(), shared);
    for (int block = 0; block < blocks; ++block)
      if (auto ran = runner.run(entry, values.data(), block, &checker); !ran)
        return ran.error().message;
    return "";
  }

  template <typename T> Argument input(std::vector<T> &values) { return place(values, false); }
  template <typename T> Argument output(std::vector<T> &values) { return place(values, true); }
  template <typename T> Argument updated(std::vector<T> &values) {
    Argument argument = place(values, true);
    argument.readToo = true;
    return argument;
  }
  static Argument number(uint64_t value) { return {.number = value}; }

  /// Both launches of a check of `values` as command 5.
  void check(std::vector<float> values, uint64_t blocks, uint64_t &flag) {
    size_t count = values.size();
    alignas(64) static float memory[10000];
    std::copy(values.begin(), values.end(), memory);
    std::vector<uint64_t> partials(blocks, 77), one = {flag};
    Argument numbers = {.memory = reinterpret_cast<std::byte *>(memory),
                        .bytes = count * sizeof(float),
                        .elementBytes = sizeof(float)};
    ASSERT_EQ(launch(abi::gpuCheckPartials, int(blocks),
                     {numbers, number(count), number(blocks), output(partials)}),
              "");
    ASSERT_EQ(
        launch(abi::gpuCheckFlag, 1, {input(partials), number(blocks), number(5), updated(one)}),
        "");
    flag = one[0];
  }

  llvm::StringMap<std::pair<unsigned, uint64_t>> shapes;
  std::unique_ptr<llvm::orc::LLJIT> jit;

private:
  template <typename T> Argument place(std::vector<T> &values, bool written) {
    return {.memory = reinterpret_cast<std::byte *>(values.data()),
            .bytes = values.size() * sizeof(T),
            .elementBytes = sizeof(T),
            .written = written};
  }
};

constexpr float nan = __builtin_nanf(""), infinite = __builtin_inff();

uint64_t flagOf(uint64_t element) { return uint64_t(5) << abi::gpuFlagCommandShift | element; }

TEST_F(CudaReserved, ACheckFindsTheFirstValueThatIsNotFinite) {
  for (size_t count : {1, 3, 4, 7, 1024, 1027, 5000})
    for (uint64_t blocks : {1, 3}) {
      std::vector<float> values(count, 3e38f);
      uint64_t flag = clearFlag;
      check(values, blocks, flag);
      EXPECT_EQ(flag, clearFlag) << count;
      for (float bad : {nan, -nan, infinite, -infinite})
        for (size_t at : {size_t(0), count / 2, count - 1}) {
          values.assign(count, -1);
          values[at] = values[count - 1] = bad;
          flag = clearFlag;
          check(values, blocks, flag);
          EXPECT_EQ(flag, flagOf(at)) << count << " values, bad at " << at;
        }
    }
}

TEST_F(CudaReserved, OfManyBadValuesTheFirstIsTold) {
  std::vector<float> values(9000, nan);
  for (size_t at : {0, 1, 255, 1023, 1024, 5001}) {
    std::fill_n(values.begin(), at, 1.0f);
    uint64_t flag = clearFlag;
    check(values, 4, flag);
    EXPECT_EQ(flag, flagOf(at));
  }
}

TEST_F(CudaReserved, AFlagThatIsSetStays) {
  uint64_t flag = 12;
  check({nan}, 1, flag);
  EXPECT_EQ(flag, 12u);
}

TEST_F(CudaReserved, MorePartialsThanThreadsAreAllRead) {
  std::vector<uint64_t> partials(1000, clearFlag), flag = {clearFlag};
  partials[999] = 70;
  partials[300] = 71;
  ASSERT_EQ(launch(abi::gpuCheckFlag, 1, {input(partials), number(1000), number(5), updated(flag)}),
            "");
  EXPECT_EQ(flag[0], flagOf(70));
}

TEST_F(CudaReserved, ACopyIsWholeUnlessTheFlagIsSet) {
  alignas(64) static uint8_t from[10000], to[10000];
  for (size_t i = 0; i < sizeof from; ++i)
    from[i] = uint8_t(i * 7 + i / 256);
  for (size_t bytes : {0, 1, 15, 16, 17, 4096, 9000})
    for (size_t offset : {0, 4, 16})
      for (uint64_t set : {clearFlag, uint64_t(3)}) {
        std::fill_n(to, sizeof to, 0xee);
        std::vector<uint64_t> flag = {set};
        Argument source = {.memory = reinterpret_cast<std::byte *>(from) + offset, .bytes = bytes},
                 target = {.memory = reinterpret_cast<std::byte *>(to) + 16,
                           .bytes = bytes,
                           .written = true};
        ASSERT_EQ(launch(abi::gpuCopy, 2, {source, target, number(bytes), number(2), input(flag)}),
                  "");
        for (size_t i = 0; i < sizeof to; ++i) {
          bool copied = set == clearFlag && i >= 16 && i < 16 + bytes;
          ASSERT_EQ(to[i], copied ? from[i - 16 + offset] : 0xee) << bytes << " bytes, at " << i;
        }
      }
}

TEST_F(CudaReserved, APermutationIsThatOfTheProcessor) {
  for (int64_t count : {1, 2, 5, 256, 257, 1000}) {
    abi::RunScalars run = {
        .seed = 0x123456789abcdef, .step = 41, .stepsPerEpoch = 10, .epochs = 5, .samples = 320};
    uint32_t stream = 17;
    std::vector<int32_t> wanted(count), found(count, -1);
    std::iota(wanted.begin(), wanted.end(), 0);
    for (int64_t i = count - 1; i >= 1; --i) {
      uint32_t word = abi::philox(run.seed, uint64_t(i / 4), stream, 0, uint32_t(run.step))[i % 4];
      std::swap(wanted[i], wanted[int64_t(double(abi::uniform(word)) * double(i + 1))]);
    }
    Argument scalars = {
        .memory = reinterpret_cast<std::byte *>(&run), .bytes = sizeof run, .elementBytes = 8};
    ASSERT_EQ(launch(abi::gpuPermutation, 1,
                     {scalars, output(found), number(uint64_t(count)), number(stream)}),
              "");
    EXPECT_EQ(found, wanted) << count;
  }
}

TEST_F(CudaReserved, AKernelDoesNothingWhileItsFlagIsSet) {
  for (uint64_t set : {clearFlag, uint64_t(0), flagOf(9)}) {
    std::vector<int32_t> y(32, 7);
    std::vector<uint64_t> flag = {set};
    ASSERT_EQ(launch("writer", 1, {output(y), input(flag)}), "");
    EXPECT_EQ(y, std::vector<int32_t>(32, set == clearFlag ? 1 : 7));
  }
  std::vector<int32_t> y(32, 7);
  ASSERT_EQ(launch("writer", 1, {output(y), number(0)}), "");
  EXPECT_EQ(y, std::vector<int32_t>(32, 1));
}

TEST(CudaReservedPtx, NvptxHasCodeForThem) {
  llvm::LLVMContext context;
  std::string ptx = llvm::cantFail(makePtx(*makeModule(context), "sm_80"));
  for (const char *part : {".entry doppel_check_partials(", ".entry doppel_check_flag(",
                           ".entry doppel_copy(", ".entry doppel_permutation(", ".entry writer("})
    EXPECT_NE(ptx.find(part), std::string::npos) << part;
  // Vectors, and nothing in memory that could be a register.
  EXPECT_NE(ptx.find("ld.global.nc.v4"), std::string::npos) << ptx;
  EXPECT_EQ(ptx.find(".local"), std::string::npos) << ptx;
}

} // namespace
