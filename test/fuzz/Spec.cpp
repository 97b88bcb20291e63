// Specs from strangers: any text is parsed, elaborated and laid out. What is refused has a message;
// what is accepted is a valid module; what is laid out once stays as it is.
#include "frontends/spec/Format.h"
#include "frontends/spec/Frontend.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

using namespace doppel::spec;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace {

[[noreturn]] void broken(llvm::StringRef what) {
  llvm::errs() << "spec: " << what << '\n';
  std::abort();
}

/// A context grows with every type and attribute that was ever made.
constexpr unsigned kRunsOfAContext = 200;

mlir::MLIRContext &freshContext() {
  static std::unique_ptr<mlir::MLIRContext> context;
  static unsigned runs = 0;
  if (runs++ % kRunsOfAContext == 0) {
    context.reset();
    context = std::make_unique<mlir::MLIRContext>(mlir::MLIRContext::Threading::DISABLED);
    // The front end prints its own messages; one of MLIR's says that it made an invalid module.
    context->getDiagEngine().registerHandler([](mlir::Diagnostic &diagnostic) {
      if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error)
        broken("an invalid module: " + diagnostic.str());
      return mlir::success();
    });
  }
  return *context;
}

enum class Kind { Blank, Word, Number, Text, Other };

Kind kindOf(char character) {
  unsigned char c = static_cast<unsigned char>(character);
  if (std::isspace(c))
    return Kind::Blank;
  if (std::isalpha(c) || c == '_')
    return Kind::Word;
  if (std::isdigit(c))
    return Kind::Number;
  return c == '"' ? Kind::Text : Kind::Other;
}

/// Pieces of a spec, which together are its text: blanks, words, numbers, strings and single signs.
std::vector<std::string> split(llvm::StringRef text) {
  std::vector<std::string> pieces;
  while (!text.empty()) {
    Kind kind = kindOf(text[0]);
    size_t count = 1;
    if (kind == Kind::Text)
      count = std::min(text.size(), text.find('"', 1) + 1);
    else if (kind == Kind::Word || kind == Kind::Number)
      while (count < text.size() &&
             (kindOf(text[count]) == Kind::Word || kindOf(text[count]) == Kind::Number))
        ++count;
    if (count == 0)
      count = text.size();
    pieces.push_back(text.take_front(count).str());
    text = text.drop_front(count);
  }
  return pieces;
}

/// What a spec may say beside the words of its neighbours.
constexpr const char *kWords[] = {"method",
                                  "param",
                                  "view",
                                  "net",
                                  "state",
                                  "loss",
                                  "let",
                                  "update",
                                  "fn",
                                  "return",
                                  "if",
                                  "else",
                                  "for",
                                  "in",
                                  "where",
                                  "optimize",
                                  "with",
                                  "metric",
                                  "use",
                                  "when",
                                  "after",
                                  "before",
                                  "every",
                                  "represent",
                                  "and",
                                  "or",
                                  "not",
                                  "true",
                                  "false",
                                  "f32",
                                  "i64",
                                  "image",
                                  "step",
                                  "epoch",
                                  "..",
                                  "...",
                                  ">>",
                                  "@",
                                  "**",
                                  "0",
                                  "1",
                                  "-1",
                                  "2",
                                  "0.5",
                                  "1e30",
                                  "1e-30",
                                  "1/0",
                                  "9223372036854775807",
                                  "65536",
                                  "(",
                                  ")",
                                  "[",
                                  "]",
                                  "{",
                                  "}",
                                  ",",
                                  ":",
                                  "=",
                                  "==",
                                  "<",
                                  "+",
                                  "-",
                                  "*",
                                  "/",
                                  "ema",
                                  "sum",
                                  "mean",
                                  "softmax",
                                  "matmul",
                                  "reshape",
                                  "where",
                                  "concat",
                                  "random",
                                  "shape",
                                  "iota",
                                  "gather",
                                  "scatter",
                                  "enqueue",
                                  "stop_gradient",
                                  "normalize"};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string text(reinterpret_cast<const char *>(data), size);
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  auto module = loadSpecText(freshContext(), "fuzz.dpl", text, {}, stream);
  if (!module && !llvm::StringRef(messages).contains("error"))
    broken("refused without a message");
  if (module && llvm::StringRef(messages).contains("error["))
    broken("accepted with an error");

  std::string ignored;
  llvm::raw_string_ostream sink(ignored);
  if (auto once = formatSpec("fuzz.dpl", text, sink, /*colour=*/false)) {
    auto twice = formatSpec("fuzz.dpl", *once, sink, /*colour=*/false);
    if (!twice || *twice != *once)
      broken("the layout of a laid out spec is another");
  }
  return 0;
}

/// Half of the changes are of bytes, half of words: a word out, doubled, moved, or another in its
/// place.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize,
                                          unsigned seed) {
  std::minstd_rand random(seed);
  auto below = [&](size_t limit) { return size_t(random()) % limit; };
  if (size == 0 || below(2))
    return LLVMFuzzerMutate(data, size, maxSize);
  std::vector<std::string> pieces =
      split(llvm::StringRef(reinterpret_cast<const char *>(data), size));
  for (size_t i = 0, changes = 1 + below(4); i < changes && !pieces.empty(); ++i) {
    size_t at = below(pieces.size()), other = below(pieces.size());
    switch (below(6)) {
    case 0:
      pieces.erase(pieces.begin() + long(at));
      break;
    case 1:
      pieces.insert(pieces.begin() + long(at), std::string(pieces[other]));
      break;
    case 2:
      std::swap(pieces[at], pieces[other]);
      break;
    case 3:
      pieces[at] = std::string(pieces[other]);
      break;
    case 4:
      pieces[at] = kWords[below(std::size(kWords))];
      break;
    case 5:
      pieces.insert(pieces.begin() + long(at), kWords[below(std::size(kWords))]);
      break;
    }
  }
  std::string text;
  for (const std::string &piece : pieces)
    text += piece;
  size = std::min(text.size(), maxSize);
  std::memcpy(data, text.data(), size);
  return size;
}
