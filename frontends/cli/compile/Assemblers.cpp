#include "frontends/cli/compile/Assemblers.h"

#include "runtime/device/cuda/Library.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Program.h"

using namespace doppel;

llvm::Expected<std::unique_ptr<cuda::Assembler>> cli::findAssembler() {
  static constexpr const char *names[] = {"libnvJitLink.so.13", "libnvJitLink.so.12"};
  runtime::cuda::LibrarySearch search = runtime::cuda::usualSearch();
  auto library = runtime::cuda::openLibrary("nvJitLink", names, search);
  if (library)
    return cuda::openNvJitLink(library->name());
  if (auto path = llvm::sys::findProgramByName("ptxas"))
    return cuda::openPtxas(*path);
  for (const std::string &folder : search.then)
    if (std::string path = folder + "/../bin/ptxas"; llvm::sys::fs::can_execute(path))
      return cuda::openPtxas(path);
  return llvm::createStringError("%s; nor is there a ptxas", library.error().message.c_str());
}
