// A safetensors file is read whole or refused with a sentence, whoever wrote it.
#include "runtime/core/Safetensors.h"

#include <cstring>
#include <gtest/gtest.h>

namespace doppel::runtime::test {

namespace {

std::string fileOf(const std::string &header, size_t bytes) {
  uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + header + std::string(bytes, 'x');
}

std::string errorOf(const std::string &file) {
  auto read = Safetensors::parse(file, "file");
  return read ? "" : read.error().message;
}

TEST(CoreSafetensors, ReadsWhatItsHeaderWriterWrote) {
  std::vector<TensorEntry> entries = {
      {"b", "F32", {2, 3}, 0, 24}, {"a", "I64", {}, 24, 32}, {"none", "U8", {0}, 32, 32}};
  std::string header = safetensorsHeader(entries);
  EXPECT_EQ(header.size() % 8, 0u);
  auto file = Safetensors::parse(header + std::string(24, 'b') + std::string(8, 'a'), "file");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->tensors(), entries);
  EXPECT_EQ(file->bytes(*file->find("a")), "aaaaaaaa");
  EXPECT_EQ(file->bytes(file->tensors()[0]), std::string(24, 'b'));
  EXPECT_EQ(file->find("c"), nullptr);
}

TEST(CoreSafetensors, MetadataIsNoTensor) {
  auto file = Safetensors::parse(
      fileOf(R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
             4),
      "file");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->metadata().at("k"), "v");
  EXPECT_EQ(file->tensors().size(), 1u);
}

TEST(CoreSafetensors, TensorsInAnyOrderOfTheHeader) {
  auto file = Safetensors::parse(fileOf(R"({"b":{"dtype":"U8","shape":[3],"data_offsets":[2,5]},)"
                                        R"("a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
                                        5),
                                 "file");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->tensors()[0].name, "a");
}

TEST(CoreSafetensors, RefusesWithASentence) {
  auto one = [](const std::string &entry) { return "{\"a\":" + entry + "}"; };
  struct Case {
    std::string file, message;
  } cases[] = {
      {"", "is no safetensors file: it has 0 bytes"},
      {std::string("\0\0\0\0\0\0\0\x10", 8),
       "a header of 1152921504606846976 bytes in a file of 8"},
      {std::string(8, '\xff') + "{}", "a header of 18446744073709551615 bytes"},
      {fileOf("[]", 0), "no JSON object"},
      {fileOf("{", 0), "no JSON object"},
      {fileOf(std::string(100000, '['), 0), "no JSON object"},
      {fileOf(one("{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}").insert(1, "\"a\":1,"),
              1),
       "has a name twice"},
      {fileOf(one("{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}"), 1),
       "has a name twice"},
      {fileOf(one("1"), 0), "tensor 'a' has no dtype"},
      {fileOf(one(R"({"dtype":"U8","shape":[1]})"), 1), "tensor 'a' has no dtype"},
      {fileOf(one(R"({"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1})"), 1), "or has more"},
      {fileOf(one(R"({"dtype":"X9","shape":[1],"data_offsets":[0,1]})"), 1), "type X9"},
      {fileOf(one(R"({"dtype":"U8","shape":[-1],"data_offsets":[0,1]})"), 1),
       "tensor 'a' has no dtype"},
      {fileOf(one(R"({"dtype":"U8","shape":[1.0],"data_offsets":[0,1]})"), 1),
       "tensor 'a' has no dtype"},
      {fileOf(one(R"({"dtype":"U8","shape":[1],"data_offsets":[0,1,2]})"), 1), "of two numbers"},
      {fileOf(one(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]})"), 0),
       "too large"},
      {fileOf(one(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,0]})"), 0),
       "too large"},
      {fileOf(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,8]})"), 8),
       "but its shape makes 4"},
      {fileOf(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})"), 4),
       "but its shape makes 8"},
      {fileOf(one(R"({"dtype":"U8","shape":[1],"data_offsets":[1,0]})"), 1), "from 1 to 0"},
      {fileOf(one(R"({"dtype":"U8","shape":[4],"data_offsets":[0,4]})"), 3),
       "has 3 bytes of tensors, its header says 4"},
      {fileOf(one(R"({"dtype":"U8","shape":[4],"data_offsets":[0,4]})"), 5),
       "has 5 bytes of tensors"},
      {fileOf(one(R"({"dtype":"U8","shape":[1],"data_offsets":[1,2]})"), 2), "begins at byte 1"},
      {fileOf(
           R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
           3),
       "tensor 'b' begins at byte 1, the one before it ends at 2"},
      {fileOf(
           R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
           3),
       "tensor 'b' begins at byte 2, the one before it ends at 1"},
      {fileOf(R"({"__metadata__":{"k":1}})", 0), "what is no text"},
      {fileOf(R"({"__metadata__":[]})", 0), "is no object"},
      {fileOf("{\"\xff\":1}", 0), "no JSON object"},
  };
  for (const Case &c : cases)
    EXPECT_NE(errorOf(c.file).find(c.message), std::string::npos) << c.message << "\n"
                                                                  << errorOf(c.file);
}

TEST(CoreSafetensors, RefusesEveryTruncation) {
  std::string file =
      safetensorsHeader(std::vector<TensorEntry>{{"a", "F32", {2}, 0, 8}}) + "12345678";
  EXPECT_EQ(errorOf(file), "");
  for (size_t size = 0; size < file.size(); ++size)
    EXPECT_NE(errorOf(file.substr(0, size)), "") << size;
}

} // namespace
} // namespace doppel::runtime::test
