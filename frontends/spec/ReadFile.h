// Reads the files of specs.
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/MemoryBuffer.h"

#include <memory>
#include <string>

namespace doppel::spec {

/// The contents of a regular file. Null, and in `why` the reason, for what is none (a pipe or a
/// device may never end) or cannot be read.
std::unique_ptr<llvm::MemoryBuffer> readRegularFile(llvm::StringRef path, std::string &why);

} // namespace doppel::spec
