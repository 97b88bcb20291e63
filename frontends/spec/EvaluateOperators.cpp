// Operators: on numbers computed here, on tensors emitted with every broadcast explicit.
#include "frontends/spec/Evaluator.h"

#include <cmath>

namespace doppel::spec {

/// Characters that are copied or compared in what one step of evaluation takes.
constexpr size_t bytesOfStep = 64;

using namespace mlir;

static bool isComparison(BinaryOp op) {
  return op >= BinaryOp::Equal && op <= BinaryOp::GreaterEqual;
}

//===- Numbers, strings, lists ----------------------------------------------------------------===//

/// Equality of compile-time values; nothing if they cannot be compared.
static std::optional<bool> equal(const Value &left, const Value &right) {
  if (left.isInt() && right.isInt())
    return left.asInt() == right.asInt();
  if (left.isNumber() && right.isNumber())
    return left.asDouble() == right.asDouble();
  if (left.isBool() && right.isBool())
    return left.asBool() == right.asBool();
  if (left.isString() && right.isString())
    return left.asString() == right.asString();
  if (left.isSequence() && right.isSequence()) {
    if (left.elements().size() != right.elements().size())
      return false;
    for (auto [a, b] : llvm::zip(left.elements(), right.elements())) {
      std::optional<bool> same = equal(a, b);
      if (!same.value_or(false))
        return same;
    }
    return true;
  }
  return std::nullopt;
}

template <typename T> static bool compare(BinaryOp op, const T &left, const T &right) {
  switch (op) {
  case BinaryOp::Less:
    return left < right;
  case BinaryOp::LessEqual:
    return left <= right;
  case BinaryOp::Greater:
    return left > right;
  default:
    return left >= right;
  }
}

static std::optional<int64_t> power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) && __builtin_mul_overflow(result, base, &result))
      return std::nullopt;
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base))
      return std::nullopt;
  }
  return result;
}

/// The result of an operator of two ints that gives an int; nothing on overflow.
static std::optional<int64_t> integerBinary(BinaryOp op, int64_t a, int64_t b) {
  int64_t result;
  switch (op) {
  case BinaryOp::Add:
    return __builtin_add_overflow(a, b, &result) ? std::nullopt : std::optional(result);
  case BinaryOp::Subtract:
    return __builtin_sub_overflow(a, b, &result) ? std::nullopt : std::optional(result);
  case BinaryOp::Multiply:
    return __builtin_mul_overflow(a, b, &result) ? std::nullopt : std::optional(result);
  case BinaryOp::Remainder:
    if (b == -1)
      return 0;
    result = a % b;
    return result != 0 && (result < 0) != (b < 0) ? result + b : result;
  case BinaryOp::Power:
    return power(a, b);
  default:
    return std::nullopt;
  }
}

static double doubleBinary(BinaryOp op, double a, double b) {
  switch (op) {
  case BinaryOp::Add:
    return a + b;
  case BinaryOp::Subtract:
    return a - b;
  case BinaryOp::Multiply:
    return a * b;
  case BinaryOp::Divide:
    return a / b;
  case BinaryOp::Remainder:
    return a - b * std::floor(a / b);
  default:
    return std::pow(a, b);
  }
}

Value Evaluator::numberBinary(BinaryOp op, const Value &left, const Value &right,
                              SourceRange range) {
  if ((op == BinaryOp::Divide || op == BinaryOp::Remainder) && right.asDouble() == 0)
    return fail(Code::BadValue, range,
                "division by zero: " + valueText(left) + " " + spelling(op) + " " +
                    valueText(right));
  bool integers = left.isInt() && right.isInt() && op != BinaryOp::Divide &&
                  (op != BinaryOp::Power || right.asInt() >= 0);
  if (integers) {
    if (std::optional<int64_t> result = integerBinary(op, left.asInt(), right.asInt()))
      return Value::integer(*result);
    return fail(Code::BadValue, range,
                valueText(left) + " " + spelling(op) + " " + valueText(right) +
                    " does not fit into an int of 64 bits");
  }
  double result = doubleBinary(op, left.asDouble(), right.asDouble());
  if (!std::isfinite(result))
    return fail(Code::BadValue, range,
                valueText(left) + " " + spelling(op) + " " + valueText(right) +
                    " is not a finite number");
  return Value::number(result);
}

//===- All operands ---------------------------------------------------------------------------===//

Value Evaluator::binary(BinaryOp op, const Value &left, const Value &right, SourceRange leftRange,
                        SourceRange rightRange, SourceRange range) {
  if (left.isError() || right.isError())
    return Value::error();
  if (op == BinaryOp::MatMul)
    return emit.matmul(left, right, leftRange, rightRange, range);
  auto isOperand = [](const Value &v) { return v.isTensor() || v.isNumber() || v.isBool(); };
  if ((left.isTensor() && isOperand(right)) || (right.isTensor() && isOperand(left)))
    return emit.arithmetic(op, left, right, leftRange, rightRange, range);
  if (left.isSequence() && right.isSequence())
    trace.count(range, std::min(left.weight(), right.weight()));
  if (op == BinaryOp::Equal || op == BinaryOp::NotEqual)
    if (std::optional<bool> same = equal(left, right))
      return Value::boolean(*same == (op == BinaryOp::Equal));
  if (left.isNumber() && right.isNumber()) {
    if (!isComparison(op))
      return numberBinary(op, left, right, range);
    return Value::boolean(left.isInt() && right.isInt()
                              ? compare(op, left.asInt(), right.asInt())
                              : compare(op, left.asDouble(), right.asDouble()));
  }
  if (left.isString() && right.isString()) {
    if (op == BinaryOp::Add &&
        !checkLength(left.asString().size() + right.asString().size(), range))
      return Value::error();
    trace.count(range, (left.asString().size() + right.asString().size()) / bytesOfStep);
    if (op == BinaryOp::Add)
      return Value::string((left.asString() + right.asString()).str());
    if (isComparison(op))
      return Value::boolean(compare(op, left.asString(), right.asString()));
  }
  if (op == BinaryOp::Add && left.isList() && right.isList()) {
    if (!checkLength(left.elements().size() + right.elements().size(), range))
      return Value::error();
    trace.count(range, left.elements().size() + right.elements().size());
    std::vector<Value> joined(left.elements());
    llvm::append_range(joined, right.elements());
    return checkNested(Value::list(std::move(joined)), range);
  }
  Diagnostic &error = report(Code::BadOperands, range,
                             "'" + spelling(op) + "' does not apply to " +
                                 label(leftRange, "the left") + ", " + typeName(left) + ", and " +
                                 label(rightRange, "the right") + ", " + typeName(right));
  if (left.isImage() || right.isImage())
    error.help("a picture becomes a tensor as a view: view x = augment.simclr(image, size: 32)");
  else if (left.isCallable() || right.isCallable())
    error.help("call the function: f(...)");
  return Value::error();
}

Value Evaluator::evalBinary(const BinaryExpr *expr) {
  if (expr->op == BinaryOp::And || expr->op == BinaryOp::Or)
    return evalLogical(expr);
  Value left = eval(expr->left);
  Value right = eval(expr->right);
  return binary(expr->op, left, right, expr->left->range, expr->right->range, expr->range);
}

Value Evaluator::evalLogical(const BinaryExpr *expr) {
  Value left = eval(expr->left);
  if (left.isBool() && left.asBool() == (expr->op == BinaryOp::Or))
    return left; // the right side is not evaluated
  Value right = eval(expr->right);
  if (left.isError() || right.isError())
    return Value::error();
  if (left.isBool() && right.isBool())
    return right;
  if (left.isTensor() || right.isTensor())
    return binary(expr->op, left, right, expr->left->range, expr->right->range, expr->range);
  return fail(Code::BadOperands, expr->range,
              "'" + spelling(expr->op) + "' does not apply to " + typeName(left) + " and " +
                  typeName(right) + ": it takes bools");
}

Value Evaluator::evalUnary(const UnaryExpr *expr) {
  Value operand = eval(expr->operand);
  if (operand.isError())
    return operand;
  bool isBoolTensor = operand.isTensor() && operand.tensorType().getElementType().isInteger(1);
  if (expr->op == UnaryOp::Not) {
    if (operand.isBool())
      return Value::boolean(!operand.asBool());
    if (isBoolTensor)
      return Value::tensor(
          emit.make<nn::NotOp>(expr->range, operand.tensorType(), operand.asTensor()));
  } else {
    if (operand.isInt()) {
      int64_t negated;
      if (__builtin_sub_overflow(int64_t(0), operand.asInt(), &negated))
        return fail(Code::BadValue, expr->range, "the result does not fit into an int of 64 bits");
      return Value::integer(negated);
    }
    if (operand.isNumber())
      return Value::number(-operand.asDouble());
    if (operand.isTensor() && !isBoolTensor)
      return Value::tensor(
          emit.make<nn::NegOp>(expr->range, operand.tensorType(), operand.asTensor()));
  }
  return fail(Code::BadOperands, expr->range,
              "'" + spelling(expr->op) + "' does not apply to " +
                  label(expr->operand->range, "the operand") + ", " + typeName(operand));
}

} // namespace doppel::spec
