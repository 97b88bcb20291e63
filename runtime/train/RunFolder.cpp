// Makes, locks and reopens the folder of a run.
#include "runtime/train/RunFolder.h"

#include "runtime/core/File.h"

#include <cstring>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <unistd.h>

namespace doppel::runtime {

namespace fs = std::filesystem;

RunFolder::RunFolder(RunFolder &&other) noexcept
    : root(std::move(other.root)), lock(std::exchange(other.lock, -1)),
      metricsFile(std::move(other.metricsFile)) {}

RunFolder::~RunFolder() {
  if (lock >= 0)
    close(lock);
}

Result<RunFolder> RunFolder::open(const fs::path &path, FolderMode mode) {
  RunFolder folder;
  folder.root = path;
  std::error_code error;
  fs::create_directories(path, error);
  if (error)
    return fail("cannot make the run folder {}: {}", path.string(), error.message());
  fs::path lockPath = path / ".lock";
  folder.lock = ::open(lockPath.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (folder.lock < 0)
    return fail("cannot write in the run folder {}: {}", path.string(), std::strerror(errno));
  if (flock(folder.lock, LOCK_EX | LOCK_NB) != 0)
    return fail("another process is running in {}; wait for it or choose another --out",
                path.string());

  bool holdsRun = fs::exists(folder.description(), error);
  if (mode == FolderMode::Resume && !holdsRun)
    return fail("{} holds no run to resume; leave out --resume to start one", path.string());
  if (mode == FolderMode::Fresh && holdsRun)
    return fail("{} already holds a run; go on with it by --resume, or replace it by --overwrite",
                path.string());
  return folder;
}

Result<void> RunFolder::clear() {
  std::error_code error;
  for (const fs::path &entry : {artifact(), description(), metrics(), heldOut()})
    fs::remove(entry, error);
  fs::remove_all(checkpoints(), error);
  if (error)
    return fail("cannot remove the old run in {}: {}", root.string(), error.message());
  return {};
}

Result<void> RunFolder::openMetrics(int64_t step) {
  // An interrupted run may have logged steps that its last checkpoint does not have, and torn the
  // last line.
  std::string kept;
  std::ifstream old(metrics());
  for (std::string line; std::getline(old, line);) {
    auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (json.is_object() && json.contains("step") && json["step"].is_number_integer() &&
        json["step"].get<int64_t>() < step)
      kept += line + "\n";
  }
  old.close();
  DOPPEL_CHECK(writeFileAtomically(metrics(), std::as_bytes(std::span(kept.data(), kept.size()))));
  metricsFile.open(metrics(), std::ios::app);
  if (!metricsFile)
    return fail("cannot write {}: {}", metrics().string(), std::strerror(errno));
  return {};
}

Result<void> RunFolder::appendMetrics(const std::string &line) {
  metricsFile << line << '\n' << std::flush;
  if (!metricsFile)
    return fail("cannot write {}: {}", metrics().string(), std::strerror(errno));
  return {};
}

/// run.json is a page; what is larger is none.
constexpr uint64_t kMaxDescriptionBytes = 1 << 20;

Result<double> recordedHoldout(const fs::path &folder) {
  fs::path path = folder / "run.json";
  DOPPEL_TRY(std::string text, readFile(path, kMaxDescriptionBytes));
  auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object())
    return fail("{} cannot be read; it says what the run was asked for", path.string());
  auto holdout = json.find("holdout");
  if (holdout == json.end())
    return 0;
  if (!holdout->is_number() || !(*holdout >= 0.0 && *holdout < 1.0))
    return fail("{}: 'holdout' is {}, no fraction from 0 to below 1", path.string(),
                holdout->dump());
  return holdout->get<double>();
}

} // namespace doppel::runtime
