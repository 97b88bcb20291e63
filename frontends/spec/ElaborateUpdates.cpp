// What changes states: the loss, updates of states, averages and parameters, and optimizers.
#include "frontends/spec/Elaborator.h"

#include "frontends/spec/Builtins.h"
#include "llvm/Support/GlobPattern.h"

namespace doppel::spec {

using namespace mlir;

//===- Loss, metrics, updates -----------------------------------------------------------------===//

/// The condition of a `when` as bool[]; null after an error.
mlir::Value Elaborator::evalWhen(const Expr *condition) {
  Value value = eval(condition);
  if (value.isError())
    return nullptr;
  auto type = tensorType({}, builder.getI1Type());
  if (value.isBool())
    return constant(condition->range, type, value.asBool());
  if (value.isTensor() && value.tensorType() == type)
    return value.asTensor();
  report(Code::WrongType, condition->range,
         "'when' asks for a condition, bool[], but this is " + typeName(value))
      .help("compare a scalar of the run: when epoch >= 1, when step % 4 == 0");
  return nullptr;
}

/// `value` where the scalar condition holds, `otherwise` where not. Both have one type.
mlir::Value Elaborator::choose(SourceRange range, mlir::Value condition, mlir::Value value,
                               mlir::Value otherwise) {
  mlir::Value everywhere =
      broadcastTo(range, condition, cast<RankedTensorType>(value.getType()).getShape());
  return make<nn::SelectOp>(range, value.getType(), everywhere, value, otherwise);
}

void Elaborator::runLoss(const LossStmt *stmt) {
  hasLoss = true;
  Value value = eval(stmt->value);
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
  mlir::Value loss = scalar(value, at, "the loss");
  if (loss && stmt->condition) {
    mlir::Value condition = evalWhen(stmt->condition);
    if (!condition)
      return;
    loss = choose(at, condition, loss, constant(at, f32({}), 0.0));
  }
  if (loss)
    make<ssl::LossOp>(at, loss);
}

void Elaborator::runMetric(const MetricStmt *stmt) {
  Value value = eval(stmt->value);
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
  if (mlir::Value metric = scalar(value, stmt->value->range, "the metric"))
    make<ssl::MetricOp>(stmt->value->range, stmt->name.text, metric);
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

void Elaborator::runUpdate(const UpdateStmt *stmt) {
  if (auto *member = llvm::dyn_cast<MemberExpr>(stmt->target))
    return runParameterUpdate(stmt, member);
  SourceRange at = stmt->target->range;
  llvm::StringRef name = llvm::cast<NameExpr>(stmt->target)->name;
  if (auto net = nets.find(name); net != nets.end())
    return runEmaUpdate(stmt, net->second);
  if (auto state = states.find(name); state != states.end())
    return runStateUpdate(stmt, name, state->second);
  if (Binding *known = scope->findHere(name)) {
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
  if (auto later = methodNames.find(name); later != methodNames.end())
    error.note(later->second, "it is declared here, further down");
  else if (auto nearest = nearestName(name, known))
    error.help("did you mean '" + *nearest + "'?");
}

/// `update prototypes.weight = value before forward`.
void Elaborator::runParameterUpdate(const UpdateStmt *stmt, const MemberExpr *target) {
  Value base = eval(target->base);
  if (base.isError())
    return;
  if (base.isNet() && base.asNet().place) {
    std::string path = *base.asNet().place + "." + target->member.text.str();
    auto state = states.find(path);
    if (state != states.end() && state->second.kind == nn::StateKind::Parameter)
      return runStateUpdate(stmt, state->first, state->second);
    if (state != states.end()) {
      bool isBuffer = state->second.kind == nn::StateKind::Buffer;
      report(Code::BadUpdateTarget, target->range,
             "'" + path + "' is " +
                 (isBuffer ? "a buffer, which the forward of its net updates"
                           : "a parameter of an EMA net, which moves as a whole"))
          .note(state->second.range, "declared here");
      return;
    }
  }
  Value value = eval(target);
  if (!value.isError())
    report(Code::BadUpdateTarget, target->range,
           label(target->range, "this") + " is " + typeName(value) + ", which cannot be updated")
        .help("only states, EMA nets and parameters of nets are updated");
}

bool Elaborator::isFirstUpdate(SourceRange at, llvm::StringRef name, SourceRange &updated) {
  if (updated.isValid()) {
    report(Code::UpdatedTwice, at, "'" + name + "' is updated twice in a step")
        .note(updated, "the first is here");
    return false;
  }
  updated = at;
  return true;
}

void Elaborator::runEmaUpdate(const UpdateStmt *stmt, PlacedNet &net) {
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
  auto ema = make<ssl::EmaOp>(stmt->range, name, net.emaOf, whenOf(stmt->moment));
  Context inside{.kind = ContextKind::Rate, .block = &ema.getMomentum().emplaceBlock()};
  Scoped<Context *> inContext(current, &inside);
  Value momentum = eval(net.momentum);
  mlir::Value rate = scalar(momentum, net.momentum->range, "the momentum");
  if (rate && stmt->condition) {
    // Where the condition does not hold, it keeps all of its own.
    mlir::Value condition = evalWhen(stmt->condition);
    if (!condition)
      return;
    rate = choose(stmt->range, condition, rate, constant(stmt->range, f32({}), 1.0));
  }
  if (rate)
    make<nn::YieldOp>(net.momentum->range, rate);
}

mlir::Value Elaborator::newValue(SourceRange at, llvm::StringRef name, const Value &value,
                                 RankedTensorType type, SourceRange declared) {
  // An initial value may be written as f32, zeros() is; a new value would lose its fractions.
  bool loses = value.isTensor() && type.getElementType().isInteger() &&
               !value.tensorType().getElementType().isInteger();
  if (loses || !fills(value, type)) {
    report(Code::WrongType, at,
           "the new value of '" + name + "' is " + typeName(value) + ", not " + typeName(type))
        .note(declared, "declared here");
    return nullptr;
  }
  if (value.isTensor() && value.shape() != type.getShape()) {
    report(Code::ShapesDiffer, at,
           "'" + name + "' is " + typeName(type) + ", its new value is " + typeName(value))
        .note(declared, "declared here");
    return nullptr;
  }
  return materialize(at, value, type.getShape(), type.getElementType());
}

void Elaborator::runStateUpdate(const UpdateStmt *stmt, llvm::StringRef name, StateInfo &state) {
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
    Value value = eval(stmt->value);
    if (value.isError())
      return nullptr;
    SourceRange at = stmt->value->range;
    mlir::Value tensor = newValue(at, name, value, known.type, known.range);
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
      return choose(at, condition, tensor, readState(name, known.type, target));
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
    RankedTensorType type = tensorType({}, builder.getI32Type());
    mlir::Value taken = make<nn::AddOp>(at, readState(turn, type, at),
                                        convert(at, condition, type.getElementType()));
    return make<nn::RemOp>(at, taken, constant(at, type, turns));
  });
}

void Elaborator::emitUpdate(const UpdateStmt *stmt, llvm::StringRef name,
                            llvm::function_ref<mlir::Value()> body) {
  auto update = make<ssl::UpdateOp>(stmt->range, name, whenOf(stmt->moment));
  bool early = stmt->moment == Moment::BeforeForward;
  Context inside{.kind = early ? ContextKind::BeforeForward : ContextKind::Update,
                 .block = &update.getValue().emplaceBlock(),
                 .outer = early ? nullptr : stepContext,
                 .images = early ? mlir::Value() : stepContext->images};
  Scoped<Context *> inContext(current, &inside);
  Scoped<llvm::StringRef> inUpdate(updating, name);
  if (mlir::Value value = body())
    make<nn::YieldOp>(stmt->value->range, value);
}

mlir::Value Elaborator::enqueueWhere(SourceRange at, mlir::Value condition, nn::EnqueueOp ring,
                                     llvm::StringRef name, const std::string &turn) {
  mlir::Value rows = ring.getRows();
  auto type = cast<RankedTensorType>(ring.getType());
  int64_t count = cast<RankedTensorType>(rows.getType()).getDimSize(0);
  RankedTensorType one = tensorType({}, builder.getI32Type());
  RankedTensorType many = tensorType({count}, builder.getI32Type());
  addState(turn, nn::StateKind::Other, one, at, [] { return Value::integer(0); });
  mlir::Value first = make<nn::MulOp>(at, readState(turn, one, at), constant(at, one, count));
  mlir::Value offset = make<nn::IotaOp>(at, many, builder.getI64IntegerAttr(0));
  mlir::Value index = make<nn::AddOp>(at, broadcastTo(at, first, {count}), offset);
  mlir::Value queue = readState(name, type, at);
  mlir::Value old = make<nn::GatherRowsOp>(at, rows.getType(), queue, index);
  mlir::Value chosen = choose(at, condition, rows, old);
  return make<nn::ScatterRowsOp>(at, type, queue, index, chosen, false);
}

//===- Optimizers and features ----------------------------------------------------------------===//

/// A pattern or a list of patterns of names. False after an error.
bool Elaborator::evalPatterns(const Expr *expr, std::vector<std::string> &patterns) {
  if (!expr)
    return true;
  Value value = eval(expr);
  if (value.isError())
    return false;
  Value one = value.isList() ? Value() : value;
  for (const Value &text : value.isList() ? value.elements() : llvm::ArrayRef<Value>(one)) {
    if (!text.isString()) {
      report(Code::WrongType, expr->range,
             "a pattern of names is a string or a list of strings, but this is " + typeName(value))
          .help("as in: optimize online matching \"*.weight\" with sgd(lr: 0.1)");
      return false;
    }
    llvm::Expected<llvm::GlobPattern> pattern = llvm::GlobPattern::create(text.asString());
    if (!pattern) {
      report(Code::BadValue, expr->range,
             valueText(text, true) +
                 " is no pattern of names: " + llvm::toString(pattern.takeError()));
      return false;
    }
    patterns.push_back(text.asString().str());
  }
  return true;
}

/// The parameters that the statement names. False after an error.
bool Elaborator::collectParameters(const OptimizeStmt *stmt,
                                   llvm::SmallVectorImpl<Attribute> &names,
                                   llvm::SmallVectorImpl<RankedTensorType> &types) {
  std::vector<std::string> matching, except;
  bool good = evalPatterns(stmt->matching, matching) && evalPatterns(stmt->except, except);
  if (good && stmt->matching && matching.empty()) {
    report(Code::NotOptimizable, stmt->matching->range, "an empty list matches no parameter");
    return false;
  }
  if (!good)
    return false;
  std::set<std::string> idle(matching.begin(), matching.end());
  idle.insert(except.begin(), except.end());
  auto matches = [&](const std::vector<std::string> &patterns, llvm::StringRef name) {
    bool any = false;
    for (const std::string &pattern : patterns)
      if (llvm::cantFail(llvm::GlobPattern::create(pattern)).match(name)) {
        any = true;
        idle.erase(pattern);
      }
    return any;
  };
  std::vector<llvm::StringRef> seen;
  for (const Expr *target : stmt->targets) {
    Value value = eval(target);
    if (value.isError()) {
      good = false;
      continue;
    }
    std::string path;
    if (value.isNet())
      path = value.asNet().place.value_or("");
    else if (value.isList() && !value.elements().empty() && value.elements()[0].isNet())
      path =
          llvm::StringRef(value.elements()[0].asNet().place.value_or("")).rsplit('.').first.str();
    if (path.empty()) {
      good = false;
      Diagnostic &error = report(Code::NotOptimizable, target->range,
                                 label(target->range, "this") + " is " +
                                     (value.isNet() ? "a net without a place" : typeName(value)) +
                                     ", not a net of the method");
      error.help("optimize a net or a part of it: optimize online.backbone with sgd(lr: 0.1)");
      continue;
    }
    auto root = nets.find(llvm::StringRef(path).split('.').first);
    if (root != nets.end() && !root->second.emaOf.empty()) {
      good = false;
      report(Code::NotOptimizable, target->range,
             "'" + path + "' is an EMA net: it follows '" + root->second.emaOf +
                 "' and has no gradient")
          .note(root->second.range, "declared here");
      continue;
    }
    std::string prefix = path + ".";
    bool any = false, wanted = false;
    for (auto &[name, state] : states) {
      if (state.kind != nn::StateKind::Parameter || !name.starts_with(prefix))
        continue;
      any = true;
      llvm::StringRef inside = name.drop_front(prefix.size());
      seen.push_back(inside);
      bool isExcepted = matches(except, inside);
      state.excepted |= isExcepted;
      if (!(matches(matching, inside) || matching.empty()) || isExcepted)
        continue;
      wanted = true;
      if (state.optimized.isValid()) {
        good = false;
        report(Code::OptimizedTwice, target->range, "'" + name + "' has an optimizer already")
            .note(state.optimized, "this one");
        break;
      }
      state.optimized = target->range;
      names.push_back(builder.getStringAttr(name));
      types.push_back(state.type);
    }
    if (wanted)
      continue;
    good = false;
    const Expr *pattern = !any ? nullptr : stmt->matching ? stmt->matching : stmt->except;
    Diagnostic &error = report(Code::NotOptimizable, pattern ? pattern->range : target->range,
                               "'" + path + "' has no parameters" +
                                   (!any             ? ""
                                    : stmt->matching ? " of such names"
                                                     : " besides those"));
    if (pattern && stmt->matching)
      error.help("names begin behind the net's own: \"head.*\" of 'online' is online.head.*");
  }
  for (const std::string &pattern : good ? idle : std::set<std::string>()) {
    good = false;
    bool isExcept = llvm::is_contained(except, pattern);
    Diagnostic &error =
        report(Code::NotOptimizable, (isExcept ? stmt->except : stmt->matching)->range,
               "no parameter has a name like \"" + pattern + "\"");
    if (auto nearest = nearestName(pattern, seen))
      error.help("did you mean '" + *nearest + "'?");
  }
  return good;
}

void Elaborator::runOptimize(const OptimizeStmt *stmt) {
  hasOptimizer = true;
  llvm::SmallVector<Attribute> names;
  llvm::SmallVector<RankedTensorType> types;
  bool good = collectParameters(stmt, names, types);
  builder.setInsertionPointToEnd(step->getBlock());
  auto optimize =
      ssl::OptimizeOp::create(builder, location(stmt->range), nn::OptimizerRule::Sgd,
                              builder.getArrayAttr(names), builder.getDenseBoolArrayAttr({}),
                              builder.getDenseBoolArrayAttr({}), builder.getDictionaryAttr({}));
  Context inside{.kind = ContextKind::Rate, .block = &optimize.getSchedule().emplaceBlock()};
  Scoped<Context *> inContext(current, &inside);
  Value value = eval(stmt->optimizer);
  if (value.isError())
    return;
  SourceRange at = stmt->optimizer->range;
  if (!value.isOptimizer()) {
    report(Code::WrongType, at, "'with' asks for an optimizer, but this is " + typeName(value))
        .help("sgd(lr: 0.1), lars(lr: 0.3) or adamw(lr: 1e-3)");
    return;
  }
  const OptimizerValue &optimizer = value.asOptimizer();
  llvm::SmallVector<mlir::Value> rates{scalar(optimizer.learningRate, at, "the learning rate"),
                                       scalar(optimizer.weightDecay, at, "the weight decay")};
  if (stmt->condition)
    rates.push_back(evalWhen(stmt->condition));
  if (!good || llvm::any_of(rates, [](mlir::Value rate) { return !rate; }))
    return;
  make<nn::YieldOp>(at, rates);
  llvm::SmallVector<bool> decays, adapts;
  for (RankedTensorType type : types) {
    bool isMatrix = type.getRank() >= 2;
    decays.push_back(isMatrix || !optimizer.decayMatricesOnly);
    adapts.push_back(optimizer.adapts && (isMatrix || !optimizer.adaptMatricesOnly));
  }
  optimize.setRule(static_cast<nn::OptimizerRule>(optimizer.rule));
  optimize.setDecay(decays);
  optimize.setAdapt(adapts);
  optimize.setOptionsAttr(optimizer.options);
}

} // namespace doppel::spec
