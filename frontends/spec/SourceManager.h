// Owns the text of every file that a compilation reads and turns byte offsets into lines and
// columns.
//
// A location is (file, offset); a line and a column are computed only when a message is printed or
// an MLIR location is made. Text is never freed or moved while the manager lives, so the syntax
// tree may point into it.
#pragma once

#include "llvm/ADT/StringRef.h"

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace doppel::spec {

/// The bytes [begin, end) of a file. A range with no file stands for "nowhere": the command line,
/// or a built-in.
struct SourceRange {
  static constexpr uint32_t noFile = ~0u;
  uint32_t file = noFile;
  uint32_t begin = 0;
  uint32_t end = 0;

  bool isValid() const { return file != noFile; }
  bool contains(SourceRange inner) const {
    return inner.file == file && begin <= inner.begin && inner.end <= end;
  }
  /// The smallest range that covers both; an invalid one adds nothing.
  static SourceRange cover(SourceRange first, SourceRange last);
};

/// A place as people count: line and column from 1, column in code points.
struct LineColumn {
  uint32_t line = 1;
  uint32_t column = 1;
  auto operator<=>(const LineColumn &) const = default;
};

class SourceManager {
public:
  /// Takes `text` under the path that messages print, and the name that locations have. Returns the
  /// file's number.
  uint32_t addFile(llvm::StringRef path, std::string text, llvm::StringRef name);

  llvm::StringRef path(uint32_t file) const { return files[file]->path; }
  /// What is compiled depends on names alone, so they come from the texts of the specs, never from
  /// how the command was written.
  llvm::StringRef name(uint32_t file) const { return files[file]->name; }
  llvm::StringRef text(uint32_t file) const { return files[file]->text; }
  llvm::StringRef text(SourceRange range) const;
  LineColumn lineColumn(uint32_t file, uint32_t offset) const;
  /// The text of a line (from 1) without its end.
  llvm::StringRef line(uint32_t file, uint32_t number) const;
  /// The offset of a line's first byte.
  uint32_t lineStart(uint32_t file, uint32_t number) const;
  size_t size() const { return files.size(); }

private:
  struct File {
    std::string path;
    std::string name;
    std::string text;
    std::vector<uint32_t> lineStarts;
  };
  std::vector<std::unique_ptr<File>> files;
};

/// Columns that `text` takes on a terminal, counting code points, not bytes; malformed UTF-8 counts
/// a byte as one.
uint32_t codePoints(llvm::StringRef text);

} // namespace doppel::spec
