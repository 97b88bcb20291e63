// A sealed text is JSON whose last key is the xxh64 of the text without it. It is compared with
// what its own values make, so that not even a blank may differ.
#include "runtime/train/Manifest.h"

#include "runtime/core/File.h"
#include "runtime/core/Json.h"
#include "runtime/core/Text.h"

#include <charconv>
#include <xxhash.h>

namespace doppel::runtime {

namespace {

constexpr const char *kManifestFormat = "doppel checkpoint 3";
constexpr const char *kDescriptionFormat = "doppel run 3";
constexpr uint64_t kMostBytes = uint64_t(1) << 24;
constexpr const char *kSeal = "xxh64";

std::string hexadecimal(uint64_t number) { return fmt::format("{:016x}", number); }

std::string sealed(Json json) {
  std::string text = json.dump(2);
  json[kSeal] = hexadecimal(XXH64(text.data(), text.size(), 0));
  return json.dump(2) + "\n";
}

/// The values of a sealed text of that format.
Result<Json> unseal(std::string_view text, std::string_view name, const char *format) {
  Json json = parseJson(text, 2);
  if (!json.is_object() || !json.contains("format") || json["format"] != format)
    return fail("{} is damaged, or of another version of Doppel: it is no \"{}\"", name, format);
  Json values = json;
  values.erase(kSeal);
  if (sealed(std::move(values)) != text)
    return fail("{} is damaged: its checksum is wrong", name);
  return json;
}

/// Values by key, of the right type and from `least` on; the first that is not is kept as an error.
class Reader {
public:
  Reader(const Json &json, std::string_view name) : json(json), name(name) {}

  int64_t integer(const char *key, int64_t least) {
    const Json *value = find(key);
    bool good = value && value->is_number_integer() &&
                !(value->is_number_unsigned() && value->get<uint64_t>() > uint64_t(INT64_MAX)) &&
                value->get<int64_t>() >= least;
    return good ? value->get<int64_t>()
                : refuse<int64_t>(key, fmt::format("an integer from {} on", least));
  }
  uint64_t natural(const char *key) {
    const Json *value = find(key);
    return value && value->is_number_unsigned() ? value->get<uint64_t>()
                                                : refuse<uint64_t>(key, "a number from 0 on");
  }
  double fraction(const char *key) {
    const Json *value = find(key);
    return value && value->is_number() && *value >= 0 && *value < 1
               ? value->get<double>()
               : refuse<double>(key, "a number from 0 on and below 1");
  }
  std::string text(const char *key) {
    const Json *value = find(key);
    return value && value->is_string() ? value->get<std::string>()
                                       : refuse<std::string>(key, "a text");
  }
  uint64_t checksum(const char *key) {
    std::string digits = text(key);
    uint64_t number = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
    return error == std::errc() && hexadecimal(number) == digits
               ? number
               : refuse<uint64_t>(key, "sixteen hexadecimal digits");
  }
  RunIdentity identity() {
    return {.states = checksum("states_fingerprint"),
            .method = checksum("method_fingerprint"),
            .seed = natural("seed"),
            .samples = integer("samples", 1),
            .epochs = integer("epochs", 1),
            .holdout = fraction("holdout"),
            .pictures = checksum("pictures")};
  }
  Result<void> done() {
    if (error)
      return std::unexpected(std::move(*error));
    return {};
  }

private:
  const Json *find(const char *key) const {
    auto found = json.find(key);
    return found == json.end() ? nullptr : &*found;
  }
  template <typename T> T refuse(const char *key, std::string_view wanted) {
    if (!error)
      error = Error{fmt::format("{}: '{}' is missing or not {}", name, key, wanted)};
    return {};
  }

  const Json &json;
  std::string_view name;
  std::optional<Error> error;
};

void addIdentity(Json &json, const RunIdentity &run) {
  json["states_fingerprint"] = hexadecimal(run.states);
  json["method_fingerprint"] = hexadecimal(run.method);
  json["seed"] = run.seed;
  json["samples"] = run.samples;
  json["epochs"] = run.epochs;
  json["holdout"] = run.holdout;
  json["pictures"] = hexadecimal(run.pictures);
}

} // namespace

std::string textOf(const CheckpointManifest &manifest) {
  Json json{{"format", kManifestFormat}, {"step", manifest.step}};
  addIdentity(json, manifest.run);
  json["program_fingerprint"] = hexadecimal(manifest.program);
  json["data"] = escapedUtf8(manifest.data);
  json["threads"] = manifest.threads;
  json["states_bytes"] = manifest.statesBytes;
  json["states_xxh64"] = hexadecimal(manifest.statesChecksum);
  return sealed(std::move(json));
}

std::string textOf(const RunDescription &description) {
  Json json{{"format", kDescriptionFormat}, {"method", escapedUtf8(description.method)}};
  addIdentity(json, description.run);
  json["program_fingerprint"] = hexadecimal(description.program);
  json["data"] = escapedUtf8(description.data);
  json["held_out"] = description.heldOut;
  json["batch"] = description.batch;
  json["params"] = Json::object();
  for (const auto &[name, value] : description.params)
    json["params"][escapedUtf8(name)] = escapedUtf8(value);
  return sealed(std::move(json));
}

Result<CheckpointManifest> parseManifest(std::string_view text, std::string_view name) {
  DOPPEL_TRY(Json json, unseal(text, name, kManifestFormat));
  Reader reader(json, name);
  CheckpointManifest manifest{.run = reader.identity(),
                              .program = reader.checksum("program_fingerprint"),
                              .step = reader.integer("step", 0),
                              .data = reader.text("data"),
                              .threads = reader.integer("threads", 1),
                              .statesBytes = reader.natural("states_bytes"),
                              .statesChecksum = reader.checksum("states_xxh64")};
  DOPPEL_CHECK(reader.done());
  return manifest;
}

Result<RunIdentity> parseDescription(std::string_view text, std::string_view name) {
  DOPPEL_TRY(Json json, unseal(text, name, kDescriptionFormat));
  Reader reader(json, name);
  RunIdentity run = reader.identity();
  DOPPEL_CHECK(reader.done());
  return run;
}

Result<CheckpointManifest> readManifest(const std::filesystem::path &file) {
  DOPPEL_TRY(std::string text, readFile(file, kMostBytes));
  return parseManifest(text, file.string());
}

Result<RunIdentity> readDescription(const std::filesystem::path &file) {
  DOPPEL_TRY(std::string text, readFile(file, kMostBytes));
  return parseDescription(text, file.string());
}

} // namespace doppel::runtime
