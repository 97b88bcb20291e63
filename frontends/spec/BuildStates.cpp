// Views, networks, states and features: what a method declares.
#include "frontends/spec/MethodBuilder.h"

namespace doppel::spec {

using namespace mlir;

//===- Views and networks ---------------------------------------------------------------------===//

void MethodBuilder::runView(const ViewStmt *stmt) {
  auto makeView = [&](const std::string &name, SourceRange range) -> Value {
    Value value = evaluator.evalOfImage(stmt->value);
    if (value.isError())
      return value;
    if (!value.isImage()) {
      Diagnostic &error = report(Code::WrongType, stmt->value->range,
                                 "a view is an image, but this is " + typeName(value));
      error.help("start from the picture: augment.simclr(image, size: 32)");
      return Value::error();
    }
    if (names.batch == 0)
      return Value::error(); // reported at the end
    mlir::Value view = emit.materializeImage(value.asImage(), stmt->value->range);
    if (!view)
      return Value::error();
    emit.make<ssl::ViewOp>(range, name, view);
    return Value::tensor(view);
  };
  for (const ViewName &view : stmt->names) {
    Value value;
    if (!view.count) {
      value = makeView(view.name.text.str(), view.name.range);
    } else if (std::optional<int64_t> count =
                   evaluator.evalSize(view.count, "the number of views")) {
      std::vector<Value> all;
      for (int64_t i = 0; i < *count && !stopped(); ++i)
        all.push_back(makeView((view.name.text + "." + llvm::Twine(i)).str(), view.name.range));
      value = Value::list(std::move(all));
    } else {
      value = Value::error();
    }
    if (!declare(view.name))
      continue;
    evaluator.bind(view.name.text, std::move(value), view.name.range);
    evaluator.scope->bindings.back().context = emit.current;
  }
}

void MethodBuilder::runNetStmt(const NetStmt *stmt) {
  if (runEma(stmt))
    return;
  Value value = evaluator.eval(stmt->value);
  std::optional<NetValue> net = evaluator.asNet(value, stmt->value->range);
  if (net && holdsPlaced(Value::net(*net))) {
    report(Code::AlreadyPlaced, stmt->value->range,
           "a part of this net has its place already, so it cannot get '" + stmt->name.text + "'")
        .help("apply both after one another, or describe it again: let part = ...; net a = part; "
              "net b = part");
    net.reset();
  }
  bool isNew = declare(stmt->name);
  if (!net || !isNew) {
    if (isNew)
      evaluator.bind(stmt->name.text, Value::error(), stmt->name.range);
    return;
  }
  std::string path = stmt->name.text.str();
  declareStates(*net, path, stmt->range);
  net->place = path;
  nets[stmt->name.text] = {.range = stmt->name.range};
  evaluator.bind(stmt->name.text, Value::net(std::move(*net)), stmt->name.range);
}

/// `net NAME = ema(net, momentum, init: "copy")`. False if the value is something else.
bool MethodBuilder::runEma(const NetStmt *stmt) {
  auto *call = llvm::dyn_cast<CallExpr>(stmt->value);
  auto *callee = call ? llvm::dyn_cast<NameExpr>(call->callee) : nullptr;
  if (!callee || callee->name != "ema" || evaluator.scope->findHere("ema") ||
      trace.frame->unit->decls.contains("ema"))
    return false;
  bool isNew = declare(stmt->name);
  auto give = [&](Value value) {
    if (isNew)
      evaluator.bind(stmt->name.text, std::move(value), stmt->name.range);
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
  Value value = evaluator.eval(source);
  Value initial = init ? evaluator.eval(init) : Value::string("copy");
  Value rate =
      evaluator.eval(momentum); // for its errors; what it is at an update is computed there
  if (value.isError() || initial.isError() || rate.isError())
    return give(Value::error());
  if (!rate.isNumber() && !(rate.isTensor() && rate.shape().empty())) {
    emit.scalar(rate, momentum->range, "the momentum");
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

void MethodBuilder::addState(const std::string &name, nn::StateKind kind, RankedTensorType type,
                             SourceRange range, llvm::function_ref<Value()> initial) {
  if (stopped())
    return;
  // States come before networks, so that the initial values stand together.
  Operation *behind = step;
  while (isa_and_nonnull<ssl::NetOp>(behind->getPrevNode()))
    behind = behind->getPrevNode();
  builder.setInsertionPoint(behind);
  auto state = ssl::StateOp::create(builder, trace.location(range), name, kind, type);
  instances->reserve(name);
  auto [key, isNew] = stateNames.try_emplace(name, name);
  states[key->getKey()] = {.kind = kind, .type = type, .range = range};
  Context inside{
      .kind = ContextKind::Initial, .block = &state.getInit().emplaceBlock(), .declared = type};
  Scoped<Context *> inContext(emit.current, &inside);
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
  if (!emit.fills(value, type)) {
    report(Code::WrongType, range,
           "the initial value is " + typeName(value) + ", not " + typeName(type));
    return;
  }
  mlir::Value tensor = emit.materialize(range, value, type.getShape(), type.getElementType());
  emit.make<nn::YieldOp>(range, tensor);
}

void MethodBuilder::declareTensor(const NetNode &node, const NetTensor &tensor,
                                  const std::string &path, nn::StateKind kind, SourceRange range) {
  Frame next{.name = node.decl->name.text, .unit = node.unit};
  if (!trace.enterCall(next, range))
    return;
  Scope names{.isRoot = true};
  evaluator.bindNetNames(node, std::nullopt, names);
  Scoped<Frame *> inFrame(trace.frame, &next);
  Scoped<Scope *> inScope(evaluator.scope, &names);
  addState(path, kind, tensor.type, tensor.decl->name.range,
           [&] { return evaluator.eval(tensor.decl->initial); });
}

void MethodBuilder::declareStates(const NetValue &net, const std::string &path, SourceRange range) {
  forEachTensor(net, path,
                [&](const NetNode &node, const NetTensor &tensor, const std::string &name) {
                  bool isBuffer = tensor.decl->kind == StmtKind::Buffer;
                  declareTensor(node, tensor, name,
                                isBuffer ? nn::StateKind::Buffer : nn::StateKind::Parameter, range);
                });
}

void MethodBuilder::declareEma(const NetValue &net, const std::string &target,
                               const std::string &source, bool fresh, SourceRange range) {
  forEachTensor(
      net, "", [&](const NetNode &node, const NetTensor &tensor, const std::string &name) {
        bool isBuffer = tensor.decl->kind == StmtKind::Buffer;
        nn::StateKind kind = isBuffer ? nn::StateKind::Buffer : nn::StateKind::Ema;
        if (fresh) {
          declareTensor(node, tensor, target + name, kind, range);
          return;
        }
        addState(target + name, kind, tensor.type, range,
                 [&] { return Value::tensor(emit.readState(source + name, tensor.type, range)); });
      });
}

void MethodBuilder::runState(const TensorDeclStmt *stmt) {
  std::optional<RankedTensorType> type = evaluator.evalTensorType(*stmt->type);
  if (!declare(stmt->name))
    return;
  if (llvm::is_contained({"init", "step", "represent", "preview"}, stmt->name.text)) {
    report(Code::DuplicateName, stmt->name.range,
           "the program has a '" + stmt->name.text + "' of its own, a state needs another name");
    type.reset();
  }
  if (!type)
    return evaluator.bind(stmt->name.text, Value::error(), stmt->name.range);
  addState(stmt->name.text.str(), nn::StateKind::Other, *type, stmt->name.range,
           [&] { return evaluator.eval(stmt->initial); });
  Binding binding{.name = stmt->name.text, .range = stmt->name.range};
  binding.state = stmt->name.text.str();
  binding.stateType = *type;
  evaluator.scope->bindings.push_back(std::move(binding));
}

//===- Features -------------------------------------------------------------------------------===//

void MethodBuilder::runRepresent(const RepresentStmt *stmt) {
  if (represented.isValid()) {
    report(Code::DuplicateName, stmt->range, "the method has two 'represent'")
        .note(represented, "the first is here");
    return;
  }
  represented = stmt->range;
  if (names.batch == 0)
    return; // reported at the end
  builder.setInsertionPointToEnd(step->getBlock());
  auto represent = ssl::RepresentOp::create(builder, trace.location(stmt->range));
  Block &body = represent.getBody().emplaceBlock();
  Context inside{.kind = ContextKind::Represent, .block = &body, .training = false};
  inside.images = body.addArgument(nn::ImagesType::get(builder.getContext(), names.batch),
                                   trace.location(stmt->range));
  Scoped<Context *> inContext(emit.current, &inside);
  Value value = evaluator.eval(stmt->value);
  if (value.isError())
    return;
  SourceRange at = stmt->value->range;
  bool fits = value.isTensor() && value.shape().size() == 2 && value.shape()[0] == names.batch;
  if (!fits) {
    report(value.isTensor() ? Code::WrongRank : Code::WrongType, at,
           "the features are " + typeName(value) + ", but must be f32[" + llvm::Twine(names.batch) +
               ", D], a row for each image of the batch")
        .help("apply a net to the picture: represent online.backbone(augment.center(image, size: "
              "224))");
    return;
  }
  emit.make<nn::YieldOp>(at, emit.convert(at, value.asTensor(), builder.getF32Type()));
}

} // namespace doppel::spec
