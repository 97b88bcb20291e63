// Sine and cosine of small and of large angles, each quarter among them, to an absolute error: near their zeros at large angles f32 has
// no more digits.
// RUN: doppel-verify kernels %s --elements --floor 1 --tolerance 2e-7 | FileCheck %s --implicit-check-not=WRONG

!x = tensor<4003xf32>

// CHECK-LABEL: @small
// CHECK-COUNT-2: ok
func.func @small(%x: !x {nn.range = [-7.0, 7.0]}) -> (!x, !x) {
  %s = nn.sin %x : !x
  %c = nn.cos %x : !x
  return %s, %c : !x, !x
}
// CHECK-LABEL: @large
// CHECK-COUNT-2: ok
func.func @large(%x: !x {nn.range = [-2.0e3, 2.0e3]}) -> (!x, !x) {
  %s = nn.sin %x : !x
  %c = nn.cos %x : !x
  return %s, %c : !x, !x
}
// CHECK-LABEL: @very_large
// CHECK-COUNT-2: ok
func.func @very_large(%x: !x {nn.range = [9.0e4, 1.0e5]}) -> (!x, !x) {
  %s = nn.sin %x : !x
  %c = nn.cos %x : !x
  return %s, %c : !x, !x
}
