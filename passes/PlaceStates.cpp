// Lays out the states, which become plan.states.
#include "passes/PlaceStates.h"

#include "dialects/plan/PlanDialect.h"

using namespace mlir;

namespace doppel {

StateLayout placeStates(ModuleOp module, OpBuilder &builder) {
  llvm::StringMap<nn::StateOp> alone;
  for (auto state : module.getOps<nn::StateOp>())
    alone[state.getSymName()] = state;

  llvm::StringMap<nn::StateGroupOp> groupOf;
  for (auto group : module.getOps<nn::StateGroupOp>())
    for (Attribute member : group.getMembers())
      groupOf[cast<SymbolRefAttr>(member).getRootReference()] = group;
  SmallVector<std::pair<nn::StateKind, Operation *>> units;
  DenseSet<Operation *> seen;
  for (auto state : module.getOps<nn::StateOp>()) {
    auto group = groupOf.lookup(state.getSymName());
    Operation *unit = group ? group.getOperation() : state.getOperation();
    if (seen.insert(unit).second)
      units.push_back({group ? group.getKind() : state.getKind(), unit});
  }
  llvm::stable_sort(units, llvm::less_first());

  StateLayout layout;
  int64_t &offset = layout.bytes;
  auto declare = [&](nn::StateOp state, int64_t at) {
    auto type = cast<RankedTensorType>(state.getType());
    layout.places[state.getSymName()] = {at, type};
    plan::StateOp::create(builder, state.getLoc(), state.getSymName(), state.getKind(), at, type);
  };
  SmallVector<Operation *> declared;
  for (auto [kind, unit] : units) {
    if (auto group = dyn_cast<nn::StateGroupOp>(unit)) {
      auto type = cast<RankedTensorType>(group.getType());
      layout.places[group.getSymName()] = {offset, type};
      int64_t element = plan::elementBytes(type.getElementType());
      for (auto [member, first] : llvm::zip(group.getMembers(), group.getOffsets())) {
        nn::StateOp state = alone.lookup(cast<SymbolRefAttr>(member).getRootReference());
        declare(state, offset + first * element);
        declared.push_back(state);
      }
      offset = plan::alignUp(offset + plan::bytesOf(type));
    } else {
      auto state = cast<nn::StateOp>(unit);
      declare(state, offset);
      offset = plan::alignUp(offset + plan::bytesOf(state.getType()));
    }
    declared.push_back(unit);
  }
  DenseSet<Operation *> erased;
  for (Operation *op : declared)
    if (erased.insert(op).second)
      op->erase();
  return layout;
}

} // namespace doppel
