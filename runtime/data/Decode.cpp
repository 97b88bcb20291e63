// Chooses the format by the first bytes, never by the name, and turns pictures upright.

#include "runtime/data/Decode.h"
#include "runtime/data/Codec.h"
#include <algorithm>
#include <array>
#include <cstring>

namespace doppel::runtime {

namespace codec {

int exifOrientation(std::span<const uint8_t> block) {
  static constexpr char kExif[] = "Exif\0"; // six bytes with the terminator
  std::span<const uint8_t> tiff = block;
  if (block.size() >= sizeof(kExif) && std::memcmp(block.data(), kExif, sizeof(kExif)) == 0)
    tiff = block.subspan(sizeof(kExif));
  if (tiff.size() < 8)
    return 1;
  bool little = tiff[0] == 'I' && tiff[1] == 'I';
  if (!little && !(tiff[0] == 'M' && tiff[1] == 'M'))
    return 1;
  auto read16 = [&](size_t at) -> uint32_t {
    return little ? tiff[at] | tiff[at + 1] << 8 : tiff[at] << 8 | tiff[at + 1];
  };
  auto read32 = [&](size_t at) -> uint32_t {
    return little ? read16(at) | read16(at + 2) << 16 : read16(at) << 16 | read16(at + 2);
  };
  size_t directory = read32(4);
  if (directory > tiff.size() - 2)
    return 1;
  constexpr uint32_t kOrientationTag = 0x0112, kByte = 1, kShort = 3, kLong = 4;
  for (uint32_t entry = 0, count = read16(directory); entry < count; ++entry) {
    size_t at = directory + 2 + size_t(entry) * 12;
    if (at + 12 > tiff.size())
      return 1;
    if (read16(at) != kOrientationTag)
      continue;
    // A short is what the standard says; some programs write another integer.
    uint32_t type = read16(at + 2), value = type == kByte    ? tiff[at + 8]
                                            : type == kShort ? read16(at + 8)
                                            : type == kLong  ? read32(at + 8)
                                                             : 1;
    return value >= 1 && value <= 8 ? int(value) : 1;
  }
  return 1;
}

void composeOverWhite(const uint8_t *rgba, size_t count, uint8_t *rgb) {
  for (size_t pixel = 0; pixel < count; ++pixel) {
    int alpha = rgba[4 * pixel + 3];
    for (int channel = 0; channel < 3; ++channel)
      rgb[3 * pixel + channel] =
          uint8_t((rgba[4 * pixel + channel] * alpha + 255 * (255 - alpha) + 127) / 255);
  }
}

} // namespace codec

namespace {

constexpr std::array kFormats = {&codec::kJpeg, &codec::kPng, &codec::kWebp,
                                 &codec::kBmp,  &codec::kGif, &codec::kTiff};

/// Null where the first bytes are of no format that is read.
const codec::Format *formatOf(std::span<const uint8_t> file) {
  auto found = std::ranges::find_if(
      kFormats, [&](const codec::Format *format) { return format->matches(file); });
  return found == kFormats.end() ? nullptr : *found;
}

/// Orientations 5 to 8 exchange rows and columns.
Extent uprightExtent(const codec::Header &header) {
  if (header.orientation >= 5)
    return {header.stored.width, header.stored.height};
  return header.stored;
}

/// Copies `stored` to `upright`: EXIF's orientations 5 to 8 transpose, then stored rows and columns
/// count from their far end.
void turnUpright(const uint8_t *stored, Extent extent, int orientation, uint8_t *upright) {
  bool transpose = orientation >= 5;
  bool flipRows = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  bool flipColumns = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  int32_t height = transpose ? extent.width : extent.height;
  int32_t width = transpose ? extent.height : extent.width;
  for (int32_t row = 0; row < height; ++row)
    for (int32_t column = 0; column < width; ++column) {
      int32_t sourceRow = transpose ? column : row;
      int32_t sourceColumn = transpose ? row : column;
      if (flipRows)
        sourceRow = extent.height - 1 - sourceRow;
      if (flipColumns)
        sourceColumn = extent.width - 1 - sourceColumn;
      std::memcpy(upright + (size_t(row) * width + column) * 3,
                  stored + (size_t(sourceRow) * extent.width + sourceColumn) * 3, 3);
    }
}

Result<codec::Header> readHeader(std::span<const uint8_t> file) {
  if (file.empty())
    return fail("the file is empty");
  const codec::Format *format = formatOf(file);
  if (!format)
    return fail("it is none of {}", imageFormats());
  DOPPEL_TRY(codec::Header header, format->readHeader(file));
  Extent stored = header.stored;
  if (stored.height < 1 || stored.width < 1 || stored.height > kMaxImageSide ||
      stored.width > kMaxImageSide || int64_t(stored.height) * stored.width > kMaxImagePixels)
    return fail("{} x {} pixels is outside of what is accepted (sides up to {}, {} pixels in all)",
                stored.width, stored.height, kMaxImageSide, kMaxImagePixels);
  return header;
}

} // namespace

std::string imageFormats() {
  std::string names;
  for (const codec::Format *format : kFormats)
    names += (names.empty() ? "" : ", ") + std::string(format->name);
  return names;
}

bool isImage(std::span<const uint8_t> file) { return formatOf(file) != nullptr; }

Result<Extent> probeImage(std::span<const uint8_t> file) {
  DOPPEL_TRY(codec::Header header, readHeader(file));
  return uprightExtent(header);
}

Result<void> decodeImage(std::span<const uint8_t> file, Extent extent, uint8_t *pixels) {
  DOPPEL_TRY(codec::Header header, readHeader(file));
  if (uprightExtent(header) != extent)
    return fail("the file changed while it was read");
  auto read = formatOf(file)->read;
  if (header.orientation == 1)
    return read(file, header.stored, pixels);
  std::vector<uint8_t> stored(header.stored.bytes());
  DOPPEL_CHECK(read(file, header.stored, stored.data()));
  turnUpright(stored.data(), header.stored, header.orientation, pixels);
  return {};
}

Result<Image> decodeImage(std::span<const uint8_t> file) {
  DOPPEL_TRY(Extent extent, probeImage(file));
  Image image{extent, std::vector<uint8_t>(extent.bytes())};
  DOPPEL_CHECK(decodeImage(file, extent, image.pixels.data()));
  return image;
}

} // namespace doppel::runtime
