// Every element-wise operation as compiled code against the oracle, at lengths that are no multiple of a vector, with special values.
// RUN: doppel-verify kernels %s | FileCheck %s --implicit-check-not=WRONG
// RUN: doppel-verify kernels %s --threads 1 --seed 7 | FileCheck %s --implicit-check-not=WRONG

// CHECK-LABEL: @unary
// CHECK-COUNT-14: ok
func.func @unary(%x: tensor<7x37xf32> {nn.range = [-4.0, 4.0]}, %p: tensor<7x37xf32> {nn.range = [0.01, 9.0]})
    -> (tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>,
        tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>) {
  %0 = nn.neg %x : tensor<7x37xf32>
  %1 = nn.exp %x : tensor<7x37xf32>
  %2 = nn.log %p : tensor<7x37xf32>
  %3 = nn.sqrt %p : tensor<7x37xf32>
  %4 = nn.rsqrt %p : tensor<7x37xf32>
  %5 = nn.tanh %x : tensor<7x37xf32>
  %6 = nn.sigmoid %x : tensor<7x37xf32>
  %7 = nn.erf %x : tensor<7x37xf32>
  %8 = nn.abs %x : tensor<7x37xf32>
  %9 = nn.sin %x : tensor<7x37xf32>
  %10 = nn.cos %x : tensor<7x37xf32>
  %11 = nn.floor %x : tensor<7x37xf32>
  %12 = nn.relu %x : tensor<7x37xf32>
  %13 = nn.stop_gradient %p : tensor<7x37xf32>
  return %0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13
      : tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>,
        tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>, tensor<7x37xf32>
}

// Arguments at which functions saturate, overflow, or are not finite.
// CHECK-LABEL: @special
// CHECK-COUNT-9: ok
func.func @special(%x: tensor<8xf32> {nn.value = dense<[0.0, -0.0, 88.0, -100.0, 200.0, 0x7F800000, 0xFF800000, 0x7FC00000]> : tensor<8xf32>})
    -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) {
  %one = nn.constant dense<1.0> : tensor<8xf32>
  %0 = nn.exp %x : tensor<8xf32>
  %1 = nn.log %x : tensor<8xf32>
  %2 = nn.sqrt %x : tensor<8xf32>
  %3 = nn.tanh %x : tensor<8xf32>
  %4 = nn.sigmoid %x : tensor<8xf32>
  %5 = nn.erf %x : tensor<8xf32>
  %6 = nn.relu %x : tensor<8xf32>
  %7 = nn.max %one, %x : tensor<8xf32>
  %8 = nn.min %x, %one : tensor<8xf32>
  return %0, %1, %2, %3, %4, %5, %6, %7, %8
      : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
}

// CHECK-LABEL: @binary
// CHECK-COUNT-8: ok
func.func @binary(%x: tensor<501xf32> {nn.range = [-4.0, 4.0]}, %y: tensor<501xf32> {nn.range = [0.5, 3.0]})
    -> (tensor<501xf32>, tensor<501xf32>, tensor<501xf32>, tensor<501xf32>, tensor<501xf32>, tensor<501xf32>, tensor<501xf32>, tensor<501xf32>) {
  %0 = nn.add %x, %y : tensor<501xf32>
  %1 = nn.sub %x, %y : tensor<501xf32>
  %2 = nn.mul %x, %y : tensor<501xf32>
  %3 = nn.div %x, %y : tensor<501xf32>
  %4 = nn.rem %x, %y : tensor<501xf32>
  %5 = nn.max %x, %y : tensor<501xf32>
  %6 = nn.min %x, %y : tensor<501xf32>
  %7 = nn.pow %y, %x : tensor<501xf32>
  return %0, %1, %2, %3, %4, %5, %6, %7
      : tensor<501xf32>, tensor<501xf32>, tensor<501xf32>, tensor<501xf32>, tensor<501xf32>, tensor<501xf32>, tensor<501xf32>, tensor<501xf32>
}

// CHECK-LABEL: @compare
// CHECK-COUNT-7: ok
func.func @compare(%x: tensor<6xf32> {nn.value = dense<[1.0, 2.0, 0x7FC00000, 0.0, 3.0, 0x7F800000]> : tensor<6xf32>},
                   %y: tensor<6xf32> {nn.value = dense<[2.0, 1.0, 1.0, -0.0, 3.0, 0x7F800000]> : tensor<6xf32>})
    -> (tensor<6xi1>, tensor<6xi1>, tensor<6xi1>, tensor<6xi1>, tensor<6xi1>, tensor<6xi1>, tensor<6xf32>) {
  %0 = nn.compare eq %x, %y : tensor<6xf32> -> tensor<6xi1>
  %1 = nn.compare ne %x, %y : tensor<6xf32> -> tensor<6xi1>
  %2 = nn.compare lt %x, %y : tensor<6xf32> -> tensor<6xi1>
  %3 = nn.compare le %x, %y : tensor<6xf32> -> tensor<6xi1>
  %4 = nn.compare gt %x, %y : tensor<6xf32> -> tensor<6xi1>
  %5 = nn.compare ge %x, %y : tensor<6xf32> -> tensor<6xi1>
  %6 = nn.not %5 : tensor<6xi1>
  %7 = nn.and %6, %1 : tensor<6xi1>
  %8 = nn.or %7, %2 : tensor<6xi1>
  %9 = nn.select %8, %x, %y : tensor<6xi1>, tensor<6xf32>
  return %0, %1, %2, %3, %4, %5, %9 : tensor<6xi1>, tensor<6xi1>, tensor<6xi1>, tensor<6xi1>, tensor<6xi1>, tensor<6xi1>, tensor<6xf32>
}

// CHECK-LABEL: @integers
// CHECK-COUNT-7: ok
func.func @integers(%x: tensor<33xi64> {nn.range = [-50.0, 50.0]}, %y: tensor<33xi64> {nn.range = [1.0, 9.0]},
                    %f: tensor<33xf32> {nn.range = [-9.0, 9.0]}, %i: tensor<33xi32> {nn.range = [-9.0, 9.0]})
    -> (tensor<33xi64>, tensor<33xi64>, tensor<33xi64>, tensor<33xi32>, tensor<33xf32>, tensor<33xi1>, tensor<33xi64>) {
  %0 = nn.div %x, %y : tensor<33xi64>
  %1 = nn.rem %x, %y : tensor<33xi64>
  %2 = nn.mul %x, %y : tensor<33xi64>
  %3 = nn.convert %f : tensor<33xf32> -> tensor<33xi32>
  %4 = nn.convert %i : tensor<33xi32> -> tensor<33xf32>
  %5 = nn.convert %i : tensor<33xi32> -> tensor<33xi1>
  %6 = nn.iota 0 : tensor<33xi64>
  return %0, %1, %2, %3, %4, %5, %6 : tensor<33xi64>, tensor<33xi64>, tensor<33xi64>, tensor<33xi32>, tensor<33xf32>, tensor<33xi1>, tensor<33xi64>
}
