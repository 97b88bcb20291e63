// Takes a spec through the table of phases, as far as asked, and writes what comes out.
#include "codegen/artifact/Schedules.h"
#include "codegen/artifact/Writer.h"
#include "codegen/cpu/CpuCodegen.h"
#include "codegen/cuda/CudaCodegen.h"
#include "dialects/nn/NnDialect.h"
#include "dialects/plan/Machine.h"
#include "dialects/plan/PlanDialect.h"
#include "dialects/ssl/SslDialect.h"
#include "frontends/cli/compile/Assemblers.h"
#include "frontends/cli/compile/Driver.h"
#include "frontends/cli/compile/PrintDiagnostics.h"
#include "frontends/cli/compile/Summary.h"
#include "frontends/spec/Diagnostics.h"
#include "frontends/spec/Frontend.h"
#include "frontends/spec/ReadFile.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "runtime/core/File.h"
#include "runtime/schema/Format.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"

#include <chrono>
#include <unistd.h>

using namespace mlir;

namespace doppel::cli {

bool wantsColour() { return isatty(STDERR_FILENO) && !std::getenv("NO_COLOR"); }

namespace {

/// The phase that a module read from text is in, by the operations that only later phases lack.
Phase phaseOf(ModuleOp module) {
  Phase phase = Phase::Train;
  module.walk([&](Operation *op) {
    if (isa<ssl::SslDialect>(op->getDialect()))
      phase = Phase::Ssl;
    else if (isa<plan::PlanDialect>(op->getDialect()))
      phase = Phase::Plan;
    else if (isa<nn::FusedOp>(op))
      phase = Phase::Fused;
    else if (isa<nn::OptimizeOp, nn::UpdateParametersOp, nn::EmaUpdateOp, nn::StopGradientOp,
                 nn::BatchNormOp>(op))
      phase = Phase::Step;
    else
      return WalkResult::advance();
    return WalkResult::interrupt();
  });
  return phase;
}

bool isArtifact(StringRef bytes) {
  return bytes.starts_with(
      StringRef(reinterpret_cast<const char *>(format::magic.data()), format::magic.size()));
}

/// Why one should not write to `path`: it would destroy the input, or where an artifact is written
/// what is none. Empty if one may.
std::string whyNotWrite(const std::string &input, const std::string &path, bool artifact) {
  bool same = false;
  if (!llvm::sys::fs::equivalent(input, path, same) && same)
    return path + " is the input; choose another name with -o";
  llvm::sys::fs::file_status status;
  if (llvm::sys::fs::status(path, status))
    return "";
  using llvm::sys::fs::file_type;
  if (artifact && status.type() != file_type::regular_file &&
      status.type() != file_type::directory_file) // which is told when it is opened
    return path + " is no regular file; choose another name with -o";
  if (!artifact || status.type() != file_type::regular_file)
    return "";
  auto old = llvm::MemoryBuffer::getFile(path);
  if (!old || (*old)->getBuffer().empty() || isArtifact((*old)->getBuffer()))
    return "";
  return path + " exists and is no artifact; choose another name with -o, or remove it";
}

class Compilation {
public:
  explicit Compilation(const CompileOptions &options)
      : options(options), context(MLIRContext::Threading::DISABLED) {
    context.loadDialect<func::FuncDialect, nn::NnDialect, plan::PlanDialect, ssl::SslDialect>();
    context.printOpOnDiagnostic(false);
    printer.emplace(context, llvm::errs(), wantsColour());
  }

  /// Before anything is done: that nothing of the user's will be overwritten. Returns an exit code.
  int checkOutput() {
    bool artifact = options.emit == Phase::Artifact;
    std::string why = artifact || !options.output.empty()
                          ? whyNotWrite(options.input, artifactPath(), artifact)
                          : "";
    return why.empty() ? int(done) : fail(why);
  }

  /// Reads the input and lowers it to `last`. Returns an exit code.
  int lowerTo(Phase last);
  int finish();

private:
  int load();
  int fail(StringRef message, int code = userError) {
    llvm::errs() << "doppel: error: " << message << '\n';
    return code;
  }
  /// The exit code after a pass or a code generator has failed and said why.
  int afterFailure(Phase phase) {
    bool ours = printer->sawInternalError() || phase > Phase::Train;
    if (ours)
      llvm::errs() << bugMessage();
    return ours ? internalError : userError;
  }
  int writeFile(const std::string &path, StringRef bytes) {
    auto written = runtime::writeFileAtomically(path, runtime::bytesOf(bytes));
    return written ? int(done) : fail(written.error().message);
  }
  /// Keeps the method's schedules for the artifact, and tells what is wrong with them.
  int lookAtSchedules();
  int dump(Phase phase, StringRef text);
  int writeText(StringRef text);
  int chooseTarget();
  int checkPrecision();
  int emitCode();
  int emitForCpu();
  int emitForSimulator();
  int emitGpuArtifact(cuda::GpuCode made);
  int emitArtifact(ArtifactParts parts);
  int finishForGpu();
  int dumpKernels(StringRef name, StringRef bytes);

  std::string artifactPath() const {
    return options.output.empty() ? (llvm::sys::path::stem(options.input) + ".dpx").str()
                                  : options.output;
  }

  const CompileOptions &options;
  MLIRContext context;
  std::optional<DiagnosticPrinter> printer;
  OwningOpRef<ModuleOp> module;
  Phase phase = Phase::Ssl;
  std::string source; ///< the spec's text
  std::vector<MethodSchedule> schedules;
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
};

int Compilation::load() {
  std::string why;
  auto file = spec::readRegularFile(options.input, why);
  if (!file)
    return fail("cannot read " + options.input + ": " + why);
  StringRef text = file->getBuffer();
  if (isArtifact(text))
    return fail(options.input + " is an artifact already; train with it: doppel run " +
                options.input + " --data DATA --out DIR");
  if (StringRef(options.input).ends_with(".mlir")) {
    std::string name = llvm::sys::path::filename(options.input).str();
    printer->notes.paths[name] = options.input;
    // MLIR reads the zero behind the text, which a file has not.
    module = parseSourceString<ModuleOp>(text.str(), ParserConfig(&context), name);
    if (!module)
      return userError;
    phase = phaseOf(*module);
    return done;
  }
  if (text.contains('\0'))
    return fail(options.input + " is no spec: it holds bytes that are no text");
  spec::SpecOptions frontend{options.sets, options.importPaths, wantsColour()};
  module =
      spec::loadSpecText(context, options.input, text, frontend, llvm::errs(), &printer->notes);
  if (module)
    source = text.str();
  phase = Phase::Ssl;
  return module ? done : userError;
}

int Compilation::dump(Phase phase, StringRef text) {
  if (options.dumpFolder.empty())
    return done;
  if (std::error_code error = llvm::sys::fs::create_directories(options.dumpFolder))
    return fail("cannot create " + options.dumpFolder + ": " + error.message());
  std::string name = (llvm::sys::path::stem(options.input) + "." + Twine(unsigned(phase) + 1) +
                      "." + getPhase(phase).name + (phase == Phase::Code ? ".ll" : ".mlir"))
                         .str();
  SmallString<128> path(options.dumpFolder);
  llvm::sys::path::append(path, name);
  return writeFile(path.str().str(), text);
}

static std::string textOf(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream out(text);
  module.print(out);
  out << '\n';
  return text;
}

int Compilation::lookAtSchedules() {
  bool isRight = true;
  for (auto method : module->getOps<ssl::MethodOp>()) {
    schedules = collectSchedules(method);
    isRight &= succeeded(checkSchedules(method, schedules));
  }
  return isRight ? done : userError;
}

int Compilation::lowerTo(Phase last) {
  if (int code = load())
    return code;
  if (int code = checkPrecision())
    return code;
  if (last > Phase::Ssl)
    if (int code = lookAtSchedules())
      return code;
  if (last >= Phase::Fused)
    if (int code = chooseTarget())
      return code;
  for (Phase next = phase;; next = Phase(unsigned(next) + 1)) {
    if (next > phase && next <= Phase::Plan) {
      PassManager manager(&context);
      if (options.timing)
        manager.enableTiming();
      PipelineOptions pipeline;
      if (options.precision)
        pipeline.precision = nn::stringifyPrecision(*options.precision).str();
      buildPipeline(manager, phase, next, pipeline);
      if (failed(manager.run(*module)))
        return afterFailure(next);
      phase = next;
    }
    if (!options.dumpFolder.empty())
      if (int code = dump(phase, textOf(*module)))
        return code;
    if (next == Phase::Train) // the last phase that warns
      printer->warnOfIdleAllowances(context);
    if (next >= last || next >= Phase::Plan)
      return done;
  }
}

int Compilation::writeText(StringRef text) {
  if (options.output.empty()) {
    llvm::outs() << text;
    return done;
  }
  return writeFile(options.output, text);
}

/// Gives the module the target that the command line names, if it has none from a later phase.
int Compilation::chooseTarget() {
  plan::TargetAttr old = plan::findTarget(*module);
  if (!options.target && old && !old.getName().empty())
    return done;
  plan::TargetAttr named = old;
  if (options.target || !old)
    named = plan::targetAttrOf(&context, options.target.value_or(plan::TargetName{plan::cpuKind}));
  FailureOr<plan::TargetAttr> target =
      cpu::completeTarget(named, [&] { return mlir::emitError(UnknownLoc::get(&context)); });
  if (failed(target))
    return userError;
  if (phase >= Phase::Fused && old && old.getKind() != target->getKind())
    return fail((options.input + " is in the phase '" + getPhase(phase).name + "' for the target " +
                 old.getKind() + "; compile the spec again for " + target->getKind())
                    .str());
  plan::setTarget(*module, *target);
  return done;
}

/// That the target has what is asked for, and that it is asked in time.
int Compilation::checkPrecision() {
  if (!options.precision)
    return done;
  if (phase >= Phase::Train)
    return fail((options.input + " is in the phase '" + getPhase(phase).name +
                 "', where calls have their precision; compile the spec again with --precision")
                    .str());
  plan::TargetAttr named = plan::findTarget(*module);
  if (options.target || !named)
    named = plan::targetAttrOf(&context, options.target.value_or(plan::TargetName{plan::cpuKind}));
  if (*options.precision != nn::Precision::TF32 || plan::machineOf(named).roundsToTf32)
    return done;
  mlir::emitError(UnknownLoc::get(&context))
      << "E0601: the target " << named.getKind()
      << " does not round to tf32, which tensor cores of "
      << "GPUs do: leave --precision out, or give --target cuda with it";
  return userError;
}

int Compilation::emitCode() {
  FailureOr<std::string> text = cpu::kernelsAsLlvm(*module);
  if (failed(text))
    return afterFailure(Phase::Code);
  if (int code = dump(Phase::Code, *text))
    return code;
  if (int code = dumpKernels("kernels.ll", *text))
    return code;
  return options.emit == Phase::Code ? writeText(*text) : int(done);
}

int Compilation::dumpKernels(StringRef name, StringRef bytes) {
  if (options.kernelsFolder.empty())
    return done;
  if (std::error_code error = llvm::sys::fs::create_directories(options.kernelsFolder))
    return fail("cannot create " + options.kernelsFolder + ": " + error.message());
  SmallString<128> path(options.kernelsFolder);
  llvm::sys::path::append(path, name);
  return writeFile(path.str().str(), bytes);
}

/// Code of kernels for GPUs, as far as this build makes it.
int Compilation::finishForGpu() {
  StringRef kind = plan::findTarget(*module).getKind();
  bool wantsLlvm = options.emit == Phase::Code && !options.emitPtx;
  if (wantsLlvm || !options.kernelsFolder.empty() || !options.dumpFolder.empty()) {
    FailureOr<std::string> text = cuda::kernelsAsLlvm(*module);
    if (failed(text))
      return afterFailure(Phase::Code);
    if (int code = dump(Phase::Code, *text))
      return code;
    if (int code = dumpKernels("kernels.ll", *text))
      return code;
    if (wantsLlvm)
      return writeText(*text);
  }
  bool isArtifact = options.emit == Phase::Artifact && !options.emitPtx;
  if (kind != plan::cudaKind) {
    if (options.emitPtx || !options.kernelsFolder.empty())
      return fail(("--emit ptx and --dump-kernels are for the target cuda, not " + kind).str(),
                  usageError);
    return isArtifact ? emitForSimulator() : int(done);
  }
  std::unique_ptr<cuda::Assembler> assembler;
  if (isArtifact || !options.kernelsFolder.empty()) {
    auto found = findAssembler();
    if (found)
      assembler = std::move(*found);
    else
      llvm::errs() << "doppel: note: no cubins are made: " << llvm::toString(found.takeError())
                   << '\n';
  }
  auto made = cuda::compileKernels(*module, assembler.get());
  if (failed(made))
    return afterFailure(Phase::Code);
  std::string ptx;
  plan::TargetAttr target = plan::findTarget(*module);
  for (auto [number, part] : llvm::enumerate(made->modules)) {
    ptx += part.ptx;
    std::string stem = ("kernels." + Twine(number)).str();
    if (int code = dumpKernels(stem + ".ptx", part.ptx))
      return code;
    for (auto [name, cubin] :
         llvm::zip(target.getArchitectures().getAsValueRange<StringAttr>(), part.cubins))
      if (int code = dumpKernels((stem + "." + name + ".cubin").str(), cubin.bytes))
        return code;
  }
  if (assembler)
    if (int code = dumpKernels("kernels.txt", assembler->description() + "\n\n" +
                                                  cuda::describeUsage(*module, *made)))
      return code;
  if (!isArtifact)
    return options.emitPtx ? writeText(ptx) : int(done);
  return emitGpuArtifact(std::move(*made));
}

/// How each kernel's launch asks for its blocks.
static std::vector<schema::Block> blocksOf(ArrayRef<cuda::BlockShape> shapes) {
  std::vector<schema::Block> blocks;
  for (const cuda::BlockShape &shape : shapes)
    blocks.push_back({shape.threads, uint32_t(shape.sharedBytes)});
  return blocks;
}

int Compilation::emitForSimulator() {
  auto made = cuda::compileForSimulator(*module);
  if (failed(made))
    return afterFailure(Phase::Code);
  ArtifactParts parts;
  parts.code = {{.modules = {std::move(made->elf)}, .blocks = blocksOf(made->blocks)}};
  return emitArtifact(std::move(parts));
}

/// PTX for all GPUs from the least on, and cubins for those that were named.
int Compilation::emitGpuArtifact(cuda::GpuCode made) {
  ArtifactParts parts;
  for (const cuda::BlockShape &shape : made.blocks)
    parts.kernelModules.push_back(shape.module);
  std::vector<schema::Block> blocks = blocksOf(made.blocks);
  auto architectures =
      llvm::to_vector(plan::findTarget(*module).getArchitectures().getAsValueRange<StringAttr>());
  KernelCode ptx{schema::CodeKind::Ptx, architectures.front().str(), {}, blocks};
  for (cuda::GpuModule &part : made.modules)
    ptx.modules.push_back(std::move(part.ptx));
  parts.code.push_back(std::move(ptx));
  for (auto [number, name] : llvm::enumerate(architectures)) {
    KernelCode cubins{schema::CodeKind::Cubin, name.str(), {}, blocks};
    for (cuda::GpuModule &part : made.modules)
      if (number < part.cubins.size())
        cubins.modules.push_back(std::move(part.cubins[number].bytes));
    if (!cubins.modules.empty())
      parts.code.push_back(std::move(cubins));
  }
  return emitArtifact(std::move(parts));
}

int Compilation::emitForCpu() {
  FailureOr<cpu::ObjectCode> object = cpu::compileKernels(*module);
  if (failed(object))
    return afterFailure(Phase::Code);
  if (int code = dumpKernels("kernels.so", object->elf))
    return code;
  ArtifactParts parts;
  parts.code = {{.modules = {std::move(object->elf)}, .blocks = {}}};
  return emitArtifact(std::move(parts));
}

int Compilation::emitArtifact(ArtifactParts parts) {
  if (options.explain)
    printExplanation(*module, llvm::outs());
  parts.specSource = source;
  parts.schedules = std::move(schedules);
  FailureOr<std::string> bytes = serializeArtifact(*module, parts);
  if (failed(bytes))
    return afterFailure(Phase::Artifact);
  std::string path = artifactPath();
  if (int code = writeFile(path, *bytes))
    return code;
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  if (!options.quiet)
    printSummary(*module, path, bytes->size(), seconds.count(), llvm::outs());
  // The artifact is what was asked for; that nobody reads about it is no failure.
  llvm::outs().flush();
  llvm::outs().clear_error();
  return done;
}

int Compilation::finish() {
  if (options.emit <= Phase::Plan)
    return writeText(textOf(*module));
  if (plan::findTarget(*module).getKind() != plan::cpuKind)
    return finishForGpu();
  if (options.emitPtx)
    return fail("--emit ptx is for GPUs: give --target cuda with it", usageError);
  if (options.emit == Phase::Code || !options.dumpFolder.empty() || !options.kernelsFolder.empty())
    if (int code = emitCode())
      return code;
  if (options.emit == Phase::Code)
    return done;
  return emitForCpu();
}

} // namespace

int compile(const CompileOptions &options) {
  if (options.emitAst)
    return spec::printSpecAst(options.input, llvm::outs(), llvm::errs(), wantsColour()) ? done
                                                                                        : userError;
  Compilation compilation(options);
  if (int code = compilation.checkOutput())
    return code;
  if (int code = compilation.lowerTo(options.emit))
    return code;
  return compilation.finish();
}

int check(const CompileOptions &options) {
  Compilation compilation(options);
  if (int code = compilation.lowerTo(Phase::Train))
    return code;
  llvm::outs() << options.input << ": no errors\n";
  return done;
}

int explainCode(const std::string &code) {
  const spec::CodeInfo *entry = spec::findCode(code);
  if (!entry) {
    llvm::errs() << "doppel: error: there is no message with the code '" << code
                 << "'; codes look like E0312 and stand in every message\n";
    return userError;
  }
  llvm::outs() << entry->code << ": " << entry->title << "\n\n" << entry->explanation << '\n';
  return done;
}

} // namespace doppel::cli
