// The ssl dialect: a method as written.
#pragma once

#include "dialects/nn/NnDialect.h"
#include "mlir/IR/DialectImplementation.h"

#include "dialects/ssl/SslDialect.h.inc"
#include "dialects/ssl/SslEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/ssl/SslAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/ssl/SslTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/ssl/SslOps.h.inc"
