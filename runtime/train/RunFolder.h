// The folder of a run: artifact.dpx, run.json, metrics.jsonl, checkpoints/, and held-out.txt where
// images were held out. One process at a time writes it.
#pragma once

#include "runtime/core/Error.h"

#include <filesystem>
#include <fstream>
#include <string>

namespace doppel::runtime {

enum class FolderMode {
  Fresh,     ///< refuse a folder that holds a run
  Resume,    ///< go on with the run in the folder
  Overwrite, ///< throw the run in the folder away
};

class RunFolder {
public:
  /// Makes or opens the folder and locks it against other processes. Fails, naming the way out, if
  /// it holds a run and `mode` is Fresh, holds none and `mode` is Resume, is not writable, or
  /// another process runs in it.
  static Result<RunFolder> open(const std::filesystem::path &path, FolderMode mode);
  RunFolder(RunFolder &&other) noexcept;
  RunFolder &operator=(RunFolder &&) = delete;
  ~RunFolder();

  /// Removes the run that the folder holds, if any; other files stay.
  Result<void> clear();

  std::filesystem::path path() const { return root; }
  std::filesystem::path artifact() const { return root / "artifact.dpx"; }
  std::filesystem::path description() const { return root / "run.json"; }
  std::filesystem::path metrics() const { return root / "metrics.jsonl"; }
  /// The names of images that training leaves out, one a line, as escapedUtf8() writes them.
  std::filesystem::path heldOut() const { return root / "held-out.txt"; }
  std::filesystem::path checkpoints() const { return root / "checkpoints"; }

  /// Opens metrics.jsonl for appending, without the lines of steps from `step` on: those that an
  /// interrupted run wrote after its last checkpoint.
  Result<void> openMetrics(int64_t step);
  /// Appends a line and flushes it.
  Result<void> appendMetrics(const std::string &line);

private:
  RunFolder() = default;
  std::filesystem::path root;
  int lock = -1;
  std::ofstream metricsFile;
};

/// The fraction of images that the run in `folder` leaves out of training, by its run.json.
Result<double> recordedHoldout(const std::filesystem::path &folder);

} // namespace doppel::runtime
