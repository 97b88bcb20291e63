#include "codegen/cpu/Processor.h"

#include "dialects/plan/Machine.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

using namespace doppel;
using namespace doppel::cpu;
using llvm::StringRef;

/// Names of features that generated code may use: LLVM's and the kernel's in /proc/cpuinfo.
constexpr std::pair<const char *, const char *> features[] = {
    {"avx", "avx"},           {"avx2", "avx2"},       {"avx512bw", "avx512bw"},
    {"avx512dq", "avx512dq"}, {"avx512f", "avx512f"}, {"avx512vl", "avx512vl"},
    {"bmi", "bmi1"},          {"bmi2", "bmi2"},       {"fma", "fma"},
    {"sse4.1", "sse4_1"},     {"sse4.2", "sse4_2"},
};

static const llvm::Target *x86Target(std::string &error) {
  static bool once = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    return true;
  }();
  (void)once;
  return llvm::TargetRegistry::lookupTarget(llvm::Triple("x86_64-unknown-linux-gnu"), error);
}

mlir::FailureOr<Processor> cpu::processorOf(mlir::ModuleOp module) {
  plan::TargetAttr target = plan::findTarget(module);
  if (!target || target.getName().empty())
    return module.emitError("the module's target names no processor");
  return Processor{
      target.getName().str(),
      llvm::to_vector_of<StringRef>(target.getFeatures().getAsValueRange<mlir::StringAttr>()),
      unsigned(8 * plan::machineOf(target).vectorBytes)};
}

std::unique_ptr<llvm::TargetMachine> cpu::makeTargetMachine(const Processor &processor) {
  std::string error;
  const llvm::Target *x86 = x86Target(error);
  if (!x86)
    return nullptr;
  // Only what the target names: the host may have less than the processor of this name elsewhere.
  llvm::SmallVector<std::string> wanted;
  for (auto [llvmName, kernelName] : features)
    wanted.push_back((llvm::is_contained(processor.features, kernelName) ? "+" : "-") +
                     std::string(llvmName));
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  return std::unique_ptr<llvm::TargetMachine>(x86->createTargetMachine(
      llvm::Triple("x86_64-unknown-linux-gnu"), processor.name, llvm::join(wanted, ","), options,
      llvm::Reloc::PIC_, llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
}

mlir::FailureOr<plan::TargetAttr>
cpu::completeTarget(plan::TargetAttr target,
                    llvm::function_ref<mlir::InFlightDiagnostic()> emitError) {
  if (target.getKind() == plan::cudaKind)
    return target;
  std::string error;
  const llvm::Target *x86 = x86Target(error);
  if (!x86)
    return emitError() << "LLVM has no x86-64 target: " << error;
  std::string name = target.getName().str();
  llvm::SmallVector<StringRef> found;
  if (name.empty()) {
    name = llvm::sys::getHostCPUName().str();
    llvm::StringMap<bool> host = llvm::sys::getHostCPUFeatures();
    for (auto [llvmName, kernelName] : features)
      if (host.lookup(llvmName))
        found.push_back(kernelName);
  } else {
    llvm::Triple triple("x86_64-unknown-linux-gnu");
    std::unique_ptr<llvm::MCSubtargetInfo> generic(x86->createMCSubtargetInfo(triple, "", ""));
    if (!generic->isCPUStringValid(name)) {
      llvm::SmallVector<std::pair<unsigned, StringRef>> near;
      for (const llvm::SubtargetSubTypeKV &known : generic->getAllProcessorDescriptions())
        near.push_back({StringRef(name).edit_distance(StringRef(known.Key)), StringRef(known.Key)});
      llvm::sort(near);
      auto diagnostic = emitError() << "no processor is called '" << name << "'";
      diagnostic.attachNote() << "near names: " << near[0].second << ", " << near[1].second << ", "
                              << near[2].second;
      return diagnostic;
    }
    std::unique_ptr<llvm::MCSubtargetInfo> info(x86->createMCSubtargetInfo(triple, name, ""));
    for (auto [llvmName, kernelName] : features)
      if (info->checkFeatures("+" + std::string(llvmName)))
        found.push_back(kernelName);
  }
  llvm::sort(found);
  mlir::Builder builder(target.getContext());
  return plan::TargetAttr::get(target.getContext(), target.getKind(), name,
                               builder.getStrArrayAttr(found), target.getArchitectures(),
                               target.getCheck());
}
