// Each operation that a kernel or a library computes, for each type that ODS allows, compiled for
// this processor and for a GPU, whose blocks run in the checking simulator, against the oracle.
// What must have a case is asked of the dialect: an operation without one fails by its name.
#include "test/unit/codegen/Cases.h"

#include "dialects/plan/Machine.h"
#include "dialects/plan/PlanDialect.h"
#include "frontends/cli/verify/Compiled.h"
#include "frontends/cli/verify/Verify.h"

#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <set>

using namespace doppel;
using namespace doppel::codegen;
using reference::Tensor;

namespace {

/// Every element type that an operation might allow.
constexpr const char *elementTypes[] = {"i1",  "i8",   "i16", "i32", "i64",  "ui8",
                                        "f16", "bf16", "f32", "f64", "index"};

/// Sizes of the cases: 18,021 and 20,640 elements are more than a workgroup of any target has.
struct Sizes {
  int64_t rows, columns;
};
constexpr Sizes sizes[] = {{3, 6007}, {40, 516}};
/// So many special numbers, each with each.
constexpr Sizes ofSpecials = {9, 9};

struct Filling {
  std::string type, other, entry;
  Sizes sizes;
  bool special = false;
};

std::string replaced(std::string text, const char *token, const std::string &by) {
  for (size_t at; (at = text.find(token)) != std::string::npos;)
    text.replace(at, std::strlen(token), by);
  return text;
}

bool isFloat(llvm::StringRef type) { return type.starts_with("f") || type.starts_with("bf"); }

/// Numbers of both signs, or above zero: at least 1 where they are integers.
std::string range(const std::string &type, bool positive) {
  if (isFloat(type))
    return positive ? "{nn.range = [0.01, 9.0]}" : "{nn.range = [-4.0, 4.0]}";
  if (type == "i1")
    return "{nn.range = [-1.0, 1.0]}";
  return positive ? "{nn.range = [1.0, 9.0]}" : "{nn.range = [-50.0, 50.0]}";
}

/// Zeros, infinities, NaN, the ends of what is normal; `every` elements have the same.
std::string specials(const std::string &type, int64_t every) {
  constexpr double values[] = {0.0,       -0.0, 1.0,
                               -2.5,      1e-3, INFINITY,
                               -INFINITY, 3.0,  std::numeric_limits<double>::quiet_NaN()};
  std::string text = "{nn.value = dense<[";
  for (int64_t row = 0; row < ofSpecials.rows; ++row) {
    text += row ? "], [" : "[";
    for (int64_t column = 0; column < ofSpecials.columns; ++column) {
      double value = values[(row * ofSpecials.columns + column) / every % std::size(values)];
      uint64_t bits =
          type == "f32" ? std::bit_cast<uint32_t>(float(value)) : std::bit_cast<uint64_t>(value);
      text += (column ? ", 0x" : "0x") + llvm::utohexstr(bits, false, type == "f32" ? 8 : 16);
    }
  }
  return text + "]]> : tensor<9x9x" + type + ">}";
}

std::string elements(const std::string &type) {
  if (type == "i1")
    return "[true, false, false, true, true]";
  return isFloat(type) ? "[2.5, -1.0, 0.0, 4.0, 7.0]" : "[2, 1, 0, 4, 7]";
}

/// The case's text with all tokens replaced.
std::string fill(const Case &each, const Filling &filling) {
  std::string text = each.text;
  if (filling.special) {
    int64_t every = 1; // so that each meets each
    for (size_t at; (at = std::min(text.find("$X"), text.find("$P"))) != std::string::npos;
         every *= ofSpecials.columns)
      text.replace(at, 2, specials(filling.type, every));
  }
  for (auto [token, by] : std::initializer_list<std::pair<const char *, std::string>>{
           {"$V", "tensor<$Rx$Cx$T>"},
           {"$W", "tensor<$Rx$Cx$U>"},
           {"$B", "tensor<$Rx$Cxi1>"},
           {"$X", range(filling.type, false)},
           {"$P", range(filling.type, true)},
           {"$D", elements(filling.type)},
           {"$K", filling.entry},
           {"$T", filling.type},
           {"$U", filling.other},
           {"$R", std::to_string(filling.sizes.rows)},
           {"$C", std::to_string(filling.sizes.columns)}})
    text = replaced(std::move(text), token, by);
  return text;
}

template <typename Entry>
std::vector<std::string> namesOf(std::optional<Entry> (*at)(uint32_t),
                                 llvm::StringRef (*name)(Entry), unsigned most) {
  std::vector<std::string> names;
  for (unsigned i = 0; i <= most; ++i)
    if (auto entry = at(i))
      names.push_back(name(*entry).str());
  return names;
}

std::vector<std::string> namesOf(Entries entries) {
  switch (entries) {
  case Entries::None:
    return {""};
  case Entries::ReduceKinds:
    return namesOf(nn::symbolizeReduceKind, nn::stringifyReduceKind,
                   nn::getMaxEnumValForReduceKind());
  case Entries::Predicates:
    return namesOf(nn::symbolizeComparePredicate, nn::stringifyComparePredicate,
                   nn::getMaxEnumValForComparePredicate());
  case Entries::RunValues:
    return namesOf(nn::symbolizeRunValue, nn::stringifyRunValue, nn::getMaxEnumValForRunValue());
  case Entries::Distributions:
    return namesOf(nn::symbolizeDistribution, nn::stringifyDistribution,
                   nn::getMaxEnumValForDistribution());
  case Entries::Transforms:
    return namesOf(nn::symbolizeTransform, nn::stringifyTransform, nn::getMaxEnumValForTransform());
  }
  return {};
}

class CaseTable : public testing::Test {
protected:
  CaseTable() { context.loadDialect<nn::NnDialect, plan::PlanDialect, mlir::func::FuncDialect>(); }

  /// The functions of all cases of an operation, as far as ODS allows their types.
  mlir::OwningOpRef<mlir::ModuleOp> moduleOf(llvm::StringRef operation);
  void addFunctions(mlir::ModuleOp module, const Case &each);
  mlir::OwningOpRef<mlir::ModuleOp> parse(const std::string &text);

  /// Compiles for `target` and holds each function against the oracle.
  void check(mlir::ModuleOp module, plan::TargetAttr target);
  void compare(mlir::func::FuncOp function, const std::vector<Tensor> &expected,
               const std::vector<Tensor> &found);

  std::vector<plan::TargetAttr> targets() {
    return {
        plan::targetAttrOf(&context, {.kind = plan::cpuKind}),
        plan::targetAttrOf(
            &context, {.kind = plan::simulatorKind, .architectures = {"sm_80"}, .check = true})};
  }

  mlir::MLIRContext context;
  llvm::StringMap<const Case *> caseOf; ///< of each function
};

/// Null where ODS does not allow a type of an operand or result; any other error fails the test.
mlir::OwningOpRef<mlir::ModuleOp> CaseTable::parse(const std::string &text) {
  std::string message;
  mlir::ScopedDiagnosticHandler handler(
      &context, [&](mlir::Diagnostic &diagnostic) { message += diagnostic.str() + "\n"; });
  auto parsed = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  bool isConstraint = llvm::StringRef(message).contains(" must be ") &&
                      llvm::StringRef(message).contains(", but got ");
  EXPECT_TRUE(parsed || isConstraint) << message << text;
  return parsed;
}

void CaseTable::addFunctions(mlir::ModuleOp module, const Case &each) {
  auto has = [&](const char *token) { return each.text.find(token) != std::string::npos; };
  bool hasType = has("$T") || has("$V"), hasOther = has("$U") || has("$W");
  std::vector<Filling> fillings;
  for (const std::string &entry : namesOf(each.entries))
    for (const char *type : elementTypes)
      for (const char *other : elementTypes)
        if ((hasType || type == elementTypes[0]) && (hasOther || other == elementTypes[0])) {
          Filling filling{type, other,
                          each.entries == Entries::Transforms ? stagesOf(entry) : entry, sizes[0]};
          EXPECT_FALSE(each.entries == Entries::Transforms && filling.entry.empty())
              << "the transform " << entry << " has no case";
          fillings.push_back(filling);
          if (each.elementwise && (filling.type == "f32" || filling.type == "f64")) {
            filling.special = true;
            filling.sizes = ofSpecials;
            fillings.push_back(filling);
          } else if (!each.elementwise && has("$V")) {
            filling.sizes = sizes[1];
            fillings.push_back(filling);
          }
        }
  unsigned count = 0;
  for (const Filling &filling : fillings) {
    auto parsed = parse(fill(each, filling));
    if (!parsed)
      continue;
    auto function = *parsed->getOps<mlir::func::FuncOp>().begin();
    std::string name =
        llvm::formatv("{0}_{1}_{2}_{3}{4}", each.operation, filling.type, filling.other,
                      caseOf.size(), filling.special ? "_special" : "")
            .str();
    function.setName(name);
    caseOf[name] = &each;
    function->remove();
    module.push_back(function);
    ++count;
  }
  EXPECT_GT(count, 0u) << "no type fits the case " << each.text;
}

mlir::OwningOpRef<mlir::ModuleOp> CaseTable::moduleOf(llvm::StringRef operation) {
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
  for (const Case &each : cases())
    if (each.operation == operation)
      addFunctions(*module, each);
  return module;
}

void CaseTable::compare(mlir::func::FuncOp function, const std::vector<Tensor> &expected,
                        const std::vector<Tensor> &found) {
  const Case &each = *caseOf.at(function.getName());
  for (size_t i = 0; i < expected.size(); ++i) {
    mlir::Type type = function.getResultTypes()[i], element = mlir::getElementTypeOrSelf(type);
    double digit = element.isF32() || (element.isF64() && each.inF32) ? 0x1p-24
                   : element.isF64()                                  ? 0x1p-53
                                                                      : 0;
    Tensor wanted = verify::roundedToType(expected[i], type);
    ASSERT_EQ(wanted.shape, found[i].shape);
    double share = each.elementwise && !each.cancels ? 0 : verify::smallElement;
    double error = verify::relativeError(wanted, found[i], share, 1e-30);
    EXPECT_LE(error, each.units * digit) << "result " << i;
  }
}

void CaseTable::check(mlir::ModuleOp module, plan::TargetAttr target) {
  SCOPED_TRACE("for " + target.getKind().str());
  mlir::OwningOpRef<mlir::ModuleOp> program = module.clone();
  auto compiled = verify::Compiled::create(*program, Phase::Train, /*threads=*/0, target);
  ASSERT_TRUE(succeeded(compiled)) << "it does not compile";
  reference::Interpreter oracle(module);
  doppel::abi::RunScalars run = {
      .seed = 1, .step = 3, .stepsPerEpoch = 10, .epochs = 5, .samples = 1000};
  oracle.run = run;
  verify::ArgumentSource source(/*seed=*/1, /*rank=*/0);
  for (auto function : module.getOps<mlir::func::FuncOp>()) {
    SCOPED_TRACE(function.getName().str());
    auto arguments = source.argumentsOf(function);
    ASSERT_TRUE(succeeded(arguments));
    std::map<std::string, Tensor> states;
    auto expected = oracle.call(function, *arguments);
    auto found = (*compiled)->call(function.getName(), *arguments, run, states);
    ASSERT_TRUE(succeeded(expected) && succeeded(found)) << "it does not run";
    compare(function, *expected, *found);
  }
}

class OperationCases : public CaseTable, public testing::WithParamInterface<std::string> {};

TEST_P(OperationCases, AgreeWithTheOracle) {
  auto module = moduleOf(GetParam());
  for (plan::TargetAttr target : targets())
    check(*module, target);
}

std::vector<std::string> operationsWithCases() {
  std::vector<std::string> names;
  for (const Case &each : cases())
    if (!llvm::is_contained(names, each.operation))
      names.push_back(each.operation);
  return names;
}

INSTANTIATE_TEST_SUITE_P(, OperationCases, testing::ValuesIn(operationsWithCases()),
                         [](const auto &info) { return info.param; });

TEST_F(CaseTable, IsOfEveryOperationOfKernelsAndLibraries) {
  std::vector<std::string> known = operationsWithCases();
  for (mlir::RegisteredOperationName name : context.getRegisteredOperationsByDialect("nn"))
    if (name.hasTrait<nn::Fusible>() || name.hasTrait<nn::LibraryCall>()) {
      EXPECT_TRUE(llvm::is_contained(known, name.stripDialect()))
          << name.getStringRef().str() << " has no case in Cases.cpp";
    }
}

/// As programs: what kinds of kernels and calls come of all cases.
TEST_F(CaseTable, IsOfEveryKindOfKernelAndEveryCall) {
  for (plan::TargetAttr target : targets()) {
    SCOPED_TRACE("for " + target.getKind().str());
    std::set<nn::KernelKind> kinds;
    std::set<plan::LibraryOp> calls;
    for (const std::string &operation : operationsWithCases()) {
      auto module = moduleOf(operation);
      ASSERT_TRUE(succeeded(verify::lower(*module, Phase::Train, Phase::Fused, {}, target)));
      module->walk([&](mlir::Operation *op) {
        if (auto fused = mlir::dyn_cast<nn::FusedOp>(op))
          kinds.insert(fused.getKind());
        else if (op->getName().hasTrait<nn::LibraryCall>())
          calls.insert(*plan::symbolizeLibraryOp(op->getName().stripDialect()));
      });
    }
    for (unsigned i = 1; i <= nn::getMaxEnumValForKernelKind(); ++i)
      EXPECT_TRUE(kinds.count(nn::KernelKind(i)))
          << "no case has a kernel of kind " << nn::stringifyKernelKind(nn::KernelKind(i)).str();
    bool poolsAreCalls = plan::machineOf(target).poolsAreCalls;
    for (schema::LibraryOp op : schema::EnumValuesLibraryOp()) {
      if (op == schema::LibraryOp::Unspecified)
        continue;
      std::string name = plan::stringifyLibraryOp(plan::LibraryOp(op)).str();
      bool isPool = llvm::StringRef(name).contains("pool");
      EXPECT_EQ(calls.count(plan::LibraryOp(op)), size_t(!isPool || poolsAreCalls))
          << "calls of " << name << " in all cases";
    }
  }
}

} // namespace
