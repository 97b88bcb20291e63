// Gradients where a central difference sees two: of equal elements the first has it; relu and abs have none at 0. A parameter p of 0 or of
// given values becomes p - gradient in a step of rate 1. nn-simplify and the canonicalizer change none of it.
// RUN: doppel-opt %s --nn-differentiate | doppel-verify run - | FileCheck %s
// RUN: doppel-opt %s --nn-differentiate --canonicalize --nn-simplify | doppel-verify run - | FileCheck %s

nn.state @a parameter {nn.value = dense<[1.0, 2.0, 3.0]> : tensor<3xf32>} : tensor<3xf32>
nn.state @b parameter {nn.value = dense<[1.0, 3.0, 2.0]> : tensor<3xf32>} : tensor<3xf32>
nn.state @c parameter {nn.value = dense<[1.0, 2.0, 3.0]> : tensor<3xf32>} : tensor<3xf32>
nn.state @d parameter {nn.value = dense<[1.0, 3.0, 2.0]> : tensor<3xf32>} : tensor<3xf32>
nn.state @rows parameter {nn.value = dense<[[4.0, 7.0, 7.0], [5.0, 5.0, 5.0]]> : tensor<2x3xf32>} : tensor<2x3xf32>
nn.state @columns parameter {nn.value = dense<[[4.0, 7.0, 7.0], [4.0, 8.0, 7.0]]> : tensor<2x3xf32>} : tensor<2x3xf32>
nn.state @kinks parameter {nn.value = dense<[-1.0, 0.0, 1.0]> : tensor<3xf32>} : tensor<3xf32>
nn.state @bends parameter {nn.value = dense<[-1.0, 0.0, 1.0]> : tensor<3xf32>} : tensor<3xf32>
nn.state @pixels parameter {nn.value = dense<1.0> : tensor<1x2x2x1xf32>} : tensor<1x2x2x1xf32>

// max(a, b) and min(c, d), weighed 10, 20, 30: a = b = 1 gives its 10 to the first.
// CHECK-DAG: state a [3] = -9 2 -27
// CHECK-DAG: state b [3] = 1 -17 2
// CHECK-DAG: state c [3] = -9 -18 3
// CHECK-DAG: state d [3] = 1 3 -28
// The greatest of each row, weighed 1 and 10; the least of each column, weighed 1, 10 and 100.
// CHECK-DAG: state rows [2, 3] = 4 6 7 -5 5 5
// CHECK-DAG: state columns [2, 3] = 3 -3 -93 4 8 7
// |x| and relu(x).
// CHECK-DAG: state kinks [3] = 0 0 0
// CHECK-DAG: state bends [3] = -1 0 0
// A pool of four equal pixels.
// CHECK-DAG: state pixels [1, 2, 2, 1] = 0 1 1 1
func.func @step() {
  %w = nn.constant dense<[10.0, 20.0, 30.0]> : tensor<3xf32>
  %a = nn.read @a : tensor<3xf32>
  %b = nn.read @b : tensor<3xf32>
  %0 = nn.max %a, %b : tensor<3xf32>
  %c = nn.read @c : tensor<3xf32>
  %d = nn.read @d : tensor<3xf32>
  %1 = nn.min %c, %d : tensor<3xf32>
  %2 = nn.add %0, %1 : tensor<3xf32>
  %3 = nn.mul %2, %w : tensor<3xf32>
  %ab = nn.reduce sum %3 [0] : tensor<3xf32> -> tensor<f32>

  %rows = nn.read @rows : tensor<2x3xf32>
  %4 = nn.reduce max %rows [1] : tensor<2x3xf32> -> tensor<2xf32>
  %wr = nn.constant dense<[1.0, 10.0]> : tensor<2xf32>
  %5 = nn.mul %4, %wr : tensor<2xf32>
  %r = nn.reduce sum %5 [0] : tensor<2xf32> -> tensor<f32>
  %columns = nn.read @columns : tensor<2x3xf32>
  %6 = nn.reduce min %columns [0] : tensor<2x3xf32> -> tensor<3xf32>
  %wc = nn.constant dense<[1.0, 10.0, 100.0]> : tensor<3xf32>
  %7 = nn.mul %6, %wc : tensor<3xf32>
  %s = nn.reduce sum %7 [0] : tensor<3xf32> -> tensor<f32>

  %kinks = nn.read @kinks : tensor<3xf32>
  %8 = nn.abs %kinks : tensor<3xf32>
  %bends = nn.read @bends : tensor<3xf32>
  %9 = nn.relu %bends : tensor<3xf32>
  %10 = nn.add %8, %9 : tensor<3xf32>
  %k = nn.reduce sum %10 [0] : tensor<3xf32> -> tensor<f32>

  %pixels = nn.read @pixels : tensor<1x2x2x1xf32>
  %pooled, %place = nn.max_pool2d %pixels {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>}
      : tensor<1x2x2x1xf32> -> tensor<1x1x1x1xf32>, tensor<1x1x1x1xi8>
  %p = nn.reshape %pooled : tensor<1x1x1x1xf32> -> tensor<f32>

  %l0 = nn.add %ab, %r : tensor<f32>
  %l1 = nn.add %l0, %s : tensor<f32>
  %l2 = nn.add %l1, %k : tensor<f32>
  %loss = nn.add %l2, %p : tensor<f32>
  %lr = nn.constant dense<1.0> : tensor<f32>
  %wd = nn.constant dense<0.0> : tensor<f32>
  nn.optimize sgd %loss, %lr, %wd [@a, @b, @c, @d, @rows, @columns, @kinks, @bends, @pixels]
      decay [false, false, false, false, false, false, false, false, false] adapt [false, false, false, false, false, false, false, false, false]
      {momentum = 0.0, dampening = 0.0, nesterov = false} : tensor<f32>
  return
}
