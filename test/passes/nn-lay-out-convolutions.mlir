// Convolutions in the order of channels that cuDNN has its fast kernels for. A CPU's stay as they are.
// RUN: doppel-opt %s --plan-set-target=target=cuda --nn-lay-out-convolutions | FileCheck %s
// RUN: doppel-opt %s --plan-set-target=target=cpu --nn-lay-out-convolutions | FileCheck %s --check-prefix=CPU
//
// What is computed stays.
// RUN: doppel-verify run %s > %t.before
// RUN: doppel-opt %s --plan-set-target=target=cuda --nn-lay-out-convolutions -o %t.mlir
// RUN: doppel-verify run %t.mlir | diff %t.before -
//
// CPU-NOT: channels_last

// Three channels become eight, in the image and in the filters; their derivatives are cut.
// CHECK-LABEL: @stem
// CHECK-DAG: %[[X:.*]] = nn.pad %{{.*}} offsets [0, 0, 0, 0] strides [1, 1, 1, 1] : tensor<2x5x6x3xf64> -> tensor<2x5x6x8xf64>
// CHECK-DAG: %[[T:.*]] = nn.transpose %[[W:.*]] [0, 2, 3, 1] : tensor<4x3x3x3xf64> -> tensor<4x3x3x3xf64>
// CHECK-DAG: %[[F:.*]] = nn.pad %[[T]] offsets [0, 0, 0, 0] strides [1, 1, 1, 1] : tensor<4x3x3x3xf64> -> tensor<4x3x3x8xf64>
// CHECK: nn.conv2d %[[X]], %[[F]] {channels_last, {{.*}}} : (tensor<2x5x6x8xf64>, tensor<4x3x3x8xf64>) -> tensor<2x3x3x4xf64>
// CHECK: %[[DX:.*]] = nn.conv2d_backward_data {{.*}}channels_last
// CHECK: nn.slice %[[DX]] {{.*}} tensor<2x5x6x8xf64> -> tensor<2x5x6x3xf64>
// CHECK: %[[DW:.*]] = nn.conv2d_backward_weights {{.*}}channels_last
// CHECK: %[[CUT:.*]] = nn.slice %[[DW]] {{.*}} tensor<4x3x3x8xf64> -> tensor<4x3x3x3xf64>
// CHECK: nn.transpose %[[CUT]] [0, 3, 1, 2]
func.func @stem() -> (tensor<2x3x3x4xf64>, tensor<2x5x6x3xf64>, tensor<4x3x3x3xf64>) {
  %i = nn.iota 0 : tensor<180xf64>
  %s = nn.sin %i : tensor<180xf64>
  %x = nn.reshape %s : tensor<180xf64> -> tensor<2x5x6x3xf64>
  %j = nn.iota 0 : tensor<108xf64>
  %t = nn.cos %j : tensor<108xf64>
  %w = nn.reshape %t : tensor<108xf64> -> tensor<4x3x3x3xf64>
  %y = nn.conv2d %x, %w {strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<2x5x6x3xf64>, tensor<4x3x3x3xf64>) -> tensor<2x3x3x4xf64>
  %dy = nn.cos %y : tensor<2x3x3x4xf64>
  %dx = nn.conv2d_backward_data %dy, %w {strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<2x3x3x4xf64>, tensor<4x3x3x3xf64>) -> tensor<2x5x6x3xf64>
  %dw = nn.conv2d_backward_weights %x, %dy {strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<2x5x6x3xf64>, tensor<2x3x3x4xf64>) -> tensor<4x3x3x3xf64>
  return %y, %dx, %dw : tensor<2x3x3x4xf64>, tensor<2x5x6x3xf64>, tensor<4x3x3x3xf64>
}

// Eight are enough.
// CHECK-LABEL: @body
// CHECK-NOT: nn.pad
// CHECK: nn.conv2d {{.*}}channels_last{{.*}}(tensor<1x5x4x8xf64>, tensor<2x3x3x8xf64>)
// CHECK-NOT: nn.slice
func.func @body() -> (tensor<1x5x4x2xf64>, tensor<1x5x4x8xf64>, tensor<2x8x3x3xf64>) {
  %i = nn.iota 0 : tensor<160xf64>
  %s = nn.sin %i : tensor<160xf64>
  %x = nn.reshape %s : tensor<160xf64> -> tensor<1x5x4x8xf64>
  %j = nn.iota 0 : tensor<144xf64>
  %t = nn.cos %j : tensor<144xf64>
  %w = nn.reshape %t : tensor<144xf64> -> tensor<2x8x3x3xf64>
  %y = nn.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 1, 0, 1, 2>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x5x4x8xf64>, tensor<2x8x3x3xf64>) -> tensor<1x5x4x2xf64>
  %dy = nn.cos %y : tensor<1x5x4x2xf64>
  %dx = nn.conv2d_backward_data %dy, %w {strides = array<i64: 1, 1>, padding = array<i64: 1, 0, 1, 2>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x5x4x2xf64>, tensor<2x8x3x3xf64>) -> tensor<1x5x4x8xf64>
  %dw = nn.conv2d_backward_weights %x, %dy {strides = array<i64: 1, 1>, padding = array<i64: 1, 0, 1, 2>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x5x4x8xf64>, tensor<1x5x4x2xf64>) -> tensor<2x8x3x3xf64>
  return %y, %dx, %dw : tensor<1x5x4x2xf64>, tensor<1x5x4x8xf64>, tensor<2x8x3x3xf64>
}

// Groups are not padded: their channels lie between each other's.
// CHECK-LABEL: @groups
// CHECK-NOT: nn.pad
// CHECK: nn.conv2d {{.*}}channels_last{{.*}}(tensor<1x5x6x4xf64>, tensor<6x3x3x2xf64>)
func.func @groups() -> (tensor<1x4x6x6xf64>, tensor<1x5x6x4xf64>, tensor<6x2x3x3xf64>) {
  %i = nn.iota 0 : tensor<120xf64>
  %s = nn.sin %i : tensor<120xf64>
  %x = nn.reshape %s : tensor<120xf64> -> tensor<1x5x6x4xf64>
  %j = nn.iota 0 : tensor<108xf64>
  %t = nn.cos %j : tensor<108xf64>
  %w = nn.reshape %t : tensor<108xf64> -> tensor<6x2x3x3xf64>
  %y = nn.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 2, 1, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x5x6x4xf64>, tensor<6x2x3x3xf64>) -> tensor<1x4x6x6xf64>
  %dy = nn.cos %y : tensor<1x4x6x6xf64>
  %dx = nn.conv2d_backward_data %dy, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 2, 1, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x4x6x6xf64>, tensor<6x2x3x3xf64>) -> tensor<1x5x6x4xf64>
  %dw = nn.conv2d_backward_weights %x, %dy {strides = array<i64: 1, 1>, padding = array<i64: 0, 2, 1, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x5x6x4xf64>, tensor<1x4x6x6xf64>) -> tensor<6x2x3x3xf64>
  return %y, %dx, %dw : tensor<1x4x6x6xf64>, tensor<1x5x6x4xf64>, tensor<6x2x3x3xf64>
}
