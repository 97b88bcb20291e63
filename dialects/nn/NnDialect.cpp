// Registers the nn dialect's operations, types and attributes.
#include "dialects/nn/NnDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace doppel::nn;

#include "dialects/nn/NnDialect.cpp.inc"
#include "dialects/nn/NnEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/nn/NnAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/nn/NnTypes.cpp.inc"

void NnDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/nn/NnOps.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/nn/NnTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/nn/NnAttrs.cpp.inc"
      >();
}

Operation *NnDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type,
                                          Location location) {
  auto elements = dyn_cast<ElementsAttr>(value);
  return elements ? ConstantOp::create(builder, location, type, elements).getOperation() : nullptr;
}

Precision doppel::nn::precisionOf(Operation *op) {
  auto precision = op->hasTrait<SumsProducts>() ? op->getAttrOfType<PrecisionAttr>("precision")
                                                : PrecisionAttr();
  return precision ? precision.getValue() : Precision::F32;
}

void doppel::nn::setPrecision(Operation *op, Precision precision) {
  op->setAttr("precision", PrecisionAttr::get(op->getContext(), precision));
}

int64_t doppel::nn::worldOf(ModuleOp module) {
  auto world = module->getAttrOfType<IntegerAttr>("nn.world");
  return world ? world.getInt() : 1;
}
