// The batches of a training run, step by step. What a step gets is the Sampler's word; the loader
// only has it decoded in time.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/data/Dataset.h"
#include "runtime/data/Sampler.h"
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace doppel::runtime {

struct LoaderOptions {
  uint64_t seed = 0;
  int64_t batch = 1; ///< samples a step over all ranks
  int world = 1;
  int rank = 0;
  /// Threads that decode ahead, and batches they may be ahead, where the data set is not in memory;
  /// fewer where those and the ones handed out that still live take more than half of
  /// Dataset::batchBytes(). 0 threads: one a processor.
  int threads = 0;
  int ahead = 4;
};

class Loader {
public:
  /// `dataset` must outlive the loader. Fails if the batch is larger than the data set, does not
  /// divide by the world, or takes more memory than there is.
  static Result<std::unique_ptr<Loader>> create(const Dataset &dataset,
                                                const LoaderOptions &options);
  ~Loader();

  int64_t stepsPerEpoch() const { return sampler.stepsPerEpoch(); }

  /// The batch of this rank in `step`, counted over the whole run from 0. Any step may be asked
  /// for; steps in sequence are ready ahead. One thread calls. A batch may outlive the loader, but
  /// not the data set.
  Result<Batch> batchAt(int64_t step);

  /// Whether there is memory for two batches at once, as far as the first epoch shows it; else who
  /// calls batchAt() has let go of the batch before.
  bool twoFit() const { return twoBatchesFit; }

  /// Bytes of the pixels of the largest batch of the first epoch.
  uint64_t largestBatchBytes() const;

  /// Bytes of the batches that are decoded ahead now.
  uint64_t bytesAhead();

private:
  /// A batch that threads fill sample by sample.
  struct Slot {
    Batch batch;
    uint64_t bytes = 0; ///< of its samples, decoded
    int64_t claimed = 0;
    int64_t finished = 0;
    std::optional<Error> error;
  };

  Loader(const Dataset &dataset, const LoaderOptions &options);
  std::vector<int64_t> indicesOf(int64_t step) const;
  Result<void> addSlot(std::span<const int64_t> indices);
  uint64_t windowBytes() const;
  uint64_t handedOutBytes();
  Result<void> fillWindow(uint64_t handedOut);
  void decodeAhead(std::stop_token stop);

  const Dataset &dataset;
  Sampler sampler;
  size_t ahead;
  bool twoBatchesFit = true;

  // The window of steps being decoded: slots[i] is step firstStep + i.
  std::mutex mutex;
  std::condition_variable_any workAvailable;
  std::condition_variable slotFinished;
  int64_t firstStep = 0;
  std::deque<std::shared_ptr<Slot>> slots;
  struct HandedOut {
    std::weak_ptr<uint8_t> slab;
    uint64_t bytes;
  };
  std::vector<HandedOut> handedOut;
  std::vector<std::jthread> workers;
};

} // namespace doppel::runtime
