// Functions of nn as CUDA kernels: LLVM makes PTX of them that the assembler takes, and in the
// simulator, which checks every access, they compute what the oracle does.
#pragma once

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

namespace doppel::cuda {

using reference::Tensor;

/// Bytes of a tensor as the kernel has them.
inline std::vector<std::byte> encode(const Tensor &tensor, mlir::Type element) {
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

inline Tensor decode(const std::vector<std::byte> &bytes, mlir::Type type) {
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

class CudaKernels : public testing::Test {
protected:
  CudaKernels() {
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

  /// Largest difference from the oracle, as a share of an output's greatest number.
  double tolerance = 2e-6;
  doppel::abi::RunScalars run = {
      .seed = 99, .step = 3, .stepsPerEpoch = 10, .epochs = 5, .samples = 320};

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
    auto kind = llvm::isa<nn::AugmentOp>(body.front().front()) ? nn::KernelKind::Augment
                                                               : nn::KernelKind::Map;
    auto grid = plan::gridOf(kind, body.front(), machine);
    if (failed(grid))
      return nullptr;
    builder.setInsertionPointToEnd(module.getBody());
    auto kernel = plan::KernelOp::create(builder, function.getLoc(), "kernel", kind, grid->grid,
                                         grid->scratchBytes, plan::usesRun(body.front()));
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
    std::vector<std::vector<std::byte>> buffers, slabs;
    std::vector<size_t> elementBytes;
    for (auto [number, type] : llvm::enumerate(function.getArgumentTypes())) {
      if (auto batch = mlir::dyn_cast<nn::ImagesType>(type)) {
        reference::Images images = makeImages(batch.getBatch());
        auto *begin = reinterpret_cast<const std::byte *>(images.refs.data());
        buffers.push_back({begin, begin + images.refs.size() * sizeof images.refs[0]});
        elementBytes.push_back(8);
        begin = reinterpret_cast<const std::byte *>(images.slab.data());
        slabs.push_back({begin, begin + images.slab.size()});
        arguments.emplace_back(std::in_place_type<reference::Images>, std::move(images));
        continue;
      }
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
      arguments.emplace_back(std::in_place_type<Tensor>, std::move(tensor));
    }
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
    size_t firstSlab = buffers.size();
    for (std::vector<std::byte> &slab : slabs) {
      buffers.push_back(std::move(slab));
      elementBytes.push_back(1);
    }
    if (kernel.getScratchBytes() > 0) {
      buffers.emplace_back(kernel.getGrid() * kernel.getScratchBytes(), std::byte{0xCC});
      elementBytes.push_back(4);
    }
    std::string fault = simulate(std::move(made), std::move(llvmContext), buffers, elementBytes,
                                 firstOutput, {firstSlab, firstSlab + slabs.size()},
                                 kernel.getScratchBytes() > 0, kernel.getGrid(), inPlace);
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
      ASSERT_TRUE(same || std::abs(wanted[i] - found[i]) <= tolerance * greatest)
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
                       const std::vector<size_t> &elementBytes, size_t firstOutput,
                       std::pair<size_t, size_t> slabs, bool hasScratch, int64_t grid,
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
                         i >= firstOutput && (i < slabs.first || i >= slabs.second),
                         i >= slabs.second && hasScratch});
    }
    sim::BlockRunner runner;
    EXPECT_TRUE(runner.prepare(int32_t(threads), shared));
    sim::Checker checker(regions, runner.shared(), shared);
    for (int64_t block = 0; block < grid; ++block)
      if (auto ran = runner.run(entry, pointers.data(), int32_t(block), &checker); !ran)
        return ran.error().message;
    if (auto missing = checker.finish())
      return *missing;
    for (size_t i = 0; i < buffers.size(); ++i)
      std::copy_n(memory[i].get(), buffers[i].size(), buffers[i].begin());
    return "";
  }

  /// Pictures of various sizes, smooth with an edge.
  reference::Images makeImages(int64_t count) {
    reference::Images images;
    for (int64_t i = 0; i < count; ++i) {
      int32_t height = int32_t(20 + 7 * i % 23), width = int32_t(31 - 5 * i % 17);
      uint64_t offset = images.slab.size();
      for (int32_t y = 0; y < height; ++y)
        for (int32_t x = 0; x < width; ++x)
          for (int32_t c = 0; c < 3; ++c)
            images.slab.push_back(
                uint8_t((x * (3 + c) + y * (7 - 2 * c) + 40 * (x > y) + 11 * i) % 251));
      images.refs.push_back({offset, height, width, 1000 + i});
    }
    images.slab.resize(images.slab.size() + doppel::abi::imagePadding);
    return images;
  }

  mlir::MLIRContext context;
};

} // namespace doppel::cuda
