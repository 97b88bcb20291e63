// PNG by libpng. The library leaves by longjmp, so between setjmp and the library's calls there is
// nothing but plain data: no object with a destructor lives across them.

#include "runtime/data/Png.h"
#include "runtime/data/Codec.h"
#include <algorithm>
#include <cerrno>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <unistd.h>

#include <png.h>

namespace doppel::runtime {
namespace {

constexpr int kSignatureBytes = 8;

/// Room for what the library says before it leaves.
struct Message {
  char text[160] = "unknown error";
};

[[noreturn]] void onError(png_structp png, png_const_charp text) {
  auto *message = static_cast<Message *>(png_get_error_ptr(png));
  std::snprintf(message->text, sizeof(message->text), "%s", text);
  png_longjmp(png, 1);
}

/// Warnings are about colour profiles, text and the like; lost pixels are errors by themselves.
void onWarning(png_structp, png_const_charp) {}

struct Input {
  const uint8_t *next;
  const uint8_t *end;
};

void readBytes(png_structp png, png_bytep target, size_t count) {
  auto *input = static_cast<Input *>(png_get_io_ptr(png));
  if (size_t(input->end - input->next) < count)
    png_error(png, "the file ends too early");
  std::memcpy(target, input->next, count);
  input->next += count;
}

/// Owns the library's reading state.
struct Reader {
  Message message;
  Input input;
  png_structp png;
  png_infop info;

  explicit Reader(std::span<const uint8_t> file)
      : input{file.data(), file.data() + file.size()},
        png(png_create_read_struct(PNG_LIBPNG_VER_STRING, &message, onError, onWarning)),
        info(png ? png_create_info_struct(png) : nullptr) {
    if (!info)
      return;
    png_set_read_fn(png, &input, readBytes);
    png_set_user_limits(png, kMaxImageSide, kMaxImageSide);
  }
  Reader(const Reader &) = delete;
  Reader &operator=(const Reader &) = delete;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

bool readHeaderGuarded(Reader &reader, codec::Header &header) {
  if (!reader.info || setjmp(png_jmpbuf(reader.png)))
    return false;
  png_read_info(reader.png, reader.info);
  header.stored = {int32_t(png_get_image_height(reader.png, reader.info)),
                   int32_t(png_get_image_width(reader.png, reader.info))};
  png_bytep exif = nullptr;
  png_uint_32 exifBytes = 0;
  if (png_get_eXIf_1(reader.png, reader.info, &exifBytes, &exif))
    header.orientation = codec::exifOrientation({exif, exifBytes});
  return true;
}

/// Asks the library for 8-bit RGBA rows, whatever is stored. Follows readHeaderGuarded().
bool prepareGuarded(Reader &reader) {
  if (setjmp(png_jmpbuf(reader.png)))
    return false;
  png_set_expand(reader.png);
  png_set_scale_16(reader.png);
  png_set_gray_to_rgb(reader.png);
  png_set_add_alpha(reader.png, 0xFF, PNG_FILLER_AFTER);
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  return true;
}

/// Reads row by row through `row`; only an interlaced picture needs all of them at once.
bool readRowsGuarded(Reader &reader, Extent stored, png_bytep row, uint8_t *pixels) {
  if (setjmp(png_jmpbuf(reader.png)))
    return false;
  for (int32_t number = 0; number < stored.height; ++number) {
    png_read_row(reader.png, row, nullptr);
    codec::composeOverWhite(row, size_t(stored.width), pixels + size_t(number) * stored.width * 3);
  }
  png_read_end(reader.png, nullptr);
  return true;
}

bool readInterlacedGuarded(Reader &reader, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader.png)))
    return false;
  png_read_image(reader.png, rows);
  png_read_end(reader.png, nullptr);
  return true;
}

/// Owns the library's writing state.
struct Writer {
  Message message;
  png_structp png;
  png_infop info;

  Writer()
      : png(png_create_write_struct(PNG_LIBPNG_VER_STRING, &message, onError, onWarning)),
        info(png ? png_create_info_struct(png) : nullptr) {}
  Writer(const Writer &) = delete;
  Writer &operator=(const Writer &) = delete;
  ~Writer() { png_destroy_write_struct(&png, &info); }
};

void appendBytes(png_structp png, png_bytep bytes, size_t count) {
  auto &target = *static_cast<std::vector<uint8_t> *>(png_get_io_ptr(png));
  target.insert(target.end(), bytes, bytes + count);
}

bool writeGuarded(Writer &writer, Extent extent, const uint8_t *pixels,
                  std::vector<uint8_t> &target) {
  if (!writer.info || setjmp(png_jmpbuf(writer.png)))
    return false;
  png_set_write_fn(writer.png, &target, appendBytes, nullptr);
  png_set_IHDR(writer.png, writer.info, extent.width, extent.height, 8, PNG_COLOR_TYPE_RGB,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(writer.png, writer.info);
  for (int32_t row = 0; row < extent.height; ++row)
    png_write_row(writer.png, pixels + size_t(row) * extent.width * 3);
  png_write_end(writer.png, nullptr);
  return true;
}

} // namespace

namespace codec {
namespace {

bool isPng(std::span<const uint8_t> file) {
  return file.size() >= size_t(kSignatureBytes) && !png_sig_cmp(file.data(), 0, kSignatureBytes);
}

Result<Header> readHeader(std::span<const uint8_t> file) {
  Reader reader(file);
  Header header;
  if (!readHeaderGuarded(reader, header))
    return fail("broken PNG: {}", reader.message.text);
  return header;
}

Result<void> read(std::span<const uint8_t> file, Extent stored, uint8_t *pixels) {
  Reader reader(file);
  Header header;
  if (!readHeaderGuarded(reader, header) || !prepareGuarded(reader))
    return fail("broken PNG: {}", reader.message.text);
  size_t rowBytes = size_t(stored.width) * 4;
  if (png_get_rowbytes(reader.png, reader.info) != rowBytes)
    return fail("broken PNG: rows of {} bytes, not {}", png_get_rowbytes(reader.png, reader.info),
                rowBytes);
  bool interlaced = png_get_interlace_type(reader.png, reader.info) != PNG_INTERLACE_NONE;
  std::vector<uint8_t> rgba(interlaced ? rowBytes * size_t(stored.height) : rowBytes);
  bool done = false;
  if (interlaced) {
    std::vector<png_bytep> rows(size_t(stored.height));
    for (size_t row = 0; row < rows.size(); ++row)
      rows[row] = rgba.data() + row * rowBytes;
    done = readInterlacedGuarded(reader, rows.data());
    if (done)
      composeOverWhite(rgba.data(), size_t(stored.height) * stored.width, pixels);
  } else {
    done = readRowsGuarded(reader, stored, rgba.data(), pixels);
  }
  if (!done)
    return fail("broken PNG: {}", reader.message.text);
  return {};
}

} // namespace

const Format kPng = {"PNG", isPng, readHeader, read};

} // namespace codec

Result<std::vector<uint8_t>> encodePng(Extent extent, const uint8_t *pixels) {
  Writer writer;
  std::vector<uint8_t> bytes;
  if (!writeGuarded(writer, extent, pixels, bytes))
    return fail("cannot encode {} x {} pixels as PNG: {}", extent.width, extent.height,
                writer.message.text);
  return bytes;
}

Result<void> writePng(const std::string &path, Extent extent, const uint8_t *pixels) {
  DOPPEL_TRY(std::vector<uint8_t> bytes, encodePng(extent, pixels));
  std::error_code none;
  if (std::filesystem::exists(path, none) && !std::filesystem::is_regular_file(path, none))
    return fail("cannot write {}: it is no regular file", path);
  std::string temporary = path + ".tmp";
  FILE *file = std::fopen(temporary.c_str(), "wbe");
  if (!file)
    return fail("cannot write {}: {}", path, std::strerror(errno));
  bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  written = std::fclose(file) == 0 && written;
  if (!written || std::rename(temporary.c_str(), path.c_str()) != 0) {
    int code = errno;
    unlink(temporary.c_str());
    return fail("cannot write {}: {}", path, std::strerror(code));
  }
  return {};
}

} // namespace doppel::runtime
