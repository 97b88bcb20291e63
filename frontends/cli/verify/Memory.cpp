// `doppel-verify memory`: whether a program computes the same bits wherever its values lie. The
// plan is made with copies taken away or not and with memory reused or not; the four programs have
// the same kernels and must have the same states and outputs after every step.
#include "frontends/cli/verify/Compiled.h"
#include "frontends/cli/verify/Verify.h"

#include "dialects/nn/NnDialect.h"
#include "dialects/plan/PlanDialect.h"

using namespace mlir;

namespace doppel::verify {
namespace {

struct Variant {
  bool elide, reuse;
  int64_t copies = 0, bytes = 0; ///< instructions; of the transient arena
  LoadedProgram program = {};

  std::string name() const {
    return std::string("copies ") + (elide ? "elided" : "kept") + ", memory " +
           (reuse ? "reused" : "apart");
  }
};

/// Bytes of all states, then of the outputs of a function, by name.
using Snapshot = std::vector<std::pair<std::string, std::vector<std::byte>>>;

/// Runs a function, and what is there afterwards.
FailureOr<Snapshot> run(runtime::Executable &executable, const std::string &function,
                        const reference::Images &images, const abi::RunScalars &scalars) {
  auto stopped = executable.run(function, {{{images.refs, images.slab}}, scalars});
  if (!stopped)
    return tell(stopped.error());
  if (*stopped)
    return tell({(**stopped).what + " is not finite in @" + function});
  Snapshot snapshot;
  for (size_t i = 0; i < executable.states().size(); ++i) {
    auto bytes = executable.readState(i);
    if (!bytes)
      return tell(bytes.error());
    snapshot.push_back({executable.states()[i].name, std::move(*bytes)});
  }
  for (const std::string &name : executable.outputNames(function)) {
    auto values = executable.output(executable.lastTicket(), name);
    if (!values)
      return tell(values.error());
    auto bytes = std::as_bytes(std::span(*values));
    snapshot.push_back({"output " + name, {bytes.begin(), bytes.end()}});
  }
  return snapshot;
}

LogicalResult place(ModuleOp fused, Variant &variant, OwningOpRef<ModuleOp> &module) {
  module = fused.clone();
  PipelineOptions options;
  options.elide = variant.elide;
  options.reuse = variant.reuse;
  if (failed(lower(*module, Phase::Fused, Phase::Plan, options)))
    return failure();
  module->walk([&](plan::CopyOp) { ++variant.copies; });
  variant.bytes = module->lookupSymbol<plan::ArenaOp>(plan::transientArena).getBytes();
  return success();
}

/// The first thing that differs, or nothing.
std::string differenceOf(const Snapshot &expected, const Snapshot &found) {
  for (auto [one, other] : llvm::zip_equal(expected, found))
    if (one != other)
      return one.first;
  return "";
}

} // namespace

int memory(ModuleOp module, Phase phase, const MemoryOptions &options) {
  if (failed(lower(module, phase, Phase::Fused)))
    return 1;
  std::vector<Variant> variants;
  for (bool elide : {true, false})
    for (bool reuse : {true, false})
      variants.push_back({elide, reuse});
  std::optional<KernelCode> code; // kernels are made before memory is
  int64_t batch = 0, samples = 0, epochs = 1;
  for (Variant &variant : variants) {
    OwningOpRef<ModuleOp> plan;
    if (failed(place(module, variant, plan)))
      return 1;
    if (!code) {
      FailureOr<KernelCode> made = compileKernels(*plan);
      if (failed(made))
        return 1;
      code = std::move(*made);
    }
    if (failed(variant.program.load(*plan, *code, options.threads)))
      return 1;
    const auto &program = variant.program.artifact->program();
    batch = program.batch();
    epochs = std::max<int64_t>(program.epochs(), 1);
    samples = std::max(program.samples(), 4 * batch);
  }

  // Each function after the first step sees what the step has left in the states.
  std::vector<std::pair<std::string, int64_t>> calls = {{"init", 0}};
  for (int64_t step = 0; step < options.steps; ++step)
    calls.push_back({"step", step});
  for (const char *other : {"represent", "preview"})
    if (variants.front().program.executable->has(other))
      calls.push_back({other, options.steps});
  ArgumentSource source(options.seed, 0);
  bool isFine = true;
  for (const auto &[function, step] : calls) {
    auto images = source.draw(module.getLoc(), nn::ImagesType::get(module.getContext(), batch),
                              DictionaryAttr::get(module.getContext()), unsigned(step));
    if (failed(images))
      return 1;
    std::optional<Snapshot> expected;
    for (Variant &variant : variants) {
      FailureOr<Snapshot> found =
          run(*variant.program.executable, function, std::get<reference::Images>(*images),
              {options.seed, step, samples / batch, epochs, samples});
      if (failed(found))
        return 1;
      if (!expected) {
        expected = std::move(*found);
      } else if (std::string what = differenceOf(*expected, *found); !what.empty()) {
        llvm::outs() << "WRONG: after @" << function << " of step " << step << ", '" << what
                     << "' with " << variant.name() << " differs from that with "
                     << variants.front().name() << '\n';
        isFine = false;
      }
    }
  }
  for (const Variant &variant : variants)
    llvm::outs() << variant.name() << ": " << variant.copies << " copies, " << variant.bytes
                 << " bytes\n";
  // Elision must have taken away copies and reuse bytes, or nothing was compared.
  bool differ = variants[0].copies < variants[2].copies && variants[0].bytes < variants[1].bytes;
  if (!differ)
    llvm::outs() << "WRONG: the programs are the same\n";
  else if (isFine)
    llvm::outs() << "equal bits after " << options.steps << " steps\n";
  return isFine && differ ? 0 : 1;
}

} // namespace doppel::verify
