// Registers the ssl dialect's operations, types and attributes.
#include "dialects/ssl/SslDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace doppel::ssl;

#include "dialects/ssl/SslDialect.cpp.inc"
#include "dialects/ssl/SslEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/ssl/SslAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/ssl/SslTypes.cpp.inc"

void SslDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/ssl/SslOps.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/ssl/SslTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/ssl/SslAttrs.cpp.inc"
      >();
}

#define GET_OP_CLASSES
#include "dialects/ssl/SslOps.cpp.inc"
