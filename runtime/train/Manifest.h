// What a run says of itself in JSON: run.json, and a manifest beside each checkpoint's states. Both
// end with a checksum over their text, so that a bit that turned is damage, never another run.
#pragma once

#include "runtime/core/Error.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace doppel::runtime {

/// Names inside of a run's folder.
inline constexpr const char *kDescriptionFile = "run.json";
inline constexpr const char *kCheckpointsFolder = "checkpoints";

/// What makes a run this run: another of these, another curve. Which program computes it is not
/// part of it.
struct RunIdentity {
  uint64_t states = 0; ///< fingerprints of the artifact
  uint64_t method = 0;
  uint64_t seed = 0;
  int64_t samples = 0;   ///< of the data set, which the shuffling depends on
  int64_t epochs = 0;    ///< the horizon of schedules
  double holdout = 0;    ///< fraction of the images that training leaves out
  uint64_t pictures = 0; ///< fingerprint of the data set

  bool operator==(const RunIdentity &) const = default;
};

/// What a checkpoint says beside the states.
struct CheckpointManifest {
  RunIdentity run;
  uint64_t program = 0; ///< fingerprint of what computed the states
  int64_t step = 0;     ///< steps taken
  std::string data;     ///< as the user named it
  int64_t threads = 1;  ///< that computed it; other numbers round otherwise
  uint64_t statesBytes = 0;
  uint64_t statesChecksum = 0; ///< xxh64 of the states' file
};

/// What run.json says: the identity, and for people what was asked for.
struct RunDescription {
  RunIdentity run;
  uint64_t program = 0; ///< fingerprint of the folder's artifact
  std::string method;
  std::string data;
  int64_t heldOut = 0; ///< images that training leaves out
  int64_t batch = 0;
  std::vector<std::pair<std::string, std::string>> params;
};

/// The file's text. Names that are no UTF-8 are written escaped.
std::string textOf(const CheckpointManifest &manifest);
std::string textOf(const RunDescription &description);

/// Fails unless the seal is whole and the numbers are sensible; `name` stands for the file in
/// errors.
Result<CheckpointManifest> parseManifest(std::string_view text, std::string_view name);
/// The identity alone.
Result<RunIdentity> parseDescription(std::string_view text, std::string_view name);

/// The same for a regular file.
Result<CheckpointManifest> readManifest(const std::filesystem::path &file);
Result<RunIdentity> readDescription(const std::filesystem::path &file);

} // namespace doppel::runtime
