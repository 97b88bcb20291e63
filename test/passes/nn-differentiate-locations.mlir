// An operation of the gradient names the one that it belongs to, at its place in the spec.
// RUN: doppel-opt %s --nn-differentiate --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %s

nn.state @w parameter : tensor<4x3xf32>

// CHECK: nn.matmul {{.+}} {transpose_lhs} {{.+}} loc("gradient of matmul"("method.dpl":7:3))
// CHECK: nn.update_parameters {{.+}} loc("method.dpl":9:1)
func.func @step(%x: tensor<2x3xf32>, %lr: tensor<f32>, %wd: tensor<f32>) {
  %w = nn.read @w : tensor<4x3xf32>
  %y = nn.matmul %x, %w {transpose_rhs} : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<2x4xf32> loc("method.dpl":7:3)
  %l = nn.reduce sum %y [0, 1] : tensor<2x4xf32> -> tensor<f32> loc("method.dpl":8:3)
  nn.optimize sgd %l, %lr, %wd [@w] decay [true] adapt [true] {momentum = 0.9, dampening = 0.0, nesterov = false} : tensor<f32> loc("method.dpl":9:1)
  return
}
