// RUN: doppel-opt %s --nn-differentiate --canonicalize --split-input-file | FileCheck %s

nn.state @w parameter : tensor<4x3xf32>
nn.state @key.w ema : tensor<4x3xf32>

// Nothing is made for the branch without gradient: one backward product, for @w. (The loss itself is not returned, so it goes.)
// CHECK-LABEL: func.func @stop_gradient
// CHECK: %[[K:.+]] = nn.read @key.w
// CHECK: %[[T:.+]] = nn.matmul %[[X:.+]], %[[K]] {transpose_rhs}
// CHECK: %[[G:.+]] = nn.matmul %[[T]], %[[X]] {transpose_lhs}
// CHECK-NOT: nn.matmul
// CHECK: nn.update_parameters {{ *}}sgd %{{.+}}, %{{.+}}(%[[G]]) [@w]
// CHECK-NOT: nn.stop_gradient
// CHECK: return
func.func @stop_gradient(%x: tensor<2x3xf32>, %lr: tensor<f32>, %wd: tensor<f32>) {
  %w = nn.read @w : tensor<4x3xf32>
  %k = nn.read @key.w : tensor<4x3xf32>
  %y = nn.matmul %x, %w {transpose_rhs} : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<2x4xf32>
  %t = nn.matmul %x, %k {transpose_rhs} : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<2x4xf32>
  %s = nn.stop_gradient %t : tensor<2x4xf32>
  %p = nn.mul %y, %s : tensor<2x4xf32>
  %l = nn.reduce sum %p [0, 1] : tensor<2x4xf32> -> tensor<f32>
  nn.optimize sgd %l, %lr, %wd [@w] decay [true] adapt [true] {momentum = 0.9, dampening = 0.0, nesterov = false} : tensor<f32>
  return
}

// -----

nn.state @a parameter : tensor<3xf32>
nn.state @b parameter : tensor<3xf32>

// Two optimizers of one loss: both gradients are made before the first parameter moves.
// CHECK-LABEL: func.func @two_optimizers
// CHECK: %[[A:.+]] = nn.read @a
// CHECK: %[[B:.+]] = nn.read @b
// CHECK: nn.update_parameters {{ *}}sgd %{{.+}}, %{{.+}}(%[[B]]) [@a]
// CHECK-NEXT: nn.update_parameters {{ *}}adamw %{{.+}}, %{{.+}}(%[[A]]) [@b]
func.func @two_optimizers(%lr: tensor<f32>, %wd: tensor<f32>) {
  %a = nn.read @a : tensor<3xf32>
  %b = nn.read @b : tensor<3xf32>
  %p = nn.mul %a, %b : tensor<3xf32>
  %l = nn.reduce sum %p [0] : tensor<3xf32> -> tensor<f32>
  nn.optimize sgd %l, %lr, %wd [@a] decay [true] adapt [true] {momentum = 0.9, dampening = 0.0, nesterov = false} : tensor<f32>
  nn.optimize adamw %l, %lr, %wd [@b] decay [true] adapt [true] {beta1 = 0.9, beta2 = 0.999, epsilon = 1.0e-8} : tensor<f32>
  return
}

// -----

nn.state @p parameter : tensor<3xf32>

// Two reads of a parameter add their gradients; a read before its last write is of another value and adds none.
// CHECK-LABEL: func.func @reads
// CHECK: nn.write @p
// CHECK: %[[SUM:.+]] = nn.add %arg0, %arg1 : tensor<3xf32>
// CHECK: nn.update_parameters {{ *}}sgd %{{.+}}, %{{.+}}(%[[SUM]]) [@p]
func.func @reads(%u: tensor<3xf32>, %v: tensor<3xf32>, %lr: tensor<f32>, %wd: tensor<f32>) {
  %old = nn.read @p : tensor<3xf32>
  %twice = nn.add %old, %old : tensor<3xf32>
  nn.write @p, %twice : tensor<3xf32>
  %first = nn.read @p : tensor<3xf32>
  %second = nn.read @p : tensor<3xf32>
  %s = nn.mul %first, %u : tensor<3xf32>
  %t = nn.mul %second, %v : tensor<3xf32>
  %z = nn.mul %old, %v : tensor<3xf32>
  %st = nn.add %t, %s : tensor<3xf32>
  %stz = nn.add %st, %z : tensor<3xf32>
  %l = nn.reduce sum %stz [0] : tensor<3xf32> -> tensor<f32>
  nn.optimize sgd %l, %lr, %wd [@p] decay [true] adapt [true] {momentum = 0.9, dampening = 0.0, nesterov = false} : tensor<f32>
  return
}

// -----

nn.state @p parameter : tensor<3xf32>

// What is written after the loss does not change at which value the loss was computed.
// CHECK-LABEL: func.func @written_after
// CHECK: nn.write @p
// CHECK: nn.update_parameters {{ *}}sgd %{{.+}}, %{{.+}}(%arg0) [@p]
func.func @written_after(%u: tensor<3xf32>, %lr: tensor<f32>, %wd: tensor<f32>) {
  %p = nn.read @p : tensor<3xf32>
  %s = nn.mul %p, %u : tensor<3xf32>
  %l = nn.reduce sum %s [0] : tensor<3xf32> -> tensor<f32>
  nn.write @p, %s : tensor<3xf32>
  nn.optimize sgd %l, %lr, %wd [@p] decay [true] adapt [true] {momentum = 0.9, dampening = 0.0, nesterov = false} : tensor<f32>
  return
}

// -----

nn.state @q parameter : tensor<3xf32>
// floor has the derivative zero, which ends the path.
// CHECK-LABEL: func.func @zero
// CHECK: %[[ZERO:.+]] = nn.constant dense<0.000000e+00> : tensor<3xf32>
// CHECK: nn.update_parameters {{ *}}sgd %{{.+}}, %{{.+}}(%[[ZERO]]) [@q]
func.func @zero(%lr: tensor<f32>, %wd: tensor<f32>) {
  %q = nn.read @q : tensor<3xf32>
  %f = nn.floor %q : tensor<3xf32>
  %l = nn.reduce sum %f [0] : tensor<3xf32> -> tensor<f32>
  nn.optimize sgd %l, %lr, %wd [@q] decay [true] adapt [true] {momentum = 0.9, dampening = 0.0, nesterov = false} : tensor<f32>
  return
}
