// Kernels over the threads of a block, one or more of each kind: LLVM makes PTX of them that the
// assembler takes, and in the simulator, which checks every access, they compute what the oracle
// does.
#include "codegen/cuda/Bind.h"
#include "codegen/cuda/Cubin.h"
#include "codegen/cuda/KernelEmitter.h"
#include "codegen/cuda/Placeholders.h"
#include "codegen/cuda/Ptx.h"
#include "codegen/kernels/Draws.h"
#include "codegen/reference/Interpreter.h"
#include "dialects/plan/Workgroups.h"
#include "runtime/device/sim/Block.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Transforms/Utils/Cloning.h"

#include <gtest/gtest.h>

using namespace doppel;
using namespace doppel::cuda;
using reference::Tensor;

namespace {

constexpr int64_t step = 3;

/// Bytes of a tensor as the kernel has them.
std::vector<std::byte> encode(const Tensor &tensor, mlir::Type element) {
  std::vector<std::byte> bytes;
  auto append = [&](auto number) {
    auto *begin = reinterpret_cast<const std::byte *>(&number);
    bytes.insert(bytes.end(), begin, begin + sizeof number);
  };
  for (double value : tensor.values) {
    if (element.isF32())
      append(float(value));
    else if (element.isF64())
      append(value);
    else if (element.isInteger(64))
      append(int64_t(value));
    else if (element.isInteger(32))
      append(int32_t(value));
    else
      append(uint8_t(value));
  }
  return bytes;
}

template <typename Number> void decodeInto(Tensor &tensor, const std::vector<std::byte> &bytes) {
  for (int64_t i = 0; i < tensor.size(); ++i) {
    Number number;
    std::memcpy(&number, bytes.data() + i * sizeof number, sizeof number);
    tensor[i] = double(number);
  }
}

Tensor decode(const std::vector<std::byte> &bytes, mlir::Type type) {
  Tensor tensor(reference::shapeOf(type));
  mlir::Type element = mlir::getElementTypeOrSelf(type);
  if (element.isF32())
    decodeInto<float>(tensor, bytes);
  else if (element.isF64())
    decodeInto<double>(tensor, bytes);
  else if (element.isInteger(64))
    decodeInto<int64_t>(tensor, bytes);
  else if (element.isInteger(32))
    decodeInto<int32_t>(tensor, bytes);
  else
    decodeInto<uint8_t>(tensor, bytes);
  return tensor;
}

class CudaNests : public testing::Test {
protected:
  CudaNests() {
    context.loadDialect<nn::NnDialect, plan::PlanDialect, mlir::func::FuncDialect>();
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
  }

  /// The functions of `text` as kernels, each against the oracle. An integer argument is an index
  /// below `limit`. With `inPlace` the first output is the bytes of the first input.
  void check(const std::string &text, int64_t limit = 1, bool inPlace = false) {
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    ASSERT_TRUE(module) << text;
    auto target =
        plan::targetAttrOf(&context, {.kind = plan::cudaKind, .architectures = {"sm_80"}});
    plan::Machine machine = plan::machineOf(target);
    for (auto function : llvm::to_vector(module->getOps<mlir::func::FuncOp>()))
      checkFunction(*module, function, machine, limit, inPlace);
  }

private:
  plan::KernelOp kernelOf(mlir::ModuleOp module, mlir::func::FuncOp function,
                          const plan::Machine &machine) {
    mlir::Region body;
    mlir::IRMapping mapping;
    function.getBody().cloneInto(&body, mapping);
    mlir::Operation *end = body.front().getTerminator();
    mlir::OpBuilder builder(end);
    nn::YieldOp::create(builder, end->getLoc(), end->getOperands());
    end->erase();
    auto grid = plan::gridOf(nn::KernelKind::Map, body.front(), machine);
    if (failed(grid))
      return nullptr;
    builder.setInsertionPointToEnd(module.getBody());
    auto kernel = plan::KernelOp::create(builder, function.getLoc(), "kernel", nn::KernelKind::Map,
                                         grid->grid, 0, plan::usesRun(body.front()));
    kernel.getBody().takeBody(body);
    return kernel;
  }

  void checkFunction(mlir::ModuleOp module, mlir::func::FuncOp function,
                     const plan::Machine &machine, int64_t limit, bool inPlace) {
    SCOPED_TRACE(function.getName().str());
    plan::KernelOp kernel = kernelOf(module, function, machine);
    ASSERT_TRUE(kernel);
    auto llvmContext = std::make_unique<llvm::LLVMContext>();
    auto made = std::make_unique<llvm::Module>("kernels", *llvmContext);
    ASSERT_TRUE(succeeded(emitKernel(kernel, machine, *made)));
    for (const std::string &draw : kernels::missingDraws(*made)) {
      kernels::defineDraw(draw, *made);
      made->getFunction(draw)->setLinkage(llvm::GlobalValue::InternalLinkage);
    }
    ASSERT_FALSE(llvm::verifyModule(*made, &llvm::errs()));
    assemble(*made);

    // The same arguments for both.
    std::vector<reference::Value> arguments;
    std::vector<std::vector<std::byte>> buffers;
    std::vector<size_t> elementBytes;
    for (auto [number, type] : llvm::enumerate(function.getArgumentTypes())) {
      mlir::Type element = mlir::getElementTypeOrSelf(type);
      Tensor tensor(reference::shapeOf(type));
      for (int64_t i = 0; i < tensor.size(); ++i) {
        float u =
            doppel::abi::uniform(doppel::abi::philox(17, uint64_t(i) / 4, number, 255, 0)[i % 4]);
        if (mlir::isa<mlir::FloatType>(element))
          tensor[i] = 2 * u - 1;
        else
          tensor[i] = element.isInteger(1) ? u > 0.5f : double(int64_t(u * float(limit)));
      }
      buffers.push_back(encode(tensor, element));
      elementBytes.push_back(buffers.back().size() / tensor.size());
      arguments.push_back(std::move(tensor));
    }
    doppel::abi::RunScalars run{
        .seed = 99, .step = step, .stepsPerEpoch = 10, .epochs = 5, .samples = 320};
    if (kernel.getUsesRun()) {
      auto *begin = reinterpret_cast<const std::byte *>(&run);
      buffers.push_back({begin, begin + sizeof run});
      elementBytes.push_back(8);
    }
    reference::Interpreter oracle(module);
    oracle.run = run;
    auto wanted = oracle.call(function, arguments);
    ASSERT_TRUE(succeeded(wanted));
    size_t firstOutput = buffers.size();
    for (mlir::Type type : function.getResultTypes()) {
      buffers.push_back(
          encode(Tensor(reference::shapeOf(type), 77), mlir::getElementTypeOrSelf(type)));
      elementBytes.push_back(buffers.back().size() /
                             reference::elementCount(reference::shapeOf(type)));
    }
    std::string fault = simulate(std::move(made), std::move(llvmContext), buffers, elementBytes,
                                 firstOutput, kernel.getGrid(), inPlace);
    ASSERT_EQ(fault, "");
    for (auto [number, type] : llvm::enumerate(function.getResultTypes())) {
      const std::vector<std::byte> &bytes =
          buffers[inPlace && number == 0 ? 0 : firstOutput + number];
      compare((*wanted)[number], decode(bytes, type), number);
    }
    kernel.erase();
  }

  void compare(const Tensor &wanted, const Tensor &found, size_t number) {
    ASSERT_EQ(wanted.shape, found.shape);
    double greatest = 0;
    for (double value : wanted.values)
      greatest = std::max(greatest, std::isfinite(value) ? std::abs(value) : 0);
    for (int64_t i = 0; i < wanted.size(); ++i) {
      bool same = wanted[i] == found[i] || (std::isnan(wanted[i]) && std::isnan(found[i]));
      ASSERT_TRUE(same || std::abs(wanted[i] - found[i]) <= 2e-6 * greatest)
          << "element " << i << " of output " << number << " is " << found[i] << ", not "
          << wanted[i];
    }
  }

  /// PTX, and where there is an assembler, code that spills nothing.
  void assemble(const llvm::Module &module) {
    std::unique_ptr<llvm::Module> clone = llvm::CloneModule(module);
    auto ptx = makePtx(*clone, "sm_80");
    ASSERT_TRUE(bool(ptx)) << llvm::toString(ptx.takeError());
    const char *path = "/usr/local/cuda/bin/ptxas";
    if (!llvm::sys::fs::can_execute(path))
      return;
    auto assembler = llvm::cantFail(openPtxas(path));
    auto cubin = assembler->assemble(*ptx, "sm_80");
    ASSERT_TRUE(bool(cubin)) << llvm::toString(cubin.takeError());
    for (const KernelUsage &usage : cubin->usage) {
      EXPECT_EQ(usage.spillStores, 0u) << usage.kernel;
      EXPECT_EQ(usage.spillLoads, 0u) << usage.kernel;
    }
  }

  std::string simulate(std::unique_ptr<llvm::Module> module,
                       std::unique_ptr<llvm::LLVMContext> llvmContext,
                       std::vector<std::vector<std::byte>> &buffers,
                       const std::vector<size_t> &elementBytes, size_t firstOutput, int64_t grid,
                       bool inPlace) {
    namespace sim = runtime::sim;
    llvm::Function *kernel = module->getFunction("kernel");
    unsigned threads = blockThreads(*kernel);
    size_t shared = sharedBytes(*kernel);
    EXPECT_LE(shared, mostSharedBytes);
    auto jit = llvm::cantFail(llvm::orc::LLJITBuilder().create());
    module->setDataLayout(jit->getDataLayout());
    if (llvm::Error error = bindSim(*module, /*checked=*/true))
      return llvm::toString(std::move(error));
    llvm::cantFail(jit->addIRModule({std::move(module), std::move(llvmContext)}));
    auto address = [&](const char *name) { return llvm::cantFail(jit->lookup(name)); };
    *address(doppel::abi::simServicesSymbol).toPtr<const doppel::abi::SimServices **>() =
        &sim::services();
    auto entry = address("kernel").toPtr<doppel::abi::SimKernelFunction>();
    // Buffers begin at 64 bytes, as a device's do.
    std::vector<std::unique_ptr<std::byte, decltype(&std::free)>> memory;
    std::vector<void *> pointers;
    std::vector<sim::Region> regions;
    for (size_t i = 0; i < buffers.size(); ++i) {
      auto *bytes =
          static_cast<std::byte *>(std::aligned_alloc(64, (buffers[i].size() + 63) / 64 * 64));
      std::copy(buffers[i].begin(), buffers[i].end(), bytes);
      memory.emplace_back(bytes, &std::free);
      bool aliases = inPlace && i == firstOutput;
      pointers.push_back(aliases ? pointers[0] : bytes);
      regions.push_back({static_cast<std::byte *>(pointers[i]), buffers[i].size(), elementBytes[i],
                         i >= firstOutput});
    }
    sim::BlockRunner runner;
    EXPECT_TRUE(runner.prepare(int32_t(threads), shared));
    sim::Checker checker(regions, runner.shared(), shared);
    for (int64_t block = 0; block < grid; ++block)
      if (auto ran = runner.run(entry, pointers.data(), int32_t(block), &checker); !ran)
        return ran.error().message;
    for (size_t i = 0; i < buffers.size(); ++i)
      std::copy_n(memory[i].get(), buffers[i].size(), buffers[i].begin());
    return "";
  }

  mlir::MLIRContext context;
};

/// Replaces names of sizes in a text.
std::string with(std::string text, std::initializer_list<std::pair<const char *, int>> sizes) {
  for (auto [name, size] : sizes)
    for (size_t at; (at = text.find(name)) != std::string::npos;)
      text.replace(at, std::strlen(name), std::to_string(size));
  return text;
}

TEST_F(CudaNests, MapsOfOneLoop) {
  for (int size : {1, 3, 4, 255, 1024, 4097, 9000})
    check(with(R"(
func.func @map(%x: tensor<SIZExf32>, %y: tensor<SIZExf32>) -> (tensor<SIZExf32>, tensor<SIZExi1>) {
  %e = nn.exp %x : tensor<SIZExf32>
  %s = nn.add %e, %y : tensor<SIZExf32>
  %c = nn.compare lt %x, %y : tensor<SIZExf32> -> tensor<SIZExi1>
  return %s, %c : tensor<SIZExf32>, tensor<SIZExi1>
})",
               {{"SIZE", size}}));
}

TEST_F(CudaNests, MapsOfRows) {
  for (auto [rows, columns] : {std::pair{3, 5}, {300, 8}, {7, 132}, {2, 9001}, {2, 9000}})
    check(with(R"(
func.func @map(%x: tensor<ROWSxCOLSxf32>, %r: tensor<ROWSxf32>, %c: tensor<COLSxf32>) -> tensor<ROWSxCOLSxf32> {
  %a = nn.broadcast %r [0] : tensor<ROWSxf32> -> tensor<ROWSxCOLSxf32>
  %b = nn.broadcast %c [1] : tensor<COLSxf32> -> tensor<ROWSxCOLSxf32>
  %p = nn.mul %x, %a : tensor<ROWSxCOLSxf32>
  %s = nn.add %p, %b : tensor<ROWSxCOLSxf32>
  return %s : tensor<ROWSxCOLSxf32>
})",
               {{"ROWS", rows}, {"COLS", columns}}));
}

TEST_F(CudaNests, MapsInPlace) {
  check(R"(
func.func @step(%w: tensor<5003xf32>, %g: tensor<5003xf32>) -> tensor<5003xf32> {
  %n = nn.sub %w, %g : tensor<5003xf32>
  return %n : tensor<5003xf32>
})",
        1, /*inPlace=*/true);
}

TEST_F(CudaNests, RowsOfEveryLength) {
  // By threads, warps and blocks; in vectors and not.
  for (auto [rows, columns] : {std::pair{70, 4},
                               {9, 3},
                               {40, 16},
                               {33, 17},
                               {12, 128},
                               {5, 300},
                               {3, 1028},
                               {2, 4099},
                               {1, 6}})
    check(with(R"(
func.func @softmax(%x: tensor<ROWSxCOLSxf32>) -> (tensor<ROWSxCOLSxf32>, tensor<ROWSxf32>) {
  %m = nn.reduce max %x [1] : tensor<ROWSxCOLSxf32> -> tensor<ROWSxf32>
  %b = nn.broadcast %m [0] : tensor<ROWSxf32> -> tensor<ROWSxCOLSxf32>
  %d = nn.sub %x, %b : tensor<ROWSxCOLSxf32>
  %e = nn.exp %d : tensor<ROWSxCOLSxf32>
  %s = nn.reduce sum %e [1] : tensor<ROWSxCOLSxf32> -> tensor<ROWSxf32>
  %t = nn.broadcast %s [0] : tensor<ROWSxf32> -> tensor<ROWSxCOLSxf32>
  %p = nn.div %e, %t : tensor<ROWSxCOLSxf32>
  %l = nn.log %s : tensor<ROWSxf32>
  return %p, %l : tensor<ROWSxCOLSxf32>, tensor<ROWSxf32>
})",
               {{"ROWS", rows}, {"COLS", columns}}));
}

TEST_F(CudaNests, ColumnsOfEveryShape) {
  for (auto [rows, columns] :
       {std::pair{50, 3}, {7, 64}, {300, 20}, {40, 515}, {3, 1000}, {2000, 1}})
    check(with(R"(
func.func @columns(%x: tensor<ROWSxCOLSxf32>) -> (tensor<COLSxf32>, tensor<COLSxf32>, tensor<ROWSxCOLSxf32>) {
  %s = nn.reduce sum %x [0] : tensor<ROWSxCOLSxf32> -> tensor<COLSxf32>
  %m = nn.reduce max %x [0] : tensor<ROWSxCOLSxf32> -> tensor<COLSxf32>
  %b = nn.broadcast %s [1] : tensor<COLSxf32> -> tensor<ROWSxCOLSxf32>
  %d = nn.sub %x, %b : tensor<ROWSxCOLSxf32>
  return %s, %m, %d : tensor<COLSxf32>, tensor<COLSxf32>, tensor<ROWSxCOLSxf32>
})",
               {{"ROWS", rows}, {"COLS", columns}}));
}

TEST_F(CudaNests, ColumnsBetweenOuterLoops) {
  check(R"(
func.func @middle(%x: tensor<6x9x5x4xf32>) -> tensor<6x5x4xf32> {
  %s = nn.reduce sum %x [1] : tensor<6x9x5x4xf32> -> tensor<6x5x4xf32>
  return %s : tensor<6x5x4xf32>
})");
}

TEST_F(CudaNests, SegmentsOfPackedVectors) {
  check(R"(
func.func @segments(%v: tensor<2000xf32>, %w: tensor<4xf32>) -> (tensor<2000xf32>) {
  %c = nn.segment_broadcast %w offsets [0, 16, 32, 1112] sizes [1, 16, 1073, 317] : tensor<4xf32> -> tensor<2000xf32>
  %y = nn.add %v, %c : tensor<2000xf32>
  return %y : tensor<2000xf32>
}
func.func @sums(%v: tensor<2000xf32>) -> tensor<4xf32> {
  %q = nn.mul %v, %v : tensor<2000xf32>
  %s = nn.segment_sum %q offsets [0, 16, 32, 1112] sizes [1, 16, 1073, 317] : tensor<2000xf32> -> tensor<4xf32>
  return %s : tensor<4xf32>
})");
}

TEST_F(CudaNests, RowsOfTables) {
  for (auto [table, count, width] : {std::tuple{7, 37, 5}, {100, 32, 16}, {700, 90, 64}})
    check(with(R"(
func.func @gather(%t: tensor<TABLExWIDTHxf32>, %i: tensor<COUNTxi32>) -> tensor<COUNTxWIDTHxf32> {
  %g = nn.gather_rows %t, %i : (tensor<TABLExWIDTHxf32>, tensor<COUNTxi32>) -> tensor<COUNTxWIDTHxf32>
  %n = nn.neg %g : tensor<COUNTxWIDTHxf32>
  return %n : tensor<COUNTxWIDTHxf32>
}
func.func @replace(%t: tensor<TABLExWIDTHxf32>, %i: tensor<COUNTxi32>, %r: tensor<COUNTxWIDTHxf32>) -> tensor<TABLExWIDTHxf32> {
  %s = nn.scatter_rows %t, %i, %r : (tensor<TABLExWIDTHxf32>, tensor<COUNTxi32>, tensor<COUNTxWIDTHxf32>) -> tensor<TABLExWIDTHxf32>
  return %s : tensor<TABLExWIDTHxf32>
}
func.func @accumulate(%t: tensor<TABLExWIDTHxf32>, %i: tensor<COUNTxi32>, %r: tensor<COUNTxWIDTHxf32>) -> tensor<TABLExWIDTHxf32> {
  %s = nn.scatter_rows %t, %i, %r {accumulate} : (tensor<TABLExWIDTHxf32>, tensor<COUNTxi32>, tensor<COUNTxWIDTHxf32>) -> tensor<TABLExWIDTHxf32>
  return %s : tensor<TABLExWIDTHxf32>
})",
               {{"TABLE", table}, {"COUNT", count}, {"WIDTH", width}}),
          table);
}

TEST_F(CudaNests, QueuesKeepTheirOtherRows) {
  for (int width : {16, 5})
    check(with(R"(
func.func @enqueue(%q: tensor<24xWIDTHxf32>, %r: tensor<8xWIDTHxf32>) -> tensor<24xWIDTHxf32> {
  %e = nn.exp %r : tensor<8xWIDTHxf32>
  %n = nn.enqueue %q, %e : (tensor<24xWIDTHxf32>, tensor<8xWIDTHxf32>) -> tensor<24xWIDTHxf32>
  return %n : tensor<24xWIDTHxf32>
})",
               {{"WIDTH", width}}));
}

TEST_F(CudaNests, DrawsAreThoseOfOtherTargets) {
  check(R"(
func.func @draws() -> (tensor<1003xf32>, tensor<17x8xf32>) {
  %u = nn.random uniform stream 3 : tensor<1003xf32>
  %n = nn.random normal stream 4 : tensor<17x8xf32>
  return %u, %n : tensor<1003xf32>, tensor<17x8xf32>
})");
}

TEST_F(CudaNests, WindowsReadZerosBesideTheirEdges) {
  check(R"(
func.func @pad(%x: tensor<9x12xf32>) -> tensor<13x20xf32> {
  %p = nn.pad %x offsets [1, 4] strides [1, 1] : tensor<9x12xf32> -> tensor<13x20xf32>
  %e = nn.exp %p : tensor<13x20xf32>
  return %e : tensor<13x20xf32>
}
func.func @concat(%x: tensor<9x12xf32>, %y: tensor<9x3xf32>) -> tensor<9x15xf32> {
  %c = nn.concat %x, %y axis 1 : (tensor<9x12xf32>, tensor<9x3xf32>) -> tensor<9x15xf32>
  return %c : tensor<9x15xf32>
}
func.func @transpose(%x: tensor<33x12xf32>) -> tensor<12x33xf32> {
  %c = nn.transpose %x [1, 0] : tensor<33x12xf32> -> tensor<12x33xf32>
  return %c : tensor<12x33xf32>
})");
}

} // namespace
