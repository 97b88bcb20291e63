// Networks that applications share; see NetInstances.h.
#include "frontends/spec/NetInstances.h"

#include "llvm/Support/raw_ostream.h"

namespace doppel::spec {

using namespace mlir;

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

std::string NetInstances::key(const NetValue &net,
                              llvm::ArrayRef<EvaluatedArgument> arguments) const {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << net.node.get() << ' ' << emit.current->training << ' '
      << (net.groups ? net.groups : evaluator.batchNormGroups) << ' '
      << (evaluator.stochastic && !net.deterministic);
  for (const EvaluatedArgument &argument : arguments) {
    out << '|' << argument.name.text << '=';
    describeForKey(argument.value, out);
  }
  return text;
}

NetInstances::Instance NetInstances::make(const NetValue &net,
                                          llvm::ArrayRef<EvaluatedArgument> arguments,
                                          SourceRange range, bool &draws) {
  std::string symbol = *net.place;
  // A number more may be the name of a state that is declared further down.
  bool isFree = symbols.insert(symbol).second;
  for (unsigned number = 2; !isFree; ++number) {
    symbol = *net.place + "_" + std::to_string(number);
    isFree = !evaluator.method.declared.contains(symbol) && symbols.insert(symbol).second;
  }
  OpBuilder &builder = emit.builder;
  Frame next{.name = builder.getStringAttr(*net.place).getValue(),
             .unit = trace.frame->unit,
             .startsLocations = true};
  if (!trace.enterCall(next, range))
    return {nullptr, Value::error()};
  builder.setInsertionPoint(step);
  auto op = ssl::NetOp::create(builder, trace.fileLocation(net.node->range),
                               builder.getStringAttr(symbol),
                               TypeAttr::get(builder.getFunctionType({}, {})),
                               emit.current->training ? builder.getUnitAttr() : UnitAttr());
  Block &body = op.getBody().emplaceBlock();
  Context inside{.kind = ContextKind::Net, .block = &body, .training = emit.current->training};
  llvm::SmallVector<EvaluatedArgument> inner(arguments);
  for (EvaluatedArgument &argument : inner)
    argument.value = argument.value.mapTensors([&](mlir::Value tensor) -> mlir::Value {
      return body.addArgument(tensor.getType(), tensor.getLoc());
    });
  NetValue root = net;
  root.place = "";
  Scoped<Context *> inContext(emit.current, &inside);
  Scoped<Frame *> inFrame(trace.frame, &next);
  Value result = evaluator.runNet(root, inner, range);
  llvm::SmallVector<mlir::Value> outputs;
  llvm::SmallVector<Type> types;
  result.mapTensors([&](mlir::Value tensor) {
    outputs.push_back(tensor);
    types.push_back(tensor.getType());
    return tensor;
  });
  if (!result.holdsError() && outputs.empty())
    result = fail(Code::WrongType, range, "the net gives " + typeName(result) + ", not a tensor");
  emit.make<nn::YieldOp>(net.node->range, ValueRange(outputs));
  op.setFunctionType(builder.getFunctionType(body.getArgumentTypes(), types));
  draws = inside.drewRandom;
  return {op, result};
}

NetInstances::Instance NetInstances::find(const NetValue &net,
                                          llvm::ArrayRef<EvaluatedArgument> arguments,
                                          SourceRange range) {
  std::string wanted = key(net, arguments);
  if (auto known = instances.find(wanted); known != instances.end()) {
    emit.countOperations(range, known->second.op.getBody().front().getOperations().size());
    return known->second;
  }
  bool draws = false;
  Instance made = make(net, arguments, range, draws);
  // Two applications draw their own random numbers, so a body that draws belongs to one.
  if (made.op && !draws)
    instances[wanted] = made;
  return made;
}

Value NetInstances::apply(const NetValue &net, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                          SourceRange range) {
  llvm::SmallVector<mlir::Value> inputs;
  for (const EvaluatedArgument &argument : arguments)
    argument.value.mapTensors([&](mlir::Value tensor) {
      inputs.push_back(tensor);
      return tensor;
    });
  auto [op, result] = find(net, arguments, range);
  if (result.holdsError())
    return Value::error();
  auto apply = emit.make<ssl::ApplyOp>(range, op.getFunctionType().getResults(), op.getSymName(),
                                       *net.place, inputs);
  unsigned next = 0;
  return result.mapTensors([&](mlir::Value) { return apply.getResult(next++); });
}

} // namespace doppel::spec
