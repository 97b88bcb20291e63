// PTX as machine code of one architecture, by NVIDIA's assembler: nvJitLink as a library, or the
// program ptxas. Neither needs a GPU; where neither is there, PTX alone is shipped.
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>
#include <vector>

namespace doppel::cuda {

/// What the assembler says of a kernel.
struct KernelUsage {
  std::string kernel;
  unsigned registers = 0;
  unsigned sharedBytes = 0;                 ///< nvJitLink counts the KiB that sm_90 and later keep
  unsigned stackBytes = 0;                  ///< of local memory
  unsigned spillStores = 0, spillLoads = 0; ///< bytes
};

struct Cubin {
  std::string bytes; ///< an ELF object
  std::vector<KernelUsage> usage;
};

class Assembler {
public:
  virtual ~Assembler() = default;
  /// "nvJitLink 13.0" or "ptxas 13.0.88".
  virtual std::string description() const = 0;
  /// The cubin of one PTX module for `architecture` ("sm_90"). Safe from several threads.
  virtual llvm::Expected<Cubin> assemble(llvm::StringRef ptx,
                                         llvm::StringRef architecture) const = 0;
};

/// Opens a library (libnvJitLink.so.13 or an older one with the same functions).
llvm::Expected<std::unique_ptr<Assembler>> openNvJitLink(const std::string &path);
/// Takes the program `path`.
llvm::Expected<std::unique_ptr<Assembler>> openPtxas(const std::string &path);

/// The table that ptxas -v and nvJitLink -verbose print. Source: their output, CUDA 12 and 13.
std::vector<KernelUsage> parseUsage(llvm::StringRef log);

} // namespace doppel::cuda
