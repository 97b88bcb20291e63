// Files of states from strangers: any safetensors, with its length made right. Of what is accepted
// each tensor has its bytes, which are its shape's, and all of them are the file's.
#include "runtime/core/Safetensors.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>

using namespace doppel::runtime;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace {

[[noreturn]] void broken(const char *what) {
  std::fprintf(stderr, "checkpoint: %s\n", what);
  std::abort();
}

std::string seedFile() {
  std::vector<TensorEntry> entries = {{"online.conv.weight", "F32", {2, 3}, 0, 24},
                                      {"count", "I64", {}, 24, 32},
                                      {"empty", "U8", {0, 4}, 32, 32},
                                      {"queue", "F64", {2}, 32, 48},
                                      {"flags", "BOOL", {3}, 48, 51}};
  return safetensorsHeader(entries) + std::string(51, 'x');
}

/// Empty tensors may stand at one place, in any order.
std::vector<TensorEntry> byName(const Safetensors &file) {
  std::vector<TensorEntry> entries = file.tensors();
  std::sort(entries.begin(), entries.end(),
            [](const TensorEntry &a, const TensorEntry &b) { return a.name < b.name; });
  return entries;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string bytes(reinterpret_cast<const char *>(data), size);
  auto file = Safetensors::parse(bytes, "states.safetensors");
  if (!file) {
    if (!file.error().message.starts_with("states.safetensors"))
      broken("an error that does not name the file");
    return 0;
  }
  std::set<std::string> names;
  uint64_t total = 0;
  for (const TensorEntry &entry : file->tensors()) {
    if (!names.insert(entry.name).second || file->find(entry.name) != &entry)
      broken("a name that is not one tensor's");
    if (entry.begin > entry.end || file->bytes(entry).size() != entry.end - entry.begin)
      broken("a tensor without its bytes");
    uint64_t elements = 1;
    for (int64_t extent : entry.shape)
      if (extent < 0 || __builtin_mul_overflow(elements, uint64_t(extent), &elements))
        broken("a shape that overflows");
    uint64_t length = entry.end - entry.begin;
    if (elements == 0 ? length != 0 : length % elements != 0)
      broken("bytes that do not make the shape");
    total += length;
  }
  if (total > size)
    broken("more bytes than the file has");
  // Written again it is the same.
  std::string again = safetensorsHeader(file->tensors());
  for (const TensorEntry &entry : file->tensors())
    again += file->bytes(entry);
  auto reread = Safetensors::parse(std::move(again), "again");
  if (!reread || byName(*reread) != byName(*file))
    broken("written again it is another");
  return 0;
}

/// Changes the header or the bytes behind it, and has the length follow.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize,
                                          unsigned seed) {
  uint64_t length = 0;
  if (size >= 8)
    std::memcpy(&length, data, 8);
  if (size < 8 || length > size - 8) {
    std::string file = seedFile();
    size = std::min(file.size(), maxSize);
    std::memcpy(data, file.data(), size);
    std::memcpy(&length, data, std::min<size_t>(size, 8));
  }
  if (seed % 8 == 0 || size < 8 || length > size - 8)
    return LLVMFuzzerMutate(data, size, maxSize);
  std::string header(data + 8, data + 8 + length), behind(data + 8 + length, data + size);
  std::string &changed = seed % 4 == 1 ? behind : header;
  size_t room = maxSize - size + changed.size(), count = changed.size();
  changed.resize(room);
  changed.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t *>(changed.data()), count, room));
  length = header.size();
  std::memcpy(data, &length, 8);
  std::memcpy(data + 8, header.data(), header.size());
  std::memcpy(data + 8 + header.size(), behind.data(), behind.size());
  return 8 + header.size() + behind.size();
}
