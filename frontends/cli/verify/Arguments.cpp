// Seeded arguments and the printed form of results.
#include "frontends/cli/verify/Verify.h"

#include "dialects/nn/NnDialect.h"
#include "llvm/Support/Format.h"

#include <cmath>

using namespace mlir;

namespace doppel::verify {

using reference::Tensor;

/// Draws of the arguments come from a stream that no operation has: draw number 255 is beyond all
/// that an operation uses.
static constexpr uint32_t argumentDraw = 255;

static double uniform(uint64_t seed, uint32_t number, uint64_t i) {
  return abi::uniform(abi::philox(seed, i / 4, number, argumentDraw, 0)[i % 4]);
}

FailureOr<reference::Value> ArgumentSource::draw(Location location, Type type,
                                                 DictionaryAttr attributes, unsigned number) {
  if (auto batch = dyn_cast<nn::ImagesType>(type)) {
    auto given = attributes ? attributes.getAs<DenseIntElementsAttr>("nn.value") : nullptr;
    int64_t first = 0;
    if (auto number = attributes ? attributes.getAs<IntegerAttr>("nn.first") : nullptr)
      first = number.getInt();
    auto numbered = [&](reference::Images images) {
      for (abi::ImageRef &image : images.refs)
        image.index += first;
      return reference::Value(std::move(images));
    };
    if (!given)
      return numbered(images(batch.getBatch()));
    ArrayRef<int64_t> shape = given.getType().getShape();
    if (shape.size() != 4 || shape[0] != batch.getBatch() || shape[3] != 3 ||
        !given.getElementType().isInteger(8))
      return emitError(location) << "nn.value is of type " << given.getType()
                                 << ", not [batch, height, width, 3] of bytes";
    return numbered(images(given));
  }
  auto tensorType = dyn_cast<RankedTensorType>(type);
  if (!tensorType || !tensorType.hasStaticShape())
    return emitError(location) << "cannot make an argument of type " << type;
  Attribute given = attributes ? attributes.get("nn.value") : nullptr;
  if (given) {
    auto elements = dyn_cast<ElementsAttr>(given);
    if (!elements || elements.getType() != type)
      return emitError(location) << "nn.value is " << given << ", not of type " << type;
    return reference::Value(reference::tensorOf(elements));
  }
  double low = -1, high = 1;
  if (auto range = attributes ? attributes.getAs<ArrayAttr>("nn.range") : nullptr) {
    if (range.size() != 2 || !llvm::all_of(range, llvm::IsaPred<FloatAttr>))
      return emitError(location) << "nn.range is " << range << ", not [low, high]";
    low = cast<FloatAttr>(range[0]).getValueAsDouble();
    high = cast<FloatAttr>(range[1]).getValueAsDouble();
  }
  bool isReplicated = attributes && attributes.contains("nn.replicated");
  uint64_t key = seed + (isReplicated ? 0 : static_cast<uint64_t>(rank) << 32);
  Tensor tensor(reference::shapeOf(type));
  Type element = tensorType.getElementType();
  for (int64_t i = 0; i < tensor.size(); ++i) {
    double value = low + uniform(key, number, static_cast<uint64_t>(i)) * (high - low);
    if (element.isInteger(1))
      tensor[i] = value >= 0;
    else if (isa<IntegerType>(element))
      tensor[i] = std::floor(value);
    else
      tensor[i] = element.isF32() ? static_cast<float>(value) : value;
  }
  return reference::Value(std::move(tensor));
}

FailureOr<std::vector<reference::Value>> ArgumentSource::argumentsOf(func::FuncOp function) {
  std::vector<reference::Value> arguments;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    auto value = draw(function.getArgument(i).getLoc(), function.getArgumentTypes()[i],
                      function.getArgAttrDict(i), i);
    if (failed(value))
      return failure();
    arguments.push_back(std::move(*value));
  }
  return arguments;
}

/// Gradients of colour with noise, between 17 and 64 pixels a side; the ranks have consecutive
/// samples.
reference::Images ArgumentSource::images(int64_t count) {
  reference::Images batch;
  for (int64_t n = 0; n < count; ++n) {
    int64_t index = rank * count + n;
    auto u = [&](uint64_t i) {
      return uniform(seed + static_cast<uint64_t>(index) * 977, 1u << 20, i);
    };
    auto height = static_cast<int32_t>(17 + u(0) * 48),
         width = static_cast<int32_t>(17 + u(1) * 48);
    uint64_t offset = batch.slab.size();
    for (int32_t y = 0; y < height; ++y)
      for (int32_t x = 0; x < width; ++x)
        for (int32_t c = 0; c < 3; ++c) {
          double smooth = 0.5 + 0.4 * std::sin(u(2 + c) * 6 + x * 0.11 * (c + 1) + y * 0.07);
          double noise = u(8 + batch.slab.size() - offset) - 0.5;
          batch.slab.push_back(
              static_cast<uint8_t>(255 * std::clamp(smooth + 0.2 * noise, 0.0, 1.0)));
        }
    batch.refs.push_back({offset, height, width, index});
  }
  batch.slab.resize(batch.slab.size() + abi::imagePadding);
  return batch;
}

/// As given; the ranks have consecutive samples of equal pixels.
reference::Images ArgumentSource::images(DenseIntElementsAttr given) {
  ArrayRef<int64_t> shape = given.getType().getShape();
  reference::Images batch;
  for (const APInt &byte : given.getValues<APInt>())
    batch.slab.push_back(static_cast<uint8_t>(byte.getZExtValue()));
  batch.slab.resize(batch.slab.size() + abi::imagePadding);
  for (int64_t n = 0; n < shape[0]; ++n)
    batch.refs.push_back({static_cast<uint64_t>(n * shape[1] * shape[2] * shape[3]),
                          static_cast<int32_t>(shape[1]), static_cast<int32_t>(shape[2]),
                          rank * shape[0] + n});
  return batch;
}

LogicalResult initialiseStates(reference::Interpreter &interpreter, ArgumentSource &source) {
  ModuleOp module = interpreter.getModule();
  unsigned number = 1000; // beyond the arguments of any function
  for (auto state : module.getOps<nn::StateOp>()) {
    ++number;
    if (!state->hasAttr("nn.value") && !state->hasAttr("nn.range"))
      continue;
    auto value =
        source.draw(state.getLoc(), state.getType(), state->getDiscardableAttrDictionary(), number);
    if (failed(value))
      return failure();
    interpreter.states[state.getSymName().str()] = std::get<Tensor>(*value);
  }
  auto init = module.lookupSymbol<func::FuncOp>("init");
  if (!init)
    return success();
  int64_t step = std::exchange(interpreter.run.step, 0);
  auto done = interpreter.call(init, {});
  interpreter.run.step = step;
  return success(succeeded(done));
}

std::string resultName(func::FuncOp function, unsigned result) {
  if (auto name = function.getResultAttrOfType<StringAttr>(result, "nn.name"))
    return name.str();
  return "result " + std::to_string(result);
}

void print(llvm::raw_ostream &os, StringRef name, const Tensor &tensor) {
  os << name << " [";
  llvm::interleaveComma(tensor.shape, os);
  os << "] =";
  // A zero has no sign here: which one it has depends on the order of a sum.
  auto number = [](double x) { return llvm::format("%.6g", x == 0 ? 0.0 : x); };
  bool isShort = tensor.size() <= 16;
  for (int64_t i = 0; i < (isShort ? tensor.size() : 8); ++i)
    os << ' ' << number(tensor[i]);
  if (!isShort) {
    double sum = 0, squares = 0;
    for (double value : tensor.values)
      sum += value, squares += value * value;
    os << " ... sum " << number(sum) << " norm " << number(std::sqrt(squares));
  }
  os << '\n';
}

} // namespace doppel::verify
