// Finds the operations that only make new values of states, and of these the ones that wait for the
// commit point.
#include "passes/Updates.h"

#include "dialects/nn/NnDialect.h"
#include "dialects/plan/PlanDialect.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace doppel {

namespace {

/// What is longer is not computed at once anyway: the bound keeps the search linear.
constexpr size_t mostInline = 512;
/// Values this small cost no memory.
constexpr int64_t smallBytes = 4096;
/// A running statistic of a layer is made from two sums in f64 and a mean, five times its bytes; up
/// to here they may wait.
constexpr int64_t statisticBytes = 1 << 16;

/// Whether the value is a state or a part of one, which lies in memory anyway.
bool isState(Value value) {
  while (value.getDefiningOp<nn::ReshapeOp>() || value.getDefiningOp<nn::SliceOp>())
    value = value.getDefiningOp()->getOperand(0);
  return value.getDefiningOp<nn::ReadOp>() != nullptr;
}

/// Whether nothing lies in memory between the operation and what reads it.
bool isInline(Operation *op) {
  return op->hasTrait<OpTrait::Elementwise>() ||
         isa<nn::BroadcastOp, nn::SegmentBroadcastOp, nn::ReshapeOp, nn::ConstantOp,
             nn::RunScalarOp, nn::IotaOp>(op);
}

int64_t bytesOf(Value value) { return std::max<int64_t>(0, plan::bytesOf(value.getType())); }

} // namespace

llvm::DenseSet<Operation *> findUpdates(Block &block) {
  llvm::DenseSet<Operation *> updates;
  for (Operation &op : llvm::reverse(block))
    if (isPure(&op) && !op.hasTrait<OpTrait::IsTerminator>() && !op.use_empty() &&
        llvm::all_of(op.getUsers(), [&](Operation *user) {
          return isa<nn::WriteOp>(user) || updates.contains(user);
        }))
      updates.insert(&op);
  return updates;
}

llvm::DenseSet<Operation *> findLateUpdates(Block &block) {
  llvm::DenseSet<Operation *> updates = findUpdates(block), late;
  llvm::DenseSet<Value> kept; // until the end, by what is late
  for (Operation &op : llvm::reverse(block)) {
    if (!updates.contains(&op) || late.contains(&op) ||
        !llvm::all_of(op.getUsers(), [&](Operation *user) {
          return isa<nn::WriteOp>(user) || late.contains(user);
        }))
      continue;
    // All that is computed with it, and the values in memory that this needs.
    llvm::SmallSetVector<Operation *, 16> computed;
    llvm::SmallSetVector<Value, 8> needed;
    computed.insert(&op);
    int64_t made = 0, most = 0, keeps = 0;
    for (Value result : op.getResults()) {
      int64_t bytes = bytesOf(result);
      made += bytes;
      most += bytes <= statisticBytes ? 5 * bytes : bytes;
    }
    for (size_t i = 0; i < computed.size() && computed.size() <= mostInline; ++i)
      for (Value operand : computed[i]->getOperands()) {
        Operation *maker = operand.getDefiningOp();
        if (maker && updates.contains(maker) && isInline(maker) && !isState(operand))
          computed.insert(maker);
        else if (!isState(operand) && !kept.contains(operand) && needed.insert(operand) &&
                 bytesOf(operand) > std::max(smallBytes, made / 16))
          keeps += bytesOf(operand);
      }
    if (computed.size() > mostInline || keeps > most)
      continue;
    kept.insert(needed.begin(), needed.end());
    // An operand may have other readers that wait to be looked at: it is late when they are.
    for (Operation *each : computed)
      if (each == &op || llvm::all_of(each->getUsers(), [&](Operation *user) {
            return isa<nn::WriteOp>(user) || late.contains(user);
          }))
        late.insert(each);
  }
  return late;
}

} // namespace doppel
