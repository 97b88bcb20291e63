// A reusable barrier that carries tensors. The last rank to arrive publishes all inputs; nobody can
// begin the next round before every rank has taken its copy, since a round needs all ranks.
#include "codegen/reference/ProcessGrid.h"

namespace doppel::reference {

std::optional<std::vector<Tensor>> ProcessGrid::exchange(int rank, const std::string &name,
                                                         const Tensor &input) {
  std::unique_lock lock(mutex);
  if (arrived == 0)
    pending = name;
  else if (pending != name && failure.empty())
    failure = "rank " + std::to_string(rank) + " is at " + name + ", another at " + pending;
  inputs[rank] = input;
  int64_t mine = round;
  if (++arrived == ranks) {
    arrived = 0;
    ++round;
    outputs = inputs;
    changed.notify_all();
  }
  if (!failure.empty())
    changed.notify_all();
  changed.wait(lock, [&] { return round != mine || !failure.empty(); });
  if (!failure.empty())
    return std::nullopt;
  return outputs;
}

void ProcessGrid::abort(const std::string &why) {
  std::lock_guard lock(mutex);
  if (failure.empty())
    failure = why;
  changed.notify_all();
}

std::string ProcessGrid::error() const {
  std::lock_guard lock(mutex);
  return failure;
}

} // namespace doppel::reference
