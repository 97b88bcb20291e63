// Facts about single operations, for fusion.
#include "passes/FuseAnalysis.h"

using namespace mlir;

namespace doppel {

std::optional<ReduceLoops> reduceLoopsOf(nn::ReduceOp reduce) {
  ReduceLoops loops;
  for (auto [d, size] : llvm::enumerate(cast<ShapedType>(reduce.getInput().getType()).getShape())) {
    if (size == 1)
      continue;
    if (!llvm::is_contained(reduce.getDims(), int64_t(d))) {
      (loops.reduced == 1 ? loops.outer : loops.inner) *= size;
      continue;
    }
    if (loops.inner != 1)
      return std::nullopt;
    loops.reduced *= size;
  }
  return loops;
}

bool isView(Operation *op) {
  if (auto slice = dyn_cast<nn::SliceOp>(op))
    return slice.getFirstElement().has_value();
  return isa<nn::ReshapeOp>(op);
}

bool isPlacedConcat(Operation *op) {
  if (auto concat = dyn_cast<nn::ConcatOp>(op))
    return concat.getAxis() == 0;
  return isa<nn::PackOp>(op);
}

bool isFusible(Operation *op) { return op->hasTrait<nn::Fusible>() && !isPlacedConcat(op); }

bool alwaysMade(Operation *op) { return isa<nn::ReduceOp>(op) || op->hasTrait<nn::OwnKernel>(); }

bool isHoistable(nn::BroadcastOp broadcast) {
  ArrayRef<int64_t> from = broadcast.getInput().getType().getShape(),
                    to = broadcast.getResult().getType().getShape();
  int64_t lastKept = -1, firstRepeated = to.size();
  for (auto [d, dim] : llvm::enumerate(broadcast.getDims()))
    if (from[d] != 1)
      lastKept = std::max(lastKept, dim);
  for (int64_t dim = int64_t(to.size()) - 1; dim >= 0; --dim) {
    auto place = llvm::find(broadcast.getDims(), dim);
    bool kept =
        place != broadcast.getDims().end() && from[place - broadcast.getDims().begin()] == to[dim];
    if (!kept && to[dim] != 1)
      firstRepeated = dim;
  }
  return lastKept < firstRepeated;
}

int64_t elementsOf(Value value) {
  auto type = dyn_cast<ShapedType>(value.getType());
  return type ? type.getNumElements() : 0;
}

int64_t bytesOf(Value value) {
  auto type = dyn_cast<ShapedType>(value.getType());
  return type ? type.getNumElements() * llvm::divideCeil(type.getElementTypeBitWidth(), 8) : 0;
}

} // namespace doppel
