#include "codegen/cuda/Disjoint.h"

using namespace doppel;

namespace {

/// [begin, end) of an arena.
struct Range {
  mlir::StringAttr arena;
  int64_t begin, end;
  bool overlaps(const Range &other) const {
    return arena == other.arena && begin < other.end && other.begin < end;
  }
};

Range rangeOf(mlir::Value buffer) {
  auto place = buffer.getDefiningOp<plan::BufferOp>();
  int64_t begin = place.getOffset();
  return {place.getArenaAttr().getAttr(), begin, begin + plan::bytesOf(buffer.getType())};
}

} // namespace

cuda::DisjointBuffers cuda::disjointBuffers(mlir::ModuleOp module) {
  DisjointBuffers result;
  module.walk([&](plan::LaunchOp launch) {
    llvm::SmallVector<Range> ranges;
    for (mlir::Value input : launch.getInputs())
      ranges.push_back(rangeOf(input));
    size_t inputs = ranges.size();
    for (mlir::Value output : launch.getOutputs())
      ranges.push_back(rangeOf(output));
    auto &disjoint = result[launch.getKernel()];
    disjoint.resize(ranges.size(), true);
    for (size_t i = 0; i < ranges.size(); ++i)
      for (size_t written = inputs; written < ranges.size(); ++written)
        if (written != i && ranges[i].overlaps(ranges[written]))
          disjoint[i] = disjoint[written] = false;
  });
  return result;
}
