// What becomes a kernel, what only an address of one, and what no kernel at all.
// RUN: doppel-opt %s --plan-set-target --nn-fuse | FileCheck %s
// RUN: doppel-opt %s --plan-set-target --nn-fuse --nn-verify-phase=phase=fused

// A chain is one kernel, and a broadcast is folded into its addresses.
// CHECK-LABEL: func.func @chain
// CHECK: %[[Y:[0-9a-z]+]] = nn.fused map(%arg0, %arg1, %arg2) : {{.*}} -> tensor<64x100xf32>
// CHECK: nn.broadcast
// CHECK: nn.relu
// CHECK-NOT: nn.fused
// CHECK: return %[[Y]]
func.func @chain(%x: tensor<64x100xf32>, %y: tensor<64x100xf32>, %b: tensor<100xf32>)
    -> tensor<64x100xf32> {
  %0 = nn.add %x, %y : tensor<64x100xf32>
  %1 = nn.broadcast %b [1] : tensor<100xf32> -> tensor<64x100xf32>
  %2 = nn.mul %0, %1 : tensor<64x100xf32>
  %3 = nn.relu %2 : tensor<64x100xf32>
  return %3 : tensor<64x100xf32>
}

// Transposes, padding, slices with strides and concats of other axes are addresses of the kernel
// that needs them.
// CHECK-LABEL: func.func @moves
// CHECK: nn.fused map(%arg0, %arg1)
// CHECK-DAG: nn.transpose
// CHECK-DAG: nn.concat {{.*}} axis 1
// CHECK-DAG: nn.slice
// CHECK-DAG: nn.pad
// CHECK-NOT: nn.fused
// CHECK: return
func.func @moves(%x: tensor<16x8xf32>, %y: tensor<8x4xf32>) -> tensor<8x20xf32> {
  %t = nn.transpose %x [1, 0] : tensor<16x8xf32> -> tensor<8x16xf32>
  %c = nn.concat %t, %y axis 1 : (tensor<8x16xf32>, tensor<8x4xf32>) -> tensor<8x20xf32>
  %s = nn.slice %y offsets [1, 0] strides [3, 1] : tensor<8x4xf32> -> tensor<3x4xf32>
  %p = nn.pad %s offsets [2, 8] strides [2, 3] : tensor<3x4xf32> -> tensor<8x20xf32>
  %r = nn.add %c, %p : tensor<8x20xf32>
  return %r : tensor<8x20xf32>
}

// What is no more than a place in memory is no kernel: reshapes, slices of neighbours, concats of
// the first axis, packs.
// CHECK-LABEL: func.func @views
// CHECK-NOT: nn.fused
// CHECK: nn.pack
// CHECK-NOT: nn.fused
// CHECK: return
func.func @views(%x: tensor<16x8xf32>) -> (tensor<160xf32>, tensor<8x24xf32>) {
  %h = nn.slice %x offsets [4, 0] strides [1, 1] : tensor<16x8xf32> -> tensor<8x8xf32>
  %c = nn.concat %x, %h axis 0 : (tensor<16x8xf32>, tensor<8x8xf32>) -> tensor<24x8xf32>
  %r = nn.reshape %c : tensor<24x8xf32> -> tensor<8x24xf32>
  %p = nn.pack %x, %h [0, 144] : (tensor<16x8xf32>, tensor<8x8xf32>) -> tensor<208xf32>
  %s = nn.slice %p offsets [16] strides [1] : tensor<208xf32> -> tensor<160xf32>
  return %s, %r : tensor<160xf32>, tensor<8x24xf32>
}

// Library calls stay outside, and what they read lies in memory.
// CHECK-LABEL: func.func @library
// CHECK: %[[A:[0-9a-z]+]] = nn.fused map(%arg0)
// CHECK: }
// CHECK-NEXT: %[[C:[0-9a-z]+]] = nn.conv2d %[[A]], %arg1
// CHECK: %[[R:[0-9a-z]+]] = nn.fused map(%[[C]])
// CHECK: }
// CHECK-NEXT: %[[F:[0-9a-z]+]] = nn.reshape %[[R]]
// CHECK-NEXT: nn.matmul %[[F]], %[[F]]
func.func @library(%x: tensor<2x8x8x16xf32>, %w: tensor<32x16x1x1xf32>) -> tensor<32x32xf32> {
  %a = nn.relu %x : tensor<2x8x8x16xf32>
  %c = nn.conv2d %a, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>,
                         dilations = array<i64: 1, 1>, groups = 1 : i64}
      : (tensor<2x8x8x16xf32>, tensor<32x16x1x1xf32>) -> tensor<2x8x8x32xf32>
  %r = nn.relu %c : tensor<2x8x8x32xf32>
  %f = nn.reshape %r : tensor<2x8x8x32xf32> -> tensor<128x32xf32>
  %m = nn.matmul %f, %f {transpose_lhs}
      : (tensor<128x32xf32>, tensor<128x32xf32>) -> tensor<32x32xf32>
  return %m : tensor<32x32xf32>
}
