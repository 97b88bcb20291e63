func.func @step(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %y = nn.fused map(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%0: tensor<4x8xf32>):
    %1 = nn.exp %0 : tensor<4x8xf32>
    nn.yield %1 : tensor<4x8xf32>
  }
  %s = nn.slice %y offsets [0, 2] strides [1, 1] : tensor<4x8xf32> -> tensor<4x4xf32>
  return %y : tensor<4x8xf32>
}
