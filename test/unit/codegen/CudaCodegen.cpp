// The kernels of a program as code: what of them goes where, and what launches are told.
#include "codegen/cuda/CudaCodegen.h"
#include "codegen/cuda/Disjoint.h"
#include "dialects/plan/Target.h"
#include "runtime/device/sim/Block.h"
#include "runtime/schema/GpuAbi.h"

#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

using namespace doppel;
using namespace doppel::cuda;

namespace {

/// Two kernels; @relu is launched twice, once in place.
const std::string program = R"(
  plan.arena @state state 0
  plan.arena @transient transient 33024
  plan.arena @io io 128
  plan.kernel @relu map grid 5 scratch 0 {
  ^bb0(%x: tensor<4100xf32>):
    %y = nn.relu %x : tensor<4100xf32>
    nn.yield %y : tensor<4100xf32>
  }
  plan.kernel @sum row grid 1 scratch 0 {
  ^bb0(%x: tensor<4100xf32>, %s: tensor<f32>):
    %y = nn.reduce sum %x [0] : tensor<4100xf32> -> tensor<f32>
    %z = nn.add %y, %s : tensor<f32>
    nn.yield %z : tensor<f32>
  }
  plan.func @step {
    %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<4100xf32>>
    %b = plan.buffer @transient[16448] storage 1 : !plan.buffer<tensor<4100xf32>>
    %c = plan.buffer @transient[16448] storage 2 : !plan.buffer<tensor<4100xf32>>
    %s = plan.buffer @transient[32896] storage 3 : !plan.buffer<tensor<f32>>
    %t = plan.buffer @transient[32960] storage 4 : !plan.buffer<tensor<f32>>
    plan.launch @relu(%a) -> (%b) : (!plan.buffer<tensor<4100xf32>>) -> (!plan.buffer<tensor<4100xf32>>)
    plan.launch @relu(%b) -> (%c) : (!plan.buffer<tensor<4100xf32>>) -> (!plan.buffer<tensor<4100xf32>>)
    plan.launch @sum(%c, %s) -> (%t) : (!plan.buffer<tensor<4100xf32>>, !plan.buffer<tensor<f32>>) -> (!plan.buffer<tensor<f32>>)
  }
)";

class CudaCodegen : public testing::Test {
protected:
  CudaCodegen() { context.loadDialect<nn::NnDialect, plan::PlanDialect>(); }

  mlir::OwningOpRef<mlir::ModuleOp> parse(const std::string &target) {
    auto module = mlir::parseSourceString<mlir::ModuleOp>(
        "module attributes {plan.target = #plan.target<" + target + ">} {" + program + "}",
        &context);
    EXPECT_TRUE(module);
    return module;
  }
  mlir::OwningOpRef<mlir::ModuleOp> forGpus() {
    return parse(R"(kind = "cuda", architectures = ["sm_80", "sm_90"])");
  }

  mlir::MLIRContext context;
};

TEST_F(CudaCodegen, TheRuntimeKnowsTheArchitecturesThatAreNamed) {
  std::vector<int> names;
  for (const plan::Architecture &each : plan::getArchitectures())
    names.push_back(int(each.number));
  EXPECT_EQ(names, std::vector<int>(std::begin(doppel::abi::gpuArchitectures),
                                    std::end(doppel::abi::gpuArchitectures)));
}

TEST_F(CudaCodegen, OnlyWhatNoLaunchWritesOverIsDisjoint) {
  auto module = forGpus();
  DisjointBuffers found = disjointBuffers(*module);
  // In place once, so never.
  EXPECT_EQ(found["relu"], (llvm::SmallVector<bool>{false, false}));
  EXPECT_EQ(found["sum"], (llvm::SmallVector<bool>{true, true, true}));
}

TEST_F(CudaCodegen, EachKernelIsAnEntryOfOneModule) {
  auto module = forGpus();
  auto code = compileKernels(*module, nullptr);
  ASSERT_TRUE(succeeded(code));
  ASSERT_EQ(code->modules.size(), 2u);
  for (auto [number, name] : {std::pair(0, "relu"), std::pair(1, "sum")}) {
    const std::string &ptx = code->modules[number].ptx;
    EXPECT_NE(ptx.find(".entry " + std::string(name)), std::string::npos) << ptx;
    EXPECT_NE(ptx.find(".target sm_80"), std::string::npos) << ptx;
    EXPECT_TRUE(code->modules[number].cubins.empty());
    EXPECT_EQ(code->blocks[number].kernel, name);
    EXPECT_EQ(code->blocks[number].threads, 256u);
  }
  // What is written over is read by plain loads, vectors in both.
  EXPECT_NE(code->modules[0].ptx.find("ld.global.v4"), std::string::npos) << code->modules[0].ptx;
  EXPECT_EQ(code->modules[0].ptx.find("ld.global.nc.v4"), std::string::npos)
      << code->modules[0].ptx;
  EXPECT_NE(code->modules[1].ptx.find("ld.global.nc.v4"), std::string::npos)
      << code->modules[1].ptx;
  EXPECT_EQ(code->blocks[0].sharedBytes, 0u);
  EXPECT_GE(code->blocks[1].sharedBytes, 64u); // a number of f64 for each of eight warps
}

TEST_F(CudaCodegen, EachKernelTakesTheFlagAndTheLastModuleHasTheReservedOnes) {
  auto code = compileKernels(*forGpus(), nullptr);
  ASSERT_TRUE(succeeded(code));
  // Two buffers and the flag, three and the flag.
  for (auto [number, last, none] :
       {std::tuple(0, ".param .u64 .ptr .align 1 relu_param_2", "relu_param_3"),
        std::tuple(1, ".param .u64 .ptr .align 1 sum_param_3", "sum_param_4")}) {
    const std::string &ptx = code->modules[number].ptx;
    EXPECT_NE(ptx.find(last), std::string::npos) << ptx;
    EXPECT_EQ(ptx.find(none), std::string::npos) << ptx;
  }
  for (const char *kernel :
       {"doppel_check_partials", "doppel_check_flag", "doppel_copy", "doppel_permutation"})
    for (size_t number : {0, 1})
      EXPECT_EQ(code->modules[number].ptx.find(".entry " + std::string(kernel) + "(") !=
                    std::string::npos,
                number == 1)
          << kernel;
}

TEST_F(CudaCodegen, TheSameProgramGivesTheSameCode) {
  auto one = compileKernels(*forGpus(), nullptr), other = compileKernels(*forGpus(), nullptr);
  ASSERT_TRUE(succeeded(one) && succeeded(other));
  for (auto [a, b] : llvm::zip_equal(one->modules, other->modules))
    EXPECT_EQ(a.ptx, b.ptx);
}

/// An assembler that makes nothing of its own, and fails for one architecture.
struct EchoAssembler : Assembler {
  std::string description() const override { return "echo"; }
  llvm::Expected<Cubin> assemble(llvm::StringRef ptx, llvm::StringRef architecture) const override {
    if (architecture == refused)
      return llvm::createStringError("echo makes no code");
    return Cubin{architecture.str(),
                 {{ptx.contains(".entry relu") ? "relu" : "sum", 40, 0, 8, 4, 2}}};
  }
  std::string refused;
};

TEST_F(CudaCodegen, CubinsAreMadeForEachArchitectureAndTold) {
  auto module = forGpus();
  EchoAssembler assembler;
  auto code = compileKernels(*module, &assembler);
  ASSERT_TRUE(succeeded(code));
  for (const GpuModule &each : code->modules) {
    ASSERT_EQ(each.cubins.size(), 2u);
    EXPECT_EQ(each.cubins[0].bytes, "sm_80");
    EXPECT_EQ(each.cubins[1].bytes, "sm_90");
  }
  std::string table = describeUsage(*module, *code);
  EXPECT_EQ(llvm::StringRef(table).count('\n'), 5u) << table;
  for (const char *line :
       {"relu             sm_80          5     256        40       0       8           4          "
        "2\n",
        "relu             sm_90 ", "sum              sm_80 ", "sum              sm_90 "})
    EXPECT_NE(table.find(line), std::string::npos) << table;
}

TEST_F(CudaCodegen, WhatTheAssemblerRefusesIsAnError) {
  EchoAssembler assembler;
  assembler.refused = "sm_90";
  std::string message;
  mlir::ScopedDiagnosticHandler handler(
      &context, [&](mlir::Diagnostic &diagnostic) { message = diagnostic.str(); });
  EXPECT_TRUE(failed(compileKernels(*forGpus(), &assembler)));
  EXPECT_EQ(message, "echo makes no code");
}

TEST_F(CudaCodegen, ForTheSimulatorTheyAreFunctionsOfASharedObject) {
  auto module = parse(R"(kind = "cuda-sim", name = "x86-64", features = [],
                         architectures = ["sm_80"], check = true)");
  auto code = compileForSimulator(*module);
  ASSERT_TRUE(succeeded(code));
  llvm::SmallString<128> path;
  ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("doppel-sim", "so", path));
  {
    std::error_code error;
    llvm::raw_fd_ostream(path, error) << code->elf;
  }
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  llvm::sys::fs::remove(path);
  ASSERT_TRUE(library) << dlerror();
  auto **services = static_cast<const doppel::abi::SimServices **>(
      dlsym(library, doppel::abi::simServicesSymbol));
  auto kernel = reinterpret_cast<doppel::abi::SimKernelFunction>(dlsym(library, "relu"));
  ASSERT_TRUE(services && kernel);
  *services = &runtime::sim::services();

  std::vector<float> x(4100), y(4100, 5);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = float(i) - 2000;
  runtime::sim::BlockRunner runner;
  ASSERT_TRUE(runner.prepare(int32_t(code->blocks[0].threads), code->blocks[0].sharedBytes));
  runtime::sim::Region regions[] = {
      {reinterpret_cast<std::byte *>(x.data()), x.size() * 4, 4, false},
      {reinterpret_cast<std::byte *>(y.data()), y.size() * 4, 4, true}};
  runtime::sim::Checker checker(regions, runner.shared(), code->blocks[0].sharedBytes);
  void *buffers[] = {x.data(), y.data()};
  for (int32_t block = 0; block < 5; ++block) {
    auto ran = runner.run(kernel, buffers, block, &checker);
    EXPECT_TRUE(ran) << ran.error().message;
  }
  for (size_t i = 0; i < x.size(); ++i)
    ASSERT_EQ(y[i], std::max(x[i], 0.0f)) << i;
  // Checked: the same of a smaller buffer writes outside of it.
  regions[1].bytes -= 4;
  runtime::sim::Checker smaller(regions, runner.shared(), code->blocks[0].sharedBytes);
  EXPECT_FALSE(runner.run(kernel, buffers, 4, &smaller));
}

} // namespace
