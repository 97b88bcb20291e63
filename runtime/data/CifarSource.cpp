// CIFAR-10's binary files: records of one label byte and 32 x 32 pixels, three planes.
// https://www.cs.toronto.edu/~kriz/cifar.html

#include "runtime/core/File.h"
#include "runtime/data/Source.h"
#include <algorithm>
#include <filesystem>
#include <fstream>

#include <xxhash.h>

namespace doppel::runtime {
namespace {

namespace fs = std::filesystem;

constexpr int32_t kSide = 32;
constexpr size_t kPlane = kSide * kSide;
constexpr size_t kRecord = 1 + 3 * kPlane;

class CifarSource final : public Source {
public:
  struct File {
    std::string path;
    std::vector<uint8_t> bytes;
  };

  CifarSource(std::vector<File> files, std::vector<std::string> classes)
      : files(std::move(files)), classes(std::move(classes)) {
    for (const File &file : this->files)
      firstRecord.push_back(total), total += int64_t(file.bytes.size() / kRecord);
  }

  int64_t size() const override { return total; }
  const std::vector<std::string> &classNames() const override { return classes; }
  int32_t label(int64_t sample) const override { return record(sample)[0]; }

  std::string describe(int64_t sample) const override {
    size_t file = fileOf(sample);
    return fmt::format("{} record {}", files[file].path, sample - firstRecord[file]);
  }

  uint64_t identity(int64_t sample) const override { return XXH3_64bits(record(sample), kRecord); }

  Result<Extent> probe(int64_t sample) const override {
    if (size_t(label(sample)) >= classes.size())
      return fail("label {} of {} classes", label(sample), classes.size());
    return Extent{kSide, kSide};
  }

  Result<void> decode(int64_t sample, Extent, uint8_t *pixels) const override {
    const uint8_t *planes = record(sample) + 1;
    for (size_t pixel = 0; pixel < kPlane; ++pixel)
      for (size_t channel = 0; channel < 3; ++channel)
        pixels[3 * pixel + channel] = planes[channel * kPlane + pixel];
    return {};
  }

private:
  size_t fileOf(int64_t sample) const {
    return size_t(std::ranges::upper_bound(firstRecord, sample) - firstRecord.begin()) - 1;
  }
  const uint8_t *record(int64_t sample) const {
    size_t file = fileOf(sample);
    return files[file].bytes.data() + size_t(sample - firstRecord[file]) * kRecord;
  }

  std::vector<File> files;
  std::vector<std::string> classes;
  std::vector<int64_t> firstRecord;
  int64_t total = 0;
};

bool isFile(const fs::path &path) {
  std::error_code code;
  return fs::is_regular_file(path, code);
}

/// The archive's own list of names, else the published one.
std::vector<std::string> classNamesIn(const fs::path &folder) {
  std::vector<std::string> names;
  std::ifstream list(folder / "batches.meta.txt");
  for (std::string name; list >> name;)
    names.push_back(name);
  if (names.size() == 10)
    return names;
  return {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
}

} // namespace

std::string findCifar(const std::string &path) {
  for (const fs::path &folder : {fs::path(path), fs::path(path) / "cifar-10-batches-bin"})
    if (isFile(folder / "data_batch_1.bin") || isFile(folder / "test_batch.bin"))
      return folder;
  return "";
}

Result<std::unique_ptr<Source>> openCifar(const std::string &path, Split split) {
  std::vector<std::string> names;
  if (split != Split::Train)
    names.push_back("test_batch.bin");
  else
    for (int number = 1; number <= 5; ++number)
      names.push_back(fmt::format("data_batch_{}.bin", number));
  std::vector<CifarSource::File> files;
  for (const std::string &name : names) {
    std::string file = fs::path(path) / name;
    Result<std::vector<uint8_t>> bytes = readBytes(file);
    if (!bytes)
      return fail("{}: {}; CIFAR-10 needs all of data_batch_1.bin to data_batch_5.bin and "
                  "test_batch.bin",
                  file, bytes.error().message);
    if (bytes->empty() || bytes->size() % kRecord != 0)
      return fail("{} has {} bytes, which is not a whole number of records of {}: the file is "
                  "truncated or not CIFAR-10; unpack the archive again",
                  file, bytes->size(), kRecord);
    files.push_back({std::move(file), *std::move(bytes)});
  }
  return std::make_unique<CifarSource>(std::move(files), classNamesIn(path));
}

} // namespace doppel::runtime
