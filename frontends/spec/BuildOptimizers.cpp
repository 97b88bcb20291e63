// `optimize`: which parameters a statement names, and the rule and rates that move them.
#include "frontends/spec/MethodBuilder.h"

#include "llvm/Support/GlobPattern.h"

#include <set>

namespace doppel::spec {

using namespace mlir;

/// A pattern or a list of patterns of names. False after an error.
bool MethodBuilder::evalPatterns(const Expr *expr, std::vector<std::string> &patterns) {
  if (!expr)
    return true;
  Value value = evaluator.eval(expr);
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

/// The path of the parameter that `online.head.weight` names; empty if it is none.
std::string MethodBuilder::parameterOf(const Expr *target) {
  auto *member = llvm::dyn_cast<MemberExpr>(target);
  Value base = member ? evaluator.eval(member->base) : Value();
  if (!base.isNet() || !base.asNet().place)
    return {};
  std::string path = *base.asNet().place + "." + member->member.text.str();
  return states.contains(path) ? path : std::string();
}

/// The parameters that the statement names. False after an error.
bool MethodBuilder::collectParameters(const OptimizeStmt *stmt,
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
    Value value = evaluator.eval(target);
    if (value.isError()) {
      good = false;
      continue;
    }
    std::string path;
    if (value.isNet())
      path = value.asNet().place.value_or("");
    else if (value.isTensor())
      path = parameterOf(target);
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
      if (state.kind != nn::StateKind::Parameter ||
          !(value.isTensor() ? name == path : name.starts_with(prefix)))
        continue;
      any = true;
      // A single parameter goes by its last name.
      llvm::StringRef inside =
          value.isTensor() ? name.rsplit('.').second : name.drop_front(prefix.size());
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

void MethodBuilder::runOptimize(const OptimizeStmt *stmt) {
  hasOptimizer = true;
  llvm::SmallVector<Attribute> names;
  llvm::SmallVector<RankedTensorType> types;
  bool good = collectParameters(stmt, names, types);
  builder.setInsertionPointToEnd(step->getBlock());
  auto optimize =
      ssl::OptimizeOp::create(builder, trace.location(stmt->range), nn::OptimizerRule::Sgd,
                              builder.getArrayAttr(names), builder.getDenseBoolArrayAttr({}),
                              builder.getDenseBoolArrayAttr({}), builder.getDictionaryAttr({}));
  Context inside{.kind = ContextKind::Rate, .block = &optimize.getSchedule().emplaceBlock()};
  Scoped<Context *> inContext(emit.current, &inside);
  Value value = evaluator.eval(stmt->optimizer);
  if (value.isError())
    return;
  SourceRange at = stmt->optimizer->range;
  if (!value.isOptimizer()) {
    report(Code::WrongType, at, "'with' asks for an optimizer, but this is " + typeName(value))
        .help("sgd(lr: 0.1), lars(lr: 0.3) or adamw(lr: 1e-3)");
    return;
  }
  const OptimizerValue &optimizer = value.asOptimizer();
  llvm::SmallVector<mlir::Value> rates{emit.scalar(optimizer.learningRate, at, "the learning rate"),
                                       emit.scalar(optimizer.weightDecay, at, "the weight decay")};
  if (stmt->condition)
    rates.push_back(evalWhen(stmt->condition));
  if (!good || llvm::any_of(rates, [](mlir::Value rate) { return !rate; }))
    return;
  emit.make<nn::YieldOp>(at, rates);
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
