// Types, shapes, values and what a context holds; see TensorEmitter.h. Operators are in
// EmitOperators.cpp.
#include "frontends/spec/TensorEmitter.h"

#include <cmath>
#include <limits>

namespace doppel::spec {

using namespace mlir;

constexpr size_t maxOperations = 100'000;
constexpr int64_t maxElements = int64_t(1) << 40;
constexpr int64_t maxStream = int64_t(1) << 24;

//===- Limits ---------------------------------------------------------------------------------===//

void TensorEmitter::countOperations(SourceRange range, size_t count) {
  if (!tooLarge.empty() && !trace.hasGivenUp()) {
    report(Code::TooLarge, range, "a tensor " + tooLarge + " has more than 2^40 elements");
    trace.giveUp();
  }
  operations += count;
  if (operations <= maxOperations || trace.hasGivenUp())
    return;
  report(Code::TooLarge, range, "the method unrolls to more than 100,000 operations");
  trace.giveUp();
}

int64_t TensorEmitter::nextStream(SourceRange range) {
  current->drewRandom = true;
  if (streams + 1 >= maxStream && !trace.hasGivenUp()) {
    report(Code::TooLarge, range, "the spec draws random numbers at more than 16 million places");
    trace.giveUp();
  }
  return trace.hasGivenUp() ? 0 : streams++;
}

//===- Types and shapes -----------------------------------------------------------------------===//

RankedTensorType TensorEmitter::tensorType(llvm::ArrayRef<int64_t> shape, Type element) {
  int64_t count = 1;
  for (int64_t size : shape) {
    bool fits = size <= 0 || count <= maxElements / size;
    if (!fits && tooLarge.empty())
      tooLarge = shapeText(shape);
    count = fits ? count * size : maxElements;
  }
  return RankedTensorType::get(shape, element);
}

RankedTensorType TensorEmitter::f32(llvm::ArrayRef<int64_t> shape) {
  return tensorType(shape, builder.getF32Type());
}

bool TensorEmitter::fitsElement(SourceRange range, double value, Type element) {
  bool fits =
      element.isInteger()
          ? element.isInteger(1) || std::abs(value) < std::exp2(element.getIntOrFloatBitWidth() - 1)
          : !(std::abs(value) > std::numeric_limits<float>::max());
  if (!fits)
    report(Code::BadValue, range,
           numberText(value) + " does not fit in " + (element.isInteger() ? "i32" : "f32"));
  return fits;
}

mlir::Value TensorEmitter::constant(SourceRange range, RankedTensorType type, double value) {
  bool fits = fitsElement(range, value, type.getElementType());
  return make<nn::ConstantOp>(range, type, fits ? value : 0.0);
}

mlir::Value TensorEmitter::convert(SourceRange range, mlir::Value value, Type element) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getElementType() == element)
    return value;
  return make<nn::ConvertOp>(range, tensorType(type.getShape(), element), value);
}

mlir::Value TensorEmitter::reshape(SourceRange range, mlir::Value value,
                                   llvm::ArrayRef<int64_t> shape) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getShape() == shape)
    return value;
  return make<nn::ReshapeOp>(range, tensorType(shape, type.getElementType()), value);
}

mlir::Value TensorEmitter::broadcastTo(SourceRange range, mlir::Value value,
                                       llvm::ArrayRef<int64_t> shape) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getShape() == shape)
    return value;
  // Axes that stretch are dropped first, since nn.broadcast only adds axes.
  size_t lead = shape.size() - type.getRank();
  llvm::SmallVector<int64_t> kept, dims;
  for (auto [axis, size] : llvm::enumerate(type.getShape())) {
    if (size == 1 && shape[lead + axis] != 1)
      continue;
    kept.push_back(size);
    dims.push_back(lead + axis);
  }
  mlir::Value narrow = reshape(range, value, kept);
  auto result = tensorType(shape, type.getElementType());
  return make<nn::BroadcastOp>(range, result, narrow, builder.getDenseI64ArrayAttr(dims));
}

std::optional<llvm::SmallVector<int64_t>>
TensorEmitter::broadcastShapes(llvm::ArrayRef<int64_t> left, llvm::ArrayRef<int64_t> right,
                               llvm::StringRef leftName, llvm::StringRef rightName,
                               SourceRange range) {
  size_t rank = std::max(left.size(), right.size());
  llvm::SmallVector<int64_t> result(rank);
  for (size_t i = 0; i < rank; ++i) {
    int64_t a = i < left.size() ? left[left.size() - 1 - i] : 1;
    int64_t b = i < right.size() ? right[right.size() - 1 - i] : 1;
    if (a != b && a != 1 && b != 1) {
      std::string which = left.size() == right.size()
                              ? "axis " + std::to_string(rank - 1 - i) + " differs"
                              : "counted from the last, axis " + std::to_string(i) + " differs";
      Diagnostic &error = report(Code::CannotBroadcast, range,
                                 leftName + " is " + shapeText(left) + ", " + rightName + " is " +
                                     shapeText(right) + ": " + which + " (" + llvm::Twine(a) +
                                     " and " + llvm::Twine(b) + ")");
      if (left.size() == right.size() + 1 && left[0] == right[0])
        error.help("keep the reduced axis as 1: keep: true");
      return std::nullopt;
    }
    result[rank - 1 - i] = a == 1 ? b : a;
  }
  return result;
}

bool TensorEmitter::fills(const Value &value, RankedTensorType type) {
  bool isBool =
      value.isTensor() ? value.tensorType().getElementType().isInteger(1) : value.isBool();
  bool isFraction = value.isNumber() && !value.isInt();
  return (value.isTensor() || value.isNumber() || value.isBool()) &&
         isBool == type.getElementType().isInteger(1) &&
         !(isFraction && type.getElementType().isInteger());
}

mlir::Value TensorEmitter::materialize(SourceRange range, const Value &value,
                                       llvm::ArrayRef<int64_t> shape, Type element) {
  if (value.isTensor())
    return broadcastTo(range, convert(range, value.asTensor(), element), shape);
  double number = value.isBool() ? value.asBool() : value.asDouble();
  return constant(range, tensorType(shape, element), number);
}

Type TensorEmitter::commonElement(const Value &left, const Value &right) {
  auto rank = [](const Value &value) {
    if (value.isBool())
      return 0;
    if (value.isInt())
      return 1;
    if (!value.isTensor())
      return 2;
    Type element = value.tensorType().getElementType();
    return element.isInteger(1) ? 0 : element.isInteger() ? 1 : 2;
  };
  switch (std::max(rank(left), rank(right))) {
  case 0:
    return builder.getI1Type();
  case 1:
    return builder.getI32Type();
  default:
    return builder.getF32Type();
  }
}

bool TensorEmitter::unify(const Value &left, const Value &right, SourceRange leftRange,
                          SourceRange rightRange, SourceRange range, mlir::Value &leftTensor,
                          mlir::Value &rightTensor) {
  Type element = commonElement(left, right);
  llvm::SmallVector<int64_t> shape;
  if (left.isTensor() && right.isTensor()) {
    auto common = broadcastShapes(left.shape(), right.shape(), label(leftRange, "the left"),
                                  label(rightRange, "the right"), range);
    if (!common)
      return false;
    shape = std::move(*common);
  } else {
    shape = llvm::to_vector((left.isTensor() ? left : right).shape());
  }
  leftTensor = materialize(leftRange, left, shape, element);
  rightTensor = materialize(rightRange, right, shape, element);
  return true;
}

//===- Operations -----------------------------------------------------------------------------===//

mlir::Value TensorEmitter::reduce(SourceRange range, nn::ReduceKind kind, mlir::Value value,
                                  llvm::ArrayRef<int64_t> dims, bool keep) {
  auto type = cast<RankedTensorType>(value.getType());
  llvm::SmallVector<int64_t> sorted(dims), reduced, kept;
  llvm::sort(sorted);
  for (auto [axis, size] : llvm::enumerate(type.getShape())) {
    bool gone = llvm::is_contained(sorted, static_cast<int64_t>(axis));
    if (!gone)
      reduced.push_back(size);
    kept.push_back(gone ? 1 : size);
  }
  if (!sorted.empty())
    value = make<nn::ReduceOp>(range, tensorType(reduced, type.getElementType()), kind, value,
                               builder.getDenseI64ArrayAttr(sorted));
  return keep ? reshape(range, value, kept) : value;
}

mlir::Value TensorEmitter::slice(SourceRange range, mlir::Value value,
                                 llvm::ArrayRef<int64_t> offsets, llvm::ArrayRef<int64_t> sizes) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getShape() == sizes)
    return value;
  llvm::SmallVector<int64_t> strides(sizes.size(), 1);
  return make<nn::SliceOp>(range, tensorType(sizes, type.getElementType()), value,
                           builder.getDenseI64ArrayAttr(offsets),
                           builder.getDenseI64ArrayAttr(strides));
}

mlir::Value TensorEmitter::concat(SourceRange range, llvm::ArrayRef<mlir::Value> values,
                                  int64_t axis) {
  if (values.size() == 1)
    return values[0];
  auto type = cast<RankedTensorType>(values[0].getType());
  llvm::SmallVector<int64_t> shape(type.getShape());
  shape[axis] = 0;
  for (mlir::Value value : values)
    shape[axis] += cast<RankedTensorType>(value.getType()).getDimSize(axis);
  return make<nn::ConcatOp>(range, tensorType(shape, type.getElementType()), ValueRange(values),
                            builder.getI64IntegerAttr(axis));
}

mlir::Value TensorEmitter::transpose(SourceRange range, mlir::Value value,
                                     llvm::ArrayRef<int64_t> permutation) {
  auto type = cast<RankedTensorType>(value.getType());
  llvm::SmallVector<int64_t> shape;
  for (int64_t axis : permutation)
    shape.push_back(type.getDimSize(axis));
  return make<nn::TransposeOp>(range, tensorType(shape, type.getElementType()), value,
                               builder.getDenseI64ArrayAttr(permutation));
}

mlir::Value TensorEmitter::newValue(SourceRange at, llvm::StringRef name, const Value &value,
                                    RankedTensorType type, SourceRange declared) {
  // An initial value may be written as f32, zeros() is; a new value would lose its fractions.
  bool loses = value.isTensor() && type.getElementType().isInteger() &&
               !value.tensorType().getElementType().isInteger();
  if (loses || !fills(value, type)) {
    report(Code::WrongType, at,
           "the new value of '" + name + "' is " + typeName(value) + ", not " + typeName(type))
        .note(declared, "declared here");
    return nullptr;
  }
  if (value.isTensor() && value.shape() != type.getShape()) {
    report(Code::ShapesDiffer, at,
           "'" + name + "' is " + typeName(type) + ", its new value is " + typeName(value))
        .note(declared, "declared here");
    return nullptr;
  }
  return materialize(at, value, type.getShape(), type.getElementType());
}

mlir::Value TensorEmitter::choose(SourceRange range, mlir::Value condition, mlir::Value value,
                                  mlir::Value otherwise) {
  mlir::Value everywhere =
      broadcastTo(range, condition, cast<RankedTensorType>(value.getType()).getShape());
  return make<nn::SelectOp>(range, value.getType(), everywhere, value, otherwise);
}

mlir::Value TensorEmitter::scalar(const Value &value, SourceRange range, llvm::StringRef what) {
  if (value.isError())
    return nullptr;
  if (value.isNumber())
    return constant(range, f32({}), value.asDouble());
  if (value.isTensor() && value.shape().empty())
    return convert(range, value.asTensor(), builder.getF32Type());
  Diagnostic &error = report(Code::NotScalar, range,
                             what + " is " + typeName(value) + ", but must be a scalar, f32[]");
  if (value.isTensor())
    error.help("reduce it: mean(" + label(range, "x") + ")");
  return nullptr;
}

mlir::Value TensorEmitter::readState(llvm::StringRef path, RankedTensorType type,
                                     SourceRange range) {
  mlir::Value &read = current->reads[path];
  if (!read)
    read = make<nn::ReadOp>(range, type, path);
  return read;
}

Value TensorEmitter::runScalar(llvm::StringRef name, SourceRange range) {
  static constexpr llvm::StringRef names[] = {"step",    "steps_per_epoch", "epochs",
                                              "samples", "epoch",           "total_steps"};
  if (!llvm::is_contained(names, name))
    return Value();
  if (current->kind == ContextKind::Initial || current->kind == ContextKind::Represent)
    return fail(Code::NotAvailableHere, range,
                "'" + name + "' is a value of the running training, which " +
                    (current->kind == ContextKind::Initial ? "an initial value" : "'represent'") +
                    " cannot use");
  auto read = [&](nn::RunValue which) {
    mlir::Value &value = current->runScalars[static_cast<size_t>(which)];
    if (!value)
      value = make<nn::RunScalarOp>(range, f32({}), which);
    return value;
  };
  if (name == "step")
    return Value::tensor(read(nn::RunValue::Step));
  if (name == "steps_per_epoch")
    return Value::tensor(read(nn::RunValue::StepsPerEpoch));
  if (name == "epochs")
    return Value::tensor(read(nn::RunValue::Epochs));
  if (name == "samples")
    return Value::tensor(read(nn::RunValue::Samples));
  mlir::Value perEpoch = read(nn::RunValue::StepsPerEpoch);
  if (name == "total_steps") {
    mlir::Value epochs = read(nn::RunValue::Epochs);
    return Value::tensor(make<nn::MulOp>(range, f32({}), epochs, perEpoch));
  }
  mlir::Value step = read(nn::RunValue::Step);
  mlir::Value quotient = make<nn::DivOp>(range, f32({}), step, perEpoch);
  return Value::tensor(make<nn::FloorOp>(range, f32({}), quotient));
}

int64_t TensorEmitter::batch() const {
  return cast<nn::ImagesType>(current->images.getType()).getBatch();
}

mlir::Value TensorEmitter::materializeImage(const ImageValue &image, SourceRange range) {
  if (image.size == 0) {
    Diagnostic &error =
        report(Code::NoFixedSize, range, "the picture has no fixed size, so it cannot be a tensor");
    error.help("crop it: random_resized_crop(image, 32) or center_crop(image, 32)");
    return nullptr;
  }
  if (image.stages.size() > 64) {
    report(Code::TooLarge, range,
           "the view has " + llvm::Twine(image.stages.size()) +
               " operations, at most 64 are possible");
    return nullptr;
  }
  bool draws = llvm::any_of(image.stages, [](Attribute stage) {
    nn::Transform transform = cast<nn::StageAttr>(stage).getTransform();
    return transform != nn::Transform::CenterCrop && transform != nn::Transform::Normalize &&
           transform != nn::Transform::Grayscale && transform != nn::Transform::GaussianBlur;
  });
  if (draws && current->kind == ContextKind::Represent) {
    report(Code::BadPipeline, range, "'represent' sees a picture that is drawn at random")
        .help("evaluation takes the middle: augment.center(image, size: " +
              llvm::Twine(image.size) + ")");
    return nullptr;
  }
  auto type = f32({batch(), image.size, image.size, 3});
  return make<nn::AugmentOp>(range, type, current->images, builder.getArrayAttr(image.stages),
                             builder.getI64IntegerAttr(nextStream(range)));
}

} // namespace doppel::spec
