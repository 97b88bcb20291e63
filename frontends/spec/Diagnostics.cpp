// The catalogue as a table, and the printer; see Diagnostics.h.
#include "frontends/spec/Diagnostics.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>

namespace doppel::spec {

static constexpr CodeInfo table[] = {
#define DIAGNOSTIC(code, name, title, explanation) {#code, #name, title, explanation},
#include "frontends/spec/Errors.def"
};

const CodeInfo &info(Code code) { return table[static_cast<size_t>(code)]; }

llvm::ArrayRef<CodeInfo> catalogue() { return table; }

const CodeInfo *findCode(llvm::StringRef text) {
  for (const CodeInfo &entry : table)
    if (entry.code.equals_insensitive(text))
      return &entry;
  return nullptr;
}

Diagnostic &Diagnostic::note(SourceRange at, const llvm::Twine &text) {
  notes.push_back({at, text.str()});
  return *this;
}

Diagnostic &Diagnostic::help(const llvm::Twine &text) {
  helps.push_back(text.str());
  return *this;
}

Diagnostic &Diagnostics::report(Code code, SourceRange range, const llvm::Twine &message) {
  std::string text = message.str();
  reported += !info(code).isWarning();
  bool known = llvm::any_of(diagnostics, [&](const Diagnostic &earlier) {
    return earlier.code == code && earlier.range.file == range.file &&
           earlier.range.begin == range.begin && earlier.message == text;
  });
  if (known || isFull()) // the caller may still add notes, so it gets one that is not printed
    return unprinted.emplace(code, range, std::move(text));
  if (!info(code).isWarning())
    ++errors;
  for (Allowance &each : allowed)
    if (each.code == code && each.covers.contains(range)) {
      each.isUsed = true;
      return unprinted.emplace(code, range, std::move(text));
    }
  return diagnostics.emplace_back(code, range, std::move(text));
}

namespace {

/// What one terminal shows of a source line: at most `width` columns around the marked place.
struct Excerpt {
  std::string text;
  uint32_t column; ///< of the mark, from 0
  uint32_t length; ///< of the mark, at least 1
};

class Printer {
public:
  Printer(const SourceManager &sources, llvm::raw_ostream &out, bool colour)
      : sources(sources), out(out), colour(colour) {}

  void message(SourceRange range, llvm::StringRef kind, const char *kindColour,
               llvm::StringRef code, llvm::StringRef text) {
    paint(bold, place(range) + ": ");
    paint(kindColour, kind + ": ");
    out << code << ": ";
    paint(bold, text);
    out << '\n';
    if (range.isValid())
      excerpt(range);
  }

  void note(SourceRange range, llvm::StringRef text) {
    paint(bold, range.isValid() ? place(range) + ": " : "  ");
    paint(cyan, "note: ");
    out << text << '\n';
    if (range.isValid())
      excerpt(range);
  }

  void help(llvm::StringRef text) {
    paint(green, "  help: ");
    out << text << '\n';
  }

  static constexpr const char *bold = "\033[1m";
  static constexpr const char *red = "\033[1;31m";
  static constexpr const char *magenta = "\033[1;35m";
  static constexpr const char *cyan = "\033[1;36m";
  static constexpr const char *green = "\033[1;32m";

private:
  void paint(const char *escape, const llvm::Twine &text) {
    bool painted = colour && *escape;
    if (painted)
      out << escape;
    out << text;
    if (painted)
      out << "\033[0m";
  }

  std::string place(SourceRange range) const {
    if (!range.isValid())
      return "doppel";
    LineColumn at = sources.lineColumn(range.file, range.begin);
    return (sources.path(range.file) + ":" + llvm::Twine(at.line) + ":" + llvm::Twine(at.column))
        .str();
  }

  Excerpt cut(SourceRange range, LineColumn at) const {
    constexpr uint32_t width = 160;
    llvm::StringRef line = sources.line(range.file, at.line);
    uint32_t start = sources.lineStart(range.file, at.line);
    uint32_t first = std::min<uint32_t>(range.begin - start, line.size());
    uint32_t last = std::clamp<uint32_t>(range.end - start, first, line.size());
    uint32_t from = first > width / 2 && line.size() > width ? first - width / 2 : 0;
    auto isContinuation = [&](uint32_t i) { return i < line.size() && (line[i] & 0xC0) == 0x80; };
    while (isContinuation(from))
      --from;
    uint32_t to = std::min<uint32_t>(line.size(), from + width);
    while (isContinuation(to))
      --to;
    std::string text = line.slice(from, to).str();
    for (char &c : text)
      if (static_cast<unsigned char>(c) < 0x20)
        c = c == '\t' ? ' ' : '?';
    uint32_t length = codePoints(line.slice(first, std::min(last, to)));
    return {std::move(text), codePoints(line.slice(from, first)), std::max(length, 1u)};
  }

  void excerpt(SourceRange range) {
    LineColumn at = sources.lineColumn(range.file, range.begin);
    Excerpt shown = cut(range, at);
    std::string number = std::to_string(at.line);
    out << std::string(number.size() < 5 ? 5 - number.size() : 0, ' ') << number << " | "
        << shown.text << '\n'
        << std::string(std::max<size_t>(number.size(), 5), ' ') << " | "
        << std::string(shown.column, ' ');
    paint(green, "^" + std::string(shown.length - 1, '~'));
    out << '\n';
  }

  const SourceManager &sources;
  llvm::raw_ostream &out;
  bool colour;
};

} // namespace

static std::string count(size_t n, llvm::StringRef what) {
  return (llvm::Twine(n) + " " + what + (n == 1 ? "" : "s")).str();
}

void Diagnostics::print(llvm::raw_ostream &out, bool colour) const {
  Printer printer(sources, out, colour);
  std::vector<const Diagnostic *> ordered;
  for (const Diagnostic &diagnostic : diagnostics)
    ordered.push_back(&diagnostic);
  llvm::stable_sort(ordered, [](const Diagnostic *a, const Diagnostic *b) {
    return std::pair(a->range.file, a->range.begin) < std::pair(b->range.file, b->range.begin);
  });
  for (const Diagnostic *each : ordered) {
    const Diagnostic &diagnostic = *each;
    const CodeInfo &entry = info(diagnostic.code);
    bool warning = entry.isWarning();
    printer.message(diagnostic.range, warning ? "warning" : "error",
                    warning ? Printer::magenta : Printer::red, entry.code, diagnostic.message);
    for (const Diagnostic::Note &note : diagnostic.notes)
      printer.note(note.range, note.text);
    for (const std::string &help : diagnostic.helps)
      printer.help(help);
  }
  size_t warnings = diagnostics.size() - errors;
  if (errors)
    out << count(errors, "error") << (isFull() ? ", perhaps more" : "");
  if (warnings)
    out << (errors ? ", " : "") << count(warnings, "warning");
  if (!diagnostics.empty())
    out << '\n';
}

/// Whether two neighbouring letters are all that differs: "btach" and "batch".
static bool exchangesNeighbours(llvm::StringRef a, llvm::StringRef b) {
  if (a.size() != b.size())
    return false;
  size_t i = 0;
  while (i < a.size() && a[i] == b[i])
    ++i;
  return i + 1 < a.size() && a[i] == b[i + 1] && a[i + 1] == b[i] &&
         a.drop_front(i + 2) == b.drop_front(i + 2);
}

std::optional<llvm::StringRef> nearestName(llvm::StringRef name,
                                           llvm::ArrayRef<llvm::StringRef> candidates) {
  unsigned best = std::max<unsigned>(1, name.size() / 3) + 1;
  std::optional<llvm::StringRef> nearest;
  for (llvm::StringRef candidate : candidates) {
    unsigned distance = name.edit_distance(candidate, /*AllowReplacements=*/true, best);
    if (exchangesNeighbours(name, candidate))
      distance = 1;
    if (distance < best && distance < name.size()) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

} // namespace doppel::spec
