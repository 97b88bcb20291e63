// Writes the kernels of Conformance.ll as code for each device of their kind:
//
//   doppel-conformance-kernels Conformance.ll FOLDER
//
//   sim.so      for the simulator, as an artifact for cuda-sim has them
//   driver.so   the same with what a program for GPUs has beside them, for the stand-in of NVIDIA's
//               driver: the flag behind the arguments, checks, guarded copies, permutations
//   gpu.inc     all of that as PTX, a literal of C++
#include "codegen/cpu/SharedObject.h"
#include "codegen/cuda/Bind.h"
#include "codegen/cuda/Placeholders.h"
#include "codegen/cuda/Ptx.h"
#include "codegen/cuda/Reserved.h"
#include "codegen/kernels/Draws.h"
#include "dialects/nn/NnDialect.h"
#include "dialects/plan/Target.h"

#include "llvm/IRReader/IRReader.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

#include <fstream>

using namespace doppel;

namespace {

[[noreturn]] void fail(const std::string &message) {
  llvm::errs() << "doppel-conformance-kernels: " << message << '\n';
  std::exit(1);
}

std::unique_ptr<llvm::Module> read(const char *path, llvm::LLVMContext &context) {
  llvm::SMDiagnostic problem;
  std::unique_ptr<llvm::Module> module = llvm::parseIRFile(path, problem, context);
  if (!module)
    fail(std::string(path) + ": " + problem.getMessage().str());
  return module;
}

/// As CudaCodegen adds it to a program's kernels.
void addWhatGpusHave(llvm::Module &module) {
  llvm::SmallVector<llvm::Function *> kernels;
  for (llvm::Function &function : module)
    if (cuda::isKernel(function))
      kernels.push_back(&function);
  for (llvm::Function *kernel : kernels)
    cuda::addFlag(*kernel);
  cuda::emitReserved(module);
  for (const std::string &draw : kernels::missingDraws(module)) {
    kernels::defineDraw(draw, module);
    llvm::Function *function = module.getFunction(draw);
    function->setVisibility(llvm::GlobalValue::DefaultVisibility);
    function->setLinkage(llvm::GlobalValue::InternalLinkage);
  }
}

void write(const std::string &path, const std::string &bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  if (!file)
    fail("cannot write " + path);
}

/// A shared object for this processor, whose modules come from `path`.
std::string simulated(const char *path, bool isDriver) {
  mlir::MLIRContext context;
  context.loadDialect<nn::NnDialect, plan::PlanDialect>();
  mlir::Location nowhere = mlir::UnknownLoc::get(&context);
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(nowhere);
  plan::TargetName name{.kind = plan::simulatorKind, .architectures = {"sm_80"}};
  auto target = cpu::completeTarget(plan::targetAttrOf(&context, name),
                                    [&] { return mlir::emitError(nowhere); });
  if (failed(target))
    fail("no target");
  plan::setTarget(*module, *target);
  auto processor = cpu::processorOf(*module);
  std::vector<cpu::ObjectPart> parts(1);
  if (failed(processor) || failed(cpu::preparePart(parts[0], *processor, *module)))
    fail("no processor");
  std::unique_ptr<llvm::Module> kernels = read(path, parts[0].context);
  kernels->setDataLayout(parts[0].llvmModule.getDataLayout());
  kernels->setTargetTriple(parts[0].llvmModule.getTargetTriple());
  if (isDriver)
    addWhatGpusHave(*kernels);
  if (llvm::Error error = cuda::bindSim(*kernels, /*checked=*/false))
    fail(llvm::toString(std::move(error)));
  if (llvm::Linker::linkModules(parts[0].llvmModule, std::move(kernels)) ||
      failed(cpu::finishPart(parts[0], *processor, *module)))
    fail("the kernels are no module of this processor");
  auto bytes = cpu::makeSharedObject(parts, *processor, *module);
  if (failed(bytes))
    fail("no shared object");
  return *bytes;
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 3)
    fail("Conformance.ll FOLDER");
  std::string folder = argv[2];
  write(folder + "/sim.so", simulated(argv[1], /*isDriver=*/false));
  write(folder + "/driver.so", simulated(argv[1], /*isDriver=*/true));
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> kernels = read(argv[1], context);
  addWhatGpusHave(*kernels);
  auto ptx = cuda::makePtx(*kernels, "sm_80");
  if (!ptx)
    fail(llvm::toString(ptx.takeError()));
  write(folder + "/gpu.inc", "R\"PTX(" + *ptx + ")PTX\"");
}
