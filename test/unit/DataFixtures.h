// Images and folders made at test time: pictures written by libjpeg and libpng in every kind that
// the decoder claims to read.
#pragma once

#include "runtime/data/Image.h"
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <jpeglib.h>
#include <png.h>
#include <unistd.h>

namespace doppel::runtime::fixtures {

/// A new folder that is removed with all in it.
class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "doppel-data-XXXXXX";
    root = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code code;
    std::filesystem::remove_all(root, code);
  }

  std::string path(const std::string &name = "") const {
    return name.empty() ? root.string() : (root / name).string();
  }
  /// Writes a file, and the folders above it.
  std::string write(const std::string &name, std::span<const uint8_t> bytes) const {
    std::filesystem::create_directories((root / name).parent_path());
    std::ofstream(root / name, std::ios::binary)
        .write(reinterpret_cast<const char *>(bytes.data()), std::streamsize(bytes.size()));
    return path(name);
  }

private:
  std::filesystem::path root;
};

/// A smooth picture without symmetry: each pixel tells where it is, and JPEG keeps it nearly as it
/// is.
inline Image gradient(int32_t height, int32_t width) {
  Image image{{height, width}, {}};
  for (int32_t row = 0; row < height; ++row)
    for (int32_t column = 0; column < width; ++column)
      for (int value : {40 + 180 * row / height, 40 + 180 * column / width,
                        200 - 80 * (row + column) / (height + width)})
        image.pixels.push_back(uint8_t(value));
  return image;
}

struct JpegKind {
  J_COLOR_SPACE input = JCS_RGB;    ///< of `samples`
  J_COLOR_SPACE stored = JCS_YCbCr; ///< in the file
  int channels = 3;
  bool progressive = false;
  bool adobe = false;             ///< with Adobe's marker
  std::vector<uint8_t> exif = {}; ///< written as APP1
  int quality = 95;
};

inline std::vector<uint8_t> encodeJpeg(Extent extent, const uint8_t *samples,
                                       const JpegKind &kind = {}) {
  jpeg_compress_struct info;
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char *buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_width = JDIMENSION(extent.width);
  info.image_height = JDIMENSION(extent.height);
  info.input_components = kind.channels;
  info.in_color_space = kind.input;
  jpeg_set_defaults(&info);
  jpeg_set_colorspace(&info, kind.stored);
  jpeg_set_quality(&info, kind.quality, TRUE);
  info.write_Adobe_marker = kind.adobe;
  if (kind.progressive)
    jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  if (!kind.exif.empty())
    jpeg_write_marker(&info, JPEG_APP0 + 1, kind.exif.data(), unsigned(kind.exif.size()));
  while (info.next_scanline < info.image_height) {
    JSAMPROW row = const_cast<uint8_t *>(samples) +
                   size_t(info.next_scanline) * size_t(extent.width * kind.channels);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::vector<uint8_t> file(buffer, buffer + size);
  free(buffer);
  return file;
}

inline std::vector<uint8_t> encodeJpeg(const Image &image, const JpegKind &kind = {}) {
  return encodeJpeg(image.extent, image.pixels.data(), kind);
}

/// An APP1 block that says nothing but the orientation, in either byte order.
inline std::vector<uint8_t> exifBlock(uint8_t orientation, bool little) {
  std::vector<uint8_t> block = {'E', 'x', 'i', 'f', 0, 0};
  auto put = [&](uint32_t value, int bytes) {
    for (int byte = 0; byte < bytes; ++byte)
      block.push_back(uint8_t(value >> 8 * (little ? byte : bytes - 1 - byte)));
  };
  block.insert(block.end(), 2, little ? 'I' : 'M');
  put(42, 2), put(8, 4);
  put(2, 2); // two entries: the image's width, then the orientation
  put(0x0100, 2), put(3, 2), put(1, 4), put(7, 2), put(0, 2);
  put(0x0112, 2), put(3, 2), put(1, 4), put(orientation, 2), put(0, 2);
  put(0, 4);
  return block;
}

/// Writes a PNG of any kind; `configure` sets header and chunks, `rows` are raw rows of that kind.
inline std::vector<uint8_t>
encodePngKind(const std::function<void(png_structp, png_infop)> &configure,
              std::vector<std::vector<uint8_t>> rows) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  std::vector<uint8_t> file;
  png_set_write_fn(
      png, &file,
      [](png_structp png, png_bytep bytes, size_t count) {
        auto &file = *static_cast<std::vector<uint8_t> *>(png_get_io_ptr(png));
        file.insert(file.end(), bytes, bytes + count);
      },
      nullptr);
  configure(png, info);
  std::vector<png_bytep> pointers;
  for (std::vector<uint8_t> &row : rows)
    pointers.push_back(row.data());
  png_set_rows(png, info, pointers.data());
  png_write_png(png, info, PNG_TRANSFORM_IDENTITY, nullptr);
  png_destroy_write_struct(&png, &info);
  return file;
}

} // namespace doppel::runtime::fixtures
