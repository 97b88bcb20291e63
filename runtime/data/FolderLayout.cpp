// Walks folders. Invariant: no folder is read twice for one class, so that no circle of links has
// an end to wait for, and what is read does not depend on the order in which the system lists it.

#include "runtime/data/FolderLayout.h"
#include "runtime/core/File.h"
#include "runtime/data/Decode.h"
#include "runtime/data/Parallel.h"
#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <sys/stat.h>

namespace doppel::runtime {
namespace {

namespace fs = std::filesystem;

/// Bytes that tell a format.
constexpr size_t kSignatureBytes = 32;

/// So many things of a kind are named in a message.
constexpr size_t kNamed = 3;

std::string lowered(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char letter) { return std::tolower(letter); });
  return text;
}

bool hasImageName(const std::string &ending) {
  static constexpr std::array kEndings = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp",
                                          ".bmp", ".dib",  ".gif", ".tif",  ".tiff"};
  return std::ranges::find(kEndings, ending) != kEndings.end();
}

std::string endingOf(const std::string &name) { return lowered(fs::path(name).extension()); }

/// "a, b, c and 4 more".
std::string named(const std::vector<std::string> &names) {
  std::string text;
  for (size_t number = 0; number < std::min(names.size(), kNamed); ++number)
    text += (number ? ", " : "") + names[number];
  if (names.size() > kNamed)
    text += fmt::format(" and {} more", names.size() - kNamed);
  return text;
}

/// One folder's files and folders by name, hidden ones left out.
struct Listing {
  std::vector<std::string> files, folders, links; ///< `links`: those of `folders` that are links
};

Result<Listing> list(const fs::path &folder) {
  Listing listing;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code)) {
    std::string name = entry->path().filename();
    std::error_code none;
    if (name.starts_with('.'))
      continue;
    if (!entry->is_directory(none)) {
      listing.files.push_back(std::move(name));
      continue;
    }
    if (entry->is_symlink(none))
      listing.links.push_back(name);
    listing.folders.push_back(std::move(name));
  }
  if (code)
    return fail("cannot read the folder {}: {}", folder.string(), code.message());
  for (std::vector<std::string> *names : {&listing.files, &listing.folders, &listing.links})
    std::ranges::sort(*names);
  return listing;
}

bool liesIn(const fs::path &path, const fs::path &above) {
  return std::mismatch(above.begin(), above.end(), path.begin(), path.end()).first == above.end();
}

/// Collects the files of a class.
class Walk {
public:
  /// `above`: the folders, without links in their paths, through which the walk comes to its start.
  Walk(std::vector<fs::path> above, LeftOut &leftOut) : above(std::move(above)), leftOut(leftOut) {}

  /// Whether a link leads to one of the folders above it, or to a folder that holds one.
  static bool leadsBack(const fs::path &link, const std::vector<fs::path> &above) {
    std::error_code code;
    fs::path target = fs::canonical(link, code);
    return code ||
           std::ranges::any_of(above, [&](const fs::path &one) { return liesIn(one, target); });
  }

  /// `real`: `folder` without links in its path; `below`: the folder as seen from the class's, ""
  /// or "a/b/".
  Result<void> enter(const fs::path &folder, const fs::path &real, const std::string &below) {
    struct stat status;
    if (stat(folder.c_str(), &status) != 0 || !seen.emplace(status.st_dev, status.st_ino).second) {
      leftOut.circles.push_back(folder);
      return {};
    }
    DOPPEL_TRY(Listing listing, list(folder));
    for (const std::string &file : listing.files)
      files.push_back(below + file);
    above.push_back(real);
    for (const std::string &name : listing.folders) {
      fs::path inner = folder / name, innerReal = real / name;
      if (std::ranges::binary_search(listing.links, name)) {
        if (leadsBack(inner, above)) {
          leftOut.circles.push_back(inner);
          continue;
        }
        std::error_code code;
        innerReal = fs::canonical(inner, code);
      }
      DOPPEL_CHECK(enter(inner, innerReal, below + name + "/"));
    }
    above.pop_back();
    return {};
  }

  std::vector<std::string> files;

private:
  std::vector<fs::path> above;
  LeftOut &leftOut;
  std::set<std::pair<dev_t, ino_t>> seen;
};

/// Takes those of `files` out that are no images, and counts them.
std::vector<std::string> keepImages(const fs::path &folder, std::vector<std::string> files,
                                    int threads, LeftOut &leftOut) {
  std::vector<uint8_t> isOne(files.size(), 1);
  std::vector<size_t> doubtful;
  for (size_t number = 0; number < files.size(); ++number)
    if (!hasImageName(endingOf(files[number])))
      doubtful.push_back(number);
  parallelFor(int64_t(doubtful.size()), doubtful.size() < 64 ? 1 : threads, [&](int64_t at) {
    size_t number = doubtful[size_t(at)];
    Result<std::vector<uint8_t>> bytes = readBytes(folder / files[number], kSignatureBytes);
    isOne[number] = bytes && isImage(*bytes);
  });
  std::vector<std::string> images;
  for (size_t number = 0; number < files.size(); ++number)
    if (isOne[number])
      images.push_back(std::move(files[number]));
    else
      ++leftOut.kinds[endingOf(files[number])];
  std::ranges::sort(images);
  return images;
}

enum class Role { None, Train, Test, Validation };

Role roleOf(const std::string &name) {
  std::string word = lowered(name);
  word.erase(word.find_last_not_of("0123456789") + 1);
  if (word == "train" || word == "training")
    return Role::Train;
  if (word == "test" || word == "testing")
    return Role::Test;
  if (word == "val" || word == "valid" || word == "validation")
    return Role::Validation;
  return Role::None;
}

/// Whether both a training and a test split lie in a class's folder.
bool holdsSplits(const ClassFolder &one) {
  bool train = false, test = false;
  for (const std::string &file : one.files)
    if (size_t slash = file.find('/'); slash != file.npos) {
      Role role = roleOf(file.substr(0, slash));
      train |= role == Role::Train;
      test |= role == Role::Test || role == Role::Validation;
    }
  return train && test;
}

Result<bool> hasImages(const fs::path &folder, int threads) {
  LeftOut ignored;
  DOPPEL_TRY(SplitImages images, imagesIn(folder, threads, ignored));
  return !images.classes.empty() || !images.flat.empty();
}

} // namespace

std::vector<std::string> LeftOut::sentences() const {
  std::vector<std::string> sentences;
  int64_t files = 0;
  std::vector<std::pair<int64_t, std::string>> most;
  for (const auto &[ending, count] : kinds) {
    files += count;
    most.emplace_back(-count, ending);
  }
  std::ranges::sort(most);
  if (files > 0) {
    std::string text;
    for (const auto &[count, ending] : most)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", -count,
                          ending.empty() ? "without an ending" : ending);
    std::string empty = emptyFolders.empty()
                            ? ""
                            : fmt::format("; there is nothing else in {}", named(emptyFolders));
    sentences.push_back(fmt::format("left out {} file{} of no image format that is read ({}){}",
                                    files, files == 1 ? "" : "s", text, empty));
  }
  if (!besideFolders.empty())
    sentences.push_back(fmt::format("left out {} image{} beside the folders, in none of them: {}",
                                    besideFolders.size(), besideFolders.size() == 1 ? "" : "s",
                                    named(besideFolders)));
  if (!besideSplits.empty())
    sentences.push_back(
        fmt::format("left out the images in {}: they stand beside the splits, in none of them",
                    named(besideSplits)));
  if (!circles.empty())
    sentences.push_back(fmt::format("left out {} link{} to folders that are read already: {}",
                                    circles.size(), circles.size() == 1 ? "" : "s",
                                    named(circles)));
  if (!splitClasses.empty())
    sentences.push_back(
        fmt::format("{} {} folders of a training and of a test split, which are read together; "
                    "splits stand above the classes (train/CLASS, test/CLASS)",
                    named(splitClasses), splitClasses.size() == 1 ? "holds" : "hold"));
  return sentences;
}

Result<SplitImages> imagesIn(const fs::path &folder, int threads, LeftOut &leftOut) {
  DOPPEL_TRY(Listing listing, list(folder));
  std::error_code code;
  fs::path real = fs::canonical(folder, code);
  SplitImages images;
  for (const std::string &name : listing.folders) {
    fs::path path = folder / name;
    fs::path inner = real / name;
    if (std::ranges::binary_search(listing.links, name)) {
      if (Walk::leadsBack(path, {real})) {
        leftOut.circles.push_back(path);
        continue;
      }
      inner = fs::canonical(path, code);
    }
    Walk walk({real}, leftOut);
    DOPPEL_CHECK(walk.enter(path, inner, ""));
    bool hadFiles = !walk.files.empty();
    ClassFolder one{name, path, keepImages(path, std::move(walk.files), threads, leftOut)};
    if (one.files.empty()) {
      if (hadFiles)
        leftOut.emptyFolders.push_back(path);
      continue;
    }
    if (holdsSplits(one))
      leftOut.splitClasses.push_back(path);
    images.classes.push_back(std::move(one));
  }
  // A licence or a list beside class folders is not worth a word.
  LeftOut none;
  images.flat = keepImages(folder, std::move(listing.files), threads,
                           images.classes.empty() ? leftOut : none);
  if (!images.classes.empty()) {
    for (const std::string &name : images.flat)
      leftOut.besideFolders.push_back(folder / name);
    images.flat.clear();
  }
  return images;
}

Result<Layout> layOut(const fs::path &folder, int threads, LeftOut &leftOut) {
  DOPPEL_TRY(Listing listing, list(folder));
  std::error_code code;
  fs::path real = fs::canonical(folder, code);
  std::vector<std::string> circles;
  std::erase_if(listing.folders, [&](const std::string &name) {
    bool circle =
        std::ranges::binary_search(listing.links, name) && Walk::leadsBack(folder / name, {real});
    if (circle)
      circles.push_back(folder / name);
    return circle;
  });
  std::vector<fs::path> trains, tests, validations, others;
  for (const std::string &name : listing.folders)
    switch (roleOf(name)) {
    case Role::Train:
      trains.push_back(folder / name);
      break;
    case Role::Test:
      tests.push_back(folder / name);
      break;
    case Role::Validation:
      validations.push_back(folder / name);
      break;
    case Role::None:
      others.push_back(folder / name);
      break;
    }
  tests.insert(tests.end(), validations.begin(), validations.end());

  Layout whole{folder, {}, false};
  if (trains.empty() && tests.empty()) {
    // What an archive unpacks to: one folder, and the splits in it.
    if (others.size() != 1 || std::ranges::any_of(listing.files, [](const std::string &name) {
          return hasImageName(endingOf(name));
        }))
      return whole;
    LeftOut inner;
    DOPPEL_TRY(Layout layout, layOut(others[0], threads, inner));
    if (!layout.hasSplits)
      return whole;
    leftOut = std::move(inner);
    return layout;
  }
  std::vector<std::string> beside;
  for (const fs::path &other : others) {
    DOPPEL_TRY(bool has, hasImages(other, threads));
    if (has)
      beside.push_back(other);
  }
  if (!beside.empty() && (trains.empty() || tests.empty()))
    return whole;
  if (trains.size() > 1)
    return fail(
        "{} and {} could both be the training split; give the folder that is meant to --data",
        trains[0].string(), trains[1].string());
  leftOut.besideSplits = std::move(beside);
  leftOut.circles = std::move(circles);
  for (const std::string &name : listing.files)
    if (hasImageName(endingOf(name)))
      leftOut.besideFolders.push_back(folder / name);
  return Layout{trains.empty() ? fs::path() : trains[0], std::move(tests), true};
}

} // namespace doppel::runtime
