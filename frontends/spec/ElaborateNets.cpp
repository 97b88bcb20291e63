// Networks: descriptions made by calling a `net`, places that give them states, and applications.
//
// A placed net that a method applies becomes one ssl.net for each (structure, input types, mode);
// inside of it its children are inlined and states are read below the empty path, so that all
// places of one structure share it.
#include "frontends/spec/Elaborator.h"

#include "llvm/Support/raw_ostream.h"

namespace doppel::spec {

using namespace mlir;

//===- Descriptions ---------------------------------------------------------------------------===//

Value Elaborator::makeNet(const Callable &callee,
                          llvm::SmallVectorImpl<EvaluatedArgument> &arguments, SourceRange range) {
  const NetDecl *decl = callee.net;
  Frame next{.name = decl->name.text, .unit = callee.unit};
  if (!enterCall(next, range))
    return Value::error();
  Frame *caller = frame;
  Scope *callerScope = scope;
  Scope names{.isRoot = true};
  Scoped<Frame *> inFrame(frame, &next);
  Scoped<Scope *> inScope(scope, &names);
  if (!bindParameters(decl->parameters, decl->name.text, decl->name.range, arguments, range,
                      *caller, callerScope))
    return Value::error();

  auto node = std::make_shared<NetNode>();
  node->kind = NetNode::Kind::Declared;
  node->range = range;
  node->decl = decl;
  node->unit = callee.unit;
  size_t errors = diagnostics.errorCount();
  runNetItems(decl->body, *node);
  if (diagnostics.errorCount() > errors || stopped())
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
  return Value::net({.node = std::move(node)});
}

void Elaborator::runNetItems(llvm::ArrayRef<const Stmt *> body, NetNode &node) {
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
    if (!countEvaluation(stmt->range))
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
        node.children.push_back({assign->name.text, value, assign->name.range});
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
      Value value = eval(let->value);
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

std::optional<NetValue> Elaborator::asNet(const Value &value, SourceRange range) {
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
    for (const Value &element : value.elements()) {
      llvm::StringRef name = node->indexNames.emplace_back(std::to_string(node->indexNames.size()));
      std::optional<NetValue> part = asNet(element, range);
      if (!part)
        return std::nullopt;
      node->children.push_back({name, Value::net(std::move(*part)), range});
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

Value Elaborator::place(const Value &value, const std::string &path) {
  if (value.isNet()) {
    NetValue net = value.asNet();
    if (!net.place)
      net.place = path;
    return Value::net(std::move(net));
  }
  if (value.isList()) {
    std::vector<Value> elements;
    for (auto [i, element] : llvm::enumerate(value.elements()))
      elements.push_back(place(element, path + "." + std::to_string(i)));
    return Value::list(std::move(elements));
  }
  return value;
}

Value Elaborator::memberOfNet(const NetValue &net, const Name &member, SourceRange baseRange) {
  const NetNode &node = *net.node;
  if (const NetChild *child = node.child(member.text)) {
    Value value =
        net.place ? place(child->value, *net.place + "." + member.text.str()) : child->value;
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
          readState(*net.place + "." + member.text.str(), tensor.type, member.range));
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

void Elaborator::forEachTensor(const NetValue &net, const std::string &path,
                               TensorVisitor visit) const {
  visitTensors(Value::net(net), path, visit);
}

bool Elaborator::hasTensors(const NetValue &net) const {
  bool found = false;
  forEachTensor(net, "", [&](auto &, auto &, auto &) { found = true; });
  return found;
}

/// Whether a part of the structure has a place already, so that it cannot get another.
bool Elaborator::holdsPlaced(const Value &value) const {
  if (value.isList())
    return llvm::any_of(value.elements(), [&](const Value &v) { return holdsPlaced(v); });
  if (!value.isNet())
    return false;
  const NetValue &net = value.asNet();
  return net.place || llvm::any_of(net.node->children,
                                   [&](const NetChild &child) { return holdsPlaced(child.value); });
}

void Elaborator::bindNetNames(const NetNode &node, const std::optional<std::string> &place,
                              Scope &into) {
  for (const NetNode::Named &entry : node.names)
    into.bindings.push_back({.name = entry.name, .value = entry.value, .range = entry.range});
  for (const NetChild &child : node.children)
    into.bindings.push_back(
        {.name = child.name,
         .value = place ? this->place(child.value, *place + "." + child.name.str()) : child.value,
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

void Elaborator::declareTensor(const NetNode &node, const NetTensor &tensor,
                               const std::string &path, nn::StateKind kind, SourceRange range) {
  Frame next{.name = node.decl->name.text, .unit = node.unit};
  if (!enterCall(next, range))
    return;
  Scope names{.isRoot = true};
  bindNetNames(node, std::nullopt, names);
  Scoped<Frame *> inFrame(frame, &next);
  Scoped<Scope *> inScope(scope, &names);
  addState(path, kind, tensor.type, tensor.decl->name.range,
           [&] { return eval(tensor.decl->initial); });
}

void Elaborator::declareStates(const NetValue &net, const std::string &path, SourceRange range) {
  forEachTensor(net, path,
                [&](const NetNode &node, const NetTensor &tensor, const std::string &name) {
                  bool isBuffer = tensor.decl->kind == StmtKind::Buffer;
                  declareTensor(node, tensor, name,
                                isBuffer ? nn::StateKind::Buffer : nn::StateKind::Parameter, range);
                });
}

void Elaborator::declareEma(const NetValue &net, const std::string &target,
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
                 [&] { return Value::tensor(readState(source + name, tensor.type, range)); });
      });
}

//===- Applications ---------------------------------------------------------------------------===//

/// `value` with every tensor in it replaced, in order.
static Value mapTensors(const Value &value, llvm::function_ref<mlir::Value(mlir::Value)> map) {
  if (value.isTensor())
    return Value::tensor(map(value.asTensor()));
  if (!value.isSequence())
    return value;
  std::vector<Value> elements;
  for (const Value &element : value.elements())
    elements.push_back(mapTensors(element, map));
  return value.isList() ? Value::list(std::move(elements)) : Value::tuple(std::move(elements));
}

static int64_t rows(mlir::Value tensor) {
  auto type = cast<RankedTensorType>(tensor.getType());
  return type.getRank() == 0 ? 0 : type.getDimSize(0);
}

Value Elaborator::applyNet(const NetValue &net, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                           SourceRange range) {
  auto toTensor = [&](const Value &value, SourceRange at) -> Value {
    if (!value.isImage())
      return value;
    if (current->kind != ContextKind::Represent) {
      report(Code::ImageMisplaced, at, "a net takes tensors, but this is an image")
          .help("give the picture a name: view x = augment.simclr(image, size: 32)");
      return Value::error();
    }
    mlir::Value view = materializeImage(value.asImage(), at);
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
Value Elaborator::applyToList(const NetValue &net, const EvaluatedArgument &list,
                              SourceRange range) {
  llvm::ArrayRef<Value> elements = list.value.elements();
  llvm::MapVector<Type, llvm::SmallVector<size_t>> groups;
  for (auto [i, element] : llvm::enumerate(elements)) {
    if (!element.isTensor() || element.shape().empty())
      return fail(Code::WrongType, list.range,
                  "element " + llvm::Twine(i) + " of the list is " + typeName(element) +
                      ", but a net is applied to tensors with a batch axis");
    auto sample = tensorType(element.shape().drop_front(), element.tensorType().getElementType());
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
        {{}, Value::tensor(concat(list.range, parts, 0)), list.range}};
    Value joined = applyOne(net, arguments, range);
    if (joined.isError())
      return joined;
    int64_t begin = 0;
    for (auto [member, part] : llvm::zip(members, parts)) {
      int64_t count = rows(part);
      results[member] = mapTensors(joined, [&](mlir::Value tensor) -> mlir::Value {
        if (rows(tensor) != total)
          return tensor;
        auto type = cast<RankedTensorType>(tensor.getType());
        llvm::SmallVector<int64_t> offsets(type.getRank(), 0), sizes(type.getShape());
        offsets[0] = begin;
        sizes[0] = count;
        return slice(range, tensor, offsets, sizes);
      });
      begin += count;
    }
  }
  return Value::list(std::move(results));
}

Value Elaborator::applyOne(const NetValue &net, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                           SourceRange range) {
  if (net.shuffle && current->training)
    return runShuffled(net, arguments, range);
  return net.place && current->kind != ContextKind::Net ? applyInstance(net, arguments, range)
                                                        : runNet(net, arguments, range);
}

/// MoCo's shuffling: rows in a random order before, so that batch statistics mix other samples than
/// those of the query, and back after.
Value Elaborator::runShuffled(const NetValue &net,
                              llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                              SourceRange range) {
  NetValue plain = net;
  plain.shuffle = false;
  int64_t count =
      arguments.empty() || !arguments[0].value.isTensor() ? 0 : rows(arguments[0].value.asTensor());
  if (count == 0)
    return fail(Code::WrongType, range, "a shuffled net is applied to a tensor with a batch axis");
  auto indices = tensorType({count}, builder.getI32Type());
  mlir::Value order =
      make<nn::RandomPermutationOp>(range, indices, builder.getI64IntegerAttr(nextStream(range)));
  for (EvaluatedArgument &argument : arguments)
    argument.value = mapTensors(argument.value, [&](mlir::Value tensor) -> mlir::Value {
      if (rows(tensor) != count)
        return tensor;
      return make<nn::GatherRowsOp>(range, tensor.getType(), tensor, order);
    });
  Value result = applyOne(plain, arguments, range);
  return mapTensors(result, [&](mlir::Value tensor) -> mlir::Value {
    if (rows(tensor) != count)
      return tensor;
    auto type = cast<RankedTensorType>(tensor.getType());
    mlir::Value empty = constant(range, type, 0.0);
    return make<nn::ScatterRowsOp>(range, type, empty, order, tensor, UnitAttr());
  });
}

Value Elaborator::runNet(const NetValue &net, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
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
          net.place ? place(child.value, *net.place + "." + child.name.str()) : child.value;
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
  if (!enterCall(next, range))
    return Value::error();
  Frame *caller = frame;
  Scope *callerScope = scope;
  Scope structure;
  bindNetNames(node, net.place, structure);
  structure.bindings.push_back({.name = "training", .value = Value::boolean(current->training)});
  structure.bindings.push_back(
      {.name = "batch_norm_groups", .value = Value::integer(batchNormGroups)});
  structure.bindings.push_back(
      {.name = "stochastic", .value = Value::boolean(current->training && stochastic)});
  Scope names{.parent = &structure, .isRoot = true};
  Scoped<Frame *> inFrame(frame, &next);
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

/// Identifies what the body of an ssl.net depends on.
static void describeForKey(const Value &value, llvm::raw_ostream &out) {
  switch (value.kind()) {
  case ValueKind::Tensor:
    out << value.asTensor().getType();
    break;
  case ValueKind::Net:
    out << value.asNet().node.get() << value.asNet().place.value_or("") << value.asNet().groups
        << value.asNet().deterministic;
    break;
  case ValueKind::Callable:
    out << value.asCallable().function << value.asCallable().net << value.asCallable().builtin;
    break;
  case ValueKind::List:
  case ValueKind::Tuple:
    out << '[';
    for (const Value &element : value.elements()) {
      describeForKey(element, out);
      out << ',';
    }
    out << ']';
    break;
  default:
    out << typeName(value) << valueText(value, /*quoted=*/true);
  }
}

std::string Elaborator::instanceKey(const NetValue &net,
                                    llvm::ArrayRef<EvaluatedArgument> arguments) const {
  std::string key;
  llvm::raw_string_ostream out(key);
  out << net.node.get() << ' ' << current->training << ' '
      << (net.groups ? net.groups : batchNormGroups) << ' ' << (stochastic && !net.deterministic);
  for (const EvaluatedArgument &argument : arguments) {
    out << '|' << argument.name.text << '=';
    describeForKey(argument.value, out);
  }
  return key;
}

Value Elaborator::applyInstance(const NetValue &net,
                                llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                                SourceRange range) {
  llvm::SmallVector<mlir::Value> inputs;
  for (const EvaluatedArgument &argument : arguments)
    mapTensors(argument.value, [&](mlir::Value tensor) {
      inputs.push_back(tensor);
      return tensor;
    });
  std::string key = instanceKey(net, arguments);
  ssl::NetOp instance = instances.lookup(key);
  Value result;
  if (instance) {
    result = instanceResults.lookup(key);
    countOperations(range, instance.getBody().front().getOperations().size());
  } else {
    std::string symbol = *net.place;
    for (unsigned number = 2; !symbols.insert(symbol).second; ++number)
      symbol = *net.place + "_" + std::to_string(number);
    Frame next{.name = builder.getStringAttr(*net.place).getValue(),
               .unit = frame->unit,
               .startsLocations = true};
    if (!enterCall(next, range))
      return Value::error();
    builder.setInsertionPoint(step);
    instance =
        ssl::NetOp::create(builder, fileLocation(net.node->range), builder.getStringAttr(symbol),
                           TypeAttr::get(builder.getFunctionType({}, {})),
                           current->training ? builder.getUnitAttr() : UnitAttr());
    Block &body = instance.getBody().emplaceBlock();
    Context inside{.kind = ContextKind::Net, .block = &body, .training = current->training};
    llvm::SmallVector<EvaluatedArgument> inner(arguments.begin(), arguments.end());
    for (EvaluatedArgument &argument : inner)
      argument.value = mapTensors(argument.value, [&](mlir::Value tensor) -> mlir::Value {
        return body.addArgument(tensor.getType(), tensor.getLoc());
      });
    NetValue root = net;
    root.place = "";
    {
      Scoped<Context *> inContext(current, &inside);
      Scoped<Frame *> inFrame(frame, &next);
      result = runNet(root, inner, range);
      llvm::SmallVector<mlir::Value> outputs;
      llvm::SmallVector<Type> types;
      mapTensors(result, [&](mlir::Value tensor) {
        outputs.push_back(tensor);
        types.push_back(tensor.getType());
        return tensor;
      });
      if (!result.holdsError() && outputs.empty())
        result =
            fail(Code::WrongType, range, "the net gives " + typeName(result) + ", not a tensor");
      make<nn::YieldOp>(net.node->range, ValueRange(outputs));
      instance.setFunctionType(builder.getFunctionType(body.getArgumentTypes(), types));
    }
    // Two applications draw their own random numbers, so a body that draws belongs to one.
    if (!inside.drewRandom) {
      instances[key] = instance;
      instanceResults[key] = result;
    }
  }
  if (result.holdsError())
    return Value::error();
  auto apply = make<ssl::ApplyOp>(range, instance.getFunctionType().getResults(),
                                  instance.getSymName(), *net.place, inputs);
  unsigned next = 0;
  return mapTensors(result, [&](mlir::Value) { return apply.getResult(next++); });
}

} // namespace doppel::spec
