// What Decode.cpp asks of each image format. Private to this folder.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/data/Image.h"
#include <span>

namespace doppel::runtime::codec {

/// What a header says: the stored extent, and how the stored picture must be turned to stand
/// upright.
struct Header {
  Extent stored;
  int orientation = 1; ///< EXIF tag 0x0112, 1 to 8
};

bool isJpeg(std::span<const uint8_t> file);
Result<Header> readJpegHeader(std::span<const uint8_t> file);
/// Decodes to `pixels`, [stored.height, stored.width, 3], as stored.
Result<void> readJpeg(std::span<const uint8_t> file, Extent stored, uint8_t *pixels);

bool isPng(std::span<const uint8_t> file);
Result<Header> readPngHeader(std::span<const uint8_t> file);
Result<void> readPng(std::span<const uint8_t> file, Extent stored, uint8_t *pixels);

/// The orientation in an EXIF block (a TIFF file: "II*\0" or "MM\0*" first); 1 where there is none
/// or it is malformed.
int exifOrientation(std::span<const uint8_t> tiff);

} // namespace doppel::runtime::codec
