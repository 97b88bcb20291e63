// The postcondition of each phase (dialects/nn/README.md has them as a table). A violation is a bug
// of a pass: the message names the phase and the operation that should be gone, so that a late and
// cryptic failure becomes an early one.
#include "dialects/plan/Machine.h"
#include "dialects/ssl/SslDialect.h"
#include "passes/Passes.h"
#include "passes/Pipelines.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_VERIFYPHASE
#include "passes/Passes.h.inc"

namespace {

/// What may stand in a function of the `fused` phase beside fused regions: calls of libraries and
/// of other ranks, states, and what only names parts of buffers.
bool isAllowedBesideKernels(Operation *op) {
  return op->hasTrait<nn::LibraryCall>() || op->hasTrait<nn::Collective>() ||
         op->hasTrait<nn::Layout>() ||
         isa<nn::FusedOp, nn::ReadOp, nn::WriteOp, nn::CheckFiniteOp, func::ReturnOp>(op);
}

class Verifier {
public:
  Verifier(ModuleOp module, Phase phase) : module(module), phase(phase) {}

  LogicalResult run() {
    if (phase >= Phase::Fused && !plan::findTarget(module))
      return report(module) << "has no plan.target";
    for (auto group : module.getOps<nn::StateGroupOp>())
      for (auto member : group.getMembers().getAsRange<FlatSymbolRefAttr>())
        members.insert(member.getValue());
    for (Operation &op : module.getBodyRegion().front())
      if (failed(verifyTopLevel(&op)))
        return failure();
    return success();
  }

private:
  InFlightDiagnostic report(Operation *op) {
    return op->emitError() << "phase '" << getPhase(phase).name << "': '" << op->getName() << "' ";
  }

  LogicalResult verifyTopLevel(Operation *op) {
    if (isa_and_nonnull<ssl::SslDialect>(op->getDialect()))
      return report(op) << "belongs to the phase 'ssl'";
    if (phase == Phase::Plan)
      return verifyPlan(op);
    if (isa<plan::PlanDialect>(op->getDialect()))
      return report(op) << "belongs to the phase 'plan'";
    if (auto function = dyn_cast<func::FuncOp>(op))
      return verifyFunction(function);
    return success();
  }

  LogicalResult verifyPlan(Operation *op) {
    if (isa<func::FuncOp>(op))
      return report(op) << "should be a plan.func";
    if (!isa<plan::FuncOp>(op))
      return success();
    WalkResult tensors = op->walk([&](Operation *inner) {
      if (!isa<nn::NnDialect>(inner->getDialect()))
        return WalkResult::advance();
      report(inner) << "should be an instruction";
      return WalkResult::interrupt();
    });
    return failure(tensors.wasInterrupted());
  }

  LogicalResult verifyFunction(func::FuncOp function) {
    if (!llvm::hasSingleElement(function.getBody()))
      return report(function) << "has more than one block";
    for (Operation &op : function.getBody().front()) {
      if (!isa<nn::NnDialect, func::FuncDialect>(op.getDialect()))
        return report(&op) << "is not of nn";
      if (phase >= Phase::Train && op.hasTrait<nn::GoneInTrain>())
        return report(&op) << "should be lowered";
      if (phase == Phase::Fused && !isAllowedBesideKernels(&op))
        return report(&op) << "should be in a kernel";
      if (phase == Phase::Fused && nn::precisionOf(&op) == nn::Precision::TF32 &&
          !plan::machineOf(plan::findTarget(module)).roundsToTf32)
        return report(&op) << "has the precision tf32, which the target lacks";
    }
    return phase >= Phase::Train ? verifyStates(function) : success();
  }

  /// Reads first, writes last, one of each for a state, and none of a group's member.
  LogicalResult verifyStates(func::FuncOp function) {
    llvm::StringSet<> read, written;
    bool readsOver = false;
    for (Operation &op : function.getBody().front()) {
      if (auto access = dyn_cast<nn::ReadOp>(op)) {
        if (readsOver)
          return report(&op) << "stands behind other operations";
        if (failed(verifyAccess(&op, access.getState(), read)))
          return failure();
      } else if (auto access = dyn_cast<nn::WriteOp>(op)) {
        if (failed(verifyAccess(&op, access.getState(), written)))
          return failure();
      } else if (!written.empty() && !isa<func::ReturnOp>(op)) {
        return report(&op) << "stands behind a write";
      }
      // Constants are moved to the front by the canonicalizer.
      readsOver |= !isa<nn::ReadOp, nn::ConstantOp>(op);
    }
    return success();
  }

  LogicalResult verifyAccess(Operation *op, StringRef state, llvm::StringSet<> &seen) {
    if (members.contains(state))
      return report(op) << "accesses '" << state << "', which is a member of a group";
    if (!seen.insert(state).second)
      return report(op) << "accesses '" << state << "' a second time";
    return success();
  }

  ModuleOp module;
  Phase phase;
  llvm::StringSet<> members;
};

struct VerifyPhase : impl::VerifyPhaseBase<VerifyPhase> {
  using VerifyPhaseBase::VerifyPhaseBase;

  void runOnOperation() override {
    std::optional<Phase> known = findPhase(phase);
    if (!known || *known == Phase::Ssl) {
      getOperation().emitError() << "nn-verify-phase: there is no postcondition of a phase '"
                                 << phase << "'";
      return signalPassFailure();
    }
    markAllAnalysesPreserved();
    if (failed(Verifier(getOperation(), *known).run()))
      signalPassFailure();
  }
};

} // namespace
} // namespace doppel
