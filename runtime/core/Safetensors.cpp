// A header is untrusted until the last check: no length of it is added before it was compared.
#include "runtime/core/Safetensors.h"

#include "runtime/core/File.h"
#include "runtime/core/Json.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace doppel::runtime {

namespace {

constexpr uint64_t kMostHeaderBytes = uint64_t(1) << 24; ///< a hundred thousand tensors
constexpr uint64_t kMostBytes = uint64_t(1) << 46;       ///< of a tensor: above all memory there is

/// Bytes of an element; 0 for a type that is not known.
uint64_t elementBytes(std::string_view dtype) {
  constexpr std::pair<std::string_view, uint64_t> types[] = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
      {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
      {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8}};
  for (auto [name, bytes] : types)
    if (name == dtype)
      return bytes;
  return 0;
}

/// The numbers of a JSON array of integers from 0 on.
bool readNumbers(const Json &json, std::vector<uint64_t> &numbers) {
  if (!json.is_array())
    return false;
  for (const Json &number : json) {
    if (!number.is_number_unsigned())
      return false;
    numbers.push_back(number.get<uint64_t>());
  }
  return true;
}

Result<TensorEntry> readEntry(const std::string &name, const Json &json) {
  std::vector<uint64_t> shape, offsets;
  if (!json.is_object() || json.size() != 3 || !json.contains("dtype") ||
      !json["dtype"].is_string() || !json.contains("shape") || !readNumbers(json["shape"], shape) ||
      !json.contains("data_offsets") || !readNumbers(json["data_offsets"], offsets) ||
      offsets.size() != 2)
    return fail("tensor '{}' has no dtype, shape and data_offsets of two numbers, or has more",
                name);
  TensorEntry entry{name, json["dtype"].get<std::string>(), {}, offsets[0], offsets[1]};
  uint64_t size = elementBytes(entry.dtype);
  if (size == 0)
    return fail("tensor '{}' is of the type {}, which is not known", name, entry.dtype);
  for (uint64_t extent : shape) {
    if (extent > kMostBytes || (extent > 0 && size > kMostBytes / extent))
      return fail("tensor '{}' is too large: its shape has the extent {}", name, extent);
    size *= extent;
    entry.shape.push_back(int64_t(extent));
  }
  if (entry.end < entry.begin || entry.end - entry.begin != size)
    return fail("tensor '{}' has the bytes from {} to {}, but its shape makes {}", name,
                entry.begin, entry.end, size);
  return entry;
}

} // namespace

Result<Safetensors> Safetensors::load(const std::filesystem::path &path) {
  DOPPEL_TRY(std::string bytes, readFile(path));
  return parse(std::move(bytes), path.string());
}

Result<Safetensors> Safetensors::parse(std::string bytes, std::string_view name) {
  Safetensors result;
  result.file = std::move(bytes);
  if (auto read = result.readHeader(); !read)
    return std::unexpected(std::move(read.error()).within(name));
  if (auto checked = result.checkBytes(); !checked)
    return std::unexpected(std::move(checked.error()).within(name));
  return result;
}

Result<void> Safetensors::readHeader() {
  uint64_t length = 0;
  if (file.size() < sizeof(length))
    return fail("is no safetensors file: it has {} bytes", file.size());
  std::memcpy(&length, file.data(), sizeof(length));
  if (length > file.size() - sizeof(length) || length > kMostHeaderBytes)
    return fail("is no safetensors file, or is cut off: a header of {} bytes in a file of {}",
                length, file.size());
  data = sizeof(length) + length;
  Json header = parseJson(std::string_view(file).substr(sizeof(length), length), 3);
  if (!header.is_object())
    return fail("is no safetensors file: its header is no JSON object, or has a name twice");
  for (const auto &[name, json] : header.items()) {
    if (name == kMetadata) {
      if (!json.is_object())
        return fail("its {} is no object", kMetadata);
      for (const auto &[key, text] : json.items()) {
        if (!text.is_string())
          return fail("its {} has what is no text: '{}'", kMetadata, key);
        texts[key] = text.get<std::string>();
      }
      continue;
    }
    DOPPEL_TRY(TensorEntry entry, readEntry(name, json));
    entries.push_back(std::move(entry));
  }
  std::ranges::sort(entries, [](const TensorEntry &a, const TensorEntry &b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  return {};
}

Result<void> Safetensors::checkBytes() {
  uint64_t end = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    const TensorEntry &entry = entries[i];
    if (entry.begin != end)
      return fail("tensor '{}' begins at byte {}, the one before it ends at {}", entry.name,
                  entry.begin, end);
    end = entry.end;
    index.emplace(entry.name, i);
  }
  if (end != file.size() - data)
    return fail("has {} bytes of tensors, its header says {}", file.size() - data, end);
  return {};
}

const TensorEntry *Safetensors::find(std::string_view name) const {
  auto found = index.find(name);
  return found == index.end() ? nullptr : &entries[found->second];
}

std::string safetensorsHeader(std::span<const TensorEntry> entries) {
  Json header = Json::object();
  for (const TensorEntry &entry : entries)
    header[entry.name] = {
        {"dtype", entry.dtype}, {"shape", entry.shape}, {"data_offsets", {entry.begin, entry.end}}};
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  uint64_t length = text.size();
  std::string result(sizeof(length), '\0');
  std::memcpy(result.data(), &length, sizeof(length));
  return result + text;
}

} // namespace doppel::runtime
