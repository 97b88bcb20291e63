// Networks: descriptions made by calling a `net`, places that give them states, and applications.
#include "frontends/spec/Evaluator.h"
#include "frontends/spec/NetInstances.h"

namespace doppel::spec {

using namespace mlir;

//===- Descriptions ---------------------------------------------------------------------------===//

Value Evaluator::makeNet(const Callable &callee,
                         llvm::SmallVectorImpl<EvaluatedArgument> &arguments, SourceRange range) {
  const NetDecl *decl = callee.net;
  Frame next{.name = decl->name.text, .unit = callee.unit};
  if (!trace.enterCall(next, range))
    return Value::error();
  Frame *caller = trace.frame;
  Scope *callerScope = scope;
  Scope names{.isRoot = true};
  Scoped<Frame *> inFrame(trace.frame, &next);
  Scoped<Scope *> inScope(scope, &names);
  if (!bindParameters(decl->parameters, decl->name.text, decl->name.range, arguments, range,
                      *caller, callerScope))
    return Value::error();

  auto node = std::make_shared<NetNode>();
  node->kind = NetNode::Kind::Declared;
  node->range = range;
  node->decl = decl;
  node->unit = callee.unit;
  size_t errors = trace.diagnostics.reportedErrors();
  runNetItems(decl->body, *node);
  if (trace.diagnostics.reportedErrors() > errors || stopped())
    return Value::error();
  if (!node->forward) {
    report(Code::NoForward, decl->name.range,
           "the net '" + decl->name.text + "' has no 'forward', so it cannot be applied");
    return Value::error();
  }
  for (const Binding &binding : names.bindings) {
    if (binding.value.holdsTensor()) {
      report(Code::NotKnownAtCompileTime, binding.range,
             "'" + binding.name + "' of the net '" + decl->name.text + "' is " +
                 typeName(binding.value) + ", but a network is made when the spec is compiled")
          .help("use it in 'forward'");
      return Value::error();
    }
    if (!node->child(binding.name))
      node->names.push_back({binding.name, binding.value, binding.range});
  }
  return checkNested(Value::net({.node = std::move(node)}), range);
}

void Evaluator::runNetItems(llvm::ArrayRef<const Stmt *> body, NetNode &node) {
  auto isNew = [&](const Name &name) {
    SourceRange earlier;
    if (Binding *binding = scope->findHere(name.text))
      earlier = binding->range;
    for (const NetTensor &tensor : node.tensors)
      if (tensor.decl->name.text == name.text)
        earlier = tensor.decl->name.range;
    if (!earlier.isValid())
      return true;
    report(Code::DuplicateName, name.range, "'" + name.text + "' is declared twice in this net")
        .note(earlier, "the first is here");
    return false;
  };
  for (const Stmt *stmt : body) {
    if (!trace.count(stmt->range))
      return;
    switch (stmt->kind) {
    case StmtKind::Assign: {
      auto *assign = llvm::cast<AssignStmt>(stmt);
      Value value = eval(assign->value);
      if (!isNew(assign->name))
        break;
      if (!value.isError() && !value.isList()) {
        std::optional<NetValue> net = asNet(value, assign->value->range);
        value = net ? Value::net(std::move(*net)) : Value::error();
      }
      if (!value.isError())
        node.add({assign->name.text, value, assign->name.range});
      bind(assign->name.text, value, assign->name.range);
      break;
    }
    case StmtKind::Parameter:
    case StmtKind::Buffer: {
      auto *tensor = llvm::cast<TensorDeclStmt>(stmt);
      std::optional<RankedTensorType> type = evalTensorType(*tensor->type);
      if (type && tensor->kind == StmtKind::Parameter && !type->getElementType().isF32()) {
        report(Code::WrongType, tensor->name.range,
               "a parameter is f32, '" + tensor->name.text + "' is " + typeName(*type))
            .help("what no gradient changes is a buffer");
        type.reset();
      }
      if (isNew(tensor->name) && type)
        node.tensors.push_back({tensor, *type});
      break;
    }
    case StmtKind::Let: {
      auto *let = llvm::cast<LetStmt>(stmt);
      Value value = evalLet(let);
      bool fresh = llvm::all_of(let->pattern.names, isNew);
      if (fresh)
        bindPattern(let->pattern, value, let->value->range, /*isVariable=*/false);
      break;
    }
    case StmtKind::If: {
      auto *branch = llvm::cast<IfStmt>(stmt);
      std::optional<bool> condition = evalCondition(branch->condition, "the condition of 'if'");
      if (condition)
        runNetItems(*condition ? branch->thenBody : branch->elseBody, node);
      break;
    }
    case StmtKind::Forward: {
      auto *forward = llvm::cast<ForwardStmt>(stmt);
      if (node.forward)
        report(Code::DuplicateName, forward->nameRange, "the net has two 'forward'")
            .note(node.forward->nameRange, "the first is here");
      node.forward = forward;
      break;
    }
    default: {
      Value ignored;
      if (runStmt(stmt, ignored) == Flow::Return)
        return; // a requirement does not hold
      break;
    }
    }
  }
}

std::optional<NetValue> Evaluator::asNet(const Value &value, SourceRange range) {
  if (value.isNet())
    return value.asNet();
  if (value.isCallable() && !value.asCallable().net) {
    auto node = std::make_shared<NetNode>();
    node->kind = NetNode::Kind::Function;
    node->range = range;
    node->function = value;
    return NetValue{.node = std::move(node)};
  }
  if (value.isList()) {
    auto node = std::make_shared<NetNode>();
    node->kind = NetNode::Kind::Chain;
    node->range = range;
    node->indexNames.reserve(value.elements().size());
    trace.count(range, value.elements().size());
    for (const Value &element : value.elements()) {
      llvm::StringRef name = node->indexNames.emplace_back(std::to_string(node->indexNames.size()));
      std::optional<NetValue> part = asNet(element, range);
      if (!part)
        return std::nullopt;
      node->add({name, Value::net(std::move(*part)), range});
    }
    return NetValue{.node = std::move(node)};
  }
  if (value.isError())
    return std::nullopt;
  Diagnostic &error = report(Code::WrongType, range,
                             label(range, "the value") + " is " + typeName(value) + ", not a net");
  if (value.isCallable())
    error.help("call it to make a net: " + label(range, "net") + "(...)");
  return std::nullopt;
}

Value placedAt(const Value &value, const std::string &path) {
  if (value.isNet()) {
    NetValue net = value.asNet();
    if (!net.place)
      net.place = path;
    return Value::net(std::move(net));
  }
  if (!value.isList())
    return value;
  std::vector<Value> elements;
  for (auto [i, element] : llvm::enumerate(value.elements()))
    elements.push_back(placedAt(element, path + "." + std::to_string(i)));
  return Value::list(std::move(elements));
}

Value Evaluator::memberOfNet(const NetValue &net, const Name &member, SourceRange baseRange) {
  const NetNode &node = *net.node;
  if (const NetChild *child = node.child(member.text)) {
    Value value =
        net.place ? placedAt(child->value, *net.place + "." + member.text.str()) : child->value;
    if (value.isNet()) {
      NetValue part = value.asNet();
      part.groups = part.groups ? part.groups : net.groups;
      part.shuffle |= net.shuffle;
      part.deterministic |= net.deterministic;
      return Value::net(std::move(part));
    }
    return value;
  }
  for (const NetNode::Named &entry : node.names)
    if (entry.name == member.text)
      return entry.value;
  for (const NetTensor &tensor : node.tensors) {
    if (tensor.decl->name.text != member.text)
      continue;
    if (net.place)
      return Value::tensor(
          emit.readState(*net.place + "." + member.text.str(), tensor.type, member.range));
    report(Code::NetWithoutPlace, member.range,
           "'" + member.text + "' has no value: the net that it belongs to has no place")
        .note(tensor.decl->name.range, "declared here")
        .help("give the net a place: net NAME = " + label(baseRange, "..."));
    return Value::error();
  }
  std::vector<llvm::StringRef> known;
  for (const NetChild &child : node.children)
    known.push_back(child.name);
  for (const NetNode::Named &entry : node.names)
    known.push_back(entry.name);
  for (const NetTensor &tensor : node.tensors)
    known.push_back(tensor.decl->name.text);
  Diagnostic &error =
      report(Code::UnknownMember, member.range,
             "the net " + label(baseRange, "here") + " has no part '" + member.text + "'");
  if (auto nearest = nearestName(member.text, known))
    error.help("did you mean '" + *nearest + "'?");
  else if (!node.children.empty())
    error.help(
        "its parts are " +
        llvm::join(llvm::map_range(node.children, [](const NetChild &child) { return child.name; }),
                   ", "));
  return Value::error();
}

//===- States ---------------------------------------------------------------------------------===//

using TensorVisitor =
    llvm::function_ref<void(const NetNode &, const NetTensor &, const std::string &)>;

static void visitTensors(const Value &value, const std::string &path, TensorVisitor visit) {
  if (value.isList()) {
    for (auto [i, element] : llvm::enumerate(value.elements()))
      visitTensors(element, path + "." + std::to_string(i), visit);
    return;
  }
  if (!value.isNet())
    return;
  const NetNode &node = *value.asNet().node;
  for (const NetTensor &tensor : node.tensors)
    visit(node, tensor, path + "." + tensor.decl->name.text.str());
  for (const NetChild &child : node.children)
    visitTensors(child.value, path + "." + child.name.str(), visit);
}

void forEachTensor(const NetValue &net, const std::string &path, TensorVisitor visit) {
  visitTensors(Value::net(net), path, visit);
}

bool holdsPlaced(const Value &value) {
  if (value.isList())
    return llvm::any_of(value.elements(), holdsPlaced);
  if (!value.isNet())
    return false;
  const NetValue &net = value.asNet();
  return net.place || llvm::any_of(net.node->children,
                                   [&](const NetChild &child) { return holdsPlaced(child.value); });
}

void Evaluator::bindNetNames(const NetNode &node, const std::optional<std::string> &place,
                             Scope &into) {
  for (const NetNode::Named &entry : node.names)
    into.bindings.push_back({.name = entry.name, .value = entry.value, .range = entry.range});
  for (const NetChild &child : node.children)
    into.bindings.push_back(
        {.name = child.name,
         .value = place ? placedAt(child.value, *place + "." + child.name.str()) : child.value,
         .range = child.range});
  if (!place)
    return;
  for (const NetTensor &tensor : node.tensors) {
    Binding binding{.name = tensor.decl->name.text, .range = tensor.decl->name.range};
    binding.state = *place + "." + tensor.decl->name.text.str();
    binding.stateType = tensor.type;
    binding.isBuffer = tensor.decl->kind == StmtKind::Buffer;
    into.bindings.push_back(std::move(binding));
  }
}

//===- Applications ---------------------------------------------------------------------------===//

static int64_t rows(mlir::Value tensor) {
  auto type = cast<RankedTensorType>(tensor.getType());
  return type.getRank() == 0 ? 0 : type.getDimSize(0);
}

Value Evaluator::applyNet(const NetValue &net, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                          SourceRange range) {
  auto toTensor = [&](const Value &value, SourceRange at) -> Value {
    if (!value.isImage())
      return value;
    if (emit.current->kind != ContextKind::Represent) {
      report(Code::ImageMisplaced, at, "a net takes tensors, but this is an image")
          .help("give the picture a name: view x = augment.simclr(image, size: 32)");
      return Value::error();
    }
    mlir::Value view = emit.materializeImage(value.asImage(), at);
    return view ? Value::tensor(view) : Value::error();
  };
  for (EvaluatedArgument &argument : arguments) {
    if (argument.value.isList()) {
      std::vector<Value> elements;
      for (const Value &element : argument.value.elements())
        elements.push_back(toTensor(element, argument.range));
      argument.value = Value::list(std::move(elements));
    } else {
      argument.value = toTensor(argument.value, argument.range);
    }
    if (argument.value.holdsError())
      return Value::error();
  }
  if (arguments.size() == 1 && arguments[0].value.isList() && arguments[0].name.text.empty())
    return applyToList(net, arguments[0], range);
  return applyOne(net, arguments, range);
}

/// Once for each shape of a sample, on the rows of all tensors of that shape; the results in the
/// order of the list.
Value Evaluator::applyToList(const NetValue &net, const EvaluatedArgument &list,
                             SourceRange range) {
  llvm::ArrayRef<Value> elements = list.value.elements();
  llvm::MapVector<Type, llvm::SmallVector<size_t>> groups;
  for (auto [i, element] : llvm::enumerate(elements)) {
    if (!element.isTensor() || element.shape().empty())
      return fail(Code::WrongType, list.range,
                  "element " + llvm::Twine(i) + " of the list is " + typeName(element) +
                      ", but a net is applied to tensors with a batch axis");
    auto sample =
        emit.tensorType(element.shape().drop_front(), element.tensorType().getElementType());
    groups[sample].push_back(i);
  }
  std::vector<Value> results(elements.size());
  for (const auto &[sample, members] : groups) {
    llvm::SmallVector<mlir::Value> parts;
    int64_t total = 0;
    for (size_t member : members) {
      parts.push_back(elements[member].asTensor());
      total += rows(parts.back());
    }
    llvm::SmallVector<EvaluatedArgument> arguments{
        {{}, Value::tensor(emit.concat(list.range, parts, 0)), list.range}};
    Value joined = applyOne(net, arguments, range);
    if (joined.isError())
      return joined;
    int64_t begin = 0;
    for (auto [member, part] : llvm::zip(members, parts)) {
      int64_t count = rows(part);
      results[member] = joined.mapTensors([&](mlir::Value tensor) -> mlir::Value {
        if (rows(tensor) != total)
          return tensor;
        auto type = cast<RankedTensorType>(tensor.getType());
        llvm::SmallVector<int64_t> offsets(type.getRank(), 0), sizes(type.getShape());
        offsets[0] = begin;
        sizes[0] = count;
        return emit.slice(range, tensor, offsets, sizes);
      });
      begin += count;
    }
  }
  return Value::list(std::move(results));
}

Value Evaluator::applyOne(const NetValue &net, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                          SourceRange range) {
  if (net.shuffle && emit.current->training)
    return runShuffled(net, arguments, range);
  return net.place && emit.current->kind != ContextKind::Net
             ? instances->apply(net, arguments, range)
             : runNet(net, arguments, range);
}

/// MoCo's shuffling: rows in a random order before, so that batch statistics mix other samples than
/// those of the query, and back after.
Value Evaluator::runShuffled(const NetValue &net,
                             llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                             SourceRange range) {
  NetValue plain = net;
  plain.shuffle = false;
  int64_t count =
      arguments.empty() || !arguments[0].value.isTensor() ? 0 : rows(arguments[0].value.asTensor());
  if (count == 0)
    return fail(Code::WrongType, range, "a shuffled net is applied to a tensor with a batch axis");
  auto indices = emit.tensorType({count}, emit.builder.getI32Type());
  mlir::Value order = emit.make<nn::RandomPermutationOp>(
      range, indices, emit.builder.getI64IntegerAttr(emit.nextStream(range)));
  for (EvaluatedArgument &argument : arguments)
    argument.value = argument.value.mapTensors([&](mlir::Value tensor) -> mlir::Value {
      if (rows(tensor) != count)
        return tensor;
      return emit.make<nn::GatherRowsOp>(range, tensor.getType(), tensor, order);
    });
  Value result = applyOne(plain, arguments, range);
  return result.mapTensors([&](mlir::Value tensor) -> mlir::Value {
    if (rows(tensor) != count)
      return tensor;
    auto type = cast<RankedTensorType>(tensor.getType());
    mlir::Value empty = emit.constant(range, type, 0.0);
    return emit.make<nn::ScatterRowsOp>(range, type, empty, order, tensor, UnitAttr());
  });
}

Value Evaluator::runNet(const NetValue &net, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                        SourceRange range) {
  const NetNode &node = *net.node;
  Scoped<int64_t> groups(batchNormGroups, net.groups ? net.groups : batchNormGroups);
  Scoped<bool> draws(stochastic, stochastic && !net.deterministic);
  if (node.kind == NetNode::Kind::Function)
    return call(node.function, arguments, range, node.range);
  if (node.kind == NetNode::Kind::Chain) {
    if (node.children.empty() && arguments.size() == 1)
      return arguments[0].value;
    Value value = Value::error();
    for (const NetChild &child : node.children) {
      Value part =
          net.place ? placedAt(child.value, *net.place + "." + child.name.str()) : child.value;
      value = applyNet(part.asNet(), arguments, range);
      if (value.isError())
        return value;
      arguments.assign(1, {{}, value, range});
    }
    return value;
  }
  if (!net.place && !node.tensors.empty()) {
    report(Code::NetWithoutPlace, range,
           "this '" + node.decl->name.text + "' has no place, so its parameters do not exist")
        .note(node.range, "made here")
        .help("give it a place: 'net NAME = ...' in the method, or 'NAME = ...' in a net");
    return Value::error();
  }
  Frame next{.name = node.decl->name.text, .unit = node.unit, .isForward = true};
  if (!trace.enterCall(next, range))
    return Value::error();
  Frame *caller = trace.frame;
  Scope *callerScope = scope;
  Scope structure;
  bindNetNames(node, net.place, structure);
  structure.bindings.push_back(
      {.name = "training", .value = Value::boolean(emit.current->training)});
  structure.bindings.push_back(
      {.name = "batch_norm_groups", .value = Value::integer(batchNormGroups)});
  structure.bindings.push_back(
      {.name = "stochastic", .value = Value::boolean(emit.current->training && stochastic)});
  Scope names{.parent = &structure, .isRoot = true};
  Scoped<Frame *> inFrame(trace.frame, &next);
  Scoped<Scope *> inScope(scope, &names);
  if (!bindParameters(node.forward->parameters, node.decl->name.text, node.forward->nameRange,
                      arguments, range, *caller, callerScope))
    return Value::error();
  Value result;
  if (runBody(node.forward->body, result) == Flow::Return)
    return result;
  return stopped()
             ? Value::error()
             : fail(Code::NoReturn, node.forward->nameRange,
                    "'forward' of '" + node.decl->name.text + "' came to its end without 'return'");
}

} // namespace doppel::spec
