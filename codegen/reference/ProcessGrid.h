// Ranks as threads: where interpreters meet for a collective. Each rank hands over its tensor and
// gets those of all, in order of rank.
#pragma once

#include "codegen/reference/Tensor.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>

namespace doppel::reference {

class ProcessGrid {
public:
  explicit ProcessGrid(int size) : ranks(size), inputs(size) {}

  int size() const { return ranks; }

  /// Waits until every rank has come with its tensor. `name` tells the collective (its order and
  /// kind) and must be the same on every rank. Returns nothing after abort() or where the names
  /// differ: then error() says what was wrong, and no rank waits forever.
  std::optional<std::vector<Tensor>> exchange(int rank, const std::string &name,
                                              const Tensor &input);

  /// A rank ends early: releases those that wait for it.
  void abort(const std::string &why);
  std::string error() const;

private:
  const int ranks;
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::vector<Tensor> inputs, outputs;
  std::string pending, failure;
  int arrived = 0;
  int64_t round = 0;
};

} // namespace doppel::reference
