// A diagnostic of a pass knows an MLIR location; people know their file, its line and a name.
#include "frontends/cli/compile/PrintDiagnostics.h"

#include "codegen/artifact/Locations.h"
#include "llvm/Support/MemoryBuffer.h"

#include <algorithm>

using namespace mlir;

namespace doppel::cli {

DiagnosticPrinter::DiagnosticPrinter(MLIRContext &context, llvm::raw_ostream &out, bool colour)
    : out(out), colour(colour), handler(&context, [this](Diagnostic &diagnostic) {
        print(diagnostic);
        return success();
      }) {}

std::string DiagnosticPrinter::lineOf(StringRef file, unsigned number) {
  auto [entry, added] = texts.try_emplace(file);
  if (added)
    if (auto buffer = llvm::MemoryBuffer::getFile(file))
      entry->second = (*buffer)->getBuffer().str();
  StringRef rest = entry->second;
  for (unsigned line = 1; line < number; ++line)
    rest = rest.split('\n').second;
  std::string text = rest.split('\n').first.take_front(160).str();
  for (char &character : text)
    if (static_cast<unsigned char>(character) < 0x20)
      character = ' ';
  return text;
}

void DiagnosticPrinter::printOne(Location location, StringRef kind, const char *paint,
                                 const std::string &message) {
  auto painted = [&](const char *escape, const Twine &text) {
    if (colour)
      out << escape << text << "\033[0m";
    else
      out << text;
  };
  SpecLocation place = describeLocation(location, "");
  if (auto path = notes.paths.find(place.file); path != notes.paths.end())
    place.file = path->second;
  std::string where = place.file.empty() ? "doppel"
                                         : place.file + ":" + std::to_string(place.line) + ":" +
                                               std::to_string(place.column);
  painted("\033[1m", where + ": ");
  painted(paint, kind + ": ");
  painted("\033[1m", message);
  if (!place.expression.empty() && !StringRef(message).contains(place.expression))
    out << " (in " << place.expression << ")";
  out << '\n';
  if (place.file.empty())
    return;
  std::string line = lineOf(place.file, place.line);
  if (line.empty())
    return;
  std::string number = std::to_string(place.line);
  size_t width = std::max<size_t>(number.size(), 5);
  out << std::string(width - number.size(), ' ') << number << " | " << line << '\n'
      << std::string(width, ' ') << " | " << std::string(std::max(place.column, 1u) - 1, ' ');
  // What begins here goes on to its end, or to that of the line.
  unsigned end = std::clamp<unsigned>(place.endColumn, place.column + 1,
                                      std::max<unsigned>(spec::codePoints(line), place.column) + 1);
  painted("\033[1;32m", "^" + std::string(end - place.column - 1, '~'));
  out << '\n';
}

/// Whether the location, or a call that led to it, is within the place.
static bool isWithin(Location location, const spec::AllowedPlace &allowed) {
  bool found = false;
  location->walk([&](Location part) {
    auto place = dyn_cast<FileLineColRange>(part);
    if (!place || place.getFilename() != allowed.file)
      return WalkResult::advance();
    spec::LineColumn at{place.getStartLine(), place.getStartColumn()};
    found = allowed.begin <= at && at < allowed.end;
    return found ? WalkResult::interrupt() : WalkResult::advance();
  });
  return found;
}

bool DiagnosticPrinter::isAllowed(const Diagnostic &diagnostic, StringRef message) {
  for (spec::AllowedPlace &allowed : notes.allowed)
    if (message.starts_with(allowed.code + ":") && isWithin(diagnostic.getLocation(), allowed)) {
      allowed.isUsed = true;
      return true;
    }
  return false;
}

void DiagnosticPrinter::warnOfIdleAllowances(MLIRContext &context) {
  for (const spec::AllowedPlace &allowed : notes.allowed)
    if (!allowed.isUsed)
      emitWarning(FileLineColRange::get(&context, allowed.file, allowed.clause.line,
                                        allowed.clause.column, allowed.clauseEnd.line,
                                        allowed.clauseEnd.column))
          << "W0515: nothing here gives the warning " << allowed.code;
}

void DiagnosticPrinter::print(Diagnostic &diagnostic) {
  std::string message = diagnostic.str();
  if (diagnostic.getSeverity() == DiagnosticSeverity::Warning && isAllowed(diagnostic, message))
    return;
  bool isError = diagnostic.getSeverity() == DiagnosticSeverity::Error;
  if (isError) {
    ++errors;
    internal |= StringRef(message).starts_with("'") || StringRef(message).starts_with("phase '");
  }
  StringRef kind = isError                                                   ? "error"
                   : diagnostic.getSeverity() == DiagnosticSeverity::Warning ? "warning"
                                                                             : "note";
  const char *paint = isError ? "\033[1;31m" : kind == "warning" ? "\033[1;35m" : "\033[1;36m";
  printOne(diagnostic.getLocation(), kind, paint, message);
  for (Diagnostic &note : diagnostic.getNotes())
    printOne(note.getLocation(), "note", "\033[1;36m", note.str());
}

} // namespace doppel::cli
