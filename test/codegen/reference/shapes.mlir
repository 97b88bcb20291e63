// Shape operations, reductions, products, rows and arenas on numbers that can be followed by eye.
// RUN: doppel-verify run %s | FileCheck %s

// CHECK-LABEL: @shapes
func.func @shapes(%x: tensor<2x3xf32> {nn.value = dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>})
    -> (tensor<2x2x3xf32>, tensor<3x2xf32>, tensor<3x2xf32>, tensor<2x2xf32>, tensor<3x5xf32>, tensor<2x5xf32>, tensor<2x3xi64>) {
  // CHECK: result 0 [2, 2, 3] = 1 2 3 1 2 3 4 5 6 4 5 6
  %0 = nn.broadcast %x [0, 2] : tensor<2x3xf32> -> tensor<2x2x3xf32>
  // CHECK: result 1 [3, 2] = 1 2 3 4 5 6
  %1 = nn.reshape %x : tensor<2x3xf32> -> tensor<3x2xf32>
  // CHECK: result 2 [3, 2] = 1 4 2 5 3 6
  %2 = nn.transpose %x [1, 0] : tensor<2x3xf32> -> tensor<3x2xf32>
  // CHECK: result 3 [2, 2] = 1 3 4 6
  %3 = nn.slice %x offsets [0, 0] strides [1, 2] : tensor<2x3xf32> -> tensor<2x2xf32>
  // CHECK: result 4 [3, 5] = 0 0 0 0 0 0 1 0 3 0 0 4 0 6 0
  %4 = nn.pad %3 offsets [1, 1] strides [1, 2] : tensor<2x2xf32> -> tensor<3x5xf32>
  // CHECK: result 5 [2, 5] = 1 2 3 1 3 4 5 6 4 6
  %5 = nn.concat %x, %3 axis 1 : (tensor<2x3xf32>, tensor<2x2xf32>) -> tensor<2x5xf32>
  // CHECK: result 6 [2, 3] = 0 1 2 0 1 2
  %6 = nn.iota 1 : tensor<2x3xi64>
  return %0, %1, %2, %3, %4, %5, %6
      : tensor<2x2x3xf32>, tensor<3x2xf32>, tensor<3x2xf32>, tensor<2x2xf32>, tensor<3x5xf32>, tensor<2x5xf32>, tensor<2x3xi64>
}

// A permutation of three: dimension i of the result is dimension permutation[i] of the input.
// CHECK-LABEL: @cycle
func.func @cycle(%x: tensor<1x2x3xf32> {nn.value = dense<[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]> : tensor<1x2x3xf32>})
    -> tensor<3x1x2xf32> {
  // CHECK: result 0 [3, 1, 2] = 1 4 2 5 3 6
  %0 = nn.transpose %x [2, 0, 1] : tensor<1x2x3xf32> -> tensor<3x1x2xf32>
  return %0 : tensor<3x1x2xf32>
}

// CHECK-LABEL: @reductions
func.func @reductions(%x: tensor<2x3xf32> {nn.value = dense<[[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]]> : tensor<2x3xf32>},
                      %n: tensor<2x2xf32> {nn.value = dense<[[1.0, 0x7FC00000], [0x7FC00000, 1.0]]> : tensor<2x2xf32>})
    -> (tensor<3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<f32>, tensor<2xf32>) {
  // CHECK: result 0 [3] = 5 3 -3
  %0 = nn.reduce sum %x [0] : tensor<2x3xf32> -> tensor<3xf32>
  // CHECK: result 1 [2] = 3 5
  %1 = nn.reduce max %x [1] : tensor<2x3xf32> -> tensor<2xf32>
  // CHECK: result 2 [2] = -2 -6
  %2 = nn.reduce min %x [1] : tensor<2x3xf32> -> tensor<2xf32>
  // CHECK: result 3 [] = 5
  %3 = nn.reduce sum %x [0, 1] : tensor<2x3xf32> -> tensor<f32>
  // CHECK: result 4 [2] = nan nan
  %4 = nn.reduce max %n [1] : tensor<2x2xf32> -> tensor<2xf32>
  return %0, %1, %2, %3, %4 : tensor<3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<f32>, tensor<2xf32>
}

// CHECK-LABEL: @products
func.func @products(%a: tensor<2x3xf32> {nn.value = dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>},
                    %b: tensor<3x2xf32> {nn.value = dense<[[1.0, 2.0], [0.0, 1.0], [-1.0, 1.0]]> : tensor<3x2xf32>})
    -> (tensor<2x2xf32>, tensor<2x2xf32>, tensor<3x3xf32>, tensor<3x3xf32>, tensor<2x1x1xf32>) {
  // CHECK: result 0 [2, 2] = -2 7 -2 19
  %0 = nn.matmul %a, %b : (tensor<2x3xf32>, tensor<3x2xf32>) -> tensor<2x2xf32>
  // CHECK: result 1 [2, 2] = 14 32 32 77
  %1 = nn.matmul %a, %a {transpose_rhs} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x2xf32>
  // CHECK: result 2 [3, 3] = 17 22 27 22 29 36 27 36 45
  %2 = nn.matmul %a, %a {transpose_lhs} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<3x3xf32>
  // CHECK: result 3 [3, 3] = 9 4 3 12 5 3 15 6 3
  %3 = nn.matmul %a, %b {transpose_lhs, transpose_rhs} : (tensor<2x3xf32>, tensor<3x2xf32>) -> tensor<3x3xf32>
  %4 = nn.reshape %a : tensor<2x3xf32> -> tensor<2x1x3xf32>
  // CHECK: result 4 [2, 1, 1] = 14 77
  %5 = nn.matmul %4, %4 {transpose_rhs} : (tensor<2x1x3xf32>, tensor<2x1x3xf32>) -> tensor<2x1x1xf32>
  return %0, %1, %2, %3, %5 : tensor<2x2xf32>, tensor<2x2xf32>, tensor<3x3xf32>, tensor<3x3xf32>, tensor<2x1x1xf32>
}

// In this order: the product, an addend, a bias of each column, relu, which leaves a NaN.
// CHECK-LABEL: @gemm
func.func @gemm(%a: tensor<2x2xf32> {nn.value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>},
                %b: tensor<2x2xf32> {nn.value = dense<[[1.0, 0.0], [-1.0, 1.0]]> : tensor<2x2xf32>},
                %c: tensor<2x2xf32> {nn.value = dense<[[10.0, -20.0], [0x7FC00000, 40.0]]> : tensor<2x2xf32>},
                %v: tensor<2xf32> {nn.value = dense<[100.0, 0.5]> : tensor<2xf32>})
    -> (tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<1x2x2xf32>) {
  // CHECK: result 0 [2, 2] = 9 -18 nan 44
  %0 = nn.gemm %a, %b add %c : (tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  // CHECK: result 1 [2, 2] = 99 2.5 99 4.5
  %1 = nn.gemm %a, %b bias %v : (tensor<2x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<2x2xf32>
  // CHECK: result 2 [2, 2] = 0 3 0 4
  %2 = nn.gemm %a, %b {relu, transpose_lhs} : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  // CHECK: result 3 [2, 2] = 111 0 nan 41.5
  %3 = nn.gemm %a, %b add %c bias %v {relu, transpose_rhs}
      : (tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<2x2xf32>
  %4 = nn.reshape %a : tensor<2x2xf32> -> tensor<1x2x2xf32>
  // CHECK: result 4 [1, 2, 2] = 107 10.5 115 22.5
  %5 = nn.gemm %4, %4 bias %v : (tensor<1x2x2xf32>, tensor<1x2x2xf32>, tensor<2xf32>) -> tensor<1x2x2xf32>
  return %0, %1, %2, %3, %5 : tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<1x2x2xf32>
}

// CHECK-LABEL: @rows
func.func @rows(%table: tensor<4x2xf32> {nn.value = dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]> : tensor<4x2xf32>},
                %indices: tensor<3xi32> {nn.value = dense<[2, 0, 2]> : tensor<3xi32>})
    -> (tensor<3x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>) {
  // CHECK: result 0 [3, 2] = 5 6 1 2 5 6
  %0 = nn.gather_rows %table, %indices : (tensor<4x2xf32>, tensor<3xi32>) -> tensor<3x2xf32>
  %one = nn.constant dense<[[10.0, 10.0], [20.0, 20.0], [30.0, 30.0]]> : tensor<3x2xf32>
  // Of two rows for one place the later one stays.
  // CHECK: result 1 [4, 2] = 20 20 3 4 30 30 7 8
  %1 = nn.scatter_rows %table, %indices, %one : (tensor<4x2xf32>, tensor<3xi32>, tensor<3x2xf32>) -> tensor<4x2xf32>
  // CHECK: result 2 [4, 2] = 21 22 3 4 45 46 7 8
  %2 = nn.scatter_rows %table, %indices, %one {accumulate} : (tensor<4x2xf32>, tensor<3xi32>, tensor<3x2xf32>) -> tensor<4x2xf32>
  return %0, %1, %2 : tensor<3x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>
}

// CHECK-LABEL: @arenas
func.func @arenas(%a: tensor<1x2xf32> {nn.value = dense<[[1.0, 2.0]]> : tensor<1x2xf32>},
                  %b: tensor<3xf32> {nn.value = dense<[3.0, 4.0, 5.0]> : tensor<3xf32>})
    -> (tensor<8xf32>, tensor<2xf32>, tensor<8xf32>) {
  // CHECK: result 0 [8] = 1 2 0 0 3 4 5 0
  %0 = nn.pack %a, %b [0, 4] : (tensor<1x2xf32>, tensor<3xf32>) -> tensor<8xf32>
  // CHECK: result 1 [2] = 3 12
  %1 = nn.segment_sum %0 offsets [0, 4] sizes [2, 3] : tensor<8xf32> -> tensor<2xf32>
  // CHECK: result 2 [8] = 3 3 0 0 12 12 12 0
  %2 = nn.segment_broadcast %1 offsets [0, 4] sizes [2, 3] : tensor<2xf32> -> tensor<8xf32>
  return %0, %1, %2 : tensor<8xf32>, tensor<2xf32>, tensor<8xf32>
}

// CHECK-LABEL: @fused
func.func @fused(%x: tensor<2x2xf32> {nn.value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>})
    -> (tensor<2xf32>, tensor<2x2xf32>) {
  // CHECK: result 0 [2] = 3 7
  // CHECK: result 1 [2, 2] = 1 4 9 16
  %0:2 = nn.fused row(%x) : (tensor<2x2xf32>) -> (tensor<2xf32>, tensor<2x2xf32>) {
  ^bb0(%a: tensor<2x2xf32>):
    %s = nn.reduce sum %a [1] : tensor<2x2xf32> -> tensor<2xf32>
    %m = nn.mul %a, %a : tensor<2x2xf32>
    nn.yield %s, %m : tensor<2xf32>, tensor<2x2xf32>
  }
  return %0#0, %0#1 : tensor<2xf32>, tensor<2x2xf32>
}
