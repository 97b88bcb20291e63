// WebP by libwebp: lossy and lossless; of an animation the first frame.

#include "runtime/data/Codec.h"
#include <cstring>
#include <memory>
#include <vector>

#include <webp/decode.h>
#include <webp/demux.h>

namespace doppel::runtime::codec {
namespace {

constexpr size_t kRiffHeader = 12, kChunkHeader = 8;
constexpr uint8_t kHasExif = 0x08; // of the flags of a VP8X chunk

bool isWebp(std::span<const uint8_t> file) {
  return file.size() >= kRiffHeader && std::memcmp(file.data(), "RIFF", 4) == 0 &&
         std::memcmp(file.data() + 8, "WEBP", 4) == 0;
}

uint32_t read32(const uint8_t *bytes) {
  return uint32_t(bytes[0]) | uint32_t(bytes[1]) << 8 | uint32_t(bytes[2]) << 16 |
         uint32_t(bytes[3]) << 24;
}

/// The orientation stands behind the picture, so this needs the whole file where there is one.
Result<int> orientationOf(std::span<const uint8_t> file) {
  const uint8_t *first = file.data() + kRiffHeader;
  if (file.size() <= kRiffHeader + kChunkHeader || std::memcmp(first, "VP8X", 4) != 0 ||
      !(first[kChunkHeader] & kHasExif))
    return 1;
  for (size_t at = kRiffHeader; at + kChunkHeader <= file.size();) {
    size_t size = read32(file.data() + at + 4), end = at + kChunkHeader + size;
    if (end > file.size())
      return fail("broken WebP: the file ends too early");
    if (std::memcmp(file.data() + at, "EXIF", 4) == 0)
      return exifOrientation(file.subspan(at + kChunkHeader, size));
    at = end + size % 2;
  }
  return fail("broken WebP: the file ends before its EXIF block");
}

Result<WebPBitstreamFeatures> featuresOf(std::span<const uint8_t> file) {
  WebPBitstreamFeatures features;
  VP8StatusCode status = WebPGetFeatures(file.data(), file.size(), &features);
  if (status != VP8_STATUS_OK)
    return fail("broken WebP: {}", status == VP8_STATUS_NOT_ENOUGH_DATA
                                       ? "the file ends too early"
                                       : "its header is malformed");
  return features;
}

Result<Header> readHeader(std::span<const uint8_t> file) {
  DOPPEL_TRY(WebPBitstreamFeatures features, featuresOf(file));
  DOPPEL_TRY(int orientation, orientationOf(file));
  return Header{{features.height, features.width}, orientation};
}

Result<void> readFirstFrame(std::span<const uint8_t> file, Extent stored, uint8_t *pixels) {
  WebPAnimDecoderOptions options;
  WebPAnimDecoderOptionsInit(&options);
  options.color_mode = MODE_RGBA;
  WebPData data = {file.data(), file.size()};
  std::unique_ptr<WebPAnimDecoder, void (*)(WebPAnimDecoder *)> decoder(
      WebPAnimDecoderNew(&data, &options), WebPAnimDecoderDelete);
  uint8_t *rgba = nullptr;
  int milliseconds = 0;
  if (!decoder || !WebPAnimDecoderGetNext(decoder.get(), &rgba, &milliseconds))
    return fail("broken WebP: its first frame cannot be decoded");
  composeOverWhite(rgba, size_t(stored.height) * stored.width, pixels);
  return {};
}

Result<void> read(std::span<const uint8_t> file, Extent stored, uint8_t *pixels) {
  DOPPEL_TRY(WebPBitstreamFeatures features, featuresOf(file));
  if (features.has_animation)
    return readFirstFrame(file, stored, pixels);
  size_t count = size_t(stored.height) * stored.width;
  std::vector<uint8_t> rgba(features.has_alpha ? count * 4 : 0);
  uint8_t *done =
      features.has_alpha
          ? WebPDecodeRGBAInto(file.data(), file.size(), rgba.data(), rgba.size(), stored.width * 4)
          : WebPDecodeRGBInto(file.data(), file.size(), pixels, stored.bytes(), stored.width * 3);
  if (!done)
    return fail("broken WebP: the file ends too early, or is damaged");
  if (features.has_alpha)
    composeOverWhite(rgba.data(), count, pixels);
  return {};
}

} // namespace

const Format kWebp = {"WebP", isWebp, readHeader, read};

} // namespace doppel::runtime::codec
