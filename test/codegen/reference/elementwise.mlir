// Formulas of one element against values from a table; special values; integer and boolean arithmetic.
// RUN: doppel-verify run %s | FileCheck %s

// CHECK-LABEL: @unary
func.func @unary(%x: tensor<4xf32> {nn.value = dense<[-1.5, -0.0, 0.5, 2.0]> : tensor<4xf32>},
                 %p: tensor<3xf32> {nn.value = dense<[0.25, 1.0, 4.0]> : tensor<3xf32>})
    -> (tensor<4xf32>, tensor<4xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<4xf32>, tensor<4xf32>,
        tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  // CHECK: result 0 [4] = 1.5 0 -0.5 -2
  %0 = nn.neg %x : tensor<4xf32>
  // CHECK: result 1 [4] = 0.22313 1 1.64872 7.38906
  %1 = nn.exp %x : tensor<4xf32>
  // CHECK: result 2 [3] = -1.38629 0 1.38629
  %2 = nn.log %p : tensor<3xf32>
  // CHECK: result 3 [3] = 0.5 1 2
  %3 = nn.sqrt %p : tensor<3xf32>
  // CHECK: result 4 [3] = 2 1 0.5
  %4 = nn.rsqrt %p : tensor<3xf32>
  // CHECK: result 5 [4] = -0.905148 0 0.462117 0.964028
  %5 = nn.tanh %x : tensor<4xf32>
  // CHECK: result 6 [4] = 0.182426 0.5 0.622459 0.880797
  %6 = nn.sigmoid %x : tensor<4xf32>
  // CHECK: result 7 [4] = -0.966105 0 0.5205 0.995322
  %7 = nn.erf %x : tensor<4xf32>
  // CHECK: result 8 [4] = 1.5 0 0.5 2
  %8 = nn.abs %x : tensor<4xf32>
  // CHECK: result 9 [4] = -0.997495 0 0.479426 0.909297
  %9 = nn.sin %x : tensor<4xf32>
  // CHECK: result 10 [4] = 0.0707372 1 0.877583 -0.416147
  %10 = nn.cos %x : tensor<4xf32>
  // CHECK: result 11 [4] = -2 0 0 2
  %11 = nn.floor %x : tensor<4xf32>
  // CHECK: result 12 [4] = 0 0 0.5 2
  %12 = nn.relu %x : tensor<4xf32>
  return %0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12
      : tensor<4xf32>, tensor<4xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<4xf32>, tensor<4xf32>,
        tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: @binary
func.func @binary(%x: tensor<4xf32> {nn.value = dense<[-7.0, 7.0, 2.0, 0.5]> : tensor<4xf32>},
                  %y: tensor<4xf32> {nn.value = dense<[3.0, -3.0, 2.0, 4.0]> : tensor<4xf32>})
    -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  // CHECK: result 0 [4] = -4 4 4 4.5
  %0 = nn.add %x, %y : tensor<4xf32>
  // CHECK: result 1 [4] = -10 10 0 -3.5
  %1 = nn.sub %x, %y : tensor<4xf32>
  // CHECK: result 2 [4] = -21 -21 4 2
  %2 = nn.mul %x, %y : tensor<4xf32>
  // CHECK: result 3 [4] = -2.33333 -2.33333 1 0.125
  %3 = nn.div %x, %y : tensor<4xf32>
  // The remainder has the sign of the divisor.
  // CHECK: result 4 [4] = 2 -2 0 0.5
  %4 = nn.rem %x, %y : tensor<4xf32>
  // CHECK: result 5 [4] = 3 7 2 4
  %5 = nn.max %x, %y : tensor<4xf32>
  // CHECK: result 6 [4] = -343 0.00291545 4 0.0625
  %6 = nn.pow %x, %y : tensor<4xf32>
  return %0, %1, %2, %3, %4, %5, %6
      : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// NaN is in every greatest, least and relu; every comparison with it but `ne` is false.
// CHECK-LABEL: @not_a_number
func.func @not_a_number(%x: tensor<2xf32> {nn.value = dense<[0x7FC00000, 1.0]> : tensor<2xf32>},
                        %y: tensor<2xf32> {nn.value = dense<1.0> : tensor<2xf32>})
    -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>) {
  // CHECK: result 0 [2] = nan 1
  %0 = nn.max %y, %x : tensor<2xf32>
  // CHECK: result 1 [2] = nan 1
  %1 = nn.min %x, %y : tensor<2xf32>
  // CHECK: result 2 [2] = nan 1
  %2 = nn.relu %x : tensor<2xf32>
  // CHECK: result 3 [2] = 0 1
  %3 = nn.compare eq %x, %x : tensor<2xf32> -> tensor<2xi1>
  // CHECK: result 4 [2] = 1 0
  %4 = nn.compare ne %x, %x : tensor<2xf32> -> tensor<2xi1>
  // CHECK: result 5 [2] = 0 1
  %5 = nn.compare ge %x, %y : tensor<2xf32> -> tensor<2xi1>
  return %0, %1, %2, %3, %4, %5 : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>
}

// CHECK-LABEL: @integers_and_booleans
func.func @integers_and_booleans(%x: tensor<3xi64> {nn.value = dense<[-7, 7, 6]> : tensor<3xi64>},
                                 %y: tensor<3xi64> {nn.value = dense<[2, -2, 3]> : tensor<3xi64>},
                                 %f: tensor<3xf32> {nn.value = dense<[-1.7, 0.0, 2.9]> : tensor<3xf32>})
    -> (tensor<3xi64>, tensor<3xi64>, tensor<3xi32>, tensor<3xi1>, tensor<3xf32>, tensor<3xi1>) {
  // Division rounds toward zero, the remainder goes with the floor.
  // CHECK: result 0 [3] = -3 -3 2
  %0 = nn.div %x, %y : tensor<3xi64>
  // CHECK: result 1 [3] = 1 -1 0
  %1 = nn.rem %x, %y : tensor<3xi64>
  // CHECK: result 2 [3] = -1 0 2
  %2 = nn.convert %f : tensor<3xf32> -> tensor<3xi32>
  // CHECK: result 3 [3] = 1 0 1
  %3 = nn.convert %f : tensor<3xf32> -> tensor<3xi1>
  %lt = nn.compare lt %x, %y : tensor<3xi64> -> tensor<3xi1>
  %one = nn.constant dense<1.0> : tensor<3xf32>
  // CHECK: result 4 [3] = 1 0 2.9
  %4 = nn.select %lt, %one, %f : tensor<3xi1>, tensor<3xf32>
  %and = nn.and %lt, %3 : tensor<3xi1>
  %not = nn.not %3 : tensor<3xi1>
  // CHECK: result 5 [3] = 1 1 0
  %5 = nn.or %and, %not : tensor<3xi1>
  return %0, %1, %2, %3, %4, %5 : tensor<3xi64>, tensor<3xi64>, tensor<3xi32>, tensor<3xi1>, tensor<3xf32>, tensor<3xi1>
}
