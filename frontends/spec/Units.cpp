// Files and the modules that they use; see Units.h.
#include "frontends/spec/Units.h"

#include "frontends/spec/Lexer.h"
#include "frontends/spec/Parser.h"
#include "frontends/spec/ReadFile.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
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
  case DeclKind::Allow:
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

static std::string withoutDots(llvm::StringRef path) {
  llvm::SmallString<256> normal(path);
  llvm::sys::path::remove_dots(normal, /*remove_dot_dot=*/true);
  return normal.empty() ? path.str() : std::string(normal);
}

static std::string below(llvm::StringRef folder, llvm::StringRef path) {
  llvm::SmallString<256> joined(folder);
  llvm::sys::path::append(joined, path);
  return std::string(joined);
}

std::string Units::nameOf(llvm::StringRef path) { return llvm::sys::path::filename(path).str(); }

const Unit *Units::findFile(const UseDecl &use, const Unit &from) {
  struct Candidate {
    std::string path, name;
  };
  llvm::SmallVector<Candidate> candidates;
  if (llvm::sys::path::is_absolute(use.path))
    candidates.push_back({use.path.str(), use.path.str()});
  else
    candidates.push_back(
        {below(llvm::sys::path::parent_path(from.name), use.path),
         below(llvm::sys::path::parent_path(sources.name(from.ast.file)), use.path)});
  for (const std::string &folder : importPaths)
    candidates.push_back({below(folder, use.path), use.path.str()});
  for (const auto &[path, name] : candidates)
    if (llvm::sys::fs::exists(path))
      return loadFile(path, name, use.pathRange);
  return loadFile(candidates.front().path, candidates.front().name, use.pathRange);
}

const Unit *Units::loadFile(llvm::StringRef path, llvm::StringRef name, SourceRange range) {
  std::string normal = withoutDots(path);
  if (loading.contains(normal)) {
    diagnostics.report(Code::CyclicImport, range,
                       "'" + normal + "' uses itself, directly or through others");
    return nullptr;
  }
  if (Unit *known = byName.lookup(normal))
    return known;
  std::string why;
  if (auto buffer = readRegularFile(path, why))
    return addText(path, buffer->getBuffer(), name, range);
  diagnostics.report(Code::CannotReadFile, range, "cannot read '" + path + "': " + why);
  return nullptr;
}

const Unit *Units::loadText(llvm::StringRef path, llvm::StringRef text) {
  return addText(path, text, nameOf(path), {});
}

const Unit *Units::addText(llvm::StringRef path, llvm::StringRef text, llvm::StringRef name,
                           SourceRange range) {
  if (text.size() > maxFileBytes) {
    diagnostics.report(Code::FileTooLarge, range,
                       "'" + path + "' has " + llvm::Twine(text.size()) + " bytes, the most is " +
                           llvm::Twine(maxFileBytes));
    return nullptr;
  }
  // Files of import paths may have the name of another; the library's are its own.
  std::string base = withoutDots(name), own = base;
  if (llvm::StringRef(base).starts_with("std/"))
    own = base = "./" + base;
  for (unsigned number = 2; !namesOfFiles.insert(own).second; ++number)
    own = base + "#" + std::to_string(number);
  uint32_t file = sources.addFile(path, text.str(), own);
  Unit *unit = parseUnit(withoutDots(path), file, /*isLibrary=*/false);
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
    std::string path = ("std/" + name + ".dpl").str();
    uint32_t file = sources.addFile(path, entry.text.str(), path);
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
