// RUN: doppel-opt %s --nn-differentiate --split-input-file --verify-diagnostics

nn.state @w parameter : tensor<4x2x3x3xf32>

// Every operation without a rule is told at once, in order; those under stop_gradient are not asked.
func.func @missing(%x: tensor<1x4x4x4xf32>, %lr: tensor<f32>, %wd: tensor<f32>) {
  %w = nn.read @w : tensor<4x2x3x3xf32>
  // expected-note @below {{no rule is written for 'nn.conv2d_backward_data'}}
  %a = nn.conv2d_backward_data %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64}
      : (tensor<1x4x4x4xf32>, tensor<4x2x3x3xf32>) -> tensor<1x4x4x2xf32>
  // expected-note @below {{no rule is written for 'nn.avg_pool2d_backward'}}
  %b = nn.avg_pool2d_backward %a {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>}
      : tensor<1x4x4x2xf32> -> tensor<1x8x8x2xf32>
  %c = nn.avg_pool2d_backward %b {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>}
      : tensor<1x8x8x2xf32> -> tensor<1x16x16x2xf32>
  %d = nn.stop_gradient %c : tensor<1x16x16x2xf32>
  %e = nn.reduce sum %d [0, 1, 2, 3] : tensor<1x16x16x2xf32> -> tensor<f32>
  %f = nn.reduce sum %b [0, 1, 2, 3] : tensor<1x8x8x2xf32> -> tensor<f32>
  // expected-error @below {{the loss has no gradient: 2 operations on the way from the parameters without a derivative rule}}
  %l = nn.add %e, %f : tensor<f32>
  nn.optimize sgd %l, %lr, %wd [@w] decay [true] adapt [true] {momentum = 0.9, dampening = 0.0, nesterov = false} : tensor<f32>
  return
}

// -----

nn.state @q parameter : tensor<3xf32>

func.func @no_path(%l: tensor<f32>, %lr: tensor<f32>, %wd: tensor<f32>) {
  %q = nn.read @q : tensor<3xf32>
  %m = nn.mul %l, %l : tensor<f32>
  // expected-warning @below {{parameter 'q' has no path to the loss: its gradient is zero}}
  nn.optimize sgd %m, %lr, %wd [@q] decay [true] adapt [true] {momentum = 0.9, dampening = 0.0, nesterov = false} : tensor<f32>
  return
}

// -----

nn.state @a parameter : tensor<3xf32>
nn.state @b parameter : tensor<3xf32>
nn.state @c parameter : tensor<3xf32>
nn.state @d parameter : tensor<3xf32>

func.func @no_paths(%l: tensor<f32>, %lr: tensor<f32>, %wd: tensor<f32>) {
  %m = nn.mul %l, %l : tensor<f32>
  // expected-warning @below {{4 parameters have no path to the loss, their gradients are zero: 'a', 'b', 'c' and 1 more}}
  nn.optimize sgd %m, %lr, %wd [@a, @b, @c, @d] decay [true, true, true, true] adapt [true, true, true, true]
      {momentum = 0.9, dampening = 0.0, nesterov = false} : tensor<f32>
  return
}
