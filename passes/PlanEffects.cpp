// Ranges of bytes and the planner's rule of sharing.
#include "passes/PlanEffects.h"

#include "passes/VerifySharing.h"

using namespace mlir;

namespace doppel {

MemoryRange rangeOf(Value buffer) {
  int64_t offset = 0, bytes = plan::bytesOf(buffer.getType());
  while (auto view = buffer.getDefiningOp<plan::ViewOp>()) {
    offset += view.getOffset();
    buffer = view.getSource();
  }
  if (auto placed = buffer.getDefiningOp<plan::BufferOp>()) {
    offset += placed.getOffset();
    return {placed.getArenaAttr().getAttr().getAsOpaquePointer(), offset, offset + bytes};
  }
  return {buffer.getDefiningOp(), offset, offset + bytes};
}

static Operation *definitionOf(Value buffer) {
  while (auto view = buffer.getDefiningOp<plan::ViewOp>())
    buffer = view.getSource();
  return buffer.getDefiningOp();
}

plan::AllocOp allocationOf(Value buffer) { return dyn_cast<plan::AllocOp>(definitionOf(buffer)); }

plan::BufferOp bufferOf(Value buffer) { return dyn_cast<plan::BufferOp>(definitionOf(buffer)); }

/// The elements of `a` and `b` are the same at every point of the loops.
static bool sameAccess(const plan::Affine &a, const plan::Affine &b) {
  return a.offset == b.offset && a.strides == b.strides;
}

/// Marks the nodes that `node` is computed from, itself included.
static void markCone(const plan::LoopNest &nest, unsigned node, std::vector<bool> &cone) {
  if (cone[node])
    return;
  cone[node] = true;
  for (unsigned operand : nest.nodes[node].operands)
    markCone(nest, operand, cone);
  if (nest.nodes[node].guard >= 0)
    markCone(nest, nest.nodes[node].guard, cone);
}

/// Whether nothing of the nest comes after the store at its point of the outer and inner loops, but
/// stores that were computed with it: in a reduction, the store stands behind all sweeps or in the
/// last one.
static bool comesLast(const plan::LoopNest &nest, const plan::Store &store) {
  if (nest.kind != plan::NestKind::Reduce)
    return nest.kind == plan::NestKind::Map || nest.kind == plan::NestKind::Segment;
  bool everyPoint = false;
  for (auto [loop, stride] : llvm::zip(nest.loops, store.access.strides))
    everyPoint |= loop.role == plan::LoopRole::Reduced && stride != 0;
  return !everyPoint || nest.nodes[store.node].level == nest.sweeps;
}

/// Whether every load of `input` in the nest is of the element that `output` gets at the same
/// point, and is made for that store: a store may come before the values of other outputs are
/// computed.
static bool updatesInPlace(const plan::LoopNest &nest, unsigned input, unsigned output) {
  SmallVector<const plan::Store *> stores;
  for (const plan::Store &store : nest.stores)
    if (store.output == output)
      stores.push_back(&store);
  // A scatter first keeps the table's row, then stores the rows that are new.
  bool scatters = nest.kind == plan::NestKind::Scatter && stores.size() == 2;
  if (!scatters && (stores.size() != 1 || !comesLast(nest, *stores.front())))
    return false;
  std::vector<bool> cone(nest.nodes.size());
  markCone(nest, stores.front()->node, cone);
  std::vector<bool> added(nest.nodes.size());
  if (scatters)
    markCone(nest, stores.back()->node, added);
  for (auto [number, node] : llvm::enumerate(nest.nodes)) {
    if (node.kind != plan::NodeKind::Load || node.number != int64_t(input))
      continue;
    if (!cone[number] || added[number] || !node.operands.empty() || stores.front()->dynamic >= 0 ||
        !sameAccess(stores.front()->access, node.access))
      return false;
  }
  return true;
}

static bool loads(const plan::LoopNest &nest, unsigned input) {
  return llvm::any_of(nest.nodes, [&](const plan::Node &node) {
    return node.kind == plan::NodeKind::Load && node.number == int64_t(input);
  });
}

bool KernelAliasing::mayShare(plan::LaunchOp launch, unsigned input, unsigned output) {
  auto kernel = symbols.lookup<plan::KernelOp>(launch.getKernel());
  if (kernel.getKind() == nn::KernelKind::Augment || !mayOverwrite(kernel, input, output))
    return false;
  Block &body = kernel.getBody().front();
  if (input >= body.getNumArguments())
    return false; // the run's scalars
  auto type = [](Value value) { return dyn_cast<RankedTensorType>(value.getType()); };
  RankedTensorType from = type(body.getArgument(input));
  RankedTensorType to = type(body.getTerminator()->getOperand(output));
  if (!from || !to || from.getNumElements() != to.getNumElements() ||
      plan::elementBytes(from.getElementType()) != plan::elementBytes(to.getElementType()))
    return false;

  std::unique_ptr<plan::KernelForm> &form = forms[kernel];
  if (!form) {
    FailureOr<plan::KernelForm> built = plan::buildKernelForm(body, /*diagnose=*/false);
    form = std::make_unique<plan::KernelForm>(succeeded(built) ? std::move(*built)
                                                               : plan::KernelForm());
  }
  bool stored = false;
  for (const plan::LoopNest &nest : form->nests) {
    bool storesHere =
        llvm::any_of(nest.stores, [&](const plan::Store &store) { return store.output == output; });
    bool dynamic = llvm::any_of(nest.stores, [&](const plan::Store &store) {
      return store.output == output && store.dynamic >= 0;
    });
    if (nest.ringQueue == int(input)) {
      // The rows that an enqueue does not write stay where they are, if nobody else asks for the
      // queue.
      if (!dynamic || loads(nest, input))
        return false;
    } else if (dynamic && nest.ringQueue >= 0) {
      return false;
    } else if (loads(nest, input) && (!storesHere || !updatesInPlace(nest, input, output))) {
      return false; // another nest may run later than the store
    }
    stored |= storesHere;
  }
  return stored;
}

} // namespace doppel
