// Files by the system's calls, since streams neither sync nor tell what failed.
#include "runtime/core/File.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace doppel::runtime {

namespace fs = std::filesystem;

File::File(File &&other) noexcept
    : name(std::move(other.name)), handle(std::exchange(other.handle, -1)), bytes(other.bytes) {}

File::~File() {
  if (handle >= 0)
    ::close(handle);
}

Result<File> File::open(const fs::path &path, int flags) {
  return open(path, flags, path.string());
}

Result<File> File::open(const fs::path &path, int flags, std::string name) {
  int handle;
  do
    handle = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  while (handle < 0 && errno == EINTR);
  if (handle < 0)
    return fail("cannot open {}: {}", name, std::strerror(errno));
  return File(std::move(name), handle);
}

Result<File> File::openRegular(const fs::path &path, std::string_view name) {
  // Without O_NONBLOCK the opening of a pipe waits for its writer.
  DOPPEL_TRY(File file,
             open(path, O_RDONLY | O_NONBLOCK, name.empty() ? path.string() : std::string(name)));
  struct stat status;
  if (::fstat(file.handle, &status) != 0)
    return fail("cannot open {}: {}", file.name, std::strerror(errno));
  if (!S_ISREG(status.st_mode))
    return fail("cannot open {}: it is no regular file", file.name);
  file.bytes = uint64_t(status.st_size);
  return file;
}

Result<void> File::read(void *target, uint64_t count) {
  auto *next = static_cast<char *>(target);
  while (count > 0) {
    ssize_t got = ::read(handle, next, count);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return fail("cannot read {}: {}", name, std::strerror(errno));
    if (got == 0)
      return fail("cannot read {}: it became shorter meanwhile", name);
    next += got;
    count -= uint64_t(got);
  }
  return {};
}

Result<void> File::write(std::span<const std::byte> data) {
  while (!data.empty()) {
    ssize_t count = ::write(handle, data.data(), data.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return fail("cannot write {}: {}", name, std::strerror(errno));
    data = data.subspan(size_t(count));
  }
  return {};
}

Result<void> File::sync() {
  // Some file systems know no sync of a folder.
  if (::fsync(handle) != 0 && errno != EINVAL && errno != ENOTSUP)
    return fail("cannot write {}: {}", name, std::strerror(errno));
  return {};
}

Result<std::string> readFile(const fs::path &path, uint64_t most) {
  DOPPEL_TRY(File file, File::openRegular(path));
  if (file.size() > most)
    return fail("{} has {} bytes, more than the {} that it may have", path.string(), file.size(),
                most);
  std::string text(file.size(), '\0');
  DOPPEL_CHECK(file.read(text.data(), text.size()));
  return text;
}

Result<std::vector<uint8_t>> readBytes(const fs::path &path, uint64_t count) {
  DOPPEL_TRY(File file, File::openRegular(path, "the file"));
  std::vector<uint8_t> bytes(std::min(file.size(), count));
  DOPPEL_CHECK(file.read(bytes.data(), bytes.size()));
  return bytes;
}

Result<void> syncFolder(const fs::path &folder) {
  DOPPEL_TRY(File file, File::open(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY));
  return file.sync();
}

Result<void> writeFileAtomically(const fs::path &path, std::span<const std::byte> bytes) {
  fs::path folder = path.parent_path();
  std::string temporary = (folder / (kTemporary + path.filename().string() + "-XXXXXX")).string();
  int handle = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (handle < 0)
    return fail("cannot write {}: {}", path.string(), std::strerror(errno));
  auto write = [&]() -> Result<void> {
    File file(path.string(), handle);
    mode_t mask = ::umask(0); // the permissions that open() would have given
    ::umask(mask);
    ::fchmod(file.descriptor(), 0666 & ~mask);
    DOPPEL_CHECK(file.write(bytes));
    DOPPEL_CHECK(file.sync());
    if (::rename(temporary.c_str(), path.c_str()) != 0)
      return fail("cannot write {}: {}", path.string(), std::strerror(errno));
    return {};
  };
  if (auto written = write(); !written) {
    ::unlink(temporary.c_str());
    return written;
  }
  return syncFolder(folder);
}

Result<std::vector<fs::path>> entriesOf(const fs::path &folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    entries.push_back(entry->path());
  if (error && error != std::errc::no_such_file_or_directory)
    return fail("cannot read the folder {}: {}", folder.string(), error.message());
  return entries;
}

void removeTemporaries(const fs::path &folder) {
  std::error_code ignored;
  auto entries = entriesOf(folder);
  if (!entries)
    return;
  for (const fs::path &entry : *entries)
    if (entry.filename().string().starts_with(kTemporary))
      fs::remove_all(entry, ignored);
}

} // namespace doppel::runtime
