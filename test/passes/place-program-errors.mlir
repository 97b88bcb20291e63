// RUN: doppel-opt %s --plan-set-target --place-program -split-input-file -verify-diagnostics

// All that has no place is told at once.
func.func @unfused(%x: tensor<4x8xf32>) -> tensor<4x4xf32> {
  // expected-error @below {{takes elements that are no neighbours in memory: it belongs into a kernel}}
  %s = nn.slice %x offsets [0, 2] strides [1, 1] : tensor<4x8xf32> -> tensor<4x4xf32>
  // expected-error @below {{is neither fused into a kernel nor an operation of a library}}
  %y = nn.exp %x : tensor<4x8xf32>
  // expected-error @below {{moves elements: it belongs into a kernel}}
  %t = nn.transpose %x [1, 0] : tensor<4x8xf32> -> tensor<8x4xf32>
  // expected-error @below {{interleaves its inputs in memory: it belongs into a kernel}}
  %c = nn.concat %x, %x axis 1 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x16xf32>
  return %s : tensor<4x4xf32>
}
