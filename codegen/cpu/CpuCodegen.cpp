// Kernels -> LLVM IR -> machine code -> shared object, the machine code on all cores. Loops come as
// vectors already, so LLVM's own vectorizers stay off: what a kernel computes, in which order, is
// fixed by NestEmitter alone.
#include "codegen/cpu/CpuCodegen.h"

#include "codegen/cpu/KernelEmitter.h"
#include "codegen/cpu/SharedObject.h"
#include "codegen/kernels/Draws.h"

#include <algorithm>
#include <set>

using namespace doppel;
using namespace doppel::cpu;

namespace {

/// Kernels go round this many modules, which are compiled side by side. Fixed, so that the bytes do
/// not follow the number of cores.
constexpr size_t mostParts = 16;

mlir::LogicalResult emitKernels(llvm::ArrayRef<plan::KernelOp> kernels, const Processor &processor,
                                llvm::Module &llvmModule) {
  for (plan::KernelOp kernel : kernels)
    if (failed(emitKernel(kernel, llvmModule, processor.vectorBits / 32)))
      return mlir::failure();
  return mlir::success();
}

} // namespace

mlir::FailureOr<ObjectCode> cpu::compileKernels(mlir::ModuleOp module) {
  mlir::FailureOr<Processor> processor = processorOf(module);
  if (failed(processor))
    return mlir::failure();
  auto kernels = llvm::to_vector(module.getOps<plan::KernelOp>());
  std::vector<ObjectPart> parts(std::clamp<size_t>(kernels.size(), 1, mostParts));
  std::vector<std::vector<plan::KernelOp>> shares(parts.size());
  for (auto [i, kernel] : llvm::enumerate(kernels))
    shares[i % parts.size()].push_back(kernel);
  std::set<std::string> draws;
  for (auto [part, share] : llvm::zip_equal(parts, shares)) {
    if (failed(preparePart(part, *processor, module)) ||
        failed(emitKernels(share, *processor, part.llvmModule)))
      return mlir::failure();
    draws.merge(kernels::missingDraws(part.llvmModule));
  }
  for (const std::string &draw : draws)
    kernels::defineDraw(draw, parts.front().llvmModule);
  for (ObjectPart &part : parts)
    if (failed(finishPart(part, *processor, module)))
      return mlir::failure();
  mlir::FailureOr<std::string> elf = makeSharedObject(parts, *processor, module);
  if (failed(elf))
    return mlir::failure();
  return ObjectCode{std::move(*elf)};
}

mlir::FailureOr<std::string> cpu::kernelsAsLlvm(mlir::ModuleOp module) {
  mlir::FailureOr<Processor> processor = processorOf(module);
  ObjectPart part;
  if (failed(processor) || failed(preparePart(part, *processor, module)))
    return mlir::failure();
  auto kernels = llvm::to_vector(module.getOps<plan::KernelOp>());
  if (failed(emitKernels(kernels, *processor, part.llvmModule)))
    return mlir::failure();
  for (const std::string &draw : kernels::missingDraws(part.llvmModule))
    kernels::defineDraw(draw, part.llvmModule);
  if (failed(finishPart(part, *processor, module)))
    return mlir::failure();
  optimizePart(part);
  std::string text;
  llvm::raw_string_ostream stream(text);
  part.llvmModule.print(stream, nullptr);
  return text;
}
