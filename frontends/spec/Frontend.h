// The one entry to the language: a file and its --set values in, a verified module of the `ssl`
// dialect out.
#pragma once

#include "frontends/spec/SourceManager.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"

#include <string>
#include <utility>
#include <vector>

namespace mlir {
class MLIRContext;
} // namespace mlir
namespace llvm {
class raw_ostream;
} // namespace llvm

namespace doppel::spec {

struct SpecOptions {
  /// `--set name=value`, in the order of the command line; the last of equal names wins.
  std::vector<std::pair<std::string, std::string>> sets;
  /// Where `use "path" as name` is looked for after the folder of the file that says it.
  std::vector<std::string> importPaths;
  /// Colours in the messages, for terminals.
  bool colour = false;
};

/// A place whose warnings of one code the spec silences: lines and columns from 1.
struct AllowedPlace {
  std::string code;             ///< "W0504"
  std::string file;             ///< as locations name it
  LineColumn clause, clauseEnd; ///< of the `allow`
  LineColumn begin, end;        ///< of what it covers
  bool isUsed = false;
};

/// What is known of a spec beside its module.
struct SpecNotes {
  /// Where the files are whose names stand in locations.
  llvm::StringMap<std::string> paths;
  /// For the warnings of passes; those of the spec itself have been left out already.
  std::vector<AllowedPlace> allowed;
};

/// Parses and elaborates the spec at `path`. The module holds one ssl.method, whose name, batch,
/// epochs and resolved params (text by name) are its attributes; it has been verified. Every error
/// and warning goes to `diagnostics`; with an error the result is null. Loads the dialects that it
/// needs. Locations name files as the specs do, from the folder of `path`, so the module is the
/// same however `path` is written; `notes` gets the way to each.
mlir::OwningOpRef<mlir::ModuleOp> loadSpec(mlir::MLIRContext &context, llvm::StringRef path,
                                           const SpecOptions &options,
                                           llvm::raw_ostream &diagnostics,
                                           SpecNotes *notes = nullptr);

/// The same for a text that has been read from `path`.
mlir::OwningOpRef<mlir::ModuleOp> loadSpecText(mlir::MLIRContext &context, llvm::StringRef path,
                                               llvm::StringRef text, const SpecOptions &options,
                                               llvm::raw_ostream &diagnostics,
                                               SpecNotes *notes = nullptr);

/// Parses the file alone and prints its syntax tree to `out`: `--emit ast`. False if there were
/// errors.
bool printSpecAst(llvm::StringRef path, llvm::raw_ostream &out, llvm::raw_ostream &diagnostics,
                  bool colour);

} // namespace doppel::spec
