// Images in folders: which of those that FolderLayout finds belong to a split. The rules stand in
// Dataset.h, at openDataset().

#include "runtime/core/File.h"
#include "runtime/data/Decode.h"
#include "runtime/data/FolderLayout.h"
#include "runtime/data/Source.h"
#include <algorithm>
#include <filesystem>
#include <mutex>
#include <set>

#include <xxhash.h>

namespace doppel::runtime {
namespace {

namespace fs = std::filesystem;

/// Nearly all headers end within the first number of bytes, those with large profiles or previews
/// within the second. What is longer (TIFF may have its header last) costs the whole file.
constexpr size_t kHeaderBytes = 1 << 16, kLongHeaderBytes = 1 << 20;

/// No picture within what is accepted needs as much.
constexpr uint64_t kMaxFileBytes = uint64_t(1) << 31;

struct Entry {
  std::string path;
  int32_t label;
};

class FolderSource final : public Source {
public:
  FolderSource(fs::path folder, std::vector<Entry> entries, std::vector<std::string> classes,
               std::vector<std::string> heldOut)
      : folder(std::move(folder)), entries(std::move(entries)), classes(std::move(classes)),
        held(std::move(heldOut)) {}

  int64_t size() const override { return int64_t(entries.size()); }
  const std::vector<std::string> &classNames() const override { return classes; }
  const std::vector<std::string> &heldOut() const override { return held; }
  int32_t label(int64_t sample) const override { return entries[sample].label; }
  std::string describe(int64_t sample) const override { return entries[sample].path; }

  /// Of the name below the folder and the size of the file.
  uint64_t identity(int64_t sample) const override {
    fs::path path = entries[sample].path;
    std::string name = path.lexically_relative(folder);
    std::error_code code;
    uint64_t size = fs::file_size(path, code);
    return XXH3_64bits_withSeed(name.data(), name.size(), code ? 0 : size);
  }

  Result<Extent> probe(int64_t sample) const override {
    for (size_t bytes : {kHeaderBytes, kLongHeaderBytes}) {
      DOPPEL_TRY(std::vector<uint8_t> prefix, readBytes(entries[sample].path, bytes));
      Result<Extent> extent = probeImage(prefix);
      if (extent || prefix.size() < bytes || !isImage(prefix))
        return extent;
    }
    std::lock_guard lock(wholeFile); // one at a time: they may be large
    DOPPEL_TRY(std::vector<uint8_t> file, readWhole(sample));
    return probeImage(file);
  }

  Result<void> decode(int64_t sample, Extent extent, uint8_t *pixels) const override {
    DOPPEL_TRY(std::vector<uint8_t> file, readWhole(sample));
    return decodeImage(file, extent, pixels);
  }

private:
  Result<std::vector<uint8_t>> readWhole(int64_t sample) const {
    std::error_code code;
    if (uint64_t bytes = fs::file_size(entries[sample].path, code); !code && bytes > kMaxFileBytes)
      return fail("it has {} bytes; files of more than {} are not read", bytes, kMaxFileBytes);
    return readBytes(entries[sample].path);
  }

  mutable std::mutex wholeFile;
  fs::path folder;
  std::vector<Entry> entries;
  std::vector<std::string> classes;
  std::vector<std::string> held;
};

/// Whether a file is held out, by its name below the folder alone: adding or removing others
/// changes nothing.
bool isHeldOut(const std::string &name, double fraction) {
  return double(XXH3_64bits(name.data(), name.size())) * 0x1p-64 < fraction;
}

/// The images of a test split that can be classified: the first of `tests` with class folders. What
/// is left out is told only of that one.
struct TestImages {
  fs::path folder; ///< empty where there is none
  SplitImages images;
  LeftOut leftOut;
};

Result<TestImages> findTestImages(const std::vector<fs::path> &tests, int threads) {
  for (const fs::path &folder : tests) {
    LeftOut leftOut;
    DOPPEL_TRY(SplitImages images, imagesIn(folder, threads, leftOut));
    if (!images.classes.empty())
      return TestImages{folder, std::move(images), std::move(leftOut)};
  }
  return TestImages{};
}

/// "train/ and val/", for messages.
std::string namesOf(const std::vector<fs::path> &folders) {
  std::string text;
  for (const fs::path &folder : folders)
    text += (text.empty() ? "" : " and ") + folder.filename().string() + "/";
  return text;
}

std::unexpected<Error> noTestSplit(const std::string &path, const Layout &layout) {
  std::string why =
      layout.tests.empty() ? "" : fmt::format(" ({} has no class folders)", namesOf(layout.tests));
  return fail("{} has no test split with classes{}; name labelled images by --test FOLDER, or "
              "train with --holdout "
              "0.1, which leaves a tenth of the images out for the evaluation",
              path, why);
}

std::unexpected<Error> noImages(const fs::path &folder, const LeftOut &leftOut) {
  std::string text;
  for (const std::string &sentence : leftOut.sentences())
    text += "; " + sentence;
  return fail(
      "{} has no images; it should hold files of {}, or a subfolder of them for each class{}",
      folder.string(), imageFormats(), text);
}

} // namespace

Result<std::unique_ptr<Source>> openFolder(const std::string &path, const SourceOptions &options,
                                           std::vector<std::string> &remarks) {
  LeftOut leftOut;
  DOPPEL_TRY(Layout layout, layOut(path, options.threads, leftOut));
  DOPPEL_TRY(TestImages test, findTestImages(layout.tests, options.threads));
  bool ownTest = !test.folder.empty(), wantsTrain = options.split == Split::Train;
  if (ownTest && options.holdout > 0 && !options.holdoutIsOptional)
    return fail("{} is a test split; leave out --holdout, which is for data without one",
                test.folder.string());
  if (layout.train.empty() && (wantsTrain || !ownTest))
    return fail("{} has {} but no training split; to train on it, give --data {}", path,
                namesOf(layout.tests), layout.tests[0].string());
  bool part = !ownTest && options.holdout > 0;

  SplitImages train;
  LeftOut ignored;
  bool takesTest = ownTest && !wantsTrain;
  if (!layout.train.empty()) {
    DOPPEL_TRY(train, imagesIn(layout.train, options.threads, takesTest ? ignored : leftOut));
  }
  if (options.split == Split::Test && !ownTest) {
    if (train.classes.empty())
      return fail("{} has no class folders, so there is nothing to evaluate against; put the "
                  "images of each class "
                  "into a folder of their own",
                  layout.train.string());
    if (!part)
      return noTestSplit(path, layout);
  }
  fs::path folder = takesTest ? test.folder : layout.train;
  const SplitImages &images = takesTest ? test.images : train;

  // Both splits number the union of their classes, so that a label means the same in each.
  std::set<std::string> names;
  if (!images.classes.empty())
    for (const SplitImages *split : {&train, &test.images})
      for (const ClassFolder &one : split->classes)
        names.insert(one.name);
  std::vector<std::string> classes(names.begin(), names.end());

  std::vector<Entry> entries;
  std::vector<std::string> heldOut;
  auto take = [&](const std::string &name, int32_t label) {
    bool held = part && isHeldOut(name, options.holdout);
    if (held && wantsTrain)
      heldOut.push_back(name);
    if (!part || held != wantsTrain)
      entries.push_back({folder / name, label});
  };
  for (const ClassFolder &one : images.classes) {
    auto label = int32_t(std::ranges::lower_bound(classes, one.name) - classes.begin());
    for (const std::string &file : one.files)
      take(one.name + "/" + file, label);
  }
  for (const std::string &file : images.flat)
    take(file, -1);

  LeftOut &told = takesTest ? test.leftOut : leftOut;
  size_t files = images.flat.size();
  for (const ClassFolder &one : images.classes)
    files += one.files.size();
  if (files == 0)
    return noImages(folder, told);
  if (entries.empty() || (wantsTrain && part && heldOut.empty()))
    return fail("--holdout {} leaves {} of the {} images in {}; give a {} fraction",
                options.holdout, entries.empty() == wantsTrain ? "out all" : "out none", files,
                folder.string(), entries.empty() == wantsTrain ? "smaller" : "larger");
  remarks = told.sentences();
  return std::make_unique<FolderSource>(std::move(folder), std::move(entries), std::move(classes),
                                        std::move(heldOut));
}

} // namespace doppel::runtime
