// RUN: doppel-opt %s --nn-decompose-batch-norm | FileCheck %s
// The same numbers before and after.
// RUN: doppel-verify run %s > %t.whole
// RUN: doppel-opt %s --nn-decompose-batch-norm | doppel-verify run - > %t.parts
// RUN: diff %t.whole %t.parts

// The variance is the mean of squared deviations: E[x^2] - E[x]^2 would cancel.
// CHECK-LABEL: func.func @forward
// CHECK: %[[SUM:.+]] = nn.reduce {{ *}}sum %[[X:.+]] [0, 1, 2]
// CHECK: %[[MEAN:.+]] = nn.div %[[SUM]]
// CHECK: %[[MEANS:.+]] = nn.broadcast %[[MEAN]] [3]
// CHECK: %[[CENTERED:.+]] = nn.sub %[[X]], %[[MEANS]]
// CHECK: %[[SQUARES:.+]] = nn.mul %[[CENTERED]], %[[CENTERED]]
// CHECK: nn.reduce {{ *}}sum %[[SQUARES]] [0, 1, 2]
// CHECK-NOT: nn.batch_norm
func.func @forward(%x: tensor<2x4x4x3xf64>, %scale: tensor<3xf64>, %bias: tensor<3xf64>)
    -> (tensor<2x4x4x3xf64>, tensor<1x3xf64>, tensor<1x3xf64>) {
  %y, %m, %v = nn.batch_norm %x, %scale, %bias {epsilon = 0.0009765625, groups = 1 : i64}
      : (tensor<2x4x4x3xf64>, tensor<3xf64>, tensor<3xf64>) -> (tensor<2x4x4x3xf64>, tensor<1x3xf64>, tensor<1x3xf64>)
  return %y, %m, %v : tensor<2x4x4x3xf64>, tensor<1x3xf64>, tensor<1x3xf64>
}

// Each group has statistics of its own.
// CHECK-LABEL: func.func @groups
// CHECK: nn.reshape %{{.+}} : tensor<4x4x3xf64> -> tensor<2x8x3xf64>
// CHECK: nn.reduce {{ *}}sum %{{.+}} [1] : tensor<2x8x3xf64> -> tensor<2x3xf64>
// CHECK-NOT: nn.batch_norm
func.func @groups(%x: tensor<4x4x3xf64>, %scale: tensor<3xf64>, %bias: tensor<3xf64>)
    -> (tensor<4x4x3xf64>, tensor<2x3xf64>, tensor<2x3xf64>) {
  %y, %m, %v = nn.batch_norm %x, %scale, %bias {epsilon = 0.0009765625, groups = 2 : i64}
      : (tensor<4x4x3xf64>, tensor<3xf64>, tensor<3xf64>) -> (tensor<4x4x3xf64>, tensor<2x3xf64>, tensor<2x3xf64>)
  return %y, %m, %v : tensor<4x4x3xf64>, tensor<2x3xf64>, tensor<2x3xf64>
}

// Two sums over one sweep of x and dy; those of the groups are added for scale and bias.
// CHECK-LABEL: func.func @backward
// CHECK: %[[DBIAS:.+]] = nn.reduce {{ *}}sum %{{.+}} [1] : tensor<2x8x3xf64> -> tensor<2x3xf64>
// CHECK: %[[DSCALE:.+]] = nn.reduce {{ *}}sum %{{.+}} [1] : tensor<2x8x3xf64> -> tensor<2x3xf64>
// CHECK-DAG: nn.reduce {{ *}}sum %[[DSCALE]] [0]
// CHECK-DAG: nn.reduce {{ *}}sum %[[DBIAS]] [0]
// CHECK-NOT: nn.batch_norm_backward
func.func @backward(%x: tensor<4x4x3xf64>, %scale: tensor<3xf64>, %m: tensor<2x3xf64>, %v: tensor<2x3xf64> {nn.range = [0.5, 2.0]},
                    %dy: tensor<4x4x3xf64>) -> (tensor<4x4x3xf64>, tensor<3xf64>, tensor<3xf64>) {
  %dx, %ds, %db = nn.batch_norm_backward %x, %scale, %m, %v, %dy {epsilon = 0.0009765625, groups = 2 : i64}
      : (tensor<4x4x3xf64>, tensor<3xf64>, tensor<2x3xf64>, tensor<2x3xf64>, tensor<4x4x3xf64>) -> (tensor<4x4x3xf64>, tensor<3xf64>, tensor<3xf64>)
  return %dx, %ds, %db : tensor<4x4x3xf64>, tensor<3xf64>, tensor<3xf64>
}
