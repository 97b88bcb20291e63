// Cuts the text of a spec into tokens, all at once; the last is Eof.
//
// A character without a meaning is reported and becomes Unknown, about which the parser says
// nothing more. Every token knows whether it is the first on its line, which is all that the
// grammar needs of line ends, and carries the doc comment above it. Who needs all comments, as the
// formatter does, gets them in a list of their own.
#pragma once

#include "frontends/spec/Ast.h"
#include "frontends/spec/Diagnostics.h"

#include <vector>

namespace doppel::spec {

enum class TokenKind {
#define TOKEN(name, text) name,
#define KEYWORD(name, text) name,
#include "frontends/spec/Tokens.def"
};

struct Token {
  TokenKind kind;
  SourceRange range;
  bool firstOnLine = false;
  llvm::StringRef text; ///< as written; of a String, with its escapes resolved
  llvm::StringRef doc;  ///< the `///` lines right above, joined by '\n', without the slashes
  int64_t intValue = 0;
  double floatValue = 0;
};

/// A comment of either kind, from its slashes to the last character of its line that is not blank.
struct Comment {
  SourceRange range;
  bool firstOnLine; ///< false behind a token
};

/// "'('", "a name", "the end of the file": for messages.
llvm::StringRef describe(TokenKind kind);
bool isKeyword(TokenKind kind);

/// The largest file that is read, in bytes.
constexpr size_t maxFileBytes = 4 << 20;

/// Tokens of a file of `sources`; strings that are not in the text itself are kept in `context`.
/// Adds the comments to `comments` if there is such a list.
std::vector<Token> lex(const SourceManager &sources, uint32_t file, AstContext &context,
                       Diagnostics &diagnostics, std::vector<Comment> *comments = nullptr);

} // namespace doppel::spec
