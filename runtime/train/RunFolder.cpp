// Makes, locks and reopens the folder of a run.
#include "runtime/train/RunFolder.h"

#include "runtime/core/Json.h"
#include "runtime/train/Checkpoint.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace doppel::runtime {

namespace fs = std::filesystem;

namespace {

constexpr const char *kLock = ".lock";
/// The files of a run that begins, and what the folder held before, until the one has taken the
/// other's place. While the second is there the old run is the one that counts.
constexpr const char *kStaged = "new", *kReplaced = "replaced";

/// The folders of `path` that are not there, innermost first.
std::vector<fs::path> missingFolders(fs::path path) {
  std::vector<fs::path> missing;
  std::error_code error;
  for (path = fs::absolute(path, error).lexically_normal(); !error; path = path.parent_path()) {
    if (path.filename().empty() && path.has_parent_path() && path != path.parent_path())
      continue; // behind a trailing slash
    if (path.empty() || fs::exists(path, error) || path == path.parent_path())
      break;
    missing.push_back(path);
  }
  return missing;
}

/// Whether the open file is still the one of that name.
bool isStill(const File &file, const fs::path &path) {
  struct stat open, named;
  return ::fstat(file.descriptor(), &open) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

Result<void> move(const fs::path &from, const fs::path &to) {
  if (::rename(from.c_str(), to.c_str()) == 0)
    return {};
  return fail("cannot rename {} to {}: {}", from.string(), to.string(), std::strerror(errno));
}

} // namespace

RunFolder::RunFolder(RunFolder &&other) noexcept = default;

RunFolder::~RunFolder() {
  if (!lock || made.empty() || holdsRun())
    return;
  removeTemporaries(root);
  ::unlink((root / kLock).c_str());
  for (const fs::path &folder : made)
    if (::rmdir(folder.c_str()) != 0)
      break;
}

bool RunFolder::holdsRun() const {
  std::error_code error;
  // One that lost its run.json is a run all the same.
  auto kept = listCheckpoints(checkpoints());
  return fs::exists(description(), error) || !kept || !kept->empty();
}

Result<RunFolder> RunFolder::open(const fs::path &path, FolderMode mode) {
  RunFolder folder;
  folder.root = path;
  folder.openedAs = mode;
  fs::path lockPath = path / kLock;
  // Again where another process, that made the folder and began no run, removes it meanwhile.
  for (int tries = 0; !folder.lock; ++tries) {
    folder.made = missingFolders(path);
    std::error_code error;
    fs::create_directories(path, error);
    if (error)
      return fail("cannot make the run folder {}: {}", path.string(), error.message());
    auto lock = File::open(lockPath, O_RDWR | O_CREAT);
    if (!lock && tries < 10 && !fs::exists(path, error))
      continue;
    if (!lock)
      return fail("cannot write in the run folder {}: {}", path.string(), lock.error().message);
    if (::flock(lock->descriptor(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK)
        return fail("another process is running in {}; wait for it or choose another --out",
                    path.string());
      return fail("cannot lock the run folder {}: {}", path.string(), std::strerror(errno));
    }
    if (isStill(*lock, lockPath))
      folder.lock.emplace(*std::move(lock));
    else if (tries == 10)
      return fail("the run folder {} comes and goes; choose another --out", path.string());
  }
  DOPPEL_CHECK(folder.putBack());
  removeTemporaries(path);
  if (mode == FolderMode::Resume && !folder.holdsRun())
    return fail("{} holds no run to resume; leave out --resume to start one", path.string());
  if (mode == FolderMode::Fresh && folder.holdsRun())
    return fail("{} already holds a run; go on with it by --resume, or replace it by --overwrite",
                path.string());
  return folder;
}

fs::path RunFolder::temporary(std::string_view name) const {
  return root / (kTemporary + std::string(name));
}

Result<void> RunFolder::check() const {
  if (isStill(*lock, root / kLock))
    return {};
  return fail("the run folder {} was removed or replaced while the run went on", root.string());
}

Result<void> RunFolder::takeArtifact(std::span<const std::byte> bytes, const RunDescription &text) {
  DOPPEL_CHECK(check());
  DOPPEL_CHECK(writeFileAtomically(artifact(), bytes));
  return describe(text);
}

Result<void> RunFolder::describe(const RunDescription &text) {
  return writeFileAtomically(description(), bytesOf(textOf(text)));
}

Result<void> RunFolder::begin(std::span<const std::byte> bytes, const RunDescription &text,
                              std::string_view heldOutNames) {
  DOPPEL_CHECK(check());
  fs::path staged = temporary(kStaged), replaced = temporary(kReplaced), gone = temporary("gone");
  auto make = [](const fs::path &folder) -> Result<void> {
    std::error_code error;
    fs::create_directory(folder, error);
    if (error)
      return fail("cannot make the folder {}: {}", folder.string(), error.message());
    return {};
  };
  DOPPEL_CHECK(make(staged));
  std::string described = textOf(text);
  std::pair<fs::path, std::span<const std::byte>> files[] = {
      {artifact(), bytes}, {heldOut(), bytesOf(heldOutNames)}, {description(), bytesOf(described)}};
  for (const auto &[path, content] : files)
    DOPPEL_CHECK(writeFileAtomically(staged / path.filename(), content));
  DOPPEL_CHECK(make(replaced));
  // From here on nothing is written that a full disk could refuse.
  auto replace = [&]() -> Result<void> {
    std::error_code error;
    for (const fs::path &path : {checkpoints(), metrics(), artifact(), heldOut(), description()})
      if (fs::exists(path, error))
        DOPPEL_CHECK(move(path, replaced / path.filename()));
    // The description comes last: it is what makes the folder a run.
    for (const auto &[path, content] : files)
      if (!content.empty())
        DOPPEL_CHECK(move(staged / path.filename(), path));
    DOPPEL_CHECK(syncFolder(root));
    // By this rename the old run ends.
    DOPPEL_CHECK(move(replaced, gone));
    return syncFolder(root);
  };
  if (auto done = replace(); !done) {
    ::rename(gone.c_str(), replaced.c_str());
    if (auto back = putBack(); !back)
      return fail("{}; the old run is put back when the folder is opened again ({})",
                  done.error().message, back.error().message);
    return done;
  }
  removeTemporaries(root);
  return {};
}

Result<void> RunFolder::putBack() const {
  fs::path staged = temporary(kStaged), replaced = temporary(kReplaced);
  std::error_code error;
  if (!fs::exists(replaced, error))
    return {};
  // What is staged no more stands in the folder.
  for (const fs::path &path : {description(), heldOut(), artifact()})
    if (fs::exists(staged, error) && !fs::exists(staged / path.filename(), error))
      DOPPEL_CHECK(move(path, staged / path.filename()));
  DOPPEL_TRY(auto entries, entriesOf(replaced));
  for (const fs::path &entry : entries)
    DOPPEL_CHECK(move(entry, root / entry.filename()));
  DOPPEL_CHECK(syncFolder(root));
  fs::remove(replaced, error);
  return {};
}

Result<void> RunFolder::openMetrics(int64_t step) {
  // An interrupted run may have logged steps that its last checkpoint does not have, and torn the
  // last line.
  std::string kept;
  std::error_code error;
  if (fs::exists(metrics(), error)) {
    DOPPEL_TRY(std::string old, readFile(metrics()));
    for (size_t begin = 0; begin < old.size();) {
      size_t end = std::min(old.find('\n', begin), old.size());
      std::string_view line = std::string_view(old).substr(begin, end - begin);
      Json json = parseJson(line, 1);
      if (json.is_object() && json.contains("step") && json["step"].is_number_integer() &&
          json["step"].get<int64_t>() < step)
        kept += std::string(line) + "\n";
      begin = end + 1;
    }
  }
  DOPPEL_CHECK(writeFileAtomically(metrics(), bytesOf(kept)));
  DOPPEL_TRY(File file, File::open(metrics(), O_WRONLY | O_APPEND));
  metricsFile.emplace(std::move(file));
  metricsBytes = kept.size();
  return {};
}

Result<void> RunFolder::appendMetrics(const std::string &line) {
  std::string text = line + "\n";
  if (auto written = metricsFile->write(bytesOf(text)); !written) {
    // A part of the line may stand there.
    [[maybe_unused]] int cut = ::ftruncate(metricsFile->descriptor(), off_t(metricsBytes));
    return written;
  }
  metricsBytes += text.size();
  return {};
}

} // namespace doppel::runtime
