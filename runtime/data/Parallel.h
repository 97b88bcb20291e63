// A loop over independent items on threads, with progress told on the calling thread.
#pragma once

#include "runtime/core/Limits.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace doppel::runtime {

/// `wanted`, or where that is 0 the number of processors that this process may use.
inline int threadCount(int wanted) { return wanted > 0 ? wanted : availableProcessors(); }

/// Calls body(i) for each i in [0, count), in any order, on `threads` threads; returns when all are
/// done. `progress`, if any, is called on this thread, at most ten times a second and once at the
/// end.
inline void parallelFor(int64_t count, int threads, const std::function<void(int64_t)> &body,
                        const std::function<void(int64_t, int64_t)> &progress = {}) {
  if (threads == 1 && !progress) {
    for (int64_t item = 0; item < count; ++item)
      body(item);
    return;
  }
  std::atomic<int64_t> next = 0, done = 0;
  std::mutex mutex;
  std::condition_variable finished;
  std::vector<std::jthread> workers;
  for (int thread = 0; thread < threads; ++thread)
    workers.emplace_back([&] {
      for (int64_t item; (item = next++) < count;) {
        body(item);
        if (++done == count) {
          std::lock_guard lock(mutex);
          finished.notify_one();
        }
      }
    });
  std::unique_lock lock(mutex);
  while (!finished.wait_for(lock, std::chrono::milliseconds(100), [&] { return done == count; }))
    if (progress)
      progress(done, count);
  if (progress)
    progress(count, count);
}

} // namespace doppel::runtime
