// Writes PNG files: previews of views.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/data/Image.h"
#include <string>

namespace doppel::runtime {

/// Writes `pixels`, [extent.height, extent.width, 3], to `path` (over what is there, by way of a
/// temporary name in the same folder).
Result<void> writePng(const std::string &path, Extent extent, const uint8_t *pixels);

/// The same in memory.
Result<std::vector<uint8_t>> encodePng(Extent extent, const uint8_t *pixels);

} // namespace doppel::runtime
