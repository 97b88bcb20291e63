// What Decode.cpp asks of each image format. Private to this folder.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/data/Image.h"
#include <span>
#include <string_view>

namespace doppel::runtime::codec {

/// What a header says: the stored extent, and how the stored picture must be turned to stand
/// upright.
struct Header {
  Extent stored;
  int orientation = 1; ///< EXIF tag 0x0112, 1 to 8
};

/// A format that is read, told by the first bytes of a file.
struct Format {
  std::string_view name;
  bool (*matches)(std::span<const uint8_t> file);
  /// `file` may be a prefix; fails where it does not hold all that the header needs.
  Result<Header> (*readHeader)(std::span<const uint8_t> file);
  /// Decodes to `pixels`, [stored.height, stored.width, 3], as stored; transparency over white.
  Result<void> (*read)(std::span<const uint8_t> file, Extent stored, uint8_t *pixels);
};

extern const Format kJpeg, kPng, kWebp, kBmp, kGif, kTiff;

/// The orientation in an EXIF block (a TIFF file: "II*\0" or "MM\0*" first), which some files begin
/// with "Exif\0\0"; 1 where there is none or it is malformed.
int exifOrientation(std::span<const uint8_t> block);

/// `count` pixels of RGBA over white.
void composeOverWhite(const uint8_t *rgba, size_t count, uint8_t *rgb);

} // namespace doppel::runtime::codec
