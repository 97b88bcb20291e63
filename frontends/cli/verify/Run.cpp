// `doppel-verify run`: interprets functions and prints their results and the states that they
// changed.
#include "frontends/cli/verify/Verify.h"

#include "llvm/Support/raw_ostream.h"

#include <thread>

using namespace mlir;

namespace doppel::verify {

/// What one rank prints, or failure after a diagnostic.
static LogicalResult runRank(ModuleOp module, func::FuncOp function, const RunOptions &options,
                             int rank, reference::ProcessGrid *grid, llvm::raw_ostream &os) {
  reference::Interpreter interpreter(module);
  interpreter.grid = grid;
  interpreter.rank = rank;
  interpreter.run = {options.seed, options.step, /*stepsPerEpoch=*/10, /*epochs=*/5,
                     /*samples=*/1000};
  ArgumentSource source(options.seed, rank);
  if (failed(initialiseStates(interpreter, source)))
    return failure();
  auto arguments = source.argumentsOf(function);
  if (failed(arguments))
    return failure();

  auto before = interpreter.states;
  for (int64_t step = 0; step < options.steps; ++step) {
    interpreter.run.step = options.step + step;
    auto results = interpreter.call(function, *arguments);
    if (failed(results))
      return failure();
    if (options.steps > 1)
      os << "step " << interpreter.run.step << '\n';
    for (auto [i, result] : llvm::enumerate(*results))
      print(os, resultName(function, static_cast<unsigned>(i)), result);
  }
  for (const auto &[name, value] : interpreter.states)
    if (!before.contains(name) || before[name].values != value.values)
      print(os, "state " + name, value);
  return success();
}

static LogicalResult runFunction(ModuleOp module, func::FuncOp function,
                                 const RunOptions &options) {
  llvm::outs() << "@" << function.getName() << '\n';
  reference::ProcessGrid grid(options.ranks);
  std::vector<std::string> texts(options.ranks);
  std::vector<char> fine(options.ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < options.ranks; ++rank)
    threads.emplace_back([&, rank] {
      llvm::raw_string_ostream os(texts[rank]);
      fine[rank] = succeeded(
          runRank(module, function, options, rank, options.ranks > 1 ? &grid : nullptr, os));
      if (!fine[rank])
        grid.abort("rank " + std::to_string(rank) + " failed");
    });
  for (std::thread &thread : threads)
    thread.join();
  for (int rank = 0; rank < options.ranks; ++rank) {
    if (options.ranks > 1)
      llvm::outs() << "rank " << rank << '\n';
    llvm::outs() << texts[rank];
  }
  return success(llvm::all_of(fine, [](char isFine) { return isFine; }));
}

int run(ModuleOp module, const RunOptions &options) {
  bool isFound = false, isFine = true;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (options.function.empty() ? function.getName() == "init"
                                 : function.getName() != options.function)
      continue;
    isFound = true;
    isFine &= succeeded(runFunction(module, function, options));
  }
  if (!isFound) {
    llvm::errs() << "error: no function to run" << (options.function.empty() ? "" : ", no @")
                 << options.function << '\n';
    return 1;
  }
  return isFine ? 0 : 1;
}

} // namespace doppel::verify
