// Reductions: what shares a sweep with them, and how they are cut before kernels are formed.
// RUN: doppel-opt %s --nn-decompose-batch-norm --plan-set-target --nn-fuse | FileCheck %s

!image = tensor<64x16x16x64xf32>
!channels = tensor<64xf32>
!statistics = tensor<1x64xf32>

// Softmax is one row kernel with two reductions; nothing in between is stored.
// CHECK-LABEL: func.func @softmax
// CHECK: nn.fused row(%arg0) : (tensor<64x100xf32>) -> tensor<64x100xf32>
// CHECK: nn.reduce max
// CHECK: nn.reduce sum
// CHECK-NOT: nn.fused
// CHECK: return
func.func @softmax(%x: tensor<64x100xf32>) -> tensor<64x100xf32> {
  %m = nn.reduce max %x [1] : tensor<64x100xf32> -> tensor<64xf32>
  %mb = nn.broadcast %m [0] : tensor<64xf32> -> tensor<64x100xf32>
  %d = nn.sub %x, %mb : tensor<64x100xf32>
  %e = nn.exp %d : tensor<64x100xf32>
  %s = nn.reduce sum %e [1] : tensor<64x100xf32> -> tensor<64xf32>
  %sb = nn.broadcast %s [0] : tensor<64xf32> -> tensor<64x100xf32>
  %y = nn.div %e, %sb : tensor<64x100xf32>
  return %y : tensor<64x100xf32>
}

// A reduction of the other axis cannot run in the rows' loops.
// CHECK-LABEL: func.func @other_axis
// CHECK: %[[M:[0-9a-z]+]] = nn.fused row(%arg0)
// CHECK: nn.fused column(%arg0, %[[M]])
func.func @other_axis(%x: tensor<64x100xf32>) -> tensor<100xf32> {
  %m = nn.reduce max %x [1] : tensor<64x100xf32> -> tensor<64xf32>
  %mb = nn.broadcast %m [0] : tensor<64xf32> -> tensor<64x100xf32>
  %d = nn.sub %x, %mb : tensor<64x100xf32>
  %s = nn.reduce sum %d [0] : tensor<64x100xf32> -> tensor<100xf32>
  return %s : tensor<100xf32>
}

// Both statistics of a batch norm come from one sweep, in f64 and 64 parts; one map normalizes and
// clips.
// CHECK-LABEL: func.func @batch_norm
// CHECK: nn.fused column(%arg0) : {{.*}} -> (tensor<64x64xf64>, tensor<64x64xf64>)
// CHECK-COUNT-2: nn.reduce sum %{{[0-9a-z]+}} [1] : tensor<64x256x64xf64> -> tensor<64x64xf64>
// CHECK-NOT: nn.fused column{{.*}}%arg0
// CHECK: nn.fused map(%arg0, %{{[0-9a-z#]+}}, %{{[0-9a-z#]+}}, %{{[0-9a-z#]+}}) : {{.*}} -> tensor<64x16x16x64xf32>
// CHECK: nn.sub
// CHECK: nn.relu
// CHECK-NOT: nn.fused
// CHECK: return
func.func @batch_norm(%x: !image, %g: !channels, %b: !channels) -> !image {
  %y, %m, %v = nn.batch_norm %x, %g, %b {epsilon = 0.001, groups = 1 : i64}
      : (!image, !channels, !channels) -> (!image, !statistics, !statistics)
  %r = nn.relu %y : !image
  return %r : !image
}

// The derivative through a relu: both sums in one sweep of dy, y and x, and one map for dx.
// CHECK-LABEL: func.func @batch_norm_backward
// CHECK: nn.fused column({{.*}}%arg5{{.*}}) : {{.*}} -> (tensor<64x64xf32>, tensor<64x64xf32>)
// CHECK-COUNT-2: nn.reduce sum %{{[0-9a-z]+}} [1] : tensor<64x256x64xf32> -> tensor<64x64xf32>
// CHECK-NOT: nn.fused column{{.*}}%arg{{[045]}}
// CHECK: nn.fused map({{.*}} -> tensor<64x16x16x64xf32>
// CHECK: nn.select
// CHECK-NOT: nn.fused
// CHECK: return
func.func @batch_norm_backward(%x: !image, %g: !channels, %m: !statistics, %v: !statistics,
                               %y: !image, %d: !image) -> (!image, !channels, !channels) {
  %zero = nn.constant dense<0.0> : !image
  %mask = nn.compare gt %y, %zero : !image -> tensor<64x16x16x64xi1>
  %dy = nn.select %mask, %d, %zero : tensor<64x16x16x64xi1>, !image
  %dx, %dg, %db = nn.batch_norm_backward %x, %g, %m, %v, %dy {epsilon = 0.001, groups = 1 : i64}
      : (!image, !channels, !statistics, !statistics, !image) -> (!image, !channels, !channels)
  return %dx, %dg, %db : !image, !channels, !channels
}

// A long reduction is cut in parts, whose results are reduced in their order; a short one is not.
// CHECK-LABEL: func.func @long
// CHECK: %[[PARTS:[0-9a-z]+]] = nn.fused row({{.*}}) : (tensor<64x16384xf32>) -> tensor<64xf32>
// CHECK: nn.fused row(%[[PARTS]]) : (tensor<64xf32>) -> tensor<f32>
// CHECK: nn.fused row(%arg1) : (tensor<16384xf32>) -> tensor<f32>
// CHECK-NOT: nn.fused
// CHECK: return
func.func @long(%x: tensor<1048576xf32>, %y: tensor<16384xf32>) -> (tensor<f32>, tensor<f32>) {
  %s = nn.reduce sum %x [0] : tensor<1048576xf32> -> tensor<f32>
  %t = nn.reduce max %y [0] : tensor<16384xf32> -> tensor<f32>
  return %s, %t : tensor<f32>, tensor<f32>
}

// Axes with another between them are reduced one after the other, the last one first; an axis of
// one element is none.
// CHECK-LABEL: func.func @apart
// CHECK: nn.reduce max %{{[0-9a-z]+}} [2] : tensor<8x16x32xf32> -> tensor<8x16xf32>
// CHECK: nn.reduce max %{{[0-9a-z]+}} [0] : tensor<8x16xf32> -> tensor<16xf32>
// CHECK-NOT: nn.fused
// CHECK: nn.reshape %arg1 : tensor<16x1xf32> -> tensor<16xf32>
// CHECK-NOT: nn.fused
// CHECK: return
func.func @apart(%x: tensor<8x16x32xf32>, %y: tensor<16x1xf32>)
    -> (tensor<16xf32>, tensor<16xf32>) {
  %s = nn.reduce max %x [0, 2] : tensor<8x16x32xf32> -> tensor<16xf32>
  %t = nn.reduce sum %y [1] : tensor<16x1xf32> -> tensor<16xf32>
  return %s, %t : tensor<16xf32>, tensor<16xf32>
}
