// From a file to a verified module: parse, elaborate, verify, and print what there is to say; see
// Frontend.h.
#include "frontends/spec/Frontend.h"

#include "dialects/ssl/SslDialect.h"
#include "frontends/spec/MethodBuilder.h"
#include "frontends/spec/Units.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/thread.h"

namespace doppel::spec {

using namespace mlir;

/// Calls nest as deep as the spec says (Trace.h bounds it), deeper than the stack of a main
/// thread.
constexpr unsigned stackBytes = 512u << 20;

static SpecNotes notesOf(const Diagnostics &diagnostics) {
  const SourceManager &sources = diagnostics.sourceManager();
  SpecNotes notes;
  for (uint32_t file = 0; file < sources.size(); ++file)
    notes.paths[sources.name(file)] = sources.path(file).str();
  for (const Allowance &each : diagnostics.allowances()) {
    auto place = [&](uint32_t offset) { return sources.lineColumn(each.range.file, offset); };
    // Whether a --set changes nothing is said of the command line: another has no such warning.
    bool isUsed = each.isUsed || each.code == Code::SetUnused;
    notes.allowed.push_back({info(each.code).code.str(), sources.name(each.range.file).str(),
                             place(each.range.begin), place(each.range.end),
                             place(each.covers.begin), place(each.covers.end), isUsed});
  }
  return notes;
}

static OwningOpRef<ModuleOp> load(MLIRContext &context, const SpecOptions &options,
                                  llvm::raw_ostream &out, SpecNotes *notes,
                                  llvm::function_ref<const Unit *(Units &)> read) {
  context.loadDialect<nn::NnDialect, ssl::SslDialect>();
  SourceManager sources;
  Diagnostics diagnostics(sources);
  Units units(sources, diagnostics, options.importPaths);
  OwningOpRef<ModuleOp> module;
  llvm::thread worker(std::optional<unsigned>(stackBytes), [&] {
    const Unit *unit = read(units);
    (void)units.openModules();
    // A tree with syntax errors lacks what could not be parsed, so its names prove nothing.
    if (unit && !diagnostics.hasErrors())
      module = elaborate(context, sources, diagnostics, units, *unit, options.sets);
  });
  worker.join();
  diagnostics.print(out, options.colour);
  if (notes)
    *notes = notesOf(diagnostics);
  if (!module)
    return nullptr;
  // An invalid module here is a bug of the front end: MLIR's handler says which operation.
  if (failed(verify(*module)))
    return nullptr;
  return module;
}

OwningOpRef<ModuleOp> loadSpec(MLIRContext &context, llvm::StringRef path,
                               const SpecOptions &options, llvm::raw_ostream &diagnostics,
                               SpecNotes *notes) {
  return load(context, options, diagnostics, notes,
              [&](Units &units) { return units.loadFile(path); });
}

OwningOpRef<ModuleOp> loadSpecText(MLIRContext &context, llvm::StringRef path, llvm::StringRef text,
                                   const SpecOptions &options, llvm::raw_ostream &diagnostics,
                                   SpecNotes *notes) {
  return load(context, options, diagnostics, notes,
              [&](Units &units) { return units.loadText(path, text); });
}

bool printSpecAst(llvm::StringRef path, llvm::raw_ostream &out, llvm::raw_ostream &messages,
                  bool colour) {
  SourceManager sources;
  Diagnostics diagnostics(sources);
  Units units(sources, diagnostics, {});
  llvm::thread worker(std::optional<unsigned>(stackBytes), [&] {
    if (const Unit *unit = units.loadFile(path))
      printAst(unit->ast, out);
  });
  worker.join();
  diagnostics.print(messages, colour);
  return !diagnostics.hasErrors();
}

} // namespace doppel::spec
