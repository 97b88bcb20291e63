// Reads MLIR's nested locations the way a person reads an error: one file, one line, one name.
#include "codegen/artifact/Locations.h"

#include "dialects/plan/PlanDialect.h"

#include "llvm/ADT/TypeSwitch.h"

#include <tuple>

using namespace mlir;

namespace doppel {

bool SpecLocation::operator<(const SpecLocation &other) const {
  return std::tie(file, line, column, expression) <
         std::tie(other.file, other.line, other.column, other.expression);
}

std::optional<Location> originOf(Location location) {
  auto fused = dyn_cast<FusedLoc>(location);
  if (!fused || fused.getMetadata() != plan::originMark(location.getContext()))
    return std::nullopt;
  return fused.getLocations().back();
}

static bool isLibrary(StringRef file) { return file.starts_with("std/"); }

/// Fills in what is still missing: the outermost name, and the innermost place in the spec, or in
/// the library where the spec has no part in it.
static void visit(Location location, SpecLocation &found) {
  llvm::TypeSwitch<LocationAttr>(location)
      .Case([&](FileLineColRange place) {
        if (!found.file.empty() && (!isLibrary(found.file) || isLibrary(place.getFilename())))
          return;
        found.file = place.getFilename().str();
        found.line = place.getStartLine();
        found.column = place.getStartColumn();
        found.endColumn = place.getEndLine() == found.line ? place.getEndColumn() : found.column;
      })
      .Case([&](NameLoc name) {
        if (found.expression.empty())
          found.expression = name.getName().str();
        visit(name.getChildLoc(), found);
      })
      .Case([&](FusedLoc fused) {
        if (originOf(fused))
          return visit(fused.getLocations().front(), found);
        for (Location part : fused.getLocations())
          visit(part, found);
      })
      .Case([&](CallSiteLoc call) {
        visit(call.getCallee(), found);
        visit(call.getCaller(), found);
      });
}

SpecLocation describeLocation(Location location, StringRef fallback) {
  SpecLocation found;
  visit(location, found);
  if (found.expression.empty())
    found.expression = fallback.str();
  return found;
}

} // namespace doppel
