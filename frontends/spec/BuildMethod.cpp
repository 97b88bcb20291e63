// The method as a whole, and which item goes where; see MethodBuilder.h.
#include "frontends/spec/MethodBuilder.h"

#include "frontends/spec/CheckNames.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace doppel::spec {

using namespace mlir;

//===- The method as a whole ------------------------------------------------------------------===//

static const MethodDecl *findMethod(const Unit &unit, Diagnostics &diagnostics) {
  const MethodDecl *found = nullptr;
  for (const Decl *decl : unit.ast.decls) {
    auto *candidate = llvm::dyn_cast<MethodDecl>(decl);
    if (candidate && found) {
      diagnostics
          .report(Code::NoSingleMethod, candidate->name.range,
                  "the file has two methods, '" + found->name.text + "' and '" +
                      candidate->name.text + "'")
          .note(found->name.range, "the first is here");
      return nullptr;
    }
    found = candidate ? candidate : found;
  }
  if (!found)
    diagnostics
        .report(Code::NoSingleMethod, {unit.ast.file, 0, 0}, "the file has no method to compile")
        .help("begin one: method NAME { param batch = 256 ... }");
  return found;
}

/// Takes out what nothing uses: expressions that only told a type, or a `let` that only rates name.
static void eraseDead(Region &region) {
  for (Block &block : region)
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
      if (isa<nn::NnDialect>(op.getDialect()) && isOpTriviallyDead(&op)) {
        op.erase();
        continue;
      }
      for (Region &inner : op.getRegions())
        eraseDead(inner);
    }
}

OwningOpRef<ModuleOp> elaborate(MLIRContext &context, const SourceManager &sources,
                                Diagnostics &diagnostics, Units &units, const Unit &unit,
                                Sets sets) {
  const MethodDecl *decl = findMethod(unit, diagnostics);
  if (!decl)
    return nullptr;
  Trace trace(context, sources, diagnostics);
  TensorEmitter emit(context, trace);
  MethodScope method;
  Evaluator evaluator(trace, emit, units, method);
  return MethodBuilder(evaluator).build(unit, *decl, sets);
}

OwningOpRef<ModuleOp> MethodBuilder::build(const Unit &unit, const MethodDecl &decl, Sets given) {
  Frame root{.name = decl.name.text, .unit = &unit, .isMethod = true};
  Scoped<Frame *> inFrame(trace.frame, &root);
  Scoped<Scope *> inScope(evaluator.scope, &names.names);

  OwningOpRef<ModuleOp> module = ModuleOp::create(trace.fileLocation({unit.ast.file, 0, 0}));
  builder.setInsertionPointToEnd(module->getBody());
  method = ssl::MethodOp::create(builder, trace.fileLocation(decl.name.range), decl.name.text,
                                 /*batch=*/0, /*epochs=*/0, /*samples=*/IntegerAttr(),
                                 builder.getDictionaryAttr({}));
  Block &body = method.getBody().emplaceBlock();
  builder.setInsertionPointToEnd(&body);
  step = ssl::StepOp::create(builder, trace.fileLocation(decl.name.range));
  Scoped<NetInstances *> shared(evaluator.instances, &instances.emplace(evaluator, step));
  Context forward{.kind = ContextKind::Step, .block = &step.getBody().emplaceBlock()};
  Scoped<Context *> inContext(emit.current, &forward);
  stepContext = &forward;

  collectNames(decl.body);
  checkSets(given, decl.body);
  runItems(decl.body);
  trace.beginItem();
  if (!stopped())
    checkMethod(decl);
  if (!stopped())
    checkNames(evaluator, unit, decl);
  if (!trace.diagnostics.hasErrors())
    warnOfIdleSets();
  if (trace.diagnostics.hasErrors())
    return nullptr;
  method.setParamsAttr(builder.getDictionaryAttr(paramTexts));
  method.setBatch(names.batch);
  method.setEpochs(epochs);
  if (samples)
    method.setSamples(samples);
  eraseDead(method.getBody());
  return module;
}

void MethodBuilder::collectNames(llvm::ArrayRef<const Stmt *> body) {
  auto add = [&](const Name &name) { names.declared.try_emplace(name.text, name.range); };
  for (const Stmt *stmt : body) {
    switch (stmt->kind) {
    case StmtKind::Let:
      for (const Name &name : llvm::cast<LetStmt>(stmt)->pattern.names)
        add(name);
      break;
    case StmtKind::Param:
      add(llvm::cast<ParamStmt>(stmt)->name);
      break;
    case StmtKind::View:
      for (const ViewName &view : llvm::cast<ViewStmt>(stmt)->names)
        add(view.name);
      break;
    case StmtKind::Net:
      add(llvm::cast<NetStmt>(stmt)->name);
      break;
    case StmtKind::State:
      add(llvm::cast<TensorDeclStmt>(stmt)->name);
      break;
    case StmtKind::If:
      collectNames(llvm::cast<IfStmt>(stmt)->thenBody);
      collectNames(llvm::cast<IfStmt>(stmt)->elseBody);
      break;
    default:
      break;
    }
  }
}

bool MethodBuilder::declare(const Name &name) {
  auto [earlier, isNew] = declared.try_emplace(name.text, name.range);
  if (isNew)
    return true;
  report(Code::DuplicateName, name.range, "'" + name.text + "' is declared twice")
      .note(earlier->second, "the first is here");
  return false;
}

void MethodBuilder::runItems(llvm::ArrayRef<const Stmt *> body) {
  for (const Stmt *stmt : body) {
    trace.beginItem();
    if (trace.count(stmt->range))
      runItem(stmt);
  }
}

void MethodBuilder::runItem(const Stmt *stmt) {
  if (stmt->kind != StmtKind::If)
    names.item = stmt->range;
  switch (stmt->kind) {
  case StmtKind::Param:
    return runParam(llvm::cast<ParamStmt>(stmt));
  case StmtKind::View:
    return runView(llvm::cast<ViewStmt>(stmt));
  case StmtKind::Net:
    return runNetStmt(llvm::cast<NetStmt>(stmt));
  case StmtKind::State:
    return runState(llvm::cast<TensorDeclStmt>(stmt));
  case StmtKind::Let:
    return runLet(llvm::cast<LetStmt>(stmt));
  case StmtKind::If: {
    auto *branch = llvm::cast<IfStmt>(stmt);
    std::optional<bool> condition = evaluator.evalCondition(
        branch->condition, "the condition of 'if'",
        "choose by a tensor with where(condition, a, b); losses, updates and "
        "optimizers take 'when condition'");
    if (condition)
      return runItems(*condition ? branch->thenBody : branch->elseBody);
    hasLoss = hasOptimizer = true; // perhaps: what a branch holds has not been seen
    evaluator.poisonNames(branch->thenBody);
    evaluator.poisonNames(branch->elseBody);
    return;
  }
  case StmtKind::Call:
    // A requirement does not hold: what follows relies on it. (Without an error, it was asked of
    // what a missing param leaves unknown, which is told at the end.)
    if (evaluator.runCall(llvm::cast<CallStmt>(stmt)).isError() && trace.diagnostics.hasErrors())
      trace.giveUp();
    return;
  case StmtKind::Loss:
    return runLoss(llvm::cast<LossStmt>(stmt));
  case StmtKind::Metric:
    return runMetric(llvm::cast<MetricStmt>(stmt));
  case StmtKind::Update:
    return runUpdate(llvm::cast<UpdateStmt>(stmt));
  case StmtKind::Optimize:
    return runOptimize(llvm::cast<OptimizeStmt>(stmt));
  case StmtKind::Represent:
    return runRepresent(llvm::cast<RepresentStmt>(stmt));
  default:
    return; // the parser lets nothing else stand in a method
  }
}

void MethodBuilder::runLet(const LetStmt *stmt) {
  Value value = evaluator.evalLet(stmt);
  std::vector<Value> parts = evaluator.takeApart(stmt->pattern, value, stmt->value->range);
  for (auto [name, part] : llvm::zip(stmt->pattern.names, parts)) {
    if (name.text == "_" || !declare(name))
      continue;
    evaluator.bind(name.text, part, name.range);
    names.names.bindings.back().context = emit.current;
    names.names.bindings.back().let = stmt;
  }
}

/// The first few of some parameters' names, and how many there are more.
static std::string shownNames(llvm::ArrayRef<std::string> names) {
  constexpr size_t shown = 3;
  std::string text;
  for (const std::string &name : names.take_front(shown))
    text += (text.empty() ? "'" : ", '") + name + "'";
  if (names.size() > shown)
    text += " and " + std::to_string(names.size() - shown) + " more";
  return text;
}

void MethodBuilder::checkMethod(const MethodDecl &decl) {
  SourceRange at = decl.name.range;
  for (llvm::StringRef name : {"batch", "epochs"})
    if (!params.contains(name))
      report(Code::MissingParam, at, "the method has no 'param " + name + "'")
          .help("add: param " + name + (name == "batch" ? " = 256" : " = 100"));
  if (!hasLoss) {
    Diagnostic &error =
        report(Code::NoLoss, at, "the method '" + decl.name.text + "' has no 'loss'");
    if (auto value = names.declared.find("loss"); value != names.declared.end())
      error.note(value->second, "this only names a value: write 'loss VALUE'");
  }
  if (!hasOptimizer)
    report(Code::NoOptimizer, at, "the method '" + decl.name.text + "' has no 'optimize'")
        .help("add: optimize NET with sgd(lr: 0.1)");
  if (!represented.isValid())
    report(Code::NoRepresent, at, "the method '" + decl.name.text + "' has no 'represent'")
        .help("add: represent NET(augment.center(image, size: 224))");
  if (trace.diagnostics.hasErrors())
    return;
  for (auto &[name, state] : states)
    if (state.kind == nn::StateKind::Other && !state.updated.isValid() &&
        !llvm::StringRef(name).contains('.')) // QUEUE.turn is not the spec's
      report(Code::StateNeverUpdated, state.range,
             "'" + name + "' is never updated, so it keeps its first value")
          .help("add: update " + name + " = ... after loss");
    else if (state.kind != nn::StateKind::Parameter && state.updated.isValid() &&
             !llvm::StringRef(name).contains('.') && !names.names.findHere(name)->isRead)
      report(Code::StateNeverRead, state.range,
             "nothing uses '" + name + "', which is only written")
          .help("use it in a loss, a metric or another update, or take it out");
  for (auto &[name, net] : nets) {
    if (!net.emaOf.empty()) {
      if (!net.updated.isValid())
        report(Code::EmaNeverUpdated, net.range, "'" + name + "' is never updated")
            .help("add: update " + name + " before forward");
      continue;
    }
    std::string prefix = (name + ".").str();
    auto isOwn = [&](auto &state) {
      return state.second.kind == nn::StateKind::Parameter && state.first.starts_with(prefix);
    };
    std::vector<std::string> forgotten;
    bool any = false, optimized = false;
    for (auto &state : states) {
      if (!isOwn(state))
        continue;
      any = true;
      optimized |= state.second.optimized.isValid();
      if (!state.second.optimized.isValid() && !state.second.excepted)
        forgotten.push_back(state.first.str());
    }
    if (any && !optimized) {
      report(Code::NeverOptimized, net.range,
             "no 'optimize' names '" + name + "', so its parameters stay as they are");
    } else if (!forgotten.empty()) {
      report(Code::NeverOptimized, net.range,
             "no 'optimize' names " + shownNames(forgotten) + ", so " +
                 (forgotten.size() == 1 ? "it stays as it is" : "they stay as they are"))
          .help("where that is meant, say so: optimize " + name + " except \"PATTERN\" with ...");
    }
  }
}

} // namespace doppel::spec
