// Decodes JPEG and PNG files of any kind to upright RGB. Never crashes and never returns half a
// picture: a file that is truncated, corrupt or neither format is an Error whose message says why.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/data/Image.h"
#include <span>
#include <string>

namespace doppel::runtime {

/// The extent that decodeImage() will give, read from the header alone. `file` may be a prefix of
/// the file if it holds the header.
Result<Extent> probeImage(std::span<const uint8_t> file);

/// Decodes `file` into `pixels`, [extent.height, extent.width, 3], where `extent` is what
/// probeImage() said.
///
/// JPEG: baseline and progressive; grey, YCbCr, RGB, CMYK and YCCK (Adobe's inverted ones too).
/// PNG: palette, grey, 1-16 bits, interlaced; transparency is composed over white. The EXIF
/// orientation of either is applied.
Result<void> decodeImage(std::span<const uint8_t> file, Extent extent, uint8_t *pixels);

/// probeImage() and decodeImage() in one.
Result<Image> decodeImage(std::span<const uint8_t> file);

/// The whole file, or its first `limit` bytes.
Result<std::vector<uint8_t>> readFile(const std::string &path, size_t limit = size_t(-1));

} // namespace doppel::runtime
