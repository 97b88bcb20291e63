// A training run: steps of a program on a data set, into a folder that survives kill -9. A run that
// was stopped and resumed has the same states, bit for bit, as one that was not.
#pragma once

#include "runtime/data/Dataset.h"
#include "runtime/executor/Executable.h"
#include "runtime/train/RunFolder.h"

#include <atomic>
#include <optional>

namespace doppel::runtime {

struct TrainOptions {
  std::filesystem::path artifact; ///< its name in messages
  std::string data;               ///< as openDataset() takes it
  std::optional<int64_t> epochs;  ///< horizon of schedules; absent: the spec's
  std::optional<int64_t> steps;   ///< stop after so many steps of the run, before the horizon
  std::optional<uint64_t> seed;   ///< absent: 0, or the resumed run's
  std::optional<double> holdout;  ///< DataOptions::holdout; absent: 0, or the resumed run's
  int threads = 0;                ///< 0: availableProcessors()
  int64_t checkpointSteps = 0;    ///< between checkpoints; 0: an epoch
};

/// A line of the table that a run begins with.
struct ConfigurationLine {
  std::string name;
  std::string value;
};

struct StepReport {
  int64_t step;  ///< the one just taken, from 0
  int64_t steps; ///< at the end of the run
  int64_t stepsPerEpoch;
  std::vector<std::pair<std::string, float>> outputs; ///< "loss" first, then metrics
  double imagesPerSecond;                             ///< over the last few seconds
  double secondsLeft;
};

/// Where a run tells what it does. Called on the training thread.
class TrainObserver {
public:
  virtual ~TrainObserver() = default;
  virtual void loading(std::string_view activity, int64_t done, int64_t total) = 0;
  virtual void configured(const std::vector<ConfigurationLine> &lines) = 0;
  virtual void stepped(const StepReport &report) = 0;
  virtual void checkpointed(const std::filesystem::path &checkpoint, int64_t step) = 0;
  virtual void warned(const std::string &message) = 0;
};

struct TrainSummary {
  int64_t step = 0;  ///< steps taken in all
  int64_t taken = 0; ///< steps taken by this call
  int64_t steps = 0;
  double lastLoss = 0;
  double seconds = 0;
  double imagesPerSecond = 0; ///< over this call, without loading
  uint64_t peakMemoryBytes = 0;
  bool interrupted = false; ///< by `stop`; the last checkpoint has this very step
  std::filesystem::path checkpoint;
};

/// Trains in `folder`, as its mode says. `stop`, set by a signal handler, ends the run after the
/// current step with a checkpoint.
///
/// Fails with the last good checkpoint in place if the loss, a gradient or a state is not finite
/// (the message names step, expression and its place in the spec), a checkpoint cannot be written,
/// or no sample can be decoded. Metrics that cannot be written are missed with a warning.
Result<TrainSummary> train(const TrainOptions &options, const Artifact &artifact, RunFolder &folder,
                           TrainObserver &observer, const std::atomic<bool> &stop);

/// The largest resident memory of this process so far, in bytes.
uint64_t peakMemoryBytes();

} // namespace doppel::runtime
