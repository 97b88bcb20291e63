// BMP, read here: Debian has no small library that reads all of it. Headers of 12 bytes (OS/2) and
// of 40 and more, 1 to 32 bits a pixel, palettes, masks, run lengths, rows from below or above.

#include "runtime/data/Codec.h"
#include <algorithm>
#include <array>
#include <bit>
#include <vector>

namespace doppel::runtime::codec {
namespace {

constexpr size_t kFileHeader = 14;
constexpr uint32_t kOldHeader = 12; ///< OS/2's: 16-bit sides, palette entries of three bytes

enum Compression : uint32_t {
  Plain = 0,
  RunLength8 = 1,
  RunLength4 = 2,
  Masks = 3,
  MasksWithAlpha = 6
};

/// Little-endian numbers of a file; what lies behind its end reads as 0, and is checked for before.
struct Bytes {
  std::span<const uint8_t> file;

  uint32_t at(size_t offset) const { return offset < file.size() ? file[offset] : 0; }
  uint32_t read16(size_t offset) const { return at(offset) | at(offset + 1) << 8; }
  uint32_t read32(size_t offset) const { return read16(offset) | read16(offset + 2) << 16; }
};

using Color = std::array<uint8_t, 3>;

struct Bitmap {
  Extent extent;
  bool fromBelow = true;
  uint32_t bits = 0, compression = Plain;
  size_t pixels = 0; ///< where they begin in the file
  std::vector<Color> palette;
  std::array<uint32_t, 4> masks{}; ///< red, green, blue, alpha; of 16 and 32 bits

  bool hasRuns() const { return compression == RunLength8 || compression == RunLength4; }
  size_t rowBytes() const { return (size_t(extent.width) * bits + 31) / 32 * 4; }
};

bool isBmp(std::span<const uint8_t> file) {
  static constexpr std::array kHeaders = {12u, 16u, 40u, 52u, 56u, 64u, 108u, 124u};
  return file.size() >= kFileHeader + 4 && file[0] == 'B' && file[1] == 'M' &&
         std::ranges::find(kHeaders, Bytes{file}.read32(kFileHeader)) != kHeaders.end();
}

/// All but the palette.
Result<Bitmap> readFields(std::span<const uint8_t> file) {
  Bytes bytes{file};
  uint32_t header = bytes.read32(kFileHeader);
  if (file.size() < kFileHeader + header)
    return fail("broken BMP: the file ends too early");
  Bitmap bitmap;
  bitmap.pixels = bytes.read32(10);
  if (header == kOldHeader) {
    bitmap.extent = {int32_t(bytes.read16(20)), int32_t(bytes.read16(18))};
    bitmap.bits = bytes.read16(24);
  } else {
    int64_t height = int32_t(bytes.read32(22));
    bitmap.fromBelow = height >= 0;
    bitmap.extent = {int32_t(std::min<int64_t>(std::abs(height), INT32_MAX)),
                     int32_t(bytes.read32(18))};
    bitmap.bits = bytes.read16(28);
    bitmap.compression = header >= 40 ? bytes.read32(30) : uint32_t(Plain);
  }
  bool fits = bitmap.compression == Plain        ? true
              : bitmap.compression == RunLength8 ? bitmap.bits == 8 && bitmap.fromBelow
              : bitmap.compression == RunLength4
                  ? bitmap.bits == 4 && bitmap.fromBelow
                  : (bitmap.compression == Masks || bitmap.compression == MasksWithAlpha) &&
                        (bitmap.bits == 16 || bitmap.bits == 32);
  static constexpr std::array kBits = {1u, 2u, 4u, 8u, 16u, 24u, 32u};
  if (!fits || std::ranges::find(kBits, bitmap.bits) == kBits.end())
    return fail("a BMP of {} bits a pixel with compression {} is not read", bitmap.bits,
                bitmap.compression);
  if (bitmap.compression == Masks || bitmap.compression == MasksWithAlpha) {
    bool alpha = header >= 56 || bitmap.compression == MasksWithAlpha;
    for (size_t channel = 0; channel < (alpha ? 4 : 3); ++channel)
      bitmap.masks[channel] = bytes.read32(kFileHeader + 40 + channel * 4);
  } else if (bitmap.bits == 16) {
    bitmap.masks = {0x7C00, 0x03E0, 0x001F, 0};
  } else if (bitmap.bits == 32) {
    bitmap.masks = {0xFF0000, 0xFF00, 0xFF, 0};
  }
  return bitmap;
}

void readPalette(std::span<const uint8_t> file, Bitmap &bitmap) {
  if (bitmap.bits > 8)
    return;
  Bytes bytes{file};
  uint32_t header = bytes.read32(kFileHeader);
  size_t first = kFileHeader + header, entry = header == kOldHeader ? 3 : 4;
  size_t count = header >= 40 ? bytes.read32(46) : 0, most = size_t(1) << bitmap.bits;
  if (count == 0 || count > most)
    count = most;
  if (bitmap.pixels > first)
    count = std::min(count, (bitmap.pixels - first) / entry);
  for (size_t number = 0; number < count; ++number) {
    size_t at = first + number * entry;
    bitmap.palette.push_back(
        {uint8_t(bytes.at(at + 2)), uint8_t(bytes.at(at + 1)), uint8_t(bytes.at(at))});
  }
  bitmap.palette.resize(256); // an index beyond the palette is black
}

Result<Header> readHeader(std::span<const uint8_t> file) {
  DOPPEL_TRY(Bitmap bitmap, readFields(file));
  return Header{bitmap.extent};
}

/// The bits of `mask` in `value`, as 0 .. 255.
uint8_t channelOf(uint32_t value, uint32_t mask) {
  if (mask == 0)
    return 0;
  uint64_t most = mask >> std::countr_zero(mask), bits = (value & mask) >> std::countr_zero(mask);
  return uint8_t((bits * 255 + most / 2) / most);
}

/// Palette indices by run lengths into `indices`, [height, width], rows from below.
Result<void> readRuns(std::span<const uint8_t> file, const Bitmap &bitmap,
                      std::vector<uint8_t> &indices) {
  size_t at = bitmap.pixels, width = size_t(bitmap.extent.width),
         height = size_t(bitmap.extent.height);
  size_t row = 0, column = 0;
  bool four = bitmap.compression == RunLength4;
  auto put = [&](uint8_t index) {
    if (row < height && column < width)
      indices[row * width + column] = index;
    ++column;
  };
  // Of a byte of four bits a pixel, the upper comes first.
  auto indexIn = [&](uint8_t byte, size_t position) {
    return uint8_t(!four ? byte : position % 2 ? byte & 15 : byte >> 4);
  };
  while (row < height) {
    if (at + 2 > file.size())
      return fail("broken BMP: the file ends too early");
    uint8_t count = file[at], value = file[at + 1];
    at += 2;
    if (count > 0) {
      for (size_t position = 0; position < count; ++position)
        put(indexIn(value, position));
    } else if (value == 0) {
      ++row, column = 0;
    } else if (value == 1) {
      return {};
    } else if (value == 2) {
      if (at + 2 > file.size())
        return fail("broken BMP: the file ends too early");
      column += file[at], row += file[at + 1];
      at += 2;
    } else {
      size_t stored = four ? (value + 1u) / 2 : value;
      if (at + stored > file.size())
        return fail("broken BMP: the file ends too early");
      for (size_t position = 0; position < value; ++position)
        put(indexIn(file[at + (four ? position / 2 : position)], position));
      at += stored + stored % 2;
    }
  }
  return {};
}

void readRow(const uint8_t *row, const Bitmap &bitmap, bool alpha, uint8_t *pixels) {
  for (int32_t column = 0; column < bitmap.extent.width; ++column, pixels += 3) {
    if (bitmap.bits <= 8) {
      uint32_t bit = uint32_t(column) * bitmap.bits % 8;
      uint32_t index = row[size_t(column) * bitmap.bits / 8] >> (8 - bitmap.bits - bit);
      std::ranges::copy(bitmap.palette[index & ((1u << bitmap.bits) - 1)], pixels);
    } else if (bitmap.bits == 24) {
      std::reverse_copy(row + size_t(column) * 3, row + size_t(column) * 3 + 3, pixels);
    } else {
      const uint8_t *word = row + size_t(column) * (bitmap.bits / 8);
      uint32_t value = word[0] | word[1] << 8;
      if (bitmap.bits == 32)
        value |= uint32_t(word[2]) << 16 | uint32_t(word[3]) << 24;
      uint8_t rgba[4];
      for (size_t channel = 0; channel < 4; ++channel)
        rgba[channel] = channelOf(value, bitmap.masks[channel]);
      if (!alpha)
        rgba[3] = 255;
      composeOverWhite(rgba, 1, pixels);
    }
  }
}

/// Whether the alpha channel says anything: many programs declare one and leave it 0.
bool hasAlpha(const uint8_t *rows, const Bitmap &bitmap) {
  if (bitmap.masks[3] == 0)
    return false;
  size_t step = bitmap.bits / 8;
  for (int32_t row = 0; row < bitmap.extent.height; ++row)
    for (int32_t column = 0; column < bitmap.extent.width; ++column) {
      const uint8_t *word = rows + size_t(row) * bitmap.rowBytes() + size_t(column) * step;
      uint32_t value = word[0] | word[1] << 8;
      if (step == 4)
        value |= uint32_t(word[2]) << 16 | uint32_t(word[3]) << 24;
      if (value & bitmap.masks[3])
        return true;
    }
  return false;
}

Result<void> read(std::span<const uint8_t> file, Extent stored, uint8_t *pixels) {
  DOPPEL_TRY(Bitmap bitmap, readFields(file));
  readPalette(file, bitmap);
  size_t height = size_t(stored.height), width = size_t(stored.width);
  if (bitmap.hasRuns()) {
    std::vector<uint8_t> indices(height * width);
    DOPPEL_CHECK(readRuns(file, bitmap, indices));
    for (size_t row = 0; row < height; ++row)
      for (size_t column = 0; column < width; ++column)
        std::ranges::copy(bitmap.palette[indices[(height - 1 - row) * width + column]],
                          pixels + (row * width + column) * 3);
    return {};
  }
  size_t rowBytes = bitmap.rowBytes();
  if (bitmap.pixels > file.size() || (file.size() - bitmap.pixels) / rowBytes < height)
    return fail("broken BMP: the file ends too early");
  const uint8_t *rows = file.data() + bitmap.pixels;
  bool alpha = hasAlpha(rows, bitmap);
  for (size_t row = 0; row < height; ++row)
    readRow(rows + row * rowBytes, bitmap, alpha,
            pixels + (bitmap.fromBelow ? height - 1 - row : row) * width * 3);
  return {};
}

} // namespace

const Format kBmp = {"BMP", isBmp, readHeader, read};

} // namespace doppel::runtime::codec
