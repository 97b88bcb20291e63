// Tensor arithmetic that reads like the formula it stands for. An Expr is a value and the builder
// that makes the next operation; the builder's location is what the operations get. Both operands
// of an operator have one type: broadcasting is written out.
#pragma once

#include "dialects/nn/NnDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <numeric>

namespace doppel {

class Expr {
public:
  Expr() = default;
  Expr(mlir::ImplicitLocOpBuilder &builder, mlir::Value value) : builder(&builder), held(value) {}

  operator mlir::Value() const { return held; }
  explicit operator bool() const { return bool(held); }
  mlir::Value value() const { return held; }
  mlir::RankedTensorType type() const { return llvm::cast<mlir::RankedTensorType>(held.getType()); }
  llvm::ArrayRef<int64_t> shape() const { return type().getShape(); }
  int64_t rank() const { return type().getRank(); }
  mlir::ImplicitLocOpBuilder &b() const { return *builder; }

  /// The type of this tensor with another shape, or with another element type.
  mlir::RankedTensorType typeWith(llvm::ArrayRef<int64_t> shape) const {
    return mlir::RankedTensorType::get(shape, type().getElementType());
  }
  mlir::RankedTensorType typeWith(mlir::Type element) const {
    return mlir::RankedTensorType::get(shape(), element);
  }

  /// A tensor of this type with `number` everywhere.
  Expr full(double number) const { return full(type(), number); }
  Expr full(mlir::RankedTensorType type, double number) const {
    return {*builder, nn::ConstantOp::create(*builder, type, number)};
  }

  /// The operation `Op` on this tensor and `others`, of this tensor's type.
  template <typename Op, typename... Operands> Expr make(Operands... others) const {
    return {*builder, Op::create(*builder, type(), held, others...)};
  }

  Expr reshape(llvm::ArrayRef<int64_t> shape) const {
    if (shape == this->shape())
      return *this;
    return {*builder, nn::ReshapeOp::create(*builder, typeWith(shape), held)};
  }
  Expr transpose(llvm::ArrayRef<int64_t> permutation) const {
    llvm::SmallVector<int64_t> shape;
    for (int64_t dim : permutation)
      shape.push_back(this->shape()[dim]);
    return {*builder, nn::TransposeOp::create(*builder, typeWith(shape), held, permutation)};
  }
  /// Repeats this tensor: its dimension i is dimension dims[i] of `shape`.
  Expr broadcast(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> dims) const {
    if (shape == this->shape())
      return *this;
    return {*builder, nn::BroadcastOp::create(*builder, typeWith(shape), held, dims)};
  }
  /// A scalar in every place of `shape`.
  Expr splat(llvm::ArrayRef<int64_t> shape) const { return broadcast(shape, {}); }
  /// This tensor, which a reduction along `reduced` made, back in `shape`.
  Expr expand(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> reduced) const {
    llvm::SmallVector<int64_t> kept;
    for (int64_t dim = 0, rank = shape.size(); dim < rank; ++dim)
      if (!llvm::is_contained(reduced, dim))
        kept.push_back(dim);
    return broadcast(shape, kept);
  }
  Expr reduce(nn::ReduceKind kind, llvm::ArrayRef<int64_t> dims) const {
    if (dims.empty())
      return *this;
    llvm::SmallVector<int64_t> shape;
    for (int64_t dim = 0; dim < rank(); ++dim)
      if (!llvm::is_contained(dims, dim))
        shape.push_back(this->shape()[dim]);
    return {*builder, nn::ReduceOp::create(*builder, typeWith(shape), kind, held, dims)};
  }
  Expr sum(llvm::ArrayRef<int64_t> dims) const { return reduce(nn::ReduceKind::Sum, dims); }
  /// The part of `shape` from `offsets` on.
  Expr slice(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> offsets,
             llvm::ArrayRef<int64_t> strides) const {
    if (shape == this->shape())
      return *this;
    return {*builder, nn::SliceOp::create(*builder, typeWith(shape), held, offsets, strides)};
  }
  Expr convert(mlir::Type element) const {
    if (element == type().getElementType())
      return *this;
    return {*builder, nn::ConvertOp::create(*builder, typeWith(element), held)};
  }
  /// Elements where the comparison with `other` holds.
  Expr compare(nn::ComparePredicate predicate, Expr other) const {
    return {*builder, nn::CompareOp::create(*builder, typeWith(builder->getI1Type()), predicate,
                                            held, other.held)};
  }
  /// This condition chooses between `yes` and `no`.
  Expr select(Expr yes, Expr no) const {
    return {*builder, nn::SelectOp::create(*builder, yes.type(), held, yes.held, no.held)};
  }

private:
  mlir::ImplicitLocOpBuilder *builder = nullptr;
  mlir::Value held;
};

inline Expr operator+(Expr a, Expr b) { return a.make<nn::AddOp>(b.value()); }
inline Expr operator-(Expr a, Expr b) { return a.make<nn::SubOp>(b.value()); }
inline Expr operator*(Expr a, Expr b) { return a.make<nn::MulOp>(b.value()); }
inline Expr operator/(Expr a, Expr b) { return a.make<nn::DivOp>(b.value()); }
inline Expr operator-(Expr a) { return a.make<nn::NegOp>(); }
inline Expr operator+(Expr a, double b) { return a + a.full(b); }
inline Expr operator-(Expr a, double b) { return a - a.full(b); }
inline Expr operator*(Expr a, double b) { return a * a.full(b); }
inline Expr operator/(Expr a, double b) { return a / a.full(b); }
inline Expr operator+(double a, Expr b) { return b.full(a) + b; }
inline Expr operator-(double a, Expr b) { return b.full(a) - b; }
inline Expr operator*(double a, Expr b) { return b.full(a) * b; }
inline Expr operator/(double a, Expr b) { return b.full(a) / b; }
inline Expr operator<(Expr a, Expr b) { return a.compare(nn::ComparePredicate::LT, b); }
inline Expr operator<=(Expr a, Expr b) { return a.compare(nn::ComparePredicate::LE, b); }
inline Expr operator>(Expr a, Expr b) { return a.compare(nn::ComparePredicate::GT, b); }
inline Expr operator>=(Expr a, Expr b) { return a.compare(nn::ComparePredicate::GE, b); }
inline Expr operator==(Expr a, Expr b) { return a.compare(nn::ComparePredicate::EQ, b); }
inline Expr operator>(Expr a, double b) { return a > a.full(b); }
inline Expr operator<(Expr a, double b) { return a < a.full(b); }
inline Expr operator==(Expr a, double b) { return a == a.full(b); }

inline Expr exp(Expr x) { return x.make<nn::ExpOp>(); }
inline Expr log(Expr x) { return x.make<nn::LogOp>(); }
inline Expr sqrt(Expr x) { return x.make<nn::SqrtOp>(); }
inline Expr rsqrt(Expr x) { return x.make<nn::RsqrtOp>(); }
inline Expr tanh(Expr x) { return x.make<nn::TanhOp>(); }
inline Expr sin(Expr x) { return x.make<nn::SinOp>(); }
inline Expr cos(Expr x) { return x.make<nn::CosOp>(); }
inline Expr floor(Expr x) { return x.make<nn::FloorOp>(); }
inline Expr pow(Expr x, Expr y) { return x.make<nn::PowOp>(y.value()); }

/// 0, 1, ..., rank - 1.
inline llvm::SmallVector<int64_t> allDims(int64_t rank) {
  llvm::SmallVector<int64_t> dims(rank);
  std::iota(dims.begin(), dims.end(), 0);
  return dims;
}

} // namespace doppel
