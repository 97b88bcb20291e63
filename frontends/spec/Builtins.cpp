// The table of built-ins and the arguments of their calls; see Builtins.h.
#include "frontends/spec/Builtins.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSwitch.h"

#include <cmath>

namespace doppel::spec {

using namespace mlir;

static const llvm::StringMap<const Builtin *> &table() {
  static const llvm::StringMap<const Builtin *> all = [] {
    llvm::StringMap<const Builtin *> map;
    for (llvm::ArrayRef<Builtin> part : {mathBuiltins(), tensorBuiltins(), randomBuiltins(),
                                         trainingBuiltins(), augmentBuiltins()})
      for (const Builtin &builtin : part)
        map[builtin.name] = &builtin;
    return map;
  }();
  return all;
}

const Builtin *findBuiltin(llvm::StringRef name) { return table().lookup(name); }

std::vector<llvm::StringRef> builtinNames() {
  std::vector<llvm::StringRef> names = {"pi",    "batch",           "random",
                                        "step",  "steps_per_epoch", "epochs",
                                        "epoch", "samples",         "total_steps"};
  for (const auto &entry : table())
    if (!entry.getKey().contains('.'))
      names.push_back(entry.getKey());
  llvm::sort(names);
  return names;
}

//===- Binding --------------------------------------------------------------------------------===//

bool BuiltinCall::bind(llvm::SmallVectorImpl<EvaluatedArgument> &arguments) {
  llvm::SmallVector<llvm::StringRef> names;
  llvm::StringRef(builtin.signature).split(names, ',', -1, /*KeepEmpty=*/false);
  bool takesRest = false;
  for (llvm::StringRef name : names) {
    name = name.trim();
    if (name.consume_back("...")) {
      takesRest = true;
      continue;
    }
    bool isOptional = name.consume_back("?");
    slots.push_back({name, isOptional, Value(), SourceRange()});
  }
  auto declaration = [&](Diagnostic &error) {
    std::string text = builtin.name;
    text += "(";
    llvm::StringRef parameters = builtin.signature;
    for (char c : parameters)
      if (c != '?')
        text += c;
    error.help("it is " + text + ")");
  };
  bool sound = true;
  size_t next = 0;
  for (EvaluatedArgument &argument : arguments) {
    sound &= !argument.value.holdsError();
    if (argument.name.text.empty()) {
      if (takesRest) {
        positional.push_back(argument);
      } else if (next < slots.size()) {
        slots[next].value = argument.value;
        slots[next++].range = argument.range;
      } else {
        declaration(report(Code::WrongArgumentCount, argument.range,
                           "'" + llvm::Twine(builtin.name) + "' takes " +
                               llvm::Twine(slots.size()) +
                               (slots.size() == 1 ? " argument" : " arguments") + ", but " +
                               llvm::Twine(arguments.size()) + " are given"));
        return false;
      }
      continue;
    }
    auto slot = llvm::find_if(slots, [&](const Slot &s) { return s.name == argument.name.text; });
    if (slot == slots.end()) {
      std::vector<llvm::StringRef> known;
      for (const Slot &s : slots)
        known.push_back(s.name);
      Diagnostic &error = report(Code::UnknownArgument, argument.name.range,
                                 "'" + llvm::Twine(builtin.name) + "' has no parameter '" +
                                     argument.name.text + "'");
      llvm::StringRef here = argumentElsewhere(argument.name.text);
      if (llvm::is_contained(known, here))
        error.help("write " + here + ": ...");
      else if (auto nearest = nearestName(argument.name.text, known))
        error.help("did you mean '" + *nearest + "'?");
      else
        declaration(error);
      sound = false;
      continue;
    }
    if (!slot->value.isNone()) {
      declaration(report(Code::WrongArgumentCount, argument.name.range,
                         "'" + argument.name.text + "' is given twice"));
      sound = false;
      continue;
    }
    slot->value = argument.value;
    slot->range = argument.range;
  }
  for (const Slot &slot : slots)
    if (slot.value.isNone() && !slot.isOptional && sound) {
      Diagnostic &error = report(Code::WrongArgumentCount, range,
                                 "'" + llvm::Twine(builtin.name) + "' needs '" + slot.name +
                                     "', which is not given");
      if (arguments.empty() && llvm::StringRef(slot.name) == "lr")
        error.help("write " + llvm::Twine(builtin.name) + "(lr: 0.1)");
      else if (arguments.empty())
        error.help("where the function itself is meant, write '" + llvm::Twine(builtin.name) +
                   "' without parentheses");
      else
        declaration(error);
      sound = false;
    }
  return sound;
}

const BuiltinCall::Slot &BuiltinCall::find(llvm::StringRef name) const {
  for (const Slot &slot : slots)
    if (slot.name == name)
      return slot;
  llvm_unreachable("a built-in asks for a parameter that its signature lacks");
}

SourceRange BuiltinCall::rangeOf(llvm::StringRef name) const {
  SourceRange at = find(name).range;
  return at.isValid() ? at : range;
}

//===- Accessors ------------------------------------------------------------------------------===//

Value BuiltinCall::wrongType(llvm::StringRef name, llvm::StringRef expected) {
  const Value &given = value(name);
  bool unknown = given.isTensor() && given.shape().empty() && !expected.contains("tensor");
  Diagnostic &error = report(unknown ? Code::NotKnownAtCompileTime : Code::WrongType, rangeOf(name),
                             "'" + name + "' of '" + builtin.name + "' is " + typeName(given) +
                                 ", not " + expected);
  if (given.isImage())
    error.help("a picture becomes a tensor as a view: view x = augment.simclr(image, size: 32)");
  llvm::StringRef function = builtin.name;
  if (given.isTensor() && expected == "a net")
    error.help("apply what it gives: " + function + "(NET, ...)(x)");
  else if (given.isTensor() && function == "len")
    error.help("the rows of a tensor are " + label(name) + ".shape[0]");
  else if (given.isTensor() && (function == "max" || function == "min"))
    error.help("of two tensors, element by element: " + function + "imum(a, b)");
  return Value::error();
}

std::optional<mlir::Value> BuiltinCall::tensor(llvm::StringRef name) {
  if (value(name).isTensor())
    return value(name).asTensor();
  wrongType(name, "a tensor");
  return std::nullopt;
}

std::optional<int64_t> BuiltinCall::integer(llvm::StringRef name, std::optional<int64_t> fallback) {
  if (!has(name))
    return fallback;
  if (value(name).isInt())
    return value(name).asInt();
  wrongType(name, "int");
  return std::nullopt;
}

std::optional<int64_t> BuiltinCall::count(llvm::StringRef name, std::optional<int64_t> fallback,
                                          int64_t least) {
  std::optional<int64_t> result = integer(name, fallback);
  if (!result || (*result >= least && *result <= maxCount))
    return result;
  fail(Code::BadSize, rangeOf(name),
       "'" + name + "' of '" + builtin.name + "' is " + llvm::Twine(*result) + ", but must be " +
           (*result < least ? "at least " + llvm::Twine(least)
                            : "at most " + llvm::Twine(maxCount)));
  return std::nullopt;
}

std::optional<double> BuiltinCall::number(llvm::StringRef name, std::optional<double> fallback) {
  if (!has(name))
    return fallback;
  if (value(name).isNumber())
    return value(name).asDouble();
  wrongType(name, "a number");
  return std::nullopt;
}

std::optional<double> BuiltinCall::numberIn(llvm::StringRef name, std::optional<double> fallback,
                                            double low, double high) {
  std::optional<double> result = number(name, fallback);
  if (!result || (*result >= low && *result <= high))
    return result;
  std::string limits = std::isinf(high) ? "at least " + numberText(low)
                                        : "from " + numberText(low) + " to " + numberText(high);
  fail(Code::BadValue, rangeOf(name),
       "'" + name + "' of '" + builtin.name + "' is " + numberText(*result) + ", but must be " +
           limits);
  return std::nullopt;
}

std::optional<bool> BuiltinCall::flag(llvm::StringRef name, bool fallback) {
  if (!has(name))
    return fallback;
  if (value(name).isBool())
    return value(name).asBool();
  wrongType(name, "bool");
  return std::nullopt;
}

std::optional<std::string> BuiltinCall::text(llvm::StringRef name, llvm::StringRef fallback,
                                             llvm::ArrayRef<llvm::StringRef> allowed) {
  if (!has(name))
    return fallback.str();
  if (!value(name).isString()) {
    wrongType(name, "a string");
    return std::nullopt;
  }
  llvm::StringRef given = value(name).asString();
  if (llvm::is_contained(allowed, given))
    return given.str();
  Diagnostic &error = report(Code::BadValue, rangeOf(name),
                             "'" + name + "' of '" + builtin.name + "' is \"" + given +
                                 "\", but must be \"" + llvm::join(allowed, "\" or \"") + "\"");
  if (auto nearest = nearestName(given, allowed))
    error.help("did you mean \"" + *nearest + "\"?");
  return std::nullopt;
}

std::optional<llvm::SmallVector<int64_t>> BuiltinCall::integers(llvm::StringRef name) {
  llvm::SmallVector<int64_t> result;
  const Value &list = value(name);
  bool fits = list.isInt() || list.isSequence();
  if (list.isInt())
    result.push_back(list.asInt());
  trace.count(rangeOf(name), list.weight());
  if (list.isSequence())
    for (const Value &element : list.elements()) {
      fits &= element.isInt();
      result.push_back(element.isInt() ? element.asInt() : 0);
    }
  if (fits)
    return result;
  wrongType(name, "an int or a list of ints");
  return std::nullopt;
}

std::optional<llvm::SmallVector<double>> BuiltinCall::numbers(llvm::StringRef name, size_t count,
                                                              llvm::ArrayRef<double> fallback) {
  if (!has(name))
    return llvm::SmallVector<double>(fallback);
  const Value &list = value(name);
  llvm::SmallVector<double> result;
  bool fits = list.isSequence() && list.elements().size() == count;
  if (fits)
    for (const Value &element : list.elements()) {
      fits &= element.isNumber();
      result.push_back(element.isNumber() ? element.asDouble() : 0);
    }
  if (fits)
    return result;
  wrongType(name, ("a list of " + llvm::Twine(count) + " numbers").str());
  return std::nullopt;
}

std::optional<llvm::SmallVector<int64_t>> BuiltinCall::shape(llvm::StringRef name) {
  if (!has(name)) {
    if (emit.current->kind == ContextKind::Initial)
      return llvm::to_vector(emit.current->declared.getShape());
    Diagnostic &error =
        report(Code::NeedsShape, range,
               "the shape of '" + llvm::Twine(builtin.name) + "' is not known here");
    error.help("give one: " + name + ": [n, d]");
    return std::nullopt;
  }
  auto sizes = integers(name);
  if (!sizes)
    return std::nullopt;
  for (int64_t size : *sizes)
    if (size < 1) {
      fail(Code::BadSize, rangeOf(name),
           "the shape is " + shapeText(*sizes) + ", but sizes must be at least 1");
      return std::nullopt;
    }
  return sizes;
}

std::optional<int64_t> BuiltinCall::axis(int64_t axis, int64_t rank, SourceRange at) {
  int64_t normal = axis < 0 ? axis + rank : axis;
  if (normal >= 0 && normal < rank)
    return normal;
  fail(Code::BadAxis, at,
       "the axis is " + llvm::Twine(axis) + ", but the tensor has " + llvm::Twine(rank) +
           (rank == 1 ? " axis" : " axes"));
  return std::nullopt;
}

std::optional<ImageValue> BuiltinCall::image(llvm::StringRef name) {
  if (value(name).isImage())
    return value(name).asImage();
  Diagnostic &error = report(Code::WrongType, rangeOf(name),
                             "'" + name + "' of '" + builtin.name + "' is " +
                                 typeName(value(name)) + ", not an image");
  if (value(name).isTensor())
    error.help("augmentation works on the picture, before it is a tensor: view x = ... image ...");
  return std::nullopt;
}

} // namespace doppel::spec
