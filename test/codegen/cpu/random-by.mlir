// Draws by index: row n has the draws of row by[n], so that a sample gets the same numbers wherever it stands. Compiled as in the oracle, and both
// the rows of one large tensor of draws.
// RUN: doppel-verify kernels %s | FileCheck %s --implicit-check-not=WRONG
// RUN: doppel-verify run --function same %s | FileCheck %s --check-prefix=SAME

// CHECK-LABEL: @by
// CHECK-COUNT-3: ok
func.func @by(%i: tensor<7xi32> {nn.value = dense<[3, 0, 99, 3, 41, 7, 8]> : tensor<7xi32>},
              %j: tensor<2xi64> {nn.value = dense<[5000000000, 1]> : tensor<2xi64>}) -> (tensor<7x5xf32>, tensor<7x5xf32>, tensor<2x3x3xf32>) {
  %0 = nn.random uniform stream 3 by(%i : tensor<7xi32>) : tensor<7x5xf32>
  %1 = nn.random normal stream 4 by(%i : tensor<7xi32>) : tensor<7x5xf32>
  %2 = nn.random uniform stream 5 by(%j : tensor<2xi64>) : tensor<2x3x3xf32>
  return %0, %1, %2 : tensor<7x5xf32>, tensor<7x5xf32>, tensor<2x3x3xf32>
}

// SAME: {{(0(, )?)+}}
// SAME-NOT: {{[1-9]}}
func.func @same() -> (tensor<5xf32> {nn.name = "difference"}) {
  %i = nn.constant dense<[3, 0, 99, 3]> : tensor<4xi32>
  %some = nn.random normal stream 3 by(%i : tensor<4xi32>) : tensor<4x5xf32>
  %all = nn.random normal stream 3 : tensor<100x5xf32>
  %rows = nn.gather_rows %all, %i : (tensor<100x5xf32>, tensor<4xi32>) -> tensor<4x5xf32>
  %apart = nn.sub %some, %rows : tensor<4x5xf32>
  %size = nn.abs %apart : tensor<4x5xf32>
  %sum = nn.reduce sum %size [0] : tensor<4x5xf32> -> tensor<5xf32>
  return %sum : tensor<5xf32>
}
