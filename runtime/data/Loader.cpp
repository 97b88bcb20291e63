// Decodes batches ahead. Invariant: the slots are consecutive steps from firstStep on, at most
// `ahead` of them, and a slot's images are written each by the one thread that claimed it.

#include "runtime/data/Loader.h"
#include "runtime/data/Parallel.h"
#include <algorithm>

namespace doppel::runtime {

Result<std::unique_ptr<Loader>> Loader::create(const Dataset &dataset,
                                               const LoaderOptions &options) {
  if (options.batch < 1 || options.world < 1 || options.rank < 0 || options.rank >= options.world)
    return failInternal("a loader of batch {}, rank {} of {}", options.batch, options.rank,
                        options.world);
  if (options.batch % options.world != 0)
    return fail("a batch of {} samples does not divide among {} ranks", options.batch,
                options.world);
  if (options.batch > dataset.size())
    return fail("the batch is {} samples, but the data set has {}: compile with a smaller batch "
                "(--set batch={}) or give more data",
                options.batch, dataset.size(), dataset.size() / options.world * options.world);
  std::unique_ptr<Loader> loader(new Loader(dataset, options));
  // What does not fit in memory is known before the run begins, as far as one epoch shows it.
  for (int64_t step = 0; !dataset.inMemory() && step < loader->stepsPerEpoch(); ++step) {
    std::vector<int64_t> indices = loader->indicesOf(step);
    DOPPEL_CHECK(dataset.admit(indices));
    loader->twoBatchesFit &= dataset.decodedBytes(indices) <= dataset.batchBytes() / 2;
  }
  if (!dataset.inMemory())
    for (int thread = 0; thread < threadCount(options.threads); ++thread)
      loader->workers.emplace_back(
          [raw = loader.get()](std::stop_token stop) { raw->decodeAhead(stop); });
  return loader;
}

Loader::Loader(const Dataset &dataset, const LoaderOptions &options)
    : dataset(dataset),
      sampler(options.seed, dataset.size(), options.batch, options.world, options.rank),
      ahead(size_t(std::max(1, options.ahead))) {}

Loader::~Loader() {
  for (std::jthread &worker : workers)
    worker.request_stop();
  workAvailable.notify_all();
  workers.clear();
}

void Loader::decodeAhead(std::stop_token stop) {
  std::unique_lock lock(mutex);
  auto open = [&] {
    return std::find_if(slots.begin(), slots.end(), [](const std::shared_ptr<Slot> &slot) {
      return slot->claimed < slot->batch.size();
    });
  };
  while (workAvailable.wait(lock, stop, [&] { return open() != slots.end(); })) {
    auto found = open();
    std::shared_ptr<Slot> slot = *found; // keeps it alive if the window moves away
    int64_t position = slot->claimed++;
    lock.unlock();

    Result<void> decoded = dataset.decode(slot->batch, position);

    lock.lock();
    if (!decoded && !slot->error)
      slot->error = std::move(decoded.error());
    if (++slot->finished == slot->batch.size())
      slotFinished.notify_all();
  }
}

std::vector<int64_t> Loader::indicesOf(int64_t step) const {
  std::vector<int64_t> indices(size_t(sampler.localBatch()));
  for (size_t position = 0; position < indices.size(); ++position)
    indices[position] = sampler.indexAt(step, int64_t(position));
  return indices;
}

uint64_t Loader::largestBatchBytes() const {
  if (dataset.uniformExtent())
    return uint64_t(sampler.localBatch()) * dataset.extent(0).bytes();
  uint64_t largest = 0;
  for (int64_t step = 0; step < stepsPerEpoch(); ++step) {
    uint64_t bytes = 0;
    for (int64_t index : indicesOf(step))
      bytes += dataset.extent(index).bytes();
    largest = std::max(largest, bytes);
  }
  return largest;
}

Result<void> Loader::addSlot(std::span<const int64_t> indices) {
  auto slot = std::make_shared<Slot>();
  slot->bytes = dataset.decodedBytes(indices);
  DOPPEL_TRY(slot->batch, dataset.prepare(indices));
  slots.push_back(std::move(slot));
  return {};
}

uint64_t Loader::windowBytes() const {
  uint64_t bytes = 0;
  for (const std::shared_ptr<Slot> &slot : slots)
    bytes += slot->bytes;
  return bytes;
}

uint64_t Loader::bytesAhead() {
  std::lock_guard lock(mutex);
  return windowBytes();
}

uint64_t Loader::handedOutBytes() {
  std::erase_if(handedOut, [](const HandedOut &batch) { return batch.slab.expired(); });
  uint64_t bytes = 0;
  for (const HandedOut &batch : handedOut)
    bytes += batch.bytes;
  return bytes;
}

/// `taken`: bytes in use beside the window and what was handed out.
Result<void> Loader::fillWindow(uint64_t taken) {
  taken += handedOutBytes() + windowBytes();
  while (slots.size() < ahead) {
    std::vector<int64_t> indices = indicesOf(firstStep + int64_t(slots.size()));
    uint64_t bytes = dataset.decodedBytes(indices);
    if (taken + bytes > dataset.batchBytes() / 2 || !dataset.admit(indices))
      break;
    taken += bytes;
    DOPPEL_CHECK(addSlot(indices));
  }
  workAvailable.notify_all();
  return {};
}

Result<Batch> Loader::batchAt(int64_t step) {
  std::vector<int64_t> indices = indicesOf(step);
  if (workers.empty())
    return dataset.gather(indices);

  DOPPEL_CHECK(dataset.admit(indices));
  std::unique_lock lock(mutex);
  if (step != firstStep)
    slots.clear();
  firstStep = step;
  if (slots.empty())
    DOPPEL_CHECK(addSlot(indices));
  DOPPEL_CHECK(fillWindow(0));
  std::shared_ptr<Slot> slot = slots.front();
  slotFinished.wait(lock, [&] { return slot->finished == slot->batch.size(); });
  slots.pop_front();
  ++firstStep;
  DOPPEL_CHECK(fillWindow(slot->bytes));
  if (slot->error)
    return std::unexpected(std::move(*slot->error));
  DOPPEL_CHECK(dataset.finish(slot->batch));
  handedOut.push_back({slot->batch.owned, slot->bytes});
  return std::move(slot->batch);
}

} // namespace doppel::runtime
