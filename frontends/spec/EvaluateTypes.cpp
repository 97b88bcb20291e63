// Written types: what a value must be to fit one, and dimensions that get their size from the
// argument.
#include "frontends/spec/Evaluator.h"

namespace doppel::spec {

using namespace mlir;

Type Evaluator::elementType(llvm::StringRef name) {
  if (name == "f32")
    return emit.builder.getF32Type();
  if (name == "i32")
    return emit.builder.getI32Type();
  if (name == "bool")
    return emit.builder.getI1Type();
  return nullptr;
}

std::string Evaluator::typeText(const TypeExpr &type) const {
  return trace.sources.text(type.range).str();
}

std::optional<RankedTensorType> Evaluator::evalTensorType(const TypeExpr &type) {
  Type element = type.element ? nullptr : elementType(type.name.text);
  if (!element || !type.hasDims) {
    Diagnostic &error =
        report(Code::WrongType, type.range, "'" + typeText(type) + "' is not the type of a tensor");
    error.help("write f32[n, d], or f32[] for a scalar");
    return std::nullopt;
  }
  llvm::SmallVector<int64_t> shape;
  bool failed = false;
  for (const Expr *dim : type.dims) {
    std::optional<int64_t> size = evalSize(dim, "the size");
    failed |= !size;
    shape.push_back(size.value_or(1));
  }
  if (failed)
    return std::nullopt;
  return emit.tensorType(shape, element);
}

/// Checks a tensor's shape against the written one. A name without a value gets the size, if
/// `bindDims`.
bool Evaluator::checkDims(const Value &value, const TypeExpr &type, llvm::StringRef what,
                          SourceRange valueRange, SourceRange declared, bool bindDims) {
  llvm::ArrayRef<int64_t> shape = value.shape();
  if (shape.size() != type.dims.size()) {
    report(Code::WrongRank, valueRange,
           what + " is " + typeName(value) + ", but '" + typeText(type) + "' has " +
               llvm::Twine(type.dims.size()) + (type.dims.size() == 1 ? " axis" : " axes"))
        .note(declared, "declared here");
    return false;
  }
  bool fits = true;
  for (auto [axis, dim] : llvm::enumerate(type.dims)) {
    auto *name = llvm::dyn_cast<NameExpr>(dim);
    Binding *known = nullptr;
    for (Scope *s = scope; name && s && !known; s = s->parent)
      known = s->findHere(name->name);
    if (name && !known && bindDims) {
      if (name->name != "_")
        scope->bindings.push_back({.name = name->name,
                                   .value = Value::integer(shape[axis]),
                                   .range = valueRange,
                                   .isDimension = true});
      continue;
    }
    std::optional<int64_t> size = evalSize(dim, "the size");
    if (!size)
      return false;
    if (*size == shape[axis])
      continue;
    fits = false;
    Diagnostic &error =
        report(Code::ShapesDiffer, valueRange,
               what + " is " + shapeText(shape) + ", but " + trace.sources.text(dim->range) +
                   " is " + llvm::Twine(*size) + ": axis " + llvm::Twine(axis) + " differs");
    error.note(dim->range, "'" + typeText(type) + "' asks for it");
    if (known && known->isDimension && known->range.isValid())
      error.note(known->range, trace.sources.text(dim->range) + " is " + llvm::Twine(*size) +
                                   " because of '" + label(known->range, "this") + "'");
  }
  return fits;
}

bool Evaluator::coerce(Value &value, const TypeExpr &type, llvm::StringRef what,
                       SourceRange valueRange, SourceRange declared, bool bindDims) {
  if (value.isError())
    return true;
  auto mismatch = [&] {
    Diagnostic &error =
        report(value.isTensor() && !type.hasDims && !type.element ? Code::NotKnownAtCompileTime
                                                                  : Code::WrongType,
               valueRange, what + " is " + typeName(value) + ", not " + typeText(type));
    if (declared.isValid())
      error.note(declared, "declared here");
    if (type.element && (value.isNumber() || value.isString() || value.isBool()))
      error.help("in brackets it is a list: [" + label(valueRange, "value") + "]");
    return false;
  };
  if (type.element) {
    if (!value.isSequence())
      return mismatch();
    trace.count(valueRange, value.elements().size());
    std::vector<Value> elements(value.elements());
    for (auto [i, element] : llvm::enumerate(elements))
      if (!coerce(element, *type.element, ("element " + llvm::Twine(i) + " of " + what).str(),
                  valueRange, declared, bindDims))
        return false;
    value = Value::list(std::move(elements));
    return true;
  }
  llvm::StringRef name = type.name.text;
  if (type.hasDims || name == "f32" || name == "i32") {
    Type element = elementType(name);
    if (!element) {
      report(Code::WrongType, type.range, "'" + name + "' is not the element type of a tensor")
          .help("tensors are f32, i32 or bool");
      return false;
    }
    // What a method represents may pass the picture through functions of tensors.
    if (value.isImage() && type.hasDims && emit.current->kind == ContextKind::Represent)
      if (mlir::Value view = emit.materializeImage(value.asImage(), valueRange))
        value = Value::tensor(view);
    bool scalar = type.hasDims && type.dims.empty();
    if (scalar && value.isNumber())
      return true; // a number broadcasts to any shape, so it is a scalar too
    if (!value.isTensor() || value.tensorType().getElementType() != element) {
      report(Code::WrongType, valueRange,
             what + " is " + typeName(value) + ", not " + typeText(type))
          .note(declared, "declared here");
      return false;
    }
    return !type.hasDims || checkDims(value, type, what, valueRange, declared, bindDims);
  }
  if (name == "int")
    return value.isInt() || mismatch();
  if (name == "float") {
    if (!value.isNumber())
      return mismatch();
    value = Value::number(value.asDouble());
    return true;
  }
  if (name == "bool")
    return value.isBool() || mismatch();
  if (name == "string")
    return value.isString() || mismatch();
  if (name == "fn")
    return value.isCallable() || mismatch();
  if (name == "net")
    return value.isNet() || mismatch();
  if (name == "image")
    return value.isImage() || mismatch();
  if (name == "optimizer")
    return value.isOptimizer() || mismatch();
  static constexpr llvm::StringRef known[] = {"int", "float", "bool",      "string", "fn",
                                              "net", "image", "optimizer", "f32",    "i32"};
  Diagnostic &error = report(Code::UnknownName, type.range, "unknown type '" + name + "'");
  if (auto nearest = nearestName(name, known))
    error.help("did you mean '" + *nearest + "'?");
  return false;
}

} // namespace doppel::spec
