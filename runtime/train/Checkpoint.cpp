// Writes and reads checkpoints. The manifest holds the hash of the states' file, so a torn or
// rotten one is told from a good one.
#include "runtime/train/Checkpoint.h"

#include "runtime/core/File.h"
#include "runtime/core/Safetensors.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <xxhash.h>

namespace doppel::runtime {

namespace fs = std::filesystem;

namespace {

constexpr const char *kStatesFile = "states.safetensors";
constexpr const char *kManifestFile = "manifest.json";
constexpr const char *kPrefix = "step-";
constexpr size_t kKept = 2;

/// safetensors' name of a type.
const char *typeName(schema::DType dtype) {
  switch (dtype) {
  case schema::DType::F32:
    return "F32";
  case schema::DType::F64:
    return "F64";
  case schema::DType::BF16:
    return "BF16";
  case schema::DType::I64:
    return "I64";
  case schema::DType::I32:
    return "I32";
  case schema::DType::U8:
    return "U8";
  case schema::DType::Bool:
    return "BOOL";
  default:
    return "";
  }
}

/// What an optimizer keeps stands apart, so that what begins with a network's name is the network.
/// No state's own name has a slash.
std::string nameInFile(const StateInfo &state) {
  return state.kind == schema::StateKind::Moment ? "optimizer/" + state.name : state.name;
}

/// The states as a file has them, in the order of the program.
std::vector<TensorEntry> tensorsOf(const std::vector<StateInfo> &states) {
  std::vector<TensorEntry> entries;
  uint64_t offset = 0;
  for (const StateInfo &state : states) {
    entries.push_back(
        {nameInFile(state), typeName(state.dtype), state.shape, offset, offset + state.bytes});
    offset += state.bytes;
  }
  return entries;
}

std::string folderName(int64_t step) { return fmt::format("{}{:08}", kPrefix, step); }

/// The step that a checkpoint's folder is named by.
std::optional<int64_t> stepOf(const fs::path &folder) {
  std::string name = folder.filename().string();
  int64_t step = -1;
  if (!name.starts_with(kPrefix))
    return std::nullopt;
  std::from_chars(name.data() + std::strlen(kPrefix), name.data() + name.size(), step);
  return step >= 0 && name == folderName(step) ? std::optional(step) : std::nullopt;
}

/// Index of the first number that is not finite, if any.
template <typename Number> std::optional<size_t> firstNonFinite(std::span<const std::byte> bytes) {
  for (size_t i = 0; i < bytes.size() / sizeof(Number); ++i) {
    Number number;
    std::memcpy(&number, bytes.data() + i * sizeof(Number), sizeof(Number));
    if (!std::isfinite(number))
      return i;
  }
  return std::nullopt;
}

Result<void> checkFinite(const Executable &executable, size_t index,
                         std::span<const std::byte> value) {
  const StateInfo &state = executable.states()[index];
  std::optional<size_t> bad;
  if (state.dtype == schema::DType::F32)
    bad = firstNonFinite<float>(value);
  else if (state.dtype == schema::DType::F64)
    bad = firstNonFinite<double>(value);
  if (!bad)
    return {};
  std::string writer = executable.writerOf(index);
  return fail("{} '{}' is not finite (its element {}){}",
              state.kind == schema::StateKind::Parameter ? "parameter" : "state", state.name, *bad,
              writer.empty() ? "" : ", written by " + writer);
}

/// A hash that is fed piece by piece.
class Checksum {
public:
  void add(std::span<const std::byte> bytes) {
    XXH64_update(state.get(), bytes.data(), bytes.size());
  }
  uint64_t digest() const { return XXH64_digest(state.get()); }
  Checksum() : state(XXH64_createState(), &XXH64_freeState) {
    if (!state)
      throw std::bad_alloc();
    XXH64_reset(state.get(), 0);
  }

private:
  std::unique_ptr<XXH64_state_t, decltype(&XXH64_freeState)> state;
};

/// Writes the states' file, one state in memory at a time.
Result<void> writeStates(const fs::path &path, Executable &executable,
                         CheckpointManifest &manifest) {
  std::string header = safetensorsHeader(tensorsOf(executable.states()));
  DOPPEL_TRY(File file, File::open(path, O_WRONLY | O_CREAT | O_TRUNC));
  Checksum checksum;
  DOPPEL_CHECK(file.write(bytesOf(header)));
  checksum.add(bytesOf(header));
  manifest.statesBytes = header.size();
  for (size_t i = 0; i < executable.states().size(); ++i) {
    DOPPEL_TRY(std::vector<std::byte> value, executable.readState(i));
    DOPPEL_CHECK(checkFinite(executable, i, value));
    DOPPEL_CHECK(file.write(value));
    checksum.add(value);
    manifest.statesBytes += value.size();
  }
  manifest.statesChecksum = checksum.digest();
  return file.sync();
}

/// Gives `temporary` the name `target`, which may be there: then the two change names, so that a
/// whole one bears it at any time.
Result<void> replaceFolder(const fs::path &temporary, const fs::path &target) {
  bool done = ::rename(temporary.c_str(), target.c_str()) == 0;
  if (!done && (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR))
    done = ::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0;
  if (!done)
    return fail("cannot rename {} to {}: {}", temporary.string(), target.string(),
                std::strerror(errno));
  std::error_code ignored;
  fs::remove_all(temporary, ignored);
  return {};
}

std::string shapeText(const std::vector<int64_t> &shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

/// Why the tensors of a file are not a program's states; empty where they are.
std::string difference(const Safetensors &file, const std::vector<TensorEntry> &states) {
  for (const TensorEntry &state : states) {
    const TensorEntry *theirs = file.find(state.name);
    if (!theirs)
      return fmt::format("lacks the state '{}' of this artifact", state.name);
    if (theirs->shape != state.shape || theirs->dtype != state.dtype)
      return fmt::format("state '{}' is {} {}, the artifact's is {} {}", state.name, theirs->dtype,
                         shapeText(theirs->shape), state.dtype, shapeText(state.shape));
  }
  for (const TensorEntry &theirs : file.tensors())
    if (std::ranges::find(states, theirs.name, &TensorEntry::name) == states.end())
      return fmt::format("has the state '{}', which this artifact has not", theirs.name);
  return "";
}

} // namespace

Result<std::vector<fs::path>> listCheckpoints(const fs::path &folder) {
  DOPPEL_TRY(std::vector<fs::path> entries, entriesOf(folder));
  std::vector<std::pair<int64_t, fs::path>> found;
  for (fs::path &entry : entries)
    if (auto step = stepOf(entry))
      found.emplace_back(*step, std::move(entry));
  std::ranges::sort(found, std::greater());
  std::vector<fs::path> paths;
  for (auto &[step, path] : found)
    paths.push_back(std::move(path));
  return paths;
}

Result<fs::path> writeCheckpoint(const fs::path &folder, Executable &executable,
                                 CheckpointManifest manifest) {
  // One level alone: a run's folder that was removed is not made again.
  std::error_code error;
  fs::create_directory(folder, error);
  if (error)
    return fail("cannot make the folder {}: {}", folder.string(), error.message());
  removeTemporaries(folder);
  fs::path target = folder / folderName(manifest.step);
  fs::path temporary = folder / (kTemporary + folderName(manifest.step));
  fs::create_directory(temporary, error);
  if (error)
    return fail("cannot make the folder {}: {}", temporary.string(), error.message());

  auto write = [&]() -> Result<void> {
    DOPPEL_CHECK(writeStates(temporary / kStatesFile, executable, manifest));
    DOPPEL_CHECK(writeFileAtomically(temporary / kManifestFile, bytesOf(textOf(manifest))));
    DOPPEL_CHECK(replaceFolder(temporary, target));
    return syncFolder(folder);
  };
  if (auto written = write(); !written) {
    fs::remove_all(temporary, error);
    return std::unexpected(std::move(written.error()));
  }
  auto all = listCheckpoints(folder);
  for (size_t i = kKept; all && i < all->size(); ++i)
    fs::remove_all((*all)[i], error);
  return target;
}

Result<CheckpointManifest> readCheckpointManifest(const fs::path &checkpoint) {
  DOPPEL_TRY(CheckpointManifest manifest, readManifest(checkpoint / kManifestFile));
  if (stepOf(checkpoint) != manifest.step)
    return fail("{} is of step {}, which its folder is not named by",
                (checkpoint / kManifestFile).string(), manifest.step);
  return manifest;
}

Result<void> loadStates(const fs::path &checkpoint, const CheckpointManifest &manifest,
                        Executable &executable) {
  fs::path path = checkpoint / kStatesFile;
  auto damaged = [&](std::string_view why) {
    return fail("{} {}: the checkpoint is damaged", path.string(), why);
  };
  DOPPEL_TRY(File file, File::openRegular(path));
  if (file.size() != manifest.statesBytes)
    return damaged(
        fmt::format("has {} bytes, its manifest says {}", file.size(), manifest.statesBytes));
  std::string bytes(file.size(), '\0');
  DOPPEL_CHECK(file.read(bytes.data(), bytes.size()));
  if (XXH64(bytes.data(), bytes.size(), 0) != manifest.statesChecksum)
    return damaged("does not have the hash that its manifest says");
  // A hash that holds tells of no damage; who wrote the file it does not tell.
  DOPPEL_TRY(Safetensors states, Safetensors::parse(std::move(bytes), path.string()));
  std::vector<TensorEntry> entries = tensorsOf(executable.states());
  if (std::string why = difference(states, entries); !why.empty())
    return fail("{}: {}", path.string(), why);
  for (size_t i = 0; i < entries.size(); ++i)
    DOPPEL_CHECK(executable.writeState(i, bytesOf(states.bytes(*states.find(entries[i].name)))));
  return {};
}

Result<RunIdentity> recordedRun(const fs::path &runFolder) {
  auto described = readDescription(runFolder / kDescriptionFile);
  auto checkpoints = listCheckpoints(runFolder / kCheckpointsFolder);
  if (!described && checkpoints)
    for (const fs::path &checkpoint : *checkpoints)
      if (auto manifest = readCheckpointManifest(checkpoint))
        return manifest->run;
  return described;
}

Result<std::optional<RestoredCheckpoint>>
restoreCheckpoint(const fs::path &folder, const std::optional<RunIdentity> &run,
                  std::optional<int64_t> step, Executable &executable,
                  const std::function<void(const std::string &)> &warn) {
  DOPPEL_TRY(std::vector<fs::path> checkpoints, listCheckpoints(folder));
  if (step)
    std::erase_if(checkpoints, [&](const fs::path &path) { return stepOf(path) != step; });
  std::string firstError;
  for (const fs::path &checkpoint : checkpoints) {
    auto load = [&]() -> Result<CheckpointManifest> {
      DOPPEL_TRY(CheckpointManifest manifest, readCheckpointManifest(checkpoint));
      if (run && manifest.run != *run)
        return fail("{} is of another run than the run.json beside it", checkpoint.string());
      if (manifest.run.states == executable.fingerprints().states)
        DOPPEL_CHECK(loadStates(checkpoint, manifest, executable));
      return manifest;
    };
    auto manifest = load();
    if (manifest && manifest->run.states != executable.fingerprints().states) {
      auto loaded = loadStates(checkpoint, *manifest, executable);
      return fail("{} has not the states of this artifact: {}; go on with the artifact in the run "
                  "folder, or start a new run with --out",
                  checkpoint.string(), loaded ? "their kinds differ" : loaded.error().message);
    }
    if (manifest)
      return RestoredCheckpoint{checkpoint, *std::move(manifest)};
    if (firstError.empty())
      firstError = manifest.error().message;
    if (checkpoint != checkpoints.back())
      warn(manifest.error().message + "; looking for an older checkpoint");
  }
  if (checkpoints.empty())
    return std::nullopt;
  return fail("no checkpoint in {} can be read: {}", folder.string(), firstError);
}

} // namespace doppel::runtime
