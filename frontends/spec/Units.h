// Reads a file and everything that it uses, once each, and tells what its names at the top level
// mean.
#pragma once

#include "frontends/spec/Ast.h"
#include "frontends/spec/Diagnostics.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include <memory>
#include <string>
#include <vector>

namespace doppel::spec {

/// A parsed file: a module of the library or a file of the user.
struct Unit {
  std::string name; ///< "std.losses", or the path without dots
  SourceFile ast;
  bool isLibrary = false;
  llvm::StringMap<const Decl *> decls;   ///< functions, nets and methods by name
  llvm::StringMap<const Unit *> modules; ///< what `use` brought in, by the name that it has here
};

class Units {
public:
  Units(SourceManager &sources, Diagnostics &diagnostics, std::vector<std::string> importPaths)
      : sources(sources), diagnostics(diagnostics), importPaths(std::move(importPaths)) {}

  /// The file at `path` and all that it uses. `range` is where it is asked for. Null if it cannot
  /// be read, or for itself while it is being read.
  const Unit *loadFile(llvm::StringRef path, SourceRange range = {}) {
    return loadFile(path, nameOf(path), range);
  }
  /// The same for a text that has been read from `path`.
  const Unit *loadText(llvm::StringRef path, llvm::StringRef text);
  /// The library module `name`, or null.
  const Unit *library(llvm::StringRef name);
  /// The always open modules that exist, in the order in which names are looked up in them.
  llvm::ArrayRef<const Unit *> openModules();

private:
  /// The name that locations have for the file of the command line: it stands in no folder.
  static std::string nameOf(llvm::StringRef path);
  const Unit *loadFile(llvm::StringRef path, llvm::StringRef name, SourceRange range);
  const Unit *addText(llvm::StringRef path, llvm::StringRef text, llvm::StringRef name,
                      SourceRange range);
  Unit *parseUnit(std::string name, uint32_t file, bool isLibrary);
  void resolve(Unit &unit);
  void declare(Unit &unit, llvm::StringRef name, SourceRange range, const Decl *decl,
               const Unit *module);
  const Unit *findFile(const UseDecl &use, const Unit &from);

  SourceManager &sources;
  Diagnostics &diagnostics;
  std::vector<std::string> importPaths;
  AstContext ast;
  std::vector<std::unique_ptr<Unit>> all;
  llvm::StringMap<Unit *> byName;
  llvm::StringSet<> namesOfFiles;
  llvm::StringMap<SourceRange> loading; ///< files whose `use`s are being followed
  std::vector<const Unit *> open;
  bool openLoaded = false;
};

/// The names of the modules of the library.
std::vector<llvm::StringRef> libraryNames();

} // namespace doppel::spec
