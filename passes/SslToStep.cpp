// Turns a method into functions over tensors: networks inlined with the names of their states,
// updates, optimizers and averages in the order in which a step runs them. After this pass the
// module holds nn.state, @init, @step, @represent and @preview, and no ssl operation.
#include "dialects/ssl/SslDialect.h"
#include "passes/Passes.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_SSLTOSTEP
#include "passes/Passes.h.inc"

namespace {

/// A result of a function and its name.
struct Output {
  StringAttr name;
  Value value;
};

/// Identifies what the user said: the method with its params' values and its batch, whatever the
/// places in files and what is told of params.
int64_t fingerprintOf(ssl::MethodOp method) {
  DictionaryAttr params = method.getParamsAttr();
  SmallVector<NamedAttribute> values;
  for (NamedAttribute param : params) {
    auto fields = dyn_cast<DictionaryAttr>(param.getValue());
    Attribute value = fields ? fields.get("value") : Attribute();
    values.emplace_back(param.getName(), value ? value : param.getValue());
  }
  method.setParamsAttr(DictionaryAttr::get(method.getContext(), values));
  std::string text;
  llvm::raw_string_ostream stream(text);
  method->print(stream, OpPrintingFlags().useLocalScope());
  method.setParamsAttr(params);
  return int64_t(llvm::xxh3_64bits(text));
}

class Lowering {
public:
  Lowering(ModuleOp module, ssl::MethodOp method) : module(module), method(method) {
    for (Operation &op : body()) {
      if (auto net = dyn_cast<ssl::NetOp>(op))
        nets[net.getSymNameAttr()] = net;
      else if (auto state = dyn_cast<ssl::StateOp>(op))
        states.push_back(state);
    }
  }

  void run() {
    setAttributes();
    declareStates();
    makeInit();
    for (auto step : body().getOps<ssl::StepOp>()) {
      makeStep(step);
      makePreview(step);
    }
    for (auto represent : body().getOps<ssl::RepresentOp>())
      makeRepresent(represent);
    method.erase();
  }

private:
  Block &body() { return method.getBody().front(); }

  void setAttributes() {
    Builder builder(module.getContext());
    module->setAttr("nn.method", builder.getStringAttr(method.getSymName()));
    module->setAttr("nn.batch", method.getBatchAttr());
    module->setAttr("nn.epochs", method.getEpochsAttr());
    module->setAttr("nn.params", method.getParamsAttr());
    if (auto samples = method.getSamplesAttr())
      module->setAttr("nn.samples", samples);
    module->setAttr("nn.fingerprint", builder.getI64IntegerAttr(fingerprintOf(method)));
  }

  void declareStates() {
    OpBuilder builder(method);
    for (ssl::StateOp state : states)
      nn::StateOp::create(builder, state.getLoc(), state.getSymName(), state.getKind(),
                          state.getType());
  }

  //===-- Functions ---------------------------------------------------------------------------===//

  func::FuncOp makeFunction(StringRef name, Location loc, TypeRange inputs, OpBuilder &builder) {
    OpBuilder moduleBuilder(method);
    auto function =
        func::FuncOp::create(moduleBuilder, loc, name, moduleBuilder.getFunctionType(inputs, {}));
    builder.setInsertionPointToStart(function.addEntryBlock());
    return function;
  }

  void finishFunction(func::FuncOp function, ArrayRef<Output> outputs, OpBuilder &builder) {
    SmallVector<Value> values;
    SmallVector<Attribute> attributes;
    for (const Output &output : outputs) {
      values.push_back(output.value);
      attributes.push_back(builder.getDictionaryAttr(builder.getNamedAttr("nn.name", output.name)));
    }
    func::ReturnOp::create(builder, function.getLoc(), values);
    function.setType(
        builder.getFunctionType(function.getArgumentTypes(), ValueRange(values).getTypes()));
    function.setAllResultAttrs(attributes);
  }

  void makeInit() {
    OpBuilder builder(module.getContext());
    func::FuncOp init = makeFunction("init", method.getLoc(), {}, builder);
    for (ssl::StateOp state : states) {
      IRMapping map;
      Value value = emitRegion(builder, state.getInit(), {}, "", map).front();
      nn::WriteOp::create(builder, state.getLoc(), state.getSymName(), value);
    }
    finishFunction(init, {}, builder);
  }

  void makeStep(ssl::StepOp step) {
    OpBuilder builder(module.getContext());
    Block &forward = step.getBody().front();
    func::FuncOp function =
        makeFunction("step", step.getLoc(), forward.getArgumentTypes(), builder);
    IRMapping map;
    map.map(forward.getArguments(), function.getArguments());
    SmallVector<Output> outputs(1);

    emitUpdates(builder, forward, ssl::When::BeforeForward, map);
    for (Operation &op : forward) {
      if (auto loss = dyn_cast<ssl::LossOp>(op)) {
        Value term = map.lookup(loss.getValue());
        Value &sum = outputs.front().value;
        sum = sum ? nn::AddOp::create(builder, loss.getLoc(), sum, term).getResult() : term;
      } else if (auto metric = dyn_cast<ssl::MetricOp>(op)) {
        outputs.push_back({metric.getNameAttr(), map.lookup(metric.getValue())});
      } else if (!isa<ssl::ViewOp, ssl::UpdateOp, ssl::EmaOp>(op)) {
        emit(builder, op, "", map);
      }
    }
    outputs.front().name = builder.getStringAttr("loss");
    emitUpdates(builder, forward, ssl::When::AfterLoss, map);
    emitOptimizers(builder, outputs);
    emitUpdates(builder, forward, ssl::When::AfterStep, map);
    finishFunction(function, outputs, builder);
  }

  /// Every view and what it is computed from, with the random numbers of the step, but as colours
  /// in [0, 1]: without the normalisation at its end.
  void makePreview(ssl::StepOp step) {
    Block &forward = step.getBody().front();
    DenseSet<Operation *> needed;
    for (Operation &op : llvm::reverse(forward))
      if (isa<ssl::ViewOp>(op) || needed.contains(&op))
        for (Value operand : op.getOperands())
          if (Operation *producer = operand.getDefiningOp())
            needed.insert(producer);

    OpBuilder builder(module.getContext());
    func::FuncOp function =
        makeFunction("preview", step.getLoc(), forward.getArgumentTypes(), builder);
    IRMapping map;
    map.map(forward.getArguments(), function.getArguments());
    SmallVector<Output> outputs;
    for (Operation &op : forward) {
      if (auto view = dyn_cast<ssl::ViewOp>(op))
        outputs.push_back({view.getNameAttr(), map.lookup(view.getValue())});
      else if (needed.contains(&op))
        emit(builder, op, "", map);
    }
    function.walk([](nn::AugmentOp view) {
      ArrayRef<Attribute> stages = view.getPipeline().getValue();
      if (!stages.empty() &&
          cast<nn::StageAttr>(stages.back()).getTransform() == nn::Transform::Normalize)
        view.setPipelineAttr(ArrayAttr::get(view.getContext(), stages.drop_back()));
    });
    finishFunction(function, outputs, builder);
  }

  void makeRepresent(ssl::RepresentOp represent) {
    OpBuilder builder(module.getContext());
    Block &source = represent.getBody().front();
    func::FuncOp function =
        makeFunction("represent", represent.getLoc(), source.getArgumentTypes(), builder);
    IRMapping map;
    Value features = emitRegion(builder, represent.getBody(),
                                llvm::to_vector_of<Value>(function.getArguments()), "", map)
                         .front();
    finishFunction(function, {{builder.getStringAttr("features"), features}}, builder);
  }

  //===-- Statements --------------------------------------------------------------------------===//

  /// The updates and averages of one moment, those of the method's body first, then those of the
  /// step, in order of the text.
  void emitUpdates(OpBuilder &builder, Block &forward, ssl::When when, IRMapping &map) {
    for (Block *block : {&body(), &forward})
      for (Operation &op : *block) {
        if (auto update = dyn_cast<ssl::UpdateOp>(op); update && update.getWhen() == when) {
          Value value = emitRegion(builder, update.getValue(), {}, "", map).front();
          nn::WriteOp::create(builder, update.getLoc(), update.getState(), value);
        } else if (auto ema = dyn_cast<ssl::EmaOp>(op); ema && ema.getWhen() == when) {
          emitEma(builder, ema, map);
        }
      }
  }

  void emitEma(OpBuilder &builder, ssl::EmaOp ema, IRMapping &map) {
    std::string target = ema.getTarget().str() + ".", source = ema.getSource().str() + ".";
    SmallVector<Attribute> targets, sources;
    for (ssl::StateOp state : states) {
      StringRef name = state.getSymName();
      if (state.getKind() != nn::StateKind::Ema || !name.consume_front(target))
        continue;
      targets.push_back(FlatSymbolRefAttr::get(state.getSymNameAttr()));
      sources.push_back(FlatSymbolRefAttr::get(builder.getContext(), source + name.str()));
    }
    Value momentum = emitRegion(builder, ema.getMomentum(), {}, "", map).front();
    nn::EmaUpdateOp::create(builder, ema.getLoc(), momentum, builder.getArrayAttr(targets),
                            builder.getArrayAttr(sources));
  }

  /// The optimizers in order of the text; the first one's learning rate is a metric.
  void emitOptimizers(OpBuilder &builder, SmallVector<Output> &outputs) {
    bool first = true;
    for (auto optimize : body().getOps<ssl::OptimizeOp>()) {
      IRMapping map;
      SmallVector<Value> rates = emitRegion(builder, optimize.getSchedule(), {}, "", map);
      SmallVector<Attribute> parameters;
      for (auto name : optimize.getParameters().getAsRange<StringAttr>())
        parameters.push_back(FlatSymbolRefAttr::get(name));
      nn::OptimizeOp::create(builder, optimize.getLoc(), outputs.front().value, rates[0], rates[1],
                             rates.size() > 2 ? rates[2] : Value(), optimize.getRule(),
                             builder.getArrayAttr(parameters), optimize.getDecay(),
                             optimize.getAdapt(), optimize.getOptions());
      if (first)
        outputs.push_back({builder.getStringAttr("learning_rate"), rates[0]});
      first = false;
    }
  }

  //===-- Inlining ----------------------------------------------------------------------------===//

  /// Emits a region's operations and returns what it yields. `path` stands before relative names of
  /// states.
  SmallVector<Value> emitRegion(OpBuilder &builder, Region &region, ArrayRef<Value> arguments,
                                StringRef path, IRMapping &map) {
    Block &block = region.front();
    map.map(block.getArguments(), arguments);
    for (Operation &op : block.without_terminator())
      emit(builder, op, path, map);
    return llvm::map_to_vector(block.getTerminator()->getOperands(),
                               [&](Value v) { return map.lookup(v); });
  }

  void emit(OpBuilder &builder, Operation &op, StringRef path, IRMapping &map) {
    if (auto apply = dyn_cast<ssl::ApplyOp>(op)) {
      StringRef relative = apply.getPath();
      std::string inner = (relative.starts_with(".") ? path + relative : relative + "").str();
      SmallVector<Value> inputs =
          llvm::map_to_vector(apply.getInputs(), [&](Value v) { return map.lookup(v); });
      // A net sees nothing of its caller, and may be applied again: its values get a map of their
      // own.
      IRMapping netMap;
      ssl::NetOp net = nets.lookup(apply.getNetAttr().getAttr());
      map.map(apply.getOutputs(), emitRegion(builder, net.getBody(), inputs, inner, netMap));
      return;
    }
    Operation *copy = builder.clone(op, map);
    if (auto read = dyn_cast<nn::ReadOp>(copy))
      read.setState(absoluteName(path, read.getState()));
    else if (auto write = dyn_cast<nn::WriteOp>(copy))
      write.setState(absoluteName(path, write.getState()));
  }

  static std::string absoluteName(StringRef path, StringRef name) {
    return name.starts_with(".") ? (path + name).str() : name.str();
  }

  ModuleOp module;
  ssl::MethodOp method;
  DenseMap<StringAttr, ssl::NetOp> nets;
  SmallVector<ssl::StateOp> states;
};

struct SslToStep : impl::SslToStepBase<SslToStep> {
  void runOnOperation() override {
    SmallVector<ssl::MethodOp> methods(getOperation().getOps<ssl::MethodOp>());
    if (methods.empty())
      return;
    if (methods.size() > 1) {
      InFlightDiagnostic error = methods[1].emitOpError() << "is the second method of the module";
      error.attachNote(methods[0].getLoc()) << "the first";
      return signalPassFailure();
    }
    Lowering(getOperation(), methods.front()).run();
  }
};

} // namespace
} // namespace doppel
