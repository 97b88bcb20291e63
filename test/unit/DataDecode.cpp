// Decoding: every kind of JPEG and PNG gives the picture that was stored, upright; no broken file
// gives a picture or a crash.

#include "DataFixtures.h"
#include "runtime/core/File.h"
#include "runtime/data/Decode.h"
#include "runtime/data/Png.h"
#include <gtest/gtest.h>
#include <random>

using namespace doppel::runtime;
using namespace doppel::runtime::fixtures;

namespace {

int largestDifference(const Image &one, const Image &other) {
  EXPECT_EQ(one.extent, other.extent);
  if (one.extent != other.extent)
    return 256;
  int largest = 0;
  for (size_t value = 0; value < one.pixels.size(); ++value)
    largest = std::max(largest, std::abs(one.pixels[value] - other.pixels[value]));
  return largest;
}

Image decoded(std::span<const uint8_t> file) {
  Result<Image> image = decodeImage(file);
  EXPECT_TRUE(image) << image.error().message;
  return image ? *std::move(image) : Image{};
}

Image grey(Image image) {
  for (size_t pixel = 0; pixel < image.pixels.size(); pixel += 3)
    image.pixels[pixel + 1] = image.pixels[pixel + 2] = image.pixels[pixel];
  return image;
}

TEST(DataDecode, JpegOfColourIsTheStoredPicture) {
  Image image = gradient(37, 53);
  EXPECT_LE(largestDifference(decoded(encodeJpeg(image)), image), 6);
  EXPECT_LE(largestDifference(decoded(encodeJpeg(image, {.progressive = true})), image), 6);
  EXPECT_LE(
      largestDifference(decoded(encodeJpeg(image, {.stored = JCS_RGB, .adobe = true})), image), 6);
}

TEST(DataDecode, GreyJpegBecomesRgb) {
  Image image = gradient(20, 31);
  std::vector<uint8_t> levels;
  for (size_t pixel = 0; pixel < image.pixels.size(); pixel += 3)
    levels.push_back(image.pixels[pixel]);
  std::vector<uint8_t> file =
      encodeJpeg(image.extent, levels.data(),
                 {.input = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .channels = 1});
  EXPECT_LE(largestDifference(decoded(file), grey(image)), 3);
}

TEST(DataDecode, FourInksAreStoredInvertedWithAdobesMarkerOrWithout) {
  Image image = gradient(24, 40);
  for (bool adobe : {false, true})
    for (J_COLOR_SPACE stored : {JCS_CMYK, JCS_YCCK}) {
      if (stored == JCS_YCCK && !adobe)
        continue; // only Adobe's marker says that a file is YCCK
      std::vector<uint8_t> inks;
      for (size_t value = 0; value < image.pixels.size(); ++value) {
        inks.push_back(image.pixels[value]);
        if (value % 3 == 2)
          inks.push_back(255); // no black
      }
      std::vector<uint8_t> file =
          encodeJpeg(image.extent, inks.data(),
                     {.input = JCS_CMYK, .stored = stored, .channels = 4, .adobe = adobe});
      EXPECT_LE(largestDifference(decoded(file), image), 8) << "Adobe " << adobe << " " << stored;
    }
}

TEST(DataDecode, ExifOrientationTurnsThePictureUpright) {
  // 16 x 8 so that blocks are whole; each stored picture is made from the upright one by the
  // definition of its tag: where the stored row 0 and column 0 are in the upright picture.
  Image upright = gradient(16, 8);
  int32_t height = upright.extent.height, width = upright.extent.width;
  for (int orientation = 1; orientation <= 8; ++orientation)
    for (bool little : {false, true}) {
      bool transposed = orientation >= 5;
      Image stored{transposed ? Extent{width, height} : Extent{height, width}, {}};
      for (int32_t row = 0; row < stored.extent.height; ++row)
        for (int32_t column = 0; column < stored.extent.width; ++column) {
          int32_t r = 0, c = 0;
          switch (orientation) {
          case 1:
            r = row, c = column;
            break; // top, left
          case 2:
            r = row, c = width - 1 - column;
            break; // top, right
          case 3:
            r = height - 1 - row, c = width - 1 - column;
            break; // bottom, right
          case 4:
            r = height - 1 - row, c = column;
            break; // bottom, left
          case 5:
            r = column, c = row;
            break; // left, top
          case 6:
            r = column, c = width - 1 - row;
            break; // right, top
          case 7:
            r = height - 1 - column, c = width - 1 - row;
            break; // right, bottom
          case 8:
            r = height - 1 - column, c = row;
            break; // left, bottom
          }
          const uint8_t *pixel = upright.pixels.data() + (r * width + c) * 3;
          stored.pixels.insert(stored.pixels.end(), pixel, pixel + 3);
        }
      std::vector<uint8_t> file =
          encodeJpeg(stored, {.exif = exifBlock(uint8_t(orientation), little), .quality = 100});
      Result<Extent> extent = probeImage(file);
      ASSERT_TRUE(extent);
      EXPECT_EQ(*extent, upright.extent);
      EXPECT_LE(largestDifference(decoded(file), upright), 12) << "orientation " << orientation;
    }
}

TEST(DataDecode, MalformedExifIsIgnored) {
  Image image = gradient(16, 8);
  std::vector<uint8_t> block = exifBlock(6, true);
  for (size_t size = 0; size < block.size(); ++size) {
    std::vector<uint8_t> cut(block.begin(), block.begin() + size);
    Result<Image> result = decodeImage(encodeJpeg(image, {.exif = cut}));
    ASSERT_TRUE(result);
  }
  for (size_t byte = 6; byte < block.size(); ++byte)
    for (int value : {0, 0x7F, 0xFF}) {
      std::vector<uint8_t> changed = block;
      changed[byte] = uint8_t(value);
      ASSERT_TRUE(decodeImage(encodeJpeg(image, {.exif = changed})));
    }
  EXPECT_EQ(decoded(encodeJpeg(image, {.exif = exifBlock(9, true)})).extent, image.extent);
}

TEST(DataDecode, PngRoundTripIsExact) {
  Image image = gradient(19, 23);
  Result<std::vector<uint8_t>> file = encodePng(image.extent, image.pixels.data());
  ASSERT_TRUE(file);
  EXPECT_EQ(decoded(*file).pixels, image.pixels);
}

TEST(DataDecode, SixteenBitPngKeepsTheUpperEight) {
  Image image = gradient(9, 11);
  for (int interlace : {PNG_INTERLACE_NONE, PNG_INTERLACE_ADAM7}) {
    std::vector<std::vector<uint8_t>> rows(9);
    for (size_t value = 0; value < image.pixels.size(); ++value) {
      rows[value / 33].push_back(image.pixels[value]);
      rows[value / 33].push_back(image.pixels[value]); // v * 257 is v in 16 bits
    }
    std::vector<uint8_t> file = encodePngKind(
        [&](png_structp png, png_infop info) {
          png_set_IHDR(png, info, 11, 9, 16, PNG_COLOR_TYPE_RGB, interlace, 0, 0);
        },
        rows);
    EXPECT_EQ(decoded(file).pixels, image.pixels);
  }
}

TEST(DataDecode, PaletteAndFewBitsAreExpanded) {
  // Two pixels of four bits a byte: indices 0, 1, 2, and 1 again; entry 2 is transparent, so it
  // shows white.
  std::vector<uint8_t> file = encodePngKind(
      [](png_structp png, png_infop info) {
        png_set_IHDR(png, info, 4, 1, 4, PNG_COLOR_TYPE_PALETTE, PNG_INTERLACE_NONE, 0, 0);
        png_color colors[] = {{10, 20, 30}, {200, 100, 50}, {1, 2, 3}};
        png_set_PLTE(png, info, colors, 3);
        png_byte alphas[] = {255, 255, 0};
        png_set_tRNS(png, info, alphas, 3, nullptr);
      },
      {{0x01, 0x21}});
  EXPECT_EQ(decoded(file).pixels,
            (std::vector<uint8_t>{10, 20, 30, 200, 100, 50, 255, 255, 255, 200, 100, 50}));

  file = encodePngKind(
      [](png_structp png, png_infop info) {
        png_set_IHDR(png, info, 8, 1, 1, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, 0, 0);
      },
      {{0b10010110}});
  Image bits = decoded(file);
  ASSERT_EQ(bits.pixels.size(), 24u);
  for (int column = 0; column < 8; ++column)
    EXPECT_EQ(bits.pixels[column * 3], 0b10010110 >> (7 - column) & 1 ? 255 : 0);
}

TEST(DataDecode, TransparencyIsComposedOverWhite) {
  std::vector<uint8_t> file = encodePngKind(
      [](png_structp png, png_infop info) {
        png_set_IHDR(png, info, 3, 1, 8, PNG_COLOR_TYPE_RGB_ALPHA, PNG_INTERLACE_NONE, 0, 0);
      },
      {{100, 0, 200, 255, 100, 0, 200, 0, 100, 0, 200, 51}});
  EXPECT_EQ(decoded(file).pixels,
            (std::vector<uint8_t>{100, 0, 200, 255, 255, 255, 224, 204, 244}));

  file = encodePngKind(
      [](png_structp png, png_infop info) {
        png_set_IHDR(png, info, 2, 1, 8, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_INTERLACE_NONE, 0, 0);
      },
      {{70, 255, 70, 0}});
  EXPECT_EQ(decoded(file).pixels, (std::vector<uint8_t>{70, 70, 70, 255, 255, 255}));
}

TEST(DataDecode, TruncatedFilesAreErrorsAtEveryLength) {
  Image image = gradient(33, 41);
  Result<std::vector<uint8_t>> png = encodePng(image.extent, image.pixels.data());
  ASSERT_TRUE(png);
  for (const std::vector<uint8_t> &file :
       {encodeJpeg(image), encodeJpeg(image, {.progressive = true}),
        encodeJpeg(image, {.exif = exifBlock(6, false)}), *png})
    for (size_t size = 0; size < file.size(); ++size) {
      // A copy of its own, so that a sanitizer sees any byte read past the end.
      std::vector<uint8_t> cut(file.begin(), file.begin() + size);
      Result<Image> result = decodeImage(cut);
      ASSERT_FALSE(result) << size << " of " << file.size() << " bytes";
      EXPECT_FALSE(result.error().message.empty());
    }
}

TEST(DataDecode, DamagedFilesNeverCrash) {
  Image image = gradient(33, 41);
  Result<std::vector<uint8_t>> png = encodePng(image.extent, image.pixels.data());
  ASSERT_TRUE(png);
  std::mt19937 random(7);
  for (const std::vector<uint8_t> &file :
       {encodeJpeg(image), encodeJpeg(image, {.progressive = true}), *png})
    for (int trial = 0; trial < 2000; ++trial) {
      std::vector<uint8_t> damaged = file;
      for (int change = 0; change < 1 + trial % 4; ++change)
        damaged[random() % damaged.size()] ^= uint8_t(1 + random() % 255);
      Result<Extent> extent = probeImage(damaged);
      if (extent && extent->bytes() < (1u << 26)) {
        std::vector<uint8_t> pixels(extent->bytes());
        (void)decodeImage(damaged, *extent, pixels.data());
      }
    }
}

TEST(DataDecode, HostileExtentsAreRefusedBeforeMemoryIsTaken) {
  std::vector<uint8_t> file = encodeJpeg(gradient(16, 16));
  for (size_t at = 0; at + 9 < file.size(); ++at)
    if (file[at] == 0xFF && file[at + 1] == 0xC0)
      file[at + 5] = file[at + 7] = 0x9C, file[at + 6] = file[at + 8] = 0x40;
  Result<Extent> extent = probeImage(file);
  ASSERT_FALSE(extent);
  EXPECT_NE(extent.error().message.find("40000 x 40000"), std::string::npos)
      << extent.error().message;
}

TEST(DataDecode, OtherFilesAreNamedAsSuch) {
  for (std::string text : {"", "GIF88a.....", "BM and more, a text that begins so", "just a text",
                           "\xFF\xD8", "\x89PNG"}) {
    Result<Image> image =
        decodeImage({reinterpret_cast<const uint8_t *>(text.data()), text.size()});
    ASSERT_FALSE(image);
    EXPECT_EQ(image.error().message,
              text.empty() ? "the file is empty" : "it is none of JPEG, PNG, WebP, BMP, GIF, TIFF");
  }
}

TEST(DataDecode, WritePngLeavesNoTemporaryAndNamesAnUnwritablePath) {
  TemporaryFolder folder;
  Image image = gradient(5, 6);
  ASSERT_TRUE(writePng(folder.path("a.png"), image.extent, image.pixels.data()));
  Result<std::vector<uint8_t>> file = readBytes(folder.path("a.png"));
  ASSERT_TRUE(file);
  EXPECT_EQ(decoded(*file).pixels, image.pixels);
  EXPECT_FALSE(std::filesystem::exists(folder.path("a.png.tmp")));
  Result<void> written = writePng(folder.path("no/a.png"), image.extent, image.pixels.data());
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().message.find("no/a.png"), std::string::npos);
}

} // namespace
