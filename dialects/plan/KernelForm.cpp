// Builds the form of a kernel: groups the yielded values into nests and lets NestBuilder make each.
#include "dialects/plan/NestBuilder.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace doppel;
using namespace doppel::plan;

namespace {

/// What the cone of a yielded value asks of its nest.
struct Cone {
  std::optional<Signature> signature;
  nn::SegmentBroadcastOp segments;
  bool mixed = false;
};

Cone coneOf(Value value) {
  Cone cone;
  SetVector<Operation *> work;
  if (Operation *op = value.getDefiningOp())
    work.insert(op);
  for (size_t i = 0; i < work.size(); ++i) {
    if (auto reduce = dyn_cast<nn::ReduceOp>(work[i])) {
      std::optional<Signature> signature = signatureOf(reduce);
      cone.mixed |= !signature || (cone.signature && *cone.signature != *signature);
      cone.signature = signature;
    }
    if (auto segments = dyn_cast<nn::SegmentBroadcastOp>(work[i])) {
      cone.mixed |= cone.segments && (cone.segments.getOffsets() != segments.getOffsets() ||
                                      cone.segments.getSizes() != segments.getSizes());
      cone.segments = segments;
    }
    for (Value operand : work[i]->getOperands())
      if (Operation *op = operand.getDefiningOp())
        work.insert(op);
  }
  return cone;
}

/// The pieces of a packed vector of `size` elements: its segments and the gaps between.
std::vector<Piece> piecesOf(ArrayRef<int64_t> offsets, ArrayRef<int64_t> sizes, int64_t size) {
  std::vector<Piece> segments, pieces;
  for (auto [i, offset] : llvm::enumerate(offsets))
    segments.push_back({offset, offset + sizes[i], int64_t(i)});
  llvm::stable_sort(segments, [](const Piece &a, const Piece &b) { return a.start < b.start; });
  int64_t at = 0;
  for (const Piece &segment : segments) {
    if (segment.start > at)
      pieces.push_back({at, segment.start, -1});
    pieces.push_back(segment);
    at = segment.end;
  }
  if (at < size)
    pieces.push_back({at, size, -1});
  return pieces;
}

} // namespace

int64_t LoopNest::extent(LoopRole role) const {
  int64_t result = 1;
  for (const Loop &loop : loops)
    if (loop.role == role)
      result *= loop.size;
  return result;
}

FailureOr<KernelForm> plan::buildKernelForm(Block &body, bool diagnose) {
  auto yield = cast<nn::YieldOp>(body.getTerminator());
  KernelForm form;
  SmallVector<SmallVector<unsigned>> outputsOf;
  SmallVector<Cone> cones;
  auto fail = [&](Location location, const Twine &why) {
    if (diagnose)
      emitError(location) << "a kernel cannot be made: " << why;
    return failure();
  };
  auto addNest = [&](NestKind kind, ArrayRef<Loop> loops, Location location,
                     unsigned output) -> LoopNest & {
    LoopNest &nest = form.nests.emplace_back();
    nest.kind = kind;
    nest.loops.assign(loops.begin(), loops.end());
    nest.location = location;
    outputsOf.push_back({output});
    return nest;
  };

  // Values with reductions first: they say what the loops are, which others may join.
  SmallVector<std::pair<unsigned, Value>> later;
  for (auto [output, value] : llvm::enumerate(yield.getValues())) {
    Cone cone = coneOf(value);
    if (cone.mixed)
      return fail(value.getLoc(), "its reductions or segments are of different kinds");
    if (auto scatter = value.getDefiningOp<nn::ScatterRowsOp>()) {
      ArrayRef<int64_t> shape = shapeOf(value);
      LoopNest &nest = addNest(NestKind::Scatter,
                               {{shape[0], LoopRole::Outer},
                                {shapeOf(scatter.getIndices())[0], LoopRole::Reduced},
                                {product(shape.drop_front()), LoopRole::Inner}},
                               value.getLoc(), output);
      nest.special = scatter;
      continue;
    }
    if (auto sum = value.getDefiningOp<nn::SegmentSumOp>()) {
      int64_t longest = 1;
      for (int64_t size : sum.getSizes())
        longest = std::max(longest, size);
      LoopNest &nest = addNest(NestKind::SegmentSum,
                               {{shapeOf(value)[0], LoopRole::Outer}, {longest, LoopRole::Reduced}},
                               value.getLoc(), output);
      nest.special = sum;
      for (auto [i, offset] : llvm::enumerate(sum.getOffsets()))
        nest.pieces.push_back({offset, offset + sum.getSizes()[i], int64_t(i)});
      continue;
    }
    if (!cone.signature) {
      later.push_back({unsigned(output), value});
      continue;
    }
    Signature s = *cone.signature;
    bool joined = false;
    for (auto [nest, outputs] : llvm::zip_equal(form.nests, outputsOf)) {
      if (nest.kind == NestKind::Reduce &&
          s == Signature{nest.loops[0].size, nest.loops[1].size, nest.loops[2].size}) {
        outputs.push_back(output);
        joined = true;
        break;
      }
    }
    if (!joined)
      addNest(
          NestKind::Reduce,
          {{s.outer, LoopRole::Outer}, {s.reduced, LoopRole::Reduced}, {s.inner, LoopRole::Inner}},
          value.getLoc(), output);
  }
  for (auto [output, value] : later) {
    Cone cone = coneOf(value);
    auto ring = value.getDefiningOp<nn::EnqueueOp>();
    int64_t elements = product(shapeOf(ring ? ring.getRows() : value));
    bool joined = false;
    for (auto [nest, outputs] : llvm::zip_equal(form.nests, outputsOf)) {
      bool fits = false;
      if (nest.kind == NestKind::Reduce && !cone.segments)
        fits = elements == nest.extent(LoopRole::Outer) * nest.extent(LoopRole::Reduced) *
                               nest.extent(LoopRole::Inner);
      else if (nest.kind == NestKind::Map && !cone.segments)
        fits = elements == nest.extent(LoopRole::Outer);
      else if (nest.kind == NestKind::Segment)
        fits = elements == nest.extent(LoopRole::Outer) &&
               (!cone.segments || nest.pieces == piecesOf(cone.segments.getOffsets(),
                                                          cone.segments.getSizes(), elements));
      if (fits) {
        outputs.push_back(output);
        joined = true;
        break;
      }
    }
    if (joined)
      continue;
    LoopNest &nest = addNest(cone.segments ? NestKind::Segment : NestKind::Map,
                             {{elements, LoopRole::Outer}}, value.getLoc(), output);
    if (cone.segments)
      nest.pieces = piecesOf(cone.segments.getOffsets(), cone.segments.getSizes(), elements);
  }

  for (auto [nest, outputs] : llvm::zip_equal(form.nests, outputsOf)) {
    for (unsigned output : outputs)
      if (auto ring = yield.getValues()[output].getDefiningOp<nn::EnqueueOp>()) {
        auto queue = dyn_cast<BlockArgument>(ring.getQueue());
        if (!queue)
          return fail(ring.getLoc(), "the queue is no input of it");
        nest.ringQueue = queue.getArgNumber();
        nest.special = ring;
      }
    std::string error;
    if (failed(NestBuilder(body, nest).build(outputs, error)))
      return fail(Location(nest.location), error);
  }
  return form;
}

bool plan::usesRun(Block &body) {
  return body
      .walk([](Operation *op) {
        return op->hasTrait<nn::ReadsRun>() ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}
