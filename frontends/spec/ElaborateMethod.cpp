// The items of a method, in the order of the text: what they declare becomes states and networks,
// what they compute the body of ssl.step.
#include "frontends/spec/Elaborator.h"

#include "frontends/spec/Builtins.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace doppel::spec {

using namespace mlir;

Elaborator::Elaborator(MLIRContext &context, const SourceManager &sources, Diagnostics &diagnostics,
                       Units &units)
    : builder(&context), diagnostics(diagnostics), sources(sources), context(context),
      units(units) {}

//===- The method as a whole ------------------------------------------------------------------===//

const MethodDecl *Elaborator::findMethod(const Unit &unit) {
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

OwningOpRef<ModuleOp> Elaborator::run(const Unit &unit,
                                      llvm::ArrayRef<std::pair<std::string, std::string>> given) {
  const MethodDecl *decl = findMethod(unit);
  if (!decl)
    return nullptr;
  methodUnit = &unit;
  Frame root{.name = decl->name.text, .unit = &unit, .isMethod = true};
  Scope names{.isRoot = true};
  frame = &root;
  scope = methodScope = &names;

  OwningOpRef<ModuleOp> module = ModuleOp::create(fileLocation({unit.ast.file, 0, 0}));
  builder.setInsertionPointToEnd(module->getBody());
  method = ssl::MethodOp::create(builder, fileLocation(decl->name.range), decl->name.text,
                                 /*batch=*/0, /*epochs=*/0, /*samples=*/IntegerAttr(),
                                 builder.getDictionaryAttr({}));
  Block &body = method.getBody().emplaceBlock();
  builder.setInsertionPointToEnd(&body);
  step = ssl::StepOp::create(builder, fileLocation(decl->name.range));
  Context forward{.kind = ContextKind::Step, .block = &step.getBody().emplaceBlock()};
  current = stepContext = &forward;

  collectNames(decl->body);
  checkSets(given, decl->body);
  runItems(decl->body);
  abandoned = false;
  if (!stopped())
    checkMethod(*decl);
  if (!stopped())
    checkNames(unit, *decl);
  if (!diagnostics.hasErrors())
    warnOfIdleSets();
  current = stepContext = nullptr;
  frame = nullptr;
  scope = methodScope = nullptr;
  if (diagnostics.hasErrors())
    return nullptr;
  method.setParamsAttr(builder.getDictionaryAttr(paramTexts));
  method.setBatch(batch);
  method.setEpochs(epochs);
  if (samples)
    method.setSamples(samples);
  eraseDead(method.getBody());
  return module;
}

void Elaborator::collectNames(llvm::ArrayRef<const Stmt *> body) {
  auto add = [&](const Name &name) { methodNames.try_emplace(name.text, name.range); };
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

/// False, after an error, if the method has such a name already.
bool Elaborator::declareInMethod(const Name &name) {
  auto [earlier, isNew] = declaredNames.try_emplace(name.text, name.range);
  if (isNew)
    return true;
  report(Code::DuplicateName, name.range, "'" + name.text + "' is declared twice")
      .note(earlier->second, "the first is here");
  return false;
}

void Elaborator::runItems(llvm::ArrayRef<const Stmt *> body) {
  for (const Stmt *stmt : body) {
    abandoned = false;
    if (countEvaluation(stmt->range))
      runItem(stmt);
  }
}

void Elaborator::runItem(const Stmt *stmt) {
  if (stmt->kind != StmtKind::If)
    itemRange = stmt->range;
  switch (stmt->kind) {
  case StmtKind::Param:
    return runParam(llvm::cast<ParamStmt>(stmt));
  case StmtKind::View:
    return runView(llvm::cast<ViewStmt>(stmt));
  case StmtKind::Net:
    return runNetStmt(llvm::cast<NetStmt>(stmt));
  case StmtKind::State:
    return runState(llvm::cast<TensorDeclStmt>(stmt));
  case StmtKind::Let: {
    auto *let = llvm::cast<LetStmt>(stmt);
    Value value = eval(let->value);
    bindPattern(let->pattern, value, let->value->range, /*isVariable=*/false, let);
    return;
  }
  case StmtKind::If: {
    auto *branch = llvm::cast<IfStmt>(stmt);
    std::optional<bool> condition =
        evalCondition(branch->condition, "the condition of 'if'",
                      "choose by a tensor with where(condition, a, b); losses, updates and "
                      "optimizers take 'when condition'");
    if (condition)
      return runItems(*condition ? branch->thenBody : branch->elseBody);
    hasLoss = hasOptimizer = true; // perhaps: what a branch holds has not been seen
    poisonNames(branch->thenBody);
    poisonNames(branch->elseBody);
    return;
  }
  case StmtKind::Call:
    if (runCall(llvm::cast<CallStmt>(stmt)).isError())
      gaveUp = true; // a requirement does not hold: what follows relies on it
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

/// What a method must have, and what it probably should.
void Elaborator::checkMethod(const MethodDecl &decl) {
  SourceRange at = decl.name.range;
  for (llvm::StringRef name : {"batch", "epochs"})
    if (!params.contains(name))
      report(Code::MissingParam, at, "the method has no 'param " + name + "'")
          .help("add: param " + name + (name == "batch" ? " = 256" : " = 100"));
  if (!hasLoss) {
    Diagnostic &error =
        report(Code::NoLoss, at, "the method '" + decl.name.text + "' has no 'loss'");
    if (auto value = methodNames.find("loss"); value != methodNames.end())
      error.note(value->second, "this only names a value: write 'loss VALUE'");
  }
  if (!hasOptimizer)
    report(Code::NoOptimizer, at, "the method '" + decl.name.text + "' has no 'optimize'")
        .help("add: optimize NET with sgd(lr: 0.1)");
  if (!represented.isValid())
    report(Code::NoRepresent, at, "the method '" + decl.name.text + "' has no 'represent'")
        .help("add: represent NET(augment.center(image, size: 224))");
  if (diagnostics.hasErrors())
    return;
  for (auto &[name, state] : states)
    if (state.kind == nn::StateKind::Other && !state.updated.isValid() &&
        !llvm::StringRef(name).contains('.')) // QUEUE.turn is not the spec's
      report(Code::StateNeverUpdated, state.range,
             "'" + name + "' is never updated, so it keeps its first value")
          .help("add: update " + name + " = ... after loss");
    else if (state.kind != nn::StateKind::Parameter && state.updated.isValid() &&
             !llvm::StringRef(name).contains('.') && !readStates.contains(name))
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

//===- Views, nets, states --------------------------------------------------------------------===//

void Elaborator::runView(const ViewStmt *stmt) {
  auto makeView = [&](const std::string &name, SourceRange range) -> Value {
    Value value;
    {
      Scoped<bool> image(imageAllowed, true);
      value = eval(stmt->value);
    }
    if (value.isError())
      return value;
    if (!value.isImage()) {
      Diagnostic &error = report(Code::WrongType, stmt->value->range,
                                 "a view is an image, but this is " + typeName(value));
      error.help("start from the picture: augment.simclr(image, size: 32)");
      return Value::error();
    }
    if (batch == 0)
      return Value::error(); // reported at the end
    mlir::Value view = materializeImage(value.asImage(), stmt->value->range);
    if (!view)
      return Value::error();
    make<ssl::ViewOp>(range, name, view);
    return Value::tensor(view);
  };
  for (const ViewName &view : stmt->names) {
    Value value;
    if (!view.count) {
      value = makeView(view.name.text.str(), view.name.range);
    } else if (std::optional<int64_t> count = evalSize(view.count, "the number of views")) {
      std::vector<Value> all;
      for (int64_t i = 0; i < *count && !stopped(); ++i)
        all.push_back(makeView((view.name.text + "." + llvm::Twine(i)).str(), view.name.range));
      value = Value::list(std::move(all));
    } else {
      value = Value::error();
    }
    if (!declareInMethod(view.name))
      continue;
    bind(view.name.text, std::move(value), view.name.range);
    scope->bindings.back().context = current;
  }
}

void Elaborator::runNetStmt(const NetStmt *stmt) {
  if (runEma(stmt))
    return;
  Value value = eval(stmt->value);
  std::optional<NetValue> net = asNet(value, stmt->value->range);
  if (net && holdsPlaced(Value::net(*net))) {
    report(Code::AlreadyPlaced, stmt->value->range,
           "a part of this net has its place already, so it cannot get '" + stmt->name.text + "'")
        .help("apply both after one another, or describe it again: let part = ...; net a = part; "
              "net b = part");
    net.reset();
  }
  bool isNew = declareInMethod(stmt->name);
  if (!net || !isNew) {
    if (isNew)
      bind(stmt->name.text, Value::error(), stmt->name.range);
    return;
  }
  std::string path = stmt->name.text.str();
  declareStates(*net, path, stmt->range);
  net->place = path;
  nets[stmt->name.text] = {.range = stmt->name.range};
  bind(stmt->name.text, Value::net(std::move(*net)), stmt->name.range);
}

/// `net NAME = ema(net, momentum, init: "copy")`. False if the value is something else.
bool Elaborator::runEma(const NetStmt *stmt) {
  auto *call = llvm::dyn_cast<CallExpr>(stmt->value);
  auto *callee = call ? llvm::dyn_cast<NameExpr>(call->callee) : nullptr;
  if (!callee || callee->name != "ema" || scope->findHere("ema") ||
      frame->unit->decls.contains("ema"))
    return false;
  bool isNew = declareInMethod(stmt->name);
  auto give = [&](Value value) {
    if (isNew)
      bind(stmt->name.text, std::move(value), stmt->name.range);
    return true;
  };
  const Expr *source = nullptr, *momentum = nullptr, *init = nullptr;
  llvm::StringRef order[] = {"net", "momentum", "init"};
  const Expr **slots[] = {&source, &momentum, &init};
  size_t next = 0;
  for (const Argument &argument : call->arguments) {
    size_t index = argument.isNamed() ? llvm::find(order, argument.name.text) - order : next++;
    if (index < 3 && !*slots[index] && !llvm::isa<SpreadExpr>(argument.value)) {
      *slots[index] = argument.value;
      continue;
    }
    report(argument.isNamed() ? Code::UnknownArgument : Code::WrongArgumentCount,
           argument.value->range, "ema takes (net, momentum, init: \"copy\")");
    return give(Value::error());
  }
  if (!source || !momentum) {
    report(Code::WrongArgumentCount, call->range, "ema takes (net, momentum, init: \"copy\")");
    return give(Value::error());
  }
  Value value = eval(source);
  Value initial = init ? eval(init) : Value::string("copy");
  Value rate = eval(momentum); // for its errors; what it is at an update is computed there
  if (value.isError() || initial.isError() || rate.isError())
    return give(Value::error());
  if (!rate.isNumber() && !(rate.isTensor() && rate.shape().empty())) {
    scalar(rate, momentum->range, "the momentum");
    return give(Value::error());
  }
  if (rate.isNumber() && (rate.asDouble() < 0 || rate.asDouble() > 1)) {
    report(Code::BadValue, momentum->range,
           "the momentum is " + valueText(rate) + ", but must be from 0 to 1");
    return give(Value::error());
  }
  if (!value.isNet() || !value.asNet().place) {
    Diagnostic &error = report(Code::BadEma, source->range,
                               label(source->range, "this") + " is " +
                                   (value.isNet() ? "a net without a place" : typeName(value)) +
                                   ", but ema follows a net of the method");
    if (value.isNet())
      error.help("give it a place first: net online = " + label(source->range, "..."));
    else
      error.help(
          "ema takes the net, not what it gives: ema(online, 0.99); a state is averaged by its "
          "update");
    return give(Value::error());
  }
  NetValue net = value.asNet();
  std::string path = *net.place;
  llvm::StringRef root = llvm::StringRef(path).split('.').first;
  auto rootNet = nets.find(root);
  if (rootNet != nets.end() && !rootNet->second.emaOf.empty()) {
    report(Code::BadEma, source->range, "'" + path + "' is an EMA net itself")
        .note(rootNet->second.range, "declared here")
        .help("follow its source: ema(" + rootNet->second.emaOf + ", ...)");
    return give(Value::error());
  }
  if (!initial.isString() || (initial.asString() != "copy" && initial.asString() != "fresh")) {
    report(Code::BadValue, init->range,
           "init is " + valueText(initial, true) + ", but must be \"copy\" or \"fresh\"");
    return give(Value::error());
  }
  if (!isNew)
    return true;
  std::string target = stmt->name.text.str();
  declareEma(net, target, path, initial.asString() == "fresh", stmt->range);
  net.place = target;
  nets[stmt->name.text] = {.range = stmt->name.range, .emaOf = path, .momentum = momentum};
  return give(Value::net(std::move(net)));
}

void Elaborator::addState(const std::string &name, nn::StateKind kind, RankedTensorType type,
                          SourceRange range, llvm::function_ref<Value()> initial) {
  if (stopped())
    return;
  // States come before networks, so that the initial values stand together.
  Operation *behind = step;
  while (isa_and_nonnull<ssl::NetOp>(behind->getPrevNode()))
    behind = behind->getPrevNode();
  builder.setInsertionPoint(behind);
  auto state = ssl::StateOp::create(builder, location(range), name, kind, type);
  symbols.insert(name);
  auto [key, isNew] = stateNames.try_emplace(name, name);
  states[key->getKey()] = {.kind = kind, .type = type, .range = range};
  Context inside{
      .kind = ContextKind::Initial, .block = &state.getInit().emplaceBlock(), .declared = type};
  Scoped<Context *> inContext(current, &inside);
  Value value = initial();
  if (value.isError())
    return;
  if (value.isTensor() && !value.shape().empty() && value.shape() != type.getShape()) {
    report(Code::ShapesDiffer, range,
           "'" + llvm::StringRef(name).rsplit('.').second +
               (llvm::StringRef(name).contains('.') ? "" : name) + "' is " + typeName(type) +
               ", its initial value is " + typeName(value));
    return;
  }
  if (!fills(value, type)) {
    report(Code::WrongType, range,
           "the initial value is " + typeName(value) + ", not " + typeName(type));
    return;
  }
  mlir::Value tensor = materialize(range, value, type.getShape(), type.getElementType());
  make<nn::YieldOp>(range, tensor);
}

void Elaborator::runState(const TensorDeclStmt *stmt) {
  std::optional<RankedTensorType> type = evalTensorType(*stmt->type);
  if (!declareInMethod(stmt->name))
    return;
  if (llvm::is_contained({"init", "step", "represent", "preview"}, stmt->name.text)) {
    report(Code::DuplicateName, stmt->name.range,
           "the program has a '" + stmt->name.text + "' of its own, a state needs another name");
    type.reset();
  }
  if (!type)
    return bind(stmt->name.text, Value::error(), stmt->name.range);
  addState(stmt->name.text.str(), nn::StateKind::Other, *type, stmt->name.range,
           [&] { return eval(stmt->initial); });
  Binding binding{.name = stmt->name.text, .range = stmt->name.range};
  binding.state = stmt->name.text.str();
  binding.stateType = *type;
  scope->bindings.push_back(std::move(binding));
}

//===- Features -------------------------------------------------------------------------------===//

void Elaborator::runRepresent(const RepresentStmt *stmt) {
  if (represented.isValid()) {
    report(Code::DuplicateName, stmt->range, "the method has two 'represent'")
        .note(represented, "the first is here");
    return;
  }
  represented = stmt->range;
  if (batch == 0)
    return; // reported at the end
  builder.setInsertionPointToEnd(step->getBlock());
  auto represent = ssl::RepresentOp::create(builder, location(stmt->range));
  Block &body = represent.getBody().emplaceBlock();
  Context inside{.kind = ContextKind::Represent, .block = &body, .training = false};
  inside.images = body.addArgument(nn::ImagesType::get(&context, batch), location(stmt->range));
  Scoped<Context *> inContext(current, &inside);
  Value value = eval(stmt->value);
  if (value.isError())
    return;
  SourceRange at = stmt->value->range;
  bool fits = value.isTensor() && value.shape().size() == 2 && value.shape()[0] == batch;
  if (!fits) {
    report(value.isTensor() ? Code::WrongRank : Code::WrongType, at,
           "the features are " + typeName(value) + ", but must be f32[" + llvm::Twine(batch) +
               ", D], a row for each image of the batch")
        .help("apply a net to the picture: represent online.backbone(augment.center(image, size: "
              "224))");
    return;
  }
  make<nn::YieldOp>(at, convert(at, value.asTensor(), builder.getF32Type()));
}

} // namespace doppel::spec
