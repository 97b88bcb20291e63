// Elementary functions on dense samples of each part of their range, every element against its own exact value: subnormal numbers
// and those that become one, arguments near the ends, near zero and near one.
// RUN: doppel-verify kernels %s --elements --floor 1e-38 --tolerance 6e-7 | FileCheck %s --implicit-check-not=WRONG

!x = tensor<4003xf32>

// CHECK-LABEL: @exp_underflows
// CHECK: ok
func.func @exp_underflows(%x: !x {nn.range = [-104.5, -86.0]}) -> !x {
  %y = nn.exp %x : !x
  return %y : !x
}
// CHECK-LABEL: @exp_is_small
// CHECK: ok
func.func @exp_is_small(%x: !x {nn.range = [-87.0, -1.0]}) -> !x {
  %y = nn.exp %x : !x
  return %y : !x
}
// CHECK-LABEL: @exp_near_one
// CHECK: ok
func.func @exp_near_one(%x: !x {nn.range = [-1.0, 1.0]}) -> !x {
  %y = nn.exp %x : !x
  return %y : !x
}
// CHECK-LABEL: @exp_overflows
// CHECK: ok
func.func @exp_overflows(%x: !x {nn.range = [80.0, 90.0]}) -> !x {
  %y = nn.exp %x : !x
  return %y : !x
}
// CHECK-LABEL: @log_of_subnormals
// CHECK: ok
func.func @log_of_subnormals(%x: !x {nn.range = [1.0e-44, 1.17e-38]}) -> !x {
  %y = nn.log %x : !x
  return %y : !x
}
// CHECK-LABEL: @log_of_small
// CHECK: ok
func.func @log_of_small(%x: !x {nn.range = [1.0e-38, 1.0e-30]}) -> !x {
  %y = nn.log %x : !x
  return %y : !x
}
// CHECK-LABEL: @log_near_one
// CHECK: ok
func.func @log_near_one(%x: !x {nn.range = [0.98, 1.02]}) -> !x {
  %y = nn.log %x : !x
  return %y : !x
}
// CHECK-LABEL: @log
// CHECK: ok
func.func @log(%x: !x {nn.range = [0.01, 20.0]}) -> !x {
  %y = nn.log %x : !x
  return %y : !x
}
// CHECK-LABEL: @log_of_large
// CHECK: ok
func.func @log_of_large(%x: !x {nn.range = [1.0e30, 3.4e38]}) -> !x {
  %y = nn.log %x : !x
  return %y : !x
}
// CHECK-LABEL: @sqrt_of_small
// CHECK: ok
func.func @sqrt_of_small(%x: !x {nn.range = [0.0, 1.0e-37]}) -> !x {
  %y = nn.sqrt %x : !x
  return %y : !x
}
// CHECK-LABEL: @rsqrt_of_small
// CHECK: ok
func.func @rsqrt_of_small(%x: !x {nn.range = [1.2e-38, 1.0e-30]}) -> !x {
  %y = nn.rsqrt %x : !x
  return %y : !x
}
// CHECK-LABEL: @rsqrt_of_large
// CHECK: ok
func.func @rsqrt_of_large(%x: !x {nn.range = [1.0e30, 3.4e38]}) -> !x {
  %y = nn.rsqrt %x : !x
  return %y : !x
}
// CHECK-LABEL: @tanh_near_zero
// CHECK: ok
func.func @tanh_near_zero(%x: !x {nn.range = [-1.0e-3, 1.0e-3]}) -> !x {
  %y = nn.tanh %x : !x
  return %y : !x
}
// CHECK-LABEL: @tanh
// CHECK: ok
func.func @tanh(%x: !x {nn.range = [-2.0, 2.0]}) -> !x {
  %y = nn.tanh %x : !x
  return %y : !x
}
// CHECK-LABEL: @tanh_saturates
// CHECK: ok
func.func @tanh_saturates(%x: !x {nn.range = [5.0, 100.0]}) -> !x {
  %y = nn.tanh %x : !x
  return %y : !x
}
// CHECK-LABEL: @sigmoid_is_small
// CHECK: ok
func.func @sigmoid_is_small(%x: !x {nn.range = [-87.0, -5.0]}) -> !x {
  %y = nn.sigmoid %x : !x
  return %y : !x
}
// CHECK-LABEL: @sigmoid
// CHECK: ok
func.func @sigmoid(%x: !x {nn.range = [-5.0, 100.0]}) -> !x {
  %y = nn.sigmoid %x : !x
  return %y : !x
}
// CHECK-LABEL: @erf_near_zero
// CHECK: ok
func.func @erf_near_zero(%x: !x {nn.range = [-1.0e-3, 1.0e-3]}) -> !x {
  %y = nn.erf %x : !x
  return %y : !x
}
// CHECK-LABEL: @erf
// CHECK: ok
func.func @erf(%x: !x {nn.range = [-2.0, 2.0]}) -> !x {
  %y = nn.erf %x : !x
  return %y : !x
}
// CHECK-LABEL: @erf_saturates
// CHECK: ok
func.func @erf_saturates(%x: !x {nn.range = [2.0, 100.0]}) -> !x {
  %y = nn.erf %x : !x
  return %y : !x
}

// CHECK-LABEL: @pow
// CHECK: ok
func.func @pow(%x: !x {nn.range = [1.0e-3, 9.0]}, %y: !x {nn.range = [-12.0, 12.0]}) -> !x {
  %z = nn.pow %x, %y : !x
  return %z : !x
}

// CHECK-LABEL: @pow_of_negatives
// CHECK: ok
func.func @pow_of_negatives(%x: !x {nn.range = [-9.0, 9.0]}) -> !x {
  %three = nn.constant dense<3.0> : !x
  %z = nn.pow %x, %three : !x
  return %z : !x
}

// CHECK-LABEL: @rem
// CHECK: ok
func.func @rem(%x: !x {nn.range = [-64.0, 64.0]}) -> !x {
  %y = nn.constant dense<0.25> : !x
  %z = nn.rem %x, %y : !x
  return %z : !x
}
