// Says of each operation that sums products what its operands may be rounded to. Before autodiff,
// so that a derivative has the precision of what it is the derivative of.
#include "dialects/nn/NnDialect.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_MIXEDPRECISION
#include "passes/Passes.h.inc"

namespace {

struct MixedPrecision : impl::MixedPrecisionBase<MixedPrecision> {
  using MixedPrecisionBase::MixedPrecisionBase;

  void runOnOperation() override {
    std::optional<nn::Precision> wanted = nn::symbolizePrecision(precision);
    if (!wanted || *wanted == nn::Precision::BF16) {
      getOperation().emitError() << "'" << precision << "' is no precision; there are f32 and tf32";
      return signalPassFailure();
    }
    if (*wanted == nn::Precision::F32)
      return markAllAnalysesPreserved();
    getOperation().walk([&](Operation *op) {
      if (op->hasTrait<nn::SumsProducts>())
        nn::setPrecision(op, *wanted);
    });
  }
};

} // namespace
} // namespace doppel
