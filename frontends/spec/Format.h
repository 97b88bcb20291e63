// The one layout of a spec: `doppel fmt`.
//
// Line breaks are the writer's; all other blanks are set by the rules in Format.cpp. Tokens, their
// order, their lines and the words of comments never change, and what is laid out once stays as it
// is.
#pragma once

#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>

namespace llvm {
class raw_ostream;
} // namespace llvm

namespace doppel::spec {

/// `text` in the layout of the language; messages call it `name`. With errors of syntax there is no
/// result: they are printed to `diagnostics`. A result that would not mean the same is a fatal
/// error.
std::optional<std::string> formatSpec(llvm::StringRef name, std::string text,
                                      llvm::raw_ostream &diagnostics, bool colour);

} // namespace doppel::spec
