// Looks before it opens; see ReadFile.h.
#include "frontends/spec/ReadFile.h"

#include "llvm/Support/FileSystem.h"

namespace doppel::spec {

static llvm::StringRef kindOf(llvm::sys::fs::file_type type) {
  using llvm::sys::fs::file_type;
  switch (type) {
  case file_type::directory_file:
    return "a folder";
  case file_type::character_file:
  case file_type::block_file:
    return "a device";
  case file_type::fifo_file:
    return "a pipe";
  case file_type::socket_file:
    return "a socket";
  default:
    return "no regular file";
  }
}

std::unique_ptr<llvm::MemoryBuffer> readRegularFile(llvm::StringRef path, std::string &why) {
  llvm::sys::fs::file_status status;
  if (std::error_code failed = llvm::sys::fs::status(path, status)) {
    why = failed.message();
    return nullptr;
  }
  if (status.type() != llvm::sys::fs::file_type::regular_file) {
    why = ("it is " + kindOf(status.type())).str();
    return nullptr;
  }
  auto buffer =
      llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer) {
    why = buffer.getError().message();
    return nullptr;
  }
  return std::move(*buffer);
}

} // namespace doppel::spec
