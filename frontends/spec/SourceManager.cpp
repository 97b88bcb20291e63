// Lines and columns of source text; see SourceManager.h.
#include "frontends/spec/SourceManager.h"

#include <algorithm>

namespace doppel::spec {

SourceRange SourceRange::cover(SourceRange first, SourceRange last) {
  if (!first.isValid())
    return last;
  if (!last.isValid() || first.file != last.file)
    return first;
  return {first.file, std::min(first.begin, last.begin), std::max(first.end, last.end)};
}

uint32_t SourceManager::addFile(llvm::StringRef path, std::string text, llvm::StringRef name) {
  auto file = std::make_unique<File>();
  file->path = path.str();
  file->name = name.str();
  file->text = std::move(text);
  file->lineStarts.push_back(0);
  for (uint32_t i = 0; i < file->text.size(); ++i)
    if (file->text[i] == '\n')
      file->lineStarts.push_back(i + 1);
  files.push_back(std::move(file));
  return files.size() - 1;
}

llvm::StringRef SourceManager::text(SourceRange range) const {
  return range.isValid() ? text(range.file).slice(range.begin, range.end) : llvm::StringRef();
}

LineColumn SourceManager::lineColumn(uint32_t file, uint32_t offset) const {
  const File &source = *files[file];
  offset = std::min<uint32_t>(offset, source.text.size());
  auto next = std::upper_bound(source.lineStarts.begin(), source.lineStarts.end(), offset);
  uint32_t line = next - source.lineStarts.begin();
  uint32_t start = source.lineStarts[line - 1];
  return {line, codePoints(llvm::StringRef(source.text).slice(start, offset)) + 1};
}

uint32_t SourceManager::lineStart(uint32_t file, uint32_t number) const {
  return files[file]->lineStarts[number - 1];
}

llvm::StringRef SourceManager::line(uint32_t file, uint32_t number) const {
  llvm::StringRef rest = text(file).substr(lineStart(file, number));
  return rest.take_until([](char c) { return c == '\n'; }).rtrim('\r');
}

uint32_t codePoints(llvm::StringRef text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

} // namespace doppel::spec
