// Batches live in `submitted_` as long as the device may read them.
#include "runtime/train/Session.h"

namespace doppel::runtime {

/// What data sets give.
static Result<void> checkImages(const Artifact &artifact) {
  const auto &images = *artifact.program().images();
  const schema::ImageInput &first = *images.Get(0);
  if (images.size() != 1 || first.channels() != 3 || first.bits() != 8)
    return fail("{}: takes {} pictures a sample, the first of {} channels of {} bits; this program "
                "gives one of 3 channels of 8 bits",
                artifact.name(), images.size(), first.channels(), first.bits());
  return {};
}

Result<std::unique_ptr<Session>> Session::open(const Artifact &artifact,
                                               const DeviceOptions &options) {
  DOPPEL_CHECK(checkImages(artifact));
  std::unique_ptr<Session> session(new Session(artifact));
  auto device = openDevice(artifact.program(), options);
  if (!device)
    return std::unexpected(std::move(device.error()).within(artifact.name()));
  session->device_ = *std::move(device);
  DOPPEL_TRY(session->executable_, Executable::create(artifact, *session->device_));
  return session;
}

Result<Dataset *> Session::openData(const std::string &data, Split split, DataOptions options) {
  // Where kernels read the host's memory nothing is copied, and the heap's is as good.
  if (!device_->readsHostMemory())
    options.allocate = [device = device_.get()](size_t bytes) -> Result<std::shared_ptr<uint8_t>> {
      DOPPEL_TRY(std::unique_ptr<Allocation> memory, device->allocateHost(bytes));
      auto *pixels = static_cast<uint8_t *>(memory->data());
      return std::shared_ptr<uint8_t>(std::shared_ptr<Allocation>(std::move(memory)), pixels);
    };
  DOPPEL_TRY(std::unique_ptr<Dataset> opened, openDataset(data, split, options));
  return data_.emplace_back(std::move(opened)).get();
}

Result<void> Session::reserveImages(const Dataset &data, uint64_t batchBytes) {
  return executable_->reserveImages(0, data.keptPixels(), batchBytes);
}

Inputs Session::inputsOf(const Batch &batch, int64_t step) const {
  Inputs inputs{{{batch.images(), batch.slab(), batch.sharesSlab()}}, run_};
  inputs.run.step = step;
  return inputs;
}

Result<void> Session::initialise() {
  Inputs inputs{{}, run_};
  inputs.run.step = 0;
  DOPPEL_TRY(auto failure, executable_->run("init", inputs));
  if (failure)
    return fail("an initial value is not finite: {}", failure->what);
  return {};
}

Result<void> Session::submit(std::string_view function, int64_t step, Batch batch,
                             Executable::Outputs outputs) {
  DOPPEL_TRY(Ticket ticket, executable_->submit(function, inputsOf(batch, step), outputs));
  submitted_.push_back({ticket, step, std::move(batch)});
  return {};
}

bool Session::nextIsFinished() {
  return !submitted_.empty() && executable_->finished(submitted_.front().ticket);
}

Result<Session::Finished> Session::next() {
  if (submitted_.empty())
    return failInternal("nothing is in flight");
  DOPPEL_TRY(std::optional<NonFiniteReport> failure, executable_->wait(submitted_.front().ticket));
  auto [ticket, step, batch] = std::move(submitted_.front());
  submitted_.pop_front();
  return Finished{ticket, step, std::move(batch), std::move(failure)};
}

Result<std::optional<NonFiniteReport>> Session::trace(const Finished &finished) {
  return executable_->trace(finished.ticket);
}

Result<std::vector<Executable::InstructionTime>> Session::profile(std::string_view function,
                                                                  const Batch &batch, int repeats) {
  return executable_->profile(function, inputsOf(batch, 0), repeats);
}

} // namespace doppel::runtime
