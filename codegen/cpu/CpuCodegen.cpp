// Kernels -> LLVM IR -> machine code -> shared object, the machine code on all cores. Loops come as
// vectors already, so LLVM's own vectorizers stay off: what a kernel computes, in which order, is
// fixed by NestEmitter alone.
#include "codegen/cpu/CpuCodegen.h"

#include "codegen/cpu/KernelEmitter.h"
#include "codegen/kernels/Draws.h"
#include "dialects/plan/Machine.h"
#include "lld/Common/CommonLinkerContext.h"
#include "lld/Common/Driver.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

#include <algorithm>
#include <utility>

LLD_HAS_DRIVER(elf)

using namespace doppel;
using namespace doppel::cpu;
using llvm::StringRef;

namespace {

/// Names of features that generated code may use: LLVM's and the kernel's in /proc/cpuinfo.
constexpr std::pair<const char *, const char *> features[] = {
    {"avx", "avx"},           {"avx2", "avx2"},       {"avx512bw", "avx512bw"},
    {"avx512dq", "avx512dq"}, {"avx512f", "avx512f"}, {"avx512vl", "avx512vl"},
    {"bmi", "bmi1"},          {"bmi2", "bmi2"},       {"fma", "fma"},
    {"sse4.1", "sse4_1"},     {"sse4.2", "sse4_2"},
};

const llvm::Target *x86Target(std::string &error) {
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

/// The processor that code is made for.
struct Processor {
  std::string name; ///< LLVM's name: "znver5"
  llvm::SmallVector<StringRef> features;
  unsigned vectorBits; ///< width of the vectors that loops step in
};

mlir::FailureOr<Processor> processorOf(mlir::ModuleOp module) {
  plan::TargetAttr target = plan::findTarget(module);
  if (!target || target.getName().empty())
    return module.emitError("the module's target names no processor");
  return Processor{
      target.getName().str(),
      llvm::to_vector_of<StringRef>(target.getFeatures().getAsValueRange<mlir::StringAttr>()),
      unsigned(8 * plan::machineOf(target).vectorBytes)};
}

std::unique_ptr<llvm::TargetMachine> machineFor(const Processor &target) {
  std::string error;
  const llvm::Target *x86 = x86Target(error);
  if (!x86)
    return nullptr;
  // Only what the target names: the host may have less than the processor of this name elsewhere.
  llvm::SmallVector<std::string> wanted;
  for (auto [llvmName, kernelName] : features)
    wanted.push_back((llvm::is_contained(target.features, kernelName) ? "+" : "-") +
                     std::string(llvmName));
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  return std::unique_ptr<llvm::TargetMachine>(x86->createTargetMachine(
      llvm::Triple("x86_64-unknown-linux-gnu"), target.name, llvm::join(wanted, ","), options,
      llvm::Reloc::PIC_, llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
}

/// Kernels go round this many modules, which are compiled side by side. Fixed, so that the bytes do
/// not follow the number of cores.
constexpr size_t mostParts = 16;

mlir::LogicalResult emitKernels(llvm::ArrayRef<plan::KernelOp> kernels, const Processor &target,
                                llvm::TargetMachine &machine, llvm::Module &llvmModule) {
  llvmModule.setTargetTriple(machine.getTargetTriple());
  llvmModule.setDataLayout(machine.createDataLayout());
  llvmModule.setModuleFlag(llvm::Module::Max, "PIC Level", 2u);
  for (plan::KernelOp kernel : kernels)
    if (failed(emitKernel(kernel, llvmModule, target.vectorBits / 32)))
      return mlir::failure();
  return mlir::success();
}

/// Says of the functions that are defined by now what processor they are for, and checks them.
mlir::LogicalResult finish(llvm::Module &llvmModule, const Processor &target,
                           mlir::ModuleOp module) {
  for (llvm::Function &function : llvmModule) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", target.name);
    function.addFnAttr("prefer-vector-width", std::to_string(target.vectorBits));
    function.addFnAttr("min-legal-vector-width", std::to_string(target.vectorBits));
  }
  std::string problems;
  llvm::raw_string_ostream stream(problems);
  if (llvm::verifyModule(llvmModule, &stream))
    return module.emitError("code generation made wrong LLVM IR: ") << problems;
  return mlir::success();
}

void optimize(llvm::Module &llvmModule, llvm::TargetMachine &machine) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = tuning.LoopUnrolling =
      tuning.LoopInterleaving = false;
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
  llvm::ModulePassManager manager;
  llvm::cantFail(passes.parsePassPipeline(
      manager, "function(early-cse,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(loop-"
               "rotate,licm),gvn,"
               "instcombine<no-verify-fixpoint>,loop-mssa(licm),simplifycfg)"));
  manager.run(llvmModule, modules);
}

std::string machineCode(llvm::Module &llvmModule, llvm::TargetMachine &machine) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager manager;
  if (machine.addPassesToEmitFile(manager, stream, nullptr, llvm::CodeGenFileType::ObjectFile))
    return {};
  manager.run(llvmModule);
  return std::string(bytes.begin(), bytes.end());
}

/// A file in the folder for temporary ones; removed at the end of its life.
class TemporaryFile {
public:
  explicit TemporaryFile(const char *suffix) {
    if (llvm::sys::fs::createTemporaryFile("doppel-kernels", suffix, name))
      name.clear();
  }
  TemporaryFile(TemporaryFile &&other) : name(std::exchange(other.name, {})) {}
  ~TemporaryFile() {
    if (!name.empty())
      llvm::sys::fs::remove(name);
  }
  bool write(StringRef bytes) {
    std::error_code error;
    llvm::raw_fd_ostream stream(name, error);
    stream << bytes;
    stream.close();
    bool good = !error && !stream.has_error();
    stream.clear_error();
    return good;
  }

  llvm::SmallString<128> name; ///< empty where none could be made
};

/// Links object files into a shared object, through temporary files, which is how lld reads and
/// writes.
mlir::FailureOr<std::string> linkShared(llvm::ArrayRef<std::string> objects,
                                        mlir::ModuleOp module) {
  TemporaryFile out("so");
  std::vector<TemporaryFile> files;
  for (size_t i = 0; i < objects.size(); ++i)
    files.emplace_back("o");
  if (out.name.empty() ||
      llvm::any_of(files, [](const TemporaryFile &file) { return file.name.empty(); }))
    return module.emitError("cannot make a temporary file to link the kernels");
  for (auto [file, object] : llvm::zip_equal(files, objects))
    if (!file.write(object))
      return module.emitError("cannot write the temporary file '") << file.name << "'";
  std::vector<const char *> arguments{"ld.lld",
                                      "-shared",
                                      "--strip-all",
                                      "--build-id=none",
                                      "--hash-style=gnu",
                                      "--threads=1",
                                      "-soname=kernels",
                                      "-z",
                                      "relro",
                                      "-z",
                                      "now",
                                      "-o",
                                      out.name.c_str()};
  for (TemporaryFile &file : files)
    arguments.push_back(file.name.c_str());
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  bool linked =
      lld::elf::link(arguments, stream, stream, /*exitEarly=*/false, /*disableOutput=*/false);
  lld::CommonLinkerContext::destroy();
  if (!linked)
    return module.emitError("cannot link the kernels: ") << messages;
  auto bytes =
      llvm::MemoryBuffer::getFile(out.name, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!bytes)
    return module.emitError("cannot read the linked kernels: ") << bytes.getError().message();
  return (*bytes)->getBuffer().str();
}

} // namespace

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

mlir::FailureOr<ObjectCode> cpu::compileKernels(mlir::ModuleOp module) {
  mlir::FailureOr<Processor> target = processorOf(module);
  if (failed(target))
    return mlir::failure();
  struct Part {
    std::vector<plan::KernelOp> kernels;
    std::unique_ptr<llvm::TargetMachine> machine;
    llvm::LLVMContext context;
    llvm::Module llvmModule{"kernels", context};
  };
  auto kernels = llvm::to_vector(module.getOps<plan::KernelOp>());
  std::vector<Part> parts(std::clamp<size_t>(kernels.size(), 1, mostParts));
  for (auto [i, kernel] : llvm::enumerate(kernels))
    parts[i % parts.size()].kernels.push_back(kernel);
  std::set<std::string> draws;
  for (Part &part : parts) {
    part.machine = machineFor(*target);
    if (!part.machine)
      return module.emitError("LLVM makes no code for '") << target->name << "'";
    if (failed(emitKernels(part.kernels, *target, *part.machine, part.llvmModule)))
      return mlir::failure();
    draws.merge(kernels::missingDraws(part.llvmModule));
  }
  for (const std::string &draw : draws)
    kernels::defineDraw(draw, parts.front().llvmModule);
  for (Part &part : parts)
    if (failed(finish(part.llvmModule, *target, module)))
      return mlir::failure();
  std::vector<std::string> objects(parts.size());
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency());
  for (auto [part, object] : llvm::zip_equal(parts, objects))
    pool.async([&part, &object] {
      optimize(part.llvmModule, *part.machine);
      object = machineCode(part.llvmModule, *part.machine);
    });
  pool.wait();
  if (llvm::is_contained(objects, ""))
    return module.emitError("LLVM makes no object files for '") << target->name << "'";
  mlir::FailureOr<std::string> elf = linkShared(objects, module);
  if (failed(elf))
    return mlir::failure();
  return ObjectCode{std::move(*elf)};
}

mlir::FailureOr<std::string> cpu::kernelsAsLlvm(mlir::ModuleOp module) {
  mlir::FailureOr<Processor> target = processorOf(module);
  if (failed(target))
    return mlir::failure();
  std::unique_ptr<llvm::TargetMachine> machine = machineFor(*target);
  if (!machine)
    return module.emitError("LLVM makes no code for '") << target->name << "'";
  llvm::LLVMContext context;
  llvm::Module llvmModule("kernels", context);
  auto kernels = llvm::to_vector(module.getOps<plan::KernelOp>());
  if (failed(emitKernels(kernels, *target, *machine, llvmModule)))
    return mlir::failure();
  for (const std::string &draw : kernels::missingDraws(llvmModule))
    kernels::defineDraw(draw, llvmModule);
  if (failed(finish(llvmModule, *target, module)))
    return mlir::failure();
  optimize(llvmModule, *machine);
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvmModule.print(stream, nullptr);
  return text;
}
