// Bounds what decoders take beside the pixels that they give: a progressive JPEG holds its
// coefficients, a lossless WebP a second picture. Private to this folder.
#pragma once

#include "runtime/data/Image.h"
#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <utility>

namespace doppel::runtime {

/// Lets as many decode at once as together stay within `limit` bytes; one at a time where even that
/// is more. Small pictures never wait.
class DecodeGate {
public:
  explicit DecodeGate(uint64_t limit) : limit(limit) {}

  /// Held while a picture is decoded.
  class Pass {
  public:
    Pass(DecodeGate &gate, uint64_t bytes) : gate(&gate), bytes(bytes) {}
    Pass(Pass &&other) noexcept : gate(std::exchange(other.gate, nullptr)), bytes(other.bytes) {}
    Pass &operator=(Pass &&) = delete;
    ~Pass() {
      if (gate)
        gate->leave(bytes);
    }

  private:
    DecodeGate *gate;
    uint64_t bytes;
  };

  Pass enter(Extent extent) {
    uint64_t bytes = costOf(extent);
    std::unique_lock lock(mutex);
    left.wait(lock, [&] { return taken == 0 || bytes <= limit - std::min(limit, taken); });
    taken += bytes;
    return {*this, bytes};
  }

  /// Bytes above the limit that decoding such a picture may take.
  uint64_t beyond(Extent extent) const { return costOf(extent) - std::min(costOf(extent), limit); }

  /// Bytes that those inside may take now.
  uint64_t bytesTaken() {
    std::lock_guard lock(mutex);
    return taken;
  }

private:
  /// What a decoder may take, over what it gives: 16-bit coefficients of three channels, and a copy
  /// to be turned upright.
  static constexpr uint64_t kDecoderBytes = 3;

  static uint64_t costOf(Extent extent) { return extent.bytes() * kDecoderBytes; }

  void leave(uint64_t bytes) {
    {
      std::lock_guard lock(mutex);
      taken -= bytes;
    }
    left.notify_all();
  }

  uint64_t limit;
  uint64_t taken = 0;
  std::mutex mutex;
  std::condition_variable left;
};

} // namespace doppel::runtime
