// Draws, permutations and what else a run gives, as compiled code against the oracle: each element
// by its number, wherever it is computed.
// RUN: doppel-verify kernels %s | FileCheck %s --implicit-check-not=WRONG
// RUN: doppel-verify kernels %s --seed 9876543210123 --step 12345678 --threads 1 \
// RUN:   | FileCheck %s --implicit-check-not=WRONG

// CHECK-LABEL: @uniform
// CHECK-COUNT-4: ok
func.func @uniform() -> (tensor<f32>, tensor<1xf32>, tensor<7x37xf32>, tensor<3x5x43xf32>) {
  %0 = nn.random uniform stream 0 : tensor<f32>
  %1 = nn.random uniform stream 1 : tensor<1xf32>
  %2 = nn.random uniform stream 2 : tensor<7x37xf32>
  %3 = nn.random uniform stream 16777215 : tensor<3x5x43xf32>
  return %0, %1, %2, %3 : tensor<f32>, tensor<1xf32>, tensor<7x37xf32>, tensor<3x5x43xf32>
}

// A pair of draws comes from a pair of words, also where the last pair has no second.
// CHECK-LABEL: @normal
// CHECK-COUNT-4: ok
func.func @normal() -> (tensor<f32>, tensor<129xf32>, tensor<37x7xf32>, tensor<100001xf32>) {
  %0 = nn.random normal stream 4 : tensor<f32>
  %1 = nn.random normal stream 5 : tensor<129xf32>
  %2 = nn.random normal stream 6 : tensor<37x7xf32>
  %3 = nn.random normal stream 7 : tensor<100001xf32>
  return %0, %1, %2, %3 : tensor<f32>, tensor<129xf32>, tensor<37x7xf32>, tensor<100001xf32>
}

// In a map, turned, in part, in reductions of either axis.
// CHECK-LABEL: @where_it_is_used
// CHECK-COUNT-5: ok
func.func @where_it_is_used(%x: tensor<37x129xf32>)
    -> (tensor<37x129xf32>, tensor<129x37xf32>, tensor<13x2xf32>, tensor<37xf32>, tensor<129xf32>) {
  %u = nn.random uniform stream 8 : tensor<37x129xf32>
  %half = nn.constant dense<0.5> : tensor<37x129xf32>
  %keep = nn.compare lt %u, %half : tensor<37x129xf32> -> tensor<37x129xi1>
  %zero = nn.constant dense<0.0> : tensor<37x129xf32>
  %dropped = nn.select %keep, %x, %zero : tensor<37x129xi1>, tensor<37x129xf32>
  %n = nn.random normal stream 9 : tensor<37x129xf32>
  %t = nn.transpose %n [1, 0] : tensor<37x129xf32> -> tensor<129x37xf32>
  %m = nn.random normal stream 10 : tensor<37x129xf32>
  %s = nn.slice %m offsets [0, 5] strides [3, 100] : tensor<37x129xf32> -> tensor<13x2xf32>
  %p = nn.random uniform stream 11 : tensor<37x129xf32>
  %row = nn.reduce sum %p [1] : tensor<37x129xf32> -> tensor<37xf32>
  %q = nn.random normal stream 12 : tensor<37x129xf32>
  %column = nn.reduce max %q [0] : tensor<37x129xf32> -> tensor<129xf32>
  return %dropped, %t, %s, %row, %column
      : tensor<37x129xf32>, tensor<129x37xf32>, tensor<13x2xf32>, tensor<37xf32>, tensor<129xf32>
}

// Rows in another order and back again.
// CHECK-LABEL: @permutation
// CHECK-COUNT-6: ok
func.func @permutation(%x: tensor<129x3xf32>)
    -> (tensor<1xi32>, tensor<2xi32>, tensor<7xi32>, tensor<129xi32>, tensor<129x3xf32>,
        tensor<129x3xf32>) {
  %0 = nn.random_permutation stream 13 : tensor<1xi32>
  %1 = nn.random_permutation stream 14 : tensor<2xi32>
  %2 = nn.random_permutation stream 15 : tensor<7xi32>
  %3 = nn.random_permutation stream 16 : tensor<129xi32>
  %g = nn.gather_rows %x, %3 : (tensor<129x3xf32>, tensor<129xi32>) -> tensor<129x3xf32>
  %b = nn.scatter_rows %g, %3, %g
      : (tensor<129x3xf32>, tensor<129xi32>, tensor<129x3xf32>) -> tensor<129x3xf32>
  return %0, %1, %2, %3, %g, %b
      : tensor<1xi32>, tensor<2xi32>, tensor<7xi32>, tensor<129xi32>, tensor<129x3xf32>,
        tensor<129x3xf32>
}

// CHECK-LABEL: @run
// CHECK-COUNT-5: ok
func.func @run(%images: !nn.images<5>)
    -> (tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<5xi64>) {
  %0 = nn.run_scalar step : tensor<f32>
  %1 = nn.run_scalar steps_per_epoch : tensor<f32>
  %2 = nn.run_scalar epochs : tensor<f32>
  %3 = nn.run_scalar samples : tensor<f32>
  %4 = nn.sample_index %images : !nn.images<5> -> tensor<5xi64>
  return %0, %1, %2, %3, %4 : tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<5xi64>
}
