// JSON from a file that a stranger may have written.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace doppel::runtime {

using Json = nlohmann::ordered_json; ///< keeps the order of its keys

/// Parses JSON of at most `depth` nested objects and arrays, in which no object has a key twice
/// (of which JSON libraries take the first or the last, each as it likes). Discarded where it is
/// anything else: `json.is_discarded()`.
Json parseJson(std::string_view text, size_t depth);

} // namespace doppel::runtime
