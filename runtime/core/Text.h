// Bytes as text: names of files need not be text at all.
#pragma once

#include <string>
#include <string_view>

namespace doppel::runtime {

/// `bytes` as UTF-8, for JSON and lists of names: each byte that belongs to no valid UTF-8, and
/// each control character, becomes \xNN, and a backslash becomes two. Different bytes give
/// different texts; a text without those stays as it is.
std::string escapedUtf8(std::string_view bytes);

} // namespace doppel::runtime
