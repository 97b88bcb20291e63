// The stages of an augmentation pipeline: which arguments each takes, and of which type. README.md
// says what they mean.
#include "dialects/nn/NnDialect.h"

using namespace mlir;
using namespace doppel::nn;

namespace {
enum class ArgumentType { Integer, Number, Interval, Channels, Text };

struct Argument {
  StringRef name;
  ArgumentType type;
};

StringRef describe(ArgumentType type) {
  switch (type) {
  case ArgumentType::Integer:
    return "an i64";
  case ArgumentType::Number:
    return "an f64";
  case ArgumentType::Interval:
    return "array<f64: low, high> with low <= high";
  case ArgumentType::Channels:
    return "array<f64> of 3";
  case ArgumentType::Text:
    return "a string";
  }
  llvm_unreachable("an argument has a type");
}

bool hasType(Attribute value, ArgumentType type) {
  auto numbers = dyn_cast<DenseF64ArrayAttr>(value);
  switch (type) {
  case ArgumentType::Integer: {
    auto integer = dyn_cast<IntegerAttr>(value);
    return integer && integer.getType().isInteger(64);
  }
  case ArgumentType::Number: {
    auto number = dyn_cast<FloatAttr>(value);
    return number && number.getType().isF64();
  }
  case ArgumentType::Interval:
    return numbers && numbers.size() == 2 && numbers[0] <= numbers[1];
  case ArgumentType::Channels:
    return numbers && numbers.size() == 3;
  case ArgumentType::Text:
    return isa<StringAttr>(value);
  }
  llvm_unreachable("an argument has a type");
}

SmallVector<Argument> argumentsOf(Transform transform) {
  using enum ArgumentType;
  switch (transform) {
  case Transform::RandomResizedCrop:
    return {{"size", Integer}, {"scale", Interval}, {"ratio", Interval}, {"interpolation", Text}};
  case Transform::CenterCrop:
    return {{"size", Integer}, {"resize", Integer}};
  case Transform::HorizontalFlip:
  case Transform::Grayscale:
    return {{"p", Number}};
  case Transform::ColorJitter:
    return {{"brightness", Number}, {"contrast", Number}, {"saturation", Number}, {"hue", Number},
            {"p", Number},          {"order", Text},      {"brightness_by", Text}};
  case Transform::GaussianBlur:
    return {{"sigma", Interval}, {"kernel", Integer}, {"p", Number}};
  case Transform::Solarize:
    return {{"threshold", Number}, {"p", Number}};
  case Transform::Rotation:
    return {{"degrees", Number}, {"p", Number}};
  case Transform::Normalize:
    return {{"mean", Channels}, {"std", Channels}};
  }
  llvm_unreachable("a stage has a transform");
}
} // namespace

LogicalResult StageAttr::verify(function_ref<InFlightDiagnostic()> emitError, Transform transform,
                                DictionaryAttr arguments) {
  SmallVector<Argument> known = argumentsOf(transform);
  auto name = stringifyTransform(transform);
  for (const Argument &argument : known) {
    Attribute value = arguments.get(argument.name);
    if (!value)
      return emitError() << name << " lacks its argument '" << argument.name << "', "
                         << describe(argument.type);
    if (!hasType(value, argument.type))
      return emitError() << name << ": '" << argument.name << "' is " << value << ", not "
                         << describe(argument.type);
  }
  for (NamedAttribute entry : arguments)
    if (llvm::none_of(known, [&](const Argument &a) { return a.name == entry.getName(); }))
      return emitError() << name << " has no argument " << entry.getName();

  auto text = [&](StringRef argument) { return cast<StringAttr>(arguments.get(argument)); };
  auto integer = [&](StringRef argument) {
    return cast<IntegerAttr>(arguments.get(argument)).getInt();
  };
  if (transform == Transform::RandomResizedCrop && text("interpolation") != "bilinear" &&
      text("interpolation") != "bicubic")
    return emitError() << name << ": 'interpolation' is " << text("interpolation")
                       << ", not \"bilinear\" or \"bicubic\"";
  if (transform == Transform::ColorJitter && text("order") != "random" && text("order") != "fixed")
    return emitError() << name << ": 'order' is " << text("order")
                       << ", not \"random\" or \"fixed\"";
  if (transform == Transform::ColorJitter && text("brightness_by") != "factor" &&
      text("brightness_by") != "offset")
    return emitError() << name << ": 'brightness_by' is " << text("brightness_by")
                       << ", not \"factor\" or \"offset\"";
  for (StringRef length : {"size", "resize", "kernel"})
    if (arguments.contains(length) && integer(length) < 1)
      return emitError() << name << ": '" << length << "' is " << integer(length)
                         << ", but must be at least 1";
  if (transform == Transform::CenterCrop && integer("resize") < integer("size"))
    return emitError() << name << ": 'resize' is " << integer("resize")
                       << ", smaller than the crop's 'size' of " << integer("size");
  if (transform == Transform::GaussianBlur && integer("kernel") % 2 == 0)
    return emitError() << name << ": 'kernel' is " << integer("kernel") << ", but must be odd";
  if (transform == Transform::Normalize)
    for (double deviation : cast<DenseF64ArrayAttr>(arguments.get("std")).asArrayRef())
      if (!(deviation > 0))
        return emitError() << name << ": 'std' is " << arguments.get("std")
                           << ", but must be positive";
  return success();
}

double StageAttr::getNumber(StringRef name) const {
  return cast<FloatAttr>(getArguments().get(name)).getValueAsDouble();
}

ArrayRef<double> StageAttr::getNumbers(StringRef name) const {
  return cast<DenseF64ArrayAttr>(getArguments().get(name)).asArrayRef();
}

int64_t StageAttr::getInteger(StringRef name) const {
  return cast<IntegerAttr>(getArguments().get(name)).getInt();
}

StringRef StageAttr::getString(StringRef name) const {
  return cast<StringAttr>(getArguments().get(name)).getValue();
}
