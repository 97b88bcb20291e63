// Builds the form of a kernel: groups the yielded values into nests, lets NestBuilder make each,
// and cuts them into workgroups.
#include "dialects/plan/NestBuilder.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace doppel;
using namespace doppel::plan;

namespace {

/// Elements of the kernel's work that make a workgroup worth its start.
constexpr int64_t groupElements = 16384;

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

/// Cuts a nest into workgroups. A function of the nest alone: no count of threads, no machine.
void tile(LoopNest &nest) {
  int64_t outer = nest.extent(LoopRole::Outer), reduced = nest.extent(LoopRole::Reduced),
          inner = nest.extent(LoopRole::Inner);
  auto cut = [](int64_t size, int64_t perGroup, int64_t &per, int64_t &groups) {
    per = std::clamp<int64_t>(perGroup, 1, std::max<int64_t>(size, 1));
    groups = llvm::divideCeil(size, per);
  };
  switch (nest.kind) {
  case NestKind::Map: {
    // Rows are all loops but the last, which is cut only where it is long.
    int64_t last = nest.loops.empty() ? 1 : nest.loops.back().size;
    cut(last, last >= 2 * groupElements ? groupElements : last, nest.innerPerGroup,
        nest.innerGroups);
    cut(outer / last, groupElements / nest.innerPerGroup, nest.outerPerGroup, nest.outerGroups);
    break;
  }
  case NestKind::Reduce:
    if (inner == 1) {
      cut(outer, groupElements / reduced, nest.outerPerGroup, nest.outerGroups);
    } else {
      cut(inner, reduced * inner >= 2 * groupElements ? 256 : inner, nest.innerPerGroup,
          nest.innerGroups);
      cut(outer, groupElements / (reduced * nest.innerPerGroup), nest.outerPerGroup,
          nest.outerGroups);
      // A reduction that is one of many is long already; to cut its columns would only make its
      // rows short. Several inner loops that did not join are not cut either.
      bool oneInner = llvm::count_if(nest.loops, [](const Loop &loop) {
                        return loop.role == LoopRole::Inner;
                      }) == 1;
      if ((outer >= 16 || !oneInner) && nest.innerGroups > 1)
        cut(inner, inner, nest.innerPerGroup, nest.innerGroups);
    }
    break;
  case NestKind::Segment:
    cut(outer, groupElements, nest.outerPerGroup, nest.outerGroups);
    break;
  case NestKind::SegmentSum:
    cut(outer, 1, nest.outerPerGroup, nest.outerGroups);
    break;
  case NestKind::Scatter:
    cut(outer, std::max<int64_t>(groupElements / inner, llvm::divideCeil(outer, 64)),
        nest.outerPerGroup, nest.outerGroups);
    break;
  }
  nest.groups = nest.outerGroups * nest.innerGroups;
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
    tile(nest);
    form.grid += nest.groups;
  }
  return form;
}

FailureOr<KernelGrid> plan::gridOf(nn::KernelKind kind, Block &body) {
  if (kind == nn::KernelKind::Augment) {
    int64_t grid = 1, scratch = 0;
    body.walk([&](nn::AugmentOp augment) {
      ArrayRef<int64_t> shape = shapeOf(augment.getResult());
      grid = shape[0];
      scratch = augmentScratchBytes(augment);
    });
    return KernelGrid{grid, scratch};
  }
  FailureOr<KernelForm> form = buildKernelForm(body);
  if (failed(form))
    return failure();
  return KernelGrid{form->grid, 0};
}

int64_t plan::augmentScratchBytes(nn::AugmentOp augment) {
  int64_t size = shapeOf(augment.getResult())[1], taps = 1;
  for (auto stage : augment.getPipeline().getAsRange<nn::StageAttr>())
    if (stage.getTransform() == nn::Transform::GaussianBlur)
      taps = std::max(taps, stage.getInteger("kernel"));
  int64_t row = llvm::alignTo(size, 16), plane = llvm::alignTo(size * size, 16);
  return int64_t(sizeof(float)) * (6 * plane + 10 * row + 2 * llvm::alignTo(taps, 16) + 64);
}

bool plan::usesRun(Block &body) {
  return body
      .walk([](Operation *op) {
        return op->hasTrait<nn::ReadsRun>() ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}
