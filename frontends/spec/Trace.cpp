// Calls, and the messages and locations that name them; see Trace.h.
#include "frontends/spec/Trace.h"

#include "frontends/spec/Units.h"
#include "mlir/IR/Builders.h"

namespace doppel::spec {

using namespace mlir;

constexpr unsigned maxCallDepth = 200;
constexpr size_t maxEvaluations = 50'000'000;

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
  LineColumn at = sources.lineColumn(range.file, range.begin);
  return FileLineColLoc::get(&context, sources.path(range.file), at.line, at.column);
}

Location Trace::location(SourceRange range) const {
  Location place = fileLocation(range);
  if (!frame->callLocation)
    return place;
  return CallSiteLoc::get(NameLoc::get(StringAttr::get(&context, frame->name), place),
                          *frame->callLocation);
}

//===- Calls and limits -----------------------------------------------------------------------===//

bool Trace::enterCall(Frame &next, SourceRange range) {
  if (frame->depth + 1 > maxCallDepth) {
    // The call that began it is what the user can understand; what lies between is the same over
    // and over.
    const Frame *first = frame;
    while (first->caller && !first->caller->isMethod)
      first = first->caller;
    SourceRange began = first->callRange;
    diagnostics
        .report(Code::RecursionTooDeep, began.isValid() ? began : range,
                "'" + first->name + "' does not come to an end within 200 nested calls")
        .note(range, "the call of '" + next.name + "' that is one too many");
    abandoned = true;
    return false;
  }
  next.depth = frame->depth + 1;
  next.caller = frame;
  next.callRange = range;
  if (!next.startsLocations && !frame->startsLocations)
    next.callLocation = location(range);
  return true;
}

bool Trace::countEvaluation(SourceRange range) {
  if (stopped())
    return false;
  if (++evaluations > maxEvaluations) {
    report(Code::TooLarge, range, "the spec does not come to an end within 50 million evaluations");
    gaveUp = true;
    return false;
  }
  return true;
}

} // namespace doppel::spec
