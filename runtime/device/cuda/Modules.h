// Kernels on a GPU: which of the codes that an artifact brings a GPU runs, and loading it.
#pragma once

#include "runtime/device/cuda/Driver.h"

#include <cstddef>

namespace doppel::runtime::cuda {

/// One of the codes that an artifact has for all of its kernels.
struct CodeOffer {
  bool ptx = false;         ///< text that the driver compiles; else cubins
  std::string architecture; ///< "sm_90": what cubins are for, the least that PTX is for
};

struct CodeChoice {
  size_t offer = 0;
  std::string remark; ///< a sentence where the GPU has no code of its own, else empty
};

/// The cubins for the GPU's architecture; else those for an earlier one of the same generation (an
/// sm_86 runs code for sm_80, not an sm_90); else PTX, which any later GPU's driver compiles. Fails
/// where there is none of these, with the target to compile for.
Result<CodeChoice> chooseCode(std::span<const CodeOffer> offers, const GpuInfo &gpu);

/// Code in the current context, unloaded with this object.
class Module {
public:
  /// `code`: a cubin or PTX. An error has the driver's own words about PTX.
  static Result<std::unique_ptr<Module>> load(const Driver &driver,
                                              std::span<const std::byte> code);
  Module(const Driver &driver, CUmodule handle) : driver(driver), handle(handle) {}
  Module(const Module &) = delete;
  Module &operator=(const Module &) = delete;
  ~Module();

  Result<CUfunction> function(const std::string &kernel) const;

private:
  const Driver &driver;
  CUmodule handle;
};

} // namespace doppel::runtime::cuda
