// Calls of functions, which are inlined, and the statements of their bodies.
#include "frontends/spec/Builtins.h"
#include "frontends/spec/Evaluator.h"

namespace doppel::spec {

//===- Arguments ------------------------------------------------------------------------------===//

bool Evaluator::evalArguments(llvm::ArrayRef<Argument> written,
                              llvm::SmallVectorImpl<EvaluatedArgument> &arguments) {
  bool sound = true;
  for (const Argument &argument : written) {
    if (auto *spread = llvm::dyn_cast<SpreadExpr>(argument.value)) {
      Value list = eval(spread->operand);
      if (!list.isSequence()) {
        sound = false;
        if (!list.isError())
          report(Code::WrongType, argument.value->range,
                 "'...' takes a list apart, but this is " + typeName(list));
        continue;
      }
      trace.count(argument.value->range, list.elements().size());
      for (const Value &element : list.elements())
        arguments.push_back({{}, element, argument.value->range});
      continue;
    }
    arguments.push_back({argument.name, eval(argument.value), argument.value->range});
  }
  return sound;
}

Value Evaluator::evalCall(const CallExpr *expr) {
  Value callee = eval(expr->callee);
  llvm::SmallVector<EvaluatedArgument> arguments;
  bool isSampleIndex = callee.isCallable() && callee.asCallable().builtin &&
                       llvm::StringRef(callee.asCallable().builtin->name) == "sample_index";
  bool sound;
  {
    Scoped<bool> image(imageAllowed, imageAllowed || isSampleIndex);
    sound = evalArguments(expr->arguments, arguments);
  }
  if (callee.isError() || !sound)
    return Value::error();
  return call(callee, arguments, expr->range, expr->callee->range);
}

static bool hasTensors(const NetValue &net) {
  bool found = false;
  forEachTensor(net, "", [&](auto &, auto &, auto &) { found = true; });
  return found;
}

Value Evaluator::call(const Value &callee, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                      SourceRange range, SourceRange calleeRange) {
  if (callee.isError() || stopped())
    return Value::error();
  if (callee.isCallable()) {
    const Callable &function = callee.asCallable();
    if (function.builtin)
      return callBuiltin(*function.builtin, arguments, range);
    return function.net ? makeNet(function, arguments, range)
                        : callFunction(function, arguments, range);
  }
  if (callee.isNet()) {
    const NetValue &net = callee.asNet();
    if (!trace.frame->isMethod || net.place || !hasTensors(net) || holdsPlaced(callee))
      return applyNet(net, arguments, range);
    if (!placeless.insert(net.node.get()).second)
      return Value::error();
    llvm::StringRef text = trace.sources.text(calleeRange);
    Diagnostic &error =
        report(Code::NetWithoutPlace, calleeRange,
               label(calleeRange, "this net") + " has no place, so its parameters do not exist");
    if (net.node->range.isValid())
      error.note(net.node->range, "made here");
    if (method.declared.contains(text))
      error.help("declare it by 'net " + text + " = ...' instead of 'let'");
    else
      error.help("give it a place: 'net NAME = ...', and apply NAME");
    return Value::error();
  }
  if (callee.isList()) {
    // The elements of a list of nets one after another.
    if (callee.elements().empty())
      return arguments.size() == 1
                 ? arguments[0].value
                 : fail(Code::WrongArgumentCount, range, "a list of nets is applied to one value");
    Value value;
    for (const Value &element : callee.elements()) {
      if (!element.isCallable() && !element.isNet() && !element.isList())
        return element.isError() ? element
                                 : fail(Code::NotCallable, calleeRange,
                                        label(calleeRange, "the list") + " holds a " +
                                            typeName(element) + ", which cannot be called");
      value = call(element, arguments, range, calleeRange);
      if (value.isError())
        return value;
      arguments.assign(1, {{}, value, range});
    }
    return value;
  }
  return fail(Code::NotCallable, calleeRange,
              label(calleeRange, "the value") + " is " + typeName(callee) +
                  ", which cannot be called");
}

/// Gives every parameter a value in the current scope: first those that were given, then defaults,
/// then all are checked against their types, in order.
bool Evaluator::bindParameters(llvm::ArrayRef<Parameter> parameters, llvm::StringRef callee,
                               SourceRange declared,
                               llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                               SourceRange range, Frame &callerFrame, Scope *callerScope) {
  // Messages about arguments belong to the caller.
  auto atCaller = [&](auto &&action) {
    Scoped<Frame *> callerIs(trace.frame, &callerFrame);
    Scoped<Scope *> scopeIs(scope, callerScope);
    return action();
  };
  llvm::SmallVector<EvaluatedArgument> given(parameters.size());
  bool sound = true;
  size_t next = 0;
  for (EvaluatedArgument &argument : arguments) {
    if (argument.name.text.empty()) {
      if (next < parameters.size()) {
        given[next++] = std::move(argument);
        continue;
      }
      size_t count = llvm::count_if(arguments, [](auto &a) { return a.name.text.empty(); });
      atCaller([&] {
        report(Code::WrongArgumentCount, range,
               "'" + callee + "' takes " + llvm::Twine(parameters.size()) +
                   (parameters.size() == 1 ? " argument" : " arguments") + ", but " +
                   llvm::Twine(count) + (count == 1 ? " is" : " are") + " given")
            .note(declared, "declared here");
      });
      sound = false;
      break;
    }
    auto found = llvm::find_if(
        parameters, [&](const Parameter &p) { return p.name.text == argument.name.text; });
    if (found == parameters.end()) {
      std::vector<llvm::StringRef> names;
      for (const Parameter &p : parameters)
        names.push_back(p.name.text);
      atCaller([&] {
        Diagnostic &error =
            report(Code::UnknownArgument, argument.name.range,
                   "'" + callee + "' has no parameter '" + argument.name.text + "'");
        error.note(declared, "declared here");
        llvm::StringRef here = argumentElsewhere(argument.name.text);
        if (llvm::is_contained(names, here))
          error.help("write " + here + ": ...");
        else if (auto nearest = nearestName(argument.name.text, names))
          error.help("did you mean '" + *nearest + "'?");
      });
      sound = false;
      continue;
    }
    EvaluatedArgument &slot = given[found - parameters.begin()];
    if (!slot.value.isNone()) {
      atCaller([&] {
        report(Code::WrongArgumentCount, argument.name.range,
               "'" + argument.name.text + "' of '" + callee + "' is given twice")
            .note(declared, "declared here");
      });
      sound = false;
      continue;
    }
    slot = std::move(argument);
  }
  for (auto [parameter, slot] : llvm::zip(parameters, given)) {
    if (slot.value.isNone() && parameter.fallback) {
      slot.value = eval(parameter.fallback);
      slot.range = parameter.fallback->range;
    } else if (slot.value.isNone() && sound) {
      atCaller([&] {
        report(Code::WrongArgumentCount, range,
               "'" + callee + "' needs '" + parameter.name.text + "', which is not given")
            .note(declared, "declared here");
      });
      sound = false;
    }
    if (slot.value.isNone())
      slot.value = Value::error();
    sound &= !slot.value.isError();
    bind(parameter.name.text, slot.value, parameter.name.range, /*isVariable=*/true);
  }
  if (!sound)
    return false;
  for (auto [i, parameter] : llvm::enumerate(parameters)) {
    if (!parameter.type)
      continue;
    EvaluatedArgument &slot = given[i];
    std::string what = ("'" + parameter.name.text + "' of '" + callee + "'").str();
    bool isDefault = parameter.fallback && slot.range.file == parameter.fallback->range.file &&
                     slot.range.begin == parameter.fallback->range.begin;
    // Dimensions are looked up in the function, the message is the caller's.
    Value value = slot.value;
    Frame *own = trace.frame;
    const Frame *outer = own->caller;
    bool fits;
    if (isDefault || !outer) {
      fits = coerce(value, *parameter.type, what, slot.range, parameter.name.range, true);
    } else {
      Scoped<Frame *> callerIs(trace.frame, &callerFrame);
      fits = coerce(value, *parameter.type, what, slot.range, parameter.name.range, true);
    }
    if (!fits)
      return false; // the arguments behind a wrong one are often only in the wrong places
    scope->findHere(parameter.name.text)->value = value;
  }
  return true;
}

Value Evaluator::callFunction(const Callable &callee,
                              llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                              SourceRange range) {
  const FunctionDecl *function = callee.function;
  Frame next{.name = function->name.text, .unit = callee.unit};
  if (!trace.enterCall(next, range))
    return Value::error();
  Frame *caller = trace.frame;
  Scope *callerScope = scope;
  Scope names{.isRoot = true};
  Scoped<Frame *> inFrame(trace.frame, &next);
  Scoped<Scope *> inScope(scope, &names);
  if (!bindParameters(function->parameters, function->name.text, function->name.range, arguments,
                      range, *caller, callerScope))
    return Value::error();
  Value result;
  if (runBody(function->body, result) != Flow::Return) {
    if (stopped())
      return Value::error();
    return fail(Code::NoReturn, function->name.range,
                "'" + function->name.text + "' came to its end without 'return'");
  }
  if (function->result && !result.isError()) {
    if (!coerce(result, *function->result, ("the result of '" + function->name.text + "'").str(),
                function->name.range, function->result->range, /*bindDims=*/false))
      return Value::error();
  }
  return result;
}

Value Evaluator::callBuiltin(const Builtin &builtin,
                             llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                             SourceRange range) {
  BuiltinCall call(*this, builtin, range);
  if (!call.bind(arguments))
    return Value::error();
  return builtin.run(call);
}

//===- Statements -----------------------------------------------------------------------------===//

void Evaluator::bind(llvm::StringRef name, Value value, SourceRange range, bool isVariable) {
  Binding binding{.name = name, .value = std::move(value), .range = range};
  binding.isVariable = isVariable;
  scope->bindings.push_back(std::move(binding));
}

Evaluator::Flow Evaluator::runBody(llvm::ArrayRef<const Stmt *> body, Value &result) {
  for (const Stmt *stmt : body) {
    if (!trace.count(stmt->range)) {
      result = Value::error();
      return Flow::Return;
    }
    if (runStmt(stmt, result) == Flow::Return)
      return Flow::Return;
  }
  return Flow::Next;
}

void Evaluator::poisonNames(llvm::ArrayRef<const Stmt *> body) {
  auto poison = [&](const Name &name) {
    if (!scope->findHere(name.text))
      bind(name.text, Value::error(), name.range, /*isVariable=*/true);
  };
  for (const Stmt *stmt : body) {
    if (auto *let = llvm::dyn_cast<LetStmt>(stmt)) {
      for (const Name &name : let->pattern.names)
        poison(name);
    } else if (auto *assign = llvm::dyn_cast<AssignStmt>(stmt)) {
      poison(assign->name);
    } else if (auto *tensor = llvm::dyn_cast<TensorDeclStmt>(stmt)) {
      poison(tensor->name);
    } else if (auto *net = llvm::dyn_cast<NetStmt>(stmt)) {
      poison(net->name);
    } else if (auto *view = llvm::dyn_cast<ViewStmt>(stmt)) {
      for (const ViewName &name : view->names)
        poison(name.name);
    } else if (auto *branch = llvm::dyn_cast<IfStmt>(stmt)) {
      poisonNames(branch->thenBody);
      poisonNames(branch->elseBody);
    }
  }
}

Evaluator::Flow Evaluator::runStmt(const Stmt *stmt, Value &result) {
  switch (stmt->kind) {
  case StmtKind::Let: {
    auto *let = llvm::cast<LetStmt>(stmt);
    bindPattern(let->pattern, evalLet(let), let->value->range, /*isVariable=*/true);
    return Flow::Next;
  }
  case StmtKind::Assign:
    runAssign(llvm::cast<AssignStmt>(stmt));
    return Flow::Next;
  case StmtKind::Return:
    result = eval(llvm::cast<ReturnStmt>(stmt)->value);
    return Flow::Return;
  case StmtKind::If: {
    auto *branch = llvm::cast<IfStmt>(stmt);
    std::optional<bool> condition = evalCondition(branch->condition, "the condition of 'if'");
    if (!condition) {
      result = Value::error(); // what the function gives depends on the condition
      return Flow::Return;
    }
    return runBody(*condition ? branch->thenBody : branch->elseBody, result);
  }
  case StmtKind::For:
    return runFor(llvm::cast<ForStmt>(stmt), result);
  case StmtKind::Call:
    if (!runCall(llvm::cast<CallStmt>(stmt)).isError())
      return Flow::Next;
    result = Value::error(); // a requirement that does not hold: what follows relies on it
    return Flow::Return;
  case StmtKind::Update:
    runBufferUpdate(llvm::cast<UpdateStmt>(stmt));
    return Flow::Next;
  default:
    return Flow::Next; // the parser lets nothing else stand in a function
  }
}

Value Evaluator::evalLet(const LetStmt *let) {
  Value value = eval(let->value);
  if (let->type && !coerce(value, *let->type, ("'" + let->pattern.names[0].text + "'").str(),
                           let->value->range, let->type->range, /*bindDims=*/false))
    return Value::error();
  return value;
}

Value Evaluator::runCall(const CallStmt *stmt) {
  Value value = eval(stmt->call);
  if (!value.holdsTensor() && !value.isNet() && !value.isImage() && !value.isCallable())
    return value;
  Diagnostic &idle =
      report(Code::MisplacedItem, stmt->call->range, "this value is computed and not used");
  if (trace.frame->isMethod)
    idle.help("a method uses it as 'loss ...', 'metric NAME = ...', 'let NAME = ...' or "
              "'update STATE = ... after loss'");
  else
    idle.help("give it a name with 'let', or return it");
  return Value();
}

Evaluator::Flow Evaluator::runFor(const ForStmt *stmt, Value &result) {
  Value iterable = eval(stmt->iterable);
  if (!iterable.isSequence()) {
    if (!iterable.isError())
      report(Code::WrongType, stmt->iterable->range,
             "'for' goes through a list, but this is " + typeName(iterable));
    result = Value::error();
    return Flow::Return;
  }
  for (const Value &element : iterable.elements()) {
    if (!trace.count(stmt->range)) {
      result = Value::error();
      return Flow::Return;
    }
    Scope turn{.parent = scope};
    Scoped<Scope *> inside(scope, &turn);
    bindPattern(stmt->pattern, element, stmt->iterable->range, /*isVariable=*/true);
    if (runBody(stmt->body, result) == Flow::Return)
      return Flow::Return;
  }
  return Flow::Next;
}

void Evaluator::runAssign(const AssignStmt *stmt) {
  Value value = eval(stmt->value);
  for (Scope *s = scope; s; s = s->isRoot ? nullptr : s->parent) {
    Binding *binding = s->findHere(stmt->name.text);
    if (!binding)
      continue;
    if (!binding->isVariable)
      break;
    binding->value = std::move(value);
    return;
  }
  Diagnostic &error = report(Code::NotAssignable, stmt->name.range,
                             "'" + stmt->name.text + "' is no variable of this function");
  const Binding *tensor = nullptr;
  for (Scope *s = scope; s && !tensor; s = s->parent)
    tensor = s->findHere(stmt->name.text);
  if (tensor && tensor->isBuffer)
    error.help("a buffer has: update " + stmt->name.text + " = ...");
  else if (tensor && tensor->state)
    error.help("a parameter is changed by 'optimize', or by 'update' in the method");
  else
    error.help("introduce it: let " + stmt->name.text + " = ...");
  bind(stmt->name.text, Value::error(), stmt->name.range, /*isVariable=*/true);
}

void Evaluator::runBufferUpdate(const UpdateStmt *stmt) {
  SourceRange at = stmt->target->range;
  llvm::StringRef name = trace.sources.text(at);
  Binding *target = nullptr;
  for (Scope *s = scope; s && !target; s = s->parent)
    target = s->findHere(name);
  if (!target || !target->isBuffer || !trace.frame->isForward) {
    Diagnostic &error =
        report(Code::BadUpdateTarget, at, "'" + name + "' is not a buffer of this net");
    if (target && target->range.isValid())
      error.note(target->range, "declared here");
    if (llvm::isa<NameExpr>(stmt->target))
      error.help("declare it in the net: buffer " + name + ": f32[...] = zeros()");
    return;
  }
  if (auto [first, isNew] = trace.frame->updated.try_emplace(name.str(), at); !isNew) {
    report(Code::UpdatedTwice, at, "'" + name + "' is updated twice in a forward")
        .note(first->second, "the first is here");
    return;
  }
  Value value = eval(stmt->value);
  if (value.isError() || !emit.current->training)
    return; // in inference an update does nothing
  mlir::Value tensor =
      emit.newValue(stmt->value->range, name, value, target->stateType, target->range);
  if (!tensor)
    return;
  emit.make<nn::WriteOp>(stmt->range, *target->state, tensor);
}

} // namespace doppel::spec
