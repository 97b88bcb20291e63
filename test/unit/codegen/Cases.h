// A case for each operation that a kernel or a library computes, as text of nn. OperationCases.cpp
// makes functions of it, for each type that ODS allows and each entry of the operation's enum.
#pragma once

#include "llvm/ADT/StringRef.h"

#include <string>
#include <vector>

namespace doppel::codegen {

/// Entries of an enum of the dialect.
enum class Entries { None, ReduceKinds, Predicates, RunValues, Distributions, Transforms };

/// A function @f. In its text stand
///
///   $T, $U  an element type; the operation allows it or not
///   $K      an entry
///   $R, $C  sizes: spans several blocks, and is no multiple of a vector, a warp or a block
///   $V, $W  tensor<$Rx$Cx$T>, tensor<$Rx$Cx$U>; $B of i1
///   $X, $P  attributes of an argument: any numbers, numbers above zero
struct Case {
  const char *operation; ///< without its dialect
  std::string text;
  Entries entries = Entries::None;
  /// Element by element: infinities, NaN and the like are tried with each other, too, and each
  /// element's error is relative to the element; else, where that is small, to a sixteenth of the
  /// greatest.
  bool elementwise = false;
  double units = 8;     ///< greatest error, in units of the type's last digit
  bool cancels = false; ///< elementwise, but what is left of a difference has few digits
  bool inF32 = false;   ///< is of f32's digits in f64, too
};

/// All of them.
const std::vector<Case> &cases();

/// A stage that does `transform`, behind the crop that it needs.
std::string stagesOf(llvm::StringRef transform);

} // namespace doppel::codegen
