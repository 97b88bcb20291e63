// Takes safetensors files, which the runtime reads, into tensors of the oracle.
#pragma once

#include "codegen/reference/Tensor.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <map>
#include <string>

namespace doppel::verify {

struct Safetensors {
  std::map<std::string, reference::Tensor> tensors; ///< F32 and F64 by name
  std::map<std::string, std::string> metadata;
};

/// Fails with the reason where the file cannot be read or is not whole.
llvm::Expected<Safetensors> readSafetensors(llvm::StringRef path);

} // namespace doppel::verify
