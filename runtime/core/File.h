// Files: read whole where they are regular, written whole or not at all.
#pragma once

#include "runtime/core/Error.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace doppel::runtime {

/// An open file, closed with this object. Errors name the file.
class File {
public:
  /// Opens a regular file for reading. What is none is refused at once: a pipe would wait for its
  /// writer, a device would never end. `name`: what errors call it, where that is not its path.
  static Result<File> openRegular(const std::filesystem::path &path, std::string_view name = {});
  /// Opens with flags of open(2); a new file may be read and written as the umask says.
  static Result<File> open(const std::filesystem::path &path, int flags);
  File(File &&other) noexcept;
  File &operator=(File &&) = delete;
  ~File();

  int descriptor() const { return handle; }
  /// Bytes of a file that openRegular() opened, at that time.
  uint64_t size() const { return bytes; }
  /// Reads the next bytes; fails where the file ends before.
  Result<void> read(void *target, uint64_t count);
  Result<void> write(std::span<const std::byte> bytes);
  /// Until the bytes are on the disk.
  Result<void> sync();

private:
  friend Result<void> writeFileAtomically(const std::filesystem::path &path,
                                          std::span<const std::byte> bytes);
  File(std::string name, int handle) : name(std::move(name)), handle(handle) {}
  static Result<File> open(const std::filesystem::path &path, int flags, std::string name);
  std::string name;
  int handle = -1;
  uint64_t bytes = 0;
};

/// The bytes of a regular file of at most `most` bytes.
Result<std::string> readFile(const std::filesystem::path &path, uint64_t most = uint64_t(1) << 40);

/// The bytes of a regular file, or its first `count`. Errors say "the file": callers name it.
Result<std::vector<uint8_t>> readBytes(const std::filesystem::path &path,
                                       uint64_t count = uint64_t(-1));

/// Writes a file that appears whole or not at all: to a temporary name beside it, which begins with
/// kTemporary, synced, renamed, and the folder synced. A failure leaves what was there.
Result<void> writeFileAtomically(const std::filesystem::path &path,
                                 std::span<const std::byte> bytes);

/// What the names of files and folders that are being written begin with. A process that was killed
/// leaves them behind.
inline constexpr const char *kTemporary = ".tmp-";

/// Removes what an interrupted write left in `folder`, whose only writer calls.
void removeTemporaries(const std::filesystem::path &folder);

/// Until a rename in `folder` is on the disk.
Result<void> syncFolder(const std::filesystem::path &folder);

/// The entries of a folder, in any order; none where there is no such folder.
Result<std::vector<std::filesystem::path>> entriesOf(const std::filesystem::path &folder);

inline std::span<const std::byte> bytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

} // namespace doppel::runtime
