// Checkpoints: all states of a program in one safetensors file beside a manifest, in a folder that
// appears whole or not at all. A run's folder keeps the newest two, so that one stays if the
// other's disk blocks rot.
#pragma once

#include "runtime/executor/Executable.h"

#include <filesystem>

namespace doppel::runtime {

/// What a checkpoint says beside the states; a run resumes only where all of it agrees.
struct CheckpointManifest {
  int64_t step = 0;         ///< steps taken
  uint64_t fingerprint = 0; ///< of the artifact
  uint64_t seed = 0;
  int64_t samples = 0;   ///< of the data set, which the shuffling depends on
  int64_t epochs = 0;    ///< the horizon of schedules
  std::string data;      ///< as the user named it, by escapedUtf8()
  double holdout = 0;    ///< fraction of the images that training leaves out
  uint64_t pictures = 0; ///< fingerprint of the data set
};

/// Writes `folder`/step-NNNNNNNN: to a temporary name, synced, renamed; then removes all but the
/// newest two. Returns the new folder. If it fails (full disk, no permission), what was there
/// before is untouched.
Result<std::filesystem::path> writeCheckpoint(const std::filesystem::path &folder,
                                              Executable &executable,
                                              const CheckpointManifest &manifest);

/// The complete checkpoints in `folder`, newest first; empty if there is none.
std::vector<std::filesystem::path> listCheckpoints(const std::filesystem::path &folder);

/// Reads the manifest alone.
Result<CheckpointManifest> readManifest(const std::filesystem::path &checkpoint);

/// Loads all states. Fails, with nothing written to `executable`, if the file is damaged or its
/// names, shapes or types are not the program's; the error names the first difference.
Result<void> loadStates(const std::filesystem::path &checkpoint, Executable &executable);

} // namespace doppel::runtime
