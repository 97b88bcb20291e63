// The one reader and writer of safetensors files (https://github.com/huggingface/safetensors): the
// header's length in 8 bytes, a JSON header, the tensors' bytes. Who holds a Safetensors may take
// every tensor's bytes without a check.
#pragma once

#include "runtime/core/Error.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::runtime {

/// The name under which a header has texts in place of a tensor.
inline constexpr const char *kMetadata = "__metadata__";

/// A dense row-major tensor of a file.
struct TensorEntry {
  std::string name;
  std::string dtype; ///< as the format names it: "F32"
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0; ///< its bytes, counted from the header's end

  bool operator==(const TensorEntry &) const = default;
};

class Safetensors {
public:
  /// Reads a regular file and checks it whole: the header's length against the file's, each name
  /// once, types that are known, shapes that make the bytes, and bytes without holes or overlaps up
  /// to the file's end. Errors name the file and the tensor.
  static Result<Safetensors> load(const std::filesystem::path &path);
  /// The same for bytes in memory; `name` stands for the file in errors.
  static Result<Safetensors> parse(std::string bytes, std::string_view name);

  /// In the order of their bytes.
  const std::vector<TensorEntry> &tensors() const { return entries; }
  /// The tensor of that name, or null.
  const TensorEntry *find(std::string_view name) const;
  std::string_view bytes(const TensorEntry &entry) const {
    return std::string_view(file).substr(data + entry.begin, entry.end - entry.begin);
  }
  const std::map<std::string, std::string> &metadata() const { return texts; }

private:
  Result<void> readHeader();
  Result<void> checkBytes();

  std::string file;
  uint64_t data = 0; ///< where the tensors' bytes begin
  std::vector<TensorEntry> entries;
  std::map<std::string, std::size_t, std::less<>> index;
  std::map<std::string, std::string> texts;
};

/// The file's bytes up to the tensors': padded so that those begin at a multiple of 8.
std::string safetensorsHeader(std::span<const TensorEntry> entries);

} // namespace doppel::runtime
