// Convolutions and products get the precision that was asked for, their derivatives the same; f32 is not written down.
// RUN: doppel-opt %s --nn-mixed-precision=precision=tf32 --nn-differentiate | FileCheck %s
// RUN: doppel-opt %s --nn-mixed-precision --nn-differentiate | FileCheck %s --check-prefix=F32
// RUN: not doppel-opt %s --nn-mixed-precision=precision=tf23 2>&1 | FileCheck %s --check-prefix=WORD
// F32-NOT: precision
// WORD: error: 'tf23' is no precision; there are f32 and tf32

// On to the calls of a plan, for a target that has it; for another the phase `fused` is refused.
// RUN: doppel-opt %s '--to-train=precision=tf32' '--to-fused=target=cuda' --to-plan | FileCheck %s --check-prefix=PLAN
// RUN: not doppel-opt %s '--to-train=precision=tf32' '--to-fused=target=cpu' 2>&1 | FileCheck %s --check-prefix=CPU
// PLAN-DAG: plan.call conv2d({{.*}}) -> ({{.*}}) [1, 1, {{.*}}, 1] {precision = #nn<precision tf32>} :
// PLAN-DAG: plan.call conv2d_backward_data({{.*}}{precision = #nn<precision tf32>}
// PLAN-DAG: plan.call conv2d_backward_weights({{.*}}{precision = #nn<precision tf32>}
// PLAN-DAG: plan.call matmul({{.*}}{precision = #nn<precision tf32>}
// PLAN-NOT: plan.call {{.*}}] :
// CPU: phase 'fused': 'nn.conv2d' has the precision tf32, which the target lacks

nn.state @"w" parameter : tensor<4x2x3x3xf32>
nn.state @"v" parameter : tensor<4x3xf32>
nn.state @"u" parameter : tensor<3x3x3x3xf32>

// CHECK-LABEL: @step
// CHECK: nn.conv2d {{.*}}precision = #nn<precision tf32>
// CHECK: nn.conv2d {{.*}}precision = #nn<precision tf32>
// CHECK: nn.matmul {{.*}}{precision = #nn<precision tf32>}
// CHECK-DAG: nn.matmul {{.*}}{precision = #nn<precision tf32>, transpose_rhs}
// CHECK-DAG: nn.matmul {{.*}}{precision = #nn<precision tf32>, transpose_lhs}
// CHECK-DAG: nn.conv2d_backward_data {{.*}}precision = #nn<precision tf32>
// CHECK-DAG: nn.conv2d_backward_weights {{.*}}precision = #nn<precision tf32>
func.func @step(%x: tensor<2x5x5x3xf32>) -> (tensor<f32> {nn.name = "loss"}) {
  %w = nn.read @w : tensor<4x2x3x3xf32>
  %u = nn.read @u : tensor<3x3x3x3xf32>
  %v = nn.read @v : tensor<4x3xf32>
  %z = nn.conv2d %x, %u {strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<2x5x5x3xf32>, tensor<3x3x3x3xf32>) -> tensor<2x5x5x3xf32>
  %t = nn.slice %z offsets [0, 0, 0, 0] strides [1, 1, 1, 1] : tensor<2x5x5x3xf32> -> tensor<2x5x5x2xf32>
  %y = nn.conv2d %t, %w {strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<2x5x5x2xf32>, tensor<4x2x3x3xf32>) -> tensor<2x5x5x4xf32>
  %r = nn.reshape %y : tensor<2x5x5x4xf32> -> tensor<50x4xf32>
  %p = nn.matmul %r, %v : (tensor<50x4xf32>, tensor<4x3xf32>) -> tensor<50x3xf32>
  %q = nn.mul %p, %p : tensor<50x3xf32>
  %loss = nn.reduce sum %q [0, 1] : tensor<50x3xf32> -> tensor<f32>
  %lr = nn.constant dense<0.1> : tensor<f32>
  %wd = nn.constant dense<0.0> : tensor<f32>
  nn.optimize sgd %loss, %lr, %wd [@u, @v, @w] decay [true, true, true] adapt [true, true, true] {momentum = 0.9, dampening = 0.0, nesterov = false} : tensor<f32>
  return %loss : tensor<f32>
}
