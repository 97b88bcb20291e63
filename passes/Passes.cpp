// Registration of the passes.
#include "passes/Passes.h"

#include "passes/Pipelines.h"

namespace doppel {

#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

void registerPasses() {
  registerDoppelPasses();
  registerPipelines();
}

} // namespace doppel
