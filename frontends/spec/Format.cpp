// The layout of specs; see Format.h.
//
// The parser says where statements begin, since no line end means anything inside of them; all else
// is seen in the tokens and comments as they come. The rules:
//
//  - A statement stands two spaces deeper than what its braces belong to. A line that goes on with
//    a statement stands two more, below an `else` that begins a line another two.
//  - In ( ), [ ] and the { } of a set, lines stand below the first element, or two deeper than the
//    line of the bracket if nothing follows it there; lines that go on with an element two more. A
//    line that begins with a closing bracket stands where the line with the opening one does.
//  - One space between tokens, but none inside of brackets, before a comma, a call, an index or the
//    colon of a name, around `.` and `..`, before `...` and after a minus of one operand.
//  - Comments stand as deep as the code below them. One behind code keeps its distance; those that
//    were below each other on consecutive lines stay so.
//  - No blank lines in a row, at the ends of the file, or inside of brackets next to them.
#include "frontends/spec/Format.h"

#include "frontends/spec/Lexer.h"
#include "frontends/spec/Parser.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/thread.h"

#include <algorithm>

namespace doppel::spec {

/// Elements beyond this column are not worth aligning with: their lines stand as if the bracket
/// ended its own.
constexpr uint32_t lastAlignedColumn = 80;

namespace {

//===- Where statements begin -----------------------------------------------------------------===//

/// The offsets at which declarations and statements begin. The value tells whether the token there
/// is a word of the grammar (`loss`), which it is not in a call or in `name = value`.
class StatementStarts {
public:
  explicit StatementStarts(const SourceFile &file) {
    for (const Decl *decl : file.decls)
      add(decl);
  }

  bool contains(uint32_t offset) const { return starts.contains(offset); }
  bool isWord(uint32_t offset) const { return starts.lookup(offset); }

private:
  void add(const Decl *decl) {
    starts[decl->range.begin] = true;
    if (const auto *function = llvm::dyn_cast<FunctionDecl>(decl))
      add(function->body);
    else if (const auto *net = llvm::dyn_cast<NetDecl>(decl))
      add(net->body);
    else if (const auto *method = llvm::dyn_cast<MethodDecl>(decl))
      add(method->body);
  }

  void add(llvm::ArrayRef<const Stmt *> statements) {
    for (const Stmt *statement : statements)
      add(statement);
  }

  void add(const Stmt *statement) {
    uint32_t begin = statement->range.begin;
    // The body `= value` is a return that nobody wrote.
    if (const auto *result = llvm::dyn_cast<ReturnStmt>(statement))
      if (result->value->range.begin == begin)
        return;
    // `forward(x)` is written like a call.
    starts[begin] = !llvm::isa<AssignStmt, CallStmt, ForwardStmt>(statement);
    if (const auto *branch = llvm::dyn_cast<IfStmt>(statement)) {
      add(branch->thenBody);
      add(branch->elseBody);
    } else if (const auto *loop = llvm::dyn_cast<ForStmt>(statement)) {
      add(loop->body);
    } else if (const auto *forward = llvm::dyn_cast<ForwardStmt>(statement)) {
      add(forward->body);
    }
  }

  llvm::DenseMap<uint32_t, bool> starts;
};

//===- Tokens and what they are here ----------------------------------------------------------===//

enum class Role : uint8_t {
  Plain,
  Word,   ///< a name to which the grammar gives a meaning here: `loss`, `with`
  Negate, ///< a minus of one operand
  Block   ///< a brace around statements; others stand around a set or a list of modules
};

struct Piece {
  TokenKind kind;
  Role role = Role::Plain;
  bool beginsStatement = false;
  bool firstOnLine;
  uint32_t begin;
  llvm::StringRef text; ///< as written

  uint32_t end() const { return begin + text.size(); }
  bool isBlock() const { return role == Role::Block; }
  bool opens() const {
    return kind == TokenKind::LeftParen || kind == TokenKind::LeftBracket ||
           kind == TokenKind::LeftBrace;
  }
  bool closes() const {
    return kind == TokenKind::RightParen || kind == TokenKind::RightBracket ||
           kind == TokenKind::RightBrace;
  }
  /// Whether a value ends here, so that an operator, a call or a word may follow.
  bool endsOperand() const {
    switch (kind) {
    case TokenKind::Identifier:
      return role != Role::Word;
    case TokenKind::RightBrace:
      return !isBlock();
    case TokenKind::Int:
    case TokenKind::Float:
    case TokenKind::String:
    case TokenKind::True:
    case TokenKind::False:
    case TokenKind::RightParen:
    case TokenKind::RightBracket:
    case TokenKind::Ellipsis:
      return true;
    default:
      return false;
    }
  }
  bool beginsOperand() const {
    return kind == TokenKind::LeftParen || kind == TokenKind::LeftBracket || role == Role::Negate ||
           (!closes() && kind != TokenKind::Ellipsis && endsOperand());
  }
};

/// One line of the result: pieces, a comment behind them, or a comment alone.
struct Line {
  size_t first, last;                 ///< its pieces; of a comment alone, the place of the next one
  llvm::StringRef comment = {};       ///< empty if there is none
  bool blankBefore = false;           ///< the writer left a line empty above it
  uint32_t indent = 0;                ///< columns before the first piece or the comment
  uint32_t width = 0;                 ///< columns to the end of the pieces
  uint32_t sourceColumn = 0, gap = 0; ///< of the comment, as written: its place, the blanks before
  uint32_t commentColumn = 0;         ///< where a comment behind pieces goes

  bool hasPieces() const { return first != last; }
};

/// What is open at a place: a block of statements or a bracket.
struct Level {
  bool isBlock;
  uint32_t indent;      ///< of statements, or of elements
  uint32_t closeIndent; ///< of a line that begins with the closing bracket
  uint32_t valueIndent; ///< of the line whose value a line goes on with; `indent` but after `else`
};

class Formatter {
public:
  Formatter(llvm::StringRef text, llvm::ArrayRef<Token> tokens, llvm::ArrayRef<Comment> comments,
            const StatementStarts &starts)
      : text(text) {
    classify(tokens, starts);
    cutIntoLines(comments);
  }

  /// The text, or nothing if it were longer than files may be.
  std::optional<std::string> run() {
    layOut();
    alignComments();
    return print();
  }

private:
  void classify(llvm::ArrayRef<Token> tokens, const StatementStarts &starts);
  void cutIntoLines(llvm::ArrayRef<Comment> comments);
  void layOut();
  void alignComments();
  std::optional<std::string> print() const;

  uint32_t indentOf(const Line &line) const;
  void pass(const Line &line, size_t index, uint32_t column);
  bool spaceBefore(size_t index) const;
  bool blankLineBetween(const Line &above, const Line &line) const;
  uint32_t columnInSource(uint32_t offset) const;

  llvm::StringRef text;
  std::vector<Piece> pieces; ///< all tokens, the end of the file last
  std::vector<Line> lines;
  llvm::SmallVector<Level, 32> levels;
};

} // namespace

void Formatter::classify(llvm::ArrayRef<Token> tokens, const StatementStarts &starts) {
  llvm::SmallVector<bool, 32> openBlocks;
  pieces.reserve(tokens.size());
  for (const Token &token : tokens) {
    Piece piece{.kind = token.kind,
                .firstOnLine = token.firstOnLine,
                .begin = token.range.begin,
                .text = text.slice(token.range.begin, token.range.end)};
    const Piece *before = pieces.empty() ? nullptr : &pieces.back();
    bool followsOperand = before && before->endsOperand();
    piece.beginsStatement = starts.contains(piece.begin);
    switch (token.kind) {
    case TokenKind::Identifier:
      // Of two names in a row the second is a word: `x where c`, `queue after loss`.
      if (piece.beginsStatement ? starts.isWord(piece.begin) : followsOperand)
        piece.role = Role::Word;
      break;
    case TokenKind::Minus:
      if (!followsOperand)
        piece.role = Role::Negate;
      break;
    case TokenKind::LeftBrace:
      openBlocks.push_back(!before ||
                           (before->kind != TokenKind::In && before->kind != TokenKind::Dot));
      if (openBlocks.back())
        piece.role = Role::Block;
      break;
    case TokenKind::RightBrace:
      if (!openBlocks.empty() && openBlocks.pop_back_val())
        piece.role = Role::Block;
      break;
    default:
      break;
    }
    pieces.push_back(piece);
  }
}

/// The column of a place, from 0, with a tab stop every eight.
uint32_t Formatter::columnInSource(uint32_t offset) const {
  size_t start = text.take_front(offset).rfind('\n');
  uint32_t column = 0;
  for (char c : text.slice(start == llvm::StringRef::npos ? 0 : start + 1, offset))
    column += c == '\t' ? 8 - column % 8 : c != '\r' && (c & 0xC0) != 0x80;
  return column;
}

void Formatter::cutIntoLines(llvm::ArrayRef<Comment> comments) {
  uint32_t end = 0;
  auto open = [&](size_t piece, uint32_t begin) -> Line & {
    lines.push_back({.first = piece, .last = piece});
    lines.back().blankBefore = text.slice(end, begin).count('\n') > 1;
    return lines.back();
  };
  size_t next = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    for (; next < comments.size() && comments[next].range.begin <= pieces[i].begin; ++next) {
      SourceRange range = comments[next].range;
      Line &line = comments[next].firstOnLine ? open(i, range.begin) : lines.back();
      line.comment = text.slice(range.begin, range.end);
      line.sourceColumn = columnInSource(range.begin);
      if (line.hasPieces())
        line.gap = line.sourceColumn - columnInSource(end);
      end = range.end;
    }
    if (pieces[i].kind == TokenKind::Eof)
      break;
    if (pieces[i].firstOnLine)
      open(i, pieces[i].begin);
    lines.back().last = i + 1;
    end = pieces[i].end();
  }
}

//===- Columns --------------------------------------------------------------------------------===//

/// Whether a space separates a piece from the one before it on its line.
bool Formatter::spaceBefore(size_t index) const {
  const Piece &a = pieces[index - 1], &b = pieces[index];
  if (b.kind == TokenKind::Semicolon)
    return false;
  if (a.isBlock() || b.isBlock())
    return !(a.isBlock() && a.opens() && b.isBlock() && b.closes());
  if (a.opens() || b.closes() || b.kind == TokenKind::Comma || b.kind == TokenKind::Ellipsis)
    return false;
  if (b.kind == TokenKind::Dot) // `1 .5` is no `1.5`
    return a.kind == TokenKind::Int && pieces[index + 1].kind == TokenKind::Int &&
           !(index > 1 && pieces[index - 2].kind == TokenKind::Dot);
  if (a.kind == TokenKind::Dot || a.role == Role::Negate)
    return false;
  if (b.kind == TokenKind::Colon) // alone it is an index
    return a.kind == TokenKind::Comma;
  if (b.kind == TokenKind::DotDot)
    return !a.endsOperand();
  if (a.kind == TokenKind::DotDot)
    return !b.beginsOperand();
  if (b.kind == TokenKind::LeftParen || b.kind == TokenKind::LeftBracket)
    return !a.endsOperand();
  return true;
}

/// Where a line begins, from its first piece; a comment alone from the one below it.
uint32_t Formatter::indentOf(const Line &line) const {
  const Piece &piece = pieces[line.first];
  const Level &level = levels.back();
  if (piece.closes() || piece.kind == TokenKind::Eof) {
    if (!line.hasPieces())
      return level.indent;
    size_t index = line.first, depth = levels.size();
    for (; index < line.last && pieces[index].closes() && depth > 1; ++index)
      --depth;
    return levels[depth].closeIndent;
  }
  const Piece *before = line.first ? &pieces[line.first - 1] : nullptr;
  bool begins = level.isBlock ? piece.beginsStatement || piece.isBlock() ||
                                    piece.kind == TokenKind::Semicolon ||
                                    (piece.kind == TokenKind::Else && before->isBlock())
                              : before->opens() || before->kind == TokenKind::Comma ||
                                    piece.kind == TokenKind::Comma || piece.kind == TokenKind::For;
  if (begins)
    return level.indent;
  bool ofWhole = piece.role == Role::Word || piece.kind == TokenKind::Else ||
                 piece.kind == TokenKind::In || piece.kind == TokenKind::Arrow;
  return (ofWhole ? level.indent : level.valueIndent) + 2;
}

/// Opens and closes levels at a piece that begins at `column`.
void Formatter::pass(const Line &line, size_t index, uint32_t column) {
  const Piece &piece = pieces[index];
  Level &level = levels.back();
  if (piece.closes()) {
    if (levels.size() > 1)
      levels.pop_back();
    return;
  }
  if (piece.isBlock()) {
    levels.push_back({true, level.indent + 2, level.indent, level.indent + 2});
    return;
  }
  if (piece.opens()) {
    bool aligned = index + 1 < line.last && column < lastAlignedColumn;
    uint32_t indent = aligned ? column + 1 : line.indent + 2;
    levels.push_back({false, indent, line.indent, indent});
    return;
  }
  bool isElement = !level.isBlock && piece.kind == TokenKind::For;
  if (piece.beginsStatement || piece.kind == TokenKind::Comma || isElement)
    level.valueIndent = level.indent;
  else if (piece.kind == TokenKind::Else && index == line.first)
    level.valueIndent = line.indent;
}

void Formatter::layOut() {
  levels.assign(1, {true, 0, 0, 0});
  for (Line &line : lines) {
    line.indent = indentOf(line);
    uint32_t column = line.indent;
    for (size_t i = line.first; i < line.last; ++i) {
      if (i > line.first)
        column += spaceBefore(i);
      pass(line, i, column);
      column += codePoints(pieces[i].text);
    }
    line.width = column;
  }
}

/// Comments behind code: those of consecutive lines that were written below each other are moved
/// together, and with them comments alone that go on with one of them.
void Formatter::alignComments() {
  for (size_t begin = 0, end; begin < lines.size(); begin = end) {
    end = begin + 1;
    if (!lines[begin].hasPieces() || lines[begin].comment.empty())
      continue;
    auto belongs = [&](const Line &line) {
      bool isDoc = line.comment.starts_with("///") && !line.hasPieces();
      return !line.blankBefore && !line.comment.empty() && !isDoc &&
             line.sourceColumn == lines[begin].sourceColumn;
    };
    while (end < lines.size() && belongs(lines[end]))
      ++end;
    uint32_t width = 0, gap = ~0u;
    llvm::MutableArrayRef<Line> run = llvm::MutableArrayRef(lines).slice(begin, end - begin);
    for (const Line &line : run)
      if (line.hasPieces()) {
        width = std::max(width, line.width);
        gap = std::min(gap, line.gap);
      }
    for (Line &line : run)
      (line.hasPieces() ? line.commentColumn : line.indent) = width + (gap ? gap : 2);
  }
}

//===- Text -----------------------------------------------------------------------------------===//

/// Length of the slashes of a comment, and whether a space is missing behind them. Rulers and other
/// marks may stand there.
static std::pair<size_t, bool> commentHead(llvm::StringRef comment) {
  size_t slashes = std::min(comment.find_first_not_of('/'), comment.size());
  llvm::StringRef words = comment.substr(slashes);
  bool bare =
      slashes < 4 && !words.empty() && !llvm::StringRef(" \t-=*#~!+").contains(words.front());
  return {slashes, bare};
}

bool Formatter::blankLineBetween(const Line &above, const Line &line) const {
  bool opened = above.hasPieces() && pieces[above.last - 1].opens();
  bool closed = line.hasPieces() && pieces[line.first].closes();
  return line.blankBefore && !opened && !closed;
}

std::optional<std::string> Formatter::print() const {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  auto addComment = [&](llvm::StringRef comment) {
    auto [slashes, bare] = commentHead(comment);
    out += comment.take_front(slashes);
    if (bare)
      out += ' ';
    out += comment.drop_front(slashes);
  };
  for (size_t n = 0; n < lines.size(); ++n) {
    const Line &line = lines[n];
    if (out.size() + line.indent + line.commentColumn > maxFileBytes)
      return std::nullopt;
    if (n > 0 && blankLineBetween(lines[n - 1], line))
      out += '\n';
    out.append(line.indent, ' ');
    for (size_t i = line.first; i < line.last; ++i) {
      if (i > line.first && spaceBefore(i))
        out += ' ';
      out += pieces[i].text;
    }
    if (line.hasPieces() && !line.comment.empty())
      out.append(line.commentColumn - line.width, ' ');
    addComment(line.comment);
    out += '\n';
  }
  if (out.size() > maxFileBytes)
    return std::nullopt;
  return out;
}

//===- Entry ----------------------------------------------------------------------------------===//

/// A text with its tokens and comments.
namespace {
struct LexedText {
  LexedText(llvm::StringRef name, std::string text)
      : diagnostics(sources), file(sources.addFile(name, std::move(text), name)),
        tokens(lex(sources, file, context, diagnostics, &comments)) {}

  llvm::StringRef text(SourceRange range) const { return sources.text(range); }

  SourceManager sources;
  Diagnostics diagnostics;
  AstContext context;
  std::vector<Comment> comments;
  uint32_t file;
  std::vector<Token> tokens;
};
} // namespace

/// Whether two texts differ in blanks alone, and in none that mean something.
static bool meanTheSame(const LexedText &a, const LexedText &b) {
  auto sameToken = [&](const Token &x, const Token &y) {
    bool sameLine = x.firstOnLine == y.firstOnLine || x.kind == TokenKind::Eof;
    return x.kind == y.kind && sameLine && x.doc == y.doc && a.text(x.range) == b.text(y.range);
  };
  auto sameComment = [&](const Comment &x, const Comment &y) {
    llvm::StringRef first = a.text(x.range), second = b.text(y.range);
    auto [slashes, bare] = commentHead(first);
    bool sameHead =
        second.consume_front(first.take_front(slashes)) && (!bare || second.consume_front(" "));
    return sameHead && x.firstOnLine == y.firstOnLine && first.drop_front(slashes) == second;
  };
  return !b.diagnostics.hasErrors() && llvm::equal(a.tokens, b.tokens, sameToken) &&
         llvm::equal(a.comments, b.comments, sameComment);
}

static std::optional<std::string> format(LexedText &spec) {
  // The parser lexes for itself; what it says a second time is dropped.
  SourceFile tree = parse(spec.sources, spec.file, spec.context, spec.diagnostics);
  if (spec.diagnostics.hasErrors())
    return std::nullopt;
  std::optional<std::string> result =
      Formatter(spec.sources.text(spec.file), spec.tokens, spec.comments, StatementStarts(tree))
          .run();
  if (!result) {
    spec.diagnostics.report(Code::FileTooLarge, {},
                            "'" + spec.sources.path(spec.file) + "' would have more than " +
                                llvm::Twine(maxFileBytes) + " bytes when it is laid out");
    return std::nullopt;
  }
  if (!meanTheSame(spec, LexedText(spec.sources.path(spec.file), *result)))
    llvm::report_fatal_error("the layout of " + spec.sources.path(spec.file) +
                                 " would change its tokens; the file is left alone",
                             /*gen_crash_diag=*/false);
  return result;
}

std::optional<std::string> formatSpec(llvm::StringRef name, std::string text,
                                      llvm::raw_ostream &diagnostics, bool colour) {
  std::optional<std::string> result;
  LexedText spec(name, std::move(text));
  // The parser nests as deep as a spec may, deeper than the stack of a main thread.
  llvm::thread worker(std::optional<unsigned>(512u << 20), [&] { result = format(spec); });
  worker.join();
  if (!result)
    spec.diagnostics.print(diagnostics, colour);
  return result;
}

} // namespace doppel::spec
