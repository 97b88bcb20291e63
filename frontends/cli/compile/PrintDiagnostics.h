// Prints the diagnostics of passes in the form of the frontend's: place, message, the line of the
// spec, a caret.
#pragma once

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/raw_ostream.h"

#include <memory>
#include <string>

namespace doppel::cli {

class DiagnosticPrinter {
public:
  DiagnosticPrinter(mlir::MLIRContext &context, llvm::raw_ostream &out, bool colour);

  /// Where the files are that locations name; others are where their names say.
  llvm::StringMap<std::string> paths;

  /// Whether an error was reported that no spec can be blamed for: a phase's postcondition, or a
  /// verifier of an operation.
  bool sawInternalError() const { return internal; }
  unsigned errorCount() const { return errors; }

private:
  void print(mlir::Diagnostic &diagnostic);
  void printOne(mlir::Location location, llvm::StringRef kind, const char *paint,
                const std::string &message);
  /// Line `number` of a file, from 1; empty if it cannot be read.
  std::string lineOf(llvm::StringRef file, unsigned number);

  llvm::raw_ostream &out;
  bool colour;
  bool internal = false;
  unsigned errors = 0;
  llvm::StringMap<std::string> texts;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace doppel::cli
