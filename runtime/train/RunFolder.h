// The folder of a run: artifact.dpx, run.json, metrics.jsonl, checkpoints/. One process at a time
// writes it.
#pragma once

#include "runtime/core/File.h"
#include "runtime/train/Manifest.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace doppel::runtime {

enum class FolderMode {
  Fresh,     ///< refuse a folder that holds a run
  Resume,    ///< go on with the run in the folder
  Overwrite, ///< throw the run in the folder away
};

class RunFolder {
public:
  /// Makes or opens the folder and locks it against other processes for the life of this object.
  /// Fails, naming the way out, if it holds a run and `mode` is Fresh, holds none and `mode` is
  /// Resume, is not writable, or another process runs in it.
  static Result<RunFolder> open(const std::filesystem::path &path, FolderMode mode);
  RunFolder(RunFolder &&other) noexcept;
  RunFolder &operator=(RunFolder &&) = delete;
  /// Removes the folder again if open() made it and no run began.
  ~RunFolder();

  /// Begins a run in place of the one that the folder holds, if any; other files stay. The old
  /// one is there, whole, until all of the new one is: a failure leaves it, and where the process
  /// ends on the way, open() puts it back. `heldOut`: the text of that file, which there is only
  /// where it is not empty.
  Result<void> begin(std::span<const std::byte> artifact, const RunDescription &description,
                     std::string_view heldOut);
  /// Writes run.json anew, for one that was damaged.
  Result<void> describe(const RunDescription &description);
  /// Goes on with another artifact of the same method; the folder holds the one that is run.
  Result<void> takeArtifact(std::span<const std::byte> artifact, const RunDescription &description);
  /// Fails if the folder was removed, or replaced by another, since it was opened.
  Result<void> check() const;

  FolderMode mode() const { return openedAs; }
  std::filesystem::path path() const { return root; }
  std::filesystem::path artifact() const { return root / "artifact.dpx"; }
  std::filesystem::path description() const { return root / kDescriptionFile; }
  std::filesystem::path metrics() const { return root / "metrics.jsonl"; }
  /// The names of images that training leaves out, one a line, as escapedUtf8() writes them.
  std::filesystem::path heldOut() const { return root / "held-out.txt"; }
  std::filesystem::path checkpoints() const { return root / kCheckpointsFolder; }
  /// For what the owner writes meanwhile; removed when the folder is opened again.
  std::filesystem::path temporary(std::string_view name) const;

  /// Opens metrics.jsonl for appending, without the lines of steps from `step` on: those that an
  /// interrupted run wrote after its last checkpoint.
  Result<void> openMetrics(int64_t step);
  /// Appends a line, whole or not at all.
  Result<void> appendMetrics(const std::string &line);

private:
  RunFolder() = default;
  bool holdsRun() const;
  /// Undoes a begin() that did not come to its end.
  Result<void> putBack() const;

  std::filesystem::path root;
  FolderMode openedAs = FolderMode::Fresh;
  std::optional<File> lock;
  std::vector<std::filesystem::path> made; ///< folders that were not there, innermost first
  std::optional<File> metricsFile;
  uint64_t metricsBytes = 0;
};

} // namespace doppel::runtime
