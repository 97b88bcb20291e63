// The recursive-descent parser, private to Parse*.cpp. The grammar is docs/language.md.
//
// Errors: the first error of a statement is reported and sets `panicking`, which silences the rest
// of the statement; the loop over statements then skips to where the next one begins. So one
// mistake gives one message, and the statements around it are still seen.
#pragma once

#include "frontends/spec/Lexer.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"

namespace doppel::spec {

/// Whose statements a body holds.
enum class Body { Function, Net, Method };

/// "loss", "view", "parameter", ...: words that begin an item of a method or a net.
bool isItemWord(llvm::StringRef word);

class ParserImpl {
public:
  ParserImpl(const SourceManager &sources, uint32_t file, AstContext &context,
             Diagnostics &diagnostics)
      : sources(sources), file(file), context(context), diagnostics(diagnostics),
        tokens(lex(sources, file, context, diagnostics)) {}

  SourceFile parseFile();

private:
  using Statements = llvm::SmallVector<const Stmt *, 16>;

  // Tokens.
  const Token &current() const { return tokens[position]; }
  const Token &peek(size_t ahead = 1) const {
    return tokens[std::min(position + ahead, tokens.size() - 1)];
  }
  bool at(TokenKind kind) const { return current().kind == kind; }
  bool atWord(llvm::StringRef word) const {
    return at(TokenKind::Identifier) && current().text == word;
  }
  /// A line end that ends a statement: outside of ( ) and [ ].
  bool atLineEnd() const { return current().firstOnLine && brackets == 0; }
  /// What begins here is expected to stand on a new line, so the line end before it says nothing.
  void joinLine() { tokens[position].firstOnLine = false; }
  const Token &advance();
  /// Takes an operator, '=' or ',': what it wants may stand on the next line.
  const Token &advanceInto();
  bool accept(TokenKind kind);
  bool acceptInto(TokenKind kind);
  bool acceptWord(llvm::StringRef word);
  bool expect(TokenKind kind, llvm::StringRef purpose);
  /// Takes the '=' of a declaration.
  bool expectValue(llvm::StringRef purpose);
  bool beginsStatement() const;
  /// Takes the closing bracket, or reports with a note at the opening one.
  bool expectClose(TokenKind kind, const Token &open);
  Name expectName(llvm::StringRef purpose);
  SourceRange from(SourceRange begin) const;
  /// "a name", "'loss'", "the end of the line": what stands here.
  std::string found() const;
  /// Where to say that something is missing: here, or behind the last token if this one begins a
  /// line.
  SourceRange missingPlace() const;

  // Errors.
  Diagnostic *error(Code code, SourceRange range, const llvm::Twine &message);
  void expected(const llvm::Twine &what);
  void skipToStatement(size_t begin);
  void skipIndented(SourceRange begin);
  void skipToDeclaration();
  bool beginsDeclaration() const;
  /// Gives up on the whole file.
  void stop() {
    position = tokens.size() - 1;
    stopped = true;
  }

  /// Counts nesting while it lives; `ok` is false, and the error reported, when there is too much.
  struct Nesting {
    explicit Nesting(ParserImpl &parser) : parser(parser), ok(parser.enter()) {}
    ~Nesting() { --parser.depth; }
    Nesting(const Nesting &) = delete;
    ParserImpl &parser;
    const bool ok;
  };
  bool enter();
  /// Counts an operator of the statement; true, and the error reported, when there are too many.
  bool tooManyOperators();

  // Declarations (ParseFile.cpp).
  const Decl *parseDeclaration();
  const Decl *parseUse();
  const Decl *parseFunction(bool isAugment);
  const Decl *parseNet();
  const Decl *parseMethod();
  llvm::ArrayRef<Parameter> parseParameters();
  const TypeExpr *parseType();
  llvm::ArrayRef<const Stmt *> parseFunctionBody();

  // Statements (ParseItems.cpp).
  llvm::ArrayRef<const Stmt *> parseBlock(Body body);
  const Stmt *parseStatement(Body body);
  bool beginsItem(llvm::StringRef word, Body body) const;
  const Stmt *parseItem(Body body);
  const Stmt *parseMisplaced(Body body);
  const Stmt *parseIf(Body body);
  const Stmt *parseFor();
  const Stmt *parseReturn();
  const Stmt *parseLet();
  const Stmt *parseForward();
  const Stmt *parseTensorDecl(StmtKind kind);
  const Stmt *parseParam();
  const Stmt *parseView();
  const Expr *parseWhen();
  const Expr *parsePath(llvm::StringRef purpose, bool withNumbers = false);
  const Stmt *parseUpdate(Body body);
  const Stmt *parseOptimize();
  const Stmt *parseSimple(Body body);

  // What warnings a statement may have (ParseFile.cpp).
  bool atAllow() const {
    return atWord("allow") && !peek().firstOnLine &&
           (peek().kind == TokenKind::Identifier || peek().kind == TokenKind::String);
  }
  const AllowStmt *parseAllow();
  /// The allowances since the last statement cover the one that began at `begin`.
  void allowIn(llvm::ArrayRef<Allowance> before, SourceRange begin);
  /// Allowances at the end of a body cover nothing.
  void refuseAllowances();
  void expectMoment();
  bool parseMoment(Moment &moment, SourceRange &range);
  Pattern parsePattern();

  // Expressions (ParseExprs.cpp), from the loosest to the tightest.
  const Expr *parseExpr();
  const Expr *parsePipe();
  const Expr *parseCompose();
  const Expr *parseOr();
  const Expr *parseAnd();
  const Expr *parseNot();
  const Expr *parseComparison();
  const Expr *parseRange();
  const Expr *parseSum();
  const Expr *parseProduct();
  const Expr *parseUnary();
  const Expr *parsePower();
  const Expr *parsePostfix();
  const Expr *parsePrimary();
  const Expr *parseParenthesised();
  const Expr *parseList();
  const Expr *parseComprehension(const Token &open, const Expr *element);
  const Expr *parseClauses(const Expr *element, SourceRange begin);
  const Expr *parseCall(const Expr *callee);
  const Expr *parseIndex(const Expr *base);
  const Expr *parseMember(const Expr *base);
  const Expr *parseElement();
  ComposePart parsePart();
  bool beginsExpression() const;
  const Expr *errorExpr(SourceRange range) { return context.create<ErrorExpr>(range); }
  template <typename Next, typename Match> const Expr *parseLeftAssociative(Next next, Match match);

  const SourceManager &sources;
  uint32_t file;
  AstContext &context;
  Diagnostics &diagnostics;
  std::vector<Token> tokens;
  size_t position = 0;
  unsigned brackets = 0; ///< open ( and [: inside them line ends mean nothing
  unsigned depth = 0;
  bool openRanges = false; ///< in an index `a..` and `..b` are allowed
  bool labels = true;      ///< in an index `a:` is no label
  bool panicking = false;
  bool stopped = false;
  unsigned bracketsAtError = 0;
  llvm::SmallVector<Allowance, 1> allowances; ///< since the last statement
  unsigned operators = 0;                     ///< infix and postfix, of the statement at hand

  static constexpr unsigned maxDepth = 200;
  static constexpr unsigned maxOperators = 2000;
};

} // namespace doppel::spec
