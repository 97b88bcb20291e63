// Built-ins that draw random numbers.
#include "frontends/spec/Builtins.h"

#include <cmath>

namespace doppel::spec {

using namespace mlir;

namespace {

/// Draws of `shape`, by the argument `by` where it is given. Null after an error.
mlir::Value draw(BuiltinCall &call, nn::Distribution distribution, llvm::ArrayRef<int64_t> shape) {
  TensorEmitter &e = call.emit;
  mlir::Value by;
  if (call.has("by")) {
    if (!call.tensor("by"))
      return nullptr;
    by = call.value("by").asTensor();
    RankedTensorType type = call.value("by").tensorType();
    bool isIndex = type.getElementType().isInteger(32) || type.getElementType().isInteger(64);
    if (!isIndex || type.getRank() != 1 || shape.empty() || type.getDimSize(0) != shape[0]) {
      call.report(Code::ShapesDiffer, call.rangeOf("by"),
                  "the draws are " + shapeText(shape) + ", 'by' is " + typeName(type) +
                      ", but it takes one index for each row")
          .help("as in: random.uniform([batch, 4], by: sample_index(image))");
      return nullptr;
    }
  }
  int64_t stream = e.nextStream(call.range);
  return e.make<nn::RandomOp>(call.range, e.f32(shape), distribution, static_cast<uint64_t>(stream),
                              by);
}

/// Two sizes in place of a list of them would be a shape and a mean. False after an error.
bool isOneShape(BuiltinCall &call, llvm::StringRef second) {
  if (!call.has("shape") || !call.has(second) || !call.value("shape").isInt() ||
      !call.value(second).isInt() || call.value(second).asInt() < 2)
    return true;
  call.report(Code::WrongType, call.rangeOf(second),
              "'" + second + "' of '" + llvm::Twine(call.builtin.name) + "' is " +
                  llvm::Twine(call.value(second).asInt()) + ", a size as it seems")
      .help("the shape is one list: " + llvm::Twine(call.builtin.name) + "([" +
            call.label("shape") + ", " + call.label(second) + "])");
  return false;
}

/// draws * scale + shift, without what changes nothing.
Value spread(BuiltinCall &call, mlir::Value draws, double scale, double shift) {
  TensorEmitter &e = call.emit;
  auto type = cast<RankedTensorType>(draws.getType());
  if (scale != 1)
    draws = e.make<nn::MulOp>(call.range, type, draws, e.constant(call.range, type, scale));
  if (shift != 0)
    draws = e.make<nn::AddOp>(call.range, type, draws, e.constant(call.range, type, shift));
  return Value::tensor(draws);
}

Value runNormal(BuiltinCall &call) {
  auto shape = call.shape("shape");
  auto mean = call.number("mean", 0.0);
  auto std = call.numberIn("std", 1.0, 0.0, HUGE_VAL);
  if (!shape || !mean || !std || !isOneShape(call, "mean"))
    return Value::error();
  mlir::Value draws = draw(call, nn::Distribution::Normal, *shape);
  return draws ? spread(call, draws, *std, *mean) : Value::error();
}

Value runUniform(BuiltinCall &call) {
  auto shape = call.shape("shape");
  auto lo = call.number("lo", 0.0), hi = call.number("hi", 1.0);
  if (!shape || !lo || !hi || !isOneShape(call, "lo"))
    return Value::error();
  if (*lo > *hi)
    return call.fail(Code::BadValue, call.range,
                     "'lo' is " + numberText(*lo) + " and 'hi' is " + numberText(*hi) +
                         ", but lo must not be greater");
  mlir::Value draws = draw(call, nn::Distribution::Uniform, *shape);
  return draws ? spread(call, draws, *hi - *lo, *lo) : Value::error();
}

/// floor(u n), which rounding may bring to n.
Value runIntegers(BuiltinCall &call) {
  auto shape = call.shape("shape");
  auto lo = call.integer("lo"), hi = call.integer("hi");
  if (!shape || !lo || !hi)
    return Value::error();
  int64_t count;
  if (__builtin_sub_overflow(*hi, *lo, &count) || count < 1 || count > (1 << 24))
    return call.fail(Code::BadValue, call.range,
                     "'lo' is " + llvm::Twine(*lo) + " and 'hi' is " + llvm::Twine(*hi) +
                         ", but hi must be greater than lo, by at most 2^24");
  mlir::Value draws = draw(call, nn::Distribution::Uniform, *shape);
  if (!draws)
    return Value::error();
  TensorEmitter &e = call.emit;
  RankedTensorType real = e.f32(*shape), whole = e.tensorType(*shape, e.builder.getI32Type());
  mlir::Value scaled =
      e.make<nn::MulOp>(call.range, real, draws, e.constant(call.range, real, double(count)));
  mlir::Value cut = e.make<nn::ConvertOp>(call.range, whole, scaled);
  cut = e.make<nn::MinOp>(call.range, whole, cut, e.constant(call.range, whole, double(count - 1)));
  if (*lo != 0)
    cut = e.make<nn::AddOp>(call.range, whole, cut, e.constant(call.range, whole, double(*lo)));
  return Value::tensor(cut);
}

Value runPermutation(BuiltinCall &call) {
  auto n = call.count("n");
  if (!n)
    return Value::error();
  TensorEmitter &e = call.emit;
  auto type = e.tensorType({*n}, e.builder.getI32Type());
  int64_t stream = e.nextStream(call.range);
  return Value::tensor(
      e.make<nn::RandomPermutationOp>(call.range, type, e.builder.getI64IntegerAttr(stream)));
}

} // namespace

llvm::ArrayRef<Builtin> randomBuiltins() {
  static const Builtin builtins[] = {
      {"random.normal", "shape?, mean?, std?, by?", runNormal},
      {"random.uniform", "shape?, lo?, hi?, by?", runUniform},
      {"random.integers", "shape?, lo, hi, by?", runIntegers},
      {"random.permutation", "n", runPermutation},
  };
  return builtins;
}

} // namespace doppel::spec
