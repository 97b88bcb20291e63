// One decoded picture: interleaved 8-bit RGB, rows without padding, upright (orientation already
// applied).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace doppel::runtime {

/// Height and width in pixels.
struct Extent {
  int32_t height = 0;
  int32_t width = 0;

  /// Bytes of an RGB image of this extent.
  size_t bytes() const { return size_t(height) * size_t(width) * 3; }
  bool operator==(const Extent &) const = default;
};

/// The pixels of a picture that lie elsewhere.
struct Picture {
  const uint8_t *pixels; ///< [height, width, 3]
  Extent extent;
};

struct Image {
  Extent extent;
  std::vector<uint8_t> pixels; ///< [height, width, 3]
};

/// Pictures larger than this are refused before any memory is asked for, so that a hostile header
/// cannot exhaust it.
inline constexpr int32_t kMaxImageSide = 32'768;
inline constexpr int64_t kMaxImagePixels = int64_t(1) << 27;

} // namespace doppel::runtime
