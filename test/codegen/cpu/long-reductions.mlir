// Reductions so long that they are cut into parts, of each kind, and statistics of columns that share a sweep.
// RUN: doppel-verify kernels %s | FileCheck %s --implicit-check-not=WRONG

// CHECK-LABEL: @rows
// CHECK-COUNT-3: ok
func.func @rows(%x: tensor<200000xf32>) -> (tensor<f32>, tensor<f32>, tensor<f32>) {
  %0 = nn.reduce max %x [0] : tensor<200000xf32> -> tensor<f32>
  %1 = nn.reduce min %x [0] : tensor<200000xf32> -> tensor<f32>
  %2 = nn.reduce sum %x [0] : tensor<200000xf32> -> tensor<f32>
  return %0, %1, %2 : tensor<f32>, tensor<f32>, tensor<f32>
}

// CHECK-LABEL: @columns
// CHECK-COUNT-3: ok
func.func @columns(%x: tensor<150000x3xf32>) -> (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) {
  %0 = nn.reduce max %x [0] : tensor<150000x3xf32> -> tensor<3xf32>
  %1 = nn.reduce min %x [0] : tensor<150000x3xf32> -> tensor<3xf32>
  %2 = nn.reduce sum %x [0] : tensor<150000x3xf32> -> tensor<3xf32>
  return %0, %1, %2 : tensor<3xf32>, tensor<3xf32>, tensor<3xf32>
}

// The variance about the mean, and the mean square about half of the mean, which is no variance.
// CHECK-LABEL: @squares
// CHECK-COUNT-3: ok
func.func @squares(%x: tensor<50000x4xf32> {nn.range = [1.0, 3.0]}) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %count = nn.constant dense<50000.0> : tensor<4xf32>
  %sum = nn.reduce sum %x [0] : tensor<50000x4xf32> -> tensor<4xf32>
  %mean = nn.div %sum, %count : tensor<4xf32>
  %0 = nn.broadcast %mean [1] : tensor<4xf32> -> tensor<50000x4xf32>
  %1 = nn.sub %x, %0 : tensor<50000x4xf32>
  %2 = nn.mul %1, %1 : tensor<50000x4xf32>
  %3 = nn.reduce sum %2 [0] : tensor<50000x4xf32> -> tensor<4xf32>
  %variance = nn.div %3, %count : tensor<4xf32>
  return %sum, %mean, %variance : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: @no_variance
// CHECK: ok
func.func @no_variance(%x: tensor<50000x4xf32> {nn.range = [1.0, 3.0]}) -> tensor<4xf32> {
  %twice = nn.constant dense<100000.0> : tensor<4xf32>
  %sum = nn.reduce sum %x [0] : tensor<50000x4xf32> -> tensor<4xf32>
  %half = nn.div %sum, %twice : tensor<4xf32>
  %0 = nn.broadcast %half [1] : tensor<4xf32> -> tensor<50000x4xf32>
  %1 = nn.sub %x, %0 : tensor<50000x4xf32>
  %2 = nn.mul %1, %1 : tensor<50000x4xf32>
  %3 = nn.reduce sum %2 [0] : tensor<50000x4xf32> -> tensor<4xf32>
  return %3 : tensor<4xf32>
}
