// TIFF by libtiff: of several pages the first; all kinds that the library can show as 8-bit RGBA.

#include "runtime/data/Codec.h"
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include <tiffio.h>

namespace doppel::runtime::codec {
namespace {

/// What a damaged header can make the library ask for at once.
constexpr tmsize_t kMaxBlock = tmsize_t(1) << 30;

struct Input {
  std::span<const uint8_t> file;
  size_t position = 0;
  char message[256] = "it cannot be decoded";
};

Input &self(thandle_t handle) { return *static_cast<Input *>(handle); }

tmsize_t readBytes(thandle_t handle, void *target, tmsize_t count) {
  Input &input = self(handle);
  size_t left = input.file.size() - std::min(input.position, input.file.size());
  size_t taken = std::min(size_t(std::max<tmsize_t>(count, 0)), left);
  std::memcpy(target, input.file.data() + input.position, taken);
  input.position += taken;
  return tmsize_t(taken);
}

tmsize_t writeBytes(thandle_t, void *, tmsize_t) { return 0; }

toff_t seek(thandle_t handle, toff_t offset, int from) {
  Input &input = self(handle);
  input.position = size_t(offset) + (from == SEEK_CUR   ? input.position
                                     : from == SEEK_END ? input.file.size()
                                                        : 0);
  return input.position;
}

int closeNothing(thandle_t) { return 0; }
toff_t sizeOf(thandle_t handle) { return self(handle).file.size(); }

/// The first message is the cause; 1 keeps the library from printing it.
int onError(TIFF *, void *input, const char *, const char *format, va_list arguments) {
  char *message = static_cast<Input *>(input)->message;
  static constexpr char kUnset[] = "it cannot be decoded";
  if (std::strcmp(message, kUnset) == 0)
    std::vsnprintf(message, sizeof(Input::message), format, arguments);
  return 1;
}

int onWarning(TIFF *, void *, const char *, const char *, va_list) { return 1; }

using Tiff = std::unique_ptr<TIFF, void (*)(TIFF *)>;

bool isTiff(std::span<const uint8_t> file) {
  return file.size() >= 8 &&
         (std::memcmp(file.data(), "II*\0", 4) == 0 || std::memcmp(file.data(), "MM\0*", 4) == 0 ||
          std::memcmp(file.data(), "II+\0", 4) == 0 || std::memcmp(file.data(), "MM\0+", 4) == 0);
}

/// A file that cannot be mapped into memory ("m"), at its first page.
Result<Tiff> open(Input &input) {
  std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions *)> options(TIFFOpenOptionsAlloc(),
                                                                        TIFFOpenOptionsFree);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), kMaxBlock);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), onError, &input);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), onWarning, nullptr);
  Tiff tiff(TIFFClientOpenExt("image", "rm", &input, readBytes, writeBytes, seek, closeNothing,
                              sizeOf, nullptr, nullptr, options.get()),
            TIFFClose);
  if (!tiff)
    return fail("broken TIFF: {}", input.message);
  return tiff;
}

Result<Header> readHeader(std::span<const uint8_t> file) {
  Input input{file};
  DOPPEL_TRY(Tiff tiff, open(input));
  uint32_t width = 0, height = 0;
  if (!TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &width) ||
      !TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &height))
    return fail("broken TIFF: it does not say its extent");
  uint16_t orientation = 1;
  TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_ORIENTATION, &orientation);
  auto side = [](uint32_t value) { return int32_t(std::min<uint32_t>(value, INT32_MAX)); };
  return Header{{side(height), side(width)},
                orientation >= 1 && orientation <= 8 ? orientation : 1};
}

Result<void> read(std::span<const uint8_t> file, Extent stored, uint8_t *pixels) {
  Input input{file};
  DOPPEL_TRY(Tiff tiff, open(input));
  char message[1024] = "";
  TIFFRGBAImage image;
  if (!TIFFRGBAImageBegin(&image, tiff.get(), /*stop on error=*/1, message))
    return fail("broken TIFF, or one of a kind that is not read: {}", message);
  std::unique_ptr<TIFFRGBAImage, void (*)(TIFFRGBAImage *)> end(&image, TIFFRGBAImageEnd);
  image.req_orientation = image.orientation; // as stored
  size_t count = size_t(stored.height) * stored.width;
  std::vector<uint32_t> raster(count);
  if (!TIFFRGBAImageGet(&image, raster.data(), uint32_t(stored.width), uint32_t(stored.height)))
    return fail("broken TIFF: {}", input.message);
  // The library's colours are multiplied by their alpha already.
  for (size_t pixel = 0; pixel < count; ++pixel) {
    uint32_t value = raster[pixel];
    uint32_t white = 255 - TIFFGetA(value);
    pixels[3 * pixel] = uint8_t(std::min(255u, uint32_t(TIFFGetR(value)) + white));
    pixels[3 * pixel + 1] = uint8_t(std::min(255u, uint32_t(TIFFGetG(value)) + white));
    pixels[3 * pixel + 2] = uint8_t(std::min(255u, uint32_t(TIFFGetB(value)) + white));
  }
  return {};
}

} // namespace

const Format kTiff = {"TIFF", isTiff, readHeader, read};

} // namespace doppel::runtime::codec
