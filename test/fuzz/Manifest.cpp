// Manifests and run.json from strangers: any text, with its seal made right. What is accepted says
// the same again when it is written.
#include "runtime/train/Manifest.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <xxhash.h>

using namespace doppel::runtime;
using Json = nlohmann::ordered_json;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace {

[[noreturn]] void broken(const char *what) {
  std::fprintf(stderr, "manifest: %s\n", what);
  std::abort();
}

std::string seedText(bool description) {
  RunIdentity run{.states = 0x0123456789abcdef,
                  .method = 0x1123456789abcdef,
                  .seed = 7,
                  .samples = 1000,
                  .epochs = 10,
                  .pictures = 0xfedcba9876543210};
  if (description)
    return textOf(RunDescription{.run = run,
                                 .program = 3,
                                 .method = "Toy",
                                 .data = "shapes:1000",
                                 .batch = 4,
                                 .params = {{"dim", "8"}}});
  return textOf(CheckpointManifest{.run = run,
                                   .program = 3,
                                   .step = 12,
                                   .data = "shapes:1000",
                                   .threads = 2,
                                   .statesBytes = 4096,
                                   .statesChecksum = 99});
}

/// The text with the seal that it should have, where it is an object.
std::string sealed(const std::string &text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object())
    return text;
  json.erase("xxh64");
  std::string body = json.dump(2, ' ', false, Json::error_handler_t::replace);
  json["xxh64"] = fmt::format("{:016x}", XXH64(body.data(), body.size(), 0));
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string text(reinterpret_cast<const char *>(data), size);
  auto manifest = parseManifest(text, "manifest.json");
  if (!manifest) {
    if (!manifest.error().message.starts_with("manifest.json"))
      broken("an error that does not name the file");
  } else {
    if (manifest->step < 0 || manifest->threads < 1 || manifest->run.epochs < 1)
      broken("numbers that no run has");
    auto again = parseManifest(textOf(*manifest), "manifest.json");
    if (!again || again->run != manifest->run || again->step != manifest->step ||
        again->threads != manifest->threads || again->statesBytes != manifest->statesBytes ||
        again->statesChecksum != manifest->statesChecksum)
      broken("written again it says something else");
  }
  auto description = parseDescription(text, "run.json");
  if (!description && !description.error().message.starts_with("run.json"))
    broken("an error that does not name the file");
  if (description && manifest)
    broken("a text that is both");
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize,
                                          unsigned seed) {
  auto put = [&](const std::string &text) {
    size = std::min(text.size(), maxSize);
    std::memcpy(data, text.data(), size);
  };
  if (size == 0 || data[0] != '{')
    put(seedText(seed % 64 < 32));
  size = LLVMFuzzerMutate(data, size, maxSize);
  if (seed % 16 != 0)
    put(sealed(std::string(reinterpret_cast<const char *>(data), size)));
  return size;
}
