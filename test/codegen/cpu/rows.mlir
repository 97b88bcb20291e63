// Reductions of the last axis and what follows them in the same kernel, as compiled code against
// the oracle: one row, one column, rows shorter than a vector, long rows, ends that are no vector.
// RUN: for shape in "1 1" "7 37" "37 129" "129 16" "129 1" "3 5000" "1 100003"; do set -- $shape; \
// RUN:   sed "s/ROWS/$1/g; s/COLS/$2/g" %s | doppel-verify kernels - \
// RUN:     | FileCheck %s --implicit-check-not=WRONG || exit 1; done

!matrix = tensor<ROWSxCOLSxf32>
!column = tensor<ROWSxf32>

// CHECK-LABEL: @reductions
// CHECK-COUNT-3: ok
func.func @reductions(%x: !matrix) -> (!column, !column, !column) {
  %0 = nn.reduce sum %x [1] : !matrix -> !column
  %1 = nn.reduce max %x [1] : !matrix -> !column
  %2 = nn.reduce min %x [1] : !matrix -> !column
  return %0, %1, %2 : !column, !column, !column
}

// Two sweeps, then a map, and the logarithm of the sum beside it.
// CHECK-LABEL: @softmax
// CHECK-COUNT-2: ok
func.func @softmax(%x: !matrix {nn.range = [-9.0, 9.0]}) -> (!matrix, !column) {
  %max = nn.reduce max %x [1] : !matrix -> !column
  %m = nn.broadcast %max [0] : !column -> !matrix
  %shifted = nn.sub %x, %m : !matrix
  %e = nn.exp %shifted : !matrix
  %sum = nn.reduce sum %e [1] : !matrix -> !column
  %s = nn.broadcast %sum [0] : !column -> !matrix
  %y = nn.div %e, %s : !matrix
  %log = nn.log %sum : !column
  %lse = nn.add %log, %max : !column
  return %y, %lse : !matrix, !column
}

// Its derivative by way of the row's sum of y * dy.
// CHECK-LABEL: @softmax_backward
// CHECK: ok
func.func @softmax_backward(%y: !matrix {nn.range = [0.0, 1.0]}, %dy: !matrix) -> !matrix {
  %p = nn.mul %y, %dy : !matrix
  %sum = nn.reduce sum %p [1] : !matrix -> !column
  %s = nn.broadcast %sum [0] : !column -> !matrix
  %d = nn.sub %dy, %s : !matrix
  %dx = nn.mul %y, %d : !matrix
  return %dx : !matrix
}

// A chain: the length of each row, the least of the unit row, the sum of the distances from it.
// CHECK-LABEL: @chain
// CHECK-COUNT-3: ok
func.func @chain(%x: !matrix) -> (!matrix, !column, !column) {
  %squares = nn.mul %x, %x : !matrix
  %length = nn.reduce sum %squares [1] : !matrix -> !column
  %r = nn.rsqrt %length : !column
  %rr = nn.broadcast %r [0] : !column -> !matrix
  %unit = nn.mul %x, %rr : !matrix
  %least = nn.reduce min %unit [1] : !matrix -> !column
  %l = nn.broadcast %least [0] : !column -> !matrix
  %distance = nn.sub %unit, %l : !matrix
  %sum = nn.reduce sum %distance [1] : !matrix -> !column
  return %unit, %least, %sum : !matrix, !column, !column
}

// All of it at once: each row, or a long vector's parts, and then those.
// CHECK-LABEL: @total
// CHECK-COUNT-2: ok
func.func @total(%x: !matrix {nn.range = [0.0, 1.0]}) -> (tensor<f32>, tensor<f32>) {
  %sum = nn.reduce sum %x [0, 1] : !matrix -> tensor<f32>
  %max = nn.reduce max %x [0, 1] : !matrix -> tensor<f32>
  return %sum, %max : tensor<f32>, tensor<f32>
}

// Each row of several axes before it, and of several axes in it.
// CHECK-LABEL: @axes
// CHECK-COUNT-2: ok
func.func @axes(%x: tensor<3xROWSxCOLSxf32>) -> (tensor<3xROWSxf32>, tensor<3xf32>) {
  %0 = nn.reduce max %x [2] : tensor<3xROWSxCOLSxf32> -> tensor<3xROWSxf32>
  %1 = nn.reduce min %x [1, 2] : tensor<3xROWSxCOLSxf32> -> tensor<3xf32>
  return %0, %1 : tensor<3xROWSxf32>, tensor<3xf32>
}

// CHECK-LABEL: @integers
// CHECK-COUNT-3: ok
func.func @integers(%x: tensor<ROWSxCOLSxi64> {nn.range = [-50.0, 50.0]},
                    %y: tensor<ROWSxCOLSxi32> {nn.range = [-50.0, 50.0]})
    -> (tensor<ROWSxi64>, tensor<ROWSxi64>, tensor<ROWSxi32>) {
  %0 = nn.reduce sum %x [1] : tensor<ROWSxCOLSxi64> -> tensor<ROWSxi64>
  %1 = nn.reduce max %x [1] : tensor<ROWSxCOLSxi64> -> tensor<ROWSxi64>
  %2 = nn.reduce min %y [1] : tensor<ROWSxCOLSxi32> -> tensor<ROWSxi32>
  return %0, %1, %2 : tensor<ROWSxi64>, tensor<ROWSxi64>, tensor<ROWSxi32>
}

// A row with a NaN has that as its greatest and least; infinities are numbers.
// CHECK-LABEL: @special
// CHECK-COUNT-3: ok
func.func @special(%x: tensor<3x3xf32> {nn.value = dense<[[1.0, 0x7FC00000, 3.0],
    [0x7F800000, 2.0, -0.0], [0xFF800000, -3.0, -2.0]]> : tensor<3x3xf32>})
    -> (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) {
  %0 = nn.reduce max %x [1] : tensor<3x3xf32> -> tensor<3xf32>
  %1 = nn.reduce min %x [1] : tensor<3x3xf32> -> tensor<3xf32>
  %2 = nn.reduce sum %x [1] : tensor<3x3xf32> -> tensor<3xf32>
  return %0, %1, %2 : tensor<3xf32>, tensor<3xf32>, tensor<3xf32>
}
