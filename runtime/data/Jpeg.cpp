// JPEG by libjpeg-turbo. The library leaves by longjmp, so between setjmp and the library's calls
// there is nothing but plain data: no object with a destructor lives across them.

#include "runtime/data/Codec.h"
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include <jerror.h>
#include <jpeglib.h>

namespace doppel::runtime::codec {
namespace {

/// A picture of more scans than this is an attack: each scan costs a pass over all coefficients.
constexpr int kMaxScans = 200;

struct Decompressor {
  jpeg_decompress_struct info; // first: the library hands back this address
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
};

Decompressor &self(j_common_ptr info) { return *reinterpret_cast<Decompressor *>(info); }

[[noreturn]] void onError(j_common_ptr info) {
  info->err->format_message(info, self(info).message);
  std::longjmp(self(info).escape, 1);
}

/// The library patches over missing data with grey and only warns. Such a picture is broken for
/// training, so a warning is an error here, unless it is of mere oddity: stray bytes, version
/// numbers, colour profiles.
void onMessage(j_common_ptr info, int level) {
  if (level >= 0)
    return;
  switch (info->err->msg_code) {
  case JWRN_ADOBE_XFORM:
  case JWRN_BOGUS_PROGRESSION:
  case JWRN_EXTRANEOUS_DATA:
  case JWRN_JFIF_MAJOR:
  case JWRN_TOO_MUCH_DATA:
  case JWRN_BOGUS_ICC:
    return;
  default:
    onError(info);
  }
}

void onProgress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans)
    return;
  std::snprintf(self(info).message, JMSG_LENGTH_MAX, "more than %d scans", kMaxScans);
  std::longjmp(self(info).escape, 1);
}

void open(Decompressor &jpeg, std::span<const uint8_t> file) {
  jpeg_create_decompress(&jpeg.info);
  jpeg.progress.progress_monitor = onProgress;
  jpeg.info.progress = &jpeg.progress;
  jpeg_mem_src(&jpeg.info, file.data(), file.size());
  jpeg_save_markers(&jpeg.info, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&jpeg.info, TRUE);
}

void initialise(Decompressor &jpeg) {
  std::memset(&jpeg, 0, sizeof(jpeg));
  jpeg.info.err = jpeg_std_error(&jpeg.errors);
  jpeg.errors.error_exit = onError;
  jpeg.errors.emit_message = onMessage;
}

int orientationOf(const jpeg_decompress_struct &info) {
  static constexpr char kExif[] = "Exif\0"; // six bytes with the terminator
  for (jpeg_saved_marker_ptr marker = info.marker_list; marker; marker = marker->next)
    if (marker->marker == JPEG_APP0 + 1 && marker->data_length > sizeof(kExif) &&
        std::memcmp(marker->data, kExif, sizeof(kExif)) == 0)
      return exifOrientation({marker->data, marker->data_length});
  return 1;
}

bool isFourChannels(const jpeg_decompress_struct &info) {
  return info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
}

/// Inks are stored inverted. Adobe's programs do so and say so by their marker; Pillow and
/// torchvision take files without it alike.
void inksToRgb(const uint8_t *inks, int32_t width, uint8_t *row) {
  for (int32_t column = 0; column < width; ++column)
    for (int channel = 0; channel < 3; ++channel)
      row[3 * column + channel] =
          uint8_t((inks[4 * column + channel] * inks[4 * column + 3] + 127) / 255);
}

bool readHeaderGuarded(Decompressor &jpeg, std::span<const uint8_t> file, Header &header) {
  if (setjmp(jpeg.escape)) {
    jpeg_destroy_decompress(&jpeg.info);
    return false;
  }
  open(jpeg, file);
  header.stored = {int32_t(jpeg.info.image_height), int32_t(jpeg.info.image_width)};
  header.orientation = orientationOf(jpeg.info);
  jpeg_destroy_decompress(&jpeg.info);
  return true;
}

/// `inks` has room for a row of four channels.
bool readGuarded(Decompressor &jpeg, std::span<const uint8_t> file, Extent stored, uint8_t *inks,
                 uint8_t *pixels) {
  if (setjmp(jpeg.escape)) {
    jpeg_destroy_decompress(&jpeg.info);
    return false;
  }
  open(jpeg, file);
  bool fourChannels = isFourChannels(jpeg.info);
  jpeg.info.out_color_space = fourChannels ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&jpeg.info);
  while (jpeg.info.output_scanline < jpeg.info.output_height) {
    uint8_t *row = pixels + size_t(jpeg.info.output_scanline) * stored.width * 3;
    JSAMPROW target = fourChannels ? inks : row;
    jpeg_read_scanlines(&jpeg.info, &target, 1);
    if (fourChannels)
      inksToRgb(inks, stored.width, row);
  }
  jpeg_finish_decompress(&jpeg.info);
  jpeg_destroy_decompress(&jpeg.info);
  return true;
}

bool isJpeg(std::span<const uint8_t> file) {
  return file.size() >= 3 && file[0] == 0xFF && file[1] == 0xD8 && file[2] == 0xFF;
}

Result<Header> readHeader(std::span<const uint8_t> file) {
  Decompressor jpeg;
  initialise(jpeg);
  Header header;
  if (!readHeaderGuarded(jpeg, file, header))
    return fail("broken JPEG: {}", jpeg.message);
  return header;
}

Result<void> read(std::span<const uint8_t> file, Extent stored, uint8_t *pixels) {
  Decompressor jpeg;
  initialise(jpeg);
  std::vector<uint8_t> inks(size_t(stored.width) * 4);
  if (!readGuarded(jpeg, file, stored, inks.data(), pixels))
    return fail("broken JPEG: {}", jpeg.message);
  return {};
}

} // namespace

const Format kJpeg = {"JPEG", isJpeg, readHeader, read};

} // namespace doppel::runtime::codec
