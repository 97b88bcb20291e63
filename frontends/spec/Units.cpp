// Files and the modules that they use; see Units.h.
#include "frontends/spec/Units.h"

#include "frontends/spec/Lexer.h"
#include "frontends/spec/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

namespace doppel::spec {

namespace {
struct LibraryText {
  llvm::StringRef name;
  llvm::StringRef text;
};
constexpr llvm::StringRef alwaysOpen[] = {"prelude", "schedules"};
} // namespace

static llvm::ArrayRef<LibraryText> libraryTexts() {
  static const LibraryText texts[] = {
#include "frontends/spec/StdModules.inc"
      {"", ""}};
  return llvm::ArrayRef(texts).drop_back();
}

std::vector<llvm::StringRef> libraryNames() {
  std::vector<llvm::StringRef> names;
  for (const LibraryText &entry : libraryTexts())
    names.push_back(entry.name);
  return names;
}

static SourceRange rangeOf(const Decl *decl) {
  switch (decl->kind) {
  case DeclKind::Function:
    return llvm::cast<FunctionDecl>(decl)->name.range;
  case DeclKind::Net:
    return llvm::cast<NetDecl>(decl)->name.range;
  case DeclKind::Method:
    return llvm::cast<MethodDecl>(decl)->name.range;
  case DeclKind::Use:
    return decl->range;
  }
  return decl->range;
}

Unit *Units::parseUnit(std::string name, uint32_t file, bool isLibrary) {
  Unit *unit = all.emplace_back(std::make_unique<Unit>()).get();
  unit->name = std::move(name);
  unit->isLibrary = isLibrary;
  unit->ast = parse(sources, file, ast, diagnostics);
  byName[unit->name] = unit;
  return unit;
}

void Units::declare(Unit &unit, llvm::StringRef name, SourceRange range, const Decl *decl,
                    const Unit *module) {
  auto earlier = unit.decls.find(name);
  bool isModule = unit.modules.contains(name);
  if (earlier == unit.decls.end() && !isModule) {
    if (decl)
      unit.decls[name] = decl;
    else
      unit.modules[name] = module;
    return;
  }
  if (isModule && module == unit.modules[name])
    return; // `use` of the same module again changes nothing
  Diagnostic &error =
      diagnostics.report(Code::DuplicateName, range, "'" + name + "' is declared twice");
  if (earlier != unit.decls.end())
    error.note(rangeOf(earlier->second), "the first is here");
  else
    error.note({}, "the first is a module of a 'use'");
}

void Units::resolve(Unit &unit) {
  loading[unit.name] = {};
  for (const Decl *decl : unit.ast.decls) {
    if (auto *function = llvm::dyn_cast<FunctionDecl>(decl)) {
      declare(unit, function->name.text, function->name.range, decl, nullptr);
    } else if (auto *net = llvm::dyn_cast<NetDecl>(decl)) {
      declare(unit, net->name.text, net->name.range, decl, nullptr);
    } else if (auto *use = llvm::dyn_cast<UseDecl>(decl)) {
      if (!use->isStd) {
        if (const Unit *used = findFile(*use, unit))
          declare(unit, use->alias.text, use->alias.range, nullptr, used);
        continue;
      }
      for (const Name &name : use->modules) {
        if (const Unit *used = library(name.text)) {
          declare(unit, name.text, name.range, nullptr, used);
          continue;
        }
        std::vector<llvm::StringRef> known = libraryNames();
        Diagnostic &error = diagnostics.report(Code::UnknownModule, name.range,
                                               "the library has no module '" + name.text + "'");
        if (auto nearest = nearestName(name.text, known))
          error.help("did you mean '" + *nearest + "'?");
        else
          error.help("it has " + llvm::join(known, ", "));
      }
    }
  }
  loading.erase(unit.name);
}

const Unit *Units::findFile(const UseDecl &use, const Unit &from) {
  llvm::SmallVector<std::string> candidates;
  llvm::SmallString<256> beside(llvm::sys::path::parent_path(from.name));
  llvm::sys::path::append(beside, use.path);
  candidates.push_back(llvm::sys::path::is_absolute(use.path) ? use.path.str()
                                                              : std::string(beside));
  for (const std::string &folder : importPaths) {
    llvm::SmallString<256> path(folder);
    llvm::sys::path::append(path, use.path);
    candidates.push_back(std::string(path));
  }
  for (const std::string &candidate : candidates)
    if (llvm::sys::fs::exists(candidate))
      return loadFile(candidate, use.pathRange);
  return loadFile(candidates.front(), use.pathRange);
}

const Unit *Units::loadFile(llvm::StringRef path, SourceRange range) {
  llvm::SmallString<256> normal(path);
  llvm::sys::path::remove_dots(normal, /*remove_dot_dot=*/true);
  llvm::StringRef name = normal.empty() ? path : llvm::StringRef(normal);
  if (loading.contains(name)) {
    diagnostics.report(Code::CyclicImport, range,
                       "'" + name + "' uses itself, directly or through others");
    return nullptr;
  }
  if (Unit *known = byName.lookup(name))
    return known;
  auto refuse = [&](llvm::StringRef why) {
    diagnostics.report(Code::CannotReadFile, range, "cannot read '" + path + "': " + why);
    return nullptr;
  };
  llvm::sys::fs::file_status status;
  if (std::error_code failed = llvm::sys::fs::status(path, status))
    return refuse(failed.message());
  if (llvm::sys::fs::is_directory(status))
    return refuse("it is a folder");
  if (status.type() == llvm::sys::fs::file_type::character_file)
    return refuse("it is a device");
  if (status.type() == llvm::sys::fs::file_type::regular_file && status.getSize() > maxFileBytes) {
    diagnostics.report(Code::FileTooLarge, range,
                       "'" + path + "' has " + llvm::Twine(status.getSize()) +
                           " bytes, the most is " + llvm::Twine(maxFileBytes));
    return nullptr;
  }
  auto buffer =
      llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return refuse(buffer.getError().message());
  Unit *unit = parseUnit(name.str(), sources.addFile(path, (*buffer)->getBuffer().str()), false);
  resolve(*unit);
  return unit;
}

const Unit *Units::loadText(llvm::StringRef name, std::string text) {
  Unit *unit = parseUnit(name.str(), sources.addFile(name, std::move(text)), false);
  resolve(*unit);
  return unit;
}

const Unit *Units::library(llvm::StringRef name) {
  std::string full = ("std." + name).str();
  if (Unit *known = byName.lookup(full))
    return known;
  for (const LibraryText &entry : libraryTexts()) {
    if (entry.name != name)
      continue;
    uint32_t file = sources.addFile(("std/" + name + ".dpl").str(), entry.text.str());
    Unit *unit = parseUnit(full, file, /*isLibrary=*/true);
    resolve(*unit);
    return unit;
  }
  return nullptr;
}

llvm::ArrayRef<const Unit *> Units::openModules() {
  if (!openLoaded) {
    openLoaded = true;
    for (llvm::StringRef name : alwaysOpen)
      if (const Unit *unit = library(name))
        open.push_back(unit);
  }
  return open;
}

} // namespace doppel::spec
