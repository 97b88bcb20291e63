// The rules of convolution, pooling and batch norm against central differences in double.
// RUN: doppel-verify gradients --seed 2 %s

func.func @conv2d(%x: tensor<2x4x5x2xf64>, %k: tensor<3x2x3x3xf64>, %w: tensor<2x4x5x3xf64>) -> tensor<f64> {
  %y = nn.conv2d %x, %k {strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64}
      : (tensor<2x4x5x2xf64>, tensor<3x2x3x3xf64>) -> tensor<2x4x5x3xf64>
  %t = nn.mul %y, %w : tensor<2x4x5x3xf64>
  %l = nn.reduce sum %t [0, 1, 2, 3] : tensor<2x4x5x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @conv2d_strided(%x: tensor<1x5x6x2xf64>, %k: tensor<2x2x3x3xf64>, %w: tensor<1x3x2x2xf64>) -> tensor<f64> {
  %y = nn.conv2d %x, %k {strides = array<i64: 2, 3>, padding = array<i64: 1, 0, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64}
      : (tensor<1x5x6x2xf64>, tensor<2x2x3x3xf64>) -> tensor<1x3x2x2xf64>
  %t = nn.mul %y, %w : tensor<1x3x2x2xf64>
  %l = nn.reduce sum %t [0, 1, 2, 3] : tensor<1x3x2x2xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @conv2d_dilated_groups(%x: tensor<1x5x5x4xf64>, %k: tensor<4x2x2x2xf64>, %w: tensor<1x3x3x4xf64>) -> tensor<f64> {
  %y = nn.conv2d %x, %k {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 2, 2>, groups = 2 : i64}
      : (tensor<1x5x5x4xf64>, tensor<4x2x2x2xf64>) -> tensor<1x3x3x4xf64>
  %t = nn.mul %y, %w : tensor<1x3x3x4xf64>
  %l = nn.reduce sum %t [0, 1, 2, 3] : tensor<1x3x3x4xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @conv2d_channels_last(%x: tensor<1x5x5x4xf64>, %k: tensor<4x2x3x2xf64>, %w: tensor<1x4x3x4xf64>) -> tensor<f64> {
  %y = nn.conv2d %x, %k {channels_last, strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 2 : i64}
      : (tensor<1x5x5x4xf64>, tensor<4x2x3x2xf64>) -> tensor<1x4x3x4xf64>
  %t = nn.mul %y, %w : tensor<1x4x3x4xf64>
  %l = nn.reduce sum %t [0, 1, 2, 3] : tensor<1x4x3x4xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @max_pool2d(%x: tensor<2x5x5x2xf64>, %w: tensor<2x3x3x2xf64>) -> tensor<f64> {
  %y, %place = nn.max_pool2d %x {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>}
      : tensor<2x5x5x2xf64> -> tensor<2x3x3x2xf64>, tensor<2x3x3x2xi8>
  %t = nn.mul %y, %w : tensor<2x3x3x2xf64>
  %l = nn.reduce sum %t [0, 1, 2, 3] : tensor<2x3x3x2xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @avg_pool2d(%x: tensor<2x4x4x2xf64>, %w: tensor<2x2x2x2xf64>) -> tensor<f64> {
  %y = nn.avg_pool2d %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>}
      : tensor<2x4x4x2xf64> -> tensor<2x2x2x2xf64>
  %t = nn.mul %y, %w : tensor<2x2x2x2xf64>
  %l = nn.reduce sum %t [0, 1, 2, 3] : tensor<2x2x2x2xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @batch_norm(%x: tensor<4x3xf64>, %scale: tensor<3xf64>, %bias: tensor<3xf64>, %w: tensor<4x3xf64>) -> tensor<f64> {
  %y, %m, %v = nn.batch_norm %x, %scale, %bias {epsilon = 1.0e-2, groups = 1 : i64}
      : (tensor<4x3xf64>, tensor<3xf64>, tensor<3xf64>) -> (tensor<4x3xf64>, tensor<1x3xf64>, tensor<1x3xf64>)
  %t = nn.mul %y, %w : tensor<4x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<4x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @batch_norm_groups(%x: tensor<4x2x2x3xf64>, %scale: tensor<3xf64>, %bias: tensor<3xf64>, %w: tensor<4x2x2x3xf64>) -> tensor<f64> {
  %y, %m, %v = nn.batch_norm %x, %scale, %bias {epsilon = 1.0e-2, groups = 2 : i64}
      : (tensor<4x2x2x3xf64>, tensor<3xf64>, tensor<3xf64>) -> (tensor<4x2x2x3xf64>, tensor<2x3xf64>, tensor<2x3xf64>)
  %t = nn.mul %y, %w : tensor<4x2x2x3xf64>
  %l = nn.reduce sum %t [0, 1, 2, 3] : tensor<4x2x2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}
