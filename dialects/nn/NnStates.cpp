// Verifiers of arenas, states and updates. A symbol must name a state (or a state group) of the
// module, and types must agree.
#include "dialects/nn/NnDialect.h"

#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace doppel::nn;

/// Ranges [offset, offset + size) must follow one another without overlap within a vector of
/// `length` elements.
static LogicalResult verifyRanges(Operation *op, ArrayRef<int64_t> offsets, ArrayRef<int64_t> sizes,
                                  int64_t length) {
  if (offsets.size() != sizes.size())
    return op->emitOpError() << "has " << offsets.size() << " offsets for " << sizes.size()
                             << " parts";
  int64_t end = 0;
  for (auto [index, offset] : llvm::enumerate(offsets)) {
    if (offset < end)
      return op->emitOpError() << "part " << index << " begins at " << offset
                               << ", before the end of the part before at " << end;
    if (sizes[index] < 0)
      return op->emitOpError() << "part " << index << " has a size of " << sizes[index];
    end = offset + sizes[index];
  }
  if (end > length)
    return op->emitOpError() << "the last part ends at " << end << ", the vector at " << length;
  return success();
}

LogicalResult PackOp::verify() {
  auto result = cast<RankedTensorType>(getType());
  SmallVector<int64_t> sizes;
  for (auto [index, input] : llvm::enumerate(getInputs())) {
    auto type = cast<RankedTensorType>(input.getType());
    if (type.getElementType() != result.getElementType())
      return emitOpError() << "input " << index << " is " << type << ", the result is " << result;
    sizes.push_back(type.getNumElements());
  }
  return verifyRanges(*this, getOffsets(), sizes, result.getDimSize(0));
}

template <typename Op> static LogicalResult verifySegments(Op op, Value segments, Value vector) {
  auto segmentsType = cast<RankedTensorType>(segments.getType());
  auto vectorType = cast<RankedTensorType>(vector.getType());
  if (segmentsType.getElementType() != vectorType.getElementType())
    return op.emitOpError() << "the segments are " << segmentsType << ", the vector is "
                            << vectorType << ": the element types differ";
  if (segmentsType.getDimSize(0) != static_cast<int64_t>(op.getOffsets().size()))
    return op.emitOpError() << "has " << op.getOffsets().size() << " offsets for "
                            << segmentsType.getDimSize(0) << " segments";
  return verifyRanges(op, op.getOffsets(), op.getSizes(), vectorType.getDimSize(0));
}

LogicalResult SegmentSumOp::verify() { return verifySegments(*this, getResult(), getInput()); }
LogicalResult SegmentBroadcastOp::verify() {
  return verifySegments(*this, getInput(), getResult());
}

//===- Symbols --------------------------------------------------------------------------------===//

/// The state that `symbol` names, or null after an error.
static StateOp findState(Operation *op, SymbolRefAttr symbol, SymbolTableCollection &symbols) {
  auto state = symbols.lookupNearestSymbolFrom<StateOp>(op, symbol);
  if (!state)
    op->emitOpError() << symbol << " is not a state of this module";
  return state;
}

/// `valueType` must be the type of the state or the state group that `symbol` names.
static LogicalResult verifyAccess(Operation *op, FlatSymbolRefAttr symbol, Type valueType,
                                  SymbolTableCollection &symbols) {
  // Inside an ssl.method states are ssl.state, and relative names in an ssl.net: that dialect
  // verifies them.
  if (!isa_and_nonnull<ModuleOp>(SymbolTable::getNearestSymbolTable(op)))
    return success();
  Operation *target = symbols.lookupNearestSymbolFrom(op, symbol);
  Type declared;
  if (auto state = dyn_cast_or_null<StateOp>(target))
    declared = state.getType();
  else if (auto group = dyn_cast_or_null<StateGroupOp>(target))
    declared = group.getType();
  else
    return op->emitOpError() << symbol << " is not a state or state group of this module";
  if (declared == valueType)
    return success();
  InFlightDiagnostic error = op->emitOpError()
                             << symbol << " is " << declared << ", the value is " << valueType;
  error.attachNote(target->getLoc()) << "declared here";
  return error;
}

LogicalResult ReadOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyAccess(*this, getStateAttr(), getType(), symbols);
}

LogicalResult WriteOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyAccess(*this, getStateAttr(), getValue().getType(), symbols);
}

LogicalResult StateGroupOp::verify() {
  auto type = cast<RankedTensorType>(getType());
  if (type.getRank() != 1 || !type.hasStaticShape())
    return emitOpError() << "is " << type << ", but must be a vector";
  if (getOffsets().size() != getMembers().size())
    return emitOpError() << "has " << getOffsets().size() << " offsets for " << getMembers().size()
                         << " members";
  for (int64_t offset : getOffsets())
    if (offset % 16 != 0)
      return emitOpError() << "offset " << offset << " is not a multiple of 16 elements";
  return success();
}

LogicalResult StateGroupOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto type = cast<RankedTensorType>(getType());
  SmallVector<int64_t> sizes;
  for (Attribute symbol : getMembers()) {
    StateOp state = findState(*this, cast<SymbolRefAttr>(symbol), symbols);
    if (!state)
      return failure();
    auto memberType = cast<RankedTensorType>(state.getType());
    if (memberType.getElementType() != type.getElementType()) {
      InFlightDiagnostic error = emitOpError() << "is " << type << ", its member " << symbol
                                               << " is " << memberType;
      error.attachNote(state.getLoc()) << "declared here";
      return error;
    }
    sizes.push_back(memberType.getNumElements());
  }
  return verifyRanges(*this, getOffsets(), sizes, type.getDimSize(0));
}

//===- Updates --------------------------------------------------------------------------------===//

LogicalResult EmaUpdateOp::verify() {
  if (getTargets().size() != getSources().size())
    return emitOpError() << "has " << getTargets().size() << " targets for " << getSources().size()
                         << " sources";
  return success();
}

LogicalResult EmaUpdateOp::verifySymbolUses(SymbolTableCollection &symbols) {
  for (auto [target, source] : llvm::zip_equal(getTargets(), getSources())) {
    StateOp targetState = findState(*this, cast<SymbolRefAttr>(target), symbols);
    StateOp sourceState = findState(*this, cast<SymbolRefAttr>(source), symbols);
    if (!targetState || !sourceState)
      return failure();
    if (targetState.getType() != sourceState.getType())
      return emitOpError() << "the target " << target << " is " << targetState.getType()
                           << ", its source " << source << " is " << sourceState.getType();
  }
  return success();
}

/// Each option that a rule takes must be there with its type, and no other.
template <typename Op> static LogicalResult verifyUpdate(Op op) {
  size_t count = op.getParameters().size();
  if (op.getDecay().size() != count || op.getAdapt().size() != count)
    return op.emitOpError() << "has " << op.getDecay().size() << " decay and "
                            << op.getAdapt().size() << " adapt flags for " << count
                            << " parameters";
  SmallVector<StringRef> numbers, flags;
  bool hasForm = false;
  switch (op.getRule()) {
  case OptimizerRule::Sgd:
    numbers = {"momentum", "dampening"};
    flags = {"nesterov"};
    break;
  case OptimizerRule::Lars:
    numbers = {"momentum", "trust", "epsilon"};
    flags = {"nesterov"};
    hasForm = true;
    break;
  case OptimizerRule::AdamW:
    numbers = {"beta1", "beta2", "epsilon"};
    break;
  }
  auto rule = stringifyOptimizerRule(op.getRule());
  DictionaryAttr options = op.getOptions();
  for (StringRef name : numbers)
    if (!isa_and_present<FloatAttr>(options.get(name)))
      return op.emitOpError() << rule << " lacks its option '" << name << "', a number";
  for (StringRef name : flags)
    if (!isa_and_present<BoolAttr>(options.get(name)))
      return op.emitOpError() << rule << " lacks its option '" << name << "', true or false";
  if (hasForm) {
    auto form = dyn_cast_or_null<StringAttr>(options.get("form"));
    if (!form || !llvm::is_contained({"tf", "byol", "larc"}, form.getValue()))
      return op.emitOpError() << "lars lacks its option 'form', \"tf\", \"byol\" or \"larc\"";
  }
  if (options.contains("clip") || options.contains("clip_by")) {
    auto by = dyn_cast_or_null<StringAttr>(options.get("clip_by"));
    if (!isa_and_present<FloatAttr>(options.get("clip")) || !by ||
        !llvm::is_contained({"tensor", "global"}, by.getValue()))
      return op.emitOpError()
             << "clips by 'clip', a number, and 'clip_by', \"tensor\" or \"global\"";
  }
  for (NamedAttribute option : options) {
    StringRef name = option.getName();
    if (name == "clip" || name == "clip_by")
      continue;
    if (!llvm::is_contained(numbers, name) && !llvm::is_contained(flags, name) &&
        !(hasForm && name == "form"))
      return op.emitOpError() << rule << " has no option '" << name << "'";
  }
  return success();
}

LogicalResult OptimizeOp::verify() { return verifyUpdate(*this); }

LogicalResult OptimizeOp::verifySymbolUses(SymbolTableCollection &symbols) {
  for (Attribute symbol : getParameters())
    if (!findState(*this, cast<SymbolRefAttr>(symbol), symbols))
      return failure();
  return success();
}

LogicalResult UpdateParametersOp::verify() {
  if (getGradients().size() != getParameters().size())
    return emitOpError() << "has " << getGradients().size() << " gradients for "
                         << getParameters().size() << " parameters";
  return verifyUpdate(*this);
}

LogicalResult UpdateParametersOp::verifySymbolUses(SymbolTableCollection &symbols) {
  for (auto [symbol, gradient] : llvm::zip_equal(getParameters(), getGradients())) {
    StateOp state = findState(*this, cast<SymbolRefAttr>(symbol), symbols);
    if (!state)
      return failure();
    if (state.getType() != gradient.getType())
      return emitOpError() << "the parameter " << symbol << " is " << state.getType()
                           << ", its gradient is " << gradient.getType();
  }
  return success();
}
