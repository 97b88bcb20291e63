// The oracle's values inside of a function.
#include "frontends/cli/verify/Verify.h"

#include "dialects/nn/NnDialect.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace doppel::verify {

using reference::Tensor;

Tensor roundedToType(const Tensor &tensor, Type type) {
  Tensor result = tensor;
  if (cast<RankedTensorType>(type).getElementType().isF32())
    for (double &value : result.values)
      value = static_cast<float>(value);
  return result;
}

LogicalResult addResults(func::FuncOp function, ArrayRef<Value> values) {
  Operation *end = function.getBody().front().getTerminator();
  for (Value value : values) {
    if (failed(function.insertResult(function.getNumResults(), value.getType(),
                                     DictionaryAttr::get(function.getContext()))))
      return failure();
    end->insertOperands(end->getNumOperands(), value);
  }
  return success();
}

FailureOr<InterpretedCall> interpretValues(func::FuncOp function, ArrayRef<Value> wanted,
                                           const abi::RunScalars &run, ArgumentSource &source) {
  auto module = function->getParentOfType<ModuleOp>();
  IRMapping mapping;
  func::FuncOp clone = function.clone(mapping);
  clone.setName((function.getName() + ".values").str());
  module.push_back(clone);
  size_t before = clone.getNumResults();
  SmallVector<Value> tensors, twins;
  for (Value value : wanted)
    if (!isa<nn::ImagesType>(value.getType())) {
      tensors.push_back(value);
      twins.push_back(mapping.lookup(value));
    }
  reference::Interpreter interpreter(module);
  interpreter.run = run;
  bool isReady =
      succeeded(addResults(clone, twins)) && succeeded(initialiseStates(interpreter, source));
  auto given = source.argumentsOf(function);
  if (!isReady || failed(given)) {
    clone.erase();
    return failure();
  }
  for (auto state : module.getOps<nn::StateOp>()) {
    Tensor &value = interpreter.states[state.getSymName().str()];
    value = roundedToType(value, state.getType());
  }
  InterpretedCall call;
  call.arguments = std::move(*given);
  call.states = interpreter.states;
  auto results = interpreter.call(clone, call.arguments);
  clone.erase();
  if (failed(results))
    return failure();
  for (auto [argument, value] : llvm::zip_equal(function.getArguments(), call.arguments))
    call.values[argument] = value;
  for (auto [i, value] : llvm::enumerate(tensors))
    call.values[value] = std::move((*results)[before + i]);
  return call;
}

} // namespace doppel::verify
