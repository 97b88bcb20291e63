// Reads, writes and sharing of memory in the plan dialect.
#include "passes/PlanEffects.h"

#include "llvm/ADT/TypeSwitch.h"

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

plan::AllocOp allocationOf(Value buffer) {
  while (auto view = buffer.getDefiningOp<plan::ViewOp>())
    buffer = view.getSource();
  return buffer.getDefiningOp<plan::AllocOp>();
}

bool isInstruction(Operation *op) {
  return !isa<plan::BufferOp, plan::AllocOp, plan::ViewOp>(op);
}

Effects effectsOf(Operation *instruction) {
  Effects effects;
  llvm::TypeSwitch<Operation *>(instruction)
      .Case<plan::LaunchOp, plan::CallOp>([&](auto op) {
        llvm::append_range(effects.reads, op.getInputs());
        llvm::append_range(effects.writes, op.getOutputs());
      })
      .Case<plan::CopyOp>([&](plan::CopyOp op) {
        effects.reads.push_back(op.getSource());
        effects.writes.push_back(op.getTarget());
      })
      .Case<plan::CollectiveOp>([&](plan::CollectiveOp op) {
        effects.reads.push_back(op.getInput());
        effects.writes.push_back(op.getOutput());
      })
      .Case<plan::CheckOp, plan::OutputOp>([&](auto op) { effects.reads.push_back(op.getBuffer()); })
      .Case<plan::InputOp>([&](plan::InputOp op) { effects.writes.push_back(op.getBuffer()); });
  return effects;
}

/// The elements of `a` and `b` are the same at every point of the loops.
static bool sameAccess(const plan::Affine &a, const plan::Affine &b) {
  return a.offset == b.offset && a.strides == b.strides;
}

bool KernelAliasing::mayShare(plan::LaunchOp launch, unsigned input, unsigned output) {
  auto kernel = symbols.lookup<plan::KernelOp>(launch.getKernel());
  if (kernel.getKind() == nn::KernelKind::Augment)
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
    auto storesOutput = [&](const plan::Store &store) { return store.output == output; };
    bool storesHere = llvm::any_of(nest.stores, storesOutput);
    bool isRing = nest.ringQueue == int(input);
    for (const plan::Node &node : nest.nodes) {
      if (node.kind != plan::NodeKind::Load || node.number != int64_t(input))
        continue;
      // Another nest may run later than the store; a reduction may read elements that another point has overwritten.
      bool pointwise = nest.kind == plan::NestKind::Map || nest.kind == plan::NestKind::Segment ||
                       nest.kind == plan::NestKind::Scatter;
      if (!storesHere || !pointwise || isRing || !node.operands.empty())
        return false;
      for (const plan::Store &store : nest.stores)
        if (store.output == output &&
            (store.dynamic >= 0 || !sameAccess(store.access, node.access)))
          return false;
    }
    // The ring must be the output's own: a queue's other rows are kept where they are.
    if (storesHere && nest.kind != plan::NestKind::Scatter)
      for (const plan::Store &store : nest.stores)
        if (store.output == output && store.dynamic >= 0 && !isRing)
          return false;
    if (isRing && !storesHere)
      return false;
    stored |= storesHere;
  }
  return stored;
}

} // namespace doppel
