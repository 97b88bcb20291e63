// Images in folders: which files belong to which split and class. The rules stand in Dataset.h, at
// openDataset().

#include "runtime/data/Decode.h"
#include "runtime/data/Source.h"
#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <optional>
#include <set>

#include <xxhash.h>

namespace doppel::runtime {
namespace {

namespace fs = std::filesystem;

/// Nearly all headers end within this many bytes; longer ones cost a second read.
constexpr size_t kHeaderBytes = 1 << 16;

/// One file in this many of each class is held out where the data come without a test split.
constexpr size_t kHeldOut = 10;

struct Entry {
  std::string path;
  int32_t label;
};

class FolderSource final : public Source {
public:
  /// `files` counts those of both splits, where one folder was split in two; else 0.
  FolderSource(fs::path folder, std::vector<Entry> entries, std::vector<std::string> classes,
               int64_t files)
      : folder(std::move(folder)), entries(std::move(entries)), classes(std::move(classes)),
        others(files ? files - int64_t(this->entries.size()) : 0) {}

  int64_t size() const override { return int64_t(entries.size()); }
  const std::vector<std::string> &classNames() const override { return classes; }
  int64_t heldOut() const override { return others; }
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
    DOPPEL_TRY(std::vector<uint8_t> prefix, readFile(entries[sample].path, kHeaderBytes));
    Result<Extent> extent = probeImage(prefix);
    if (extent || prefix.size() < kHeaderBytes)
      return extent;
    DOPPEL_TRY(std::vector<uint8_t> file, readFile(entries[sample].path));
    return probeImage(file);
  }

  Result<void> decode(int64_t sample, Extent extent, uint8_t *pixels) const override {
    DOPPEL_TRY(std::vector<uint8_t> file, readFile(entries[sample].path));
    return decodeImage(file, extent, pixels);
  }

private:
  fs::path folder;
  std::vector<Entry> entries;
  std::vector<std::string> classes;
  int64_t others;
};

bool isHidden(const fs::path &path) { return path.filename().native().starts_with('.'); }

std::string extensionOf(const fs::path &path) {
  std::string extension = path.extension();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char letter) { return std::tolower(letter); });
  return extension;
}

bool hasImageName(const fs::path &path) {
  static constexpr std::array kNames = {".jpg", ".jpeg", ".jpe", ".jfif", ".png"};
  return std::ranges::find(kNames, extensionOf(path)) != kNames.end();
}

/// The files and folders directly in `folder` by name, hidden ones left out.
Result<std::vector<fs::path>> list(const fs::path &folder) {
  std::vector<fs::path> paths;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code))
    if (!isHidden(entry->path()))
      paths.push_back(entry->path());
  if (code)
    return fail("cannot read the folder {}: {}", folder.string(), code.message());
  std::ranges::sort(paths);
  return paths;
}

bool isFolder(const fs::path &path) {
  std::error_code code;
  return fs::is_directory(path, code);
}

/// The files below `folder` at any depth, as paths relative to it, sorted. Does not follow links to
/// folders: they may be circular.
Result<std::vector<std::string>> filesBelow(const fs::path &folder) {
  std::vector<std::string> files;
  std::error_code code;
  for (fs::recursive_directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code)) {
    if (isHidden(entry->path()))
      entry.disable_recursion_pending();
    else if (!isFolder(entry->path()))
      files.push_back(entry->path().lexically_relative(folder));
  }
  if (code)
    return fail("cannot read the folder {}: {}", folder.string(), code.message());
  std::ranges::sort(files);
  return files;
}

/// The class subfolders of `folder`: those with a file that is named like an image (or has no
/// extension) in them.
struct ClassFolder {
  std::string name;
  fs::path path;
  std::vector<std::string> files; ///< relative to `path`
};

Result<std::vector<ClassFolder>> classFolders(const fs::path &folder) {
  DOPPEL_TRY(std::vector<fs::path> paths, list(folder));
  std::vector<ClassFolder> classes;
  for (const fs::path &path : paths) {
    if (!isFolder(path))
      continue;
    DOPPEL_TRY(std::vector<std::string> files, filesBelow(path));
    if (std::ranges::any_of(files, [](const fs::path &file) {
          return hasImageName(file) || !file.has_extension();
        }))
      classes.push_back({path.filename(), path, std::move(files)});
  }
  return classes;
}

/// Splits a class's files by rank of the hash of their names, so that the choice does not follow
/// the order in which they were taken and moves little when files are added.
std::vector<std::string> heldOut(std::vector<std::string> files, Split split) {
  std::vector<std::pair<uint64_t, std::string>> ranked;
  for (std::string &file : files) {
    uint64_t hash = XXH3_64bits(file.data(), file.size());
    ranked.emplace_back(hash, std::move(file));
  }
  std::ranges::sort(ranked);
  size_t held = ranked.size() < 2 ? 0 : std::max<size_t>(1, ranked.size() / kHeldOut);
  files.clear();
  for (size_t rank = 0; rank < ranked.size(); ++rank)
    if ((rank < held) == (split == Split::Test))
      files.push_back(std::move(ranked[rank].second));
  std::ranges::sort(files);
  return files;
}

/// `folder`'s own train and test (or val) subfolders, if it has both.
struct SplitFolders {
  fs::path train, test;
};

std::optional<SplitFolders> findSplits(const fs::path &folder) {
  if (!isFolder(folder / "train"))
    return std::nullopt;
  for (const char *name : {"test", "val", "valid", "validation"})
    if (isFolder(folder / name))
      return SplitFolders{folder / "train", folder / name};
  return std::nullopt;
}

} // namespace

Result<std::unique_ptr<Source>> openFolder(const std::string &path, Split split,
                                           std::vector<BrokenFile> &ignored) {
  std::optional<SplitFolders> splits = findSplits(path);
  fs::path folder = !splits ? fs::path(path) : split == Split::Train ? splits->train : splits->test;
  DOPPEL_TRY(std::vector<ClassFolder> folders, classFolders(folder));
  DOPPEL_TRY(std::vector<fs::path> beside, list(folder));
  std::erase_if(beside, isFolder);

  std::vector<std::string> names;
  for (const ClassFolder &one : folders)
    names.push_back(one.name);
  if (splits) {
    // Both splits number the union of their classes, so that a label means the same in each.
    DOPPEL_TRY(std::vector<ClassFolder> others,
               classFolders(split == Split::Train ? splits->test : splits->train));
    std::set<std::string> both(names.begin(), names.end());
    for (const ClassFolder &one : others)
      both.insert(one.name);
    names.assign(both.begin(), both.end());
  }

  std::vector<Entry> entries;
  if (folders.empty()) {
    if (!splits && split == Split::Test && !beside.empty())
      return fail("{} has no class subfolders, so there is nothing to evaluate against; put the "
                  "images of each class into a folder of their own",
                  path);
    for (const fs::path &file : beside)
      entries.push_back({file, -1});
  } else {
    for (const ClassFolder &one : folders) {
      int32_t label = int32_t(std::ranges::lower_bound(names, one.name) - names.begin());
      for (const std::string &file : splits ? one.files : heldOut(one.files, split))
        entries.push_back({one.path / file, label});
    }
    for (const fs::path &file : beside)
      if (hasImageName(file))
        ignored.push_back({file, "it lies beside the class folders, in none of them"});
  }
  if (entries.empty())
    return fail("{} has no images{}; it should hold JPEG or PNG files, or a subfolder of them for "
                "each class",
                folder.string(),
                split == Split::Test && !folders.empty() ? " to hold out for testing" : "");
  bool holdsOut = !folders.empty() && !splits;
  int64_t all = 0;
  for (const ClassFolder &one : folders)
    all += int64_t(one.files.size());
  return std::make_unique<FolderSource>(std::move(folder), std::move(entries), std::move(names),
                                        holdsOut ? all : 0);
}

} // namespace doppel::runtime
