// What cannot be executed is an error at the operation, never a wrong value or a crash.
// RUN: not doppel-verify run %s --function finite 2>&1 | FileCheck %s --check-prefix=FINITE
// RUN: not doppel-verify run %s --function missing 2>&1 | FileCheck %s --check-prefix=MISSING

nn.state @w parameter : tensor<2xf32>

// A check stops the run before any later write.
// FINITE: error: the loss is not finite at step 0
// FINITE-NOT: state w
func.func @finite(%x: tensor<2xf32>) {
  %zero = nn.constant dense<0.0> : tensor<2xf32>
  %0 = nn.div %zero, %zero : tensor<2xf32>
  nn.check_finite %0 "the loss" : tensor<2xf32>
  nn.write @w, %x : tensor<2xf32>
  return
}

// MISSING: error: no function to run, no @missing
