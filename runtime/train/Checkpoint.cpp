// Writes and reads checkpoints. The manifest holds the hash of the states' file, so a torn or
// rotten one is told from a good one.
#include "runtime/train/Checkpoint.h"

#include "runtime/core/File.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <xxhash.h>

namespace doppel::runtime {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr const char *kStatesFile = "states.safetensors";
constexpr const char *kManifestFile = "manifest.json";
constexpr const char *kPrefix = "step-";
constexpr size_t kKept = 2;

Result<void> writeSynced(const fs::path &path, std::span<const std::span<const std::byte>> parts) {
  DOPPEL_TRY(File file, File::open(path, O_WRONLY | O_CREAT | O_TRUNC));
  for (std::span<const std::byte> part : parts)
    DOPPEL_CHECK(file.write(part));
  return file.sync();
}

/// safetensors' name of a type.
const char *typeName(schema::DType dtype) {
  switch (dtype) {
  case schema::DType::F32:
    return "F32";
  case schema::DType::F64:
    return "F64";
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

/// The header of a safetensors file: its length in 8 bytes, then JSON, padded so that the data
/// begin at a multiple of 8.
std::string safetensorsHeader(const std::vector<StateInfo> &states) {
  Json header = Json::object();
  uint64_t offset = 0;
  for (const StateInfo &state : states) {
    header[state.name] = {{"dtype", typeName(state.dtype)},
                          {"shape", state.shape},
                          {"data_offsets", {offset, offset + state.bytes}}};
    offset += state.bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  uint64_t length = text.size();
  std::string result(8, '\0');
  std::memcpy(result.data(), &length, 8);
  return result + text;
}

fs::path folderName(int64_t step) { return fmt::format("{}{:08}", kPrefix, step); }

Json toJson(const CheckpointManifest &manifest, uint64_t hash, uint64_t bytes) {
  return {{"format", "doppel checkpoint 1"},
          {"step", manifest.step},
          {"artifact", fmt::format("{:016x}", manifest.fingerprint)},
          {"seed", manifest.seed},
          {"samples", manifest.samples},
          {"epochs", manifest.epochs},
          {"data", manifest.data},
          {"holdout", manifest.holdout},
          {"pictures", fmt::format("{:016x}", manifest.pictures)},
          {"states_bytes", bytes},
          {"states_xxh64", fmt::format("{:016x}", hash)}};
}

Result<Json> readManifestJson(const fs::path &checkpoint) {
  fs::path path = checkpoint / kManifestFile;
  DOPPEL_TRY(std::string text, readFile(path));
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.value("format", "") != "doppel checkpoint 1")
    return fail("{} is not the manifest of a checkpoint that this version reads", path.string());
  for (const char *key : {"step", "seed", "samples", "epochs", "states_bytes"})
    if (!json.contains(key) || !json[key].is_number_integer())
      return fail("{}: '{}' is missing or no integer", path.string(), key);
  if (json.contains("holdout") && !json["holdout"].is_number())
    return fail("{}: 'holdout' is no number", path.string());
  for (const char *key : {"artifact", "data", "pictures", "states_xxh64"})
    if (!json.contains(key) || !json[key].is_string())
      return fail("{}: '{}' is missing or no string", path.string(), key);
  return json;
}

} // namespace

std::vector<fs::path> listCheckpoints(const fs::path &folder) {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder, ignored))
    if (entry.path().filename().string().starts_with(kPrefix) &&
        fs::exists(entry.path() / kManifestFile, ignored))
      found.push_back(entry.path());
  // Zero-padded names sort by step, up to 10^8 steps; beyond that the longer is the later.
  std::sort(found.begin(), found.end(), [](const fs::path &a, const fs::path &b) {
    std::string left = a.filename().string(), right = b.filename().string();
    return left.size() != right.size() ? left.size() > right.size() : left > right;
  });
  return found;
}

Result<fs::path> writeCheckpoint(const fs::path &folder, Executable &executable,
                                 const CheckpointManifest &manifest) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    return fail("cannot make the folder {}: {}", folder.string(), error.message());
  removeTemporaries(folder);
  fs::path target = folder / folderName(manifest.step);
  fs::path temporary = folder / (".tmp-" + folderName(manifest.step).string());
  fs::create_directory(temporary, error);
  if (error)
    return fail("cannot make the folder {}: {}", temporary.string(), error.message());

  auto write = [&]() -> Result<void> {
    std::string header = safetensorsHeader(executable.states());
    std::vector<std::vector<std::byte>> values;
    std::vector<std::span<const std::byte>> parts{bytesOf(header)};
    uint64_t total = header.size();
    for (size_t i = 0; i < executable.states().size(); ++i) {
      DOPPEL_TRY(std::vector<std::byte> value, executable.readState(i));
      total += value.size();
      values.push_back(std::move(value));
    }
    for (const auto &value : values)
      parts.push_back(value);
    XXH64_state_t *hash = XXH64_createState();
    XXH64_reset(hash, 0);
    for (std::span<const std::byte> part : parts)
      XXH64_update(hash, part.data(), part.size());
    uint64_t digest = XXH64_digest(hash);
    XXH64_freeState(hash);
    DOPPEL_CHECK(writeSynced(temporary / kStatesFile, parts));
    std::string text = toJson(manifest, digest, total).dump(2) + "\n";
    std::span<const std::byte> textPart[] = {bytesOf(text)};
    DOPPEL_CHECK(writeSynced(temporary / kManifestFile, textPart));
    return syncFolder(temporary);
  };
  if (auto written = write(); !written) {
    fs::remove_all(temporary, error);
    return std::unexpected(std::move(written.error()));
  }

  fs::remove_all(target, error);
  fs::rename(temporary, target, error);
  if (error)
    return fail("cannot rename {} to {}: {}", temporary.string(), target.string(), error.message());
  if (auto synced = syncFolder(folder); !synced)
    return std::unexpected(std::move(synced.error()));
  std::vector<fs::path> all = listCheckpoints(folder);
  for (size_t i = kKept; i < all.size(); ++i)
    fs::remove_all(all[i], error);
  return target;
}

Result<CheckpointManifest> readManifest(const fs::path &checkpoint) {
  DOPPEL_TRY(Json json, readManifestJson(checkpoint));
  CheckpointManifest manifest;
  manifest.step = json["step"];
  manifest.seed = json["seed"];
  manifest.samples = json["samples"];
  manifest.epochs = json["epochs"];
  manifest.data = json["data"];
  manifest.holdout = json.value("holdout", 0.0);
  auto hexadecimal = [&](const char *key) {
    return std::strtoull(json[key].get<std::string>().c_str(), nullptr, 16);
  };
  manifest.fingerprint = hexadecimal("artifact");
  manifest.pictures = hexadecimal("pictures");
  return manifest;
}

Result<void> loadStates(const fs::path &checkpoint, Executable &executable) {
  DOPPEL_TRY(Json manifest, readManifestJson(checkpoint));
  fs::path path = checkpoint / kStatesFile;
  DOPPEL_TRY(std::string file, readFile(path));
  uint64_t expected = manifest["states_bytes"];
  if (file.size() != expected)
    return fail("{} has {} bytes, its manifest says {}: the checkpoint is damaged", path.string(),
                file.size(), expected);
  if (fmt::format("{:016x}", XXH64(file.data(), file.size(), 0)) != manifest["states_xxh64"])
    return fail("{} does not have the hash that its manifest says: the checkpoint is damaged",
                path.string());
  // The hash held, so the bytes are those that a Doppel wrote; what remains is whether they are
  // this program's.
  std::string header = safetensorsHeader(executable.states());
  uint64_t length = 0;
  if (file.size() >= 8)
    std::memcpy(&length, file.data(), 8);
  if (file.size() < header.size() || file.compare(0, header.size(), header) != 0) {
    Json theirs = length <= file.size() - std::min<size_t>(8, file.size())
                      ? Json::parse(file.substr(8, length), nullptr, false)
                      : Json();
    for (const StateInfo &state : executable.states())
      if (!theirs.is_object() || !theirs.contains(state.name))
        return fail("{} lacks the state '{}' of this artifact", path.string(), state.name);
      else if (theirs[state.name]["shape"] != Json(state.shape))
        return fail("{}: state '{}' is {}, the artifact's is {}", path.string(), state.name,
                    theirs[state.name]["shape"].dump(), Json(state.shape).dump());
    return fail("{} holds states in another order or of other types than this artifact's",
                path.string());
  }
  size_t offset = header.size();
  for (size_t i = 0; i < executable.states().size(); ++i) {
    uint64_t bytes = executable.states()[i].bytes;
    DOPPEL_CHECK(
        executable.writeState(i, std::as_bytes(std::span(file.data() + offset, size_t(bytes)))));
    offset += bytes;
  }
  return {};
}

} // namespace doppel::runtime
