// Kernels -> LLVM IR with placeholders -> PTX -> cubins, or an ELF for the simulator; modules side
// by side on all cores.
#include "codegen/cuda/CudaCodegen.h"

#include "codegen/cpu/SharedObject.h"
#include "codegen/cuda/Bind.h"
#include "codegen/cuda/Disjoint.h"
#include "codegen/cuda/KernelEmitter.h"
#include "codegen/cuda/Placeholders.h"
#include "codegen/cuda/Ptx.h"
#include "codegen/cuda/Reserved.h"
#include "codegen/kernels/Draws.h"
#include "dialects/plan/Machine.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/ThreadPool.h"

#include <algorithm>

using namespace doppel;
using namespace doppel::cuda;
using llvm::StringRef;

namespace {

/// Kernels go round this many modules, which are compiled side by side. Fixed, so that the bytes do
/// not follow the number of cores.
constexpr size_t mostParts = 16;

mlir::LogicalResult emitKernels(llvm::ArrayRef<plan::KernelOp> kernels,
                                const plan::Machine &machine, const DisjointBuffers &disjoint,
                                llvm::Module &llvmModule) {
  for (plan::KernelOp kernel : kernels)
    if (failed(emitKernel(kernel, machine, llvmModule, disjoint.lookup(kernel.getSymName()))))
      return mlir::failure();
  return mlir::success();
}

/// Defines the draws that a module's kernels call: nothing refers to another module.
void defineDraws(llvm::Module &llvmModule) {
  for (const std::string &draw : kernels::missingDraws(llvmModule)) {
    kernels::defineDraw(draw, llvmModule);
    llvm::Function *function = llvmModule.getFunction(draw);
    function->setVisibility(llvm::GlobalValue::DefaultVisibility);
    function->setLinkage(llvm::GlobalValue::InternalLinkage);
  }
}

/// Emits the kernels of a program into as many modules as `parts` will have, one of which
/// `moduleOf` gives for its number.
mlir::FailureOr<std::vector<BlockShape>>
emitProgram(mlir::ModuleOp module, llvm::ArrayRef<plan::KernelOp> kernels, size_t parts,
            llvm::function_ref<llvm::Module &(size_t)> moduleOf) {
  auto machine = plan::machineOf(module);
  if (failed(machine))
    return mlir::failure();
  DisjointBuffers disjoint = disjointBuffers(module);
  std::vector<std::vector<plan::KernelOp>> shares(parts);
  for (auto [i, kernel] : llvm::enumerate(kernels))
    shares[i % parts].push_back(kernel);
  for (auto [i, share] : llvm::enumerate(shares))
    if (failed(emitKernels(share, *machine, disjoint, moduleOf(i))))
      return mlir::failure();
  std::vector<BlockShape> blocks;
  for (auto [i, kernel] : llvm::enumerate(kernels)) {
    std::string name = plan::KernelOp(kernel).getSymName().str();
    const llvm::Function &function = *moduleOf(i % parts).getFunction(name);
    blocks.push_back({name, blockThreads(function), sharedBytes(function), unsigned(i % parts)});
  }
  return blocks;
}

llvm::SmallVector<plan::KernelOp> kernelsOf(mlir::ModuleOp module) {
  return llvm::to_vector(module.getOps<plan::KernelOp>());
}

size_t partsFor(size_t kernels) { return std::clamp<size_t>(kernels, 1, mostParts); }

llvm::SmallVector<std::string> architecturesOf(mlir::ModuleOp module) {
  llvm::SmallVector<std::string> names;
  for (StringRef name :
       plan::findTarget(module).getArchitectures().getAsValueRange<mlir::StringAttr>())
    names.push_back(name.str());
  return names;
}

/// PTX for the first architecture, cubins for all.
llvm::Expected<GpuModule> compile(llvm::Module &llvmModule,
                                  llvm::ArrayRef<std::string> architectures,
                                  const Assembler *assembler) {
  llvm::Expected<std::string> ptx = makePtx(llvmModule, architectures.front());
  if (!ptx)
    return ptx.takeError();
  GpuModule code{std::move(*ptx), {}};
  if (!assembler)
    return code;
  for (const std::string &architecture : architectures) {
    llvm::Expected<Cubin> cubin = assembler->assemble(code.ptx, architecture);
    if (!cubin)
      return cubin.takeError();
    code.cubins.push_back(std::move(*cubin));
  }
  return code;
}

} // namespace

mlir::FailureOr<GpuCode> cuda::compileKernels(mlir::ModuleOp module, const Assembler *assembler) {
  struct Part {
    llvm::LLVMContext context;
    llvm::Module llvmModule{"kernels", context};
    GpuModule code;
    std::string problem;
  };
  auto kernels = kernelsOf(module);
  std::vector<Part> parts(partsFor(kernels.size()));
  auto moduleOf = [&](size_t number) -> llvm::Module & { return parts[number].llvmModule; };
  auto blocks = emitProgram(module, kernels, parts.size(), moduleOf);
  if (failed(blocks))
    return mlir::failure();
  for (auto [i, block] : llvm::enumerate(*blocks))
    addFlag(*moduleOf(i % parts.size()).getFunction(block.kernel));
  emitReserved(parts.back().llvmModule);
  for (Part &part : parts)
    defineDraws(part.llvmModule);
  llvm::SmallVector<std::string> architectures = architecturesOf(module);
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency());
  for (Part &part : parts)
    pool.async([&] {
      if (auto code = compile(part.llvmModule, architectures, assembler))
        part.code = std::move(*code);
      else
        part.problem = llvm::toString(code.takeError());
    });
  pool.wait();
  GpuCode result{{}, std::move(*blocks)};
  for (Part &part : parts) {
    if (!part.problem.empty())
      return module.emitError() << part.problem;
    result.modules.push_back(std::move(part.code));
  }
  return result;
}

mlir::FailureOr<SimCode> cuda::compileForSimulator(mlir::ModuleOp module,
                                                   llvm::function_ref<void(llvm::Module &)> edit) {
  auto processor = cpu::processorOf(module);
  if (failed(processor))
    return mlir::failure();
  auto kernels = kernelsOf(module);
  std::vector<cpu::ObjectPart> parts(partsFor(kernels.size()));
  for (cpu::ObjectPart &part : parts)
    if (failed(cpu::preparePart(part, *processor, module)))
      return mlir::failure();
  auto blocks = emitProgram(module, kernels, parts.size(), [&](size_t number) -> llvm::Module & {
    return parts[number].llvmModule;
  });
  if (failed(blocks))
    return mlir::failure();
  for (auto [i, kernel] : llvm::enumerate(kernels))
    cpu::emitSignature(kernel, parts[i % parts.size()].llvmModule);
  bool checked = plan::findTarget(module).getCheck() != nullptr;
  for (cpu::ObjectPart &part : parts) {
    defineDraws(part.llvmModule);
    if (edit)
      edit(part.llvmModule);
    if (llvm::Error error = bindSim(part.llvmModule, checked))
      return module.emitError() << llvm::toString(std::move(error));
    if (failed(cpu::finishPart(part, *processor, module)))
      return mlir::failure();
  }
  auto elf = cpu::makeSharedObject(parts, *processor, module);
  if (failed(elf))
    return mlir::failure();
  return SimCode{std::move(*elf), std::move(*blocks)};
}

mlir::FailureOr<std::string> cuda::kernelsAsLlvm(mlir::ModuleOp module) {
  auto machine = plan::machineOf(module);
  llvm::LLVMContext context;
  llvm::Module llvmModule("kernels", context);
  if (failed(machine) ||
      failed(emitKernels(kernelsOf(module), *machine, disjointBuffers(module), llvmModule)))
    return mlir::failure();
  defineDraws(llvmModule);
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvmModule.print(stream, nullptr);
  return text;
}

std::string cuda::describeUsage(mlir::ModuleOp module, const GpuCode &code) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  auto line = [&](auto... columns) {
    stream << llvm::formatv("{0,-16} {1,-7} {2,8} {3,7} {4,9} {5,7} {6,7} {7,11} {8,10}\n",
                            columns...);
  };
  line("kernel", "for", "blocks", "threads", "registers", "shared", "stack", "spill store",
       "spill load");
  llvm::SmallVector<std::string> architectures = architecturesOf(module);
  llvm::StringMap<llvm::SmallVector<std::pair<StringRef, const KernelUsage *>>> usages;
  for (const GpuModule &each : code.modules)
    for (auto [architecture, cubin] : llvm::zip(architectures, each.cubins))
      for (const KernelUsage &usage : cubin.usage)
        usages[usage.kernel].push_back({architecture, &usage});
  for (auto [kernel, block] : llvm::zip_equal(module.getOps<plan::KernelOp>(), code.blocks))
    for (auto [architecture, usage] : usages[block.kernel])
      line(block.kernel, architecture, kernel.getGrid(), block.threads, usage->registers,
           block.sharedBytes, usage->stackBytes, usage->spillStores, usage->spillLoads);
  return text;
}
