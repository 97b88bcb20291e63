#include "codegen/cpu/SharedObject.h"

#include "lld/Common/CommonLinkerContext.h"
#include "lld/Common/Driver.h"
#include "runtime/schema/Abi.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ThreadPool.h"

#include <utility>

LLD_HAS_DRIVER(elf)

using namespace doppel;
using namespace doppel::cpu;
using llvm::StringRef;

namespace {

std::string machineCode(ObjectPart &part) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager manager;
  if (part.machine->addPassesToEmitFile(manager, stream, nullptr,
                                        llvm::CodeGenFileType::ObjectFile))
    return {};
  manager.run(part.llvmModule);
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

mlir::LogicalResult cpu::preparePart(ObjectPart &part, const Processor &processor,
                                     mlir::ModuleOp module) {
  part.machine = makeTargetMachine(processor);
  if (!part.machine)
    return module.emitError("LLVM makes no code for '") << processor.name << "'";
  part.llvmModule.setTargetTriple(part.machine->getTargetTriple());
  part.llvmModule.setDataLayout(part.machine->createDataLayout());
  part.llvmModule.setModuleFlag(llvm::Module::Max, "PIC Level", 2u);
  return mlir::success();
}

void cpu::emitSignature(plan::KernelOp kernel, llvm::Module &module) {
  mlir::Block &body = kernel.getBody().front();
  std::vector<uint64_t> inputs, outputs;
  for (mlir::Type type : body.getArgumentTypes())
    inputs.push_back(plan::bytesOf(type));
  if (kernel.getUsesRun())
    inputs.push_back(plan::bytesOf(plan::RunType::get(kernel.getContext())));
  for (mlir::Type type : body.getTerminator()->getOperandTypes())
    outputs.push_back(plan::bytesOf(type));
  std::vector<uint64_t> numbers{uint64_t(kernel.getGrid()), uint64_t(kernel.getScratchBytes()),
                                inputs.size(), outputs.size()};
  numbers.insert(numbers.end(), inputs.begin(), inputs.end());
  numbers.insert(numbers.end(), outputs.begin(), outputs.end());
  auto *value = llvm::ConstantDataArray::get(module.getContext(), numbers);
  new llvm::GlobalVariable(module, value->getType(), /*isConstant=*/true,
                           llvm::GlobalValue::ExternalLinkage, value,
                           kernel.getSymName() + abi::signatureSuffix);
}

mlir::LogicalResult cpu::finishPart(ObjectPart &part, const Processor &processor,
                                    mlir::ModuleOp module) {
  for (llvm::Function &function : part.llvmModule) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", processor.name);
    function.addFnAttr("prefer-vector-width", std::to_string(processor.vectorBits));
    function.addFnAttr("min-legal-vector-width", std::to_string(processor.vectorBits));
  }
  std::string problems;
  llvm::raw_string_ostream stream(problems);
  if (llvm::verifyModule(part.llvmModule, &stream))
    return module.emitError("code generation made wrong LLVM IR: ") << problems;
  return mlir::success();
}

void cpu::optimizePart(ObjectPart &part) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = tuning.LoopUnrolling =
      tuning.LoopInterleaving = false;
  llvm::PassBuilder passes(part.machine.get(), tuning);
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
  manager.run(part.llvmModule, modules);
}

mlir::FailureOr<std::string> cpu::makeSharedObject(llvm::MutableArrayRef<ObjectPart> parts,
                                                   const Processor &processor,
                                                   mlir::ModuleOp module) {
  std::vector<std::string> objects(parts.size());
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency());
  for (auto [part, object] : llvm::zip_equal(parts, objects))
    pool.async([&part, &object] {
      optimizePart(part);
      object = machineCode(part);
    });
  pool.wait();
  if (llvm::is_contained(objects, ""))
    return module.emitError("LLVM makes no object files for '") << processor.name << "'";
  return linkShared(objects, module);
}
