// Where in the spec an instruction comes from, and what expression it computes.
#pragma once

#include "mlir/IR/Location.h"
#include "mlir/IR/Operation.h"

#include <optional>
#include <string>

namespace doppel {

struct SpecLocation {
  std::string file; ///< empty if unknown
  uint32_t line = 0, column = 0;
  uint32_t endColumn = 0; ///< behind the expression, if it ends on the line, else `column`
  std::string expression; ///< "grad of conv2d": the location's name, or else `fallback`

  bool operator<(const SpecLocation &other) const;
};

/// The innermost place in the spec, or in the language's library for what a net of it does.
SpecLocation describeLocation(mlir::Location location, llvm::StringRef fallback);

/// What plan::withOrigin added to the location.
std::optional<mlir::Location> originOf(mlir::Location location);

} // namespace doppel
