// What lies in a folder of images: splits, classes, files; and what is left out, to be told.
// Private to this folder of the project.
#pragma once

#include "runtime/core/Error.h"
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace doppel::runtime {

/// What a walk through folders left out.
struct LeftOut {
  /// Files that are of no format that is read, counted by the ending of their names (".heic"; ""
  /// for none), and the folders that hold nothing else.
  std::map<std::string, int64_t> kinds;
  std::vector<std::string> emptyFolders;
  /// Images beside folders of classes or splits, in none of them.
  std::vector<std::string> besideFolders;
  std::vector<std::string> besideSplits; ///< folders with images beside those of splits
  std::vector<std::string> circles;      ///< links to folders that are read already
  std::vector<std::string> splitClasses; ///< class folders that hold folders of splits

  /// One sentence for each kind of thing that was left out.
  std::vector<std::string> sentences() const;
};

/// A class's folder and its files, as paths below it, sorted.
struct ClassFolder {
  std::string name;
  std::filesystem::path path;
  std::vector<std::string> files;
};

/// The images of one split: in class folders by name, or flat.
struct SplitImages {
  std::vector<ClassFolder> classes;
  std::vector<std::string>
      flat; ///< names in the folder itself, sorted; those beside classes are left out
};

/// Files that have an image's name or an image's first bytes, at any depth below class folders.
/// Links to folders are followed, each folder once; hidden files and folders are passed over.
/// `threads` look into files whose names do not tell. Fails where a folder cannot be read.
Result<SplitImages> imagesIn(const std::filesystem::path &folder, int threads, LeftOut &leftOut);

/// The folders of a data set's splits.
struct Layout {
  std::filesystem::path train; ///< empty where there are test splits alone
  std::vector<std::filesystem::path>
      tests;              ///< in the order in which they are preferred; may lack classes
  bool hasSplits = false; ///< else `train` is the whole folder
};

/// Which folders in `folder` are splits: "train" or "training"; "test" or "testing"; "val", "valid"
/// or "validation"; in any case of letters, digits may follow. Where only training or only test
/// splits are there, and other folders with images beside them, the names are those of classes. A
/// single folder with splits in it is gone into. Fails where two folders are training splits.
Result<Layout> layOut(const std::filesystem::path &folder, int threads, LeftOut &leftOut);

} // namespace doppel::runtime
