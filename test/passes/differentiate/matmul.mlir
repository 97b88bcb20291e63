// The rules of products for every combination of transposes, with and without a batch, against central differences in double.
// RUN: doppel-verify gradients %s

func.func @matmul(%a: tensor<3x4xf64>, %b: tensor<4x5xf64>, %w: tensor<3x5xf64>) -> tensor<f64> {
  %y = nn.matmul %a, %b : (tensor<3x4xf64>, tensor<4x5xf64>) -> tensor<3x5xf64>
  %t = nn.mul %y, %w : tensor<3x5xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<3x5xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @matmul_trhs(%a: tensor<3x4xf64>, %b: tensor<5x4xf64>, %w: tensor<3x5xf64>) -> tensor<f64> {
  %y = nn.matmul %a, %b {transpose_rhs} : (tensor<3x4xf64>, tensor<5x4xf64>) -> tensor<3x5xf64>
  %t = nn.mul %y, %w : tensor<3x5xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<3x5xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @matmul_tlhs(%a: tensor<4x3xf64>, %b: tensor<4x5xf64>, %w: tensor<3x5xf64>) -> tensor<f64> {
  %y = nn.matmul %a, %b {transpose_lhs} : (tensor<4x3xf64>, tensor<4x5xf64>) -> tensor<3x5xf64>
  %t = nn.mul %y, %w : tensor<3x5xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<3x5xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @matmul_tlhs_trhs(%a: tensor<4x3xf64>, %b: tensor<5x4xf64>, %w: tensor<3x5xf64>) -> tensor<f64> {
  %y = nn.matmul %a, %b {transpose_lhs, transpose_rhs} : (tensor<4x3xf64>, tensor<5x4xf64>) -> tensor<3x5xf64>
  %t = nn.mul %y, %w : tensor<3x5xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<3x5xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @batched_matmul(%a: tensor<2x3x4xf64>, %b: tensor<2x4x5xf64>, %w: tensor<2x3x5xf64>) -> tensor<f64> {
  %y = nn.matmul %a, %b : (tensor<2x3x4xf64>, tensor<2x4x5xf64>) -> tensor<2x3x5xf64>
  %t = nn.mul %y, %w : tensor<2x3x5xf64>
  %l = nn.reduce sum %t [0, 1, 2] : tensor<2x3x5xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @batched_matmul_trhs(%a: tensor<2x3x4xf64>, %b: tensor<2x5x4xf64>, %w: tensor<2x3x5xf64>) -> tensor<f64> {
  %y = nn.matmul %a, %b {transpose_rhs} : (tensor<2x3x4xf64>, tensor<2x5x4xf64>) -> tensor<2x3x5xf64>
  %t = nn.mul %y, %w : tensor<2x3x5xf64>
  %l = nn.reduce sum %t [0, 1, 2] : tensor<2x3x5xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @batched_matmul_tlhs(%a: tensor<2x4x3xf64>, %b: tensor<2x4x5xf64>, %w: tensor<2x3x5xf64>) -> tensor<f64> {
  %y = nn.matmul %a, %b {transpose_lhs} : (tensor<2x4x3xf64>, tensor<2x4x5xf64>) -> tensor<2x3x5xf64>
  %t = nn.mul %y, %w : tensor<2x3x5xf64>
  %l = nn.reduce sum %t [0, 1, 2] : tensor<2x3x5xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @batched_matmul_tlhs_trhs(%a: tensor<2x4x3xf64>, %b: tensor<2x5x4xf64>, %w: tensor<2x3x5xf64>) -> tensor<f64> {
  %y = nn.matmul %a, %b {transpose_lhs, transpose_rhs} : (tensor<2x4x3xf64>, tensor<2x5x4xf64>) -> tensor<2x3x5xf64>
  %t = nn.mul %y, %w : tensor<2x3x5xf64>
  %l = nn.reduce sum %t [0, 1, 2] : tensor<2x3x5xf64> -> tensor<f64>
  return %l : tensor<f64>
}
