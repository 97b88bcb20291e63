#include "runtime/core/Text.h"

#include <cstdint>
#include <fmt/format.h>

namespace doppel::runtime {
namespace {

/// Bytes of the valid UTF-8 sequence that `text` begins with; 0 where it begins with none.
size_t sequenceLength(std::string_view text) {
  auto byte = [&](size_t at) { return at < text.size() ? uint8_t(text[at]) : uint8_t(0); };
  uint8_t first = byte(0);
  if (first < 0x80)
    return 1;
  size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4)
    return 0;
  for (size_t at = 1; at < length; ++at)
    if ((byte(at) & 0xC0) != 0x80)
      return 0;
  bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  bool surrogate = first == 0xED && byte(1) > 0x9F;
  bool beyond = first == 0xF4 && byte(1) > 0x8F;
  return overlong || surrogate || beyond ? 0 : length;
}

} // namespace

std::string escapedUtf8(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    size_t length = sequenceLength(bytes);
    uint8_t first = uint8_t(bytes[0]);
    if (length == 0 || first < 0x20 || first == 0x7F) {
      text += fmt::format("\\x{:02x}", first);
      length = 1;
    } else if (first == '\\') {
      text += "\\\\";
    } else {
      text += bytes.substr(0, length);
    }
    bytes.remove_prefix(length);
  }
  return text;
}

} // namespace doppel::runtime
