// `doppel-verify kernels`: what the compiled program computes against the oracle, function by
// function, from equal states and arguments. The oracle interprets the module before kernels are
// formed, so that fusion, placement, code generation and the runtime are all checked.
#include "frontends/cli/verify/Compiled.h"
#include "frontends/cli/verify/Verify.h"

#include "dialects/nn/NnDialect.h"
#include "llvm/Support/Format.h"

#include <cmath>

using namespace mlir;

namespace doppel::verify {

using reference::Tensor;

double relativeError(const Tensor &expected, const Tensor &found, double share, double floor) {
  double greatest = 0, error = 0;
  for (double value : expected.values)
    if (std::isfinite(value))
      greatest = std::max(greatest, std::abs(value));
  for (int64_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i]) && std::isnan(found[i]))
      continue;
    if (expected[i] == found[i]) // infinities too
      continue;
    double scale = std::max({std::abs(expected[i]), greatest * share, floor, 1e-45});
    double own = std::abs(expected[i] - found[i]) / scale;
    error = std::isnan(own) ? INFINITY : std::max(error, own);
  }
  return error;
}

/// Prints one line, and where the values differ both tensors.
static bool compare(StringRef name, const Tensor &expected, const Tensor &found,
                    const KernelOptions &options) {
  double error = expected.shape == found.shape
                     ? relativeError(expected, found, options.share, options.floor)
                     : INFINITY;
  bool isClose = error <= options.tolerance;
  llvm::outs() << "  " << name << ": " << (isClose ? "ok" : "WRONG")
               << llvm::format(", greatest relative error %.1e\n", error);
  if (!isClose) {
    print(llvm::outs(), "    oracle", expected);
    print(llvm::outs(), "    compiled", found);
    int64_t worst = 0;
    for (int64_t i = 0; i < expected.size() && i < found.size(); ++i)
      if (!(std::abs(expected[i] - found[i]) <= std::abs(expected[worst] - found[worst])))
        worst = i;
    if (expected.size() > 0 && found.size() > worst)
      llvm::outs() << "    element " << worst
                   << llvm::format(": oracle %.9g, compiled %.9g\n", expected[worst], found[worst]);
  }
  return isClose;
}

/// What is f32 in the compiled program overflows where f32 does.
static void roundToType(Tensor &tensor, Type type) {
  if (cast<RankedTensorType>(type).getElementType().isF32())
    for (double &value : tensor.values)
      value = static_cast<float>(value);
}

static void roundStates(reference::Interpreter &interpreter) {
  for (auto state : interpreter.getModule().getOps<nn::StateOp>())
    roundToType(interpreter.states[state.getSymName().str()], state.getType());
}

int kernels(ModuleOp module, Phase phase, const KernelOptions &options) {
  if (phase < Phase::Train) {
    if (failed(lower(module, phase, Phase::Train)))
      return 1;
    phase = Phase::Train;
  }
  OwningOpRef<ModuleOp> oracle = module.clone();
  auto compiled = Compiled::create(module, phase, options.threads);
  if (failed(compiled))
    return 1;

  reference::Interpreter interpreter(*oracle);
  interpreter.run = {options.seed, options.step, /*stepsPerEpoch=*/10, /*epochs=*/5,
                     /*samples=*/1000};
  ArgumentSource source(options.seed, /*rank=*/0);
  if (failed(initialiseStates(interpreter, source)))
    return 1;
  roundStates(interpreter);
  auto initial = interpreter.states;

  bool isFine = true, isFound = false;
  for (auto function : oracle->getOps<func::FuncOp>()) {
    if (!options.function.empty() && function.getName() != options.function)
      continue;
    isFound = true;
    llvm::outs() << "@" << function.getName() << '\n';
    auto arguments = source.argumentsOf(function);
    if (failed(arguments))
      return 1;
    abi::RunScalars run = interpreter.run;
    run.step = function.getName() == "init" ? 0 : options.step;
    interpreter.run = run;
    interpreter.states = initial;
    auto states = initial;
    auto expected = interpreter.call(function, *arguments);
    auto found = (*compiled)->call(function.getName(), *arguments, run, states);
    if (failed(expected) || failed(found))
      return 1;
    roundStates(interpreter);
    for (auto [i, value] : llvm::enumerate(*expected)) {
      roundToType(value, function.getResultTypes()[i]);
      isFine &=
          compare(resultName(function, static_cast<unsigned>(i)), value, (*found)[i], options);
    }
    for (const auto &[name, value] : interpreter.states)
      if (value.values != initial[name].values || states[name].values != initial[name].values)
        isFine &= compare("state " + name, value, states[name], options);
  }
  if (!isFound)
    llvm::errs() << "error: no function @" << options.function << '\n';
  return isFine && isFound ? 0 : 1;
}

} // namespace doppel::verify
