// Operators of which an operand is a tensor; see TensorEmitter.h.
#include "frontends/spec/TensorEmitter.h"

namespace doppel::spec {

using namespace mlir;

Value TensorEmitter::matmul(const Value &left, const Value &right, SourceRange leftRange,
                            SourceRange rightRange, SourceRange range) {
  std::string leftName = label(leftRange, "the left"), rightName = label(rightRange, "the right");
  auto both = [&] {
    return leftName + " is " + (left.isTensor() ? shapeText(left.shape()) : typeName(left)) + ", " +
           rightName + " is " + (right.isTensor() ? shapeText(right.shape()) : typeName(right));
  };
  if (!left.isTensor() || !right.isTensor())
    return fail(Code::BadOperands, range, both() + ": '@' takes two tensors");
  llvm::ArrayRef<int64_t> a = left.shape(), b = right.shape();
  if (a.size() < 2 || b.size() != a.size()) {
    Diagnostic &error =
        report(Code::WrongRank, range, both() + ": '@' takes two matrices, or two stacks of them");
    if (a.size() == 2 && b.size() == 1)
      error.help("for a vector use sum(" + leftName + " * " + rightName + ", axis: 1)");
    return Value::error();
  }
  size_t rank = a.size();
  for (size_t axis = 0; axis + 2 < rank; ++axis)
    if (a[axis] != b[axis])
      return fail(Code::ShapesDiffer, range, both() + ": axis " + llvm::Twine(axis) + " differs");
  if (a[rank - 1] != b[rank - 2]) {
    Diagnostic &error = report(Code::ShapesDiffer, range,
                               both() + ": the inner axes " + llvm::Twine(a[rank - 1]) + " and " +
                                   llvm::Twine(b[rank - 2]) + " differ");
    if (a[rank - 1] == b[rank - 1])
      error.help("transpose one: " + leftName + " @ transpose(" + rightName + ")");
    return Value::error();
  }
  Type f32Type = builder.getF32Type();
  mlir::Value lhs = convert(leftRange, left.asTensor(), f32Type);
  mlir::Value rhs = convert(rightRange, right.asTensor(), f32Type);
  llvm::SmallVector<int64_t> result(a.drop_back());
  result.push_back(b[rank - 1]);
  if (rank > 3) {
    int64_t stack = 1;
    for (int64_t size : a.drop_back(2))
      stack *= size;
    lhs = reshape(range, lhs, {stack, a[rank - 2], a[rank - 1]});
    rhs = reshape(range, rhs, {stack, b[rank - 2], b[rank - 1]});
    mlir::Value product =
        make<nn::MatmulOp>(range, f32({stack, a[rank - 2], b[rank - 1]}), lhs, rhs);
    return Value::tensor(reshape(range, product, result));
  }
  return Value::tensor(make<nn::MatmulOp>(range, f32(result), lhs, rhs).getResult());
}

static nn::ComparePredicate predicateOf(BinaryOp op) {
  switch (op) {
  case BinaryOp::Equal:
    return nn::ComparePredicate::EQ;
  case BinaryOp::NotEqual:
    return nn::ComparePredicate::NE;
  case BinaryOp::Less:
    return nn::ComparePredicate::LT;
  case BinaryOp::LessEqual:
    return nn::ComparePredicate::LE;
  case BinaryOp::Greater:
    return nn::ComparePredicate::GT;
  default:
    return nn::ComparePredicate::GE;
  }
}

Value TensorEmitter::arithmetic(BinaryOp op, const Value &left, const Value &right,
                                SourceRange leftRange, SourceRange rightRange, SourceRange range) {
  auto isBool = [](const Value &value) {
    return value.isBool() || (value.isTensor() && value.tensorType().getElementType().isInteger(1));
  };
  bool logical = op == BinaryOp::And || op == BinaryOp::Or;
  if (logical != (isBool(left) || isBool(right)) || isBool(left) != isBool(right)) {
    Diagnostic &error = report(Code::BadOperands, range,
                               "'" + spelling(op) + "' does not apply to " + typeName(left) +
                                   " and " + typeName(right));
    if (!logical)
      error.help("float(x) makes numbers 0 and 1 of bools");
    return Value::error();
  }
  // Small powers are products: exact, and their derivative needs no logarithm.
  if (op == BinaryOp::Power && left.isTensor() && right.isNumber()) {
    double exponent = right.asDouble();
    mlir::Value x = convert(leftRange, left.asTensor(), builder.getF32Type());
    auto product = [&](mlir::Value a, mlir::Value b) -> mlir::Value {
      return make<nn::MulOp>(range, a.getType(), a, b);
    };
    if (exponent == 1)
      return Value::tensor(x);
    if (exponent == 2)
      return Value::tensor(product(x, x));
    if (exponent == 3)
      return Value::tensor(product(product(x, x), x));
    if (exponent == 0.5)
      return Value::tensor(make<nn::SqrtOp>(range, x.getType(), x));
    if (exponent == -0.5)
      return Value::tensor(make<nn::RsqrtOp>(range, x.getType(), x));
  }
  if ((op == BinaryOp::Divide || op == BinaryOp::Remainder) && right.isNumber() &&
      right.asDouble() == 0)
    return fail(Code::BadValue, range, "division by zero");

  mlir::Value a, b;
  if (!unify(left, right, leftRange, rightRange, range, a, b))
    return Value::error();
  if ((op == BinaryOp::Divide || op == BinaryOp::Power) && !isBool(left)) {
    a = convert(leftRange, a, builder.getF32Type());
    b = convert(rightRange, b, builder.getF32Type());
  }
  Type type = a.getType();
  switch (op) {
  case BinaryOp::Add:
    return Value::tensor(make<nn::AddOp>(range, type, a, b));
  case BinaryOp::Subtract:
    return Value::tensor(make<nn::SubOp>(range, type, a, b));
  case BinaryOp::Multiply:
    return Value::tensor(make<nn::MulOp>(range, type, a, b));
  case BinaryOp::Divide:
    return Value::tensor(make<nn::DivOp>(range, type, a, b));
  case BinaryOp::Remainder:
    return Value::tensor(make<nn::RemOp>(range, type, a, b));
  case BinaryOp::Power:
    return Value::tensor(make<nn::PowOp>(range, type, a, b));
  case BinaryOp::And:
    return Value::tensor(make<nn::AndOp>(range, type, a, b));
  case BinaryOp::Or:
    return Value::tensor(make<nn::OrOp>(range, type, a, b));
  default: {
    auto result = tensorType(cast<RankedTensorType>(type).getShape(), builder.getI1Type());
    return Value::tensor(make<nn::CompareOp>(range, result, predicateOf(op), a, b));
  }
  }
}

} // namespace doppel::spec
