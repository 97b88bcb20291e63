// Decodes image files of any kind to upright RGB. Never crashes and never returns half a picture: a
// file that is truncated, corrupt or of no format that is read is an Error whose message says why.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/data/Image.h"
#include <span>
#include <string>

namespace doppel::runtime {

/// "JPEG, PNG, WebP, ...": what is read.
std::string imageFormats();

/// Whether a file is of a format that is read, by its first bytes; some dozen of them are enough.
bool isImage(std::span<const uint8_t> file);

/// The extent that decodeImage() will give, read from the header alone. `file` may be a prefix of
/// the file if it holds the header.
Result<Extent> probeImage(std::span<const uint8_t> file);

/// Decodes `file` into `pixels`, [extent.height, extent.width, 3], where `extent` is what
/// probeImage() said.
///
/// JPEG: baseline and progressive; grey, YCbCr, RGB, CMYK and YCCK (inks inverted, as Pillow and
/// torchvision take them). PNG: palette, grey, 1-16 bits, interlaced. WebP, GIF and TIFF: the first
/// picture of several. BMP: all but embedded JPEG and PNG. Transparency is composed over white; the
/// orientation that EXIF or TIFF tell is applied.
Result<void> decodeImage(std::span<const uint8_t> file, Extent extent, uint8_t *pixels);

/// probeImage() and decodeImage() in one.
Result<Image> decodeImage(std::span<const uint8_t> file);

} // namespace doppel::runtime
