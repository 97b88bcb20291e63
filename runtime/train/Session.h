// An artifact bound to the device that its target names, with what its functions read: what
// training, evaluation, preview and bench have in common. Functions are submitted with their batch
// and read in the same order; two may be in flight, so that the host loads and reads while the
// device computes.
#pragma once

#include "runtime/data/Dataset.h"
#include "runtime/executor/Executable.h"

#include <deque>

namespace doppel::runtime {

class Session {
public:
  /// Opens the device, allocates and records. `artifact` must outlive the session.
  static Result<std::unique_ptr<Session>> open(const Artifact &artifact,
                                               const DeviceOptions &options);

  const Artifact &artifact() const { return artifact_; }
  Device &device() { return *device_; }
  Executable &executable() { return *executable_; }

  /// openDataset() with batches in memory that the device copies from directly. The data set is the
  /// session's.
  Result<Dataset *> openData(const std::string &data, Split split, DataOptions options = {});

  /// Takes the device's memory for the pictures of `data` before the first step wants it: for all
  /// of them where they fit, else for two batches of at most `batchBytes` of pixels.
  Result<void> reserveImages(const Dataset &data, uint64_t batchBytes);

  /// What all functions read from now on, but for the step.
  void setRun(const abi::RunScalars &scalars) { run_ = scalars; }
  /// Runs "init" at step 0. Fails if an initial value is not finite.
  Result<void> initialise();

  /// A function that has run.
  struct Finished {
    Ticket ticket;
    int64_t step;
    Batch batch;
    std::optional<NonFiniteReport> failure; ///< as Executable::wait() tells it
  };
  /// Submits a function with the scalars of `step`. `batch` has localBatch() images, and lives
  /// until the function is finished.
  Result<void> submit(std::string_view function, int64_t step, Batch batch,
                      Executable::Outputs outputs = Executable::Outputs::Kept);
  size_t inFlight() const { return submitted_.size(); }
  /// Whether another may be submitted before next().
  bool hasRoom() const { return submitted_.size() < Executable::maxInFlight; }
  /// Whether next() would return at once.
  bool nextIsFinished();
  /// Waits for the oldest function in flight. Outputs are read from executable() by its ticket.
  Result<Finished> next();
  /// Runs one of the last two that finished again, by the same images and scalars: which
  /// instruction made the first value that is not finite.
  Result<std::optional<NonFiniteReport>> trace(const Finished &finished);

  /// Seconds of each instruction over `repeats` runs of a function at step 0.
  Result<std::vector<Executable::InstructionTime>> profile(std::string_view function,
                                                           const Batch &batch, int repeats);

private:
  struct Submitted {
    Ticket ticket;
    int64_t step;
    Batch batch;
  };
  explicit Session(const Artifact &artifact) : artifact_(artifact) {}
  Inputs inputsOf(const Batch &batch, int64_t step) const;

  const Artifact &artifact_;
  std::unique_ptr<Device> device_;
  std::vector<std::unique_ptr<Dataset>> data_;
  std::deque<Submitted> submitted_;
  /// Goes first, and waits for what is in flight: it may read batches and data.
  std::unique_ptr<Executable> executable_;
  abi::RunScalars run_ = {};
};

} // namespace doppel::runtime
