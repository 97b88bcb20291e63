// Built-ins of training: where gradients end, batch statistics, queues, ranks, and the optimizers.
#include "frontends/spec/Builtins.h"

#include <cmath>

namespace doppel::spec {

using namespace mlir;

namespace {

Value stopGradient(BuiltinCall &call, const Value &x) {
  if (x.isTensor())
    return Value::tensor(
        call.emit.make<nn::StopGradientOp>(call.range, x.tensorType(), x.asTensor()));
  if (x.isNumber())
    return x;
  if (!x.isSequence())
    return call.wrongType("x", "a tensor or a list of tensors");
  call.trace.count(call.range, x.elements().size());
  std::vector<Value> elements;
  for (const Value &element : x.elements())
    elements.push_back(stopGradient(call, element));
  return x.isList() ? Value::list(std::move(elements)) : Value::tuple(std::move(elements));
}
Value runStopGradient(BuiltinCall &c) { return stopGradient(c, c.value("x")); }

Value runBatchNormTrain(BuiltinCall &call) {
  auto x = call.tensor("x"), weight = call.tensor("weight"), bias = call.tensor("bias");
  auto eps = call.numberIn("eps", 1e-5, 0.0, HUGE_VAL);
  auto groups = call.count("groups", 1);
  if (!x || !weight || !bias || !eps || !groups)
    return Value::error();
  TensorEmitter &e = call.emit;
  llvm::ArrayRef<int64_t> shape = call.value("x").shape();
  if (shape.size() < 2)
    return call.fail(Code::WrongRank, call.rangeOf("x"),
                     call.label("x") + " is " + typeName(call.value("x")) +
                         ", but batch statistics need [N, ..., C]");
  int64_t channels = shape.back();
  for (llvm::StringRef name : {"weight", "bias"})
    if (call.value(name).shape() != llvm::ArrayRef(channels))
      return call.fail(Code::ShapesDiffer, call.range,
                       call.label("x") + " is " + shapeText(shape) + ", " + call.label(name) +
                           " is " + shapeText(call.value(name).shape()) + ": the channels differ");
  if (shape[0] % *groups != 0) {
    call.report(Code::BadValue, call.range,
                "the batch has " + llvm::Twine(shape[0]) + " rows, which " + llvm::Twine(*groups) +
                    " groups of batch statistics do not divide")
        .help("choose a number of groups that divides " + llvm::Twine(shape[0]));
    return Value::error();
  }
  if (ShapedType::getNumElements(shape) == channels * *groups) {
    call.report(Code::StatisticsOfOne, call.range,
                (*groups == 1
                     ? std::string("the batch statistics have")
                     : "each of " + std::to_string(*groups) + " groups of batch statistics has") +
                    " one value a channel: " + call.label("x") + " is " + shapeText(shape))
        .help("a batch norm needs two values: a larger batch, fewer groups, or larger maps");
    return Value::error();
  }
  Type f32 = e.builder.getF32Type();
  auto statistics = e.f32({*groups, channels});
  auto norm = e.make<nn::BatchNormOp>(
      call.range, TypeRange{e.f32(shape), statistics, statistics}, e.convert(call.range, *x, f32),
      e.convert(call.range, *weight, f32), e.convert(call.range, *bias, f32),
      e.builder.getF64FloatAttr(*eps), e.builder.getI64IntegerAttr(*groups));
  // The groups' statistics as one, without gradient.
  auto merged = [&](mlir::Value value) {
    if (*groups == 1) {
      value = e.reshape(call.range, value, {channels});
    } else {
      value = e.reduce(call.range, nn::ReduceKind::Sum, value, {0}, /*keep=*/false);
      mlir::Value count = e.constant(call.range, e.f32({channels}), static_cast<double>(*groups));
      value = e.make<nn::DivOp>(call.range, value.getType(), value, count);
    }
    return Value::tensor(e.make<nn::StopGradientOp>(call.range, value.getType(), value));
  };
  Value mean = merged(norm.getMean()), variance = merged(norm.getVariance());
  return Value::tuple({Value::tensor(norm.getResult()), mean, variance});
}

Value groupedNet(BuiltinCall &call, bool shuffles) {
  auto groups = call.count("groups");
  if (!groups)
    return Value::error();
  if (!call.value("net").isNet())
    return call.wrongType("net", "a net");
  NetValue net = call.value("net").asNet();
  net.groups = *groups;
  net.shuffle |= shuffles;
  return Value::net(std::move(net));
}
Value runSplitBatchNorm(BuiltinCall &c) { return groupedNet(c, false); }
Value runShuffleBatchNorm(BuiltinCall &c) { return groupedNet(c, true); }

Value runDeterministic(BuiltinCall &call) {
  if (!call.value("net").isNet())
    return call.wrongType("net", "a net");
  NetValue net = call.value("net").asNet();
  net.deterministic = true;
  return Value::net(std::move(net));
}

Value runEma(BuiltinCall &call) {
  call.report(Code::BadEma, call.range, "ema stands alone in 'net NAME = ema(net, momentum)'")
      .help("write it as an item of the method: net key = ema(online, 0.999)");
  return Value::error();
}

Value runEnqueue(BuiltinCall &call) {
  auto queue = call.tensor("queue"), rows = call.tensor("rows");
  if (!queue || !rows)
    return Value::error();
  TensorEmitter &e = call.emit;
  // Which rows are the oldest follows from the step, so twice in a step would be the same rows.
  if (!queue->getDefiningOp<nn::ReadOp>()) {
    Diagnostic &error =
        call.report(Code::WrongType, call.rangeOf("queue"),
                    call.label("queue") + " is no state: only a state has oldest rows");
    if (queue->getDefiningOp<nn::EnqueueOp>())
      error.help("put in all rows at once: enqueue(queue, concat(a, b))");
    else
      error.help("declare it: state queue: f32[K, D] = normalize(random.normal())");
    return Value::error();
  }
  llvm::ArrayRef<int64_t> table = call.value("queue").shape(), added = call.value("rows").shape();
  std::string both = call.label("queue") + " is " + shapeText(table) + ", " + call.label("rows") +
                     " is " + shapeText(added);
  if (table.empty() || added.size() != table.size())
    return call.fail(Code::WrongRank, call.range, both + ": both are rows, [K, D] and [N, D]");
  for (size_t axis = 1; axis < table.size(); ++axis)
    if (table[axis] != added[axis])
      return call.fail(Code::ShapesDiffer, call.range,
                       both + ": axis " + llvm::Twine(axis) + " differs");
  if (table[0] % added[0] != 0) {
    call.report(Code::QueueNotDivisible, call.range,
                both + ": " + llvm::Twine(added[0]) + " rows do not divide a queue of " +
                    llvm::Twine(table[0]))
        .help("make the length a multiple of " + llvm::Twine(added[0]) + ", for instance " +
              llvm::Twine((table[0] / added[0] + 1) * added[0]));
    return Value::error();
  }
  mlir::Value converted =
      e.convert(call.range, *rows, call.value("queue").tensorType().getElementType());
  return Value::tensor(e.make<nn::EnqueueOp>(call.range, queue->getType(), *queue, converted));
}

Value runAllRanks(BuiltinCall &call) {
  // A program is compiled for one rank so far; its rows are all rows.
  return call.tensor("x") ? call.value("x") : Value::error();
}

Value runSampleIndex(BuiltinCall &call) {
  auto image = call.image("image");
  if (!image)
    return Value::error();
  TensorEmitter &e = call.emit;
  if (!e.current->images)
    return call.fail(Code::NotAvailableHere, call.range,
                     "the samples of the batch are known in the step only");
  auto type = e.tensorType({e.batch()}, e.builder.getI64Type());
  return Value::tensor(e.make<nn::SampleIndexOp>(call.range, type, e.current->images));
}

//===- Optimizers -----------------------------------------------------------------------------===//

/// A rate: a number from 0, or a scalar of the run.
std::optional<Value> rate(BuiltinCall &call, llvm::StringRef name, double fallback) {
  if (!call.has(name))
    return Value::number(fallback);
  const Value &given = call.value(name);
  if (given.isTensor() && given.shape().empty())
    return given;
  if (given.isNumber() && given.asDouble() >= 0)
    return given;
  if (given.isNumber())
    call.fail(Code::BadValue, call.rangeOf(name),
              "'" + name + "' of '" + call.builtin.name + "' is " + valueText(given) +
                  ", but must be at least 0");
  else if (given.isTensor())
    call.emit.scalar(given, call.rangeOf(name),
                     ("'" + name + "' of '" + call.builtin.name + "'").str());
  else
    call.wrongType(name, "a number or a scalar tensor");
  return std::nullopt;
}

class Options {
public:
  explicit Options(OpBuilder &builder) : builder(builder) {}
  Options &number(llvm::StringRef name, double value) {
    entries.emplace_back(builder.getStringAttr(name), builder.getF64FloatAttr(value));
    return *this;
  }
  Options &flag(llvm::StringRef name, bool value) {
    entries.emplace_back(builder.getStringAttr(name), builder.getBoolAttr(value));
    return *this;
  }
  Options &text(llvm::StringRef name, llvm::StringRef value) {
    entries.emplace_back(builder.getStringAttr(name), builder.getStringAttr(value));
    return *this;
  }
  DictionaryAttr get() const { return builder.getDictionaryAttr(entries); }

private:
  OpBuilder &builder;
  llvm::SmallVector<NamedAttribute> entries;
};

/// `clip` and `clip_by`, which every optimizer has. False after an error.
bool addClipping(BuiltinCall &call, Options &options) {
  auto clip = call.numberIn("clip", 0.0, 0.0, HUGE_VAL);
  auto by = call.text("clip_by", "global", {"global", "tensor"});
  if (!clip || !by)
    return false;
  if (*clip > 0)
    options.number("clip", *clip).text("clip_by", *by);
  return true;
}

std::optional<std::string> which(BuiltinCall &call, llvm::StringRef name,
                                 llvm::StringRef fallback) {
  return call.text(name, fallback, {"all", "matrices"});
}

Value runSgd(BuiltinCall &call) {
  auto lr = rate(call, "lr", 0), decay = rate(call, "weight_decay", 0);
  auto momentum = call.numberIn("momentum", 0.0, 0.0, 1.0);
  auto dampening = call.numberIn("dampening", 0.0, 0.0, 1.0);
  auto nesterov = call.flag("nesterov", false);
  auto decayed = which(call, "decay", "all");
  if (!lr || !decay || !momentum || !dampening || !nesterov || !decayed)
    return Value::error();
  if (*nesterov && (*momentum == 0 || *dampening != 0))
    return call.fail(Code::BadValue, call.rangeOf("nesterov"),
                     "nesterov needs a momentum, and no dampening");
  Options options(call.emit.builder);
  options.number("momentum", *momentum).number("dampening", *dampening).flag("nesterov", *nesterov);
  if (!addClipping(call, options))
    return Value::error();
  return Value::optimizer({.rule = static_cast<uint32_t>(nn::OptimizerRule::Sgd),
                           .learningRate = *lr,
                           .weightDecay = *decay,
                           .options = options.get(),
                           .decayMatricesOnly = *decayed == "matrices"});
}

Value runLars(BuiltinCall &call) {
  auto lr = rate(call, "lr", 0), decay = rate(call, "weight_decay", 0);
  auto momentum = call.numberIn("momentum", 0.9, 0.0, 1.0);
  auto trust = call.numberIn("trust", 0.001, 0.0, HUGE_VAL);
  auto nesterov = call.flag("nesterov", false);
  auto dialect = call.text("dialect", "simclr", {"simclr", "byol", "larc"});
  auto decayed = which(call, "decay", "matrices"), adapted = which(call, "adapt", "matrices");
  if (!lr || !decay || !momentum || !trust || !nesterov || !dialect || !decayed || !adapted)
    return Value::error();
  Options options(call.emit.builder);
  options.number("momentum", *momentum)
      .number("trust", *trust)
      .number("epsilon", *dialect == "larc" ? 1e-8 : 0.0)
      .flag("nesterov", *nesterov)
      .text("form", *dialect == "simclr" ? "tf" : *dialect);
  if (!addClipping(call, options))
    return Value::error();
  return Value::optimizer({.rule = static_cast<uint32_t>(nn::OptimizerRule::Lars),
                           .learningRate = *lr,
                           .weightDecay = *decay,
                           .options = options.get(),
                           .decayMatricesOnly = *decayed == "matrices",
                           .adapts = true,
                           .adaptMatricesOnly = *adapted == "matrices"});
}

Value runAdamw(BuiltinCall &call) {
  auto lr = rate(call, "lr", 0), decay = rate(call, "weight_decay", 0.01);
  auto beta1 = call.numberIn("beta1", 0.9, 0.0, 1.0);
  auto beta2 = call.numberIn("beta2", 0.999, 0.0, 1.0);
  auto eps = call.numberIn("eps", 1e-8, 0.0, HUGE_VAL);
  auto decayed = which(call, "decay", "matrices");
  if (!lr || !decay || !beta1 || !beta2 || !eps || !decayed)
    return Value::error();
  for (llvm::StringRef name : {"beta1", "beta2"})
    if (call.has(name) && call.value(name).asDouble() == 1)
      return call.fail(Code::BadValue, call.rangeOf(name),
                       "'" + name + "' of 'adamw' is 1, but must be less");
  Options options(call.emit.builder);
  options.number("beta1", *beta1).number("beta2", *beta2).number("epsilon", *eps);
  if (!addClipping(call, options))
    return Value::error();
  return Value::optimizer({.rule = static_cast<uint32_t>(nn::OptimizerRule::AdamW),
                           .learningRate = *lr,
                           .weightDecay = *decay,
                           .options = options.get(),
                           .decayMatricesOnly = *decayed == "matrices"});
}

} // namespace

llvm::ArrayRef<Builtin> trainingBuiltins() {
  static const Builtin builtins[] = {
      {"stop_gradient", "x", runStopGradient},
      {"batch_norm_train", "x, weight, bias, eps?, groups?", runBatchNormTrain},
      {"split_batch_norm", "net, groups", runSplitBatchNorm},
      {"shuffle_batch_norm", "net, groups", runShuffleBatchNorm},
      {"deterministic", "net", runDeterministic},
      {"ema", "net, momentum, init?", runEma},
      {"enqueue", "queue, rows", runEnqueue},
      {"all_ranks", "x", runAllRanks},
      {"sample_index", "image", runSampleIndex},
      {"sgd", "lr, momentum?, weight_decay?, dampening?, nesterov?, decay?, clip?, clip_by?",
       runSgd},
      {"lars",
       "lr, momentum?, weight_decay?, trust?, dialect?, nesterov?, decay?, adapt?, clip?, clip_by?",
       runLars},
      {"adamw", "lr, beta1?, beta2?, eps?, weight_decay?, decay?, clip?, clip_by?", runAdamw},
  };
  return builtins;
}

} // namespace doppel::spec
