// Resizing by a triangle filter: bilinear when enlarging, and when reducing an average over all
// that falls into a pixel.
#pragma once

#include "runtime/data/Image.h"

namespace doppel::runtime {

/// Resizes `image` to `target`, ignoring its aspect; `values` is [target.height, target.width, 3],
/// 0 .. 255, not rounded. The same extent copies. Sample centres are at half pixels, as PIL's and
/// torchvision's antialiased bilinear have them.
void resize(const Picture &image, Extent target, float *values);

/// The same, rounded.
Image resize(const Picture &image, Extent target);

} // namespace doppel::runtime
