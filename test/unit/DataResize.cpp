// Resizing is a triangle filter as wide as a pixel of the smaller picture: values worked out by
// hand.

#include "runtime/data/Resize.h"
#include <gtest/gtest.h>

using namespace doppel::runtime;

namespace {

/// The grey levels of a grey picture resized.
std::vector<uint8_t> resized(Extent extent, const std::vector<uint8_t> &levels, Extent target) {
  std::vector<uint8_t> pixels, result;
  for (uint8_t level : levels)
    pixels.insert(pixels.end(), 3, level);
  Image image = resize({pixels.data(), extent}, target);
  for (size_t pixel = 0; pixel < image.pixels.size(); pixel += 3)
    result.push_back(image.pixels[pixel]);
  return result;
}

TEST(DataResize, EnlargingIsLinearBetweenCentres) {
  // The centres stand at 0.25 and 0.75 of the source; beyond its own centres it goes on flat.
  EXPECT_EQ(resized({1, 2}, {0, 100}, {1, 4}), (std::vector<uint8_t>{0, 25, 75, 100}));
  EXPECT_EQ(resized({2, 1}, {0, 100}, {4, 1}), (std::vector<uint8_t>{0, 25, 75, 100}));
}

TEST(DataResize, ReducingAveragesOverTwiceThePixel) {
  // Halved: the weights at distances 0.5, 1.5, 2.5 of a centre are 3/4, 1/4 and none; at a border
  // the rest is scaled to 1: (0.75 * 0 + 0.75 * 100 + 0.25 * 200) / 1.75 and (0.25 * 100 + 0.75 *
  // 200 + 0.75 * 40) / 1.75.
  EXPECT_EQ(resized({1, 4}, {0, 100, 200, 40}, {1, 2}), (std::vector<uint8_t>{71, 117}));
  EXPECT_EQ(resized({4, 1}, {0, 100, 200, 40}, {2, 1}), (std::vector<uint8_t>{71, 117}));
}

TEST(DataResize, RoundsToTheNearestLevel) {
  EXPECT_EQ(resized({1, 2}, {0, 101}, {1, 4}),
            (std::vector<uint8_t>{0, 25, 76, 101})); // 25.25 and 75.75
  EXPECT_EQ(resized({1, 3}, {255, 255, 255}, {1, 2}), (std::vector<uint8_t>{255, 255}));
}

TEST(DataResize, ColumnsAndRowsAndColoursStayApart) {
  // Two rows of two pixels, each colour another plane.
  std::vector<uint8_t> pixels = {0, 10, 50, 100, 10, 50, 0, 30, 50, 100, 30, 50};
  Image wide = resize({pixels.data(), {2, 2}}, {2, 4});
  EXPECT_EQ(wide.pixels, (std::vector<uint8_t>{0, 10, 50, 25, 10, 50, 75, 10, 50, 100, 10, 50, //
                                               0, 30, 50, 25, 30, 50, 75, 30, 50, 100, 30, 50}));
  Image tall = resize({pixels.data(), {2, 2}}, {4, 2});
  EXPECT_EQ(tall.pixels, (std::vector<uint8_t>{0, 10, 50, 100, 10, 50, 0, 15, 50, 100, 15, 50, //
                                               0, 25, 50, 100, 25, 50, 0, 30, 50, 100, 30, 50}));
}

} // namespace
