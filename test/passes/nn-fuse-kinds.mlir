// Kernels that are neither maps nor reductions: what each kind takes with it and what has to be in
// memory before it.
// RUN: doppel-opt %s --plan-set-target --nn-fuse | FileCheck %s

// Rows are gathered where they are needed; the indices may be computed there, too.
// CHECK-LABEL: func.func @gather
// CHECK: nn.fused gather(%arg0, %arg1) : (tensor<100x16xf32>, tensor<32xi32>) -> tensor<32x16xf32>
// CHECK: nn.add
// CHECK: nn.gather_rows
// CHECK: nn.relu
// CHECK-NOT: nn.fused
// CHECK: return
func.func @gather(%t: tensor<100x16xf32>, %i: tensor<32xi32>) -> tensor<32x16xf32> {
  %one = nn.constant dense<1> : tensor<32xi32>
  %j = nn.add %i, %one : tensor<32xi32>
  %g = nn.gather_rows %t, %j : (tensor<100x16xf32>, tensor<32xi32>) -> tensor<32x16xf32>
  %r = nn.relu %g : tensor<32x16xf32>
  return %r : tensor<32x16xf32>
}

// A scatter is a kernel alone, and so are its rows before it; a table of zeros is no buffer but a
// part of it.
// CHECK-LABEL: func.func @scatter
// CHECK: %[[ROWS:[0-9a-z]+]] = nn.fused map(%arg1)
// CHECK: %[[S:[0-9a-z]+]] = nn.fused scatter(%arg0, %[[ROWS]])
// CHECK: nn.constant
// CHECK: nn.scatter_rows {{.*}} {accumulate}
// CHECK-NEXT: nn.yield
// CHECK: nn.fused map(%[[S]])
func.func @scatter(%i: tensor<32xi32>, %x: tensor<32x16xf32>) -> tensor<100x16xf32> {
  %zeros = nn.constant dense<0.0> : tensor<100x16xf32>
  %rows = nn.exp %x : tensor<32x16xf32>
  %s = nn.scatter_rows %zeros, %i, %rows {accumulate}
      : (tensor<100x16xf32>, tensor<32xi32>, tensor<32x16xf32>) -> tensor<100x16xf32>
  %r = nn.neg %s : tensor<100x16xf32>
  return %r : tensor<100x16xf32>
}

// A queue and the rows for it lie in memory; the kernel writes the rows alone.
// CHECK-LABEL: func.func @enqueue
// CHECK: %[[ROWS:[0-9a-z]+]] = nn.fused map(%arg1)
// CHECK: nn.fused scatter(%arg0, %[[ROWS]]) : {{.*}} -> tensor<64x16xf32>
// CHECK: nn.enqueue
// CHECK-NEXT: nn.yield
func.func @enqueue(%queue: tensor<64x16xf32>, %x: tensor<32x16xf32>) -> tensor<64x16xf32> {
  %rows = nn.relu %x : tensor<32x16xf32>
  %q = nn.enqueue %queue, %rows : (tensor<64x16xf32>, tensor<32x16xf32>) -> tensor<64x16xf32>
  return %q : tensor<64x16xf32>
}

// The sums of a vector's segments are one kernel; what each segment is scaled with is computed in
// the kernel of the vector.
// CHECK-LABEL: func.func @segments
// CHECK: %[[SUMS:[0-9a-z]+]] = nn.fused segment(%arg0) : (tensor<128xf32>) -> tensor<2xf32>
// CHECK: nn.mul
// CHECK: nn.segment_sum
// CHECK: nn.fused segment(
// CHECK-SAME: %[[SUMS]]
// CHECK: nn.segment_broadcast
// CHECK: nn.mul
// CHECK-NOT: nn.fused
// CHECK: return
func.func @segments(%v: tensor<128xf32>) -> tensor<128xf32> {
  %q = nn.mul %v, %v : tensor<128xf32>
  %s = nn.segment_sum %q offsets [0, 64] sizes [40, 50] : tensor<128xf32> -> tensor<2xf32>
  %r = nn.rsqrt %s : tensor<2xf32>
  %b = nn.segment_broadcast %r offsets [0, 64] sizes [40, 50] : tensor<2xf32> -> tensor<128xf32>
  %y = nn.mul %v, %b : tensor<128xf32>
  return %y : tensor<128xf32>
}

// A segment of more than 65536 elements is summed in parts.
// CHECK-LABEL: func.func @long_segments
// CHECK: offsets [0, 65536, 131072, 150016] sizes [65536, 65536, 18928, 49984]
// CHECK: nn.segment_sum %{{[0-9a-z]+}} offsets [0, 3] sizes [3, 1] : tensor<4xf32> -> tensor<2xf32>
func.func @long_segments(%v: tensor<200000xf32>) -> tensor<2xf32> {
  %s = nn.segment_sum %v offsets [0, 150016] sizes [150000, 49984]
      : tensor<200000xf32> -> tensor<2xf32>
  return %s : tensor<2xf32>
}

// Draws are made where they are used; those that two need are drawn once. The permutation is a
// call.
// CHECK-LABEL: func.func @random
// CHECK-DAG: nn.random uniform stream 1
// CHECK-DAG: nn.random normal stream 2
// CHECK-DAG: nn.random_permutation stream 3
// CHECK-NOT: nn.random
// CHECK: return
func.func @random(%x: tensor<33x16xf32>)
    -> (tensor<33x16xf32>, tensor<33xf32>, tensor<16xf32>, tensor<33xi32>) {
  %u = nn.random uniform stream 1 : tensor<33x16xf32>
  %a = nn.add %x, %u : tensor<33x16xf32>
  %n = nn.random normal stream 2 : tensor<33x16xf32>
  %r = nn.reduce sum %n [1] : tensor<33x16xf32> -> tensor<33xf32>
  %c = nn.reduce max %n [0] : tensor<33x16xf32> -> tensor<16xf32>
  %p = nn.random_permutation stream 3 : tensor<33xi32>
  return %a, %r, %c, %p : tensor<33x16xf32>, tensor<33xf32>, tensor<16xf32>, tensor<33xi32>
}

// A view is a kernel alone: its loops are the pipeline's.
// CHECK-LABEL: func.func @augment
// CHECK: %[[V:[0-9a-z]+]] = nn.fused augment(%arg0) : (!nn.images<4>) -> tensor<4x8x8x3xf32>
// CHECK: nn.augment
// CHECK-NEXT: nn.yield
// CHECK: nn.fused map(%[[V]])
func.func @augment(%images: !nn.images<4>) -> tensor<4x8x8x3xf32> {
  %v = nn.augment %images stream 1 [#nn.stage<center_crop, {size = 8 : i64, resize = 8 : i64}>]
      : !nn.images<4> -> tensor<4x8x8x3xf32>
  %n = nn.neg %v : tensor<4x8x8x3xf32>
  return %n : tensor<4x8x8x3xf32>
}
