// `doppel-verify step`: a spec's training steps against a golden file of PyTorch
// (test/golden/README.md): losses, the first step's gradients and the states in the end. Three
// programs are run from the file's states and views: `autodiff`, the step after differentiation
// with its updates not lowered, in the oracle; `train`, the whole phase, in the oracle; and
// `compiled`, the program for this machine; where it is asked for, `simulated`, the program for a
// GPU in the checking simulator.
#include "frontends/cli/verify/Compiled.h"
#include "frontends/cli/verify/Safetensors.h"
#include "frontends/cli/verify/Verify.h"

#include "dialects/nn/NnDialect.h"
#include "frontends/spec/Frontend.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"

#include <cmath>

using namespace mlir;

namespace doppel::verify {

using reference::Tensor;

namespace {
/// Limits of the comparison, relative. The oracle differs from PyTorch by what the program's
/// constants lose in f32.
struct Limits {
  double loss, gradient, state;
};
constexpr Limits limitsOfOracle = {1e-6, 1e-6, 2e-6}, limitsOfCompiled = {1e-4, 1e-3, 2e-3};

/// An element may be this many times as far from its golden value as the norm of all may.
constexpr double elementsByNorm = 4;

/// What ten steps of one program gave.
struct Trajectory {
  std::vector<double> losses;
  std::map<std::string, Tensor> gradients; ///< of the first step
  std::map<std::string, Tensor> states;    ///< at the end
};

class GoldenRun {
public:
  GoldenRun(MLIRContext &context, Safetensors golden)
      : context(context), golden(std::move(golden)) {}

  LogicalResult load(StringRef spec);
  int compare(ArrayRef<std::string> programs, int threads);

private:
  using Call = llvm::function_ref<FailureOr<std::vector<Tensor>>(
      ArrayRef<reference::Value>, const abi::RunScalars &, std::map<std::string, Tensor> &)>;

  LogicalResult replaceInputs(func::FuncOp step, func::FuncOp preview);
  LogicalResult exposeGradients(func::FuncOp step);
  FailureOr<Trajectory> follow(func::FuncOp step, Call call);
  FailureOr<Trajectory> run(StringRef program, int threads);
  bool judge(StringRef program, const Trajectory &found);
  void reportRounding(const Trajectory &found);

  MLIRContext &context;
  Safetensors golden;
  OwningOpRef<ModuleOp> differentiated;
  /// The step's arguments by the names of their tensors in the file, which are KIND/STEP/NAME.
  std::vector<std::pair<std::string, std::string>> inputs;
};
} // namespace

/// A value of the file's settings as text of `--set`.
static std::string settingText(const llvm::json::Value &value) {
  if (auto text = value.getAsString())
    return text->str();
  std::string result;
  llvm::raw_string_ostream(result) << value;
  return result;
}

LogicalResult GoldenRun::load(StringRef path) {
  spec::SpecOptions options;
  auto settings = llvm::json::parse(golden.metadata["settings"]);
  if (!settings || !settings->getAsObject()) {
    llvm::consumeError(settings.takeError());
    llvm::errs() << "error: the golden file has no settings\n";
    return failure();
  }
  for (const auto &[name, value] : *settings->getAsObject())
    options.sets.emplace_back(name.str(), settingText(value));
  differentiated = spec::loadSpec(context, path, options, llvm::errs());
  if (!differentiated || failed(lower(*differentiated, Phase::Ssl, Phase::Step)))
    return failure();
  auto step = differentiated->lookupSymbol<func::FuncOp>("step");
  auto preview = differentiated->lookupSymbol<func::FuncOp>("preview");
  if (!step || !preview)
    return differentiated->emitError("has no @step or no @preview");
  if (failed(replaceInputs(step, preview)))
    return failure();
  for (StringRef other : {"preview", "represent", "init"})
    if (auto function = differentiated->lookupSymbol<func::FuncOp>(other))
      function.erase();
  PassManager manager(&context);
  manager.addNestedPass<func::FuncOp>(createDifferentiate());
  if (failed(manager.run(*differentiated)))
    return failure();
  return exposeGradients(step);
}

/// What a step takes from outside becomes arguments: each view (view/STEP/NAME), the samples'
/// places (index/STEP/samples), uniform draws and permutations (draw/STEP/NUMBER, in the order of
/// the text; a permutation that the file does not have stays). A view of @preview and one of @step
/// are the same if they draw from the same stream.
LogicalResult GoldenRun::replaceInputs(func::FuncOp step, func::FuncOp preview) {
  DenseMap<uint64_t, std::string> nameOfStream;
  for (OpOperand &result : preview.getBody().front().getTerminator()->getOpOperands())
    if (auto view = result.get().getDefiningOp<nn::AugmentOp>())
      nameOfStream[view.getStream()] = resultName(preview, result.getOperandNumber());
  int draws = 0;
  for (Operation &op : llvm::make_early_inc_range(step.getBody().front())) {
    std::pair<std::string, std::string> input;
    if (auto view = dyn_cast<nn::AugmentOp>(op)) {
      input = {"view", nameOfStream.lookup(view.getStream())};
      if (input.second.empty())
        return view.emitError("is no view of @preview");
    } else if (isa<nn::SampleIndexOp>(op)) {
      input = {"index", "samples"};
    } else if (auto draw = dyn_cast<nn::RandomOp>(op);
               (isa<nn::RandomPermutationOp>(op) &&
                golden.tensors.count("draw/0/" + std::to_string(draws))) ||
               (draw && draw.getDistribution() == nn::Distribution::Uniform)) {
      input = {"draw", std::to_string(draws++)};
    } else {
      continue;
    }
    unsigned number = step.getNumArguments();
    if (failed(step.insertArgument(number, op.getResult(0).getType(), {}, op.getLoc())))
      return failure();
    inputs.push_back(std::move(input));
    op.getResult(0).replaceAllUsesWith(step.getArgument(number));
    op.erase();
  }
  if (!step.getArgument(0).use_empty())
    return step.emitError("uses its images beside its views");
  return step.eraseArgument(0);
}

/// The gradients of update_parameters become results of the step, named grad/PARAMETER.
LogicalResult GoldenRun::exposeGradients(func::FuncOp step) {
  Operation *end = step.getBody().front().getTerminator();
  Builder builder(&context);
  for (auto update : step.getOps<nn::UpdateParametersOp>())
    for (auto [parameter, gradient] :
         llvm::zip_equal(update.getParameters(), update.getGradients())) {
      auto name = "grad/" + cast<SymbolRefAttr>(parameter).getLeafReference().str();
      auto attributes =
          builder.getDictionaryAttr(builder.getNamedAttr("nn.name", builder.getStringAttr(name)));
      if (failed(step.insertResult(step.getNumResults(), gradient.getType(), attributes)))
        return failure();
      end->insertOperands(end->getNumOperands(), gradient);
    }
  return success();
}

FailureOr<Trajectory> GoldenRun::follow(func::FuncOp step, Call call) {
  Trajectory trajectory;
  std::map<std::string, Tensor> states;
  for (auto state : step->getParentOfType<ModuleOp>().getOps<nn::StateOp>()) {
    std::string name = state.getSymName().str();
    auto given = golden.tensors.find("state/" + name);
    Tensor zeros(reference::shapeOf(state.getType()));
    if (given != golden.tensors.end() && given->second.shape != zeros.shape)
      return state.emitError() << "the golden file has another shape";
    if (given == golden.tensors.end() && state.getKind() != nn::StateKind::Moment)
      return state.emitError() << "is not in the golden file";
    states[name] = given == golden.tensors.end() ? zeros : given->second;
  }
  auto steps = golden.tensors["loss"].size();
  int64_t samples = std::stoll(golden.metadata["samples"]);
  auto batch = step->getParentOfType<ModuleOp>()->getAttrOfType<IntegerAttr>("nn.batch").getInt();
  int64_t stepsPerEpoch = samples / batch;
  for (int64_t number = 0; number < steps; ++number) {
    std::vector<reference::Value> arguments;
    for (const auto &[kind, name] : inputs) {
      std::string key = kind + "/" + std::to_string(number) + "/" + name;
      auto found = golden.tensors.find(key);
      if (found == golden.tensors.end())
        return step.emitError() << "the golden file has no '" << key << "'";
      arguments.emplace_back(found->second);
    }
    auto results = call(
        arguments, {/*seed=*/1, number, stepsPerEpoch, steps / stepsPerEpoch, samples}, states);
    if (failed(results))
      return failure();
    for (auto [i, value] : llvm::enumerate(*results)) {
      std::string name = resultName(step, static_cast<unsigned>(i));
      if (name == "loss")
        trajectory.losses.push_back(value[0]);
      else if (number == 0 && StringRef(name).starts_with("grad/"))
        trajectory.gradients[name] = value;
    }
  }
  trajectory.states = std::move(states);
  return trajectory;
}

FailureOr<Trajectory> GoldenRun::run(StringRef program, int threads) {
  OwningOpRef<ModuleOp> module = differentiated->clone();
  if (program != "autodiff" && failed(lower(*module, Phase::Step, Phase::Train)))
    return failure();
  auto step = module->lookupSymbol<func::FuncOp>("step");
  bool isSimulated = program == "simulated";
  if (program != "compiled" && !isSimulated) {
    reference::Interpreter interpreter(*module);
    return follow(step, [&](ArrayRef<reference::Value> arguments, const abi::RunScalars &run,
                            std::map<std::string, Tensor> &states) {
      interpreter.run = run;
      interpreter.states = states;
      auto results = interpreter.call(step, arguments);
      states = interpreter.states;
      return results;
    });
  }
  OwningOpRef<ModuleOp> lowered = module->clone();
  plan::TargetAttr target;
  if (isSimulated) {
    module->getContext()->loadDialect<plan::PlanDialect>();
    target = plan::targetAttrOf(
        module->getContext(),
        {.kind = plan::simulatorKind, .architectures = {"sm_80"}, .check = true});
  }
  auto compiled = Compiled::create(*lowered, Phase::Train, threads, target);
  if (failed(compiled))
    return failure();
  return follow(step, [&](ArrayRef<reference::Value> arguments, const abi::RunScalars &run,
                          std::map<std::string, Tensor> &states) {
    return (*compiled)->call("step", arguments, run, states);
  });
}

static double norm(const Tensor &tensor) {
  double squares = 0;
  for (double value : tensor.values)
    squares += value * value;
  return std::sqrt(squares);
}

static double distance(const Tensor &x, const Tensor &y) {
  if (x.shape != y.shape)
    return INFINITY;
  Tensor difference = x;
  for (int64_t i = 0; i < x.size(); ++i)
    difference[i] -= y[i];
  return norm(difference);
}

/// The greatest difference of two elements, relative to what is expected of the element and the
/// root mean square of all.
static double worstElement(const Tensor &found, const Tensor &expected) {
  double mean = norm(expected) / std::sqrt(static_cast<double>(expected.size())), worst = 0;
  for (int64_t i = 0; i < expected.size(); ++i)
    worst = std::max(worst, std::abs(found[i] - expected[i]) / (std::abs(expected[i]) + mean));
  return worst;
}

bool GoldenRun::judge(StringRef program, const Trajectory &found) {
  const Limits &limits =
      program == "compiled" || program == "simulated" ? limitsOfCompiled : limitsOfOracle;
  bool isFine = true;
  auto report = [&](StringRef what, double error, double limit, const std::string &where) {
    bool isClose = error <= limit;
    isFine &= isClose;
    llvm::outs() << program << ": " << what << (isClose ? " ok" : " WRONG")
                 << llvm::format(", greatest relative error %.1e", error) << " (" << where << ")\n";
  };
  const Tensor &losses = golden.tensors["loss"];
  double worst = 0;
  int64_t worstStep = 0;
  for (int64_t i = 0; i < losses.size(); ++i) {
    double error = i < static_cast<int64_t>(found.losses.size())
                       ? std::abs(found.losses[i] - losses[i]) / std::abs(losses[i])
                       : INFINITY;
    error = std::isnan(error) ? INFINITY : error;
    if (error > worst)
      worst = error, worstStep = i;
  }
  report("losses of " + std::to_string(losses.size()) + " steps", worst, limits.loss,
         "step " + std::to_string(worstStep));

  // By norm, and each element for itself. A tensor that is nothing in the golden file is measured
  // against the norm of all.
  auto compareAll = [&](StringRef prefix, StringRef what, double limit,
                        const std::map<std::string, Tensor> &values, StringRef valuePrefix) {
    double squares = 0;
    size_t count = 0;
    for (const auto &[name, tensor] : golden.tensors)
      if (StringRef(name).starts_with(prefix))
        squares += norm(tensor) * norm(tensor), ++count;
    double worst = 0;
    std::string where = "none";
    for (const auto &[name, tensor] : golden.tensors) {
      if (!StringRef(name).starts_with(prefix))
        continue;
      auto value = values.find((valuePrefix + StringRef(name).drop_front(prefix.size())).str());
      double error = INFINITY;
      if (value != values.end() && value->second.shape == tensor.shape)
        error = norm(tensor) <= 1e-6 * std::sqrt(squares)
                    ? distance(value->second, tensor) / std::sqrt(squares) * (limit / 1e-6)
                    : std::max(distance(value->second, tensor) / norm(tensor),
                               worstElement(value->second, tensor) / elementsByNorm);
      error = std::isnan(error) ? INFINITY : error;
      if (error > worst)
        worst = error, where = name;
    }
    report((what + " of " + std::to_string(count) + " tensors").str(), worst, limit, where);
  };
  compareAll("grad/", "gradients", limits.gradient, found.gradients, "grad/");
  compareAll("final/", "states", limits.state, found.states, "");
  if (program == "compiled")
    reportRounding(found);
  return isFine;
}

/// How far the first gradients are from double, beside PyTorch's in f32 (rounding/NAME): the
/// geometric mean over the tensors of the ratio.
void GoldenRun::reportRounding(const Trajectory &found) {
  double logarithms = 0;
  int count = 0;
  for (const auto &[key, rounding] : golden.tensors) {
    StringRef name = key;
    if (!name.consume_front("rounding/"))
      continue;
    std::string gradient = ("grad/" + name).str();
    const Tensor &expected = golden.tensors.at(gradient);
    double error = distance(found.gradients.at(gradient), expected) / norm(expected);
    logarithms += std::log(error / rounding[0]);
    ++count;
  }
  if (count > 0)
    llvm::outs() << "compiled: rounding of the gradients of " << count << " tensors "
                 << llvm::format("%.2f times PyTorch's\n", std::exp(logarithms / count));
}

int GoldenRun::compare(ArrayRef<std::string> programs, int threads) {
  bool isFine = true;
  for (const std::string &program : programs) {
    FailureOr<Trajectory> found = run(program, threads);
    if (failed(found)) {
      llvm::outs() << program << ": FAILED\n";
      isFine = false;
    } else {
      isFine &= judge(program, *found);
    }
  }
  return isFine ? 0 : 1;
}

int step(MLIRContext &context, StringRef specPath, const StepOptions &options) {
  auto golden = readSafetensors(options.golden);
  if (!golden) {
    llvm::errs() << "error: " << llvm::toString(golden.takeError()) << '\n';
    return 1;
  }
  GoldenRun run(context, std::move(*golden));
  if (failed(run.load(specPath)))
    return 1;
  static const std::vector<std::string> all = {"autodiff", "train", "compiled"};
  return run.compare(options.programs.empty() ? all : options.programs, options.threads);
}

} // namespace doppel::verify
