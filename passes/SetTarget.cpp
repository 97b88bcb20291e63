// Gives the module its target, from the text that --target takes. Processors have no features then:
// the commands, which know LLVM's tables, set the attribute themselves.
#include "dialects/plan/Target.h"
#include "passes/Passes.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_SETTARGET
#include "passes/Passes.h.inc"

namespace {

struct SetTarget : impl::SetTargetBase<SetTarget> {
  using SetTargetBase::SetTargetBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    std::string error;
    std::optional<plan::TargetName> name = plan::parseTarget(target, error);
    if (!name) {
      module.emitError(error);
      return signalPassFailure();
    }
    plan::TargetAttr wanted = plan::targetAttrOf(&getContext(), *name);
    if (plan::TargetAttr old = plan::findTarget(module); old && old != wanted) {
      module.emitError() << "the module has the target " << old << " already, not " << wanted;
      return signalPassFailure();
    }
    plan::setTarget(module, wanted);
  }
};

} // namespace
} // namespace doppel
