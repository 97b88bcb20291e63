// Prints the diagnostics of passes in the form of the frontend's: place, message, the line of the
// spec, a caret.
#pragma once

#include "frontends/spec/Frontend.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/raw_ostream.h"

#include <memory>
#include <string>

namespace doppel::cli {

class DiagnosticPrinter {
public:
  DiagnosticPrinter(mlir::MLIRContext &context, llvm::raw_ostream &out, bool colour);

  /// What the spec says of its files and of warnings that are meant.
  spec::SpecNotes notes;
  /// After the last pass: warns of what the spec allows and nothing has warned of.
  void warnOfIdleAllowances(mlir::MLIRContext &context);

  /// Whether an error was reported that no spec can be blamed for: a phase's postcondition, or a
  /// verifier of an operation.
  bool sawInternalError() const { return internal; }
  unsigned errorCount() const { return errors; }

private:
  void print(mlir::Diagnostic &diagnostic);
  /// Whether the spec silences the warning; an allowance that does is used.
  bool isAllowed(const mlir::Diagnostic &diagnostic, llvm::StringRef message);
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
