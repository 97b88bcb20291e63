// `doppel-verify rounding`: where the compiled program loses digits. Each instruction of a function
// (a kernel or a library call) is compared with the oracle twice: alone, on the oracle's values
// rounded to their types, which tells what the instruction itself loses; and in its place, which
// tells what has come together on the way there.
#include "codegen/artifact/Locations.h"
#include "frontends/cli/verify/Compiled.h"
#include "frontends/cli/verify/Verify.h"

#include "dialects/nn/NnDialect.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"

#include <cmath>

using namespace mlir;

namespace doppel::verify {

using reference::Tensor;

/// A unit of rounding to f32.
static constexpr double unit = 0x1p-24;

namespace {
/// An instruction of the function, and how far its results are from the oracle's, in units.
struct Instruction {
  Operation *op;
  double alone = 0, inPlace = 0;
};

class Rounding {
public:
  Rounding(ModuleOp module, const RoundingOptions &options)
      : module(module), options(options), source(options.seed, /*rank=*/0) {}

  /// Fails after a diagnostic; else tells whether every instruction is within the limit.
  FailureOr<bool> check(func::FuncOp function);

private:
  LogicalResult interpret(func::FuncOp function);
  LogicalResult measureInPlace(func::FuncOp function);
  LogicalResult measureAlone(func::FuncOp function);
  bool report(func::FuncOp function);

  ModuleOp module;
  const RoundingOptions &options;
  std::vector<Instruction> instructions;
  DenseMap<Value, reference::Value> exact; ///< the oracle's values of the function
  abi::RunScalars run;
  ArgumentSource source; ///< owns the pixels of `arguments`
  std::vector<reference::Value> arguments;
  std::map<std::string, Tensor> states; ///< before the call
};
} // namespace

static bool isFloat(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isa<FloatType>(tensor.getElementType());
}

/// Reads, constants and parts of buffers are exact; what meets other ranks is not computed.
static bool isInstruction(Operation &op) {
  return isMemoryEffectFree(&op) && op.getNumOperands() > 0 &&
         llvm::any_of(op.getResultTypes(), isFloat) &&
         !isa<nn::ReshapeOp, nn::SliceOp, nn::ConcatOp, nn::PackOp>(op);
}

/// |found - expected| / |expected| by 2-norm, in units; of a tensor of zeros |found| in units.
static double distance(const Tensor &expected, const Tensor &found) {
  double difference = 0, length = 0;
  for (int64_t i = 0; i < expected.size(); ++i) {
    if (expected[i] == found[i] || (std::isnan(expected[i]) && std::isnan(found[i])))
      continue;
    difference += (found[i] - expected[i]) * (found[i] - expected[i]);
  }
  for (double value : expected.values)
    length += std::isfinite(value) ? value * value : 0;
  double error = std::sqrt(length > 0 ? difference / length : difference) / unit;
  return std::isnan(error) ? INFINITY : error;
}

/// The oracle's value of everything that an instruction takes or makes.
LogicalResult Rounding::interpret(func::FuncOp function) {
  SetVector<Value> wanted;
  for (Instruction &instruction : instructions) {
    for (Value value : instruction.op->getOperands())
      wanted.insert(value);
    wanted.insert_range(instruction.op->getResults());
  }
  run = {options.seed, options.step, /*stepsPerEpoch=*/10, /*epochs=*/5, /*samples=*/1000};
  auto call = interpretValues(function, wanted.getArrayRef(), run, source);
  if (failed(call))
    return failure();
  exact = std::move(call->values);
  arguments = std::move(call->arguments);
  states = std::move(call->states);
  return success();
}

LogicalResult Rounding::measureInPlace(func::FuncOp function) {
  OwningOpRef<ModuleOp> copy = module.clone();
  for (auto other : llvm::to_vector(copy->getOps<func::FuncOp>()))
    if (other.getName() != function.getName())
      other.erase();
  auto clone = copy->lookupSymbol<func::FuncOp>(function.getName());
  std::vector<std::pair<Instruction *, Value>> measured; // and the value in `function`
  SmallVector<Value> values;
  auto next = instructions.begin();
  for (auto [op, twin] : llvm::zip_equal(function.getBody().front(), clone.getBody().front())) {
    if (next == instructions.end() || next->op != &op)
      continue;
    for (auto [result, counterpart] : llvm::zip_equal(op.getResults(), twin.getResults()))
      if (isFloat(result.getType())) {
        measured.emplace_back(&*next, result);
        values.push_back(counterpart);
      }
    ++next;
  }
  size_t before = clone.getNumResults();
  if (failed(addResults(clone, values)))
    return failure();
  auto compiled = Compiled::create(*copy, Phase::Fused, options.threads);
  if (failed(compiled))
    return failure();
  auto given = states;
  auto found = (*compiled)->call(function.getName(), arguments, run, given);
  if (failed(found))
    return failure();
  for (auto [i, pair] : llvm::enumerate(measured)) {
    auto &[instruction, value] = pair;
    const Tensor &expected = std::get<Tensor>(exact.at(value));
    instruction->inPlace = std::max(instruction->inPlace, distance(expected, (*found)[before + i]));
  }
  return success();
}

/// A function for each instruction, which takes the instruction's operands.
LogicalResult Rounding::measureAlone(func::FuncOp function) {
  OwningOpRef<ModuleOp> copy = module.clone();
  for (auto other : llvm::to_vector(copy->getOps<func::FuncOp>()))
    other.erase();
  auto nameOf = [](size_t number) { return "instruction" + std::to_string(number); };
  std::vector<SetVector<Value>> operands;
  for (auto [number, instruction] : llvm::enumerate(instructions)) {
    Operation *op = instruction.op;
    auto &own = operands.emplace_back();
    own.insert_range(op->getOperands());
    auto types = llvm::map_to_vector(own, [](Value value) { return value.getType(); });
    OpBuilder builder = OpBuilder::atBlockEnd(copy->getBody());
    auto alone =
        func::FuncOp::create(builder, op->getLoc(), nameOf(number),
                             FunctionType::get(op->getContext(), types, op->getResultTypes()));
    Block *body = alone.addEntryBlock();
    IRMapping mapping;
    mapping.map(own.getArrayRef(), body->getArguments());
    builder.setInsertionPointToStart(body);
    Operation *clone = builder.clone(*op, mapping);
    func::ReturnOp::create(builder, op->getLoc(), clone->getResults());
  }
  OwningOpRef<ModuleOp> oracle = copy->clone();
  auto compiled = Compiled::create(*copy, Phase::Fused, options.threads);
  if (failed(compiled))
    return failure();
  reference::Interpreter interpreter(*oracle);
  interpreter.run = run;
  for (auto [number, instruction] : llvm::enumerate(instructions)) {
    std::vector<reference::Value> inputs;
    for (Value operand : operands[number]) {
      const reference::Value &value = exact.at(operand);
      auto *tensor = std::get_if<Tensor>(&value);
      inputs.push_back(tensor ? reference::Value(roundedToType(*tensor, operand.getType()))
                              : value);
    }
    std::map<std::string, Tensor> none;
    auto expected = interpreter.call(nameOf(number), inputs);
    auto found = (*compiled)->call(nameOf(number), inputs, run, none);
    if (failed(expected) || failed(found))
      return failure();
    for (auto [i, type] : llvm::enumerate(instruction.op->getResultTypes()))
      if (isFloat(type))
        instruction.alone = std::max(instruction.alone, distance((*expected)[i], (*found)[i]));
  }
  return success();
}

/// What a kernel holds, each operation once, or the name of a library call.
static std::string describe(Operation *op) {
  SetVector<StringRef> names;
  auto add = [&](Operation *each) {
    if (!isa<nn::FusedOp, nn::YieldOp, nn::ReshapeOp, nn::BroadcastOp, nn::ConstantOp>(each))
      names.insert(each->getName().stripDialect());
  };
  op->walk(add);
  SpecLocation place = describeLocation(op->getLoc(), "");
  std::string text = llvm::join(names, ",");
  if (text.size() > 48) {
    text.resize(45);
    text += "...";
  }
  if (!place.file.empty())
    text += "  " + place.file + ":" + std::to_string(place.line);
  if (!place.expression.empty())
    text += "  " + place.expression;
  return text;
}

bool Rounding::report(func::FuncOp function) {
  double logarithms = 0;
  size_t inexact = 0, tooFar = 0;
  for (const Instruction &instruction : instructions) {
    tooFar += options.limit > 0 && !(instruction.alone <= options.limit);
    if (instruction.alone > 0 && std::isfinite(instruction.alone)) {
      logarithms += std::log(instruction.alone);
      ++inexact;
    }
  }
  llvm::outs() << "@" << function.getName() << ": " << instructions.size() << " instructions, "
               << inexact << " round, by "
               << llvm::format("%.2f", inexact ? std::exp(logarithms / inexact) : 0.0)
               << " units of 2^-24 each (geometric mean)\n"
               << "     alone   in place  instruction\n";
  auto shown = instructions;
  llvm::stable_sort(shown,
                    [](const Instruction &x, const Instruction &y) { return x.alone > y.alone; });
  for (const Instruction &instruction : ArrayRef(shown).take_front(options.top))
    llvm::outs() << llvm::format("%10.2f %10.2f  ", instruction.alone, instruction.inPlace)
                 << describe(instruction.op) << '\n';
  if (tooFar > 0)
    llvm::outs() << tooFar << " instructions lose more than " << llvm::format("%g", options.limit)
                 << " units\n";
  return tooFar == 0;
}

FailureOr<bool> Rounding::check(func::FuncOp function) {
  for (Operation &op : function.getBody().front().without_terminator())
    if (isInstruction(op))
      instructions.push_back({&op});
  if (failed(interpret(function)) || failed(measureInPlace(function)) ||
      failed(measureAlone(function)))
    return failure();
  return report(function);
}

int rounding(ModuleOp module, Phase phase, const RoundingOptions &options) {
  if (failed(lower(module, phase, Phase::Fused)))
    return 1;
  bool isFine = true, isFound = false;
  for (auto function : llvm::to_vector(module.getOps<func::FuncOp>())) {
    bool isWanted = options.function.empty() ? function.getName() != "init"
                                             : function.getName() == options.function;
    if (!isWanted)
      continue;
    isFound = true;
    auto good = Rounding(module, options).check(function);
    isFine &= succeeded(good) && *good;
  }
  if (!isFound)
    llvm::errs() << "error: no function @" << options.function << '\n';
  return isFine && isFound ? 0 : 1;
}

} // namespace doppel::verify
