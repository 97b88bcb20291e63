// UTF-8 as RFC 3629 has it: the shortest form of each code point, no surrogates, up to U+10FFFF.
#include "runtime/core/Text.h"

#include <cstddef>
#include <cstdint>
#include <fmt/format.h>

namespace doppel::runtime {

namespace {

/// Takes one code point off the front; its bytes, 0 where they are no UTF-8.
size_t decode(std::string_view text, uint32_t &point) {
  auto lead = static_cast<unsigned char>(text[0]);
  size_t length = lead < 0x80                   ? 1
                  : lead >= 0xc2 && lead < 0xe0 ? 2
                  : lead >= 0xe0 && lead < 0xf0 ? 3
                  : lead >= 0xf0 && lead < 0xf5 ? 4
                                                : 0;
  if (length == 0 || length > text.size())
    return 0;
  point = length == 1 ? lead : lead & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) {
    auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xc0) != 0x80)
      return 0;
    point = point << 6 | (byte & 0x3f);
  }
  if ((length == 3 && point < 0x800) || (length == 4 && (point < 0x10000 || point > 0x10ffff)) ||
      (point >= 0xd800 && point < 0xe000))
    return 0;
  return length;
}

bool obeyed(uint32_t point) {
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x200e || point == 0x200f ||
         (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

} // namespace

bool isUtf8(std::string_view text) {
  for (uint32_t point; !text.empty();) {
    size_t length = decode(text, point);
    if (length == 0)
      return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string escapedUtf8(std::string_view bytes) {
  std::string text;
  for (uint32_t point; !bytes.empty();) {
    size_t length = decode(bytes, point);
    if (length == 0 || point < 0x20 || point == 0x7f) {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes[0]));
      length = 1;
    } else if (point == '\\') {
      text += "\\\\";
    } else {
      text += bytes.substr(0, length);
    }
    bytes.remove_prefix(length);
  }
  return text;
}

std::string printable(std::string_view text) {
  std::string result;
  for (uint32_t point; !text.empty();) {
    size_t length = decode(text, point);
    if (length == 0 || obeyed(point))
      result += '?';
    else
      result += text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return result;
}

} // namespace doppel::runtime
