// Expressions: members, indices, lists, comprehensions and compositions. Names are in
// EvaluateNames.cpp, operators in EvaluateOperators.cpp, calls in EvaluateCalls.cpp.
#include "frontends/spec/Builtins.h"
#include "frontends/spec/Evaluator.h"

namespace doppel::spec {

constexpr unsigned maxEvalDepth = 20000;
constexpr size_t maxElements = 1'000'000;
constexpr unsigned maxNested = 1000;

bool Evaluator::checkLength(size_t length, SourceRange range) {
  if (length <= maxElements)
    return true;
  if (!stopped())
    report(Code::TooLarge, range, "a list, string or net has at most a million elements");
  trace.abandonItem();
  return false;
}

Value Evaluator::checkNested(Value value, SourceRange range) {
  if (value.depth() > maxNested) {
    report(Code::NestingTooDeep, range,
           "lists and nets stand in each other more than " + llvm::Twine(maxNested) + " deep");
    trace.abandonItem();
    return Value::error();
  }
  return checkLength(value.weight(), range) ? value : Value::error();
}

Value Evaluator::eval(const Expr *expr) {
  if (!trace.count(expr->range))
    return Value::error();
  if (evalDepth >= maxEvalDepth) {
    report(Code::RecursionTooDeep, expr->range, "calls and expressions are nested too deeply");
    trace.abandonItem();
    return Value::error();
  }
  ++evalDepth;
  Value value = evalExpr(expr);
  --evalDepth;
  return value;
}

Value Evaluator::evalOfImage(const Expr *expr) {
  Scoped<bool> image(imageAllowed, true);
  return eval(expr);
}

Value Evaluator::evalExpr(const Expr *expr) {
  switch (expr->kind) {
  case ExprKind::Int:
    return Value::integer(llvm::cast<IntExpr>(expr)->value);
  case ExprKind::Float:
    return Value::number(llvm::cast<FloatExpr>(expr)->value);
  case ExprKind::Bool:
    return Value::boolean(llvm::cast<BoolExpr>(expr)->value);
  case ExprKind::String:
    return Value::string(llvm::cast<StringExpr>(expr)->value.str());
  case ExprKind::Name:
    return lookup(llvm::cast<NameExpr>(expr)->name, expr->range);
  case ExprKind::Member:
    return evalMember(llvm::cast<MemberExpr>(expr));
  case ExprKind::Index:
    return evalIndex(llvm::cast<IndexExpr>(expr));
  case ExprKind::Call:
    return evalCall(llvm::cast<CallExpr>(expr));
  case ExprKind::Unary:
    return evalUnary(llvm::cast<UnaryExpr>(expr));
  case ExprKind::Binary:
    return evalBinary(llvm::cast<BinaryExpr>(expr));
  case ExprKind::Conditional: {
    auto *conditional = llvm::cast<ConditionalExpr>(expr);
    std::optional<bool> condition =
        evalCondition(conditional->condition, "the condition of 'if ... else'");
    if (!condition)
      return Value::error();
    return eval(*condition ? conditional->thenValue : conditional->elseValue);
  }
  case ExprKind::Compose:
    return evalCompose(llvm::cast<ComposeExpr>(expr));
  case ExprKind::List:
    return evalElements(llvm::cast<ListExpr>(expr)->elements, /*isTuple=*/false);
  case ExprKind::Tuple:
    return evalElements(llvm::cast<TupleExpr>(expr)->elements, /*isTuple=*/true);
  case ExprKind::Comprehension:
    return evalComprehension(llvm::cast<ComprehensionExpr>(expr));
  case ExprKind::Range:
    return evalRange(llvm::cast<RangeExpr>(expr));
  case ExprKind::Spread:
  case ExprKind::Error:
    return Value::error();
  }
  return Value::error();
}

std::optional<bool> Evaluator::evalCondition(const Expr *expr, llvm::StringRef what,
                                             llvm::StringRef help) {
  Value value = eval(expr);
  if (value.isError())
    return std::nullopt;
  if (value.isBool())
    return value.asBool();
  if (value.isTensor())
    report(Code::NotKnownAtCompileTime, expr->range,
           what + " is " + typeName(value) + ", which is known only when the program runs")
        .help(help);
  else
    report(Code::WrongType, expr->range, what + " is " + typeName(value) + ", not bool");
  return std::nullopt;
}

std::optional<int64_t> Evaluator::evalSize(const Expr *expr, llvm::StringRef what) {
  Value value = eval(expr);
  if (value.isError())
    return std::nullopt;
  if (value.isInt() && value.asInt() >= 1)
    return value.asInt();
  if (value.isInt())
    report(Code::BadSize, expr->range,
           what + " is " + llvm::Twine(value.asInt()) + ", but must be at least 1");
  else if (value.isTensor()) {
    Diagnostic &error =
        report(Code::NotKnownAtCompileTime, expr->range,
               what + " is " + typeName(value) + ", but must be known when the spec is compiled");
    if (auto *name = llvm::dyn_cast<NameExpr>(expr); name && name->name == "samples")
      error.help("declare it: param samples = 50000");
  } else {
    Diagnostic &error =
        report(Code::BadSize, expr->range,
               what + " is " + valueText(value) + " (" + typeName(value) + "), not an int");
    if (value.isNumber())
      error.help("div(a, b) divides integers, int(x) rounds towards zero");
  }
  return std::nullopt;
}

//===- Members and indices --------------------------------------------------------------------===//

Value Evaluator::evalMember(const MemberExpr *expr) {
  Value base = eval(expr->base);
  llvm::StringRef member = expr->member.text;
  switch (base.kind()) {
  case ValueKind::Error:
    return base;
  case ValueKind::Module: {
    std::vector<llvm::StringRef> known;
    if (const Unit *unit = base.asUnit()) {
      if (auto decl = unit->decls.find(member); decl != unit->decls.end())
        return declValue(decl->second, unit, expr->range);
      for (const auto &entry : unit->decls)
        known.push_back(entry.getKey());
    } else {
      if (const Builtin *builtin = findBuiltin(("random." + member).str()))
        return Value::callable({.builtin = builtin});
      known = {"normal", "uniform", "permutation"};
    }
    llvm::sort(known);
    Diagnostic &error = report(Code::UnknownMember, expr->member.range,
                               "the module '" + base.moduleName() + "' has no '" + member + "'");
    if (auto nearest = nearestName(member, known))
      error.help("did you mean '" + *nearest + "'?");
    return Value::error();
  }
  case ValueKind::Net:
    return memberOfNet(base.asNet(), expr->member, expr->base->range);
  case ValueKind::Tensor:
    if (member == "shape") {
      std::vector<Value> sizes;
      for (int64_t size : base.shape())
        sizes.push_back(Value::integer(size));
      return Value::list(std::move(sizes));
    }
    break;
  case ValueKind::List:
  case ValueKind::Tuple: {
    int64_t index;
    if (member.getAsInteger(10, index))
      break;
    if (index < static_cast<int64_t>(base.elements().size()))
      return base.elements()[index];
    return fail(Code::IndexOutOfRange, expr->member.range,
                label(expr->base->range, "the list") + " has " +
                    llvm::Twine(base.elements().size()) + " elements, but the index is " + member);
  }
  default:
    break;
  }
  Diagnostic &error = report(Code::UnknownMember, expr->member.range,
                             label(expr->base->range, "the value") + " is " + typeName(base) +
                                 ", which has no member '" + member + "'");
  if (base.isImage())
    error.help(
        "a picture becomes a tensor as a view, or where a net or a parameter of type f32[...] "
        "takes it");
  if (base.isTensor()) {
    llvm::StringRef function = findBuiltin(member) ? member : "";
    std::string x = label(expr->base->range, "x");
    if (member == "T" || member == "t" || member == "mT")
      error.help("write transpose(" + x + ")");
    else if (llvm::StringRef here = nameElsewhere(member); !here.empty())
      error.help("write " + here);
    else if (!function.empty())
      error.help("write " + function + "(" + x + ")");
    else if (member == "size" || member == "ndim" || member == "dim")
      error.help("the sizes are " + x + ".shape");
  }
  if (base.isCallable() && base.asCallable().net)
    error.help("call it first: " + label(expr->base->range, "net") + "(...)." + member);
  return Value::error();
}

/// An index of a list or axis of `size`, counted from the end if negative.
static std::optional<int64_t> normalIndex(int64_t index, int64_t size) {
  if (index < 0)
    index += size;
  return index >= 0 && index < size ? std::optional(index) : std::nullopt;
}

namespace {
struct Slice {
  int64_t begin, size;
  bool drops;
};
} // namespace

Value Evaluator::evalIndex(const IndexExpr *expr) {
  Value base = eval(expr->base);
  if (base.isError())
    return base;
  if (base.isTensor())
    return indexTensor(base, expr);
  if (base.isNet() && expr->indices.size() == 1 && expr->indices[0] &&
      !llvm::isa<RangeExpr>(expr->indices[0])) {
    // The parts of `a >> b` are named by their numbers.
    Value index = eval(expr->indices[0]);
    if (index.isError())
      return index;
    if (index.isInt()) {
      int64_t count = base.asNet().node->children.size();
      std::string name = std::to_string(index.asInt() < 0 ? index.asInt() + count : index.asInt());
      return memberOfNet(base.asNet(), {name, expr->range}, expr->base->range);
    }
  }
  if (!base.isSequence() && !base.isString())
    return fail(Code::WrongType, expr->range,
                label(expr->base->range, "the value") + " is " + typeName(base) +
                    ", which cannot be indexed");
  if (expr->indices.size() != 1)
    return fail(Code::WrongRank, expr->range,
                "a " + typeName(base) + " takes one index, not " +
                    llvm::Twine(expr->indices.size()));
  if (base.isString())
    return fail(Code::WrongType, expr->range, "a string cannot be indexed");
  llvm::ArrayRef<Value> elements = base.elements();
  auto size = static_cast<int64_t>(elements.size());
  const Expr *index = expr->indices[0];
  if (!index)
    return base;
  if (auto *range = llvm::dyn_cast<RangeExpr>(index)) {
    Value begin = range->begin ? eval(range->begin) : Value::integer(0);
    Value end = range->end ? eval(range->end) : Value::integer(size);
    if (begin.isError() || end.isError())
      return Value::error();
    if (!begin.isInt() || !end.isInt())
      return fail(Code::WrongType, index->range, "the ends of a slice are ints");
    int64_t from = begin.asInt() < 0 ? begin.asInt() + size : begin.asInt();
    int64_t to = end.asInt() < 0 ? end.asInt() + size : end.asInt();
    if (from < 0 || to > size || from > to)
      return fail(Code::IndexOutOfRange, index->range,
                  "the slice is " + llvm::Twine(begin.asInt()) + ".." + llvm::Twine(end.asInt()) +
                      ", the list has " + llvm::Twine(size) + " elements");
    trace.count(index->range, to - from);
    std::vector<Value> part(elements.begin() + from, elements.begin() + to);
    return Value::list(std::move(part));
  }
  Value value = eval(index);
  if (value.isError())
    return value;
  if (!value.isInt())
    return fail(value.isTensor() ? Code::NotKnownAtCompileTime : Code::WrongType, index->range,
                "the index of a list is " + typeName(value) + ", not int");
  if (auto at = normalIndex(value.asInt(), size))
    return elements[*at];
  return fail(Code::IndexOutOfRange, index->range,
              "the index is " + llvm::Twine(value.asInt()) + ", " +
                  label(expr->base->range, "the list") + " has " + llvm::Twine(size) + " elements");
}

Value Evaluator::indexTensor(const Value &base, const IndexExpr *expr) {
  llvm::ArrayRef<int64_t> shape = base.shape();
  std::string name = label(expr->base->range, "the tensor");
  if (expr->indices.size() > shape.size())
    return fail(Code::WrongRank, expr->range,
                name + " is " + typeName(base) + ", with " + llvm::Twine(shape.size()) +
                    " axes, but there are " + llvm::Twine(expr->indices.size()) + " indices");
  llvm::SmallVector<Slice> slices;
  bool failed = false;
  for (auto [axis, size] : llvm::enumerate(shape)) {
    const Expr *index = axis < expr->indices.size() ? expr->indices[axis] : nullptr;
    slices.push_back({0, size, false});
    if (!index)
      continue;
    auto *range = llvm::dyn_cast<RangeExpr>(index);
    Value begin = range ? (range->begin ? eval(range->begin) : Value::integer(0)) : eval(index);
    Value end = range && range->end ? eval(range->end) : Value::integer(size);
    if (begin.isError() || end.isError()) {
      failed = true;
      continue;
    }
    if (!begin.isInt() || !end.isInt()) {
      const Value &wrong = begin.isInt() ? end : begin;
      Diagnostic &error =
          report(wrong.isTensor() ? Code::NotKnownAtCompileTime : Code::WrongType, index->range,
                 "an index of " + name + " is " + typeName(wrong) + ", not int");
      if (wrong.isTensor())
        error.help("take rows by a tensor with gather(" + name + ", index)");
      failed = true;
      continue;
    }
    if (!range) {
      auto at = normalIndex(begin.asInt(), size);
      if (!at) {
        report(Code::IndexOutOfRange, index->range,
               "the index is " + llvm::Twine(begin.asInt()) + ", " + name + " is " +
                   typeName(base) + ": axis " + llvm::Twine(axis) + " has " + llvm::Twine(size));
        failed = true;
        continue;
      }
      slices.back() = {*at, 1, true};
      continue;
    }
    int64_t from = begin.asInt() < 0 ? begin.asInt() + size : begin.asInt();
    int64_t to = end.asInt() < 0 ? end.asInt() + size : end.asInt();
    if (from < 0 || to > size || from >= to) {
      report(Code::IndexOutOfRange, index->range,
             "the slice is " + llvm::Twine(begin.asInt()) + ".." + llvm::Twine(end.asInt()) + ", " +
                 name + " is " + typeName(base) + ": axis " + llvm::Twine(axis) + " has " +
                 llvm::Twine(size))
          .help("a slice a..b has at least one element and lies within the axis");
      failed = true;
      continue;
    }
    slices.back() = {from, to - from, false};
  }
  if (failed)
    return Value::error();
  llvm::SmallVector<int64_t> offsets, sizes, kept;
  for (const Slice &s : slices) {
    offsets.push_back(s.begin);
    sizes.push_back(s.size);
    if (!s.drops)
      kept.push_back(s.size);
  }
  mlir::Value part = emit.slice(expr->range, base.asTensor(), offsets, sizes);
  return Value::tensor(emit.reshape(expr->range, part, kept));
}

//===- Lists, comprehensions, ranges ----------------------------------------------------------===//

Value Evaluator::evalElements(llvm::ArrayRef<const Expr *> elements, bool isTuple) {
  std::vector<Value> values;
  for (const Expr *element : elements) {
    if (auto *spread = llvm::dyn_cast<SpreadExpr>(element)) {
      Value list = eval(spread->operand);
      if (list.isSequence() && checkLength(values.size() + list.elements().size(), element->range))
        llvm::append_range(values, list.elements());
      else if (list.isSequence())
        return Value::error();
      else if (list.isError())
        values.push_back(list);
      else
        values.push_back(fail(Code::WrongType, element->range,
                              "'...' takes a list apart, but this is " + typeName(list)));
      continue;
    }
    values.push_back(eval(element));
  }
  if (!elements.empty())
    trace.count(elements.front()->range, values.size());
  Value all = isTuple ? Value::tuple(std::move(values)) : Value::list(std::move(values));
  return elements.empty() ? all : checkNested(std::move(all), elements.front()->range);
}

Value Evaluator::evalRange(const RangeExpr *expr) {
  Value begin = expr->begin ? eval(expr->begin) : Value::error();
  Value end = expr->end ? eval(expr->end) : Value::error();
  if (begin.isError() || end.isError())
    return Value::error();
  if (!begin.isInt() || !end.isInt()) {
    const Value &wrong = begin.isInt() ? end : begin;
    return fail(wrong.isTensor() ? Code::NotKnownAtCompileTime : Code::WrongType, expr->range,
                "the ends of a range are ints, but one is " + typeName(wrong));
  }
  int64_t length;
  if (__builtin_sub_overflow(end.asInt(), begin.asInt(), &length))
    length = end.asInt() > begin.asInt() ? INT64_MAX : 0;
  if (length > 0 && !checkLength(static_cast<size_t>(length), expr->range))
    return Value::error();
  trace.count(expr->range, std::max<int64_t>(length, 0));
  std::vector<Value> values;
  for (int64_t i = begin.asInt(); i < end.asInt(); ++i)
    values.push_back(Value::integer(i));
  return Value::list(std::move(values));
}

static bool fits(const Pattern &pattern, const Value &value) {
  return pattern.isSingle() ||
         (value.isSequence() && value.elements().size() == pattern.names.size());
}

std::vector<Value> Evaluator::takeApart(const Pattern &pattern, const Value &value,
                                        SourceRange valueRange) {
  if (pattern.isSingle())
    return {value};
  if (fits(pattern, value))
    return value.elements();
  if (!value.isError())
    report(Code::WrongType, pattern.range,
           llvm::Twine(pattern.names.size()) + " names take apart " +
               label(valueRange, "the value") + ", which is " + typeName(value));
  return std::vector<Value>(pattern.names.size(), Value::error());
}

bool Evaluator::bindPattern(const Pattern &pattern, const Value &value, SourceRange valueRange,
                            bool isVariable) {
  for (auto [name, part] : llvm::zip(pattern.names, takeApart(pattern, value, valueRange)))
    if (name.text != "_")
      bind(name.text, part, name.range, isVariable);
  return fits(pattern, value) || value.isError();
}

Value Evaluator::evalComprehension(const ComprehensionExpr *expr) {
  std::vector<Value> results;
  bool failed = false;
  runClauses(expr, 0, results, failed);
  return failed ? Value::error() : checkNested(Value::list(std::move(results)), expr->range);
}

void Evaluator::runClauses(const ComprehensionExpr *expr, size_t clause,
                           std::vector<Value> &results, bool &failed) {
  if (clause == expr->clauses.size()) {
    if (checkLength(results.size() + 1, expr->range))
      results.push_back(eval(expr->element));
    return;
  }
  const ForClause &loop = expr->clauses[clause];
  Value iterable = eval(loop.iterable);
  if (!iterable.isSequence()) {
    if (!iterable.isError())
      report(Code::WrongType, loop.iterable->range,
             "'for' goes through a list, but this is " + typeName(iterable));
    failed = true;
    return;
  }
  for (const Value &element : iterable.elements()) {
    if (stopped() || failed)
      return;
    Scope turn{.parent = scope};
    Scoped<Scope *> inside(scope, &turn);
    if (!bindPattern(loop.pattern, element, loop.iterable->range, /*isVariable=*/false)) {
      failed = true;
      return;
    }
    if (loop.filter) {
      std::optional<bool> keep = evalCondition(loop.filter, "the condition of 'where'");
      if (!keep)
        failed = true;
      if (!keep.value_or(false))
        continue;
    }
    runClauses(expr, clause + 1, results, failed);
  }
}

//===- Compositions ---------------------------------------------------------------------------===//

Value Evaluator::evalCompose(const ComposeExpr *expr) {
  auto node = std::make_shared<NetNode>();
  node->kind = NetNode::Kind::Chain;
  node->range = expr->range;
  node->indexNames.reserve(expr->parts.size());
  bool failed = false;
  for (auto [i, part] : llvm::enumerate(expr->parts)) {
    Value value = eval(part.value);
    llvm::StringRef name = part.label.text;
    if (!part.isLabelled())
      name = node->indexNames.emplace_back(std::to_string(i));
    if (part.isLabelled())
      if (const NetChild *earlier = node->child(name)) {
        report(Code::DuplicateName, part.label.range, "two parts are called '" + name + "'")
            .note(earlier->range, "the first is here");
        failed = true;
      }
    std::optional<NetValue> net = value.isError() ? std::nullopt : asNet(value, part.value->range);
    if (!net) {
      failed = true;
      continue;
    }
    node->add({name, Value::net(std::move(*net)),
               part.isLabelled() ? part.label.range : part.value->range});
  }
  if (failed)
    return Value::error();
  return checkNested(Value::net({.node = std::move(node)}), expr->range);
}

} // namespace doppel::spec
