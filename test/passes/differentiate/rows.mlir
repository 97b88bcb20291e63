// The rules of operations on rows of tables against central differences in double; indices repeat.
// RUN: doppel-verify gradients %s

func.func @gather_rows(%x: tensor<4x2xf64>, %w: tensor<3x2xf64>) -> tensor<f64> {
  %i = nn.constant dense<[2, 0, 2]> : tensor<3xi32>
  %y = nn.gather_rows %x, %i : (tensor<4x2xf64>, tensor<3xi32>) -> tensor<3x2xf64>
  %t = nn.mul %y, %w : tensor<3x2xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<3x2xf64> -> tensor<f64>
  return %l : tensor<f64>
}

// A row that another is written over has no gradient.
func.func @scatter_rows(%x: tensor<4x2xf64>, %r: tensor<3x2xf64>, %w: tensor<4x2xf64>) -> tensor<f64> {
  %i = nn.constant dense<[2, 0, 2]> : tensor<3xi32>
  %y = nn.scatter_rows %x, %i, %r : (tensor<4x2xf64>, tensor<3xi32>, tensor<3x2xf64>) -> tensor<4x2xf64>
  %t = nn.mul %y, %w : tensor<4x2xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<4x2xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @scatter_rows_accumulate(%x: tensor<4x2xf64>, %r: tensor<3x2xf64>, %w: tensor<4x2xf64>) -> tensor<f64> {
  %i = nn.constant dense<[2, 0, 2]> : tensor<3xi32>
  %y = nn.scatter_rows %x, %i, %r {accumulate} : (tensor<4x2xf64>, tensor<3xi32>, tensor<3x2xf64>) -> tensor<4x2xf64>
  %t = nn.mul %y, %w : tensor<4x2xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<4x2xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @enqueue(%q: tensor<6x2xf64>, %r: tensor<3x2xf64>, %w: tensor<6x2xf64>) -> tensor<f64> {
  %y = nn.enqueue %q, %r : (tensor<6x2xf64>, tensor<3x2xf64>) -> tensor<6x2xf64>
  %t = nn.mul %y, %w : tensor<6x2xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<6x2xf64> -> tensor<f64>
  return %l : tensor<f64>
}
