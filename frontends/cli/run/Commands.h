// The commands that need no compiler. Each returns its exit code: 0 done, 1 the user's error, 70
// ours; messages are printed.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/train/Trainer.h"

#include <optional>
#include <string>

namespace doppel::cli {

struct EvalOptions {
  std::string run; ///< a run folder, or an artifact with `untrained`
  std::string data;
  std::optional<std::string> artifact; ///< in place of the run's own: for this machine
  std::optional<std::string> test; ///< images to classify, in place of the data's own test split
  bool untrained = false;          ///< the encoder as initialised by `seed`
  std::optional<int64_t> step;     ///< a checkpoint other than the newest
  uint64_t seed = 0;
  int threads = 0;
  int64_t neighbours = 200;
  double temperature = 0.07;
  bool linear = false; ///< a linear classifier beside kNN
  bool raw = false;    ///< the same of raw pixels too
  bool json = false;   ///< one line of JSON in place of the table
};

struct BenchOptions {
  std::string artifact;
  std::optional<std::string> data; ///< absent: as many built-in pictures as a batch has
  int64_t steps = 20;
  int64_t warmup = 3;
  int threads = 0;
  bool views = false;   ///< time the augmentation alone
  bool profile = false; ///< time of each kernel and library operation
  bool json = false;
};

struct InspectOptions {
  std::string artifact;
  bool kernels = false; ///< every kernel and state too
  bool params = false;  ///< params alone
  bool nets = false;    ///< networks and their parts alone
};

int runTrain(const runtime::TrainOptions &options, const runtime::Artifact &artifact,
             runtime::RunFolder &folder);
int runEval(const EvalOptions &options);
int runInspect(const InspectOptions &options);
int runBench(const BenchOptions &options);
/// Views of the first images of a data set as one PNG: a row an image, a column a view.
int runPreview(const std::string &artifact, const std::string &data, const std::string &out,
               int64_t images, uint64_t seed, int threads);

/// Prints an error and gives its exit code.
int report(const runtime::Error &error);

} // namespace doppel::cli
