// Files, declarations and statements, and how the parser finds its way after an error; see ParserImpl.h.
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

//===- Tokens -------------------------------------------------------------------------------------------------------===//

const Token &ParserImpl::advance() {
  const Token &token = current();
  if (token.kind != TokenKind::Eof)
    ++position;
  return token;
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

//===- Errors -------------------------------------------------------------------------------------------------------===//

/// Null while an earlier error of the same statement is being left behind.
Diagnostic *ParserImpl::error(Code code, SourceRange range, const llvm::Twine &message) {
  if (panicking)
    return nullptr;
  panicking = true;
  return &diagnostics.report(code, range, message);
}

void ParserImpl::expected(const llvm::Twine &what) {
  error(Code::ExpectedToken, missingPlace(), "expected " + what + ", found " + found());
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

/// A chain of operators makes a tree as deep as it is long, so its length has a limit as well.
bool ParserImpl::chainTooLong(unsigned length) {
  if (length < maxChain)
    return false;
  error(Code::NestingTooDeep, current().range,
        "this chain has more than " + llvm::Twine(maxChain) + " operators");
  return true;
}

static bool isItemWord(llvm::StringRef word) {
  return llvm::StringSwitch<bool>(word)
      .Cases({"param", "view", "state", "loss", "metric", "update", "optimize", "represent"}, true)
      .Cases({"parameter", "buffer", "forward"}, true)
      .Default(false);
}

static bool isStatementKeyword(TokenKind kind) {
  return kind == TokenKind::Let || kind == TokenKind::Return || kind == TokenKind::Net ||
         kind == TokenKind::Fn || kind == TokenKind::Use;
}

/// To the next line that begins a statement, or to the brace that closes the body. Line ends inside of brackets that the bad statement opened do not
/// count, unless a word that only begins statements comes first.
void ParserImpl::skipToStatement() {
  panicking = false;
  brackets = 0;
  int open = 0;
  for (bool first = true; !at(TokenKind::Eof); first = false) {
    const Token &token = current();
    if (token.firstOnLine && !first &&
        (open <= 0 || isStatementKeyword(token.kind) ||
         (isItemWord(token.text) && peek().kind == TokenKind::Identifier)))
      return;
    if (token.firstOnLine && first && isStatementKeyword(token.kind))
      return;
    if (token.kind == TokenKind::Semicolon && open <= 0) {
      advance();
      return;
    }
    if (token.kind == TokenKind::LeftParen || token.kind == TokenKind::LeftBracket ||
        token.kind == TokenKind::LeftBrace)
      ++open;
    if (token.kind == TokenKind::RightParen || token.kind == TokenKind::RightBracket)
      --open;
    if (token.kind == TokenKind::RightBrace) {
      if (open <= 0)
        return;
      --open;
    }
    advance();
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
  return (token.text == "method" || token.text == "augment") &&
         peek().kind == TokenKind::Identifier;
}

void ParserImpl::skipToDeclaration() {
  panicking = false;
  brackets = 0;
  do
    advance();
  while (!at(TokenKind::Eof) && !beginsDeclaration());
}

//===- Declarations ---------------------------------------------------------------------------------------------------===//

SourceFile ParserImpl::parseFile() {
  llvm::SmallVector<const Decl *, 16> decls;
  while (!at(TokenKind::Eof) && !diagnostics.isFull()) {
    size_t before = position;
    const Decl *decl = parseDeclaration();
    if (decl)
      decls.push_back(decl);
    if (panicking && (position == before || !beginsDeclaration()))
      skipToDeclaration();
    panicking = false;
  }
  return {file, context.copy(decls)};
}

const Decl *ParserImpl::parseDeclaration() {
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
  if (accept(TokenKind::Semicolon))
    return nullptr;
  if (at(TokenKind::RightBrace)) {
    error(Code::UnclosedBracket, current().range, "this '}' closes nothing");
    return nullptr;
  }
  llvm::StringRef word = current().text;
  Diagnostic *misplaced =
      error(Code::ExpectedToken, current().range,
            "expected 'use', 'fn', 'net', 'augment' or 'method', found " + found());
  if (misplaced && at(TokenKind::Identifier)) {
    if (isItemWord(word))
      misplaced->help("'" + word + "' stands inside of a method or a net");
    else if (auto near = nearestName(word, {"use", "fn", "net", "augment", "method"}))
      misplaced->help("did you mean '" + *near + "'?");
  }
  return nullptr;
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
    while (!panicking && accept(TokenKind::Comma) && !at(TokenKind::RightBrace));
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
    if (accept(TokenKind::Equal))
      parameter.fallback = parseExpr();
    else if (!parameters.empty() && parameters.back().fallback)
      diagnostics
          .report(Code::DefaultBeforeRequired, parameter.name.range,
                  "'" + parameter.name.text + "' has no default but follows '" +
                      parameters.back().name.text + "', which has one")
          .note(parameters.back().name.range, "this one has a default");
    for (const Parameter &earlier : parameters)
      if (earlier.name.text == parameter.name.text)
        diagnostics
            .report(Code::DuplicateName, parameter.name.range,
                    "parameter '" + parameter.name.text + "' is declared twice")
            .note(earlier.name.range, "first here");
    parameters.push_back(parameter);
    if (!accept(TokenKind::Comma))
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
  Name name = expectName("a type");
  if (panicking)
    return nullptr;
  llvm::SmallVector<const Expr *, 4> dims;
  bool hasDims = at(TokenKind::LeftBracket) && !atLineEnd();
  if (hasDims) {
    const Token open = advance();
    ++brackets;
    while (!at(TokenKind::RightBracket) && !panicking) {
      dims.push_back(parseExpr());
      if (!accept(TokenKind::Comma))
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
  advance();
  if (current().firstOnLine) // a long formula may stand alone on the next line
    tokens[position].firstOnLine = false;
  const Expr *value = parseExpr();
  const Stmt *result = context.create<ReturnStmt>(value->range, value);
  return context.copy(llvm::ArrayRef<const Stmt *>(result));
}

//===- Statements -------------------------------------------------------------------------------------------------------===//

llvm::ArrayRef<const Stmt *> ParserImpl::parseBlock(Body body) {
  Nesting nesting(*this);
  if (!nesting.ok)
    return {};
  if (!at(TokenKind::LeftBrace)) {
    expected("'{'");
    return {};
  }
  const Token open = advance();
  Statements statements;
  while (!at(TokenKind::RightBrace) && !at(TokenKind::Eof) && !diagnostics.isFull()) {
    if (accept(TokenKind::Semicolon))
      continue;
    if (beginsDeclaration() && body != Body::Function &&
        sources.lineColumn(file, current().range.begin).column == 1)
      break; // the body was never closed
    size_t before = position;
    const Stmt *statement = parseStatement(body);
    if (!panicking && !at(TokenKind::RightBrace) && !at(TokenKind::Semicolon) && !atLineEnd() &&
        !at(TokenKind::Eof))
      expected("the end of the statement");
    if (panicking) {
      skipToStatement();
      if (position == before && !at(TokenKind::RightBrace))
        advance();
    } else if (statement) {
      statements.push_back(statement);
    }
  }
  expectClose(TokenKind::RightBrace, open);
  return context.copy(statements);
}

static llvm::StringRef describe(Body body) {
  return body == Body::Function ? "a function" : body == Body::Net ? "a net" : "a method";
}

/// A word that is not reserved begins an item only where nothing else could be meant.
bool ParserImpl::beginsItem(llvm::StringRef word, Body body) const {
  const Token &next = peek();
  if (next.firstOnLine || next.kind == TokenKind::Eof || !isItemWord(word))
    return false;
  if (next.kind == TokenKind::Identifier)
    return true;
  if (word == "forward")
    return body == Body::Net && next.kind == TokenKind::LeftParen;
  if (body != Body::Method || (word != "loss" && word != "represent"))
    return isKeyword(next.kind) && next.kind != TokenKind::If && next.kind != TokenKind::For;
  return next.kind != TokenKind::Equal && next.kind != TokenKind::Dot;
}

const Stmt *ParserImpl::parseStatement(Body body) {
  const Token &token = current();
  switch (token.kind) {
  case TokenKind::Let:
    return parseLet();
  case TokenKind::If:
    return parseIf(body);
  case TokenKind::Return:
  case TokenKind::For:
    if (body != Body::Function) {
      error(Code::MisplacedItem, token.range,
            "'" + token.text + "' stands in a function or a forward; this is " + describe(body));
      return nullptr;
    }
    return token.kind == TokenKind::For ? parseFor() : parseReturn();
  case TokenKind::Fn:
  case TokenKind::Use:
    error(Code::MisplacedItem, token.range,
          "'" + token.text + "' stands at the top of a file; this is " + describe(body));
    return nullptr;
  case TokenKind::Net:
    if (body != Body::Method) {
      error(Code::MisplacedItem, token.range,
            "'net' stands in a method or at the top of a file; this is " + describe(body));
      return nullptr;
    }
    return parseItem(body);
  case TokenKind::Identifier:
    if (beginsItem(token.text, body))
      return parseItem(body);
    return parseSimple(body);
  default:
    expected(body == Body::Function ? "a statement"
             : body == Body::Net    ? "an item of the net"
                                    : "an item of the method");
    return nullptr;
  }
}

static std::optional<StmtKind> itemKind(llvm::StringRef word) {
  return llvm::StringSwitch<std::optional<StmtKind>>(word)
      .Case("param", StmtKind::Param)
      .Case("view", StmtKind::View)
      .Case("net", StmtKind::Net)
      .Case("state", StmtKind::State)
      .Case("loss", StmtKind::Loss)
      .Case("metric", StmtKind::Metric)
      .Case("update", StmtKind::Update)
      .Case("optimize", StmtKind::Optimize)
      .Case("represent", StmtKind::Represent)
      .Case("parameter", StmtKind::Parameter)
      .Case("buffer", StmtKind::Buffer)
      .Case("forward", StmtKind::Forward)
      .Default(std::nullopt);
}

const Stmt *ParserImpl::parseItem(Body body) {
  llvm::StringRef word = current().text;
  SourceRange begin = current().range;
  StmtKind kind = *itemKind(word);
  bool ofNet = kind == StmtKind::Parameter || kind == StmtKind::Buffer || kind == StmtKind::Forward;
  bool allowed = kind == StmtKind::Update ? body != Body::Net
                                          : body == (ofNet ? Body::Net : Body::Method);
  if (!allowed) {
    llvm::StringRef home = kind == StmtKind::Update ? "in a method or a forward"
                           : ofNet                  ? "in a net"
                                                    : "in a method";
    error(Code::MisplacedItem, begin,
          "'" + word + "' stands " + home + "; this is " + describe(body));
    return nullptr;
  }
  switch (kind) {
  case StmtKind::Param:
    return parseParam();
  case StmtKind::View:
    return parseView();
  case StmtKind::Update:
    return parseUpdate(body);
  case StmtKind::Optimize:
    return parseOptimize();
  case StmtKind::Forward:
    return parseForward();
  case StmtKind::State:
  case StmtKind::Parameter:
  case StmtKind::Buffer:
    return parseTensorDecl(kind);
  default:
    break;
  }
  advance();
  if (kind == StmtKind::Loss || kind == StmtKind::Represent) {
    const Expr *value = parseExpr();
    if (kind == StmtKind::Loss)
      return context.create<LossStmt>(from(begin), value);
    return context.create<RepresentStmt>(from(begin), value);
  }
  Name name = expectName(kind == StmtKind::Net ? "the name of the net" : "the name of the metric");
  if (panicking || !expect(TokenKind::Equal, "and a value after the name"))
    return nullptr;
  const Expr *value = parseExpr();
  if (kind == StmtKind::Net)
    return context.create<NetStmt>(from(begin), name, value);
  return context.create<MetricStmt>(from(begin), name, value);
}

const Stmt *ParserImpl::parseIf(Body body) {
  Nesting nesting(*this);
  if (!nesting.ok)
    return nullptr;
  SourceRange begin = advance().range;
  const Expr *condition = parseExpr();
  if (panicking)
    return nullptr;
  llvm::ArrayRef<const Stmt *> thenBody = parseBlock(body), elseBody;
  if (!panicking && accept(TokenKind::Else)) {
    if (at(TokenKind::If)) {
      if (const Stmt *chained = parseIf(body))
        elseBody = context.copy(llvm::ArrayRef<const Stmt *>(chained));
    } else {
      elseBody = parseBlock(body);
    }
  }
  return context.create<IfStmt>(from(begin), condition, thenBody, elseBody);
}

const Stmt *ParserImpl::parseFor() {
  SourceRange begin = advance().range;
  Pattern pattern = parsePattern();
  if (panicking || !expect(TokenKind::In, "after the names of a 'for'"))
    return nullptr;
  const Expr *iterable = parseExpr();
  if (panicking)
    return nullptr;
  llvm::ArrayRef<const Stmt *> body = parseBlock(Body::Function);
  return context.create<ForStmt>(from(begin), pattern, iterable, body);
}

const Stmt *ParserImpl::parseReturn() {
  SourceRange begin = advance().range;
  llvm::SmallVector<const Expr *, 4> values{parseExpr()};
  while (!panicking && accept(TokenKind::Comma))
    values.push_back(parseExpr());
  const Expr *value = values[0];
  if (values.size() > 1)
    value = context.create<TupleExpr>(SourceRange::cover(values.front()->range,
                                                         values.back()->range),
                                      context.copy(values));
  return context.create<ReturnStmt>(from(begin), value);
}

Pattern ParserImpl::parsePattern() {
  const Token open = current();
  TokenKind close = TokenKind::Eof;
  if (accept(TokenKind::LeftParen))
    close = TokenKind::RightParen;
  else if (accept(TokenKind::LeftBracket))
    close = TokenKind::RightBracket;
  llvm::SmallVector<Name, 4> names;
  do
    names.push_back(expectName("a name"));
  while (!panicking && accept(TokenKind::Comma));
  if (close != TokenKind::Eof)
    expectClose(close, open);
  for (size_t i = 0; i < names.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (names[i].text == names[j].text && names[i].text != "_" && !names[i].text.empty())
        diagnostics
            .report(Code::DuplicateName, names[i].range,
                    "'" + names[i].text + "' stands twice in one list of names")
            .note(names[j].range, "first here");
  return {context.copy(names), from(open.range)};
}

const Stmt *ParserImpl::parseLet() {
  SourceRange begin = advance().range;
  Pattern pattern = parsePattern();
  if (panicking || !expect(TokenKind::Equal, "and a value after the name"))
    return nullptr;
  const Expr *value = parseExpr();
  return context.create<LetStmt>(from(begin), pattern, value);
}

const Stmt *ParserImpl::parseForward() {
  SourceRange begin = advance().range;
  llvm::ArrayRef<Parameter> parameters = parseParameters();
  if (panicking)
    return nullptr;
  llvm::ArrayRef<const Stmt *> body = parseFunctionBody();
  return context.create<ForwardStmt>(from(begin), begin, parameters, body);
}

const Stmt *ParserImpl::parseTensorDecl(StmtKind kind) {
  SourceRange begin = advance().range;
  Name name = expectName("the name of the tensor");
  if (panicking || !expect(TokenKind::Colon, "and a type such as f32[n] after the name"))
    return nullptr;
  const TypeExpr *type = parseType();
  if (panicking || !expect(TokenKind::Equal, "and an initial value after the type"))
    return nullptr;
  const Expr *initial = parseExpr();
  return context.create<TensorDeclStmt>(kind, from(begin), name, type, initial);
}

const Stmt *ParserImpl::parseParam() {
  llvm::StringRef doc = current().doc;
  SourceRange begin = advance().range;
  Name name = expectName("the name of the param");
  if (panicking)
    return nullptr;
  const TypeExpr *type = accept(TokenKind::Colon) ? parseType() : nullptr;
  const Expr *fallback = accept(TokenKind::Equal) ? parseExpr() : nullptr;
  if (!panicking && !type && !fallback) {
    expected("a type or a default after the name of a param");
    return nullptr;
  }
  llvm::SmallVector<const Expr *, 4> allowed;
  bool isSet = false;
  if (!panicking && accept(TokenKind::In)) {
    if (at(TokenKind::LeftBrace)) {
      isSet = true;
      const Token open = advance();
      ++brackets;
      do
        allowed.push_back(parseExpr());
      while (!panicking && accept(TokenKind::Comma) && !at(TokenKind::RightBrace));
      if (brackets > 0)
        --brackets;
      expectClose(TokenKind::RightBrace, open);
    } else {
      openRanges = true;
      const Expr *interval = parseRange();
      openRanges = false;
      if (!llvm::isa<RangeExpr>(interval))
        if (Diagnostic *wrong = error(Code::ExpectedToken, interval->range,
                                      "expected lo..hi or {a, b, ...} after 'in'"))
          wrong->help("an interval has both ends, as in 0.0..1.0, or a lower one: 1..");
      allowed.push_back(interval);
    }
  }
  return context.create<ParamStmt>(from(begin), name, type, fallback, context.copy(allowed), isSet,
                                   doc);
}

const Stmt *ParserImpl::parseView() {
  SourceRange begin = advance().range;
  llvm::SmallVector<ViewName, 4> names;
  do {
    ViewName view{expectName("the name of a view"), nullptr};
    if (!panicking && at(TokenKind::LeftBracket)) {
      const Token open = advance();
      view.count = parseExpr();
      expectClose(TokenKind::RightBracket, open);
    }
    names.push_back(view);
  } while (!panicking && accept(TokenKind::Comma));
  if (panicking || !expect(TokenKind::Equal, "and a pipeline after the names of views"))
    return nullptr;
  const Expr *value = parseExpr();
  return context.create<ViewStmt>(from(begin), context.copy(names), value);
}

bool ParserImpl::parseMoment(Moment &moment, SourceRange &range) {
  if (!atWord("before") && !atWord("after"))
    return false;
  range = current().range;
  bool before = advance().text == "before";
  if (before && acceptWord("forward"))
    moment = Moment::BeforeForward;
  else if (!before && acceptWord("loss"))
    moment = Moment::AfterLoss;
  else if (!before && acceptWord("step"))
    moment = Moment::AfterStep;
  else
    expected(before ? "'forward' after 'before'" : "'loss' or 'step' after 'after'");
  range = from(range);
  return true;
}

const Stmt *ParserImpl::parseUpdate(Body body) {
  SourceRange begin = advance().range;
  Name name = expectName("the name of what is updated");
  if (panicking)
    return nullptr;
  const Expr *value = accept(TokenKind::Equal) ? parseExpr() : nullptr;
  if (panicking)
    return nullptr;
  Moment moment = Moment::Unspecified;
  SourceRange momentRange;
  bool hasMoment = parseMoment(moment, momentRange);
  SourceRange whole = from(begin);
  if (body == Body::Function && hasMoment && !panicking)
    diagnostics
        .report(Code::IncompleteUpdate, momentRange, "an update in a forward has no moment")
        .help("remove '" + sources.text(momentRange) + "': it happens at the end of the step");
  if (body == Body::Function && !value)
    diagnostics.report(Code::IncompleteUpdate, whole,
                       "the update of buffer '" + name.text + "' has no value");
  if (body == Body::Method && !hasMoment) {
    Diagnostic &missing = diagnostics.report(Code::IncompleteUpdate, whole,
                                             "the update of '" + name.text +
                                                 "' does not say when it happens");
    missing.help("end it with 'before forward', 'after loss' or 'after step'");
  }
  return context.create<UpdateStmt>(whole, name, value, moment, momentRange);
}

const Stmt *ParserImpl::parseOptimize() {
  SourceRange begin = advance().range;
  llvm::SmallVector<const Expr *, 4> targets;
  do {
    Name name = expectName("a net to optimize");
    if (panicking)
      return nullptr;
    const Expr *target = context.create<NameExpr>(name.range, name.text);
    for (unsigned length = 0; at(TokenKind::Dot) && !chainTooLong(length); ++length)
      target = parseMember(target);
    targets.push_back(target);
  } while (!panicking && accept(TokenKind::Comma));
  if (!acceptWord("with")) {
    expected("'with' and an optimizer");
    return nullptr;
  }
  const Expr *optimizer = parseExpr();
  return context.create<OptimizeStmt>(from(begin), context.copy(targets), optimizer);
}

/// `name = value`, or a call. Anything else has no effect, so it is a mistake.
const Stmt *ParserImpl::parseSimple(Body body) {
  const Token &token = current();
  if (peek().kind == TokenKind::Equal && body != Body::Method) {
    Name name{token.text, token.range};
    advance();
    advance();
    const Expr *value = parseExpr();
    return context.create<AssignStmt>(from(name.range), name, value);
  }
  llvm::StringRef word = token.text;
  if (peek().kind == TokenKind::Equal || (peek().kind == TokenKind::Identifier && !peek().firstOnLine)) {
    Diagnostic *unknown = error(Code::ExpectedToken, token.range,
                                llvm::Twine("expected ") +
                                    (body == Body::Function ? "a statement"
                                     : body == Body::Net    ? "an item of the net"
                                                            : "an item of the method") +
                                    ", found '" + word + "'");
    if (unknown && peek().kind == TokenKind::Equal)
      unknown->help("write 'let " + word + " = ...'");
    else if (auto near = nearestName(
                 word, body == Body::Function
                           ? llvm::ArrayRef<llvm::StringRef>({"let", "return", "for", "if", "update"})
                       : body == Body::Net
                           ? llvm::ArrayRef<llvm::StringRef>(
                                 {"let", "parameter", "buffer", "forward", "if"})
                           : llvm::ArrayRef<llvm::StringRef>({"let", "param", "view", "net", "state",
                                                              "loss", "metric", "update", "optimize",
                                                              "represent", "if"}));
             unknown && near)
      unknown->help("did you mean '" + *near + "'?");
    return nullptr;
  }
  const Expr *value = parseExpr();
  if (const auto *call = llvm::dyn_cast<CallExpr>(value))
    return context.create<CallStmt>(call->range, call);
  if (Diagnostic *effectless =
          error(Code::MisplacedItem, value->range, "this value is computed and not used"))
    effectless->help("give it a name with 'let', or return it");
  return nullptr;
}

} // namespace doppel::spec
