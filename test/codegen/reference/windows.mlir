// Convolution, pooling and batch normalisation with their derivatives against PyTorch's (torch.nn.functional, float64), with odd strides,
// padding, dilations and groups. Inputs are x[i] = sin(i / 2) in row-major order, the gradient of y is cos(y) or cos(2 y).
// RUN: doppel-verify run %s | FileCheck %s

// CHECK-LABEL: @convolution
func.func @convolution() -> (tensor<2x3x4x6xf64>, tensor<2x5x6x4xf64>, tensor<6x2x3x3xf64>) {
  %x_i = nn.iota 0 : tensor<240xf64>
  %x_half = nn.constant dense<0.5> : tensor<240xf64>
  %x_angle = nn.mul %x_i, %x_half : tensor<240xf64>
  %x_sin = nn.sin %x_angle : tensor<240xf64>
  %x = nn.reshape %x_sin : tensor<240xf64> -> tensor<2x5x6x4xf64>
  %w_i = nn.iota 0 : tensor<108xf64>
  %w_half = nn.constant dense<0.5> : tensor<108xf64>
  %w_angle = nn.mul %w_i, %w_half : tensor<108xf64>
  %w_sin = nn.sin %w_angle : tensor<108xf64>
  %w = nn.reshape %w_sin : tensor<108xf64> -> tensor<6x2x3x3xf64>
  // CHECK: result 0 [2, 3, 4, 6] = -0.551819 0.220285 0.150401 0.495017 -0.368057 0.175679 0.187492 0.296304 ... sum 0.266989 norm 13.0798
  %y = nn.conv2d %x, %w {strides = array<i64: 2, 1>, padding = array<i64: 1, 0, 1, 2>, dilations = array<i64: 1, 2>, groups = 2 : i64} : (tensor<2x5x6x4xf64>, tensor<6x2x3x3xf64>) -> tensor<2x3x4x6xf64>
  %dy = nn.cos %y : tensor<2x3x4x6xf64>
  // CHECK: result 1 [2, 5, 6, 4] = 0.589705 -0.498724 0.193757 0.684656 0.59092 -0.328929 0.0191894 0.603511 ... sum 42.7016 norm 8.08521
  %dx = nn.conv2d_backward_data %dy, %w {strides = array<i64: 2, 1>, padding = array<i64: 1, 0, 1, 2>, dilations = array<i64: 1, 2>, groups = 2 : i64} : (tensor<2x3x4x6xf64>, tensor<6x2x3x3xf64>) -> tensor<2x5x6x4xf64>
  // CHECK: result 2 [6, 2, 3, 3] = -1.02828 0.439507 -0.0253559 -0.722919 0.741054 -0.132495 -0.1446 0.562011 ... sum 5.60815 norm 5.58744
  %dw = nn.conv2d_backward_weights %x, %dy {strides = array<i64: 2, 1>, padding = array<i64: 1, 0, 1, 2>, dilations = array<i64: 1, 2>, groups = 2 : i64} : (tensor<2x5x6x4xf64>, tensor<2x3x4x6xf64>) -> tensor<6x2x3x3xf64>
  return %y, %dx, %dw : tensor<2x3x4x6xf64>, tensor<2x5x6x4xf64>, tensor<6x2x3x3xf64>
}

// CHECK-LABEL: @pooling
func.func @pooling() -> (tensor<2x3x3x3xf64>, tensor<2x5x6x3xf64>, tensor<2x3x3x3xf64>, tensor<2x5x6x3xf64>) {
  %x_i = nn.iota 0 : tensor<180xf64>
  %x_half = nn.constant dense<0.5> : tensor<180xf64>
  %x_angle = nn.mul %x_i, %x_half : tensor<180xf64>
  %x_sin = nn.sin %x_angle : tensor<180xf64>
  %x = nn.reshape %x_sin : tensor<180xf64> -> tensor<2x5x6x3xf64>
  // CHECK: result 0 [2, 3, 3, 3] = 0.997495 0.909297 0.841471 0.803784 0.990607 0.934895 0.938 0.989358 ... sum 48.6483 norm 6.66911
  %m, %places = nn.max_pool2d %x {kernel = array<i64: 3, 2>, strides = array<i64: 2, 2>, padding = array<i64: 1, 0, 1, 1>} : tensor<2x5x6x3xf64> -> tensor<2x3x3x3xf64>, tensor<2x3x3x3xi8>
  %dm = nn.cos %m : tensor<2x3x3x3xf64>
  // CHECK: result 1 [2, 5, 6, 3] = 0 0 0.666367 0.542409 0.6143 0 0 0 ... sum 33.3129 norm 5.11583
  %dx = nn.max_pool2d_backward %dm, %places {kernel = array<i64: 3, 2>, strides = array<i64: 2, 2>, padding = array<i64: 1, 0, 1, 1>} : (tensor<2x3x3x3xf64>, tensor<2x3x3x3xi8>) -> tensor<2x5x6x3xf64>
  // CHECK: result 2 [2, 3, 3, 3] = 0.0883196 0.0522636 0.00341164 -0.0948664 -0.064237 -0.0178801 0.0995145 0.0749247 ... sum -1.0575 norm 0.740565
  %a = nn.avg_pool2d %x {kernel = array<i64: 3, 2>, strides = array<i64: 2, 2>, padding = array<i64: 1, 0, 1, 1>} : tensor<2x5x6x3xf64> -> tensor<2x3x3x3xf64>
  %da = nn.cos %a : tensor<2x3x3x3xf64>
  // CHECK: result 3 [2, 5, 6, 3] = 0.166017 0.166439 0.166666 0.166017 0.166439 0.166666 0.165917 0.166323 ... sum 41.7581 norm 3.29693
  %dax = nn.avg_pool2d_backward %da {kernel = array<i64: 3, 2>, strides = array<i64: 2, 2>, padding = array<i64: 1, 0, 1, 1>} : tensor<2x3x3x3xf64> -> tensor<2x5x6x3xf64>
  return %m, %dx, %a, %dax : tensor<2x3x3x3xf64>, tensor<2x5x6x3xf64>, tensor<2x3x3x3xf64>, tensor<2x5x6x3xf64>
}

// Of equal elements the first of the window is the greatest, and its place is the one in the window, padding included.
// CHECK-LABEL: @ties
func.func @ties() -> (tensor<1x2x2x1xf64>, tensor<1x2x2x1xi8>) {
  %x = nn.constant dense<3.0> : tensor<1x3x3x1xf64>
  // CHECK: result 0 [1, 2, 2, 1] = 3 3 3 3
  // CHECK: result 1 [1, 2, 2, 1] = 4 3 1 0
  %m, %places = nn.max_pool2d %x {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>} : tensor<1x3x3x1xf64> -> tensor<1x2x2x1xf64>, tensor<1x2x2x1xi8>
  return %m, %places : tensor<1x2x2x1xf64>, tensor<1x2x2x1xi8>
}

// Two groups of the batch with statistics of their own; scale and bias are shared.
// CHECK-LABEL: @batch_norm
func.func @batch_norm() -> (tensor<4x2x3x3xf64>, tensor<2x3xf64>, tensor<2x3xf64>, tensor<4x2x3x3xf64>, tensor<3xf64>, tensor<3xf64>) {
  %x_i = nn.iota 0 : tensor<72xf64>
  %x_half = nn.constant dense<0.5> : tensor<72xf64>
  %x_angle = nn.mul %x_i, %x_half : tensor<72xf64>
  %x_sin = nn.sin %x_angle : tensor<72xf64>
  %x = nn.reshape %x_sin : tensor<72xf64> -> tensor<4x2x3x3xf64>
  %u_i = nn.iota 0 : tensor<3xf64>
  %u_half = nn.constant dense<0.5> : tensor<3xf64>
  %u_angle = nn.mul %u_i, %u_half : tensor<3xf64>
  %u_sin = nn.sin %u_angle : tensor<3xf64>
  %u = nn.reshape %u_sin : tensor<3xf64> -> tensor<3xf64>
  %offset = nn.constant dense<1.5> : tensor<3xf64>
  %scale = nn.add %u, %offset : tensor<3xf64>
  %bias = nn.add %u, %u : tensor<3xf64>
  // CHECK: result 0 [4, 2, 3, 3] = -0.100977 2.20426 4.36015 2.06589 3.3994 3.5789 0.205579 -0.103917 ... sum 63.403 norm 19.2117
  // CHECK: result 1 [2, 3] = 0.0464838 0.0314757 0.00876113 0.0452897 0.0503289 0.0430459
  // CHECK: result 2 [2, 3] = 0.475805 0.505893 0.529396 0.478623 0.466233 0.48372
  %y, %mean, %variance = nn.batch_norm %x, %scale, %bias {epsilon = 1.0e-3 : f64, groups = 2 : i64} : (tensor<4x2x3x3xf64>, tensor<3xf64>, tensor<3xf64>) -> (tensor<4x2x3x3xf64>, tensor<2x3xf64>, tensor<2x3xf64>)
  %twice = nn.add %y, %y : tensor<4x2x3x3xf64>
  %dy = nn.cos %twice : tensor<4x2x3x3xf64>
  // CHECK: result 3 [4, 2, 3, 3] = 2.81314 -1.23317 -2.17036 -0.35853 1.32194 2.30761 2.6972 3.6625 ... sum {{.*}} norm 15.4906
  // CHECK: result 4 [3] = -1.19391 11.1175 -0.239328
  // CHECK: result 5 [3] = -6.60368 0.678927 -6.12576
  %dx, %dscale, %dbias = nn.batch_norm_backward %x, %scale, %mean, %variance, %dy {epsilon = 1.0e-3 : f64, groups = 2 : i64} : (tensor<4x2x3x3xf64>, tensor<3xf64>, tensor<2x3xf64>, tensor<2x3xf64>, tensor<4x2x3x3xf64>) -> (tensor<4x2x3x3xf64>, tensor<3xf64>, tensor<3xf64>)
  return %y, %mean, %variance, %dx, %dscale, %dbias : tensor<4x2x3x3xf64>, tensor<2x3xf64>, tensor<2x3xf64>, tensor<4x2x3x3xf64>, tensor<3xf64>, tensor<3xf64>
}
