// `doppel-verify load`: whether the loader takes what the compiler writes, for any number of ranks
// and without running it.
#include "frontends/cli/verify/Compiled.h"
#include "frontends/cli/verify/Verify.h"

using namespace mlir;

namespace doppel::verify {

int load(ModuleOp module, Phase phase, int ranks) {
  PipelineOptions options;
  options.world = ranks;
  if (failed(lower(module, phase, Phase::Plan, options)))
    return 1;
  FailureOr<KernelCode> code = compileKernels(module);
  LoadedProgram loaded;
  if (failed(code) || failed(loaded.parse(module, *code)))
    return 1;
  const schema::Program &program = loaded.artifact->program();
  llvm::outs() << "batch " << program.batch() << ", ranks " << program.world() << ", images "
               << program.buffers()->Get(program.images()->Get(0)->buffer())->shape()->Get(0)
               << '\n';
  for (const schema::Function *function : *program.functions()) {
    llvm::outs() << '@' << function->name()->str() << ':';
    for (const schema::Instruction *instruction : *function->instructions())
      if (auto *start = instruction->operation_as_CollectiveStart())
        llvm::outs() << ' ' << start->order() << ' '
                     << schema::EnumNameCollectiveKind(start->kind());
    llvm::outs() << '\n';
  }
  return 0;
}

} // namespace doppel::verify
