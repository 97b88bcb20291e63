// From the text of a spec to its syntax tree.
#pragma once

#include "frontends/spec/Ast.h"
#include "frontends/spec/Diagnostics.h"

namespace doppel::spec {

/// Parses a file of `sources`. Always gives a tree: what could not be parsed has been reported and
/// is missing in it, or stands as an ErrorExpr.
SourceFile parse(const SourceManager &sources, uint32_t file, AstContext &context,
                 Diagnostics &diagnostics);

} // namespace doppel::spec
