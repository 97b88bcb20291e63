// GIF by giflib: the first picture of the file, on the whole screen that the file declares, over
// white.

#include "runtime/data/Codec.h"
#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include <gif_lib.h>

namespace doppel::runtime::codec {
namespace {

struct Input {
  std::span<const uint8_t> left;
};

int readBytes(GifFileType *gif, GifByteType *target, int count) {
  auto &input = *static_cast<Input *>(gif->UserData);
  size_t taken = std::min(size_t(count), input.left.size());
  std::memcpy(target, input.left.data(), taken);
  input.left = input.left.subspan(taken);
  return int(taken);
}

int close(GifFileType *gif) { return DGifCloseFile(gif, nullptr); }

using Gif = std::unique_ptr<GifFileType, int (*)(GifFileType *)>;

bool isGif(std::span<const uint8_t> file) {
  return file.size() >= 6 &&
         (std::memcmp(file.data(), "GIF87a", 6) == 0 || std::memcmp(file.data(), "GIF89a", 6) == 0);
}

Result<Gif> open(Input &input) {
  int error = 0;
  Gif gif(DGifOpen(&input, readBytes, &error), close);
  if (!gif)
    return fail("broken GIF: {}", GifErrorString(error));
  return gif;
}

std::unexpected<Error> broken(const Gif &gif) {
  const char *text = GifErrorString(gif->Error);
  return fail("broken GIF: {}", text ? text : "the file ends too early");
}

Result<Header> readHeader(std::span<const uint8_t> file) {
  Input input{file};
  DOPPEL_TRY(Gif gif, open(input));
  return Header{{gif->SHeight, gif->SWidth}};
}

/// Reads up to the first picture's description; what stands before says which index is transparent.
Result<std::optional<int>> seekPicture(const Gif &gif) {
  std::optional<int> transparent;
  for (;;) {
    GifRecordType kind;
    if (DGifGetRecordType(gif.get(), &kind) == GIF_ERROR)
      return broken(gif);
    if (kind == TERMINATE_RECORD_TYPE)
      return fail("the GIF holds no picture");
    if (kind == IMAGE_DESC_RECORD_TYPE) {
      if (DGifGetImageDesc(gif.get()) == GIF_ERROR)
        return broken(gif);
      return transparent;
    }
    int code = 0;
    GifByteType *block = nullptr;
    if (DGifGetExtension(gif.get(), &code, &block) == GIF_ERROR)
      return broken(gif);
    GraphicsControlBlock control;
    if (code == GRAPHICS_EXT_FUNC_CODE && block &&
        DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK &&
        control.TransparentColor != NO_TRANSPARENT_COLOR)
      transparent = control.TransparentColor;
    while (block)
      if (DGifGetExtensionNext(gif.get(), &block) == GIF_ERROR)
        return broken(gif);
  }
}

Result<void> read(std::span<const uint8_t> file, Extent stored, uint8_t *pixels) {
  Input input{file};
  DOPPEL_TRY(Gif gif, open(input));
  DOPPEL_TRY(std::optional<int> transparent, seekPicture(gif));
  const GifImageDesc &picture = gif->Image;
  const ColorMapObject *colors = picture.ColorMap ? picture.ColorMap : gif->SColorMap;
  if (!colors)
    return fail("broken GIF: it has no colours");
  std::memset(pixels, 255, stored.bytes());
  std::vector<uint8_t> line(size_t(picture.Width));
  // An interlaced picture stores every eighth row, those between, and so on.
  static constexpr int kFirst[] = {0, 4, 2, 1}, kStep[] = {8, 8, 4, 2};
  for (int pass = 0; pass < (picture.Interlace ? 4 : 1); ++pass)
    for (int row = picture.Interlace ? kFirst[pass] : 0; row < picture.Height;
         row += picture.Interlace ? kStep[pass] : 1) {
      if (DGifGetLine(gif.get(), line.data(), picture.Width) == GIF_ERROR)
        return broken(gif);
      if (picture.Top + row >= stored.height)
        continue;
      uint8_t *target = pixels + size_t(picture.Top + row) * stored.width * 3;
      for (int column = 0; column < picture.Width && picture.Left + column < stored.width;
           ++column) {
        uint8_t index = line[size_t(column)];
        if (index == transparent || index >= colors->ColorCount)
          continue;
        const GifColorType &color = colors->Colors[index];
        std::ranges::copy(std::initializer_list<uint8_t>{color.Red, color.Green, color.Blue},
                          target + size_t(picture.Left + column) * 3);
      }
    }
  return {};
}

} // namespace

const Format kGif = {"GIF", isGif, readHeader, read};

} // namespace doppel::runtime::codec
