// `doppel-verify gradients`: each derivative of the autodiff pass against central differences of
// the interpreted function, in double. The function returns one float scalar; the derivatives are
// those by its float arguments. Random operations draw the same numbers at every evaluation, since
// a draw is a function of its key.
#include "frontends/cli/verify/Verify.h"

#include "dialects/nn/NnDialect.h"
#include "passes/Differentiate.h"
#include "llvm/Support/Format.h"

#include <cmath>

using namespace mlir;

namespace doppel::verify {

using reference::Tensor;

static bool isFloatTensor(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isa<FloatType>(tensor.getElementType());
}

/// A copy of `function` that returns the gradients by `wrt` (argument numbers), zeros where no path
/// leads to the loss. It stands in the module until it is erased.
static FailureOr<func::FuncOp> gradientFunction(func::FuncOp function, ArrayRef<unsigned> wrt) {
  func::FuncOp clone = function.clone();
  clone.setName((function.getName() + ".gradients").str());
  function->getParentOfType<ModuleOp>().push_back(clone);
  Operation *end = clone.getBody().front().getTerminator();
  OpBuilder builder(end);
  SmallVector<Value> arguments, results;
  for (unsigned number : wrt)
    arguments.push_back(clone.getArgument(number));
  auto gradients = differentiate(builder, end->getOperand(0), arguments);
  if (failed(gradients)) {
    clone.erase();
    return failure();
  }
  SmallVector<Type> types;
  for (auto [argument, gradient] : llvm::zip_equal(arguments, *gradients)) {
    auto type = cast<RankedTensorType>(argument.getType());
    types.push_back(type);
    results.push_back(gradient ? gradient
                               : nn::ConstantOp::create(builder, end->getLoc(), type, 0.0));
  }
  end->setOperands(results);
  clone.setFunctionType(FunctionType::get(clone.getContext(), clone.getArgumentTypes(), types));
  clone.setAllResultAttrs(SmallVector<DictionaryAttr>(types.size(), builder.getDictionaryAttr({})));
  return clone;
}

static LogicalResult check(ModuleOp module, func::FuncOp function, const GradientOptions &options) {
  SmallVector<unsigned> wrt;
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (isFloatTensor(function.getArgumentTypes()[i]) && !function.getArgAttr(i, "nn.constant"))
      wrt.push_back(i);
  auto differentiated = gradientFunction(function, wrt);
  if (failed(differentiated))
    return failure();

  reference::Interpreter interpreter(module);
  interpreter.run = {options.seed, /*step=*/3, /*stepsPerEpoch=*/10, /*epochs=*/5,
                     /*samples=*/1000};
  ArgumentSource source(options.seed, /*rank=*/0);
  if (failed(initialiseStates(interpreter, source)))
    return failure();
  auto arguments = source.argumentsOf(function);
  if (failed(arguments))
    return failure();
  auto states = interpreter.states;
  auto call = [&](func::FuncOp callee) {
    interpreter.states = states;
    return interpreter.call(callee, *arguments);
  };
  auto analytic = call(*differentiated);
  differentiated->erase();
  if (failed(analytic))
    return failure();

  llvm::outs() << "@" << function.getName() << '\n';
  bool isFine = true;
  for (auto [number, gradient] : llvm::zip_equal(wrt, *analytic)) {
    auto &argument = std::get<Tensor>((*arguments)[number]);
    Tensor numeric(argument.shape);
    for (int64_t i = 0; i < argument.size(); ++i) {
      const double x = argument[i], h = 1e-5 * std::max(1.0, std::abs(x));
      auto at = [&](double value) -> FailureOr<double> {
        argument[i] = value;
        auto result = call(function);
        argument[i] = x;
        if (failed(result))
          return failure();
        return result->front()[0];
      };
      // Fourth order, so that truncation stays far below the tolerance.
      auto up = at(x + h), down = at(x - h), up2 = at(x + 2 * h), down2 = at(x - 2 * h);
      if (failed(up) || failed(down) || failed(up2) || failed(down2))
        return failure();
      numeric[i] = (8 * (*up - *down) - (*up2 - *down2)) / (12 * h);
    }
    // Differences have an absolute error too.
    double error = relativeError(numeric, gradient, smallElement, smallElement);
    bool isClose = error <= options.tolerance;
    isFine &= isClose;
    llvm::outs() << "  argument " << number << ": " << (isClose ? "ok" : "WRONG")
                 << llvm::format(", greatest relative error %.1e\n", error);
    if (!isClose) {
      print(llvm::outs(), "    differentiated", gradient);
      print(llvm::outs(), "    differences", numeric);
    }
  }
  return success(isFine);
}

int gradients(ModuleOp module, const GradientOptions &options) {
  SmallVector<func::FuncOp> functions;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (options.function.empty() ? function.getName() == "init"
                                 : function.getName() != options.function)
      continue;
    auto results = function.getResultTypes();
    if (results.size() == 1 && isFloatTensor(results[0]) &&
        cast<RankedTensorType>(results[0]).getRank() == 0)
      functions.push_back(function);
  }
  if (functions.empty()) {
    llvm::errs() << "error: no function that returns one float scalar\n";
    return 1;
  }
  bool isFine = true;
  for (func::FuncOp function : functions)
    isFine &= succeeded(check(module, function, options));
  return isFine ? 0 : 1;
}

} // namespace doppel::verify
