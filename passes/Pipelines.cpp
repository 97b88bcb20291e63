// The phase table and the pipeline of each phase. Each ends with the verifier of its postcondition.
#include "passes/Pipelines.h"

#include "passes/Passes.h"

#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace doppel {

static void addVerifier(OpPassManager &manager, StringRef phase) {
  manager.addPass(createVerifyPhase({phase.str()}));
}

/// ssl -> step: the method becomes functions over tensors.
static void buildStep(OpPassManager &manager, const PipelineOptions &options) {
  manager.addPass(createCheckMethod());
  manager.addPass(createSslToStep());
  manager.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  manager.addNestedPass<func::FuncOp>(createCSEPass());
  addVerifier(manager, "step");
}

/// step -> train: gradients, optimizers and averages, still functional.
static void buildTrain(OpPassManager &manager, const PipelineOptions &options) {
  manager.addNestedPass<func::FuncOp>(createMixedPrecision({options.precision}));
  manager.addNestedPass<func::FuncOp>(createDifferentiate());
  manager.addNestedPass<func::FuncOp>(createDecomposeBatchNorm());
  manager.addPass(createPackStates({options.world}));
  manager.addNestedPass<func::FuncOp>(createStatesToSsa());
  // Simplification comes before CSE, which then finds what autodiff has made twice.
  manager.addNestedPass<func::FuncOp>(createSimplify());
  manager.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  manager.addNestedPass<func::FuncOp>(createCSEPass());
  addVerifier(manager, "train");
}

/// train -> fused: operations grouped into kernels and library calls.
static void buildFused(OpPassManager &manager, const PipelineOptions &options) {
  if (!options.target.empty())
    manager.addPass(createSetTarget({options.target}));
  manager.addNestedPass<func::FuncOp>(createDecomposePools());
  manager.addNestedPass<func::FuncOp>(createLayOutConvolutions());
  manager.addNestedPass<func::FuncOp>(createCSEPass()); // forward and backward read the same
  manager.addNestedPass<func::FuncOp>(createFuseEpilogues());
  manager.addNestedPass<func::FuncOp>(createRemakeUpdates());
  manager.addNestedPass<func::FuncOp>(createFuse());
  addVerifier(manager, "fused");
}

/// fused -> plan: buffers at offsets, launches, calls.
static void buildPlan(OpPassManager &manager, const PipelineOptions &options) {
  manager.addNestedPass<func::FuncOp>(createOrderUpdates());
  manager.addPass(createPlaceProgram());
  if (options.elide)
    manager.addPass(createElideCopies());
  manager.addPass(createPlanMemory({options.reuse}));
  manager.addPass(createVerifyMemory());
  addVerifier(manager, "plan");
}

static constexpr PhaseInfo phases[] = {
    {Phase::Ssl, "ssl", "the method as written", nullptr},
    {Phase::Step, "step", "one training step, forward only, networks inlined", buildStep},
    {Phase::Train, "train", "forward, backward, optimizer and averages over packed states",
     buildTrain},
    {Phase::Fused, "fused", "the same, grouped into kernels and library calls", buildFused},
    {Phase::Plan, "plan", "buffers with offsets, launches, calls, collectives", buildPlan},
    {Phase::Code, "code", "LLVM IR of the kernels", nullptr},
    {Phase::Artifact, "artifact", "the file that `doppel run` loads", nullptr},
};

ArrayRef<PhaseInfo> getPhases() { return phases; }

const PhaseInfo &getPhase(Phase phase) { return phases[unsigned(phase)]; }

std::optional<Phase> findPhase(StringRef name) {
  for (const PhaseInfo &info : phases)
    if (info.name == name)
      return info.phase;
  return std::nullopt;
}

void buildPipeline(OpPassManager &manager, Phase from, Phase to, const PipelineOptions &options) {
  for (const PhaseInfo &info : phases)
    if (info.phase > from && info.phase <= to && info.build)
      info.build(manager, options);
}

void registerPipelines() {
  for (const PhaseInfo &info : phases) {
    if (!info.build)
      continue;
    auto build = info.build;
    // A PassPipelineRegistration keeps no state of its own, so the phase travels in the builder.
    PassPipelineRegistration<PipelineOptions>(
        ("to-" + info.name).str(), info.description,
        [build](OpPassManager &manager, const PipelineOptions &options) {
          build(manager, options);
        });
  }
}

} // namespace doppel
