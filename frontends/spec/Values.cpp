// Values, and how messages call them; see Values.h.
#include "frontends/spec/Values.h"

#include "frontends/spec/Builtins.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <charconv>
#include <cmath>

namespace doppel::spec {

llvm::StringRef Callable::name() const {
  if (function)
    return function->name.text;
  return net ? net->name.text : llvm::StringRef(builtin->name);
}

SourceRange Callable::declaredAt() const {
  if (function)
    return function->name.range;
  return net ? net->name.range : SourceRange();
}

Value Value::integer(int64_t value) {
  Value result(ValueKind::Int);
  result.scalar.i = value;
  return result;
}

Value Value::number(double value) {
  Value result(ValueKind::Float);
  result.scalar.f = value;
  return result;
}

Value Value::boolean(bool value) {
  Value result(ValueKind::Bool);
  result.scalar.b = value;
  return result;
}

Value Value::string(std::string text) {
  Value result(ValueKind::String);
  auto payload = std::make_shared<Payload>();
  payload->text = std::move(text);
  result.payload = std::move(payload);
  return result;
}

Value Value::list(std::vector<Value> elements) {
  Value result(ValueKind::List);
  auto payload = std::make_shared<Payload>();
  payload->elements = std::move(elements);
  for (const Value &element : payload->elements) {
    payload->weight = llvm::SaturatingAdd(payload->weight, element.weight());
    payload->depth = std::max(payload->depth, element.depth() + 1);
    payload->holdsTensor |= element.holdsTensor();
    payload->holdsError |= element.holdsError();
  }
  result.payload = std::move(payload);
  return result;
}

size_t Value::weight() const {
  return isSequence() ? payload->weight : isNet() ? asNet().node->weight : 1;
}

unsigned Value::depth() const {
  return isSequence() ? payload->depth : isNet() ? asNet().node->depth : 0;
}

Value Value::tuple(std::vector<Value> elements) {
  Value result = list(std::move(elements));
  result.valueKind = ValueKind::Tuple;
  return result;
}

Value Value::tensor(mlir::Value value) {
  Value result(ValueKind::Tensor);
  result.tensorValue = value;
  return result;
}

Value Value::image(ImageValue image) {
  Value result(ValueKind::Image);
  auto payload = std::make_shared<Payload>();
  payload->image = std::move(image);
  result.payload = std::move(payload);
  return result;
}

Value Value::callable(Callable callable) {
  Value result(ValueKind::Callable);
  auto payload = std::make_shared<Payload>();
  payload->callable = callable;
  result.payload = std::move(payload);
  return result;
}

Value Value::net(NetValue net) {
  Value result(ValueKind::Net);
  auto payload = std::make_shared<Payload>();
  payload->net = std::move(net);
  result.payload = std::move(payload);
  return result;
}

Value Value::optimizer(OptimizerValue optimizer) {
  Value result(ValueKind::Optimizer);
  auto payload = std::make_shared<Payload>();
  payload->optimizer = std::move(optimizer);
  result.payload = std::move(payload);
  return result;
}

Value Value::module(const Unit *unit, std::string name) {
  Value result(ValueKind::Module);
  auto payload = std::make_shared<Payload>();
  payload->unit = unit;
  payload->text = std::move(name);
  result.payload = std::move(payload);
  return result;
}

llvm::StringRef Value::asString() const { return payload->text; }
llvm::ArrayRef<Value> Value::elements() const { return payload->elements; }
const ImageValue &Value::asImage() const { return payload->image; }
const Callable &Value::asCallable() const { return payload->callable; }
const NetValue &Value::asNet() const { return payload->net; }
const OptimizerValue &Value::asOptimizer() const { return payload->optimizer; }
const Unit *Value::asUnit() const { return payload->unit; }

mlir::RankedTensorType Value::tensorType() const {
  return mlir::cast<mlir::RankedTensorType>(tensorValue.getType());
}

bool Value::holdsTensor() const {
  switch (valueKind) {
  case ValueKind::Tensor:
    return true;
  case ValueKind::List:
  case ValueKind::Tuple:
    return payload->holdsTensor;
  case ValueKind::Optimizer:
    return asOptimizer().learningRate.holdsTensor() || asOptimizer().weightDecay.holdsTensor();
  default:
    return false;
  }
}

bool Value::holdsError() const { return isError() || (isSequence() && payload->holdsError); }

Value Value::mapTensors(llvm::function_ref<mlir::Value(mlir::Value)> map) const {
  if (isTensor())
    return tensor(map(asTensor()));
  if (!isSequence())
    return *this;
  std::vector<Value> mapped;
  for (const Value &element : elements())
    mapped.push_back(element.mapTensors(map));
  return isList() ? list(std::move(mapped)) : tuple(std::move(mapped));
}

void NetNode::add(NetChild part) {
  depth = std::max(depth, part.value.depth() + 1);
  weight = llvm::SaturatingAdd(weight, part.value.weight());
  children.push_back(std::move(part));
}

const NetChild *NetNode::child(llvm::StringRef name) const {
  for (const NetChild &entry : children)
    if (entry.name == name)
      return &entry;
  return nullptr;
}

std::string shapeText(llvm::ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << '[';
  llvm::interleaveComma(shape, out);
  out << ']';
  return text;
}

std::string typeName(mlir::RankedTensorType type) {
  mlir::Type element = type.getElementType();
  std::string name;
  if (element.isInteger(1)) {
    name = "bool";
  } else {
    llvm::raw_string_ostream out(name);
    element.print(out);
  }
  return name + shapeText(type.getShape());
}

std::string typeName(const Value &value) {
  switch (value.kind()) {
  case ValueKind::None:
    return "nothing";
  case ValueKind::Error:
    return "an error";
  case ValueKind::Int:
    return "int";
  case ValueKind::Float:
    return "float";
  case ValueKind::Bool:
    return "bool";
  case ValueKind::String:
    return "string";
  case ValueKind::List:
    return "list of " + std::to_string(value.elements().size());
  case ValueKind::Tuple:
    return "tuple of " + std::to_string(value.elements().size());
  case ValueKind::Tensor:
    return typeName(value.tensorType());
  case ValueKind::Image:
    return "image";
  case ValueKind::Callable:
    return value.asCallable().net ? "net constructor" : "function";
  case ValueKind::Net:
    return "net";
  case ValueKind::Optimizer:
    return "optimizer";
  case ValueKind::Module:
    return "module";
  }
  return "";
}

std::string numberText(double value) {
  char buffer[64];
  auto end = std::to_chars(buffer, buffer + sizeof(buffer), value);
  std::string text(buffer, end.ptr);
  if (std::isfinite(value) && text.find_first_of(".e") == std::string::npos)
    text += ".0";
  return text;
}

std::string valueText(const Value &value, bool quoted) {
  switch (value.kind()) {
  case ValueKind::Int:
    return std::to_string(value.asInt());
  case ValueKind::Float:
    return numberText(value.asDouble());
  case ValueKind::Bool:
    return value.asBool() ? "true" : "false";
  case ValueKind::String: {
    if (!quoted)
      return value.asString().str();
    std::string text = "\"";
    for (char c : value.asString()) {
      if (c == '"' || c == '\\')
        text += '\\';
      text += c;
    }
    return text + "\"";
  }
  case ValueKind::List:
  case ValueKind::Tuple: {
    std::string text = value.isList() ? "[" : "(";
    for (const Value &element : value.elements()) {
      if (text.size() > 1)
        text += ", ";
      text += valueText(element, /*quoted=*/true);
    }
    return text + (value.isList() ? "]" : ")");
  }
  default:
    return typeName(value);
  }
}

} // namespace doppel::spec
