// What a path is to the commands, and what to do with it where another kind of file was asked for.
#pragma once

#include "runtime/core/Error.h"

#include <filesystem>

namespace doppel::cli {

enum class InputKind {
  Missing,
  Spec,       ///< by its name: .dpl
  Artifact,   ///< by its first bytes, or its name: .dpx
  RunFolder,  ///< a folder with run.json or artifact.dpx
  Checkpoint, ///< of a run: its folder, or the states in it
  Folder,
  OtherFile,
};

InputKind kindOf(const std::filesystem::path &path);

/// Fails with the way out unless `path` is an artifact, or may be one (its loader says what is
/// wrong with it). `command`: "run", "inspect", "bench" or "preview".
runtime::Result<void> expectArtifact(std::string_view command, const std::filesystem::path &path);

/// The same of a spec, for "train".
runtime::Result<void> expectSpec(std::string_view command, const std::filesystem::path &path);

/// The same of what `eval` takes: a run folder, or an artifact with `untrained`.
runtime::Result<void> expectRun(const std::filesystem::path &path, bool untrained);

/// Fails where --data is a file or folder of Doppel's own; what else it may be, the runtime tells.
runtime::Result<void> expectData(const std::string &data);

/// What was meant by a word that is no command: another command, or that for the kind of file that
/// the word names. A sentence, or empty.
std::string whatWasMeant(const std::string &word);

} // namespace doppel::cli
