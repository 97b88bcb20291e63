// Reductions of leading and middle axes, and batch normalization, as compiled code against the
// oracle: one row, one column, columns that end in a vector, more columns than one workgroup takes.
// RUN: for shape in "1 1" "7 37" "37 129" "129 16" "129 1" "300 520" "5000 3"; do set -- $shape; \
// RUN:   sed "s/ROWS/$1/g; s/COLS/$2/g" %s | doppel-verify kernels - --from step \
// RUN:     | FileCheck %s --implicit-check-not=WRONG || exit 1; done

!matrix = tensor<ROWSxCOLSxf32>
!row = tensor<COLSxf32>

// CHECK-LABEL: @reductions
// CHECK-COUNT-3: ok
func.func @reductions(%x: !matrix) -> (!row, !row, !row) {
  %0 = nn.reduce sum %x [0] : !matrix -> !row
  %1 = nn.reduce max %x [0] : !matrix -> !row
  %2 = nn.reduce min %x [0] : !matrix -> !row
  return %0, %1, %2 : !row, !row, !row
}

// Two sweeps over each column, and a third that stores.
// CHECK-LABEL: @chain
// CHECK-COUNT-2: ok
func.func @chain(%x: !matrix, %y: !matrix) -> (!row, !matrix) {
  %least = nn.reduce min %x [0] : !matrix -> !row
  %l = nn.broadcast %least [1] : !row -> !matrix
  %d = nn.sub %y, %l : !matrix
  %sum = nn.reduce sum %d [0] : !matrix -> !row
  %s = nn.broadcast %sum [1] : !row -> !matrix
  %z = nn.div %x, %s : !matrix
  return %sum, %z : !row, !matrix
}

// The mean and the variance in one sweep, around the first row: far from zero no digits are lost.
// CHECK-LABEL: @statistics
// CHECK-COUNT-2: ok
func.func @statistics(%x: !matrix {nn.range = [99.0, 101.0]}, %scale: !row, %bias: !row)
    -> (tensor<1xCOLSxf32>, tensor<1xCOLSxf32>) {
  %y, %mean, %variance = nn.batch_norm %x, %scale, %bias {epsilon = 0.01, groups = 1 : i64}
      : (!matrix, !row, !row) -> (!matrix, tensor<1xCOLSxf32>, tensor<1xCOLSxf32>)
  return %mean, %variance : tensor<1xCOLSxf32>, tensor<1xCOLSxf32>
}

// CHECK-LABEL: @batch_norm
// CHECK: ok
func.func @batch_norm(%x: !matrix {nn.range = [-1.0, 3.0]}, %scale: !row, %bias: !row) -> !matrix {
  %y, %mean, %variance = nn.batch_norm %x, %scale, %bias {epsilon = 0.01, groups = 1 : i64}
      : (!matrix, !row, !row) -> (!matrix, tensor<1xCOLSxf32>, tensor<1xCOLSxf32>)
  %z = nn.relu %y : !matrix
  return %z : !matrix
}

// CHECK-LABEL: @batch_norm_backward
// CHECK-COUNT-3: ok
func.func @batch_norm_backward(%x: !matrix, %scale: !row, %mean: tensor<1xCOLSxf32>,
                               %variance: tensor<1xCOLSxf32> {nn.range = [0.5, 2.0]}, %y: !matrix,
                               %dy: !matrix) -> (!matrix, !row, !row) {
  %zero = nn.constant dense<0.0> : !matrix
  %mask = nn.compare gt %y, %zero : !matrix -> tensor<ROWSxCOLSxi1>
  %d = nn.select %mask, %dy, %zero : tensor<ROWSxCOLSxi1>, !matrix
  %dx, %dscale, %dbias = nn.batch_norm_backward %x, %scale, %mean, %variance, %d
      {epsilon = 0.01, groups = 1 : i64}
      : (!matrix, !row, tensor<1xCOLSxf32>, tensor<1xCOLSxf32>, !matrix) -> (!matrix, !row, !row)
  return %dx, %dscale, %dbias : !matrix, !row, !row
}

// An axis in the middle: columns of each of three matrices, and a softmax along it.
// CHECK-LABEL: @middle
// CHECK-COUNT-2: ok
func.func @middle(%x: tensor<3xROWSxCOLSxf32>) -> (tensor<3xCOLSxf32>, tensor<3xROWSxCOLSxf32>) {
  %max = nn.reduce max %x [1] : tensor<3xROWSxCOLSxf32> -> tensor<3xCOLSxf32>
  %m = nn.broadcast %max [0, 2] : tensor<3xCOLSxf32> -> tensor<3xROWSxCOLSxf32>
  %d = nn.sub %x, %m : tensor<3xROWSxCOLSxf32>
  %e = nn.exp %d : tensor<3xROWSxCOLSxf32>
  %sum = nn.reduce sum %e [1] : tensor<3xROWSxCOLSxf32> -> tensor<3xCOLSxf32>
  %s = nn.broadcast %sum [0, 2] : tensor<3xCOLSxf32> -> tensor<3xROWSxCOLSxf32>
  %y = nn.div %e, %s : tensor<3xROWSxCOLSxf32>
  return %sum, %y : tensor<3xCOLSxf32>, tensor<3xROWSxCOLSxf32>
}

// Two leading axes at once, and two axes with another between them.
// CHECK-LABEL: @two_axes
// CHECK-COUNT-2: ok
func.func @two_axes(%x: tensor<3xROWSxCOLSxf32> {nn.range = [0.0, 1.0]})
    -> (!row, tensor<ROWSxf32>) {
  %0 = nn.reduce sum %x [0, 1] : tensor<3xROWSxCOLSxf32> -> !row
  %1 = nn.reduce sum %x [0, 2] : tensor<3xROWSxCOLSxf32> -> tensor<ROWSxf32>
  return %0, %1 : !row, tensor<ROWSxf32>
}

// CHECK-LABEL: @integers
// CHECK-COUNT-2: ok
func.func @integers(%x: tensor<ROWSxCOLSxi64> {nn.range = [-50.0, 50.0]},
                    %y: tensor<ROWSxCOLSxi32> {nn.range = [-50.0, 50.0]})
    -> (tensor<COLSxi64>, tensor<COLSxi32>) {
  %0 = nn.reduce sum %x [0] : tensor<ROWSxCOLSxi64> -> tensor<COLSxi64>
  %1 = nn.reduce max %y [0] : tensor<ROWSxCOLSxi32> -> tensor<COLSxi32>
  return %0, %1 : tensor<COLSxi64>, tensor<COLSxi32>
}

// CHECK-LABEL: @special
// CHECK-COUNT-3: ok
func.func @special(%x: tensor<3x3xf32> {nn.value = dense<[[1.0, 0x7F800000, 0xFF800000],
    [0x7FC00000, 2.0, -3.0], [3.0, -0.0, -2.0]]> : tensor<3x3xf32>})
    -> (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) {
  %0 = nn.reduce max %x [0] : tensor<3x3xf32> -> tensor<3xf32>
  %1 = nn.reduce min %x [0] : tensor<3x3xf32> -> tensor<3xf32>
  %2 = nn.reduce sum %x [0] : tensor<3x3xf32> -> tensor<3xf32>
  return %0, %1, %2 : tensor<3xf32>, tensor<3xf32>, tensor<3xf32>
}
