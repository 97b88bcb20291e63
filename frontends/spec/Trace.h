// Where evaluation stands: the calls that led there, what messages and locations say of them, and
// whether it goes on. Every part of the elaboration shares one Trace.
#pragma once

#include "frontends/spec/Diagnostics.h"
#include "frontends/spec/Values.h"
#include "mlir/IR/Location.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

namespace doppel::spec {

/// A function, net or method that is being evaluated.
struct Frame {
  llvm::StringRef name;
  const Unit *unit;
  Frame *caller = nullptr;
  SourceRange callRange = {};
  unsigned depth = 0;
  bool isMethod = false;
  bool isForward = false;
  bool startsLocations = false; ///< a net's body is shared by its applications, so locations do not
                                ///< go on to the caller
  std::optional<mlir::Location> callLocation = {}; ///< once an operation has asked for it
  std::map<std::string, SourceRange, std::less<>> updated = {}; ///< buffers, in a forward
};

class Trace {
public:
  Trace(mlir::MLIRContext &context, const SourceManager &sources, Diagnostics &diagnostics)
      : sources(sources), diagnostics(diagnostics), context(context) {}

  /// Reports at `range`; inside of a library function at the user's call, with a note at `range`.
  Diagnostic &report(Code code, SourceRange range, const llvm::Twine &message);
  /// How messages call an operand: its text if that is short, else `otherwise`.
  std::string label(SourceRange range, llvm::StringRef otherwise) const;

  /// The place in the text alone.
  mlir::Location fileLocation(SourceRange range) const;
  /// The place in the text; inside of a function "name"(place) called at the caller's place, and so
  /// on to the method.
  mlir::Location location(SourceRange range) const;

  /// Fills in what a call at `range` knows of its caller. False, after an error, where calls nest
  /// too deep.
  bool enterCall(Frame &next, SourceRange range);
  /// Counts `steps` of evaluation: an expression, a statement, an element that is copied. False
  /// where evaluation has stopped, or stops here after an error.
  bool count(SourceRange range, size_t steps = 1);

  /// Evaluation has been given up: so many errors, or so large a program, that the rest helps
  /// nobody.
  bool stopped() const { return gaveUp || abandoned || diagnostics.isFull(); }
  /// Nothing more of the method is evaluated.
  void giveUp() { gaveUp = true; }
  bool hasGivenUp() const { return gaveUp; }
  /// Nothing more of the item that is being evaluated is.
  void abandonItem() { abandoned = true; }
  void beginItem() { abandoned = false; }

  const SourceManager &sources;
  Diagnostics &diagnostics;
  Frame *frame = nullptr;

private:
  const Frame *outermostCall() const;
  mlir::Location locationIn(Frame &frame, SourceRange range) const;

  mlir::MLIRContext &context;
  size_t steps = 0;
  bool gaveUp = false;
  bool abandoned = false;
};

/// What the parts of the elaboration have in common: they report through one trace.
class Reporting {
public:
  explicit Reporting(Trace &trace) : trace(trace) {}

  Diagnostic &report(Code code, SourceRange range, const llvm::Twine &message) {
    return trace.report(code, range, message);
  }
  Value fail(Code code, SourceRange range, const llvm::Twine &message) {
    trace.report(code, range, message);
    return Value::error();
  }
  std::string label(SourceRange range, llvm::StringRef otherwise) const {
    return trace.label(range, otherwise);
  }
  bool stopped() const { return trace.stopped(); }

  Trace &trace;
};

/// Gives a place a value until the end of a scope.
template <typename T> class Scoped {
public:
  Scoped(T &place, T value) : place(place), old(std::exchange(place, std::move(value))) {}
  ~Scoped() { place = std::move(old); }
  Scoped(const Scoped &) = delete;

private:
  T &place;
  T old;
};

} // namespace doppel::spec
