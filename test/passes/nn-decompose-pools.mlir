// Pools as shifted views, for targets whose library has none that is deterministic; a CPU's stay calls.
// RUN: doppel-opt %s --plan-set-target=target=cuda --nn-decompose-pools | FileCheck %s
// RUN: doppel-opt %s --plan-set-target=target=cpu --nn-decompose-pools | FileCheck %s --check-prefix CPU
//
// What is computed stays: of equals the first, padding left out of a greatest and counted in a mean.
// RUN: doppel-verify run %s > %t.before
// RUN: doppel-opt %s --plan-set-target=target=cuda --nn-decompose-pools -o %t.mlir
// RUN: doppel-verify run %t.mlir | diff %t.before -
//
// CHECK-NOT: pool2d
// CPU-COUNT-8: pool2d

func.func @uneven() -> (tensor<2x3x3x3xf64>, tensor<2x5x6x3xf64>, tensor<2x3x3x3xf64>, tensor<2x5x6x3xf64>) {
  %i = nn.iota 0 : tensor<180xf64>
  %s = nn.sin %i : tensor<180xf64>
  %x = nn.reshape %s : tensor<180xf64> -> tensor<2x5x6x3xf64>
  %m, %places = nn.max_pool2d %x {kernel = array<i64: 3, 2>, strides = array<i64: 2, 2>, padding = array<i64: 1, 0, 1, 1>} : tensor<2x5x6x3xf64> -> tensor<2x3x3x3xf64>, tensor<2x3x3x3xi8>
  %dm = nn.cos %m : tensor<2x3x3x3xf64>
  %dx = nn.max_pool2d_backward %dm, %places {kernel = array<i64: 3, 2>, strides = array<i64: 2, 2>, padding = array<i64: 1, 0, 1, 1>} : (tensor<2x3x3x3xf64>, tensor<2x3x3x3xi8>) -> tensor<2x5x6x3xf64>
  %a = nn.avg_pool2d %x {kernel = array<i64: 3, 2>, strides = array<i64: 2, 2>, padding = array<i64: 1, 0, 1, 1>} : tensor<2x5x6x3xf64> -> tensor<2x3x3x3xf64>
  %da = nn.cos %a : tensor<2x3x3x3xf64>
  %dax = nn.avg_pool2d_backward %da {kernel = array<i64: 3, 2>, strides = array<i64: 2, 2>, padding = array<i64: 1, 0, 1, 1>} : tensor<2x3x3x3xf64> -> tensor<2x5x6x3xf64>
  return %m, %dx, %a, %dax : tensor<2x3x3x3xf64>, tensor<2x5x6x3xf64>, tensor<2x3x3x3xf64>, tensor<2x5x6x3xf64>
}

// Many places of a window are equal.
func.func @ties() -> (tensor<1x3x3x2xf64>, tensor<1x6x6x2xf64>, tensor<1x3x3x2xf64>, tensor<1x6x6x2xf64>) {
  %i = nn.iota 0 : tensor<72xf64>
  %q = nn.sin %i : tensor<72xf64>
  %s = nn.floor %q : tensor<72xf64>
  %x = nn.reshape %s : tensor<72xf64> -> tensor<1x6x6x2xf64>
  %m, %places = nn.max_pool2d %x {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>} : tensor<1x6x6x2xf64> -> tensor<1x3x3x2xf64>, tensor<1x3x3x2xi8>
  %dm = nn.cos %m : tensor<1x3x3x2xf64>
  %dx = nn.max_pool2d_backward %dm, %places {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>} : (tensor<1x3x3x2xf64>, tensor<1x3x3x2xi8>) -> tensor<1x6x6x2xf64>
  %a = nn.avg_pool2d %x {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>} : tensor<1x6x6x2xf64> -> tensor<1x3x3x2xf64>
  %da = nn.cos %a : tensor<1x3x3x2xf64>
  %dax = nn.avg_pool2d_backward %da {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>} : tensor<1x3x3x2xf64> -> tensor<1x6x6x2xf64>
  return %m, %dx, %a, %dax : tensor<1x3x3x2xf64>, tensor<1x6x6x2xf64>, tensor<1x3x3x2xf64>, tensor<1x6x6x2xf64>
}
