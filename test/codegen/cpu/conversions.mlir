// Conversions at the ends of a type: floats that no integer holds give the nearest one, NaN gives 0; a bool is 0 or 1.
// RUN: doppel-verify kernels %s | FileCheck %s --implicit-check-not=WRONG

// CHECK-LABEL: @to_integers
// CHECK-COUNT-3: ok
func.func @to_integers(%x: tensor<9xf32> {nn.value = dense<[3.0e9, -3.0e9, 1.0e20, -1.0e20, 0x7F800000, 0xFF800000, 0x7FC00000, -0.9, 2.9]> : tensor<9xf32>})
    -> (tensor<9xi32>, tensor<9xi64>, tensor<9xi1>) {
  %0 = nn.convert %x : tensor<9xf32> -> tensor<9xi32>
  %1 = nn.convert %x : tensor<9xf32> -> tensor<9xi64>
  %2 = nn.convert %x : tensor<9xf32> -> tensor<9xi1>
  return %0, %1, %2 : tensor<9xi32>, tensor<9xi64>, tensor<9xi1>
}

// CHECK-LABEL: @from_bools
// CHECK-COUNT-3: ok
func.func @from_bools(%x: tensor<37xf32> {nn.range = [-1.0, 1.0]}) -> (tensor<37xi32>, tensor<37xf32>, tensor<37xf64>) {
  %zero = nn.constant dense<0.0> : tensor<37xf32>
  %0 = nn.compare lt %x, %zero : tensor<37xf32> -> tensor<37xi1>
  %1 = nn.convert %0 : tensor<37xi1> -> tensor<37xi32>
  %2 = nn.convert %0 : tensor<37xi1> -> tensor<37xf32>
  %3 = nn.convert %0 : tensor<37xi1> -> tensor<37xf64>
  return %1, %2, %3 : tensor<37xi32>, tensor<37xf32>, tensor<37xf64>
}

// Beyond 2^24 an f32 has no odd numbers; a wide integer is cut to the narrow one's bits.
// CHECK-LABEL: @integers
// CHECK-COUNT-3: ok
func.func @integers(%x: tensor<5xi64> {nn.value = dense<[16777217, -16777219, 4294967297, -2147483649, 7]> : tensor<5xi64>})
    -> (tensor<5xf32>, tensor<5xf64>, tensor<5xi32>) {
  %0 = nn.convert %x : tensor<5xi64> -> tensor<5xf32>
  %1 = nn.convert %x : tensor<5xi64> -> tensor<5xf64>
  %2 = nn.convert %x : tensor<5xi64> -> tensor<5xi32>
  return %0, %1, %2 : tensor<5xf32>, tensor<5xf64>, tensor<5xi32>
}
