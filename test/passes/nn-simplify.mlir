// RUN: doppel-opt %s --nn-simplify | FileCheck %s

// CHECK-LABEL: func.func @transposed_operands
// CHECK: nn.matmul %arg0, %arg1 {transpose_lhs, transpose_rhs}
func.func @transposed_operands(%a: tensor<4x3xf32>, %b: tensor<5x4xf32>) -> tensor<3x5xf32> {
  %at = nn.transpose %a [1, 0] : tensor<4x3xf32> -> tensor<3x4xf32>
  %bt = nn.transpose %b [1, 0] : tensor<5x4xf32> -> tensor<4x5xf32>
  %c = nn.matmul %at, %bt : (tensor<3x4xf32>, tensor<4x5xf32>) -> tensor<3x5xf32>
  return %c : tensor<3x5xf32>
}

// A flag that is there already is turned off; a batch stays in front.
// CHECK-LABEL: func.func @batched
// CHECK: nn.matmul %arg0, %arg1 :
func.func @batched(%a: tensor<2x3x4xf32>, %b: tensor<2x4x5xf32>) -> tensor<2x3x5xf32> {
  %at = nn.transpose %a [0, 2, 1] : tensor<2x3x4xf32> -> tensor<2x4x3xf32>
  %c = nn.matmul %at, %b {transpose_lhs} : (tensor<2x4x3xf32>, tensor<2x4x5xf32>) -> tensor<2x3x5xf32>
  return %c : tensor<2x3x5xf32>
}

// A permutation that moves the batch is no transpose.
// CHECK-LABEL: func.func @not_last_two
// CHECK: nn.transpose
func.func @not_last_two(%a: tensor<3x2x4xf32>, %b: tensor<2x4x5xf32>) -> tensor<2x3x5xf32> {
  %p = nn.transpose %a [1, 0, 2] : tensor<3x2x4xf32> -> tensor<2x3x4xf32>
  %c = nn.matmul %p, %b : (tensor<2x3x4xf32>, tensor<2x4x5xf32>) -> tensor<2x3x5xf32>
  return %c : tensor<2x3x5xf32>
}

// CHECK-LABEL: func.func @transposed_product
// CHECK: nn.matmul %arg1, %arg0 {transpose_lhs} : (tensor<4x5xf32>, tensor<4x3xf32>) -> tensor<5x3xf32>
func.func @transposed_product(%a: tensor<4x3xf32>, %b: tensor<4x5xf32>) -> tensor<5x3xf32> {
  %c = nn.matmul %a, %b {transpose_lhs} : (tensor<4x3xf32>, tensor<4x5xf32>) -> tensor<3x5xf32>
  %t = nn.transpose %c [1, 0] : tensor<3x5xf32> -> tensor<5x3xf32>
  return %t : tensor<5x3xf32>
}

// CHECK-LABEL: func.func @negations
// CHECK: %[[S:.+]] = nn.sub %arg0, %arg1
// CHECK: nn.add %[[S]], %arg1
func.func @negations(%a: tensor<3xf32>, %b: tensor<3xf32>) -> tensor<3xf32> {
  %n = nn.neg %b : tensor<3xf32>
  %s = nn.add %a, %n : tensor<3xf32>
  %t = nn.sub %s, %n : tensor<3xf32>
  return %t : tensor<3xf32>
}

// The gradient of a batch that was cut in three is its parts' gradients, joined.
// CHECK-LABEL: func.func @tiles
// CHECK: nn.concat %arg0, %arg1, %arg2 axis 0
// CHECK-NOT: nn.pad
func.func @tiles(%a: tensor<2x3xf32>, %b: tensor<1x3xf32>, %c: tensor<3x3xf32>) -> tensor<6x3xf32> {
  %z = nn.pad %c offsets [3, 0] strides [1, 1] : tensor<3x3xf32> -> tensor<6x3xf32>
  %y = nn.pad %b offsets [2, 0] strides [1, 1] : tensor<1x3xf32> -> tensor<6x3xf32>
  %x = nn.pad %a offsets [0, 0] strides [1, 1] : tensor<2x3xf32> -> tensor<6x3xf32>
  %s = nn.add %z, %x : tensor<6x3xf32>
  %t = nn.add %s, %y : tensor<6x3xf32>
  return %t : tensor<6x3xf32>
}

// Parts that overlap or leave a gap stay a sum.
// CHECK-LABEL: func.func @no_tiles
// CHECK: nn.add
func.func @no_tiles(%a: tensor<4x3xf32>, %b: tensor<3x3xf32>) -> tensor<6x3xf32> {
  %x = nn.pad %a offsets [0, 0] strides [1, 1] : tensor<4x3xf32> -> tensor<6x3xf32>
  %y = nn.pad %b offsets [3, 0] strides [1, 1] : tensor<3x3xf32> -> tensor<6x3xf32>
  %s = nn.add %x, %y : tensor<6x3xf32>
  return %s : tensor<6x3xf32>
}

// CHECK-LABEL: func.func @gap_at_the_end
// CHECK: nn.add
func.func @gap_at_the_end(%a: tensor<2x3xf32>, %b: tensor<3x3xf32>) -> tensor<6x3xf32> {
  %x = nn.pad %a offsets [0, 0] strides [1, 1] : tensor<2x3xf32> -> tensor<6x3xf32>
  %y = nn.pad %b offsets [2, 0] strides [1, 1] : tensor<3x3xf32> -> tensor<6x3xf32>
  %s = nn.add %x, %y : tensor<6x3xf32>
  return %s : tensor<6x3xf32>
}
