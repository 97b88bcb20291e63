// The rules of reductions against central differences in double; ties.mlir has what they do where two elements are equal.
// RUN: doppel-verify gradients %s

func.func @reduce_sum(%x: tensor<3x4x2xf64>, %w: tensor<4xf64>) -> tensor<f64> {
  %y = nn.reduce sum %x [0, 2] : tensor<3x4x2xf64> -> tensor<4xf64>
  %t = nn.mul %y, %w : tensor<4xf64>
  %l = nn.reduce sum %t [0] : tensor<4xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @reduce_max(%x: tensor<3x4x2xf64>, %w: tensor<4xf64>) -> tensor<f64> {
  %y = nn.reduce max %x [0, 2] : tensor<3x4x2xf64> -> tensor<4xf64>
  %t = nn.mul %y, %w : tensor<4xf64>
  %l = nn.reduce sum %t [0] : tensor<4xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @reduce_min(%x: tensor<3x4x2xf64>, %w: tensor<4xf64>) -> tensor<f64> {
  %y = nn.reduce min %x [0, 2] : tensor<3x4x2xf64> -> tensor<4xf64>
  %t = nn.mul %y, %w : tensor<4xf64>
  %l = nn.reduce sum %t [0] : tensor<4xf64> -> tensor<f64>
  return %l : tensor<f64>
}

// log(sum(exp(x - max(x)))) + max(x), without a stop_gradient: the two ways through the maximum cancel.
func.func @logsumexp(%x: tensor<3x4xf64>, %w: tensor<3xf64>) -> tensor<f64> {
  %m = nn.reduce max %x [1] : tensor<3x4xf64> -> tensor<3xf64>
  %b = nn.broadcast %m [0] : tensor<3xf64> -> tensor<3x4xf64>
  %d = nn.sub %x, %b : tensor<3x4xf64>
  %e = nn.exp %d : tensor<3x4xf64>
  %s = nn.reduce sum %e [1] : tensor<3x4xf64> -> tensor<3xf64>
  %g = nn.log %s : tensor<3xf64>
  %y = nn.add %g, %m : tensor<3xf64>
  %t = nn.mul %y, %w : tensor<3xf64>
  %l = nn.reduce sum %t [0] : tensor<3xf64> -> tensor<f64>
  return %l : tensor<f64>
}
