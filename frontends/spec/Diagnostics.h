// Collects what the compiler of specs has to say and prints it with the line of the spec.
//
// Nothing is printed when it is reported: a compilation finds all it can, then prints once. Codes
// and titles come from Errors.def alone.
#pragma once

#include "frontends/spec/SourceManager.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/Twine.h"

#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace llvm {
class raw_ostream;
}

namespace doppel::spec {

enum class Code {
#define DIAGNOSTIC(code, name, title, explanation) name,
#include "frontends/spec/Errors.def"
};

/// What the catalogue says of a code.
struct CodeInfo {
  llvm::StringRef code;        ///< "E0312"
  llvm::StringRef name;        ///< "ShapesDiffer"
  llvm::StringRef title;       ///< "shapes differ along an axis"
  llvm::StringRef explanation; ///< one or more sentences
  bool isWarning() const { return code.starts_with("W"); }
};

const CodeInfo &info(Code code);
/// All codes, in the order of the catalogue.
llvm::ArrayRef<CodeInfo> catalogue();
/// The entry of "E0312" or "e312"-like spellings in any case; null if there is none.
const CodeInfo *findCode(llvm::StringRef text);

/// One message: a sentence at a place, notes at other places, help with an edit.
class Diagnostic {
public:
  Diagnostic(Code code, SourceRange range, std::string message)
      : code(code), range(range), message(std::move(message)) {}

  /// Adds a sentence at another place, or at none if the range is invalid.
  Diagnostic &note(SourceRange at, const llvm::Twine &text);
  /// Adds a way out.
  Diagnostic &help(const llvm::Twine &text);

  const Code code;
  const SourceRange range;
  const std::string message;

private:
  friend class Diagnostics;
  struct Note {
    SourceRange range;
    std::string text;
  };
  std::vector<Note> notes;
  std::vector<std::string> helps;
};

/// `allow CODE "reason"`: there is no warning of that code within `covers`.
struct Allowance {
  Code code;
  SourceRange range; ///< of the clause
  SourceRange covers;
  bool isUsed = false;
};

class Diagnostics {
public:
  explicit Diagnostics(const SourceManager &sources) : sources(sources) {}

  /// Reports an error or warning, as the code says. The same code at the same place with the same
  /// words is kept once, nothing after maxErrors, and no warning that is allowed at its place.
  /// Notes may be added until the next report.
  Diagnostic &report(Code code, SourceRange range, const llvm::Twine &message);

  void allow(Allowance allowance) { allowed.push_back(allowance); }
  llvm::ArrayRef<Allowance> allowances() const { return allowed; }

  bool hasErrors() const { return errors > 0; }
  /// Errors that have been reported, also those that are told once.
  size_t reportedErrors() const { return reported; }
  /// True once there are so many errors that more help nobody; callers may stop.
  bool isFull() const { return errors >= maxErrors; }
  const std::deque<Diagnostic> &all() const { return diagnostics; }
  const SourceManager &sourceManager() const { return sources; }

  /// Prints everything in the order of files and text, then a line with the counts. Colour is for
  /// terminals.
  void print(llvm::raw_ostream &out, bool colour) const;

  static constexpr size_t maxErrors = 100;

private:
  const SourceManager &sources;
  std::deque<Diagnostic> diagnostics;
  std::vector<Allowance> allowed;
  std::optional<Diagnostic> unprinted;
  size_t errors = 0;
  size_t reported = 0;
};

/// The candidate that `name` was probably meant to be: the nearest within a third of its length in
/// edits (at least one), the first of equals.
std::optional<llvm::StringRef> nearestName(llvm::StringRef name,
                                           llvm::ArrayRef<llvm::StringRef> candidates);

} // namespace doppel::spec
