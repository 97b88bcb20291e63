// Files and declarations, and how the parser finds its way after an error; see ParserImpl.h.
#include "frontends/spec/Parser.h"
#include "frontends/spec/ParserImpl.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"

#include <optional>

namespace doppel::spec {

SourceFile parse(const SourceManager &sources, uint32_t file, AstContext &context,
                 Diagnostics &diagnostics) {
  return ParserImpl(sources, file, context, diagnostics).parseFile();
}

bool isItemWord(llvm::StringRef word) {
  return llvm::StringSwitch<bool>(word)
      .Cases({"param", "view", "state", "loss", "metric", "update", "optimize", "represent"}, true)
      .Cases({"parameter", "buffer", "forward"}, true)
      .Default(false);
}

static bool isStatementKeyword(TokenKind kind) {
  return kind == TokenKind::Let || kind == TokenKind::Return || kind == TokenKind::Net ||
         kind == TokenKind::Fn || kind == TokenKind::Use;
}

bool ParserImpl::beginsStatement() const {
  const Token &token = current();
  return token.firstOnLine && (isStatementKeyword(token.kind) ||
                               (isItemWord(token.text) && peek().kind == TokenKind::Identifier));
}

//===- Tokens ---------------------------------------------------------------------------------===//

const Token &ParserImpl::advance() {
  const Token &token = current();
  if (token.kind != TokenKind::Eof)
    ++position;
  return token;
}

const Token &ParserImpl::advanceInto() {
  const Token &token = advance();
  if (!beginsStatement()) // else something is missing, and the line end tells where
    joinLine();
  return token;
}

bool ParserImpl::acceptInto(TokenKind kind) {
  if (!at(kind))
    return false;
  advanceInto();
  return true;
}

bool ParserImpl::accept(TokenKind kind) {
  if (!at(kind))
    return false;
  advance();
  return true;
}

bool ParserImpl::acceptWord(llvm::StringRef word) {
  if (!atWord(word))
    return false;
  advance();
  return true;
}

bool ParserImpl::expect(TokenKind kind, llvm::StringRef purpose) {
  if (accept(kind))
    return true;
  expected(describe(kind) + " " + purpose);
  return false;
}

bool ParserImpl::expectValue(llvm::StringRef purpose) {
  if (acceptInto(TokenKind::Equal))
    return true;
  expected("'=' " + purpose);
  return false;
}

bool ParserImpl::expectClose(TokenKind kind, const Token &open) {
  if (accept(kind))
    return true;
  if (panicking)
    return false;
  bool separates = kind != TokenKind::RightBrace && beginsExpression();
  if (Diagnostic *unclosed = error(Code::UnclosedBracket, missingPlace(),
                                   llvm::Twine("expected ") + (separates ? "',' or " : "") +
                                       describe(kind) + ", found " + found()))
    unclosed->note(open.range, "to close this " + describe(open.kind));
  return false;
}

Name ParserImpl::expectName(llvm::StringRef purpose) {
  const Token &token = current();
  if (at(TokenKind::Identifier)) {
    advance();
    if (token.text == "__metadata__")
      error(
          Code::ReservedName, token.range,
          "'__metadata__' is no state's name: checkpoints are safetensors files, which keep their "
          "own text under it");
    return {token.text, token.range};
  }
  if (isKeyword(token.kind)) {
    error(Code::ReservedName, token.range,
          "'" + token.text + "' is a reserved word and cannot be " + purpose);
    return {"", token.range};
  }
  expected(purpose);
  return {"", token.range};
}

SourceRange ParserImpl::from(SourceRange begin) const {
  return position == 0 ? begin : SourceRange::cover(begin, tokens[position - 1].range);
}

std::string ParserImpl::found() const {
  if (at(TokenKind::Eof))
    return "the end of the file";
  if (atLineEnd())
    return "the end of the line";
  if (at(TokenKind::Identifier) || at(TokenKind::Int) || at(TokenKind::Float))
    return ("'" + current().text + "'").str();
  return describe(current().kind).str();
}

SourceRange ParserImpl::missingPlace() const {
  const Token &token = current();
  if ((!token.firstOnLine && token.kind != TokenKind::Eof) || position == 0)
    return token.range;
  SourceRange last = tokens[position - 1].range;
  return {file, last.end, last.end};
}

//===- Errors ---------------------------------------------------------------------------------===//

/// Null while an earlier error of the same statement is being left behind.
Diagnostic *ParserImpl::error(Code code, SourceRange range, const llvm::Twine &message) {
  if (panicking || stopped)
    return nullptr;
  panicking = true;
  bracketsAtError = brackets;
  if (at(TokenKind::Unknown)) // the lexer has said it
    return nullptr;
  return &diagnostics.report(code, range, message);
}

void ParserImpl::expected(const llvm::Twine &what) {
  Diagnostic *missing =
      error(Code::ExpectedToken, missingPlace(), "expected " + what + ", found " + found());
  if (!missing || !at(TokenKind::Identifier) || atLineEnd())
    return;
  static constexpr llvm::StringRef clauseWords[] = {
      "when", "after", "before", "with", "matching", "where", "forward", "loss", "except", "step"};
  if (auto near = nearestName(current().text, clauseWords); near && *near != current().text)
    missing->help("did you mean '" + *near + "'?");
}

bool ParserImpl::enter() {
  if (++depth <= maxDepth)
    return true;
  if (depth == maxDepth + 1)
    error(Code::NestingTooDeep, current().range,
          "this is nested more than " + llvm::Twine(maxDepth) + " deep");
  panicking = true;
  stop();
  return false;
}

/// Operators to the left nest as deep as their chain is long, so their number has a limit as well:
/// whoever walks the tree may recurse.
bool ParserImpl::tooManyOperators() {
  if (++operators <= maxOperators)
    return false;
  error(Code::NestingTooDeep, current().range,
        "this statement has more than " + llvm::Twine(maxOperators) + " operators");
  return true;
}

/// To the next line that begins a statement, or to the brace that closes the body; `begin` is where
/// the bad statement began. Line ends inside of brackets that it opened do not count, unless a word
/// that only begins statements comes first.
void ParserImpl::skipToStatement(size_t begin) {
  panicking = false;
  brackets = 0;
  int open = bracketsAtError;
  for (; !at(TokenKind::Eof); advance()) {
    const Token &token = current();
    if (position > begin && token.firstOnLine && (open <= 0 || beginsStatement()))
      return;
    if (token.kind == TokenKind::Semicolon && open <= 0)
      return;
    if (token.kind == TokenKind::LeftParen || token.kind == TokenKind::LeftBracket ||
        token.kind == TokenKind::LeftBrace)
      ++open;
    if (token.kind == TokenKind::RightParen || token.kind == TokenKind::RightBracket)
      --open;
    if (token.kind == TokenKind::RightBrace && --open < 0)
      return;
  }
}

bool ParserImpl::beginsDeclaration() const {
  const Token &token = current();
  if (!token.firstOnLine)
    return false;
  if (token.kind == TokenKind::Use || token.kind == TokenKind::Fn)
    return true;
  // A net of a method is `net name =`, one of the file `net name(`.
  if (token.kind == TokenKind::Net)
    return peek(2).kind == TokenKind::LeftParen;
  return (token.text == "method" || token.text == "augment" || token.text == "allow") &&
         peek().kind == TokenKind::Identifier && !peek().firstOnLine;
}

void ParserImpl::skipToDeclaration() {
  panicking = false;
  brackets = 0;
  do
    advance();
  while (!at(TokenKind::Eof) && !beginsDeclaration());
}

//===- Declarations ---------------------------------------------------------------------------===//

SourceFile ParserImpl::parseFile() {
  llvm::SmallVector<const Decl *, 16> decls;
  while (!at(TokenKind::Eof) && !diagnostics.isFull()) {
    size_t before = position;
    llvm::SmallVector<Allowance, 1> own = std::exchange(allowances, {});
    bool isAllow = atAllow();
    const Decl *decl = parseDeclaration();
    if (isAllow)
      allowances.insert(allowances.begin(), own.begin(), own.end());
    else
      allowIn(own, tokens[before].range);
    if (decl)
      decls.push_back(decl);
    if (panicking && (position == before || !beginsDeclaration()))
      skipToDeclaration();
    panicking = false;
  }
  refuseAllowances();
  return {file, context.copy(decls)};
}

const Decl *ParserImpl::parseDeclaration() {
  operators = 0;
  if (at(TokenKind::Use))
    return parseUse();
  if (at(TokenKind::Fn))
    return parseFunction(/*isAugment=*/false);
  if (at(TokenKind::Net))
    return parseNet();
  if (atWord("augment"))
    return parseFunction(/*isAugment=*/true);
  if (atWord("method"))
    return parseMethod();
  if (atAllow()) {
    const AllowStmt *allow = parseAllow();
    return allow ? context.create<AllowDecl>(allow) : nullptr;
  }
  if (accept(TokenKind::Semicolon))
    return nullptr;
  if (at(TokenKind::RightBrace)) {
    error(Code::UnclosedBracket, current().range, "this '}' closes nothing");
    return nullptr;
  }
  joinLine();
  llvm::StringRef word = current().text;
  Diagnostic *misplaced =
      error(Code::ExpectedToken, current().range,
            "expected 'use', 'fn', 'net', 'augment' or 'method', found " + found());
  if (misplaced && at(TokenKind::Identifier)) {
    llvm::StringRef here = llvm::StringSwitch<llvm::StringRef>(word)
                               .Cases({"import", "from"}, "use std.{nets, losses, augment}")
                               .Cases({"def", "lambda", "function"}, "fn name(x) { ... }")
                               .Case("class", "net name(n: int) { ... }, or method Name { ... }")
                               .Default({});
    if (!here.empty())
      misplaced->help("write " + here);
    else if (isItemWord(word))
      misplaced->help("'" + word + "' stands inside of a method or a net");
    else if (auto near = nearestName(word, {"use", "fn", "net", "augment", "method"}))
      misplaced->help("did you mean '" + *near + "'?");
  }
  return nullptr;
}

/// `allow CODE "reason"`.
const AllowStmt *ParserImpl::parseAllow() {
  SourceRange begin = advance().range;
  if (at(TokenKind::String)) {
    if (Diagnostic *missing = error(Code::BadAllowance, current().range,
                                    "the code of the warning is missing before the reason"))
      missing->help("the code stands in the warning: allow W0504 \"why it is meant\"");
    return nullptr;
  }
  Name code{current().text, current().range};
  advance();
  const CodeInfo *entry = findCode(code.text);
  if (!entry || !entry->isWarning()) {
    if (Diagnostic *unknown = error(
            Code::BadAllowance, code.range,
            "'" + code.text + "' is " +
                (entry ? "an error, and only warnings can be allowed" : "the code of no warning")))
      unknown->help("the code stands in the warning: allow W0504 \"why it is meant\"");
    return nullptr;
  }
  if (!at(TokenKind::String) || current().text.trim().empty()) {
    if (Diagnostic *missing = error(Code::BadAllowance, missingPlace(),
                                    "why " + code.text + " is allowed is missing"))
      missing->help("write the reason behind the code: allow " + code.text +
                    " \"why it is meant\"");
    return nullptr;
  }
  llvm::StringRef reason = advance().text;
  SourceRange whole = from(begin);
  Code number = Code(entry - catalogue().data());
  allowances.push_back({number, whole, {}});
  return context.create<AllowStmt>(whole, code, reason);
}

void ParserImpl::allowIn(llvm::ArrayRef<Allowance> before, SourceRange begin) {
  for (Allowance allowance : before) {
    allowance.covers = from(begin);
    diagnostics.allow(allowance);
  }
}

void ParserImpl::refuseAllowances() {
  for (const Allowance &allowance : std::exchange(allowances, {}))
    diagnostics.report(Code::BadAllowance, allowance.range, "nothing follows that this could allow")
        .help("it stands before the item, statement or declaration that it is about");
}

const Decl *ParserImpl::parseUse() {
  SourceRange begin = advance().range;
  if (at(TokenKind::String)) {
    const Token path = advance();
    if (!acceptWord("as")) {
      expected("'as' and a name after the path");
      return nullptr;
    }
    Name alias = expectName("the name of the file in this one");
    return context.create<UseDecl>(from(begin), path.text, path.range, alias);
  }
  if (!acceptWord("std")) {
    expected("'std' or a path in quotes after 'use'");
    return nullptr;
  }
  if (!expect(TokenKind::Dot, "after 'std'"))
    return nullptr;
  llvm::SmallVector<Name, 4> modules;
  if (at(TokenKind::LeftBrace)) {
    const Token open = advance();
    do
      modules.push_back(expectName("the name of a library module"));
    while (!panicking && acceptInto(TokenKind::Comma) && !at(TokenKind::RightBrace));
    expectClose(TokenKind::RightBrace, open);
  } else {
    modules.push_back(expectName("the name of a library module"));
  }
  if (panicking)
    return nullptr;
  return context.create<UseDecl>(from(begin), context.copy(modules));
}

const Decl *ParserImpl::parseFunction(bool isAugment) {
  llvm::StringRef doc = current().doc;
  SourceRange begin = advance().range;
  Name name = expectName("the name of the function");
  if (panicking)
    return nullptr;
  llvm::ArrayRef<Parameter> parameters = parseParameters();
  if (panicking)
    return nullptr;
  const TypeExpr *result = accept(TokenKind::Arrow) ? parseType() : nullptr;
  llvm::ArrayRef<const Stmt *> body = parseFunctionBody();
  return context.create<FunctionDecl>(from(begin), name, parameters, result, body, isAugment, doc);
}

const Decl *ParserImpl::parseNet() {
  llvm::StringRef doc = current().doc;
  SourceRange begin = advance().range;
  Name name = expectName("the name of the net");
  if (panicking)
    return nullptr;
  llvm::ArrayRef<Parameter> parameters = parseParameters();
  if (panicking)
    return nullptr;
  llvm::ArrayRef<const Stmt *> body = parseBlock(Body::Net);
  return context.create<NetDecl>(from(begin), name, parameters, body, doc);
}

const Decl *ParserImpl::parseMethod() {
  llvm::StringRef doc = current().doc;
  SourceRange begin = advance().range;
  Name name = expectName("the name of the method");
  if (panicking)
    return nullptr;
  llvm::ArrayRef<const Stmt *> body = parseBlock(Body::Method);
  return context.create<MethodDecl>(from(begin), name, body, doc);
}

llvm::ArrayRef<Parameter> ParserImpl::parseParameters() {
  llvm::SmallVector<Parameter, 8> parameters;
  llvm::StringMap<SourceRange> names;
  if (!at(TokenKind::LeftParen)) {
    expected("'(' and the parameters");
    return {};
  }
  const Token open = advance();
  ++brackets;
  while (!at(TokenKind::RightParen) && !panicking) {
    Parameter parameter{expectName("the name of a parameter"), nullptr, nullptr};
    if (panicking)
      break;
    if (accept(TokenKind::Colon))
      parameter.type = parseType();
    if (acceptInto(TokenKind::Equal))
      parameter.fallback = parseExpr();
    else if (!parameters.empty() && parameters.back().fallback)
      diagnostics
          .report(Code::DefaultBeforeRequired, parameter.name.range,
                  "'" + parameter.name.text + "' has no default but follows '" +
                      parameters.back().name.text + "', which has one")
          .note(parameters.back().name.range, "this one has a default");
    if (auto [first, isNew] = names.try_emplace(parameter.name.text, parameter.name.range); !isNew)
      diagnostics
          .report(Code::DuplicateName, parameter.name.range,
                  "parameter '" + parameter.name.text + "' is declared twice")
          .note(first->second, "first here");
    parameters.push_back(parameter);
    if (!acceptInto(TokenKind::Comma))
      break;
  }
  expectClose(TokenKind::RightParen, open);
  if (brackets > 0)
    --brackets;
  return context.copy(parameters);
}

const TypeExpr *ParserImpl::parseType() {
  Nesting nesting(*this);
  SourceRange begin = current().range;
  if (!nesting.ok)
    return nullptr;
  if (at(TokenKind::LeftBracket)) {
    const Token open = advance();
    ++brackets;
    const TypeExpr *element = parseType();
    expectClose(TokenKind::RightBracket, open);
    --brackets;
    return context.create<TypeExpr>(from(begin), Name(), element, false,
                                    llvm::ArrayRef<const Expr *>());
  }
  Name name;
  if (at(TokenKind::Fn) || at(TokenKind::Net)) {
    const Token keyword = advance();
    name = {keyword.text, keyword.range};
  } else {
    name = expectName("a type");
  }
  if (panicking)
    return nullptr;
  llvm::SmallVector<const Expr *, 4> dims;
  bool hasDims = at(TokenKind::LeftBracket) && !atLineEnd();
  if (hasDims) {
    const Token open = advance();
    ++brackets;
    while (!at(TokenKind::RightBracket) && !panicking) {
      dims.push_back(parseExpr());
      if (!acceptInto(TokenKind::Comma))
        break;
    }
    expectClose(TokenKind::RightBracket, open);
    --brackets;
  }
  return context.create<TypeExpr>(from(begin), name, nullptr, hasDims, context.copy(dims));
}

llvm::ArrayRef<const Stmt *> ParserImpl::parseFunctionBody() {
  if (!at(TokenKind::Equal))
    return parseBlock(Body::Function);
  advanceInto();
  const Expr *value = parseExpr();
  const Stmt *result = context.create<ReturnStmt>(value->range, value);
  return context.copy(llvm::ArrayRef<const Stmt *>(result));
}

} // namespace doppel::spec
