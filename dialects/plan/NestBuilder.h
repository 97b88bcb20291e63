// One nest of a kernel's form: from the values that it stores back to the kernel's arguments.
// Private to this folder; KernelForm.h is what others see.
#pragma once

#include "dialects/plan/KernelForm.h"

#include <map>
#include <optional>
#include <tuple>

namespace doppel::plan {

/// A coordinate of a tensor: affine, plus the value of a node where it is not affine.
struct Coordinate {
  Affine affine;
  int node = -1;
};
using Coordinates = llvm::SmallVector<Coordinate, 4>;

inline llvm::ArrayRef<int64_t> shapeOf(mlir::Value value) {
  return llvm::cast<mlir::ShapedType>(value.getType()).getShape();
}
inline mlir::Type elementOf(mlir::Value value) {
  return llvm::cast<mlir::ShapedType>(value.getType()).getElementType();
}
int64_t product(llvm::ArrayRef<int64_t> sizes);

/// The loops that a reduction runs in, if its dimensions are neighbours.
struct Signature {
  int64_t outer, reduced, inner;
  bool operator==(const Signature &) const = default;
};

std::optional<Signature> signatureOf(nn::ReduceOp reduce);

/// Builds one nest. `evaluate` makes the node of a value at coordinates; where an address needs a
/// loop to be split, `split` is set and the whole nest is built again.
class NestBuilder {
public:
  NestBuilder(mlir::Block &body, LoopNest &nest) : body(body), nest(nest) {}

  mlir::LogicalResult build(llvm::ArrayRef<unsigned> outputs, std::string &error);

private:
  unsigned node(Node node);
  unsigned index(const Coordinate &coordinate);
  unsigned indexOp(NodeKind kind, unsigned operand, int64_t number);
  int guarded(int guard, unsigned condition);
  Affine affine(int64_t offset = 0) const {
    return {llvm::SmallVector<int64_t, 4>(nest.loops.size(), 0), offset};
  }
  Affine linearLoops(bool withReduced) const;
  Coordinate linear(const Coordinates &at, llvm::ArrayRef<int64_t> shape);
  Coordinates delinear(const Coordinate &linear, llvm::ArrayRef<int64_t> shape);
  bool digits(const Affine &linear, llvm::ArrayRef<int64_t> shape, Coordinates &result);

  unsigned evaluate(mlir::Value value, const Coordinates &at, int guard);
  unsigned evaluateOp(mlir::Operation *op, mlir::OpResult result, const Coordinates &at, int guard);
  unsigned load(Node access, const Coordinate &element, int guard);
  unsigned evaluateReduce(nn::ReduceOp reduce, const Coordinates &at);
  unsigned indexValue(mlir::Value indices, const Coordinate &at, int guard);
  unsigned evaluateReshape(nn::ReshapeOp op, const Coordinates &at, int guard);
  unsigned evaluatePad(nn::PadOp op, const Coordinates &at, int guard);
  unsigned evaluateConcat(nn::ConcatOp op, const Coordinates &at, int guard);
  unsigned zero(mlir::Type type);
  unsigned inRange(const Coordinate &coordinate, int64_t limit);

  void buildOnce(llvm::ArrayRef<unsigned> outputs);
  void join();
  void sweep();

  mlir::Block &body;
  LoopNest &nest;
  std::map<std::string, unsigned> known;
  std::map<std::tuple<void *, int, std::string>, unsigned> values;
  std::optional<std::pair<unsigned, int64_t>> split;
  std::string problem;
};

} // namespace doppel::plan
