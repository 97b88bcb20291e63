// Augmentation: each built-in adds a stage to the picture's pipeline. The arguments' names and
// types are those of nn's stages (dialects/nn/README.md).
#include "frontends/spec/Builtins.h"

#include <cmath>

namespace doppel::spec {

using namespace mlir;

namespace {

class Stage {
public:
  explicit Stage(BuiltinCall &call) : call(call), builder(call.emit.builder) {}

  Stage &number(llvm::StringRef name, double value) {
    return add(name, builder.getF64FloatAttr(value));
  }
  Stage &integer(llvm::StringRef name, int64_t value) {
    return add(name, builder.getI64IntegerAttr(value));
  }
  Stage &numbers(llvm::StringRef name, llvm::ArrayRef<double> values) {
    return add(name, builder.getDenseF64ArrayAttr(values));
  }
  Stage &text(llvm::StringRef name, llvm::StringRef value) {
    return add(name, builder.getStringAttr(value));
  }

  /// The image with this stage after its others.
  Value appendTo(ImageValue image, nn::Transform transform) {
    image.stages.push_back(
        nn::StageAttr::get(builder.getContext(), transform, builder.getDictionaryAttr(arguments)));
    return Value::image(std::move(image));
  }

private:
  Stage &add(llvm::StringRef name, Attribute value) {
    arguments.emplace_back(builder.getStringAttr(name), value);
    return *this;
  }

  BuiltinCall &call;
  OpBuilder &builder;
  llvm::SmallVector<NamedAttribute> arguments;
};

/// The picture before its crop, which comes first and once.
std::optional<ImageValue> uncropped(BuiltinCall &call) {
  auto image = call.image("image");
  if (!image || image->size == 0)
    return image;
  call.report(Code::BadPipeline, call.range,
              "'" + llvm::Twine(call.builtin.name) + "' follows another crop to " +
                  llvm::Twine(image->size) + " pixels")
      .help("a view is cropped once, at its beginning");
  return std::nullopt;
}

/// The picture after its crop.
std::optional<ImageValue> cropped(BuiltinCall &call) {
  auto image = call.image("image");
  if (!image || image->size > 0)
    return image;
  call.report(Code::BadPipeline, call.range,
              "'" + llvm::Twine(call.builtin.name) + "' comes before the crop")
      .help("begin with random_resized_crop or center_crop, which fix the size");
  return std::nullopt;
}

/// The same, its colours still from 0 to 1.
std::optional<ImageValue> coloured(BuiltinCall &call) {
  auto image = cropped(call);
  auto isNormalize = [](Attribute stage) {
    return cast<nn::StageAttr>(stage).getTransform() == nn::Transform::Normalize;
  };
  if (!image || llvm::none_of(image->stages, isNormalize))
    return image;
  call.report(Code::BadPipeline, call.range,
              "'" + llvm::Twine(call.builtin.name) +
                  "' follows 'standardize', but takes colours from 0 to 1")
      .help("standardize last; the recipes of std.augment end with it");
  return std::nullopt;
}

std::optional<double> probability(BuiltinCall &call, double fallback) {
  return call.numberIn("p", fallback, 0.0, 1.0);
}

/// [lo, hi] with least <= lo <= hi.
std::optional<llvm::SmallVector<double>> interval(BuiltinCall &call, llvm::StringRef name,
                                                  llvm::ArrayRef<double> fallback, double least) {
  auto ends = call.numbers(name, 2, fallback);
  if (!ends || ((*ends)[0] <= (*ends)[1] && (*ends)[0] >= least))
    return ends;
  call.fail(Code::BadValue, call.rangeOf(name),
            "'" + name + "' of '" + call.builtin.name + "' is [" + numberText((*ends)[0]) + ", " +
                numberText((*ends)[1]) + "], but must be [lo, hi] with " + numberText(least) +
                " <= lo <= hi");
  return std::nullopt;
}

Value runRandomResizedCrop(BuiltinCall &call) {
  auto image = uncropped(call);
  auto size = call.count("size");
  auto scale = interval(call, "scale", {0.08, 1.0}, 1e-6);
  auto ratio = interval(call, "ratio", {0.75, 4.0 / 3.0}, 1e-6);
  auto interpolation = call.text("interpolation", "bilinear", {"bilinear", "bicubic"});
  if (!image || !size || !scale || !ratio || !interpolation)
    return Value::error();
  if ((*scale)[1] > 1)
    return call.fail(Code::BadValue, call.rangeOf("scale"),
                     "'scale' is up to " + numberText((*scale)[1]) +
                         ", but a part of a picture has at most its whole area, 1");
  image->size = *size;
  return Stage(call)
      .integer("size", *size)
      .numbers("scale", *scale)
      .numbers("ratio", *ratio)
      .text("interpolation", *interpolation)
      .appendTo(std::move(*image), nn::Transform::RandomResizedCrop);
}

Value runCenterCrop(BuiltinCall &call) {
  auto image = uncropped(call);
  auto size = call.count("size");
  if (!image || !size)
    return Value::error();
  auto resize = call.count("resize", *size);
  if (!resize)
    return Value::error();
  if (*resize < *size)
    return call.fail(Code::BadValue, call.rangeOf("resize"),
                     "'resize' is " + llvm::Twine(*resize) + ", smaller than the crop of " +
                         llvm::Twine(*size));
  image->size = *size;
  return Stage(call)
      .integer("size", *size)
      .integer("resize", *resize)
      .appendTo(std::move(*image), nn::Transform::CenterCrop);
}

Value runHorizontalFlip(BuiltinCall &call) {
  auto image = cropped(call);
  auto p = probability(call, 0.5);
  if (!image || !p)
    return Value::error();
  if (*p == 0)
    return Value::image(std::move(*image));
  return Stage(call).number("p", *p).appendTo(std::move(*image), nn::Transform::HorizontalFlip);
}

Value runColorJitter(BuiltinCall &call) {
  auto image = coloured(call);
  auto brightness = call.numberIn("brightness", 0.0, 0.0, HUGE_VAL);
  auto contrast = call.numberIn("contrast", 0.0, 0.0, HUGE_VAL);
  auto saturation = call.numberIn("saturation", 0.0, 0.0, HUGE_VAL);
  auto hue = call.numberIn("hue", 0.0, 0.0, 0.5);
  auto p = probability(call, 1.0);
  auto order = call.text("order", "random", {"random", "fixed"});
  auto by = call.text("brightness_by", "factor", {"factor", "offset"});
  if (!image || !brightness || !contrast || !saturation || !hue || !p || !order || !by)
    return Value::error();
  if (*p == 0 || (*brightness == 0 && *contrast == 0 && *saturation == 0 && *hue == 0))
    return Value::image(std::move(*image));
  return Stage(call)
      .number("brightness", *brightness)
      .number("contrast", *contrast)
      .number("saturation", *saturation)
      .number("hue", *hue)
      .number("p", *p)
      .text("order", *order)
      .text("brightness_by", *by)
      .appendTo(std::move(*image), nn::Transform::ColorJitter);
}

Value runGrayscale(BuiltinCall &call) {
  auto image = coloured(call);
  auto p = probability(call, 0.2);
  if (!image || !p)
    return Value::error();
  if (*p == 0)
    return Value::image(std::move(*image));
  return Stage(call).number("p", *p).appendTo(std::move(*image), nn::Transform::Grayscale);
}

Value runGaussianBlur(BuiltinCall &call) {
  auto image = cropped(call);
  auto sigma = interval(call, "sigma", {0.1, 2.0}, 1e-3);
  auto p = probability(call, 0.5);
  auto kernel = call.count("kernel", 0, 0);
  if (!image || !sigma || !p || !kernel)
    return Value::error();
  if (*p == 0)
    return Value::image(std::move(*image));
  // As a double: a deviation may be of any size before this limit.
  double widest = std::min(2 * std::ceil(3 * (*sigma)[1]) + 1, double(maxCount));
  int64_t taps = *kernel ? *kernel : static_cast<int64_t>(widest);
  if (taps % 2 == 0)
    return call.fail(Code::BadValue, call.rangeOf("kernel"),
                     "'kernel' of 'gaussian_blur' is " + llvm::Twine(taps) + ", but must be odd");
  if (taps / 2 >= image->size) {
    call.report(Code::BadValue, call.range,
                "a blur of " + llvm::Twine(taps) + " taps is too wide for a view of " +
                    llvm::Twine(image->size) + " pixels")
        .help("give a kernel of at most " + llvm::Twine(2 * image->size - 1) +
              " taps, or a probability of 0");
    return Value::error();
  }
  return Stage(call)
      .numbers("sigma", *sigma)
      .integer("kernel", taps)
      .number("p", *p)
      .appendTo(std::move(*image), nn::Transform::GaussianBlur);
}

Value runSolarize(BuiltinCall &call) {
  auto image = coloured(call);
  auto p = probability(call, 0.2);
  auto threshold = call.numberIn("threshold", 0.5, 0.0, 1.0);
  if (!image || !p || !threshold)
    return Value::error();
  if (*p == 0)
    return Value::image(std::move(*image));
  return Stage(call)
      .number("threshold", *threshold)
      .number("p", *p)
      .appendTo(std::move(*image), nn::Transform::Solarize);
}

Value runRotation(BuiltinCall &call) {
  auto image = cropped(call);
  auto degrees = call.numberIn("degrees", {}, 0.0, 180.0);
  auto p = probability(call, 1.0);
  if (!image || !degrees || !p)
    return Value::error();
  if (*p == 0 || *degrees == 0)
    return Value::image(std::move(*image));
  return Stage(call)
      .number("degrees", *degrees)
      .number("p", *p)
      .appendTo(std::move(*image), nn::Transform::Rotation);
}

Value runStandardize(BuiltinCall &call) {
  auto image = coloured(call);
  auto mean = call.numbers("mean", 3);
  auto std = call.numbers("std", 3);
  if (!image || !mean || !std)
    return Value::error();
  for (double deviation : *std)
    if (!(deviation > 0))
      return call.fail(Code::BadValue, call.rangeOf("std"),
                       "a standard deviation is " + numberText(deviation) +
                           ", but must be greater than 0");
  return Stage(call)
      .numbers("mean", *mean)
      .numbers("std", *std)
      .appendTo(std::move(*image), nn::Transform::Normalize);
}

} // namespace

llvm::ArrayRef<Builtin> augmentBuiltins() {
  static const Builtin builtins[] = {
      {"random_resized_crop", "image, size, scale?, ratio?, interpolation?", runRandomResizedCrop},
      {"center_crop", "image, size, resize?", runCenterCrop},
      {"horizontal_flip", "image, p?", runHorizontalFlip},
      {"color_jitter",
       "image, brightness?, contrast?, saturation?, hue?, p?, order?, brightness_by?",
       runColorJitter},
      {"grayscale", "image, p?", runGrayscale},
      {"gaussian_blur", "image, sigma?, p?, kernel?", runGaussianBlur},
      {"solarize", "image, p?, threshold?", runSolarize},
      {"rotation", "image, degrees, p?", runRotation},
      {"standardize", "image, mean, std", runStandardize},
  };
  return builtins;
}

} // namespace doppel::spec
