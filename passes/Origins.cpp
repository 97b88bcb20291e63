// Finds the operation of a kernel that a message about its results should name.
#include "passes/Origins.h"

#include "dialects/plan/PlanDialect.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace doppel {

/// Whether the operation can make a number that is not finite of numbers that are, and no constant
/// keeps it from that.
static bool canLeaveFinite(Operation &op) {
  auto div = dyn_cast<nn::DivOp>(op);
  if (!div)
    return op.hasTrait<nn::CanLeaveFinite>();
  Value divisor = div.getRhs();
  while (auto broadcast = divisor.getDefiningOp<nn::BroadcastOp>())
    divisor = broadcast.getInput();
  return !matchPattern(divisor, m_Constant());
}

/// Whether the user's spec, not the library, has the operation.
static bool isOfSpec(Location location) {
  if (auto name = dyn_cast<NameLoc>(location))
    return isOfSpec(name.getChildLoc());
  if (auto call = dyn_cast<CallSiteLoc>(location))
    return isOfSpec(call.getCallee());
  auto place = dyn_cast<FileLineColRange>(location);
  return place && !place.getFilename().getValue().starts_with("std/");
}

Location launchLocationOf(nn::FusedOp fused) {
  for (Operation &op : fused.getBody().front()) {
    if (!canLeaveFinite(op) || !isOfSpec(op.getLoc()))
      continue;
    Location origin = op.getLoc();
    if (!isa<NameLoc>(origin))
      origin = NameLoc::get(StringAttr::get(op.getContext(), op.getName().stripDialect()), origin);
    return plan::withOrigin(fused.getLoc(), origin);
  }
  return fused.getLoc();
}

} // namespace doppel
