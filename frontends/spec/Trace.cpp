// Calls, and the messages and locations that name them; see Trace.h.
#include "frontends/spec/Trace.h"

#include "frontends/spec/Units.h"
#include "mlir/IR/Builders.h"

namespace doppel::spec {

using namespace mlir;

constexpr unsigned maxCallDepth = 200;
constexpr size_t maxSteps = 5'000'000;

//===- Messages -------------------------------------------------------------------------------===//

Diagnostic &Trace::report(Code code, SourceRange range, const llvm::Twine &message) {
  // The user cannot edit the library: the message stands at their call, and the place in the
  // library is a note.
  const Frame *at = frame;
  SourceRange shown = range;
  bool inLibrary = range.isValid() && frame && frame->unit && frame->unit->isLibrary &&
                   range.file == frame->unit->ast.file;
  while (inLibrary && at && at->unit->isLibrary && at->callRange.isValid()) {
    shown = at->callRange;
    at = at->caller;
  }
  size_t before = diagnostics.all().size();
  Diagnostic &error = diagnostics.report(code, shown, message);
  if (diagnostics.all().size() == before)
    return error;
  if (inLibrary)
    error.note(range, "in '" + frame->name + "' of the library");
  unsigned notes = 0;
  for (; at && at->caller && at->callRange.isValid() && notes < 4; at = at->caller) {
    if (at->startsLocations)
      continue; // the frame of the net's forward says the same
    error.note(at->callRange, "in this use of '" + at->name + "'");
    ++notes;
  }
  return error;
}

std::string Trace::label(SourceRange range, llvm::StringRef otherwise) const {
  llvm::StringRef text = range.isValid() ? sources.text(range).trim() : llvm::StringRef();
  if (text.empty() || text.size() > 32 || text.contains('\n'))
    return otherwise.str();
  return text.str();
}

//===- Locations ------------------------------------------------------------------------------===//

Location Trace::fileLocation(SourceRange range) const {
  if (!range.isValid())
    return UnknownLoc::get(&context);
  LineColumn begin = sources.lineColumn(range.file, range.begin);
  LineColumn end = sources.lineColumn(range.file, range.end);
  return FileLineColRange::get(StringAttr::get(&context, sources.name(range.file)), begin.line,
                               begin.column, end.line, end.column);
}

Location Trace::locationIn(Frame &in, SourceRange range) const {
  Location place = fileLocation(range);
  if (in.startsLocations || !in.caller || in.caller->startsLocations)
    return place;
  if (!in.callLocation)
    in.callLocation = locationIn(*in.caller, in.callRange);
  return CallSiteLoc::get(NameLoc::get(StringAttr::get(&context, in.name), place),
                          *in.callLocation);
}

Location Trace::location(SourceRange range) const { return locationIn(*frame, range); }

//===- Calls and limits -----------------------------------------------------------------------===//

/// The call in the method that led here; null in the method itself.
const Frame *Trace::outermostCall() const {
  const Frame *first = frame;
  while (first->caller && !first->caller->isMethod)
    first = first->caller;
  return first->isMethod ? nullptr : first;
}

bool Trace::enterCall(Frame &next, SourceRange range) {
  if (frame->depth + 1 > maxCallDepth) {
    // The call that began it is what the user can understand; what lies between is the same over
    // and over.
    const Frame *first = outermostCall();
    diagnostics
        .report(Code::RecursionTooDeep, first ? first->callRange : range,
                "'" + (first ? first->name : next.name) +
                    "' does not come to an end within 200 nested calls")
        .note(range, "the call of '" + next.name + "' that is one too many");
    abandoned = true;
    return false;
  }
  next.depth = frame->depth + 1;
  next.caller = frame;
  next.callRange = range;
  return true;
}

bool Trace::count(SourceRange range, size_t more) {
  if (stopped())
    return false;
  steps += more;
  if (steps <= maxSteps)
    return true;
  // What the user wrote is the outermost call; where evaluation stopped tells what repeats.
  const Frame *first = outermostCall();
  std::string limit = "an end within 5 million steps of evaluation";
  if (first)
    diagnostics
        .report(Code::TooLarge, first->callRange, "'" + first->name + "' does not come to " + limit)
        .note(range, llvm::Twine(frame->depth) + (frame->depth == 1 ? " call" : " calls") +
                         " deep evaluation stopped here, in '" + frame->name + "'")
        .help("a function that calls another twice doubles the work at each level: name the result "
              "with 'let' and use it twice");
  else
    diagnostics.report(Code::TooLarge, range, "the method does not come to " + limit)
        .help("loops are unrolled: make the list shorter, or compute with a tensor: iota(n)");
  gaveUp = true;
  return false;
}

} // namespace doppel::spec
