// Manifests and run.json say what was written, or that they are damaged: never another run.
#include "runtime/core/Json.h"
#include "runtime/train/Manifest.h"

#include <gtest/gtest.h>
#include <xxhash.h>

namespace doppel::runtime::test {

namespace {

CheckpointManifest manifestOf() {
  return {.run = {.states = 0x0123456789abcdef,
                  .method = 0x1123456789abcdef,
                  .seed = ~uint64_t(0),
                  .samples = 5000,
                  .epochs = 3,
                  .holdout = 0.1,
                  .pictures = 0xfedcba9876543210},
          .program = 0x2123456789abcdef,
          .step = 42,
          .data = "bilder/\xc3\xa9t\xc3\xa9",
          .threads = 2,
          .statesBytes = uint64_t(1) << 40,
          .statesChecksum = 7};
}

std::string errorOf(const std::string &text) {
  auto parsed = parseManifest(text, "m.json");
  return parsed ? "" : parsed.error().message;
}

/// `json` with the seal that makes it whole.
std::string resealed(Json json) {
  json.erase("xxh64");
  std::string text = json.dump(2);
  json["xxh64"] = fmt::format("{:016x}", XXH64(text.data(), text.size(), 0));
  return json.dump(2) + "\n";
}

TEST(TrainManifest, SaysWhatWasWritten) {
  CheckpointManifest manifest = manifestOf();
  auto read = parseManifest(textOf(manifest), "m.json");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->run, manifest.run);
  EXPECT_EQ(read->program, manifest.program);
  EXPECT_EQ(read->step, 42);
  EXPECT_EQ(read->data, manifest.data);
  EXPECT_EQ(read->threads, 2);
  EXPECT_EQ(read->statesBytes, manifest.statesBytes);
  EXPECT_EQ(read->statesChecksum, 7u);
}

TEST(TrainManifest, EveryBitThatTurnedIsDamage) {
  std::string text = textOf(manifestOf());
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    text[bit / 8] ^= char(1 << bit % 8);
    ASSERT_NE(errorOf(text), "") << "byte " << bit / 8 << " bit " << bit % 8;
    text[bit / 8] ^= char(1 << bit % 8);
  }
  for (size_t size = 0; size < text.size(); ++size)
    ASSERT_NE(errorOf(text.substr(0, size)), "") << "cut to " << size;
  EXPECT_EQ(errorOf(text), "");
}

TEST(TrainManifest, EveryBitOfADescriptionThatTurnedIsDamage) {
  RunDescription description{.run = manifestOf().run,
                             .program = 11,
                             .method = "Toy",
                             .data = "shapes",
                             .heldOut = 3,
                             .batch = 4,
                             .params = {{"dim", "8"}, {"name", "\xff"}}};
  std::string text = textOf(description);
  ASSERT_TRUE(parseDescription(text, "run.json"));
  EXPECT_EQ(*parseDescription(text, "run.json"), description.run);
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    text[bit / 8] ^= char(1 << bit % 8);
    ASSERT_FALSE(parseDescription(text, "run.json")) << "byte " << bit / 8 << " bit " << bit % 8;
    text[bit / 8] ^= char(1 << bit % 8);
  }
}

/// Whoever can write a file can write a right checksum: what it says is looked at all the same.
TEST(TrainManifest, RefusesWhatNoRunCanSay) {
  Json good = Json::parse(textOf(manifestOf()));
  ASSERT_EQ(errorOf(resealed(good)), "");
  struct Case {
    const char *key;
    Json value;
    const char *message;
  } cases[] = {
      {"format", "doppel checkpoint 2", "is no \"doppel checkpoint 3\""},
      {"format", 7, "is no \"doppel checkpoint 3\""},
      {"step", -1, "'step' is missing or not an integer from 0 on"},
      {"step", 1.5, "'step'"},
      {"step", "1", "'step'"},
      {"step", nullptr, "'step'"},
      {"step", ~uint64_t(0), "'step'"},
      {"samples", 0, "'samples' is missing or not an integer from 1 on"},
      {"epochs", -3, "'epochs'"},
      {"threads", 0, "'threads'"},
      {"seed", -1, "'seed' is missing or not a number from 0 on"},
      {"holdout", 1.0, "'holdout' is missing or not a number from 0 on and below 1"},
      {"holdout", -0.5, "'holdout'"},
      {"holdout", "0.1", "'holdout'"},
      {"states_fingerprint", "0123",
       "'states_fingerprint' is missing or not sixteen hexadecimal digits"},
      {"states_fingerprint", "0123456789ABCDEF", "'states_fingerprint'"},
      {"method_fingerprint", 5, "'method_fingerprint'"},
      {"program_fingerprint", "", "'program_fingerprint'"},
      {"pictures", 5, "'pictures'"},
      {"data", Json::array(), "'data'"},
      {"states_bytes", -5, "'states_bytes'"},
      {"states_xxh64", "zz", "'states_xxh64'"},
  };
  for (const Case &c : cases) {
    Json json = good;
    json[c.key] = c.value;
    EXPECT_NE(errorOf(resealed(json)).find(c.message), std::string::npos)
        << c.key << ": " << errorOf(resealed(json));
    json.erase(c.key);
    EXPECT_NE(errorOf(resealed(json)), "") << c.key << " missing";
  }
  EXPECT_NE(errorOf(std::string(1000000, '[')), "");
  EXPECT_NE(errorOf("{\"format\":1,\"format\":2}"), "");
}

} // namespace
} // namespace doppel::runtime::test
