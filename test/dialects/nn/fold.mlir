// Folds: splats are computed, identities vanish, and what does not hold for NaN or infinity stays.
// RUN: doppel-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: func.func @splats
func.func @splats() -> (tensor<1000x1000xf32>, tensor<4xi64>, tensor<2xi1>) {
  // sqrt(exp(0) + 3) * -0.5 = -1
  // CHECK-DAG: %[[X:.*]] = nn.constant dense<-1.000000e+00> : tensor<1000x1000xf32>
  %zero = nn.constant dense<0.0> : tensor<1000x1000xf32>
  %three = nn.constant dense<3.0> : tensor<1000x1000xf32>
  %half = nn.constant dense<0.5> : tensor<1000x1000xf32>
  %0 = nn.exp %zero : tensor<1000x1000xf32>
  %1 = nn.add %0, %three : tensor<1000x1000xf32>
  %2 = nn.sqrt %1 : tensor<1000x1000xf32>
  %3 = nn.mul %2, %half : tensor<1000x1000xf32>
  %4 = nn.neg %3 : tensor<1000x1000xf32>
  // -7 rem 3 = 2, which has the sign of the divisor; 2 * 5 - 7 = 3
  // CHECK-DAG: %[[I:.*]] = nn.constant dense<3> : tensor<4xi64>
  %i = nn.constant dense<-7> : tensor<4xi64>
  %j = nn.constant dense<3> : tensor<4xi64>
  %k = nn.constant dense<5> : tensor<4xi64>
  %5 = nn.rem %i, %j : tensor<4xi64>
  %6 = nn.mul %5, %k : tensor<4xi64>
  %7 = nn.add %6, %i : tensor<4xi64>
  // CHECK-DAG: %[[B:.*]] = nn.constant dense<true> : tensor<2xi1>
  %p = nn.constant dense<1.0> : tensor<2xf32>
  %q = nn.constant dense<2.0> : tensor<2xf32>
  %8 = nn.compare lt %p, %q : tensor<2xf32> -> tensor<2xi1>
  // CHECK: return %[[X]], %[[I]], %[[B]]
  return %4, %7, %8 : tensor<1000x1000xf32>, tensor<4xi64>, tensor<2xi1>
}

// CHECK-LABEL: func.func @identities
// CHECK-SAME: %[[X:.*]]: tensor<4xf32>
func.func @identities(%x: tensor<4xf32>, %b: tensor<4xi1>) -> (tensor<4xf32>, tensor<4xi1>, tensor<4xf32>) {
  // CHECK-NOT: nn.
  // CHECK: return %[[X]], %{{.*}}, %[[X]]
  %zero = nn.constant dense<0.0> : tensor<4xf32>
  %one = nn.constant dense<1.0> : tensor<4xf32>
  %0 = nn.add %zero, %x : tensor<4xf32>
  %1 = nn.sub %0, %zero : tensor<4xf32>
  %2 = nn.mul %one, %1 : tensor<4xf32>
  %3 = nn.div %2, %one : tensor<4xf32>
  %4 = nn.pow %3, %one : tensor<4xf32>
  %5 = nn.neg %4 : tensor<4xf32>
  %6 = nn.neg %5 : tensor<4xf32>
  %7 = nn.max %6, %6 : tensor<4xf32>
  %8 = nn.not %b : tensor<4xi1>
  %9 = nn.not %8 : tensor<4xi1>
  %true = nn.constant dense<true> : tensor<4xi1>
  %10 = nn.and %9, %true : tensor<4xi1>
  %11 = nn.select %true, %7, %zero : tensor<4xi1>, tensor<4xf32>
  %12 = nn.convert %11 : tensor<4xf32> -> tensor<4xf32>
  return %7, %10, %12 : tensor<4xf32>, tensor<4xi1>, tensor<4xf32>
}

// CHECK-LABEL: func.func @not_for_nan
func.func @not_for_nan(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %zero = nn.constant dense<0.0> : tensor<4xf32>
  // CHECK: nn.mul
  %0 = nn.mul %x, %zero : tensor<4xf32>
  // CHECK: nn.sub
  %1 = nn.sub %x, %x : tensor<4xf32>
  // CHECK: nn.div
  %2 = nn.div %x, %x : tensor<4xf32>
  return %0, %1, %2 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: func.func @integer_division_by_zero
func.func @integer_division_by_zero() -> tensor<2xi32> {
  // CHECK: nn.div
  %x = nn.constant dense<7> : tensor<2xi32>
  %zero = nn.constant dense<0> : tensor<2xi32>
  %0 = nn.div %x, %zero : tensor<2xi32>
  return %0 : tensor<2xi32>
}

// CHECK-LABEL: func.func @compositions
// CHECK-SAME: %[[X:.*]]: tensor<4x6xf32>
func.func @compositions(%x: tensor<4x6xf32>) -> (tensor<4x3x6x2xf32>, tensor<24xf32>, tensor<4x6xf32>, tensor<1x2xf32>) {
  // CHECK: nn.broadcast %[[X]] [0, 2] : tensor<4x6xf32> -> tensor<4x3x6x2xf32>
  %0 = nn.broadcast %x [0, 2] : tensor<4x6xf32> -> tensor<4x3x6xf32>
  %1 = nn.broadcast %0 [0, 1, 2] : tensor<4x3x6xf32> -> tensor<4x3x6x2xf32>
  // CHECK: nn.reshape %[[X]] : tensor<4x6xf32> -> tensor<24xf32>
  %2 = nn.reshape %x : tensor<4x6xf32> -> tensor<2x12xf32>
  %3 = nn.reshape %2 : tensor<2x12xf32> -> tensor<24xf32>
  // CHECK-NOT: nn.transpose
  %4 = nn.transpose %x [1, 0] : tensor<4x6xf32> -> tensor<6x4xf32>
  %5 = nn.transpose %4 [1, 0] : tensor<6x4xf32> -> tensor<4x6xf32>
  // CHECK: nn.slice %[[X]] offsets [3, 1] strides [2, 2] : tensor<4x6xf32> -> tensor<1x2xf32>
  %6 = nn.slice %x offsets [1, 1] strides [1, 2] : tensor<4x6xf32> -> tensor<3x3xf32>
  %7 = nn.slice %6 offsets [2, 0] strides [2, 1] : tensor<3x3xf32> -> tensor<1x2xf32>
  return %1, %3, %5, %7 : tensor<4x3x6x2xf32>, tensor<24xf32>, tensor<4x6xf32>, tensor<1x2xf32>
}

// CHECK-LABEL: func.func @shape_of_splat
func.func @shape_of_splat() -> (tensor<3xf32>, tensor<3xf32>, tensor<8xf32>, tensor<2x2xf32>) {
  // CHECK-DAG: %[[SUM:.*]] = nn.constant dense<1.000000e+01> : tensor<3xf32>
  // CHECK-DAG: %[[MAX:.*]] = nn.constant dense<2.500000e+00> : tensor<3xf32>
  // CHECK-DAG: %[[CONCAT:.*]] = nn.constant dense<2.500000e+00> : tensor<8xf32>
  // CHECK-DAG: %[[SHAPE:.*]] = nn.constant dense<{{\[\[}}1.000000e+00, 2.000000e+00], [3.000000e+00, 4.000000e+00]]> : tensor<2x2xf32>
  // CHECK: return %[[SUM]], %[[MAX]], %[[CONCAT]], %[[SHAPE]]
  %0 = nn.constant dense<2.5> : tensor<4xf32>
  %1 = nn.broadcast %0 [1] : tensor<4xf32> -> tensor<3x4xf32>
  %2 = nn.reduce sum %1 [1] : tensor<3x4xf32> -> tensor<3xf32>
  %3 = nn.reduce max %1 [1] : tensor<3x4xf32> -> tensor<3xf32>
  %4 = nn.concat %0, %0 axis 0 : (tensor<4xf32>, tensor<4xf32>) -> tensor<8xf32>
  %5 = nn.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %6 = nn.reshape %5 : tensor<4xf32> -> tensor<2x2xf32>
  return %2, %3, %4, %6 : tensor<3xf32>, tensor<3xf32>, tensor<8xf32>, tensor<2x2xf32>
}

// What an integer cannot hold is left to the kernels; a sum counts all that it sums.
// CHECK-LABEL: func.func @large
func.func @large() -> (tensor<2xi32>, tensor<2xi32>, tensor<f32>) {
  // CHECK-DAG: %[[X:.*]] = nn.constant dense<3.000000e+09> : tensor<2xf32>
  // CHECK-DAG: %[[NEAR:.*]] = nn.constant dense<-2000000000> : tensor<2xi32>
  // CHECK-DAG: %[[SUM:.*]] = nn.constant dense<3.000000e+01> : tensor<f32>
  // CHECK: %[[Y:.*]] = nn.convert %[[X]]
  // CHECK: return %[[Y]], %[[NEAR]], %[[SUM]]
  %x = nn.constant dense<3.0e9> : tensor<2xf32>
  %0 = nn.convert %x : tensor<2xf32> -> tensor<2xi32>
  %y = nn.constant dense<-2.0e9> : tensor<2xf32>
  %1 = nn.convert %y : tensor<2xf32> -> tensor<2xi32>
  %five = nn.constant dense<5.0> : tensor<2x3xf32>
  %2 = nn.reduce sum %five [0, 1] : tensor<2x3xf32> -> tensor<f32>
  return %0, %1, %2 : tensor<2xi32>, tensor<2xi32>, tensor<f32>
}

// A write is never dead, a state's reads are not merged across it.
nn.state @w parameter : tensor<4xf32>
// CHECK-LABEL: func.func @effects
func.func @effects(%x: tensor<4xf32>) {
  // CHECK: nn.write @w
  nn.write @w, %x : tensor<4xf32>
  // CHECK-NOT: nn.read
  %0 = nn.read @w : tensor<4xf32>
  // CHECK: nn.check_finite
  nn.check_finite %x "x" : tensor<4xf32>
  return
}
