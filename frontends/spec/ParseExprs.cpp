// Expressions: one function for each level of precedence; see ParserImpl.h.
#include "frontends/spec/ParserImpl.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/SaveAndRestore.h"

namespace doppel::spec {

bool ParserImpl::beginsExpression() const {
  if (atLineEnd())
    return false;
  switch (current().kind) {
  case TokenKind::Identifier:
  case TokenKind::Int:
  case TokenKind::Float:
  case TokenKind::String:
  case TokenKind::LeftParen:
  case TokenKind::LeftBracket:
  case TokenKind::Minus:
  case TokenKind::Not:
  case TokenKind::True:
  case TokenKind::False:
    return true;
  default:
    return false;
  }
}

const Expr *ParserImpl::parseExpr() {
  const Expr *value = parsePipe();
  if (!at(TokenKind::If) || atLineEnd())
    return value;
  Nesting nesting(*this);
  if (!nesting.ok)
    return errorExpr(current().range);
  advance();
  const Expr *condition = parseOr();
  if (!expect(TokenKind::Else, "between the two values of 'a if condition else b'"))
    return errorExpr(from(value->range));
  joinLine();
  const Expr *elseValue = parseExpr();
  return context.create<ConditionalExpr>(from(value->range), condition, value, elseValue);
}

/// `x |> f(a)` is the call f(x, a); anything else on the right is called with x alone.
const Expr *ParserImpl::parsePipe() {
  const Expr *left = parseCompose();
  while (at(TokenKind::Pipe) && !tooManyOperators()) {
    advanceInto();
    const Expr *right = parseCompose();
    llvm::SmallVector<Argument, 8> arguments{{Name(), left}};
    const Expr *callee = right;
    if (const auto *call = llvm::dyn_cast<CallExpr>(right)) {
      callee = call->callee;
      arguments.append(call->arguments.begin(), call->arguments.end());
    }
    left = context.create<CallExpr>(SourceRange::cover(left->range, right->range), callee,
                                    context.copy(arguments), /*piped=*/true);
  }
  return left;
}

ComposePart ParserImpl::parsePart() {
  Name label;
  if (labels && at(TokenKind::Identifier) && peek().kind == TokenKind::Colon) {
    label = {current().text, current().range};
    advance();
    advance();
  }
  return {label, parseOr()};
}

const Expr *ParserImpl::parseCompose() {
  SourceRange begin = current().range;
  llvm::SmallVector<ComposePart, 4> parts{parsePart()};
  while (acceptInto(TokenKind::Compose))
    parts.push_back(parsePart());
  if (parts.size() == 1 && !parts[0].isLabelled())
    return parts[0].value;
  return context.create<ComposeExpr>(from(begin), context.copy(parts));
}

/// Folds `next op next op ...` to the left; `match` gives the operator that stands at the current
/// token, if one does.
template <typename Next, typename Match>
const Expr *ParserImpl::parseLeftAssociative(Next next, Match match) {
  const Expr *left = (this->*next)();
  while (std::optional<BinaryOp> op = match(current().kind)) {
    if (tooManyOperators())
      break;
    SourceRange opRange = advanceInto().range;
    const Expr *right = (this->*next)();
    left = context.create<BinaryExpr>(SourceRange::cover(left->range, right->range), *op, opRange,
                                      left, right);
  }
  return left;
}

using MaybeOp = std::optional<BinaryOp>;

const Expr *ParserImpl::parseOr() {
  Nesting nesting(*this); // every way into a bracket comes through here
  if (!nesting.ok)
    return errorExpr(current().range);
  return parseLeftAssociative(&ParserImpl::parseAnd, [](TokenKind kind) {
    return kind == TokenKind::Or ? MaybeOp(BinaryOp::Or) : std::nullopt;
  });
}

const Expr *ParserImpl::parseAnd() {
  return parseLeftAssociative(&ParserImpl::parseNot, [](TokenKind kind) {
    return kind == TokenKind::And ? MaybeOp(BinaryOp::And) : std::nullopt;
  });
}

const Expr *ParserImpl::parseNot() {
  if (!at(TokenKind::Not))
    return parseComparison();
  Nesting nesting(*this);
  if (!nesting.ok)
    return errorExpr(current().range);
  SourceRange begin = advance().range;
  const Expr *operand = parseNot();
  return context.create<UnaryExpr>(from(begin), UnaryOp::Not, operand);
}

static MaybeOp comparison(TokenKind kind) {
  switch (kind) {
  case TokenKind::EqualEqual:
    return BinaryOp::Equal;
  case TokenKind::NotEqual:
    return BinaryOp::NotEqual;
  case TokenKind::Less:
    return BinaryOp::Less;
  case TokenKind::LessEqual:
    return BinaryOp::LessEqual;
  case TokenKind::Greater:
    return BinaryOp::Greater;
  case TokenKind::GreaterEqual:
    return BinaryOp::GreaterEqual;
  default:
    return std::nullopt;
  }
}

const Expr *ParserImpl::parseComparison() {
  const Expr *left = parseRange();
  MaybeOp op = comparison(current().kind);
  if (!op)
    return left;
  SourceRange opRange = advanceInto().range;
  const Expr *right = parseRange();
  if (comparison(current().kind))
    if (Diagnostic *chained = error(Code::ChainedComparison, current().range,
                                    "a comparison has two sides; this is a third"))
      chained->help("join two comparisons with 'and'");
  return context.create<BinaryExpr>(SourceRange::cover(left->range, right->range), *op, opRange,
                                    left, right);
}

const Expr *ParserImpl::parseRange() {
  const Expr *begin = parseSum();
  if (!at(TokenKind::DotDot))
    return begin;
  SourceRange dots = advance().range;
  const Expr *end = nullptr;
  if (beginsExpression())
    end = parseSum();
  else if (!openRanges)
    error(Code::MisplacedForm, dots, "a range without an end stands only in an index");
  return context.create<RangeExpr>(from(begin->range), begin, end);
}

const Expr *ParserImpl::parseSum() {
  return parseLeftAssociative(&ParserImpl::parseProduct, [](TokenKind kind) {
    return kind == TokenKind::Plus    ? MaybeOp(BinaryOp::Add)
           : kind == TokenKind::Minus ? MaybeOp(BinaryOp::Subtract)
                                      : std::nullopt;
  });
}

const Expr *ParserImpl::parseProduct() {
  return parseLeftAssociative(&ParserImpl::parseUnary, [](TokenKind kind) {
    return kind == TokenKind::Star      ? MaybeOp(BinaryOp::Multiply)
           : kind == TokenKind::Slash   ? MaybeOp(BinaryOp::Divide)
           : kind == TokenKind::Percent ? MaybeOp(BinaryOp::Remainder)
           : kind == TokenKind::At      ? MaybeOp(BinaryOp::MatMul)
                                        : std::nullopt;
  });
}

const Expr *ParserImpl::parseUnary() {
  if (!at(TokenKind::Minus))
    return parsePower();
  Nesting nesting(*this);
  if (!nesting.ok)
    return errorExpr(current().range);
  SourceRange begin = advance().range;
  const Expr *operand = parseUnary();
  return context.create<UnaryExpr>(from(begin), UnaryOp::Negate, operand);
}

/// To the right, and tighter than a minus before it: -a ** b ** c is -(a ** (b ** c)).
const Expr *ParserImpl::parsePower() {
  const Expr *base = parsePostfix();
  if (!at(TokenKind::StarStar))
    return base;
  Nesting nesting(*this);
  if (!nesting.ok)
    return errorExpr(current().range);
  SourceRange opRange = advanceInto().range;
  const Expr *exponent = parseUnary();
  return context.create<BinaryExpr>(SourceRange::cover(base->range, exponent->range),
                                    BinaryOp::Power, opRange, base, exponent);
}

const Expr *ParserImpl::parsePostfix() {
  const Expr *value = parsePrimary();
  while (!panicking) {
    bool isMember = at(TokenKind::Dot);
    bool isCall = at(TokenKind::LeftParen) && !atLineEnd();
    bool isIndex = at(TokenKind::LeftBracket) && !atLineEnd();
    if ((!isMember && !isCall && !isIndex) || tooManyOperators())
      break;
    value = isMember ? parseMember(value) : isCall ? parseCall(value) : parseIndex(value);
  }
  return value;
}

const Expr *ParserImpl::parseMember(const Expr *base) {
  advance();
  if (!at(TokenKind::Identifier) && !at(TokenKind::Int)) {
    expected("the name or number of a member after '.'");
    return errorExpr(from(base->range));
  }
  Name member{current().text, current().range};
  advance();
  return context.create<MemberExpr>(from(base->range), base, member);
}

const Expr *ParserImpl::parseElement() {
  const Expr *value = parseExpr();
  if (!accept(TokenKind::Ellipsis))
    return value;
  return context.create<SpreadExpr>(from(value->range), value);
}

const Expr *ParserImpl::parseCall(const Expr *callee) {
  llvm::SaveAndRestore open(openRanges, false), label(labels, true);
  const Token opening = advance();
  llvm::SaveAndRestore nested(brackets, brackets + 1);
  llvm::SmallVector<Argument, 8> arguments;
  llvm::StringMap<SourceRange> names;
  while (!at(TokenKind::RightParen) && !panicking) {
    Name name;
    bool misspelled = at(TokenKind::Identifier) && peek().kind == TokenKind::Equal;
    if (at(TokenKind::Identifier) && (misspelled || peek().kind == TokenKind::Colon)) {
      name = {current().text, current().range};
      advance();
      const Token separator = advance();
      if (misspelled)
        diagnostics
            .report(Code::ExpectedToken, separator.range,
                    "expected ':' after the name of an argument, found '='")
            .help("write: " + name.text.str() + ": ...");
      if (auto [first, isNew] = names.try_emplace(name.text, name.range); !isNew)
        diagnostics
            .report(Code::DuplicateArgument, name.range,
                    "argument '" + name.text + "' is given twice")
            .note(first->second, "first here");
    } else if (!arguments.empty() && arguments.back().isNamed()) {
      diagnostics.report(Code::PositionalAfterNamed, current().range,
                         "an argument without a name follows '" + arguments.back().name.text +
                             ":'");
    }
    const Expr *value = parseElement();
    if (at(TokenKind::For) && arguments.empty() && !name.text.data()) {
      // f(e for x in xs) is f([e for x in xs]).
      value = parseClauses(value, value->range);
      arguments.push_back({name, value});
      break;
    }
    arguments.push_back({name, value});
    if (!accept(TokenKind::Comma))
      break;
  }
  expectClose(TokenKind::RightParen, opening);
  return context.create<CallExpr>(from(callee->range), callee, context.copy(arguments),
                                  /*piped=*/false);
}

const Expr *ParserImpl::parseIndex(const Expr *base) {
  const Token opening = advance();
  llvm::SaveAndRestore nested(brackets, brackets + 1);
  llvm::SaveAndRestore open(openRanges, true), label(labels, false);
  llvm::SmallVector<const Expr *, 4> indices;
  do {
    if (accept(TokenKind::Colon)) {
      indices.push_back(nullptr);
    } else if (at(TokenKind::DotDot)) {
      SourceRange begin = advance().range;
      const Expr *end = parseSum();
      indices.push_back(context.create<RangeExpr>(from(begin), nullptr, end));
    } else {
      indices.push_back(parseExpr());
    }
  } while (!panicking && accept(TokenKind::Comma));
  if (at(TokenKind::Colon) && !panicking) {
    if (Diagnostic *slice = error(Code::ExpectedToken, current().range,
                                  "expected ',' or ']' after an index, found ':'"))
      slice->help("a slice is written a..b");
  }
  expectClose(TokenKind::RightBracket, opening);
  return context.create<IndexExpr>(from(base->range), base, context.copy(indices));
}

const Expr *ParserImpl::parsePrimary() {
  const Token &token = current();
  if (!atLineEnd()) {
    switch (token.kind) {
    case TokenKind::Int:
      advance();
      return context.create<IntExpr>(token.range, token.intValue);
    case TokenKind::Float:
      advance();
      return context.create<FloatExpr>(token.range, token.floatValue);
    case TokenKind::String:
      advance();
      return context.create<StringExpr>(token.range, token.text);
    case TokenKind::True:
    case TokenKind::False:
      advance();
      return context.create<BoolExpr>(token.range, token.kind == TokenKind::True);
    case TokenKind::Identifier:
      advance();
      return context.create<NameExpr>(token.range, token.text);
    case TokenKind::LeftParen:
      return parseParenthesised();
    case TokenKind::LeftBracket:
      return parseList();
    default:
      break;
    }
  }
  SourceRange place = missingPlace();
  if (Diagnostic *missing =
          error(Code::ExpectedExpression, place, "expected an expression, found " + found())) {
    if (token.kind == TokenKind::Ellipsis)
      missing->help("the dots come after the list: xs...");
    else if (token.kind == TokenKind::Dot && peek().kind == TokenKind::Int)
      missing->help("write 0." + peek().text);
    else if (token.kind == TokenKind::Net || token.kind == TokenKind::In)
      missing->help("'" + token.text + "' is a reserved word");
  }
  return errorExpr(place);
}

const Expr *ParserImpl::parseParenthesised() {
  llvm::SaveAndRestore open(openRanges, false), label(labels, true);
  const Token opening = advance();
  llvm::SaveAndRestore nested(brackets, brackets + 1);
  const Expr *value = parseExpr();
  if (at(TokenKind::For)) {
    if (Diagnostic *generator =
            error(Code::ExpectedToken, current().range, "expected ',' or ')', found 'for'"))
      generator->help("a list is made in brackets: [f(x) for x in xs]");
    return errorExpr(from(opening.range));
  }
  if (!at(TokenKind::Comma)) {
    expectClose(TokenKind::RightParen, opening);
    const_cast<Expr *>(value)->range = from(opening.range); // messages quote it as it is written
    return value;
  }
  llvm::SmallVector<const Expr *, 4> elements{value};
  while (!panicking && accept(TokenKind::Comma) && !at(TokenKind::RightParen))
    elements.push_back(parseExpr());
  expectClose(TokenKind::RightParen, opening);
  if (elements.size() == 1)
    return value;
  return context.create<TupleExpr>(from(opening.range), context.copy(elements));
}

const Expr *ParserImpl::parseList() {
  llvm::SaveAndRestore open(openRanges, false), label(labels, true);
  const Token opening = advance();
  llvm::SaveAndRestore nested(brackets, brackets + 1);
  llvm::SmallVector<const Expr *, 8> elements;
  while (!at(TokenKind::RightBracket) && !panicking) {
    elements.push_back(parseElement());
    if (elements.size() == 1 && at(TokenKind::For))
      return parseComprehension(opening, elements[0]);
    if (!accept(TokenKind::Comma))
      break;
  }
  expectClose(TokenKind::RightBracket, opening);
  return context.create<ListExpr>(from(opening.range), context.copy(elements));
}

const Expr *ParserImpl::parseComprehension(const Token &opening, const Expr *element) {
  const Expr *all = parseClauses(element, opening.range);
  expectClose(TokenKind::RightBracket, opening);
  const_cast<Expr *>(all)->range = from(opening.range);
  return all;
}

const Expr *ParserImpl::parseClauses(const Expr *element, SourceRange begin) {
  llvm::SmallVector<ForClause, 2> clauses;
  while (!panicking && accept(TokenKind::For)) {
    Pattern pattern = parsePattern();
    expect(TokenKind::In, "after the names of a 'for'");
    const Expr *iterable = parseOr();
    const Expr *filter = nullptr;
    if (acceptWord("where") || accept(TokenKind::If))
      filter = parseOr();
    clauses.push_back({pattern, iterable, filter});
  }
  return context.create<ComprehensionExpr>(from(begin), element, context.copy(clauses));
}

} // namespace doppel::spec
