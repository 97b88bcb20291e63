// Built-ins that work element by element, on numbers and on tensors, and those that exist at
// compile time only.
#include "frontends/spec/Builtins.h"

#include <cmath>

namespace doppel::spec {

using namespace mlir;

namespace {

/// A number's function and the operation that does the same to a tensor.
template <typename Op> Value unary(BuiltinCall &call, double (*compute)(double)) {
  const Value &x = call.value("x");
  if (x.isNumber()) {
    double result = compute(x.asDouble());
    if (!std::isfinite(result))
      return call.fail(Code::BadValue, call.range,
                       llvm::Twine(call.builtin.name) + "(" + valueText(x) +
                           ") is not a finite number");
    return Value::number(result);
  }
  if (!x.isTensor())
    return call.wrongType("x", "a number or a tensor");
  if (x.tensorType().getElementType().isInteger(1))
    return call.wrongType("x", "a tensor of numbers");
  mlir::Value operand = call.emit.convert(call.range, x.asTensor(), call.emit.builder.getF32Type());
  return Value::tensor(call.emit.make<Op>(call.range, operand.getType(), operand));
}

Value runExp(BuiltinCall &c) { return unary<nn::ExpOp>(c, std::exp); }
Value runLog(BuiltinCall &c) { return unary<nn::LogOp>(c, std::log); }
Value runSqrt(BuiltinCall &c) { return unary<nn::SqrtOp>(c, std::sqrt); }
Value runRsqrt(BuiltinCall &c) {
  return unary<nn::RsqrtOp>(c, [](double x) { return 1 / std::sqrt(x); });
}
Value runTanh(BuiltinCall &c) { return unary<nn::TanhOp>(c, std::tanh); }
Value runSigmoid(BuiltinCall &c) {
  return unary<nn::SigmoidOp>(c, [](double x) { return 1 / (1 + std::exp(-x)); });
}
Value runErf(BuiltinCall &c) { return unary<nn::ErfOp>(c, std::erf); }
Value runSin(BuiltinCall &c) { return unary<nn::SinOp>(c, std::sin); }
Value runCos(BuiltinCall &c) { return unary<nn::CosOp>(c, std::cos); }

Value runAbs(BuiltinCall &c) {
  const Value &x = c.value("x");
  if (x.isInt() && x.asInt() != INT64_MIN)
    return Value::integer(std::abs(x.asInt()));
  return unary<nn::AbsOp>(c, std::fabs);
}
Value runFloor(BuiltinCall &c) {
  return c.value("x").isInt() ? c.value("x") : unary<nn::FloorOp>(c, std::floor);
}
Value runRelu(BuiltinCall &c) {
  const Value &x = c.value("x");
  if (x.isInt())
    return Value::integer(std::max<int64_t>(x.asInt(), 0));
  return unary<nn::ReluOp>(c, [](double v) { return v > 0 ? v : 0; });
}

Value toInt(BuiltinCall &call, double (*rounded)(double)) {
  if (call.value("x").isInt())
    return call.value("x");
  std::optional<double> x = call.number("x");
  if (!x)
    return Value::error();
  double result = rounded(*x);
  if (std::fabs(result) >= 9.2e18)
    return call.fail(Code::BadValue, call.range, numberText(*x) + " does not fit into an int");
  return Value::integer(static_cast<int64_t>(result));
}
Value runInt(BuiltinCall &c) {
  const Value &x = c.value("x");
  if (!x.isTensor())
    return toInt(c, std::trunc);
  return Value::tensor(c.emit.convert(c.range, x.asTensor(), c.emit.builder.getI32Type()));
}
Value runCeil(BuiltinCall &c) { return toInt(c, std::ceil); }
Value runRound(BuiltinCall &c) { return toInt(c, std::round); }

Value runFloat(BuiltinCall &call) {
  const Value &x = call.value("x");
  if (x.isNumber())
    return Value::number(x.asDouble());
  if (x.isBool())
    return Value::number(x.asBool() ? 1 : 0);
  if (!x.isTensor())
    return call.wrongType("x", "a number or a tensor");
  return Value::tensor(call.emit.convert(call.range, x.asTensor(), call.emit.builder.getF32Type()));
}

template <typename Op> Value extreme(BuiltinCall &call, bool greater) {
  const Value &a = call.value("a"), &b = call.value("b");
  if (a.isNumber() && b.isNumber()) {
    bool first = greater ? a.asDouble() >= b.asDouble() : a.asDouble() <= b.asDouble();
    const Value &chosen = first ? a : b;
    return a.isInt() && b.isInt() ? chosen : Value::number(chosen.asDouble());
  }
  for (llvm::StringRef name : {"a", "b"}) {
    const Value &x = call.value(name);
    if (!x.isNumber() && (!x.isTensor() || x.tensorType().getElementType().isInteger(1)))
      return call.wrongType(name, "a number or a tensor of numbers");
  }
  mlir::Value left, right;
  if (!call.emit.unify(a, b, call.rangeOf("a"), call.rangeOf("b"), call.range, left, right))
    return Value::error();
  return Value::tensor(call.emit.make<Op>(call.range, left.getType(), left, right));
}
Value runMaximum(BuiltinCall &c) { return extreme<nn::MaxOp>(c, true); }
Value runMinimum(BuiltinCall &c) { return extreme<nn::MinOp>(c, false); }

Value runPow(BuiltinCall &c) {
  return c.evaluator.binary(BinaryOp::Power, c.value("a"), c.value("b"), c.rangeOf("a"),
                            c.rangeOf("b"), c.range);
}

Value runWhere(BuiltinCall &call) {
  const Value &c = call.value("c"), &a = call.value("a"), &b = call.value("b");
  if (c.isBool())
    return c.asBool() ? a : b;
  if (!c.isTensor() || !c.tensorType().getElementType().isInteger(1))
    return call.wrongType("c", "bool or a tensor of bools");
  for (llvm::StringRef name : {"a", "b"})
    if (const Value &x = call.value(name); !x.isTensor() && !x.isNumber() && !x.isBool())
      return call.wrongType(name, "a number or a tensor");
  TensorEmitter &e = call.emit;
  llvm::SmallVector<int64_t> shape(c.shape());
  for (llvm::StringRef name : {"a", "b"}) {
    const Value &x = call.value(name);
    if (!x.isTensor())
      continue;
    auto common = e.broadcastShapes(shape, x.shape(), "the result so far",
                                    call.label(call.rangeOf(name), name), call.range);
    if (!common)
      return Value::error();
    shape = std::move(*common);
  }
  Type element = e.commonElement(a, b);
  if (!a.isTensor() && !b.isTensor() && !element.isInteger(1))
    element = e.builder.getF32Type();
  mlir::Value condition = e.broadcastTo(call.rangeOf("c"), c.asTensor(), shape);
  mlir::Value yes = e.materialize(call.rangeOf("a"), a, shape, element);
  mlir::Value no = e.materialize(call.rangeOf("b"), b, shape, element);
  return Value::tensor(e.make<nn::SelectOp>(call.range, yes.getType(), condition, yes, no));
}

//===- At compile time only -------------------------------------------------------------------===//

Value runLen(BuiltinCall &call) {
  const Value &list = call.value("list");
  if (list.isSequence())
    return Value::integer(list.elements().size());
  if (list.isString())
    return Value::integer(list.asString().size());
  call.wrongType("list", "a list");
  return Value::error();
}

Value runDiv(BuiltinCall &call) {
  auto a = call.integer("a"), b = call.integer("b");
  if (!a || !b)
    return Value::error();
  if (*b == 0 || (*a == INT64_MIN && *b == -1))
    return call.fail(Code::BadValue, call.range,
                     "division by zero: div(" + llvm::Twine(*a) + ", " + llvm::Twine(*b) + ")");
  int64_t quotient = *a / *b;
  return Value::integer(quotient - (*a % *b != 0 && (*a < 0) != (*b < 0) ? 1 : 0));
}

Value runStr(BuiltinCall &call) {
  const Value &x = call.value("x");
  if (x.holdsTensor() || !(x.isNumber() || x.isBool() || x.isString() || x.isSequence()))
    return call.wrongType("x", "a number, bool, string or list");
  call.trace.count(call.range, x.weight());
  std::string text = valueText(x);
  return call.evaluator.checkLength(text.size(), call.range) ? Value::string(std::move(text))
                                                             : Value::error();
}

Value runRequire(BuiltinCall &call) {
  const Value &condition = call.value("condition"), &message = call.value("message");
  if (!condition.isBool())
    return call.wrongType("condition", "bool");
  if (!message.isString())
    return call.wrongType("message", "a string");
  if (condition.asBool())
    return Value::boolean(true);
  // A requirement is about the call of the function in which it stands.
  Frame *own = call.trace.frame;
  if (own->caller && own->callRange.isValid() && !own->unit->isLibrary) {
    Scoped<Frame *> caller(call.trace.frame, own->caller);
    call.report(Code::RequirementFailed, own->callRange, message.asString())
        .note(call.range, "'" + own->name + "' requires it");
    return Value::error();
  }
  return call.fail(Code::RequirementFailed, call.range, message.asString());
}

} // namespace

llvm::ArrayRef<Builtin> mathBuiltins() {
  static const Builtin builtins[] = {
      {"exp", "x", runExp},
      {"log", "x", runLog},
      {"sqrt", "x", runSqrt},
      {"rsqrt", "x", runRsqrt},
      {"tanh", "x", runTanh},
      {"sigmoid", "x", runSigmoid},
      {"erf", "x", runErf},
      {"abs", "x", runAbs},
      {"sin", "x", runSin},
      {"cos", "x", runCos},
      {"floor", "x", runFloor},
      {"relu", "x", runRelu},
      {"ceil", "x", runCeil},
      {"round", "x", runRound},
      {"int", "x", runInt},
      {"float", "x", runFloat},
      {"maximum", "a, b", runMaximum},
      {"minimum", "a, b", runMinimum},
      {"pow", "a, b", runPow},
      {"where", "c, a, b", runWhere},
      {"len", "list", runLen},
      {"div", "a, b", runDiv},
      {"str", "x", runStr},
      {"require", "condition, message", runRequire},
  };
  return builtins;
}

} // namespace doppel::spec
