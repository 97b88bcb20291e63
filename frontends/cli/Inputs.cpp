// Every command says of every kind of input that it does not take which command does.
#include "frontends/cli/Inputs.h"

#include "frontends/cli/Usage.h"

#include "runtime/core/File.h"
#include "runtime/schema/Format.h"

#include <algorithm>

namespace doppel::cli {

using runtime::fail;
using runtime::Result;
namespace fs = std::filesystem;

namespace {

/// The run folder around a checkpoint's folder, or around the states in it.
fs::path runOf(const fs::path &checkpoint) {
  std::error_code ignored;
  fs::path folder = fs::is_directory(checkpoint, ignored) ? checkpoint : checkpoint.parent_path();
  if (folder.filename().empty()) // a trailing slash
    folder = folder.parent_path();
  return folder.parent_path().parent_path();
}

bool beginsAsArtifact(const fs::path &path) {
  auto file = runtime::File::openRegular(path);
  if (!file || file->size() < format::magic.size())
    return false;
  std::array<uint8_t, format::magic.size()> bytes;
  return file->read(bytes.data(), bytes.size()) && bytes == format::magic;
}

/// a.dpx for specs/a.dpl, to be written where the user is.
std::string artifactName(const fs::path &spec) { return spec.stem().string() + ".dpx"; }

} // namespace

InputKind kindOf(const fs::path &path) {
  std::error_code error;
  fs::file_status status = fs::status(path, error);
  if (!fs::exists(status))
    return InputKind::Missing;
  if (fs::is_directory(status)) {
    if (fs::exists(path / "run.json", error) || fs::exists(path / "artifact.dpx", error))
      return InputKind::RunFolder;
    return fs::exists(path / "states.safetensors", error) ? InputKind::Checkpoint
                                                          : InputKind::Folder;
  }
  if (path.extension() == ".dpl")
    return InputKind::Spec;
  if (path.extension() == ".safetensors" || path.filename() == "manifest.json")
    return InputKind::Checkpoint;
  return path.extension() == ".dpx" || beginsAsArtifact(path) ? InputKind::Artifact
                                                              : InputKind::OtherFile;
}

Result<void> expectArtifact(std::string_view command, const fs::path &path) {
  std::string name = path.string(), inside = (path / "artifact.dpx").string();
  switch (kindOf(path)) {
  case InputKind::Spec:
    if (command == "run")
      return fail("{} is a spec, no artifact; 'doppel train {} --data DATA --out DIR' compiles it "
                  "and trains",
                  name, name);
    return fail("{} is a spec, no artifact; compile it first: doppel compile {} -o {}", name, name,
                artifactName(path));
  case InputKind::RunFolder:
    if (command == "run")
      return fail("{} is the folder of a run, no artifact; to go on with that run: doppel run {} "
                  "--data DATA --out {} --resume",
                  name, inside, name);
    return fail("{} is the folder of a run, no artifact; its artifact: doppel {} {}", name, command,
                inside);
  case InputKind::Checkpoint:
    return fail("{} is a checkpoint, no artifact; the artifact of its run is {}", name,
                (runOf(path) / "artifact.dpx").string());
  case InputKind::Folder:
    return fail("{} is a folder; 'doppel {}' takes an artifact, which 'doppel compile' makes of a "
                "spec",
                name, command);
  case InputKind::Missing:
  case InputKind::Artifact:
  case InputKind::OtherFile: // the loader tells
    break;
  }
  return {};
}

Result<void> expectSpec(std::string_view command, const fs::path &path) {
  std::string name = path.string();
  switch (kindOf(path)) {
  case InputKind::Artifact:
    return fail("{} is an artifact, no spec; train with it: doppel run {} --data DATA --out DIR",
                name, name);
  case InputKind::RunFolder:
    return fail("{} is the folder of a run, no spec; to go on with that run: doppel run {} --data "
                "DATA --out {} --resume",
                name, (path / "artifact.dpx").string(), name);
  case InputKind::Checkpoint:
    return fail("{} is a checkpoint, no spec; to go on with its run: doppel run {} --data DATA "
                "--out {} --resume",
                name, (runOf(path) / "artifact.dpx").string(), runOf(path).string());
  case InputKind::Folder:
    return fail("{} is a folder; 'doppel {}' takes a spec, a file with a method (.dpl)", name,
                command);
  case InputKind::Missing:
    return fail("cannot read {}: No such file or directory", name);
  case InputKind::Spec:
  case InputKind::OtherFile: // the compiler tells
    break;
  }
  return {};
}

Result<void> expectRun(const fs::path &path, bool untrained) {
  std::string name = path.string();
  switch (kindOf(path)) {
  case InputKind::Spec:
    return fail("{} is a spec; 'doppel eval' takes the folder of a run: train first, by 'doppel "
                "train {} --data DATA --out DIR', then 'doppel eval DIR'",
                name, name);
  case InputKind::Artifact: {
    std::error_code ignored;
    fs::path folder = path.parent_path();
    if (untrained)
      return {};
    if (fs::exists(folder / "run.json", ignored))
      return fail("{} is the artifact of a run; 'doppel eval' takes the run's folder: doppel eval "
                  "{}",
                  name, folder.string());
    return fail("{} is an artifact, no run folder; give the --out of a run, or --untrained to "
                "evaluate the encoder as it is initialised",
                name);
  }
  case InputKind::Checkpoint:
    return fail("{} is a checkpoint; 'doppel eval' takes the run's folder, and --step for a "
                "checkpoint other than the newest: doppel eval {}",
                name, runOf(path).string());
  case InputKind::Folder:
    return fail("{} holds no run (no artifact.dpx); 'doppel eval' takes the --out of a run", name);
  case InputKind::Missing:
    return fail("{} does not exist", name);
  case InputKind::OtherFile:
    return fail("{} is no run folder; give the --out of a run, or --untrained for an artifact",
                name);
  case InputKind::RunFolder:
    break;
  }
  return {};
}

Result<void> expectData(const std::string &data) {
  if (data == "shapes" || data.starts_with("shapes:"))
    return {};
  switch (kindOf(data)) {
  case InputKind::Spec:
  case InputKind::Artifact:
  case InputKind::RunFolder:
  case InputKind::Checkpoint:
    return fail("{} is no data set; --data is a folder of images, or shapes (built in)", data);
  case InputKind::Folder:
  case InputKind::OtherFile:
  case InputKind::Missing: // who reads it tells
    break;
  }
  return {};
}

std::string whatWasMeant(const std::string &word) {
  switch (kindOf(word)) {
  case InputKind::Spec:
    return fmt::format("{} is a spec: 'doppel check {}' looks at it, 'doppel train {} --data DATA "
                       "--out DIR' trains with it",
                       word, word, word);
  case InputKind::Artifact:
    return fmt::format("{} is an artifact: 'doppel run {} --data DATA --out DIR' trains with it",
                       word, word);
  case InputKind::RunFolder:
    return fmt::format("{} is the folder of a run: 'doppel eval {} --data DATA' evaluates it", word,
                       word);
  default:
    break;
  }
  if (auto command = nearest(word, commandNames))
    return fmt::format("did you mean '{}'?", *command);
  return "";
}

} // namespace doppel::cli
