// Writes PNG files: previews of views and contact sheets of data.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/data/Image.h"
#include "runtime/schema/Abi.h"
#include <span>
#include <string>

namespace doppel::runtime {

/// Writes `pixels`, [extent.height, extent.width, 3], to `path` (over what is there, by way of a
/// temporary name in the same folder).
Result<void> writePng(const std::string &path, Extent extent, const uint8_t *pixels);

/// The same in memory.
Result<std::vector<uint8_t>> encodePng(Extent extent, const uint8_t *pixels);

/// Lays images out in rows of `columns`, each magnified `zoom` times, with `gap` pixels of white
/// between. Cells are as large as the largest image.
Image contactSheet(std::span<const abi::ImageRef> images, int32_t columns, int32_t zoom = 1,
                   int32_t gap = 2);

} // namespace doppel::runtime
