// The rules of operations that move, repeat, cut and join elements, against central differences in double.
// RUN: doppel-verify gradients %s

func.func @reshape(%x: tensor<2x6xf64>, %w: tensor<3x4xf64>) -> tensor<f64> {
  %y = nn.reshape %x : tensor<2x6xf64> -> tensor<3x4xf64>
  %t = nn.mul %y, %w : tensor<3x4xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<3x4xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @transpose(%x: tensor<2x3x4xf64>, %w: tensor<4x2x3xf64>) -> tensor<f64> {
  %y = nn.transpose %x [2, 0, 1] : tensor<2x3x4xf64> -> tensor<4x2x3xf64>
  %t = nn.mul %y, %w : tensor<4x2x3xf64>
  %l = nn.reduce sum %t [0, 1, 2] : tensor<4x2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @broadcast(%x: tensor<3xf64>, %w: tensor<2x3x4xf64>) -> tensor<f64> {
  %y = nn.broadcast %x [1] : tensor<3xf64> -> tensor<2x3x4xf64>
  %t = nn.mul %y, %w : tensor<2x3x4xf64>
  %l = nn.reduce sum %t [0, 1, 2] : tensor<2x3x4xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @broadcast_scalar(%x: tensor<f64>, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.broadcast %x [] : tensor<f64> -> tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @slice(%x: tensor<5x6xf64>, %w: tensor<2x2xf64>) -> tensor<f64> {
  %y = nn.slice %x offsets [1, 0] strides [2, 3] : tensor<5x6xf64> -> tensor<2x2xf64>
  %t = nn.mul %y, %w : tensor<2x2xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x2xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @concat(%x: tensor<2x3xf64>, %z: tensor<2x1xf64>, %w: tensor<2x7xf64>) -> tensor<f64> {
  %y = nn.concat %x, %z, %x axis 1 : (tensor<2x3xf64>, tensor<2x1xf64>, tensor<2x3xf64>) -> tensor<2x7xf64>
  %t = nn.mul %y, %w : tensor<2x7xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x7xf64> -> tensor<f64>
  return %l : tensor<f64>
}
