#include "codegen/cuda/Ptx.h"

#include "codegen/cuda/Bind.h"
#include "codegen/cuda/Selectable.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace doppel;

namespace {

const llvm::Triple triple("nvptx64-nvidia-cuda");

const llvm::Target *nvptx() {
  static const llvm::Target *found = [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    std::string error;
    return llvm::TargetRegistry::lookupTarget(triple, error);
  }();
  return found;
}

/// The oldest PTX that knows the architecture, and 8.0 at least: what drivers from CUDA 12 on read.
unsigned ptxVersion(llvm::StringRef architecture) {
  unsigned number = 0;
  architecture.consume_front("sm_");
  architecture.consumeInteger(10, number);
  if (number >= 120)
    return 87;
  if (number >= 100)
    return 86;
  return 80;
}

void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  // Vectors and their number are the kernels' own choice; small loops with known ends are unrolled,
  // since a GPU has registers to keep several loads in flight.
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = tuning.LoopInterleaving = false;
  llvm::PassBuilder passes(&machine, tuning);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graph;
  llvm::ModuleAnalysisManager modules;
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(graph);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, graph, modules);
  passes.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, modules);
}

} // namespace

bool cuda::knowsArchitecture(llvm::StringRef name) {
  if (!nvptx() || !name.starts_with("sm_"))
    return false;
  std::unique_ptr<llvm::MCSubtargetInfo> info(nvptx()->createMCSubtargetInfo(triple, "", ""));
  return info && info->isCPUStringValid(name);
}

llvm::Expected<std::string> cuda::makePtx(llvm::Module &module, llvm::StringRef architecture) {
  if (!knowsArchitecture(architecture))
    return llvm::createStringError("LLVM makes no code for '%s'", architecture.str().c_str());
  llvm::TargetOptions options;
  // A product and a sum become one instruction where their flags allow it, not elsewhere.
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  std::unique_ptr<llvm::TargetMachine> machine(nvptx()->createTargetMachine(
      triple, architecture, llvm::formatv("+ptx{0}", ptxVersion(architecture)).str(), options,
      std::nullopt, std::nullopt, llvm::CodeGenOptLevel::Default));
  module.setTargetTriple(triple);
  module.setDataLayout(machine->createDataLayout());
  bindNvvm(module);
  std::string problems;
  llvm::raw_string_ostream stream(problems);
  if (llvm::verifyModule(module, &stream))
    return llvm::createStringError("code generation made wrong LLVM IR: %s", problems.c_str());
  if (llvm::Error error = checkSelectable(module, architecture))
    return error;
  optimize(module, *machine);
  // Passes make intrinsics of their own.
  if (llvm::Error error = checkSelectable(module, architecture))
    return error;
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream output(text);
  llvm::legacy::PassManager manager;
  if (machine->addPassesToEmitFile(manager, output, nullptr, llvm::CodeGenFileType::AssemblyFile))
    return llvm::createStringError("LLVM writes no PTX for '%s'", architecture.str().c_str());
  manager.run(module);
  return text.str().str();
}
