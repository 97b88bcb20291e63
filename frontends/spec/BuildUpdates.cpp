// The loss, metrics, and updates of states, averages and parameters.
#include "frontends/spec/MethodBuilder.h"

namespace doppel::spec {

using namespace mlir;

//===- Loss, metrics, updates -----------------------------------------------------------------===//

mlir::Value MethodBuilder::evalWhen(const Expr *condition) {
  Value value = evaluator.eval(condition);
  if (value.isError())
    return nullptr;
  auto type = emit.tensorType({}, builder.getI1Type());
  if (value.isBool())
    return emit.constant(condition->range, type, value.asBool());
  if (value.isTensor() && value.tensorType() == type)
    return value.asTensor();
  report(Code::WrongType, condition->range,
         "'when' asks for a condition, bool[], but this is " + typeName(value))
      .help("compare a scalar of the run: when epoch >= 1, when step % 4 == 0");
  return nullptr;
}

void MethodBuilder::runLoss(const LossStmt *stmt) {
  hasLoss = true;
  Value value = evaluator.eval(stmt->value);
  SourceRange at = stmt->value->range;
  if (value.isNumber()) {
    report(Code::NotScalar, at,
           "the loss is the number " + valueText(value) + ", which no network can change");
    return;
  }
  if (value.isTensor() && value.tensorType().getElementType().isInteger()) {
    report(Code::WrongType, at,
           "the loss is " + typeName(value) + ", through which no gradient flows");
    return;
  }
  mlir::Value loss = emit.scalar(value, at, "the loss");
  if (loss && stmt->condition) {
    mlir::Value condition = evalWhen(stmt->condition);
    if (!condition)
      return;
    loss = emit.choose(at, condition, loss, emit.constant(at, emit.f32({}), 0.0));
  }
  if (loss)
    emit.make<ssl::LossOp>(at, loss);
}

void MethodBuilder::runMetric(const MetricStmt *stmt) {
  Value value = evaluator.eval(stmt->value);
  SourceRange at = stmt->name.range;
  if (llvm::is_contained({"loss", "learning_rate", "step", "epoch", "images_per_second"},
                         stmt->name.text)) {
    report(Code::DuplicateName, at,
           "each step has a '" + stmt->name.text + "' already, a metric needs a name of its own");
    return;
  }
  auto [first, isNew] = metrics.try_emplace(stmt->name.text.str(), at);
  if (!isNew) {
    report(Code::DuplicateName, at, "there is a metric '" + stmt->name.text + "' already")
        .note(first->second, "declared here");
    return;
  }
  if (mlir::Value metric = emit.scalar(value, stmt->value->range, "the metric"))
    emit.make<ssl::MetricOp>(stmt->value->range, stmt->name.text, metric);
}

static ssl::When whenOf(Moment moment) {
  switch (moment) {
  case Moment::BeforeForward:
    return ssl::When::BeforeForward;
  case Moment::AfterStep:
    return ssl::When::AfterStep;
  default:
    return ssl::When::AfterLoss;
  }
}

void MethodBuilder::runUpdate(const UpdateStmt *stmt) {
  if (auto *member = llvm::dyn_cast<MemberExpr>(stmt->target))
    return runParameterUpdate(stmt, member);
  SourceRange at = stmt->target->range;
  llvm::StringRef name = llvm::cast<NameExpr>(stmt->target)->name;
  if (auto net = nets.find(name); net != nets.end())
    return runEmaUpdate(stmt, net->second);
  if (auto state = states.find(name); state != states.end())
    return runStateUpdate(stmt, name, state->second);
  if (Binding *known = evaluator.scope->findHere(name)) {
    if (known->value.isError())
      return;
    report(Code::BadUpdateTarget, at,
           "'" + name + "' is " + typeName(known->value) + ", which cannot be updated")
        .note(known->range, "declared here")
        .help("only states, EMA nets and parameters of nets are updated");
    return;
  }
  std::vector<llvm::StringRef> known;
  for (auto &[net, info] : nets)
    known.push_back(net);
  for (auto &[state, info] : states)
    if (!state.contains('.'))
      known.push_back(state);
  Diagnostic &error = report(Code::UnknownName, at, "there is no state or EMA net '" + name + "'");
  if (auto later = names.declared.find(name); later != names.declared.end())
    error.note(later->second, "it is declared here, further down");
  else if (auto nearest = nearestName(name, known))
    error.help("did you mean '" + *nearest + "'?");
}

/// `update prototypes.weight = value before forward`.
void MethodBuilder::runParameterUpdate(const UpdateStmt *stmt, const MemberExpr *target) {
  if (std::string path = parameterOf(target); !path.empty()) {
    auto state = states.find(path);
    if (state->second.kind == nn::StateKind::Parameter)
      return runStateUpdate(stmt, state->first, state->second);
    bool isBuffer = state->second.kind == nn::StateKind::Buffer;
    report(Code::BadUpdateTarget, target->range,
           "'" + path + "' is " +
               (isBuffer ? "a buffer, which the forward of its net updates"
                         : "a parameter of an EMA net, which moves as a whole"))
        .note(state->second.range, "declared here");
    return;
  }
  Value value = evaluator.eval(target);
  if (!value.isError())
    report(Code::BadUpdateTarget, target->range,
           label(target->range, "this") + " is " + typeName(value) + ", which cannot be updated")
        .help("only states, EMA nets and parameters of nets are updated");
}

bool MethodBuilder::isFirstUpdate(SourceRange at, llvm::StringRef name, SourceRange &updated) {
  if (updated.isValid()) {
    report(Code::UpdatedTwice, at, "'" + name + "' is updated twice in a step")
        .note(updated, "the first is here");
    return false;
  }
  updated = at;
  return true;
}

void MethodBuilder::runEmaUpdate(const UpdateStmt *stmt, PlacedNet &net) {
  SourceRange at = stmt->target->range;
  llvm::StringRef name = llvm::cast<NameExpr>(stmt->target)->name;
  auto refuse = [&](Code code, const llvm::Twine &why) -> Diagnostic & {
    return report(code, at, why).note(net.range, "declared here");
  };
  if (net.emaOf.empty()) {
    refuse(Code::BadUpdateTarget,
           "'" + name + "' is no EMA net: its parameters are changed by 'optimize'");
    return;
  }
  if (stmt->value) {
    refuse(Code::BadUpdateTarget, "an EMA net is updated without a value")
        .help("write: update " + name + " " + spelling(stmt->moment));
    return;
  }
  if (!isFirstUpdate(at, name, net.updated))
    return;
  if (stmt->moment == Moment::AfterLoss) {
    report(Code::BadUpdateTarget, stmt->momentRange,
           "an EMA net moves 'before forward' or 'after step'; after the loss its source has not "
           "changed yet");
    return;
  }
  auto ema = emit.make<ssl::EmaOp>(stmt->range, name, net.emaOf, whenOf(stmt->moment));
  Context inside{.kind = ContextKind::Rate, .block = &ema.getMomentum().emplaceBlock()};
  Scoped<Context *> inContext(emit.current, &inside);
  Value momentum = evaluator.eval(net.momentum);
  mlir::Value rate = emit.scalar(momentum, net.momentum->range, "the momentum");
  if (rate && stmt->condition) {
    // Where the condition does not hold, it keeps all of its own.
    mlir::Value condition = evalWhen(stmt->condition);
    if (!condition)
      return;
    rate = emit.choose(stmt->range, condition, rate, emit.constant(stmt->range, emit.f32({}), 1.0));
  }
  if (rate)
    emit.make<nn::YieldOp>(net.momentum->range, rate);
}

void MethodBuilder::runStateUpdate(const UpdateStmt *stmt, llvm::StringRef name, StateInfo &state) {
  SourceRange target = stmt->target->range;
  if (!stmt->value) {
    report(Code::BadUpdateTarget, target, "the update of '" + name + "' has no value")
        .note(state.range, "declared here")
        .help("write: update " + name + " = ... " + spelling(stmt->moment));
    return;
  }
  if (!isFirstUpdate(target, name, state.updated))
    return;
  StateInfo known = state; // a state that is added below moves the others
  std::string turn;
  int64_t turns = 0;
  emitUpdate(stmt, name, [&]() -> mlir::Value {
    Value value = evaluator.eval(stmt->value);
    if (value.isError())
      return nullptr;
    SourceRange at = stmt->value->range;
    mlir::Value tensor = emit.newValue(at, name, value, known.type, known.range);
    if (!tensor)
      return nullptr;
    auto ring = tensor.getDefiningOp<nn::EnqueueOp>();
    if (ring)
      if (auto declared = dyn_cast_or_null<ssl::StateOp>(method.lookupSymbol(name)))
        declared.setKind(nn::StateKind::Queue);
    if (!stmt->condition)
      return tensor;
    mlir::Value condition = evalWhen(stmt->condition);
    if (!condition)
      return nullptr;
    if (!ring)
      return emit.choose(at, condition, tensor, emit.readState(name, known.type, target));
    turn = (name + ".turn").str();
    turns = known.type.getDimSize(0) / ring.getRows().getType().getDimSize(0);
    return enqueueWhere(at, condition, ring, name, turn);
  });
  if (turn.empty())
    return;
  // One turn more where the rows were written.
  emitUpdate(stmt, states.find(turn)->first, [&]() -> mlir::Value {
    SourceRange at = stmt->value->range;
    mlir::Value condition = evalWhen(stmt->condition);
    RankedTensorType type = emit.tensorType({}, builder.getI32Type());
    mlir::Value taken = emit.make<nn::AddOp>(at, emit.readState(turn, type, at),
                                             emit.convert(at, condition, type.getElementType()));
    return emit.make<nn::RemOp>(at, taken, emit.constant(at, type, turns));
  });
}

void MethodBuilder::emitUpdate(const UpdateStmt *stmt, llvm::StringRef name,
                               llvm::function_ref<mlir::Value()> body) {
  auto update = emit.make<ssl::UpdateOp>(stmt->range, name, whenOf(stmt->moment));
  bool early = stmt->moment == Moment::BeforeForward;
  Context inside{.kind = early ? ContextKind::BeforeForward : ContextKind::Update,
                 .block = &update.getValue().emplaceBlock(),
                 .outer = early ? nullptr : stepContext,
                 .images = early ? mlir::Value() : stepContext->images,
                 .updates = name};
  Scoped<Context *> inContext(emit.current, &inside);
  if (mlir::Value value = body())
    emit.make<nn::YieldOp>(stmt->value->range, value);
}

mlir::Value MethodBuilder::enqueueWhere(SourceRange at, mlir::Value condition, nn::EnqueueOp ring,
                                        llvm::StringRef name, const std::string &turn) {
  mlir::Value rows = ring.getRows();
  auto type = cast<RankedTensorType>(ring.getType());
  int64_t count = cast<RankedTensorType>(rows.getType()).getDimSize(0);
  RankedTensorType one = emit.tensorType({}, builder.getI32Type());
  RankedTensorType many = emit.tensorType({count}, builder.getI32Type());
  addState(turn, nn::StateKind::Other, one, at, [] { return Value::integer(0); });
  mlir::Value first =
      emit.make<nn::MulOp>(at, emit.readState(turn, one, at), emit.constant(at, one, count));
  mlir::Value offset = emit.make<nn::IotaOp>(at, many, builder.getI64IntegerAttr(0));
  mlir::Value index = emit.make<nn::AddOp>(at, emit.broadcastTo(at, first, {count}), offset);
  mlir::Value queue = emit.readState(name, type, at);
  mlir::Value old = emit.make<nn::GatherRowsOp>(at, rows.getType(), queue, index);
  mlir::Value chosen = emit.choose(at, condition, rows, old);
  return emit.make<nn::ScatterRowsOp>(at, type, queue, index, chosen, false);
}

} // namespace doppel::spec
