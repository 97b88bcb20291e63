// Params: defaults, values of --set, and what is allowed.
#include "frontends/spec/MethodBuilder.h"

#include <cmath>

namespace doppel::spec {

using namespace mlir;

/// Every name of --set must be a param of the method, wherever it stands.
void MethodBuilder::checkSets(Sets given, llvm::ArrayRef<const Stmt *> body) {
  std::vector<llvm::StringRef> known;
  auto collect = [&](auto &&self, llvm::ArrayRef<const Stmt *> stmts) -> void {
    for (const Stmt *stmt : stmts) {
      if (auto *param = llvm::dyn_cast<ParamStmt>(stmt))
        known.push_back(param->name.text);
      if (auto *branch = llvm::dyn_cast<IfStmt>(stmt)) {
        self(self, branch->thenBody);
        self(self, branch->elseBody);
      }
    }
  };
  collect(collect, body);
  for (const auto &[name, text] : given) {
    sets[name] = text;
    if (llvm::is_contained(known, name))
      continue;
    Diagnostic &error = trace.diagnostics.report(
        Code::UnknownParam, {}, "--set " + name + ": the method has no param '" + name + "'");
    if (auto nearest = nearestName(name, known))
      error.help("did you mean '" + *nearest + "'?");
    else if (!known.empty())
      error.help("its params are " + llvm::join(known, ", "));
  }
}

/// A param of a branch that is not taken changes nothing, nor does one that nothing read.
void MethodBuilder::warnOfIdleSets() {
  for (const auto &[name, text] : sets) {
    bool isOfRun = name == "batch" || name == "epochs" || name == "samples";
    bool isDeclared = declared.contains(name);
    if (isDeclared && (isOfRun || names.names.findHere(name)->isRead))
      continue;
    trace.diagnostics.report(Code::SetUnused, names.declared.find(name)->second,
                             "--set " + name + " changes nothing: '" + name +
                                 (isDeclared ? "' is not used with the other params as they are"
                                             : "' stands in a branch that is not taken"));
  }
}

namespace {
/// Reads a value as --set writes it, of the type of an example.
class SetReader {
public:
  SetReader(llvm::StringRef text) : rest(text.trim()) {}

  /// Nothing if the text is not of the type.
  std::optional<Value> read(llvm::StringRef type, const Value &example) {
    std::optional<Value> value = readOne(type, example, /*nested=*/false);
    if (!value || !rest.trim().empty())
      return std::nullopt;
    return value;
  }

private:
  std::optional<Value> readOne(llvm::StringRef type, const Value &example, bool nested) {
    rest = rest.ltrim();
    if (type == "list" || (type.starts_with("[") && type.ends_with("]")))
      return readList(type, example);
    if (rest.starts_with("\"") && type == "string") {
      rest = rest.drop_front();
      std::string text;
      while (!rest.empty() && !rest.starts_with("\"")) {
        if (rest.starts_with("\\") && rest.size() > 1)
          rest = rest.drop_front();
        text += rest.front();
        rest = rest.drop_front();
      }
      if (!rest.consume_front("\""))
        return std::nullopt;
      return Value::string(std::move(text));
    }
    llvm::StringRef word =
        nested ? rest.take_until([](char c) { return c == ',' || c == ']'; }) : rest;
    rest = rest.drop_front(word.size());
    word = word.trim();
    if (type == "string")
      return Value::string(word.str());
    if (type == "bool") {
      if (word == "true" || word == "false")
        return Value::boolean(word == "true");
      return std::nullopt;
    }
    std::string digits;
    for (size_t i = 0; i < word.size(); ++i)
      if (word[i] != '_' || i == 0)
        digits += word[i];
    int64_t integer;
    if (!llvm::StringRef(digits).getAsInteger(10, integer))
      return type == "float" ? Value::number(static_cast<double>(integer))
                             : Value::integer(integer);
    double number;
    if (type == "int" || llvm::StringRef(digits).getAsDouble(number) || !std::isfinite(number))
      return std::nullopt;
    return Value::number(number);
  }

  std::optional<Value> readList(llvm::StringRef type, const Value &example) {
    if (!rest.consume_front("["))
      return std::nullopt;
    std::string element = "number";
    Value first;
    if (type.starts_with("[")) {
      element = type.drop_front().drop_back().trim().str();
    } else if (example.isSequence() && !example.elements().empty()) {
      first = example.elements()[0];
      element = first.isList()     ? "list"
                : first.isString() ? "string"
                : first.isBool()   ? "bool"
                : llvm::all_of(example.elements(), [](const Value &e) { return e.isInt(); })
                    ? "int"
                    : "float";
    }
    std::vector<Value> values;
    rest = rest.ltrim();
    while (!rest.consume_front("]")) {
      if (!values.empty() && !rest.consume_front(","))
        return std::nullopt;
      std::optional<Value> value = readOne(element, first, /*nested=*/true);
      if (!value)
        return std::nullopt;
      values.push_back(std::move(*value));
      rest = rest.ltrim();
    }
    return Value::list(std::move(values));
  }

  llvm::StringRef rest;
};
} // namespace

Value MethodBuilder::parseSet(const ParamStmt &stmt, const Value &fallback, llvm::StringRef text) {
  std::string type;
  if (stmt.type)
    type = evaluator.typeText(*stmt.type);
  else if (fallback.isSequence())
    type = "list";
  else if (fallback.isNone())
    type = SetReader(text).read("number", fallback) ? "number" : "string";
  else
    type = typeName(fallback);
  if (fallback.isError() && !stmt.type)
    return Value::error();
  if (std::optional<Value> value = SetReader(text).read(type, fallback))
    return *value;
  trace.diagnostics
      .report(Code::BadParamText, {},
              "--set " + stmt.name.text + "=" + text + ": '" + text + "' is not " +
                  (type == "int"    ? "an int"
                   : type == "list" ? "a list like " + valueText(fallback)
                                    : "a " + type))
      .note(stmt.name.range, "the param is declared here");
  return Value::error();
}

bool MethodBuilder::checkAllowed(const ParamStmt &stmt, const Value &value, bool isSet) {
  if (stmt.allowed.empty() || value.isError())
    return true;
  SourceRange at = isSet ? SourceRange() : stmt.fallback ? stmt.fallback->range : stmt.name.range;
  std::string given = valueText(value, /*quoted=*/true);
  std::string what = isSet ? "--set " + stmt.name.text.str() + "=" + valueText(value) + ": '" +
                                 stmt.name.text.str() + "'"
                           : "'" + stmt.name.text.str() + "' is " + given + ", but";
  auto refuse = [&](const llvm::Twine &allowed) {
    Diagnostic &error =
        isSet ? trace.diagnostics.report(Code::ParamNotAllowed, at, what + " must be " + allowed)
              : report(Code::ParamNotAllowed, at, what + " must be " + allowed);
    error.note(stmt.name.range, "the param is declared here");
    return false;
  };
  if (stmt.allowedIsSet) {
    std::string all;
    std::vector<llvm::StringRef> texts;
    std::vector<std::string> owned;
    for (const Expr *member : stmt.allowed) {
      Value allowed = evaluator.eval(member);
      if (allowed.isError())
        return false;
      Value same = evaluator.binary(BinaryOp::Equal, value, allowed, stmt.name.range, member->range,
                                    member->range);
      if (same.isError() || (same.isBool() && same.asBool()))
        return !same.isError();
      all += (all.empty() ? "" : ", ") + valueText(allowed, /*quoted=*/true);
    }
    return refuse("one of " + all);
  }
  auto *range = llvm::dyn_cast<RangeExpr>(stmt.allowed[0]);
  if (!range)
    return true;
  auto bound = [&](const Expr *expr) -> std::optional<Value> {
    if (!expr)
      return Value();
    Value limit = evaluator.eval(expr);
    if (limit.isNumber())
      return limit;
    if (!limit.isError())
      report(limit.isTensor() ? Code::NotKnownAtCompileTime : Code::WrongType, expr->range,
             "the limit of a param is " + typeName(limit) + ", not a number");
    return std::nullopt;
  };
  std::optional<Value> low = bound(range->begin), high = bound(range->end);
  if (!low || !high)
    return false;
  auto isWithin = [&](const Value &number) {
    return number.isNumber() && (low->isNone() || number.asDouble() >= low->asDouble()) &&
           (high->isNone() || number.asDouble() <= high->asDouble());
  };
  bool within = value.isSequence() ? llvm::all_of(value.elements(), isWithin) : isWithin(value);
  if (within)
    return true;
  if (high->isNone())
    return refuse("at least " + valueText(*low));
  if (low->isNone())
    return refuse("at most " + valueText(*high));
  return refuse("from " + valueText(*low) + " to " + valueText(*high));
}

void MethodBuilder::runParam(const ParamStmt *stmt) {
  llvm::StringRef name = stmt->name.text;
  if (!declare(stmt->name))
    return;
  auto given = sets.find(name);
  bool isSet = given != sets.end();
  Value value = stmt->fallback ? evaluator.eval(stmt->fallback) : Value();
  if (value.holdsTensor()) {
    report(Code::NotKnownAtCompileTime, stmt->fallback->range,
           "the default of '" + name + "' is " + typeName(value) +
               ", but a param is known when the spec is compiled");
    value = Value::error();
  }
  if (stmt->fallback && stmt->type &&
      !evaluator.coerce(value, *stmt->type, ("the default of '" + name + "'").str(),
                        stmt->fallback->range, stmt->type->range, /*bindDims=*/false))
    value = Value::error();
  if (!isSet && value.isNone()) {
    report(Code::MissingParam, stmt->name.range, "'" + name + "' has no default and is not set")
        .help("give it a value: --set " + name + "=...");
    value = Value::error();
  }
  if (isSet)
    value = parseSet(*stmt, value, given->second);
  if (!checkAllowed(*stmt, value, isSet))
    value = Value::error();

  params[name] = value;
  if (!value.isError())
    paramTexts.emplace_back(builder.getStringAttr(name), builder.getStringAttr(valueText(value)));
  if (name == "batch" || name == "epochs" || name == "samples") {
    bool fits = value.isInt() && value.asInt() >= 1 && value.asInt() <= maxCount;
    if (!fits && !value.isError()) {
      report(Code::BadSize, stmt->name.range,
             "'" + name + "' is " + valueText(value) + " (" + typeName(value) +
                 "), but must be an int from 1 to " + llvm::Twine(maxCount));
      value = Value::error();
    }
    if (name == "batch" && fits) {
      names.batch = value.asInt();
      if (!stepContext->images)
        stepContext->images =
            stepContext->block->addArgument(nn::ImagesType::get(builder.getContext(), names.batch),
                                            trace.fileLocation(stmt->name.range));
    }
    if (name == "samples" && fits)
      samples = value.asInt();
    // A run may have another horizon, so in expressions `epochs` is the run's.
    if (name == "epochs") {
      if (fits)
        epochs = value.asInt();
      return;
    }
  }
  evaluator.bind(name, std::move(value), stmt->name.range);
}

} // namespace doppel::spec
