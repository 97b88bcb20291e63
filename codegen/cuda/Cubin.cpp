#include "codegen/cuda/Cubin.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/raw_ostream.h"

#include <dlfcn.h>

using namespace doppel;
using namespace doppel::cuda;
using llvm::StringRef;

namespace {

// The part of nvJitLink's interface in use, which is the same in CUDA 12 and 13. Held against the
// toolkit's header, where there is one, by test/unit/codegen/CudaCubin.cpp.
struct Linker {
  using Handle = void *;
  static constexpr int inputPtx = 2;
  int (*create)(Handle *, uint32_t, const char **) = nullptr;
  int (*destroy)(Handle *) = nullptr;
  int (*addData)(Handle, int, const void *, size_t, const char *) = nullptr;
  int (*complete)(Handle) = nullptr;
  int (*cubinSize)(Handle, size_t *) = nullptr;
  int (*cubin)(Handle, void *) = nullptr;
  int (*errorSize)(Handle, size_t *) = nullptr;
  int (*error)(Handle, char *) = nullptr;
  int (*infoSize)(Handle, size_t *) = nullptr;
  int (*info)(Handle, char *) = nullptr;
  int (*version)(unsigned *, unsigned *) = nullptr;
};

class NvJitLink : public Assembler {
public:
  NvJitLink(const Linker &linker, std::string text) : linker(linker), text(std::move(text)) {}
  std::string description() const override { return text; }
  llvm::Expected<Cubin> assemble(StringRef ptx, StringRef architecture) const override;

private:
  /// A log, whose length the library tells first.
  static std::string read(Linker::Handle handle, int (*size)(Linker::Handle, size_t *),
                          int (*get)(Linker::Handle, char *)) {
    size_t bytes = 0;
    if (size(handle, &bytes) != 0 || bytes == 0)
      return "";
    std::string log(bytes, '\0');
    get(handle, log.data());
    return StringRef(log.c_str()).trim().str();
  }

  Linker linker;
  std::string text;
};

llvm::Expected<Cubin> NvJitLink::assemble(StringRef ptx, StringRef architecture) const {
  std::string arch = "-arch=" + architecture.str();
  const char *options[] = {arch.c_str(), "-verbose", "-O3"};
  Linker::Handle handle = nullptr;
  if (int status = linker.create(&handle, std::size(options), options))
    return llvm::createStringError("%s refuses the architecture '%s' (status %d)", text.c_str(),
                                   architecture.str().c_str(), status);
  llvm::scope_exit destroy([&] { linker.destroy(&handle); });
  std::string data = ptx.str();
  // The zero at its end belongs to the text.
  int status =
      linker.addData(handle, Linker::inputPtx, data.c_str(), data.size() + 1, "kernels.ptx");
  if (status == 0)
    status = linker.complete(handle);
  size_t bytes = 0;
  if (status == 0)
    status = linker.cubinSize(handle, &bytes);
  Cubin cubin{std::string(bytes, '\0'), {}};
  if (status == 0)
    status = linker.cubin(handle, cubin.bytes.data());
  if (status != 0)
    return llvm::createStringError("%s makes no code for '%s' (status %d): %s", text.c_str(),
                                   architecture.str().c_str(), status,
                                   read(handle, linker.errorSize, linker.error).c_str());
  cubin.usage = parseUsage(read(handle, linker.infoSize, linker.info));
  return cubin;
}

class Ptxas : public Assembler {
public:
  Ptxas(std::string path, std::string text) : path(std::move(path)), text(std::move(text)) {}
  std::string description() const override { return text; }
  llvm::Expected<Cubin> assemble(StringRef ptx, StringRef architecture) const override;

private:
  std::string path, text;
};

/// A new empty file in the folder for temporary ones, removed at the end of its life.
struct ScratchFile {
  explicit ScratchFile(const char *suffix) {
    if (llvm::sys::fs::createTemporaryFile("doppel-kernels", suffix, name))
      name.clear();
  }
  ~ScratchFile() {
    if (!name.empty())
      llvm::sys::fs::remove(name);
  }
  llvm::SmallString<128> name;
};

std::string contents(StringRef path) {
  auto buffer =
      llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  return buffer ? (*buffer)->getBuffer().str() : "";
}

llvm::Expected<Cubin> Ptxas::assemble(StringRef ptx, StringRef architecture) const {
  ScratchFile source("ptx"), object("cubin"), log("log");
  if (source.name.empty() || object.name.empty() || log.name.empty())
    return llvm::createStringError("cannot make a temporary file for ptxas");
  {
    std::error_code error;
    llvm::raw_fd_ostream stream(source.name, error);
    stream << ptx;
    stream.close();
    bool bad = error || stream.has_error();
    stream.clear_error();
    if (bad)
      return llvm::createStringError("cannot write the temporary file '%s'", source.name.c_str());
  }
  std::string arch = "-arch=" + architecture.str();
  StringRef arguments[] = {path, "-v", "-O3", arch, source.name, "-o", object.name};
  std::optional<StringRef> streams[] = {std::nullopt, StringRef(log.name), StringRef(log.name)};
  std::string problem;
  int status = llvm::sys::ExecuteAndWait(path, arguments, /*Env=*/std::nullopt, streams,
                                         /*SecondsToWait=*/0, /*MemoryLimit=*/0, &problem);
  std::string said = contents(log.name);
  Cubin cubin{contents(object.name), parseUsage(said)};
  if (status != 0 || cubin.bytes.empty())
    return llvm::createStringError("ptxas makes no code for '%s': %s", architecture.str().c_str(),
                                   (problem.empty() ? said : problem).c_str());
  return cubin;
}

} // namespace

llvm::Expected<std::unique_ptr<Assembler>> cuda::openNvJitLink(const std::string &path) {
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return llvm::createStringError("cannot open '%s': %s", path.c_str(), dlerror());
  Linker linker;
  std::string missing;
  auto find = [&](auto &function, const char *name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (!function && missing.empty())
      missing = name;
  };
  find(linker.create, "nvJitLinkCreate");
  find(linker.destroy, "nvJitLinkDestroy");
  find(linker.addData, "nvJitLinkAddData");
  find(linker.complete, "nvJitLinkComplete");
  find(linker.cubinSize, "nvJitLinkGetLinkedCubinSize");
  find(linker.cubin, "nvJitLinkGetLinkedCubin");
  find(linker.errorSize, "nvJitLinkGetErrorLogSize");
  find(linker.error, "nvJitLinkGetErrorLog");
  find(linker.infoSize, "nvJitLinkGetInfoLogSize");
  find(linker.info, "nvJitLinkGetInfoLog");
  find(linker.version, "nvJitLinkVersion");
  if (!missing.empty())
    return llvm::createStringError("'%s' has no function '%s'", path.c_str(), missing.c_str());
  unsigned major = 0, minor = 0;
  linker.version(&major, &minor);
  // Stays open: its threads may outlive a close.
  return std::make_unique<NvJitLink>(linker,
                                     llvm::formatv("nvJitLink {0}.{1}", major, minor).str());
}

llvm::Expected<std::unique_ptr<Assembler>> cuda::openPtxas(const std::string &path) {
  ScratchFile log("log");
  std::optional<StringRef> streams[] = {std::nullopt, StringRef(log.name), StringRef(log.name)};
  std::string problem;
  int status =
      llvm::sys::ExecuteAndWait(path, {path, "--version"}, std::nullopt, streams, 0, 0, &problem);
  llvm::SmallVector<StringRef> parts;
  std::string said = contents(log.name);
  if (status != 0 || !llvm::Regex(", V([0-9.]+)").match(said, &parts))
    return llvm::createStringError("'%s' is no ptxas: %s", path.c_str(),
                                   (problem.empty() ? said : problem).c_str());
  return std::make_unique<Ptxas>(path, "ptxas " + parts[1].str());
}

std::vector<KernelUsage> cuda::parseUsage(StringRef log) {
  std::vector<KernelUsage> kernels;
  llvm::Regex entry("Compiling entry function '([^']+)'"),
      begin("Function properties for '?([^' ]+)'?"),
      stack("([0-9]+) bytes stack frame, ([0-9]+) bytes spill stores, ([0-9]+) bytes spill loads"),
      used("Used ([0-9]+) registers"), shared("([0-9]+) bytes smem");
  llvm::SmallVector<StringRef> lines, parts;
  log.split(lines, '\n');
  auto number = [](StringRef text) {
    unsigned value = 0;
    text.getAsInteger(10, value);
    return value;
  };
  bool inEntry = false; // else a function that kernels call
  for (StringRef line : lines) {
    if (entry.match(line, &parts))
      kernels.push_back({parts[1].str()});
    if (kernels.empty())
      continue;
    KernelUsage &kernel = kernels.back();
    if (begin.match(line, &parts))
      inEntry = parts[1] == kernel.kernel;
    if (stack.match(line, &parts) && inEntry) {
      kernel.stackBytes = number(parts[1]);
      kernel.spillStores = number(parts[2]);
      kernel.spillLoads = number(parts[3]);
    }
    if (used.match(line, &parts))
      kernel.registers = number(parts[1]);
    if (shared.match(line, &parts))
      kernel.sharedBytes = number(parts[1]);
  }
  return kernels;
}
