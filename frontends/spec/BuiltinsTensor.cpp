// Built-ins on whole tensors: reductions, shapes, convolutions, tables and constants.
#include "frontends/spec/Builtins.h"

#include <array>
#include <cmath>

namespace doppel::spec {

using namespace mlir;

namespace {

//===- Reductions -----------------------------------------------------------------------------===//

enum class Reduction { Sum, Mean, Max, Min };

/// The axes to reduce, from 0, each once; all if none are given.
std::optional<llvm::SmallVector<int64_t>> reducedAxes(BuiltinCall &call, int64_t rank) {
  llvm::SmallVector<int64_t> axes;
  if (!call.has("axis")) {
    for (int64_t axis = 0; axis < rank; ++axis)
      axes.push_back(axis);
    return axes;
  }
  auto given = call.integers("axis");
  if (!given)
    return std::nullopt;
  for (int64_t axis : *given) {
    auto normal = call.axis(axis, rank, call.rangeOf("axis"));
    if (!normal)
      return std::nullopt;
    if (llvm::is_contained(axes, *normal)) {
      call.fail(Code::BadAxis, call.rangeOf("axis"),
                "axis " + llvm::Twine(axis) + " is given twice");
      return std::nullopt;
    }
    axes.push_back(*normal);
  }
  return axes;
}

Value reduceTensor(BuiltinCall &call, Reduction reduction, mlir::Value x,
                   llvm::ArrayRef<int64_t> axes, bool keep) {
  TensorEmitter &e = call.emit;
  auto type = cast<RankedTensorType>(x.getType());
  if (reduction == Reduction::Mean || type.getElementType().isInteger(1))
    x = e.convert(call.range, x, e.builder.getF32Type());
  int64_t count = 1;
  for (int64_t axis : axes)
    count *= type.getDimSize(axis);
  nn::ReduceKind kind = reduction == Reduction::Max   ? nn::ReduceKind::Max
                        : reduction == Reduction::Min ? nn::ReduceKind::Min
                                                      : nn::ReduceKind::Sum;
  mlir::Value result = e.reduce(call.range, kind, x, axes, keep);
  if (reduction == Reduction::Mean && count > 1) {
    auto resultType = cast<RankedTensorType>(result.getType());
    mlir::Value divisor = e.constant(call.range, resultType, static_cast<double>(count));
    result = e.make<nn::DivOp>(call.range, resultType, result, divisor);
  }
  return Value::tensor(result);
}

/// Over a list: numbers give a number, tensors are combined element by element.
Value reduceList(BuiltinCall &call, Reduction reduction, llvm::ArrayRef<Value> list) {
  if (list.empty())
    return reduction == Reduction::Sum
               ? Value::integer(0)
               : call.fail(Code::BadValue, call.range,
                           "'" + llvm::Twine(call.builtin.name) + "' of an empty list");
  for (const Value &element : list)
    if (!element.isNumber() && !element.isTensor())
      return call.fail(Code::WrongType, call.rangeOf("x"),
                       "the list holds a " + typeName(element) + ", not numbers or tensors");
  call.trace.count(call.range, list.size());
  TensorEmitter &e = call.emit;
  Value result = list[0];
  for (const Value &element : list.drop_front()) {
    if (reduction == Reduction::Sum || reduction == Reduction::Mean) {
      result = call.evaluator.binary(BinaryOp::Add, result, element, {}, {}, call.range);
    } else if (result.isNumber() && element.isNumber()) {
      bool takes = reduction == Reduction::Max ? element.asDouble() > result.asDouble()
                                               : element.asDouble() < result.asDouble();
      result = takes ? element : result;
    } else {
      mlir::Value a, b;
      if (!e.unify(result, element, {}, {}, call.range, a, b))
        return Value::error();
      if (cast<RankedTensorType>(a.getType()).getElementType().isInteger(1))
        return call.fail(Code::WrongType, call.rangeOf("x"),
                         "the list holds bools; join them with 'and' or 'or'");
      result = Value::tensor(reduction == Reduction::Max
                                 ? e.make<nn::MaxOp>(call.range, a.getType(), a, b).getResult()
                                 : e.make<nn::MinOp>(call.range, a.getType(), a, b).getResult());
    }
    if (result.isError())
      return result;
  }
  if (reduction == Reduction::Mean && list.size() > 1)
    return call.evaluator.binary(BinaryOp::Divide, result, Value::integer(list.size()), {}, {},
                                 call.range);
  return result;
}

Value reduce(BuiltinCall &call, Reduction reduction) {
  const Value &x = call.value("x");
  if (x.isSequence()) {
    if (call.has("axis") || call.has("keep"))
      return call.fail(Code::BadAxis, call.range,
                       "a list has no axes; 'axis' and 'keep' are for tensors");
    return reduceList(call, reduction, x.elements());
  }
  if (x.isNumber()) {
    if (call.has("axis") || call.has("keep"))
      return call.fail(Code::BadAxis, call.range,
                       "a number has no axes; for two there are maximum(a, b) and minimum(a, b)");
    return x;
  }
  std::optional<bool> keep = call.flag("keep", false);
  if (!x.isTensor())
    return call.wrongType("x", "a tensor or a list");
  auto axes = reducedAxes(call, x.shape().size());
  return axes && keep ? reduceTensor(call, reduction, x.asTensor(), *axes, *keep) : Value::error();
}

Value runSum(BuiltinCall &c) { return reduce(c, Reduction::Sum); }
Value runMean(BuiltinCall &c) { return reduce(c, Reduction::Mean); }
Value runMax(BuiltinCall &c) { return reduce(c, Reduction::Max); }
Value runMin(BuiltinCall &c) { return reduce(c, Reduction::Min); }

Value runVariance(BuiltinCall &call) {
  auto x = call.tensor("x");
  std::optional<bool> keep = call.flag("keep", false);
  if (!x || !keep)
    return Value::error();
  auto axes = reducedAxes(call, call.value("x").shape().size());
  if (!axes)
    return Value::error();
  TensorEmitter &e = call.emit;
  mlir::Value values = e.convert(call.range, *x, e.builder.getF32Type());
  Value center = reduceTensor(call, Reduction::Mean, values, *axes, /*keep=*/true);
  mlir::Value wide = e.broadcastTo(call.range, center.asTensor(), call.value("x").shape());
  mlir::Value deviation = e.make<nn::SubOp>(call.range, values.getType(), values, wide);
  mlir::Value square = e.make<nn::MulOp>(call.range, values.getType(), deviation, deviation);
  return reduceTensor(call, Reduction::Mean, square, *axes, *keep);
}

//===- Shapes ---------------------------------------------------------------------------------===//

Value join(BuiltinCall &call, bool stacks) {
  TensorEmitter &e = call.emit;
  llvm::SmallVector<EvaluatedArgument> parts;
  for (const EvaluatedArgument &argument : call.rest()) {
    if (!argument.value.isSequence()) {
      parts.push_back(argument);
      continue;
    }
    call.trace.count(argument.range, argument.value.elements().size());
    for (const Value &element : argument.value.elements())
      parts.push_back({{}, element, argument.range});
  }
  if (parts.empty())
    return call.fail(Code::WrongArgumentCount, call.range,
                     "'" + llvm::Twine(call.builtin.name) + "' needs at least one tensor");
  auto given = call.integer("axis", 0);
  if (!given)
    return Value::error();
  for (const EvaluatedArgument &part : parts)
    if (!part.value.isTensor())
      return call.fail(Code::WrongType, part.range,
                       "'" + llvm::Twine(call.builtin.name) + "' joins tensors, but " +
                           call.label(part.range, "this") + " is " + typeName(part.value));
  llvm::ArrayRef<int64_t> first = parts[0].value.shape();
  if (first.empty() && !stacks)
    return call.fail(Code::WrongRank, parts[0].range,
                     "a scalar has no axis to join along; stack(...) makes one");
  auto axis = call.axis(*given, first.size() + (stacks ? 1 : 0), call.rangeOf("axis"));
  if (!axis)
    return Value::error();
  Type element = parts[0].value.tensorType().getElementType();
  for (const EvaluatedArgument &part : parts) {
    llvm::ArrayRef<int64_t> shape = part.value.shape();
    std::string both = call.label(parts[0].range, "the first") + " is " + shapeText(first) + ", " +
                       call.label(part.range, "another") + " is " + shapeText(shape);
    if (shape.size() != first.size())
      return call.fail(Code::WrongRank, part.range, both + ": the ranks differ");
    for (size_t i = 0; i < shape.size(); ++i)
      if (shape[i] != first[i] && (stacks || static_cast<int64_t>(i) != *axis))
        return call.fail(Code::ShapesDiffer, part.range,
                         both + ": axis " + llvm::Twine(i) + " differs");
    if (part.value.tensorType().getElementType() != element)
      element = e.builder.getF32Type();
  }
  llvm::SmallVector<mlir::Value> values;
  for (const EvaluatedArgument &part : parts) {
    mlir::Value value = e.convert(part.range, part.value.asTensor(), element);
    if (stacks) {
      llvm::SmallVector<int64_t> shape(part.value.shape());
      shape.insert(shape.begin() + *axis, 1);
      value = e.reshape(part.range, value, shape);
    }
    values.push_back(value);
  }
  return Value::tensor(e.concat(call.range, values, *axis));
}
Value runConcat(BuiltinCall &c) { return join(c, /*stacks=*/false); }
Value runStack(BuiltinCall &c) { return join(c, /*stacks=*/true); }

Value runTranspose(BuiltinCall &call) {
  auto x = call.tensor("x");
  if (!x)
    return Value::error();
  auto rank = static_cast<int64_t>(call.value("x").shape().size());
  llvm::SmallVector<int64_t> order;
  if (!call.has("order")) {
    if (rank < 2)
      return call.fail(Code::WrongRank, call.range,
                       call.label("x") + " is " + typeName(call.value("x")) +
                           ", but transpose exchanges the last two axes");
    for (int64_t axis = 0; axis < rank; ++axis)
      order.push_back(axis);
    std::swap(order[rank - 1], order[rank - 2]);
  } else {
    auto given = call.integers("order");
    if (!given)
      return Value::error();
    for (int64_t axis : *given) {
      auto normal = call.axis(axis, rank, call.rangeOf("order"));
      if (!normal)
        return Value::error();
      if (llvm::is_contained(order, *normal))
        return call.fail(Code::BadAxis, call.rangeOf("order"),
                         "axis " + llvm::Twine(axis) + " is given twice");
      order.push_back(*normal);
    }
    if (static_cast<int64_t>(order.size()) != rank)
      return call.fail(Code::BadAxis, call.rangeOf("order"),
                       llvm::Twine(order.size()) + " axes are given, but the tensor has " +
                           llvm::Twine(rank));
  }
  return Value::tensor(call.emit.transpose(call.range, *x, order));
}

Value runReshape(BuiltinCall &call) {
  auto x = call.tensor("x");
  auto sizes = call.integers("shape");
  if (!x || !sizes)
    return Value::error();
  int64_t count = call.value("x").tensorType().getNumElements(), known = 1;
  int64_t *open = nullptr;
  for (int64_t &size : *sizes) {
    if (size == -1 && !open) {
      open = &size;
      continue;
    }
    if (size < 1 || __builtin_mul_overflow(known, size, &known))
      return call.fail(Code::BadSize, call.rangeOf("shape"),
                       "the shape is " + shapeText(*sizes) +
                           ", but sizes are at least 1, and one may be -1");
  }
  std::string text = shapeText(*sizes);
  if (open && count % known == 0)
    *open = count / known;
  if (open ? count % known != 0 : known != count)
    return call.fail(Code::CannotReshape, call.range,
                     call.label("x") + " is " + shapeText(call.value("x").shape()) + " with " +
                         llvm::Twine(count) + " elements, which do not fill " + text +
                         (open ? "" : " with " + std::to_string(known)));
  return Value::tensor(call.emit.reshape(call.range, *x, *sizes));
}

Value runBroadcast(BuiltinCall &call) {
  const Value &x = call.value("x");
  auto shape = call.shape("shape");
  if (!shape)
    return Value::error();
  if (x.isNumber())
    return Value::tensor(
        call.emit.materialize(call.range, x, *shape, call.emit.builder.getF32Type()));
  if (!x.isTensor())
    return call.wrongType("x", "a number or a tensor");
  auto common =
      call.emit.broadcastShapes(x.shape(), *shape, call.label("x"), "the shape", call.range);
  if (!common)
    return Value::error();
  if (*common != *shape)
    return call.fail(Code::CannotBroadcast, call.range,
                     call.label("x") + " is " + shapeText(x.shape()) +
                         ", which does not broadcast to " + shapeText(*shape));
  return Value::tensor(call.emit.broadcastTo(call.range, x.asTensor(), *shape));
}

//===- Windows --------------------------------------------------------------------------------===//

/// One int for both axes, or [y, x].
std::optional<std::array<int64_t, 2>> pair(BuiltinCall &call, llvm::StringRef name,
                                           std::array<int64_t, 2> fallback, int64_t least) {
  if (!call.has(name))
    return fallback;
  auto given = call.integers(name);
  if (!given)
    return std::nullopt;
  if (given->size() == 1)
    given->push_back(given->front());
  constexpr int64_t most = 1 << 20;
  if (given->size() != 2 ||
      llvm::any_of(*given, [&](int64_t v) { return v < least || v > most; })) {
    call.fail(Code::BadSize, call.rangeOf(name),
              "'" + name + "' of '" + call.builtin.name + "' is " + shapeText(*given) +
                  ", but must be an int from " + llvm::Twine(least) + " to " + llvm::Twine(most) +
                  " or two, [y, x]");
    return std::nullopt;
  }
  return std::array<int64_t, 2>{(*given)[0], (*given)[1]};
}

struct Window {
  std::array<int64_t, 2> kernel, stride = {1, 1}, padding = {0, 0};
  int64_t height = 0, width = 0; ///< of the result
};

/// Fills in stride, padding and the size of the result. False after an error.
bool fitWindow(BuiltinCall &call, llvm::ArrayRef<int64_t> x, std::array<int64_t, 2> fallbackStride,
               Window &window) {
  auto stride = pair(call, "stride", fallbackStride, 1);
  auto padding = pair(call, "padding", {0, 0}, 0);
  if (!stride || !padding)
    return false;
  window.stride = *stride;
  window.padding = *padding;
  auto size = [&](int axis) {
    int64_t room = x[1 + axis] + 2 * window.padding[axis] - window.kernel[axis];
    return room < 0 ? 0 : room / window.stride[axis] + 1;
  };
  window.height = size(0);
  window.width = size(1);
  if (window.height > 0 && window.width > 0)
    return true;
  call.fail(Code::BadValue, call.range,
            "the window of " + llvm::Twine(window.kernel[0]) + " x " +
                llvm::Twine(window.kernel[1]) + " does not fit into " + call.label("x") + ", " +
                shapeText(x) + " with padding " + llvm::Twine(window.padding[0]));
  return false;
}

bool isImageBatch(BuiltinCall &call) {
  if (!call.tensor("x"))
    return false;
  const Value &x = call.value("x");
  if (x.shape().size() == 4)
    return true;
  call.fail(Code::WrongRank, call.rangeOf("x"),
            call.label("x") + " is " + typeName(x) + ", but '" + call.builtin.name +
                "' takes [N, H, W, C]");
  return false;
}

DenseI64ArrayAttr both(TensorEmitter &e, std::array<int64_t, 2> values) {
  return e.builder.getDenseI64ArrayAttr(values);
}
DenseI64ArrayAttr sides(TensorEmitter &e, std::array<int64_t, 2> p) {
  return e.builder.getDenseI64ArrayAttr({p[0], p[1], p[0], p[1]});
}

Value runConv2d(BuiltinCall &call) {
  if (!isImageBatch(call) || !call.tensor("w"))
    return Value::error();
  TensorEmitter &e = call.emit;
  const Value &x = call.value("x"), &w = call.value("w");
  auto groups = call.count("groups", 1);
  if (!groups)
    return Value::error();
  if (w.shape().size() != 4)
    return call.fail(Code::WrongRank, call.rangeOf("w"),
                     call.label("w") + " is " + typeName(w) + ", but weights are [O, I, KH, KW]");
  if (x.shape()[3] % *groups != 0 || x.shape()[3] / *groups != w.shape()[1] ||
      w.shape()[0] % *groups != 0) {
    std::string grouped = *groups == 1 ? "" : " in " + std::to_string(*groups) + " groups";
    return call.fail(Code::ShapesDiffer, call.range,
                     call.label("x") + " is " + shapeText(x.shape()) + " with " +
                         llvm::Twine(x.shape()[3]) + " channels, " + call.label("w") + " is " +
                         shapeText(w.shape()) + grouped + " for " +
                         llvm::Twine(llvm::SaturatingMultiply<uint64_t>(w.shape()[1], *groups)) +
                         ": the channels differ");
  }
  Window window{.kernel = {w.shape()[2], w.shape()[3]}};
  if (!fitWindow(call, x.shape(), {1, 1}, window))
    return Value::error();
  Type f32 = e.builder.getF32Type();
  auto type = e.f32({x.shape()[0], window.height, window.width, w.shape()[0]});
  mlir::Value input = e.convert(call.range, x.asTensor(), f32);
  mlir::Value weight = e.convert(call.range, w.asTensor(), f32);
  return Value::tensor(e.make<nn::Conv2DOp>(call.range, type, input, weight, both(e, window.stride),
                                            sides(e, window.padding), both(e, {1, 1}),
                                            e.builder.getI64IntegerAttr(*groups)));
}

std::optional<Window> poolWindow(BuiltinCall &call) {
  if (!isImageBatch(call))
    return std::nullopt;
  auto kernel = pair(call, "kernel", {1, 1}, 1);
  if (!kernel)
    return std::nullopt;
  Window window{.kernel = *kernel};
  if (!fitWindow(call, call.value("x").shape(), *kernel, window))
    return std::nullopt;
  for (int axis : {0, 1})
    if (2 * window.padding[axis] > window.kernel[axis]) {
      call.fail(Code::BadValue, call.rangeOf("padding"),
                "the padding of " + llvm::Twine(window.padding[axis]) +
                    " is more than half of the window of " + llvm::Twine(window.kernel[axis]));
      return std::nullopt;
    }
  return window;
}

Value runMaxPool(BuiltinCall &call) {
  constexpr int64_t mostPlaces = 255; // the place of the greatest is a byte
  auto window = poolWindow(call);
  if (!window)
    return Value::error();
  if (window->kernel[0] * window->kernel[1] > mostPlaces)
    return call.fail(Code::BadValue, call.rangeOf("kernel"),
                     "a window of 'max_pool' has at most " + llvm::Twine(mostPlaces) +
                         " places, this one has " +
                         llvm::Twine(window->kernel[0] * window->kernel[1]));
  TensorEmitter &e = call.emit;
  llvm::ArrayRef<int64_t> x = call.value("x").shape();
  auto type = e.f32({x[0], window->height, window->width, x[3]});
  mlir::Value input = e.convert(call.range, call.value("x").asTensor(), e.builder.getF32Type());
  auto pool = e.make<nn::MaxPool2DOp>(
      call.range, TypeRange{type, e.tensorType(type.getShape(), e.builder.getI8Type())}, input,
      both(e, window->kernel), both(e, window->stride), sides(e, window->padding));
  return Value::tensor(pool.getResult());
}

Value runAvgPool(BuiltinCall &call) {
  auto window = poolWindow(call);
  if (!window)
    return Value::error();
  TensorEmitter &e = call.emit;
  llvm::ArrayRef<int64_t> x = call.value("x").shape();
  auto type = e.f32({x[0], window->height, window->width, x[3]});
  mlir::Value input = e.convert(call.range, call.value("x").asTensor(), e.builder.getF32Type());
  return Value::tensor(e.make<nn::AvgPool2DOp>(call.range, type, input, both(e, window->kernel),
                                               both(e, window->stride), sides(e, window->padding)));
}

//===- Tables, indices, constants -------------------------------------------------------------===//

Value runGather(BuiltinCall &call) {
  auto table = call.tensor("table"), index = call.tensor("index");
  if (!table || !index)
    return Value::error();
  llvm::ArrayRef<int64_t> rows = call.value("table").shape();
  auto indexType = call.value("index").tensorType();
  Type element = indexType.getElementType();
  if (rows.empty())
    return call.fail(Code::WrongRank, call.rangeOf("table"), "a scalar has no rows");
  if (indexType.getRank() != 1 || !(element.isInteger(32) || element.isInteger(64)))
    return call.fail(Code::WrongType, call.rangeOf("index"),
                     "'index' of 'gather' is " + typeName(indexType) + ", not i32[M]");
  llvm::SmallVector<int64_t> shape(rows);
  shape[0] = indexType.getDimSize(0);
  auto type = call.emit.tensorType(shape, call.value("table").tensorType().getElementType());
  return Value::tensor(call.emit.make<nn::GatherRowsOp>(call.range, type, *table, *index));
}

Value runScatter(BuiltinCall &call) {
  auto table = call.tensor("table"), index = call.tensor("index"), rows = call.tensor("rows");
  auto add = call.flag("add", false);
  if (!table || !index || !rows || !add)
    return Value::error();
  TensorEmitter &e = call.emit;
  RankedTensorType tableType = call.value("table").tensorType();
  RankedTensorType indexType = call.value("index").tensorType();
  llvm::ArrayRef<int64_t> given = call.value("rows").shape();
  Type element = indexType.getElementType();
  if (indexType.getRank() != 1 || !(element.isInteger(32) || element.isInteger(64)))
    return call.fail(Code::WrongType, call.rangeOf("index"),
                     "'index' of 'scatter' is " + typeName(indexType) + ", not i32[M]");
  if (*add && tableType.getElementType().isInteger(1))
    return call.fail(Code::WrongType, call.rangeOf("table"),
                     call.label("table") + " is " + typeName(tableType) +
                         ", to which nothing is added");
  llvm::SmallVector<int64_t> wanted(tableType.getShape());
  if (wanted.empty())
    return call.fail(Code::WrongRank, call.rangeOf("table"), "a scalar has no rows");
  wanted[0] = indexType.getDimSize(0);
  if (given != llvm::ArrayRef(wanted))
    return call.fail(Code::ShapesDiffer, call.range,
                     call.label("table") + " is " + shapeText(tableType.getShape()) +
                         " and there are " + llvm::Twine(wanted[0]) + " indices, so the rows are " +
                         shapeText(wanted) + "; " + call.label("rows") + " is " + shapeText(given));
  mlir::Value converted = e.convert(call.range, *rows, tableType.getElementType());
  return Value::tensor(
      e.make<nn::ScatterRowsOp>(call.range, tableType, *table, *index, converted, *add));
}

/// The sizes of nested lists, and their numbers in order. False where they are ragged or hold
/// something else.
bool flattenNumbers(const Value &value, size_t depth, llvm::SmallVectorImpl<int64_t> &shape,
                    std::vector<double> &numbers) {
  if (value.isNumber() || value.isBool()) {
    numbers.push_back(value.isBool() ? value.asBool() : value.asDouble());
    return depth == shape.size();
  }
  if (!value.isSequence() || value.elements().empty())
    return false;
  int64_t size = value.elements().size();
  if (depth == shape.size() && numbers.empty())
    shape.push_back(size);
  if (depth >= shape.size() || shape[depth] != size)
    return false;
  return llvm::all_of(value.elements(), [&](const Value &element) {
    return flattenNumbers(element, depth + 1, shape, numbers);
  });
}

Value runTensor(BuiltinCall &call) {
  llvm::SmallVector<int64_t> shape;
  std::vector<double> numbers;
  call.trace.count(call.range, call.value("values").weight());
  if (!flattenNumbers(call.value("values"), 0, shape, numbers))
    return call.wrongType("values", "a number, or lists of numbers of equal lengths");
  TensorEmitter &e = call.emit;
  RankedTensorType type = e.f32(shape);
  for (double number : numbers)
    if (!e.fitsElement(call.range, number, type.getElementType()))
      return Value::error();
  std::vector<float> elements(numbers.begin(), numbers.end());
  return Value::tensor(e.make<nn::ConstantOp>(
      call.range, type, DenseElementsAttr::get(type, llvm::ArrayRef<float>(elements))));
}

Value runIota(BuiltinCall &call) {
  auto n = call.count("n");
  if (!n)
    return Value::error();
  auto type = call.emit.tensorType({*n}, call.emit.builder.getI32Type());
  return Value::tensor(
      call.emit.make<nn::IotaOp>(call.range, type, call.emit.builder.getI64IntegerAttr(0)));
}

Value runOneHot(BuiltinCall &call) {
  auto index = call.tensor("index");
  auto n = call.count("n");
  if (!index || !n)
    return Value::error();
  auto indexType = call.value("index").tensorType();
  Type element = indexType.getElementType();
  if (indexType.getRank() != 1 || !(element.isInteger(32) || element.isInteger(64)))
    return call.fail(Code::WrongType, call.rangeOf("index"),
                     "'index' of 'one_hot' is " + typeName(indexType) + ", not i32[M]");
  TensorEmitter &e = call.emit;
  int64_t rows = indexType.getDimSize(0);
  auto wide = e.tensorType({rows, *n}, element);
  mlir::Value given =
      e.make<nn::BroadcastOp>(call.range, wide, *index, e.builder.getDenseI64ArrayAttr({0}));
  mlir::Value column = e.make<nn::IotaOp>(call.range, wide, e.builder.getI64IntegerAttr(1));
  mlir::Value hit =
      e.make<nn::CompareOp>(call.range, e.tensorType({rows, *n}, e.builder.getI1Type()),
                            nn::ComparePredicate::EQ, given, column);
  return Value::tensor(e.convert(call.range, hit, e.builder.getF32Type()));
}

Value filled(BuiltinCall &call, double value) {
  auto shape = call.shape("shape");
  return shape ? Value::tensor(call.emit.constant(call.range, call.emit.f32(*shape), value))
               : Value::error();
}
Value runZeros(BuiltinCall &c) { return filled(c, 0); }
Value runOnes(BuiltinCall &c) { return filled(c, 1); }
Value runFull(BuiltinCall &call) {
  auto value = call.number("value");
  return value ? filled(call, *value) : Value::error();
}

} // namespace

llvm::ArrayRef<Builtin> tensorBuiltins() {
  static const Builtin builtins[] = {
      {"sum", "x, axis?, keep?", runSum},
      {"mean", "x, axis?, keep?", runMean},
      {"max", "x, axis?, keep?", runMax},
      {"min", "x, axis?, keep?", runMin},
      {"variance", "x, axis?, keep?", runVariance},
      {"concat", "tensors..., axis?", runConcat},
      {"stack", "tensors..., axis?", runStack},
      {"transpose", "x, order?", runTranspose},
      {"reshape", "x, shape", runReshape},
      {"broadcast", "x, shape", runBroadcast},
      {"conv2d", "x, w, stride?, padding?, groups?", runConv2d},
      {"max_pool", "x, kernel, stride?, padding?", runMaxPool},
      {"avg_pool", "x, kernel, stride?, padding?", runAvgPool},
      {"gather", "table, index", runGather},
      {"scatter", "table, index, rows, add?", runScatter},
      {"tensor", "values", runTensor},
      {"iota", "n", runIota},
      {"one_hot", "index, n", runOneHot},
      {"zeros", "shape?", runZeros},
      {"ones", "shape?", runOnes},
      {"full", "value, shape?", runFull},
  };
  return builtins;
}

} // namespace doppel::spec
