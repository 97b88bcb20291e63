// Statements: the bodies of functions, nets and methods; see ParserImpl.h.
#include "frontends/spec/ParserImpl.h"

#include "llvm/ADT/StringSwitch.h"

#include <optional>

namespace doppel::spec {

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
    if (!atAllow() && beginsDeclaration() &&
        sources.lineColumn(file, current().range.begin).column == 1) {
      allowances.clear();
      break; // the body was never closed
    }
    size_t before = position;
    llvm::SmallVector<Allowance, 1> own = std::exchange(allowances, {});
    bool isAllow = atAllow();
    const Stmt *statement = isAllow ? parseAllow() : parseStatement(body);
    if (isAllow)
      allowances.insert(allowances.begin(), own.begin(), own.end());
    else
      allowIn(own, tokens[before].range);
    if (!panicking && !at(TokenKind::RightBrace) && !at(TokenKind::Semicolon) && !atLineEnd() &&
        !at(TokenKind::Eof))
      expected("the end of the statement");
    if (panicking) {
      skipToStatement(before);
    } else if (statement) {
      statements.push_back(statement);
    }
  }
  if (at(TokenKind::RightBrace))
    refuseAllowances();
  allowances.clear();
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
  joinLine();
  operators = 0;
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
    return parseMisplaced(body);
  case TokenKind::Net:
    if (peek().kind == TokenKind::Identifier && peek(2).kind == TokenKind::LeftParen)
      return parseMisplaced(body);
    if (body != Body::Method) {
      error(Code::MisplacedItem, token.range,
            "'net' stands in a method or at the top of a file; this is " + describe(body));
      return nullptr;
    }
    return parseItem(body);
  case TokenKind::Identifier:
    if ((token.text == "augment" || token.text == "method") &&
        peek().kind == TokenKind::Identifier && !peek().firstOnLine)
      return parseMisplaced(body);
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

/// A declaration of the top level inside of a body. It is read to its end, so that what it holds
/// says nothing more.
const Stmt *ParserImpl::parseMisplaced(Body body) {
  const Token token = current();
  Diagnostic &misplaced = diagnostics.report(
      Code::MisplacedItem, token.range,
      "'" + token.text + "' stands at the top of a file; this is " + describe(body));
  if (token.kind == TokenKind::Use)
    misplaced.help("move it to the first lines of the file");
  else if (body == Body::Net && peek().text == "forward")
    misplaced.help("write 'forward(x) { ... }', without '" + token.text + "'");
  else if (token.text == "method")
    misplaced.help("a file has one method; close the brace of what stands around it");
  else
    misplaced.help(
        "move it out: a function or net stands beside the method, and gets what it needs "
        "as arguments");
  Nesting nesting(*this);
  if (nesting.ok)
    (void)parseDeclaration();
  return nullptr;
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
  bool allowed =
      kind == StmtKind::Update ? body != Body::Net : body == (ofNet ? Body::Net : Body::Method);
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
    if (kind == StmtKind::Loss) {
      const Expr *condition = parseWhen();
      return context.create<LossStmt>(from(begin), value, condition);
    }
    return context.create<RepresentStmt>(from(begin), value);
  }
  Name name = expectName(kind == StmtKind::Net ? "the name of the net" : "the name of the metric");
  if (panicking || !expectValue("and a value after the name"))
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
  while (!panicking && acceptInto(TokenKind::Comma))
    values.push_back(parseExpr());
  const Expr *value = values[0];
  if (values.size() > 1)
    value = context.create<TupleExpr>(
        SourceRange::cover(values.front()->range, values.back()->range), context.copy(values));
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
  while (!panicking && acceptInto(TokenKind::Comma));
  if (close != TokenKind::Eof)
    expectClose(close, open);
  llvm::StringMap<SourceRange> seen;
  for (const Name &name : names)
    if (auto [first, isNew] = seen.try_emplace(name.text, name.range);
        !isNew && name.text != "_" && !name.text.empty())
      diagnostics
          .report(Code::DuplicateName, name.range,
                  "'" + name.text + "' stands twice in one list of names")
          .note(first->second, "first here");
  return {context.copy(names), from(open.range)};
}

const Stmt *ParserImpl::parseLet() {
  SourceRange begin = advance().range;
  Pattern pattern = parsePattern();
  const TypeExpr *type = nullptr;
  if (!panicking && pattern.isSingle() && accept(TokenKind::Colon))
    type = parseType();
  if (panicking || !expectValue("and a value after the name"))
    return nullptr;
  const Expr *value = parseExpr();
  return context.create<LetStmt>(from(begin), pattern, type, value);
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
  if (panicking || !expectValue("and an initial value after the type"))
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
  const Expr *fallback = acceptInto(TokenKind::Equal) ? parseExpr() : nullptr;
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
      while (!panicking && acceptInto(TokenKind::Comma) && !at(TokenKind::RightBrace));
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
  } while (!panicking && acceptInto(TokenKind::Comma));
  if (panicking || !expectValue("and a pipeline after the names of views"))
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

/// `when condition` at the end of a statement, or null.
const Expr *ParserImpl::parseWhen() {
  return !panicking && acceptWord("when") ? parseExpr() : nullptr;
}

/// `name.name.0`; `withNumbers`: [0] is .0, as it is in expressions.
const Expr *ParserImpl::parsePath(llvm::StringRef purpose, bool withNumbers) {
  Name name = expectName(purpose);
  if (panicking)
    return nullptr;
  const Expr *path = context.create<NameExpr>(name.range, name.text);
  while (!panicking && (at(TokenKind::Dot) || (withNumbers && at(TokenKind::LeftBracket))) &&
         !tooManyOperators()) {
    if (at(TokenKind::Dot)) {
      path = parseMember(path);
      continue;
    }
    const Token open = advance();
    if (!at(TokenKind::Int)) {
      expected("the number of a part");
      break;
    }
    Name member{current().text, current().range};
    advance();
    expectClose(TokenKind::RightBracket, open);
    path = context.create<MemberExpr>(from(path->range), path, member);
  }
  return path;
}

/// Another word stands where the moment of an update should.
void ParserImpl::expectMoment() {
  if (current().text != "every") {
    expected("'before forward', 'after loss' or 'after step'");
    return;
  }
  if (Diagnostic *unknown =
          error(Code::ExpectedToken, current().range,
                "expected 'before forward', 'after loss' or 'after step', found 'every'"))
    unknown->help("a period is a condition: after step when step % 10 == 0");
}

const Stmt *ParserImpl::parseUpdate(Body body) {
  SourceRange begin = advance().range;
  const Expr *target = parsePath("the name of what is updated");
  if (panicking)
    return nullptr;
  if (at(TokenKind::LeftParen) || at(TokenKind::LeftBracket)) {
    if (Diagnostic *partly = error(Code::ExpectedToken, current().range,
                                   "expected '=' and the new value, found " + found()))
      partly->help(
          "an update names a whole state or an EMA net: update queue = enqueue(queue, rows) "
          "after loss; scatter replaces some rows");
    return nullptr;
  }
  const Expr *value = acceptInto(TokenKind::Equal) ? parseExpr() : nullptr;
  if (panicking)
    return nullptr;
  if (body == Body::Method && atWord("when")) {
    SourceRange when = current().range;
    parseWhen();
    if (!panicking && (atWord("before") || atWord("after")))
      error(Code::ExpectedToken, when, "'when' comes last, behind the moment of the update");
    else if (Diagnostic *early = error(Code::IncompleteUpdate, when,
                                       "the moment of the update is missing before 'when'"))
      early->help("as in: after loss when step >= 10");
    return nullptr;
  }
  Moment moment = Moment::Unspecified;
  SourceRange momentRange;
  bool hasMoment = parseMoment(moment, momentRange);
  if (!hasMoment && body == Body::Method && at(TokenKind::Identifier) && !atLineEnd()) {
    expectMoment();
    return nullptr;
  }
  const Expr *condition = body == Body::Method ? parseWhen() : nullptr;
  SourceRange whole = from(begin);
  llvm::StringRef name = sources.text(target->range);
  if (body == Body::Function && hasMoment && !panicking)
    diagnostics.report(Code::IncompleteUpdate, momentRange, "an update in a forward has no moment")
        .help("remove '" + sources.text(momentRange) + "': it happens at the end of the step");
  if (body == Body::Function && !value)
    diagnostics.report(Code::IncompleteUpdate, whole,
                       "the update of buffer '" + name + "' has no value");
  if (body == Body::Method && !hasMoment && !panicking) {
    Diagnostic &missing = diagnostics.report(
        Code::IncompleteUpdate, whole, "the update of '" + name + "' does not say when it happens");
    missing.help("end it with 'before forward', 'after loss' or 'after step'");
  }
  return context.create<UpdateStmt>(whole, target, value, moment, momentRange, condition);
}

const Stmt *ParserImpl::parseOptimize() {
  SourceRange begin = advance().range;
  llvm::SmallVector<const Expr *, 4> targets;
  do
    targets.push_back(parsePath("a net to optimize", /*withNumbers=*/true));
  while (!panicking && acceptInto(TokenKind::Comma));
  if (panicking)
    return nullptr;
  const Expr *matching = acceptWord("matching") ? parseExpr() : nullptr;
  const Expr *except = !panicking && acceptWord("except") ? parseExpr() : nullptr;
  if (panicking)
    return nullptr;
  if ((matching || except) && at(TokenKind::Comma)) {
    if (Diagnostic *each = error(Code::ExpectedToken, current().range,
                                 "expected 'with': 'matching' and 'except' stand behind the last "
                                 "net and hold for all of them"))
      each->help("names begin behind each net's own; for other patterns write another 'optimize'");
    return nullptr;
  }
  if (!acceptWord("with")) {
    expected("'with' and an optimizer");
    return nullptr;
  }
  joinLine();
  const Expr *optimizer = parseExpr();
  const Expr *condition = parseWhen();
  return context.create<OptimizeStmt>(from(begin), context.copy(targets), matching, except,
                                      optimizer, condition);
}

/// Past the lines that stand further in than `begin`, a block of Python, and its brace if it has
/// one.
void ParserImpl::skipIndented(SourceRange begin) {
  auto column = [&](SourceRange range) { return sources.lineColumn(file, range.begin).column; };
  do
    advance();
  while (!at(TokenKind::Eof) &&
         !(current().firstOnLine && column(current().range) <= column(begin)));
  if (at(TokenKind::RightBrace) && column(current().range) == column(begin))
    advance();
}

/// `name = value`, or a call. Anything else has no effect, so it is a mistake.
const Stmt *ParserImpl::parseSimple(Body body) {
  const Token &token = current();
  if (peek().kind == TokenKind::Equal && body != Body::Method) {
    Name name{token.text, token.range};
    advance();
    advanceInto();
    const Expr *value = parseExpr();
    return context.create<AssignStmt>(from(name.range), name, value);
  }
  llvm::StringRef word = token.text;
  if (word == "def" && peek().kind == TokenKind::Identifier && !peek().firstOnLine) {
    if (Diagnostic *python = error(Code::MisplacedItem, token.range,
                                   "'def' is Python's; this is " + llvm::Twine(describe(body))))
      python->help(body == Body::Net && peek().text == "forward"
                       ? "write 'forward(x) { ... return y }'"
                       : "functions stand beside the method: fn " + peek().text +
                             "(x) { ... return y }");
    skipIndented(token.range);
    return nullptr;
  }
  if (peek().kind == TokenKind::Equal ||
      (peek().kind == TokenKind::Identifier && !peek().firstOnLine)) {
    Diagnostic *unknown = error(Code::ExpectedToken, token.range,
                                llvm::Twine("expected ") +
                                    (body == Body::Function ? "a statement"
                                     : body == Body::Net    ? "an item of the net"
                                                            : "an item of the method") +
                                    ", found '" + word + "'");
    if (unknown && peek().kind == TokenKind::Equal)
      unknown->help(isItemWord(word) ? "write '" + word + " ...', without '='"
                                     : "write 'let " + word +
                                           " = ...'; a state or a buffer "
                                           "has 'update " +
                                           word + " = ...'");
    else if (auto near = nearestName(
                 word,
                 body == Body::Function
                     ? llvm::ArrayRef<llvm::StringRef>({"let", "return", "for", "if", "update"})
                 : body == Body::Net ? llvm::ArrayRef<llvm::StringRef>(
                                           {"let", "parameter", "buffer", "forward", "if"})
                                     : llvm::ArrayRef<llvm::StringRef>(
                                           {"let", "param", "view", "net", "state", "loss",
                                            "metric", "update", "optimize", "represent", "if"}));
             unknown && near)
      unknown->help("did you mean '" + *near + "'?");
    return nullptr;
  }
  bool alone =
      peek().firstOnLine || peek().kind == TokenKind::Eof || peek().kind == TokenKind::RightBrace;
  if (alone && token.kind == TokenKind::Identifier && isItemWord(word)) {
    advance();
    expected("what follows '" + word + "'");
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
