// WebP, BMP, GIF and TIFF: every kind gives the picture that was stored, upright, of several the
// first; no broken file gives half a picture or a crash.

#include "DataFixtures.h"
#include "runtime/core/File.h"
#include "runtime/data/Decode.h"
#include "runtime/data/Png.h"
#include <algorithm>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <random>

#include <gif_lib.h>
#include <tiffio.h>
#include <webp/encode.h>

using namespace doppel::runtime;
using namespace doppel::runtime::fixtures;

namespace {

using Bytes = std::vector<uint8_t>;

Image decoded(std::span<const uint8_t> file) {
  Result<Image> image = decodeImage(file);
  EXPECT_TRUE(image) << image.error().message;
  return image ? *std::move(image) : Image{};
}

void put(Bytes &bytes, uint64_t value, int count) {
  for (int byte = 0; byte < count; ++byte)
    bytes.push_back(uint8_t(value >> 8 * byte));
}

void append(Bytes &bytes, std::span<const uint8_t> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

/// RGBA of `image`, the alpha falling from left to right, and what it is over white.
std::pair<Bytes, Image> withAlpha(const Image &image) {
  Bytes rgba;
  Image composed = image;
  for (size_t pixel = 0; pixel < image.pixels.size() / 3; ++pixel) {
    auto alpha = uint8_t(255 - pixel % size_t(image.extent.width) * 5);
    for (size_t channel = 0; channel < 3; ++channel) {
      uint8_t value = image.pixels[3 * pixel + channel];
      rgba.push_back(value);
      composed.pixels[3 * pixel + channel] =
          uint8_t((value * alpha + 255 * (255 - alpha) + 127) / 255);
    }
    rgba.push_back(alpha);
  }
  return {rgba, composed};
}

Bytes encodeWebp(const Image &image, const uint8_t *rgba = nullptr) {
  WebPConfig config;
  WebPConfigInit(&config);
  config.lossless = config.exact = 1;
  WebPPicture picture;
  WebPPictureInit(&picture);
  picture.use_argb = 1;
  picture.width = image.extent.width;
  picture.height = image.extent.height;
  WebPMemoryWriter writer;
  WebPMemoryWriterInit(&writer);
  picture.writer = WebPMemoryWrite;
  picture.custom_ptr = &writer;
  bool good = rgba ? WebPPictureImportRGBA(&picture, rgba, image.extent.width * 4)
                   : WebPPictureImportRGB(&picture, image.pixels.data(), image.extent.width * 3);
  good = good && WebPEncode(&config, &picture);
  EXPECT_TRUE(good);
  Bytes file(writer.mem, writer.mem + writer.size);
  WebPMemoryWriterClear(&writer);
  WebPPictureFree(&picture);
  return file;
}

Bytes chunk(const char *name, std::span<const uint8_t> data) {
  Bytes bytes(name, name + 4);
  put(bytes, data.size(), 4);
  append(bytes, data);
  if (data.size() % 2)
    bytes.push_back(0);
  return bytes;
}

/// A WebP of the extended form around `chunks`; `flags` of its VP8X chunk.
Bytes extendedWebp(Extent extent, uint8_t flags, std::span<const uint8_t> chunks) {
  Bytes head;
  put(head, flags, 4);
  put(head, uint64_t(extent.width - 1), 3);
  put(head, uint64_t(extent.height - 1), 3);
  Bytes body = {'W', 'E', 'B', 'P'};
  append(body, chunk("VP8X", head));
  append(body, chunks);
  return chunk("RIFF", body);
}

/// The picture's own chunk of a simple WebP.
std::span<const uint8_t> picture(std::span<const uint8_t> file) { return file.subspan(12); }

Bytes exifWebp(const Image &image, uint8_t orientation, bool prefixed) {
  Bytes file = encodeWebp(image), block = exifBlock(orientation, true);
  if (!prefixed)
    block.erase(block.begin(), block.begin() + 6);
  Bytes chunks(picture(file).begin(), picture(file).end());
  append(chunks, chunk("EXIF", block));
  return extendedWebp(image.extent, 0x08, chunks);
}

Bytes animatedWebp(const std::vector<Image> &frames) {
  Bytes chunks = chunk("ANIM", Bytes{255, 255, 255, 255, 0, 0});
  for (const Image &frame : frames) {
    Bytes body, file = encodeWebp(frame);
    put(body, 0, 6);
    put(body, uint64_t(frame.extent.width - 1), 3);
    put(body, uint64_t(frame.extent.height - 1), 3);
    put(body, 100, 3);
    body.push_back(2); // not blended
    append(body, picture(file));
    append(chunks, chunk("ANMF", body));
  }
  return extendedWebp(frames[0].extent, 0x02, chunks);
}

/// A picture of at most 60 colours: of each pixel its index, and the colours.
struct Indexed {
  Extent extent{23, 37};
  Bytes indices, colors;

  explicit Indexed(int count = 60) {
    for (int color = 0; color < count; ++color)
      append(colors, Bytes{uint8_t(color * 4), uint8_t(250 - color * 3), uint8_t(color * 37)});
    for (int32_t row = 0; row < extent.height; ++row)
      for (int32_t column = 0; column < extent.width; ++column)
        indices.push_back(uint8_t((row * 5 + column / 3) % count));
  }
  Image image() const {
    Image image{extent, {}};
    for (uint8_t index : indices)
      append(image.pixels, std::span(colors).subspan(index * 3u, 3));
    return image;
  }
};

struct GifKind {
  bool interlaced = false;
  int transparent = -1;
  int frames = 1;
};

Bytes encodeGif(const Indexed &picture, const GifKind &kind = {}) {
  Bytes file;
  int error = 0;
  GifFileType *gif = EGifOpen(
      &file,
      [](GifFileType *gif, const GifByteType *bytes, int count) {
        append(*static_cast<Bytes *>(gif->UserData), {bytes, size_t(count)});
        return count;
      },
      &error);
  std::vector<GifColorType> colors(64);
  for (size_t color = 0; color < picture.colors.size() / 3; ++color)
    colors[color] = {picture.colors[3 * color], picture.colors[3 * color + 1],
                     picture.colors[3 * color + 2]};
  ColorMapObject *map = GifMakeMapObject(64, colors.data());
  EGifSetGifVersion(gif, true);
  EGifPutScreenDesc(gif, picture.extent.width, picture.extent.height, 6, 0, map);
  for (int frame = 0; frame < kind.frames; ++frame) {
    GraphicsControlBlock control{DISPOSAL_UNSPECIFIED, false, 5, kind.transparent};
    GifByteType block[4];
    EGifGCBToExtension(&control, block);
    EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, 4, block);
    EGifPutImageDesc(gif, 0, 0, picture.extent.width, picture.extent.height, kind.interlaced,
                     nullptr);
    Bytes indices = picture.indices;
    for (uint8_t &index : indices)
      index = uint8_t((index + frame) % 60);
    static constexpr int kFirst[] = {0, 4, 2, 1}, kStep[] = {8, 8, 4, 2};
    for (int pass = 0; pass < (kind.interlaced ? 4 : 1); ++pass)
      for (int row = kind.interlaced ? kFirst[pass] : 0; row < picture.extent.height;
           row += kind.interlaced ? kStep[pass] : 1)
        EGifPutLine(gif, indices.data() + row * picture.extent.width, picture.extent.width);
  }
  EGifCloseFile(gif, &error);
  GifFreeMapObject(map);
  return file;
}

struct TiffKind {
  uint16_t compression = COMPRESSION_NONE;
  uint16_t orientation = 1;
  int channels = 3;
  int pages = 1;
};

/// `samples`: [height, width, channels].
Bytes encodeTiff(Extent extent, const Bytes &samples, const TiffKind &kind = {}) {
  TemporaryFolder folder;
  std::string path = folder.path("a.tif");
  TIFF *tiff = TIFFOpen(path.c_str(), "w");
  for (int page = 0; page < kind.pages; ++page) {
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, uint32_t(extent.width));
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, uint32_t(extent.height));
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, kind.channels);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 8);
    TIFFSetField(tiff, TIFFTAG_ORIENTATION, kind.orientation);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, kind.compression);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC,
                 kind.channels < 3 ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, 8);
    uint16_t extra = EXTRASAMPLE_UNASSALPHA;
    if (kind.channels == 4)
      TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &extra);
    Bytes row;
    for (int32_t number = 0; number < extent.height; ++number) {
      size_t rowBytes = size_t(extent.width) * size_t(kind.channels);
      row.assign(samples.begin() + int64_t(number * rowBytes),
                 samples.begin() + int64_t((number + 1) * rowBytes));
      if (page > 0)
        std::ranges::reverse(row);
      TIFFWriteScanline(tiff, row.data(), uint32_t(number), 0);
    }
    TIFFWriteDirectory(tiff);
  }
  TIFFClose(tiff);
  return readBytes(path).value();
}

struct BmpKind {
  uint16_t bits = 24;
  uint32_t compression = 0;
  uint32_t header = 40;
  bool fromAbove = false;
  Bytes masks = {}; ///< behind a header of 40 bytes, or in a larger one
};

/// `rows`: what stands in the file behind the palette.
Bytes encodeBmp(Extent extent, const Bytes &palette, const Bytes &rows, const BmpKind &kind = {}) {
  Bytes info;
  put(info, kind.header, 4);
  if (kind.header == 12) {
    put(info, uint64_t(extent.width), 2);
    put(info, uint64_t(extent.height), 2);
    put(info, 1, 2);
    put(info, kind.bits, 2);
  } else {
    put(info, uint64_t(extent.width), 4);
    put(info, uint64_t(kind.fromAbove ? -extent.height : extent.height), 4);
    put(info, 1, 2);
    put(info, kind.bits, 2);
    put(info, kind.compression, 4);
    put(info, rows.size(), 4);
    put(info, 0, 8);
    put(info, palette.size() / 4, 4);
    put(info, 0, 4);
    append(info, kind.masks);
    info.resize(std::max<size_t>(info.size(), kind.header));
  }
  Bytes file = {'B', 'M'};
  size_t offset = 14 + info.size() + palette.size();
  put(file, offset + rows.size(), 4);
  put(file, 0, 4);
  put(file, offset, 4);
  append(file, info);
  append(file, palette);
  append(file, rows);
  return file;
}

/// Rows of `rowOf(row)`, each padded to four bytes, the lowest first unless `fromAbove`.
Bytes bmpRows(int32_t height, bool fromAbove, const std::function<Bytes(int32_t)> &rowOf) {
  Bytes rows;
  for (int32_t number = 0; number < height; ++number) {
    Bytes row = rowOf(fromAbove ? number : height - 1 - number);
    row.resize((row.size() + 3) / 4 * 4);
    append(rows, row);
  }
  return rows;
}

Bytes bmpPalette(const Indexed &picture, size_t entry = 4) {
  Bytes palette;
  for (size_t color = 0; color < picture.colors.size() / 3; ++color) {
    append(palette, Bytes{picture.colors[3 * color + 2], picture.colors[3 * color + 1],
                          picture.colors[3 * color]});
    palette.resize((color + 1) * entry);
  }
  return palette;
}

Bytes bmpOf(const Image &image, bool fromAbove = false) {
  return encodeBmp(image.extent, {},
                   bmpRows(image.extent.height, fromAbove,
                           [&](int32_t row) {
                             Bytes bytes;
                             for (int32_t column = 0; column < image.extent.width; ++column) {
                               const uint8_t *pixel =
                                   image.pixels.data() + (row * image.extent.width + column) * 3;
                               append(bytes, Bytes{pixel[2], pixel[1], pixel[0]});
                             }
                             return bytes;
                           }),
                   {.fromAbove = fromAbove});
}

TEST(DataFormats, WebpIsTheStoredPicture) {
  Image image = gradient(29, 43);
  EXPECT_EQ(decoded(encodeWebp(image)).pixels, image.pixels);
  auto [rgba, composed] = withAlpha(image);
  EXPECT_EQ(decoded(encodeWebp(image, rgba.data())).pixels, composed.pixels);
  EXPECT_EQ(decoded(animatedWebp({image, gradient(29, 20)})).pixels, image.pixels);
}

TEST(DataFormats, GifIsItsFirstPicture) {
  Indexed picture;
  for (bool interlaced : {false, true})
    for (int frames : {1, 3})
      EXPECT_EQ(decoded(encodeGif(picture, {.interlaced = interlaced, .frames = frames})).pixels,
                picture.image().pixels);
  Image shown = picture.image();
  for (size_t pixel = 0; pixel < picture.indices.size(); ++pixel)
    if (picture.indices[pixel] == 7)
      std::fill_n(shown.pixels.begin() + int64_t(3 * pixel), 3, 255);
  EXPECT_EQ(decoded(encodeGif(picture, {.transparent = 7})).pixels, shown.pixels);
}

TEST(DataFormats, TiffIsItsFirstPage) {
  Image image = gradient(29, 43);
  for (uint16_t compression : {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE})
    for (int pages : {1, 2})
      EXPECT_EQ(decoded(encodeTiff(image.extent, image.pixels,
                                   {.compression = compression, .pages = pages}))
                    .pixels,
                image.pixels);
  Bytes levels;
  Image grey = image;
  for (size_t pixel = 0; pixel < image.pixels.size(); pixel += 3) {
    levels.push_back(image.pixels[pixel]);
    grey.pixels[pixel + 1] = grey.pixels[pixel + 2] = image.pixels[pixel];
  }
  EXPECT_EQ(decoded(encodeTiff(image.extent, levels, {.channels = 1})).pixels, grey.pixels);
  auto [rgba, composed] = withAlpha(image);
  Image shown = decoded(encodeTiff(image.extent, rgba, {.channels = 4}));
  ASSERT_EQ(shown.extent, composed.extent);
  for (size_t value = 0; value < shown.pixels.size(); ++value)
    ASSERT_NEAR(shown.pixels[value], composed.pixels[value],
                1); // multiplied, then added: two roundings
}

TEST(DataFormats, BmpOfAllDepths) {
  Image image = gradient(29, 43);
  EXPECT_EQ(decoded(bmpOf(image)).pixels, image.pixels);
  EXPECT_EQ(decoded(bmpOf(image, /*fromAbove=*/true)).pixels, image.pixels);
  for (int bits : {1, 2, 4, 8}) {
    Indexed picture(std::min(60, 1 << bits));
    for (bool old : {false, true}) {
      Bytes rows = bmpRows(picture.extent.height, false, [&](int32_t row) {
        Bytes bytes(size_t(picture.extent.width * bits + 7) / 8);
        for (int32_t column = 0; column < picture.extent.width; ++column) {
          int at = column * bits;
          bytes[size_t(at / 8)] |= uint8_t(
              picture.indices[size_t(row * picture.extent.width + column)] << (8 - bits - at % 8));
        }
        return bytes;
      });
      EXPECT_EQ(decoded(encodeBmp(picture.extent, bmpPalette(picture, old ? 3 : 4), rows,
                                  {.bits = uint16_t(bits), .header = old ? 12u : 40u}))
                    .pixels,
                picture.image().pixels)
          << bits << " bits, old " << old;
    }
  }
}

TEST(DataFormats, BmpOfMasks) {
  // One row: red, green, blue at their most, and half of each.
  auto words = [](std::vector<uint32_t> values, int bytes) {
    Bytes row;
    for (uint32_t value : values)
      put(row, value, bytes);
    return row;
  };
  auto masks = [](std::vector<uint32_t> values) {
    Bytes bytes;
    for (uint32_t value : values)
      put(bytes, value, 4);
    return bytes;
  };
  Bytes primary = {255, 0, 0, 0, 255, 0, 0, 0, 255};
  EXPECT_EQ(
      decoded(encodeBmp({1, 3}, {}, words({0x7C00, 0x03E0, 0x001F, 0}, 2), {.bits = 16})).pixels,
      primary);
  EXPECT_EQ(
      decoded(encodeBmp({1, 3}, {}, words({0xF800, 0x07E0, 0x001F, 0}, 2),
                        {.bits = 16, .compression = 3, .masks = masks({0xF800, 0x07E0, 0x001F})}))
          .pixels,
      primary);
  EXPECT_EQ(decoded(encodeBmp({1, 3}, {}, words({0xFF0000, 0xFF00, 0xFF}, 4), {.bits = 32})).pixels,
            primary);
  // With alpha, over white; where it says nothing, it is not meant.
  BmpKind alpha = {.bits = 32,
                   .compression = 3,
                   .header = 108,
                   .masks = masks({0xFF, 0xFF00, 0xFF0000, 0xFF000000})};
  EXPECT_EQ(decoded(encodeBmp({1, 2}, {}, words({0xFF0000FF, 0x3300FF00}, 4), alpha)).pixels,
            (Bytes{255, 0, 0, 204, 255, 204}));
  EXPECT_EQ(decoded(encodeBmp({1, 2}, {}, words({0x000000FF, 0x0000FF00}, 4), alpha)).pixels,
            (Bytes{255, 0, 0, 0, 255, 0}));
}

TEST(DataFormats, BmpOfRunLengths) {
  Indexed picture(16);
  Image image = picture.image();
  Bytes runs8, runs4;
  for (int32_t row = picture.extent.height - 1; row >= 0; --row) {
    const uint8_t *indices = picture.indices.data() + row * picture.extent.width;
    int32_t left = picture.extent.width, at = 0;
    append(runs8, Bytes{0, 5, indices[0], indices[1], indices[2], indices[3], indices[4],
                        0}); // as they are
    append(runs4, Bytes{0, 5, uint8_t(indices[0] << 4 | indices[1]),
                        uint8_t(indices[2] << 4 | indices[3]), uint8_t(indices[4] << 4), 0});
    for (at = 5; at < left; ++at) {
      append(runs8, Bytes{1, indices[at]});
      append(runs4, Bytes{1, uint8_t(indices[at] << 4 | 9)});
    }
    append(runs8, Bytes{0, 0});
    append(runs4, Bytes{0, 0});
  }
  append(runs8, Bytes{0, 1});
  EXPECT_EQ(
      decoded(encodeBmp(picture.extent, bmpPalette(picture), runs8, {.bits = 8, .compression = 1}))
          .pixels,
      image.pixels);
  EXPECT_EQ(
      decoded(encodeBmp(picture.extent, bmpPalette(picture), runs4, {.bits = 4, .compression = 2}))
          .pixels,
      image.pixels);
  // Two of colour 1, two to the right and one up, one of colour 2; what is passed over is colour 0.
  Indexed three(3);
  Image jumped = decoded(encodeBmp({2, 5}, bmpPalette(three), {2, 1, 0, 2, 2, 1, 1, 2, 0, 1},
                                   {.bits = 8, .compression = 1}));
  auto colorAt = [&](int32_t row, int32_t column) {
    return Bytes(jumped.pixels.begin() + (row * 5 + column) * 3,
                 jumped.pixels.begin() + (row * 5 + column) * 3 + 3);
  };
  auto color = [&](int index) {
    return Bytes(three.colors.begin() + index * 3, three.colors.begin() + index * 3 + 3);
  };
  EXPECT_EQ(colorAt(1, 0), color(1));
  EXPECT_EQ(colorAt(1, 1), color(1));
  EXPECT_EQ(colorAt(1, 2), color(0));
  EXPECT_EQ(colorAt(0, 4), color(2));
}

TEST(DataFormats, OrientationTurnsPicturesUpright) {
  Image stored = gradient(16, 8);
  Bytes png = encodePng(stored.extent, stored.pixels.data()).value();
  auto orientedPng = [&](int orientation) {
    std::vector<std::vector<uint8_t>> rows;
    for (int32_t row = 0; row < 16; ++row)
      rows.emplace_back(stored.pixels.begin() + row * 24, stored.pixels.begin() + (row + 1) * 24);
    return encodePngKind(
        [&](png_structp png, png_infop info) {
          png_set_IHDR(png, info, 8, 16, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, 0, 0);
          Bytes block = exifBlock(uint8_t(orientation), true);
          png_set_eXIf_1(png, info, png_uint_32(block.size() - 6), block.data() + 6);
        },
        rows);
  };
  for (int orientation = 1; orientation <= 8; ++orientation) {
    // JPEG's turns are tested against the definition of the tag; what is stored there is lossy.
    Image jpeg = decoded(
        encodeJpeg(stored, {.exif = exifBlock(uint8_t(orientation), true), .quality = 100}));
    for (const Bytes &file :
         {orientedPng(orientation), exifWebp(stored, uint8_t(orientation), true),
          exifWebp(stored, uint8_t(orientation), false),
          encodeTiff(stored.extent, stored.pixels, {.orientation = uint16_t(orientation)})}) {
      Image image = decoded(file);
      ASSERT_EQ(image.extent, jpeg.extent) << orientation;
      EXPECT_EQ(*probeImage(file), jpeg.extent);
      for (size_t value = 0; value < image.pixels.size(); ++value)
        ASSERT_NEAR(image.pixels[value], jpeg.pixels[value], 12) << orientation;
    }
  }
}

TEST(DataFormats, OrientationMayBeAnyInteger) {
  Bytes shortOne = exifBlock(6, true);
  auto typed = [&](uint8_t type) {
    Bytes block = shortOne;
    size_t entry = 6 + 8 + 2 + 12; // the second of the directory
    EXPECT_EQ(block[entry], 0x12);
    block[entry + 2] = type;
    return decoded(encodeJpeg(gradient(16, 8), {.exif = block})).extent;
  };
  EXPECT_EQ(typed(3), (Extent{8, 16}));
  EXPECT_EQ(typed(4), (Extent{8, 16})) << "a long";
  EXPECT_EQ(typed(1), (Extent{8, 16})) << "a byte";
  EXPECT_EQ(typed(2), (Extent{16, 8})) << "text is none";
  Bytes big = exifBlock(6, false);
  size_t entry = 6 + 8 + 2 + 12;
  big[entry + 3] = 4;
  std::rotate(big.begin() + int64_t(entry) + 8, big.begin() + int64_t(entry) + 10,
              big.begin() + int64_t(entry) + 12);
  EXPECT_EQ(decoded(encodeJpeg(gradient(16, 8), {.exif = big})).extent, (Extent{8, 16}));
}

std::vector<std::pair<std::string, Bytes>> someOfEach() {
  Image image = gradient(19, 27);
  Indexed picture(16);
  auto [rgba, composed] = withAlpha(image);
  Bytes runs;
  for (int32_t row = 0; row < picture.extent.height; ++row)
    append(runs, Bytes{37, uint8_t(row % 16), 0, 0});
  append(runs, Bytes{0, 1});
  return {
      {"WebP", encodeWebp(image)},
      {"WebP with alpha", encodeWebp(image, rgba.data())},
      {"WebP with EXIF", exifWebp(image, 6, true)},
      {"WebP animated", animatedWebp({image, image})},
      {"BMP", bmpOf(image)},
      {"BMP of runs",
       encodeBmp(picture.extent, bmpPalette(picture), runs, {.bits = 8, .compression = 1})},
      {"GIF", encodeGif(Indexed())},
      {"GIF interlaced", encodeGif(Indexed(), {.interlaced = true, .transparent = 3})},
      {"TIFF", encodeTiff(image.extent, image.pixels)},
      {"TIFF of LZW", encodeTiff(image.extent, image.pixels, {.compression = COMPRESSION_LZW})}};
}

TEST(DataFormats, TruncatedFilesGiveNoPartOfAPicture) {
  for (const auto &[name, file] : someOfEach()) {
    Image whole = decoded(file);
    for (size_t size = 0; size < file.size(); ++size) {
      // A copy of its own, so that a sanitizer sees any byte read past the end.
      Bytes cut(file.begin(), file.begin() + int64_t(size));
      Result<Image> image = decodeImage(cut);
      ASSERT_TRUE(!image || image->pixels == whole.pixels)
          << name << ", " << size << " of " << file.size();
      ASSERT_TRUE(!image || size + 24 > file.size())
          << name << ", " << size << " of " << file.size();
    }
  }
}

TEST(DataFormats, DamagedFilesNeverCrash) {
  std::mt19937 random(7);
  for (const auto &[name, file] : someOfEach())
    for (int trial = 0; trial < 1000; ++trial) {
      Bytes damaged = file;
      // Headers decide most, so half of the damage is there.
      size_t within = trial % 2 ? damaged.size() : std::min<size_t>(damaged.size(), 128);
      for (int change = 0; change < 1 + trial % 4; ++change)
        damaged[random() % within] ^= uint8_t(1 + random() % 255);
      Result<Extent> extent = probeImage(damaged);
      if (extent && extent->bytes() < (1u << 24)) {
        Bytes pixels(extent->bytes());
        (void)decodeImage(damaged, *extent, pixels.data());
      }
    }
}

TEST(DataFormats, FormatsAreKnownByTheirFirstBytes) {
  for (const auto &[name, file] : someOfEach())
    EXPECT_TRUE(isImage(std::span(file).first(32))) << name;
  Bytes text(64, 'B');
  EXPECT_FALSE(isImage(text));
  EXPECT_EQ(imageFormats(), "JPEG, PNG, WebP, BMP, GIF, TIFF");
}

} // namespace
