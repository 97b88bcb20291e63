// The grammar of --target, and the attribute that holds what it said.
#include "dialects/plan/Target.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace doppel;
using namespace doppel::plan;

/// The attribute of a module that holds its target.
static constexpr llvm::StringLiteral attributeName = "plan.target";

static constexpr Architecture architectures[] = {
    {"sm_80", 80, 108},   // A100
    {"sm_86", 86, 72},    // A10
    {"sm_89", 89, 58},    // L4
    {"sm_90", 90, 114},   // H100 PCIe
    {"sm_100", 100, 148}, // B200
    {"sm_120", 120, 110}, // RTX PRO 4500; RTX 5090: 170
};

ArrayRef<Architecture> plan::getArchitectures() { return architectures; }

const Architecture *plan::findArchitecture(StringRef name) {
  const auto *found =
      llvm::find_if(architectures, [&](const Architecture &each) { return each.name == name; });
  return found == std::end(architectures) ? nullptr : found;
}

//===- As users name it -----------------------------------------------------------------------===//

/// ": did you mean X?" where a candidate is like `word`, else "".
static std::string suggestion(StringRef word, ArrayRef<StringRef> candidates) {
  // Of two that are as like, the one of the same length: two letters have changed places.
  auto distance = [&](StringRef candidate) {
    return std::pair(word.edit_distance(candidate),
                     std::abs(int(word.size()) - int(candidate.size())));
  };
  StringRef best = *llvm::min_element(
      candidates, [&](StringRef a, StringRef b) { return distance(a) < distance(b); });
  return distance(best).first > std::max<size_t>(1, word.size() / 2)
             ? ""
             : ("; did you mean " + best + "?").str();
}

static bool parseArchitectures(StringRef text, StringRef list, TargetName &target,
                               std::string &error) {
  SmallVector<StringRef> known, wanted;
  for (const Architecture &each : architectures)
    known.push_back(each.name);
  list.split(wanted, ',');
  for (StringRef name : wanted) {
    if (!findArchitecture(name)) {
      error = ("'" + name + "' in '" + text +
               "' is no architecture that code can be made for; there are " +
               llvm::join(known, ", ") + suggestion(name, known))
                  .str();
      return false;
    }
    if (llvm::is_contained(target.architectures, name)) {
      error = ("'" + text + "' names " + name + " twice").str();
      return false;
    }
    target.architectures.push_back(findArchitecture(name)->name);
  }
  llvm::sort(target.architectures, [](StringRef a, StringRef b) {
    return findArchitecture(a)->number < findArchitecture(b)->number;
  });
  return true;
}

std::optional<TargetName> plan::parseTarget(StringRef text, std::string &error) {
  error.clear();
  auto [kind, rest] = text.split(':');
  bool hasRest = text.contains(':');
  TargetName target;
  if (kind == cpuKind) {
    target.kind = cpuKind;
    target.processor = rest.str();
    if (hasRest && rest.empty()) {
      error = "'cpu:' names no processor; cpu alone is this machine's";
      return std::nullopt;
    }
    return target;
  }
  if (kind == cudaKind) {
    target.kind = cudaKind;
    if (hasRest && rest.empty()) {
      error = "'cuda:' names no architecture; cuda alone is cuda:sm_80,sm_90";
      return std::nullopt;
    }
    if (!parseArchitectures(text, hasRest ? rest : "sm_80,sm_90", target, error))
      return std::nullopt;
    return target;
  }
  if (kind == simulatorKind && (!hasRest || rest == "check")) {
    target.kind = simulatorKind;
    target.architectures.push_back(architectures[0].name);
    target.check = hasRest;
    return target;
  }
  error = ("'" + text + "' is no target; targets are " + targetForms).str();
  std::string lower = kind.lower();
  if (kind == simulatorKind)
    error += suggestion(text, {"cuda-sim:check"});
  else if (lower == "gpu" || lower == "nvidia")
    error += suggestion(cudaKind, {cudaKind});
  else
    error += suggestion(lower, {cpuKind, cudaKind, simulatorKind});
  return std::nullopt;
}

//===- As a module says it --------------------------------------------------------------------===//

TargetAttr plan::targetAttrOf(MLIRContext *context, const TargetName &name) {
  Builder builder(context);
  return TargetAttr::get(context, name.kind, name.processor, ArrayAttr(),
                         name.architectures.empty() ? ArrayAttr()
                                                    : builder.getStrArrayAttr(name.architectures),
                         name.check ? builder.getBoolAttr(true) : BoolAttr());
}

TargetAttr plan::findTarget(Operation *op) {
  auto module = dyn_cast<ModuleOp>(op);
  if (!module)
    module = op->getParentOfType<ModuleOp>();
  return module ? module->getAttrOfType<TargetAttr>(attributeName) : TargetAttr();
}

void plan::setTarget(ModuleOp module, TargetAttr target) { module->setAttr(attributeName, target); }

LogicalResult TargetAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringRef kind,
                                 StringRef name, ArrayAttr features, ArrayAttr archs,
                                 BoolAttr check) {
  if (kind != cpuKind && kind != cudaKind && kind != simulatorKind)
    return emitError() << "'" << kind << "' is no kind of target; kinds are " << cpuKind << ", "
                       << cudaKind << " and " << simulatorKind;
  for (ArrayAttr list : {features, archs})
    if (list && !llvm::all_of(list, llvm::IsaPred<StringAttr>))
      return emitError() << "features and architectures of a target are strings, not " << list;
  if ((kind == cpuKind) != !archs)
    return emitError() << "a target '" << kind << "' has "
                       << (archs ? "no architectures" : "to name its architectures");
  if (kind == cudaKind && (!name.empty() || features))
    return emitError() << "a target 'cuda' has no processor";
  if (kind != simulatorKind && check)
    return emitError() << "only a target 'cuda-sim' checks";
  unsigned least = 0;
  for (Attribute each : archs ? archs.getValue() : ArrayRef<Attribute>()) {
    const Architecture *known = findArchitecture(cast<StringAttr>(each).getValue());
    if (!known)
      return emitError() << each << " is no architecture that code can be made for";
    if (known->number <= least)
      return emitError() << "architectures of a target stand once each, the least first, not "
                         << archs;
    least = known->number;
  }
  if (archs && archs.empty())
    return emitError() << "a target '" << kind << "' has to name its architectures";
  return success();
}

LogicalResult PlanDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  if (attribute.getName() != attributeName)
    return op->emitError() << "'" << attribute.getName().getValue()
                           << "' is no attribute of the plan dialect";
  if (!isa<ModuleOp>(op))
    return op->emitError() << "'" << attributeName << "' is an attribute of a module";
  if (!isa<TargetAttr>(attribute.getValue()))
    return op->emitError() << "'" << attributeName << "' is a #plan.target, not "
                           << attribute.getValue();
  return success();
}
