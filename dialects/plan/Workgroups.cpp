// Cuts nests of loops into workgroups.
#include "dialects/plan/Workgroups.h"

#include "dialects/plan/NestBuilder.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace doppel;
using namespace doppel::plan;

static void cut(LoopNest &nest, const Machine &machine) {
  int64_t outer = nest.extent(LoopRole::Outer), reduced = nest.extent(LoopRole::Reduced),
          inner = nest.extent(LoopRole::Inner);
  // A small kernel has smaller workgroups, so that all of the machine has some; each is a multiple
  // of the least, so that all begin at whole vectors.
  int64_t elements = std::clamp<int64_t>(
      llvm::alignTo(outer * reduced * inner / machine.fullGroups, machine.leastGroupElements),
      machine.leastGroupElements, machine.groupElements);
  auto cut = [](int64_t size, int64_t perGroup, int64_t &per, int64_t &groups) {
    per = std::clamp<int64_t>(perGroup, 1, std::max<int64_t>(size, 1));
    groups = llvm::divideCeil(size, per);
  };
  switch (nest.kind) {
  case NestKind::Map: {
    // Rows are all loops but the last, which is cut only where it is long.
    int64_t last = nest.loops.empty() ? 1 : nest.loops.back().size;
    cut(last, last >= 2 * elements ? elements : last, nest.innerPerGroup, nest.innerGroups);
    cut(outer / last, elements / nest.innerPerGroup, nest.outerPerGroup, nest.outerGroups);
    break;
  }
  case NestKind::Reduce:
    if (inner == 1) {
      cut(outer, elements / reduced, nest.outerPerGroup, nest.outerGroups);
    } else {
      cut(inner, reduced * inner >= 2 * elements ? machine.groupColumns : inner, nest.innerPerGroup,
          nest.innerGroups);
      cut(outer, elements / (reduced * nest.innerPerGroup), nest.outerPerGroup, nest.outerGroups);
      // A reduction that is one of many is long already; to cut its columns would only make its
      // rows short.
      bool oneInner = llvm::count_if(nest.loops, [](const Loop &loop) {
                        return loop.role == LoopRole::Inner;
                      }) == 1;
      if ((outer >= machine.enoughReductions || !(oneInner || machine.cutsSeveralLoops)) &&
          nest.innerGroups > 1)
        cut(inner, inner, nest.innerPerGroup, nest.innerGroups);
    }
    break;
  case NestKind::Segment:
    cut(outer, elements, nest.outerPerGroup, nest.outerGroups);
    break;
  case NestKind::SegmentSum:
    cut(outer, 1, nest.outerPerGroup, nest.outerGroups);
    break;
  case NestKind::Scatter:
    cut(outer, std::max<int64_t>(elements / inner, llvm::divideCeil(outer, machine.scatterGroups)),
        nest.outerPerGroup, nest.outerGroups);
    break;
  }
  nest.groups = nest.outerGroups * nest.innerGroups;
}

void plan::cutIntoWorkgroups(KernelForm &form, const Machine &machine) {
  form.grid = 0;
  for (LoopNest &nest : form.nests) {
    cut(nest, machine);
    form.grid += nest.groups;
  }
}

FailureOr<KernelGrid> plan::gridOf(nn::KernelKind kind, Block &body, const Machine &machine) {
  if (kind == nn::KernelKind::Augment) {
    KernelGrid result{1, 0};
    body.walk([&](nn::AugmentOp augment) {
      // Each has scratch memory, so no more of them than run at once; they take views in turn.
      int64_t views = std::min(shapeOf(augment.getResult())[0], machine.fullGroups);
      result = {std::max(result.grid, views),
                std::max(result.scratchBytes, machine.augmentScratchBytes(augment))};
    });
    return result;
  }
  FailureOr<KernelForm> form = buildKernelForm(body);
  if (failed(form))
    return failure();
  cutIntoWorkgroups(*form, machine);
  return KernelGrid{form->grid, 0};
}
