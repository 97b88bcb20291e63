// Bytes as text: names from files need not be text at all.
#pragma once

#include <string>
#include <string_view>

namespace doppel::runtime {

bool isUtf8(std::string_view text);

/// `bytes` as UTF-8, for JSON and lists of names: each byte that belongs to no valid UTF-8, and
/// each control character, becomes \xNN, and a backslash becomes two. Different bytes give
/// different texts; a text without those stays as it is.
std::string escapedUtf8(std::string_view bytes);

/// `text` without what a terminal would obey: control characters, changes of the writing direction
/// and bytes that are no UTF-8 become '?'.
std::string printable(std::string_view text);

} // namespace doppel::runtime
