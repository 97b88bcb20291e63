// Walks a function's one block in order and dispatches each operation to its formula.
#include "codegen/reference/Interpreter.h"

#include "codegen/reference/Formulas.h"
#include "dialects/nn/NnDialect.h"
#include "llvm/ADT/TypeSwitch.h"

#include <algorithm>
#include <cmath>

using namespace mlir;

namespace doppel::reference {

Shape shapeOf(Type type) {
  auto shape = cast<RankedTensorType>(type).getShape();
  return Shape(shape.begin(), shape.end());
}

Tensor tensorOf(ElementsAttr elements) {
  Tensor tensor(shapeOf(elements.getType()));
  auto next = tensor.values.begin();
  if (isa<FloatType>(elements.getElementType())) {
    for (const APFloat &value : elements.getValues<APFloat>()) {
      APFloat wide = value;
      bool loses;
      wide.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &loses);
      *next++ = wide.convertToDouble();
    }
    return tensor;
  }
  bool isBool = elements.getElementType().isInteger(1);
  for (const APInt &value : elements.getValues<APInt>())
    *next++ = isBool ? static_cast<double>(value.getZExtValue())
                     : static_cast<double>(value.getSExtValue());
  return tensor;
}

namespace {
/// One execution of one block: the values so far.
class Evaluation {
public:
  explicit Evaluation(Interpreter &interpreter) : interpreter(interpreter) {}

  /// The operands of the block's terminator, after all its operations.
  FailureOr<std::vector<Tensor>> run(Block &block, ArrayRef<Value> arguments) {
    for (auto [argument, value] : llvm::zip_equal(block.getArguments(), arguments))
      values[argument] = value;
    for (Operation &op : block.without_terminator())
      if (failed(execute(&op)))
        return failure();
    std::vector<Tensor> results;
    for (mlir::Value operand : block.getTerminator()->getOperands())
      results.push_back(tensor(operand));
    return results;
  }

private:
  const Tensor &tensor(mlir::Value value) { return std::get<Tensor>(values.at(value)); }
  void set(mlir::Value result, Tensor tensor) { values[result] = std::move(tensor); }
  Shape shape(Operation *op) { return shapeOf(op->getResult(0).getType()); }
  double scalar(mlir::Value value) { return tensor(value)[0]; }
  uint32_t step() const { return static_cast<uint32_t>(interpreter.run.step); }

  SmallVector<const Tensor *> tensors(ValueRange range) {
    SmallVector<const Tensor *> result;
    for (mlir::Value value : range)
      result.push_back(&tensor(value));
    return result;
  }

  template <typename Function> LogicalResult map(Operation *op, Function function) {
    const Tensor &x = tensor(op->getOperand(0));
    Tensor result(x.shape);
    for (int64_t i = 0; i < x.size(); ++i)
      result[i] = function(x[i]);
    set(op->getResult(0), std::move(result));
    return success();
  }
  template <typename Function> LogicalResult zip(Operation *op, Function function) {
    const Tensor &x = tensor(op->getOperand(0)), &y = tensor(op->getOperand(1));
    Tensor result(x.shape);
    for (int64_t i = 0; i < x.size(); ++i)
      result[i] = function(x[i], y[i]);
    set(op->getResult(0), std::move(result));
    return success();
  }
  LogicalResult give(Operation *op, Tensor result) {
    set(op->getResult(0), std::move(result));
    return success();
  }

  LogicalResult execute(Operation *op);
  LogicalResult executeElementwise(Operation *op);
  LogicalResult executeTensor(Operation *op);
  LogicalResult executeWindow(Operation *op);
  LogicalResult executeRun(Operation *op);
  LogicalResult executeState(Operation *op);
  LogicalResult executeCollective(Operation *op);
  LogicalResult executeUpdate(nn::UpdateParametersOp op);
  LogicalResult executeFused(nn::FusedOp op);

  Tensor readState(Operation *op, SymbolRefAttr symbol);
  void writeState(Operation *op, SymbolRefAttr symbol, const Tensor &value);

  Interpreter &interpreter;
  DenseMap<mlir::Value, Value> values;
  int64_t collectives = 0; ///< executed so far
};
} // namespace

LogicalResult Evaluation::execute(Operation *op) {
  if (isa<nn::StateOp, nn::StateGroupOp>(op))
    return success();
  if (op->hasTrait<OpTrait::Elementwise>())
    return executeElementwise(op);
  if (op->hasTrait<nn::Collective>())
    return executeCollective(op);
  if (auto fused = dyn_cast<nn::FusedOp>(op))
    return executeFused(fused);
  return executeTensor(op); // which hands on what is not its own
}

//===- Element by element ---------------------------------------------------------------------===//

static double greater(double x, double y) {
  return std::isnan(x) || std::isnan(y) ? NAN : y > x ? y : x;
}
static double lesser(double x, double y) {
  return std::isnan(x) || std::isnan(y) ? NAN : y < x ? y : x;
}

static bool holds(nn::ComparePredicate predicate, double x, double y) {
  switch (predicate) {
  case nn::ComparePredicate::EQ:
    return x == y;
  case nn::ComparePredicate::NE:
    return x != y;
  case nn::ComparePredicate::LT:
    return x < y;
  case nn::ComparePredicate::LE:
    return x <= y;
  case nn::ComparePredicate::GT:
    return x > y;
  case nn::ComparePredicate::GE:
    return x >= y;
  }
  llvm_unreachable("a comparison has a predicate");
}

/// A float rounds toward zero, to the nearest that the integer can hold; NaN gives 0. An integer of
/// another width keeps its low bits.
static double toInteger(double x, Type from, Type to) {
  double half = std::ldexp(1.0, int(to.getIntOrFloatBitWidth()) - 1);
  if (isa<IntegerType>(from))
    return x - 2 * half * std::floor((x + half) / (2 * half));
  return std::isnan(x) ? 0 : std::clamp(std::trunc(x), -half, half - 1) + 0.0; // no -0
}

LogicalResult Evaluation::executeElementwise(Operation *op) {
  bool isInteger = isa<IntegerType>(getElementTypeOrSelf(op->getResult(0).getType()));
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](nn::NegOp) { return map(op, [](double x) { return -x; }); })
      .Case([&](nn::ExpOp) { return map(op, [](double x) { return std::exp(x); }); })
      .Case([&](nn::LogOp) { return map(op, [](double x) { return std::log(x); }); })
      .Case([&](nn::SqrtOp) { return map(op, [](double x) { return std::sqrt(x); }); })
      .Case([&](nn::RsqrtOp) { return map(op, [](double x) { return 1 / std::sqrt(x); }); })
      .Case([&](nn::TanhOp) { return map(op, [](double x) { return std::tanh(x); }); })
      .Case([&](nn::SigmoidOp) { return map(op, [](double x) { return 1 / (1 + std::exp(-x)); }); })
      .Case([&](nn::ErfOp) { return map(op, [](double x) { return std::erf(x); }); })
      .Case([&](nn::AbsOp) { return map(op, [](double x) { return std::abs(x); }); })
      .Case([&](nn::SinOp) { return map(op, [](double x) { return std::sin(x); }); })
      .Case([&](nn::CosOp) { return map(op, [](double x) { return std::cos(x); }); })
      .Case([&](nn::FloorOp) { return map(op, [](double x) { return std::floor(x); }); })
      .Case([&](nn::ReluOp) { return map(op, [](double x) { return greater(x, 0); }); })
      .Case([&](nn::NotOp) { return map(op, [](double x) { return x == 0; }); })
      .Case([&](nn::StopGradientOp) { return map(op, [](double x) { return x; }); })
      .Case([&](nn::AddOp) { return zip(op, [](double x, double y) { return x + y; }); })
      .Case([&](nn::SubOp) { return zip(op, [](double x, double y) { return x - y; }); })
      .Case([&](nn::MulOp) { return zip(op, [](double x, double y) { return x * y; }); })
      .Case([&](nn::DivOp) {
        return zip(op, [&](double x, double y) { return isInteger ? std::trunc(x / y) : x / y; });
      })
      .Case([&](nn::RemOp) {
        return zip(op, [](double x, double y) { return x - y * std::floor(x / y); });
      })
      .Case([&](nn::MaxOp) { return zip(op, greater); })
      .Case([&](nn::MinOp) { return zip(op, lesser); })
      .Case([&](nn::PowOp) { return zip(op, [](double x, double y) { return std::pow(x, y); }); })
      .Case([&](nn::AndOp) { return zip(op, [](double x, double y) { return x != 0 && y != 0; }); })
      .Case([&](nn::OrOp) { return zip(op, [](double x, double y) { return x != 0 || y != 0; }); })
      .Case([&](nn::CompareOp compare) {
        return zip(op, [&](double x, double y) { return holds(compare.getPredicate(), x, y); });
      })
      .Case([&](nn::SelectOp select) {
        const Tensor &condition = tensor(select.getCondition());
        const Tensor &onTrue = tensor(select.getOnTrue()), &onFalse = tensor(select.getOnFalse());
        Tensor result(condition.shape);
        for (int64_t i = 0; i < result.size(); ++i)
          result[i] = condition[i] != 0 ? onTrue[i] : onFalse[i];
        return give(op, std::move(result));
      })
      .Case([&](nn::ConvertOp convert) {
        Type from = getElementTypeOrSelf(convert.getInput().getType());
        Type to = convert.getType().getElementType();
        return map(op, [&](double x) -> double {
          return to.isInteger(1) ? x != 0 : isInteger ? toInteger(x, from, to) : x;
        });
      })
      .Default([&](Operation *) { return op->emitError("has no reference formula"); });
}

//===- What a run provides --------------------------------------------------------------------===//

static double runValue(nn::RunValue which, const abi::RunScalars &run) {
  switch (which) {
  case nn::RunValue::Step:
    return static_cast<double>(run.step);
  case nn::RunValue::StepsPerEpoch:
    return static_cast<double>(run.stepsPerEpoch);
  case nn::RunValue::Epochs:
    return static_cast<double>(run.epochs);
  case nn::RunValue::Samples:
    return static_cast<double>(run.samples);
  }
  llvm_unreachable("a scalar of the run has a value");
}

LogicalResult Evaluation::executeRun(Operation *op) {
  uint64_t seed = interpreter.run.seed;
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](nn::ConstantOp constant) { return give(op, tensorOf(constant.getValue())); })
      .Case([&](nn::IotaOp iota) {
        Tensor result(shape(op));
        forEachIndex(result.shape, [&](const Shape &index, int64_t linear) {
          result[linear] = static_cast<double>(index[iota.getDim()]);
        });
        return give(op, std::move(result));
      })
      .Case([&](nn::RunScalarOp value) {
        return give(op, Tensor(Shape{}, runValue(value.getValue(), interpreter.run)));
      })
      .Case([&](nn::RandomOp draw) {
        return give(op,
                    random(draw.getDistribution(), seed, static_cast<uint32_t>(draw.getStream()),
                           step(), shape(op), draw.getBy() ? &tensor(draw.getBy()) : nullptr));
      })
      .Case([&](nn::RandomPermutationOp draw) {
        return give(op, randomPermutation(seed, static_cast<uint32_t>(draw.getStream()), step(),
                                          shape(op)[0]));
      })
      .Case([&](nn::AugmentOp view) {
        SmallVector<nn::StageAttr> pipeline;
        for (Attribute stage : view.getPipeline())
          pipeline.push_back(cast<nn::StageAttr>(stage));
        const auto &images = std::get<Images>(values.at(view.getImages()));
        return give(op, augment(images.refs, images.slab.data(), pipeline, seed,
                                static_cast<uint32_t>(view.getStream()), step()));
      })
      .Case([&](nn::SampleIndexOp index) {
        Tensor result(shape(op));
        for (auto [i, image] : llvm::enumerate(std::get<Images>(values.at(index.getImages())).refs))
          result[i] = static_cast<double>(image.index);
        return give(op, std::move(result));
      })
      .Default([&](Operation *) { return executeState(op); });
}

//===- Tensors --------------------------------------------------------------------------------===//

LogicalResult Evaluation::executeTensor(Operation *op) {
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](nn::BroadcastOp o) {
        return give(op, broadcast(tensor(o.getInput()), o.getDims(), shape(op)));
      })
      .Case(
          [&](nn::ReshapeOp o) { return give(op, Tensor(shape(op), tensor(o.getInput()).values)); })
      .Case([&](nn::TransposeOp o) {
        return give(op, transpose(tensor(o.getInput()), o.getPermutation()));
      })
      .Case([&](nn::SliceOp o) {
        return give(op, slice(tensor(o.getInput()), o.getOffsets(), o.getStrides(), shape(op)));
      })
      .Case([&](nn::PadOp o) {
        return give(op, pad(tensor(o.getInput()), o.getOffsets(), o.getStrides(), shape(op)));
      })
      .Case([&](nn::ConcatOp o) {
        return give(op,
                    concat(tensors(o.getInputs()), static_cast<int64_t>(o.getAxis()), shape(op)));
      })
      .Case([&](nn::ReduceOp o) {
        return give(op, reduce(tensor(o.getInput()), o.getKind(), o.getDims(), shape(op)));
      })
      .Case([&](nn::MatmulOp o) {
        return give(op, matmul(tensor(o.getLhs()), tensor(o.getRhs()), o.getTransposeLhs(),
                               o.getTransposeRhs(), shape(op)));
      })
      .Case([&](nn::GemmOp o) {
        return give(op, gemm(tensor(o.getLhs()), tensor(o.getRhs()),
                             o.getAddend() ? &tensor(o.getAddend()) : nullptr,
                             o.getBias() ? &tensor(o.getBias()) : nullptr, o.getTransposeLhs(),
                             o.getTransposeRhs(), o.getRelu(), shape(op)));
      })
      .Case([&](nn::GatherRowsOp o) {
        return give(op, gatherRows(tensor(o.getTable()), tensor(o.getIndices())));
      })
      .Case([&](nn::ScatterRowsOp o) {
        return give(op, scatterRows(tensor(o.getTable()), tensor(o.getIndices()),
                                    tensor(o.getRows()), o.getAccumulate()));
      })
      .Case([&](nn::EnqueueOp o) {
        return give(op, enqueue(tensor(o.getQueue()), tensor(o.getRows()), interpreter.run.step));
      })
      .Case([&](nn::PackOp o) {
        return give(op, pack(tensors(o.getInputs()), o.getOffsets(), shape(op)[0]));
      })
      .Case([&](nn::SegmentSumOp o) {
        return give(op, segmentSum(tensor(o.getInput()), o.getOffsets(), o.getSizes()));
      })
      .Case([&](nn::SegmentBroadcastOp o) {
        return give(
            op, segmentBroadcast(tensor(o.getInput()), o.getOffsets(), o.getSizes(), shape(op)[0]));
      })
      .Default([&](Operation *) { return executeWindow(op); });
}

template <typename Op> static Window windowOf(Op op) {
  return {op.getStrides(), op.getPadding(), op.getDilations(), static_cast<int64_t>(op.getGroups()),
          op.getChannelsLast()};
}

LogicalResult Evaluation::executeWindow(Operation *op) {
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](nn::Conv2DOp o) {
        return give(op,
                    conv2d(tensor(o.getInput()), tensor(o.getWeight()), windowOf(o), shape(op)));
      })
      .Case([&](nn::Conv2DBackwardDataOp o) {
        return give(op, conv2dBackwardData(tensor(o.getGradient()), tensor(o.getWeight()),
                                           windowOf(o), shape(op)));
      })
      .Case([&](nn::Conv2DBackwardWeightsOp o) {
        return give(op, conv2dBackwardWeights(tensor(o.getInput()), tensor(o.getGradient()),
                                              windowOf(o), shape(op)));
      })
      .Case([&](nn::MaxPool2DOp o) {
        Tensor workspace;
        Tensor result = maxPool2d(tensor(o.getInput()), o.getKernel(), o.getStrides(),
                                  o.getPadding(), shape(op), workspace);
        set(o.getWorkspace(), std::move(workspace));
        return give(op, std::move(result));
      })
      .Case([&](nn::MaxPool2DBackwardOp o) {
        return give(op,
                    maxPool2dBackward(tensor(o.getGradient()), tensor(o.getWorkspace()),
                                      o.getKernel(), o.getStrides(), o.getPadding(), shape(op)));
      })
      .Case([&](nn::AvgPool2DOp o) {
        return give(op, avgPool2d(tensor(o.getInput()), o.getKernel(), o.getStrides(),
                                  o.getPadding(), shape(op)));
      })
      .Case([&](nn::AvgPool2DBackwardOp o) {
        return give(op, avgPool2dBackward(tensor(o.getGradient()), o.getKernel(), o.getStrides(),
                                          o.getPadding(), shape(op)));
      })
      .Case([&](nn::BatchNormOp o) {
        BatchNorm norm =
            batchNorm(tensor(o.getInput()), tensor(o.getScale()), tensor(o.getBias()),
                      o.getEpsilon().convertToDouble(), static_cast<int64_t>(o.getGroups()));
        set(o.getResult(), std::move(norm.result));
        set(o.getMean(), std::move(norm.mean));
        set(o.getVariance(), std::move(norm.variance));
        return success();
      })
      .Case([&](nn::BatchNormBackwardOp o) {
        BatchNormGradient gradient = batchNormBackward(
            tensor(o.getInput()), tensor(o.getScale()), tensor(o.getMean()),
            tensor(o.getVariance()), tensor(o.getGradient()), o.getEpsilon().convertToDouble(),
            static_cast<int64_t>(o.getGroups()));
        set(o.getInputGradient(), std::move(gradient.input));
        set(o.getScaleGradient(), std::move(gradient.scale));
        set(o.getBiasGradient(), std::move(gradient.bias));
        return success();
      })
      .Default([&](Operation *) { return executeRun(op); });
}

//===- States and updates ---------------------------------------------------------------------===//

/// The group that `symbol` names, if it names one.
static nn::StateGroupOp groupOf(Operation *op, SymbolRefAttr symbol) {
  return SymbolTable::lookupNearestSymbolFrom<nn::StateGroupOp>(op, symbol);
}

Tensor Evaluation::readState(Operation *op, SymbolRefAttr symbol) {
  nn::StateGroupOp group = groupOf(op, symbol);
  if (!group)
    return interpreter.states.at(symbol.getLeafReference().str());
  SmallVector<const Tensor *> members;
  for (Attribute member : group.getMembers())
    members.push_back(&interpreter.states.at(cast<SymbolRefAttr>(member).getLeafReference().str()));
  return pack(members, group.getOffsets(), shapeOf(group.getType())[0]);
}

void Evaluation::writeState(Operation *op, SymbolRefAttr symbol, const Tensor &value) {
  nn::StateGroupOp group = groupOf(op, symbol);
  if (!group) {
    interpreter.states.at(symbol.getLeafReference().str()) = value;
    return;
  }
  for (auto [symbolOfMember, offset] : llvm::zip_equal(group.getMembers(), group.getOffsets())) {
    Tensor &member =
        interpreter.states.at(cast<SymbolRefAttr>(symbolOfMember).getLeafReference().str());
    for (int64_t i = 0; i < member.size(); ++i)
      member[i] = value[offset + i];
  }
}

LogicalResult Evaluation::executeState(Operation *op) {
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](nn::ReadOp read) { return give(op, readState(op, read.getStateAttr())); })
      .Case([&](nn::WriteOp write) {
        writeState(op, write.getStateAttr(), tensor(write.getValue()));
        return success();
      })
      .Case([&](nn::EmaUpdateOp update) {
        double momentum = scalar(update.getMomentum());
        for (auto [target, source] : llvm::zip_equal(update.getTargets(), update.getSources())) {
          Tensor mean = readState(op, cast<SymbolRefAttr>(target));
          Tensor fresh = readState(op, cast<SymbolRefAttr>(source));
          for (int64_t i = 0; i < mean.size(); ++i)
            mean[i] = momentum * mean[i] + (1 - momentum) * fresh[i];
          writeState(op, cast<SymbolRefAttr>(target), mean);
        }
        return success();
      })
      .Case([&](nn::UpdateParametersOp update) { return executeUpdate(update); })
      .Case([&](nn::CheckFiniteOp check) -> LogicalResult {
        for (double value : tensor(check.getValue()).values)
          if (!std::isfinite(value))
            return check.emitError()
                   << check.getWhat() << " is not finite at step " << interpreter.run.step;
        return success();
      })
      .Default([&](Operation *) { return op->emitError("has no reference formula"); });
}

LogicalResult Evaluation::executeUpdate(nn::UpdateParametersOp op) {
  double learningRate = scalar(op.getLearningRate()), weightDecay = scalar(op.getWeightDecay());
  int64_t steps = interpreter.run.step;
  // Where an optimizer may skip steps, a state counts those that it takes, if its formula asks for
  // them.
  bool takesStep = !op.getCondition() || scalar(op.getCondition()) != 0;
  if (op.getCondition() && hasStepsInFormula(op.getRule(), op.getOptions())) {
    std::string first = cast<SymbolRefAttr>(op.getParameters()[0]).getLeafReference().str();
    Tensor &count = interpreter.states.try_emplace(first + ".steps", Tensor(Shape{})).first->second;
    steps = int64_t(count[0]);
    count[0] += takesStep;
  }
  if (!takesStep)
    return success();
  std::vector<Tensor> gradients;
  for (mlir::Value gradient : op.getGradients())
    gradients.push_back(tensor(gradient));
  clipGradients(op.getOptions(), gradients);
  for (auto [i, symbol] : llvm::enumerate(op.getParameters())) {
    auto parameter = cast<SymbolRefAttr>(symbol);
    std::string name = parameter.getLeafReference().str();
    Tensor value = readState(op, parameter);
    Moments moments;
    auto suffixes = momentNames(op.getRule(), op.getOptions());
    for (StringRef suffix : suffixes)
      moments.push_back(
          interpreter.states.try_emplace(name + "." + suffix.str(), Tensor(value.shape))
              .first->second);
    updateParameter(op.getRule(), op.getOptions(), op.getDecay()[i], op.getAdapt()[i], learningRate,
                    weightDecay, steps, gradients[i], value, moments);
    writeState(op, parameter, value);
    for (auto [suffix, moment] : llvm::zip_equal(suffixes, moments))
      interpreter.states[name + "." + suffix.str()] = moment;
  }
  return success();
}

//===- Collectives and kernels ----------------------------------------------------------------===//

LogicalResult Evaluation::executeCollective(Operation *op) {
  const Tensor &input = tensor(op->getOperand(0));
  std::vector<Tensor> inputs = {input};
  if (interpreter.grid) {
    std::string name =
        "number " + std::to_string(collectives++) + ", " + op->getName().getStringRef().str();
    auto exchanged = interpreter.grid->exchange(interpreter.rank, name, input);
    if (!exchanged)
      return op->emitError() << "the ranks did not meet: " << interpreter.grid->error();
    inputs = std::move(*exchanged);
  }
  auto ranks = static_cast<int64_t>(inputs.size());
  Tensor result(shape(op));
  int64_t expected = isa<nn::AllGatherOp>(op)       ? input.size() * ranks
                     : isa<nn::ReduceScatterOp>(op) ? input.size() / ranks
                                                    : input.size();
  if (result.size() != expected)
    return op->emitError() << "is for another number of ranks than " << ranks;
  if (isa<nn::AllGatherOp>(op)) {
    for (int64_t i = 0; i < result.size(); ++i)
      result[i] = inputs[i / input.size()][i % input.size()];
    return give(op, std::move(result));
  }
  int64_t begin = isa<nn::ReduceScatterOp>(op) ? interpreter.rank * result.size() : 0;
  for (int64_t i = 0; i < result.size(); ++i)
    for (const Tensor &part : inputs)
      result[i] += part[begin + i];
  return give(op, std::move(result));
}

LogicalResult Evaluation::executeFused(nn::FusedOp op) {
  std::vector<Value> arguments;
  for (mlir::Value input : op.getInputs())
    arguments.push_back(values.at(input));
  auto results = Evaluation(interpreter).run(op.getBody().front(), arguments);
  if (failed(results))
    return failure();
  for (auto [output, result] : llvm::zip_equal(op.getOutputs(), *results))
    set(output, std::move(result));
  return success();
}

//===- Interpreter ----------------------------------------------------------------------------===//

Interpreter::Interpreter(ModuleOp module) : module(module) {
  for (auto state : module.getOps<nn::StateOp>())
    states.emplace(state.getSymName().str(), Tensor(shapeOf(state.getType())));
}

FailureOr<std::vector<Tensor>> Interpreter::call(func::FuncOp function, ArrayRef<Value> arguments) {
  if (function.getNumArguments() != arguments.size())
    return function.emitError() << "takes " << function.getNumArguments() << " arguments, but got "
                                << arguments.size();
  for (auto [i, argument] : llvm::enumerate(arguments)) {
    Type type = function.getArgumentTypes()[i];
    if (auto images = dyn_cast<nn::ImagesType>(type)) {
      auto *batch = std::get_if<Images>(&argument);
      if (!batch || static_cast<int64_t>(batch->refs.size()) != images.getBatch())
        return function.emitError()
               << "argument " << i << " must be a batch of " << images.getBatch() << " images";
      continue;
    }
    auto *value = std::get_if<Tensor>(&argument);
    if (!value || value->shape != shapeOf(type))
      return function.emitError() << "argument " << i << " must be a " << type;
  }
  if (!llvm::hasSingleElement(function.getBody()))
    return function.emitError("must have a body of one block");
  return Evaluation(*this).run(function.getBody().front(), arguments);
}

FailureOr<std::vector<Tensor>> Interpreter::call(StringRef name, ArrayRef<Value> arguments) {
  auto function = module.lookupSymbol<func::FuncOp>(name);
  if (!function)
    return module.emitError() << "has no function @" << name;
  return call(function, arguments);
}

} // namespace doppel::reference
