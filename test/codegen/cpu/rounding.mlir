// What each kernel loses by itself, in units of 2^-24 of the length of its result: sums of thousands, sums that cancel, and batch norms
// whose input is a hundred deviations from zero lose no more than a few roundings of an element.
// RUN: doppel-verify rounding %s --from step --limit 3 | FileCheck %s

!x = tensor<4096x24xf32>
!c = tensor<24xf32>
!s = tensor<1x24xf32>

// CHECK-LABEL: @sums: 2 instructions, 2 round
func.func @sums(%x: !x {nn.range = [0.0, 1.0]}) -> (!c, tensor<4096xf32>) {
  %0 = nn.reduce sum %x [0] : !x -> !c
  %1 = nn.reduce sum %x [1] : !x -> tensor<4096xf32>
  return %0, %1 : !c, tensor<4096xf32>
}

// The second half takes away what the first has added but for a thousandth.
// CHECK-LABEL: @cancels
func.func @cancels(%x: tensor<2048x24xf32> {nn.range = [0.0, 1.0]}) -> !c {
  %less = nn.constant dense<-0.9990234375> : tensor<2048x24xf32>
  %y = nn.mul %x, %less : tensor<2048x24xf32>
  %both = nn.concat %x, %y axis 0 : (tensor<2048x24xf32>, tensor<2048x24xf32>) -> !x
  %0 = nn.reduce sum %both [0] : !x -> !c
  return %0 : !c
}

// CHECK-LABEL: @batch_norm_near_zero
func.func @batch_norm_near_zero(%x: !x {nn.range = [-1.0, 1.0]}, %g: !c, %b: !c) -> (!x, !s, !s) {
  %y, %m, %v = nn.batch_norm %x, %g, %b {epsilon = 1.0e-5, groups = 1 : i64} : (!x, !c, !c) -> (!x, !s, !s)
  return %y, %m, %v : !x, !s, !s
}

// CHECK-LABEL: @batch_norm_far_from_zero
// CHECK-NOT: lose more
func.func @batch_norm_far_from_zero(%x: !x {nn.range = [99.0, 101.0]}, %g: !c, %b: !c) -> (!x, !s, !s) {
  %y, %m, %v = nn.batch_norm %x, %g, %b {epsilon = 1.0e-5, groups = 1 : i64} : (!x, !c, !c) -> (!x, !s, !s)
  return %y, %m, %v : !x, !s, !s
}
