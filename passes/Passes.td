// Every pass, with its rewrite as an equation.
#ifndef DOPPEL_PASSES
#define DOPPEL_PASSES

include "mlir/Pass/PassBase.td"



#endif
