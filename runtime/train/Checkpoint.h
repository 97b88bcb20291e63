// Checkpoints: all states of a program in one safetensors file beside a manifest, in a folder that
// appears whole or not at all. A run's folder keeps the newest two, so that one stays if the
// other's disk blocks rot.
#pragma once

#include "runtime/executor/Executable.h"
#include "runtime/train/Manifest.h"

#include <filesystem>
#include <functional>
#include <optional>

namespace doppel::runtime {

/// Writes `folder`/step-NNNNNNNN: to a temporary name, synced, renamed; then removes all but the
/// newest two. Returns the new folder. The states' bytes and checksum in the manifest are filled
/// in.
///
/// Fails, with what was there before untouched, if a state is not finite (the error names it, and
/// what made it), or cannot be written (full disk, no permission, no folder of the run any more).
Result<std::filesystem::path> writeCheckpoint(const std::filesystem::path &folder,
                                              Executable &executable, CheckpointManifest manifest);

/// The folders in `folder` that are named as checkpoints, newest first; empty if there is none, or
/// no such folder.
Result<std::vector<std::filesystem::path>> listCheckpoints(const std::filesystem::path &folder);

/// The manifest of a checkpoint; fails where it is not its folder's.
Result<CheckpointManifest> readCheckpointManifest(const std::filesystem::path &checkpoint);

/// Loads all states. Fails, with nothing written to `executable`, if the file is damaged or its
/// names, shapes or types are not the program's; the error names the first difference.
Result<void> loadStates(const std::filesystem::path &checkpoint, const CheckpointManifest &manifest,
                        Executable &executable);

/// What a run's folder says the run is: by its run.json, or where that is damaged by the newest
/// manifest that is not.
Result<RunIdentity> recordedRun(const std::filesystem::path &runFolder);

struct RestoredCheckpoint {
  std::filesystem::path folder;
  CheckpointManifest manifest;
};

/// The one rule by which --resume and eval choose: loads the newest checkpoint in `folder` that is
/// whole and of this run (`run`: what run.json says, if it says anything), or the one of `step`.
/// One that is damaged is told to `warn` and passed over. Absent where there is no checkpoint.
/// Fails if none can be loaded, or the newest that is whole has other states than the executable.
Result<std::optional<RestoredCheckpoint>>
restoreCheckpoint(const std::filesystem::path &folder, const std::optional<RunIdentity> &run,
                  std::optional<int64_t> step, Executable &executable,
                  const std::function<void(const std::string &)> &warn);

} // namespace doppel::runtime
