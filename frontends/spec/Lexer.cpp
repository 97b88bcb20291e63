// The lexer; see Lexer.h. Hand-written: one switch, no tables, every message where its cause is
// seen.
#include "frontends/spec/Lexer.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/ConvertUTF.h"

#include <optional>

#include <cmath>

namespace doppel::spec {

llvm::StringRef describe(TokenKind kind) {
  switch (kind) {
#define TOKEN(name, text)                                                                          \
  case TokenKind::name:                                                                            \
    return text;
#define KEYWORD(name, text)                                                                        \
  case TokenKind::name:                                                                            \
    return "'" text "'";
#include "frontends/spec/Tokens.def"
  }
  return "";
}

bool isKeyword(TokenKind kind) {
  switch (kind) {
#define KEYWORD(name, text) case TokenKind::name:
#include "frontends/spec/Tokens.def"
    return true;
  default:
    return false;
  }
}

static TokenKind identifierKind(llvm::StringRef text) {
  return llvm::StringSwitch<TokenKind>(text)
#define KEYWORD(name, text) .Case(text, TokenKind::name)
#include "frontends/spec/Tokens.def"
      .Default(TokenKind::Identifier);
}

namespace {

class Lexer {
public:
  Lexer(llvm::StringRef text, uint32_t file, AstContext &context, Diagnostics &diagnostics,
        std::vector<Comment> *comments)
      : text(text), file(file), context(context), diagnostics(diagnostics), comments(comments) {}

  std::vector<Token> run() {
    if (checkText()) {
      if (text.starts_with("\xEF\xBB\xBF"))
        position = 3;
      while (skipBlank(), position < text.size() && !diagnostics.isFull())
        lexToken();
    } else {
      position = text.size();
    }
    add(TokenKind::Eof, position);
    return std::move(tokens);
  }

private:
  SourceRange range(size_t begin, size_t end) const {
    return {file, static_cast<uint32_t>(begin), static_cast<uint32_t>(end)};
  }

  char peek(size_t ahead = 0) const {
    return position + ahead < text.size() ? text[position + ahead] : '\0';
  }

  /// Size and encoding are checked once, so that nothing later need think of them.
  bool checkText() {
    if (text.size() > maxFileBytes) {
      diagnostics.report(Code::FileTooLarge, range(0, 0),
                         "file has " + llvm::Twine(text.size()) + " bytes, the most is " +
                             llvm::Twine(maxFileBytes));
      return false;
    }
    auto *begin = reinterpret_cast<const llvm::UTF8 *>(text.begin());
    auto *end = reinterpret_cast<const llvm::UTF8 *>(text.end());
    const llvm::UTF8 *bad = begin;
    size_t zero = text.find('\0');
    if (llvm::isLegalUTF8String(&bad, end) && zero == llvm::StringRef::npos)
      return true;
    size_t offset = std::min<size_t>(bad - begin, zero);
    diagnostics.report(Code::InvalidUtf8, range(offset, offset + 1),
                       "byte " + llvm::Twine(offset) + " of the file is 0x" +
                           llvm::utohexstr(static_cast<unsigned char>(text[offset])) +
                           ", which is not text in UTF-8");
    return false;
  }

  void skipBlank() {
    while (position < text.size()) {
      char c = text[position];
      if (c == '\n') {
        firstOnLine = true;
        ++position;
      } else if (c == ' ' || c == '\t' || c == '\r') {
        ++position;
      } else if (c == '/' && peek(1) == '/') {
        comment();
      } else {
        return;
      }
    }
  }

  /// Whether a comment of these words behind a value was meant as a division: a number, or the
  /// name of an integer param.
  bool isDivisor(llvm::StringRef words) const {
    bool isName = !words.empty() && !llvm::isDigit(words.front());
    if (tokens.empty() || (tokens.back().kind != TokenKind::Identifier &&
                           tokens.back().kind != TokenKind::RightParen &&
                           tokens.back().kind != TokenKind::RightBracket))
      return false;
    if (!isName)
      return !words.empty() && llvm::all_of(words, llvm::isDigit);
    for (size_t i = 0; i + 3 < tokens.size(); ++i)
      if (tokens[i].text == "param" && tokens[i + 1].text == words &&
          tokens[i + 2].kind == TokenKind::Equal && tokens[i + 3].kind == TokenKind::Int &&
          tokens.back().kind == TokenKind::Identifier)
        return true;
    return false;
  }

  void comment() {
    llvm::StringRef line = text.substr(position).take_until([](char c) { return c == '\n'; });
    llvm::StringRef divisor = line.drop_front(2).trim();
    llvm::StringRef number = divisor.take_while(llvm::isDigit);
    llvm::StringRef behind = divisor.drop_front(number.size()).ltrim();
    bool closes = behind.ends_with(")") || behind.ends_with("]");
    if (!number.empty() && closes && llvm::StringRef(",)]").contains(behind.front()))
      divisor = number; // as in [n, n // 2, m]
    if (!firstOnLine && isDivisor(divisor)) {
      diagnostics
          .report(Code::UnexpectedCharacter, range(position, position + 2), "'//' begins a comment")
          .help("integers are divided by div(a, " + divisor + ")");
      position += 2;
      add(TokenKind::Slash, position - 2);
      return;
    }
    if (comments)
      comments->push_back({range(position, position + line.rtrim().size()), firstOnLine});
    position += line.size();
    // A doc comment has a line of its own, and four slashes make a plain one.
    if (!line.starts_with("///") || line.starts_with("////") || !firstOnLine)
      return;
    llvm::StringRef words = line.drop_front(3).rtrim();
    words.consume_front(" ");
    if (hasDoc)
      doc += '\n';
    doc += words;
    hasDoc = true;
  }

  Token &add(TokenKind kind, size_t begin) {
    Token token{kind,
                range(begin, position),
                firstOnLine || tokens.empty(),
                text.slice(begin, position),
                {}};
    if (hasDoc) {
      token.doc = context.copyString(doc);
      doc.clear();
      hasDoc = false;
    }
    firstOnLine = false;
    tokens.push_back(token);
    return tokens.back();
  }

  void lexToken() {
    size_t begin = position;
    char c = text[position];
    if (llvm::isAlpha(c) || c == '_')
      return identifier();
    if (llvm::isDigit(c))
      return number();
    if (c == '"')
      return string();
    if (auto [kind, length] = punctuation(); length) {
      position += length;
      add(kind, begin);
      return;
    }
    unexpected();
  }

  void identifier() {
    size_t begin = position;
    while (llvm::isAlnum(peek()) || peek() == '_')
      ++position;
    add(identifierKind(text.slice(begin, position)), begin);
  }

  void digits() {
    while (llvm::isDigit(peek()) || peek() == '_')
      ++position;
  }

  void number() {
    size_t begin = position;
    bool isFloat = false;
    bool isMember = !tokens.empty() && tokens.back().kind == TokenKind::Dot;
    digits();
    if (!isMember) { // in `head.0.1` the dot is a member's, not a fraction's
      if (peek() == '.' && llvm::isDigit(peek(1))) {
        isFloat = true;
        ++position;
        digits();
      }
      if (peek() == 'e' || peek() == 'E') {
        size_t sign = peek(1) == '+' || peek(1) == '-';
        if (llvm::isDigit(peek(1 + sign))) {
          isFloat = true;
          position += 1 + sign;
          digits();
        }
      }
    }
    bool sound = true;
    if (llvm::isAlpha(peek()) || peek() == '_') {
      while (llvm::isAlnum(peek()) || peek() == '_')
        ++position;
      sound = false;
    }
    Token &token = add(isFloat ? TokenKind::Float : TokenKind::Int, begin);
    llvm::SmallString<32> plain;
    for (char c : token.text)
      if (c != '_')
        plain += c;
    if (sound && isFloat)
      sound =
          !llvm::StringRef(plain).getAsDouble(token.floatValue) && std::isfinite(token.floatValue);
    else if (sound)
      sound = !llvm::StringRef(plain).getAsInteger(10, token.intValue);
    if (!sound)
      diagnostics.report(Code::BadNumber, token.range,
                         "'" + token.text + "' is not a number of the language");
  }

  void string() {
    size_t begin = position++;
    llvm::SmallString<64> value;
    while (peek() != '"') {
      if (position >= text.size() || peek() == '\n') {
        diagnostics
            .report(Code::UnterminatedString, range(begin, position),
                    "the string has no closing quote on its line")
            .help("add '\"' at its end");
        return finishString(begin, value);
      }
      if (peek() == '\\')
        escape(value);
      else
        value += text[position++];
    }
    ++position;
    finishString(begin, value);
  }

  void escape(llvm::SmallString<64> &value) {
    size_t begin = position++;
    switch (peek()) {
    case 'n':
      value += '\n';
      break;
    case 't':
      value += '\t';
      break;
    case '\\':
    case '"':
      value += peek();
      break;
    default:
      diagnostics.report(Code::UnknownEscape, range(begin, position),
                         "a backslash is followed by one of n t \\ \"");
      return;
    }
    ++position;
  }

  void finishString(size_t begin, llvm::StringRef value) {
    add(TokenKind::String, begin).text = context.copyString(value);
  }

  /// The longest punctuation at this place and its length, 0 if there is none.
  std::pair<TokenKind, size_t> punctuation() const {
    static constexpr std::pair<llvm::StringLiteral, TokenKind> kinds[] = {
        {"...", TokenKind::Ellipsis},  {"..", TokenKind::DotDot},
        {"==", TokenKind::EqualEqual}, {"!=", TokenKind::NotEqual},
        {"<=", TokenKind::LessEqual},  {">=", TokenKind::GreaterEqual},
        {">>", TokenKind::Compose},    {"|>", TokenKind::Pipe},
        {"->", TokenKind::Arrow},      {"**", TokenKind::StarStar},
        {"(", TokenKind::LeftParen},   {")", TokenKind::RightParen},
        {"[", TokenKind::LeftBracket}, {"]", TokenKind::RightBracket},
        {"{", TokenKind::LeftBrace},   {"}", TokenKind::RightBrace},
        {",", TokenKind::Comma},       {":", TokenKind::Colon},
        {";", TokenKind::Semicolon},   {".", TokenKind::Dot},
        {"=", TokenKind::Equal},       {"<", TokenKind::Less},
        {">", TokenKind::Greater},     {"+", TokenKind::Plus},
        {"-", TokenKind::Minus},       {"*", TokenKind::Star},
        {"/", TokenKind::Slash},       {"%", TokenKind::Percent},
        {"@", TokenKind::At},
    };
    llvm::StringRef rest = text.substr(position);
    for (const auto &[spelling, kind] : kinds)
      if (rest.starts_with(spelling))
        return {kind, spelling.size()};
    return {TokenKind::Eof, 0};
  }

  void unexpected() {
    size_t begin = position++;
    while (position < text.size() && (text[position] & 0xC0) == 0x80)
      ++position;
    llvm::StringRef shown = add(TokenKind::Unknown, begin).text;
    llvm::SmallString<16> printable(shown);
    if (shown.size() == 1 && !llvm::isPrint(shown[0]))
      printable = ("byte 0x" + llvm::utohexstr(static_cast<unsigned char>(shown[0])));
    Diagnostic &diagnostic = diagnostics.report(Code::UnexpectedCharacter, range(begin, position),
                                                "'" + printable + "' has no meaning here");
    if (shown == "#") {
      diagnostic.help("a comment begins with '//'");
      position += text.substr(position).take_until([](char c) { return c == '\n'; }).size();
    } else if (shown == "'")
      diagnostic.help("strings stand in double quotes");
    else if (shown == "&" || shown == "|" || shown == "!")
      diagnostic.help("the logical operators are 'and', 'or', 'not'");
    else if (shown == "^")
      diagnostic.help("a power is written a ** b");
  }

  llvm::StringRef text;
  uint32_t file;
  AstContext &context;
  Diagnostics &diagnostics;
  std::vector<Comment> *comments;
  size_t position = 0;
  bool firstOnLine = true;
  bool hasDoc = false;
  std::string doc;
  std::vector<Token> tokens;
};

} // namespace

std::vector<Token> lex(const SourceManager &sources, uint32_t file, AstContext &context,
                       Diagnostics &diagnostics, std::vector<Comment> *comments) {
  return Lexer(sources.text(file), file, context, diagnostics, comments).run();
}

} // namespace doppel::spec
