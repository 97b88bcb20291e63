// Keys are watched while they are parsed, since a value has forgotten how often they came.
#include "runtime/core/Json.h"

#include <set>
#include <string>
#include <vector>

namespace doppel::runtime {

Json parseJson(std::string_view text, size_t depth) {
  std::vector<std::set<std::string>> keys; // of the objects and arrays that are open
  bool good = true;
  auto watch = [&](int, Json::parse_event_t event, Json &parsed) {
    if (!good)
      return false; // not kept, so that its nesting takes no memory
    switch (event) {
    case Json::parse_event_t::object_start:
    case Json::parse_event_t::array_start:
      keys.emplace_back();
      good &= keys.size() <= depth;
      break;
    case Json::parse_event_t::object_end:
    case Json::parse_event_t::array_end:
      keys.pop_back();
      break;
    case Json::parse_event_t::key:
      good &= keys.back().insert(parsed.get<std::string>()).second;
      break;
    case Json::parse_event_t::value:
      break;
    }
    return good;
  };
  Json json = Json::parse(text, watch, /*allow_exceptions=*/false);
  return good ? json : Json(Json::value_t::discarded);
}

} // namespace doppel::runtime
