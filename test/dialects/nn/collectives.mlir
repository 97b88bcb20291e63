// Collectives have an effect on the ranks: none is dropped, made once for two, or moved past another, whatever becomes of its result.
// RUN: doppel-opt %s --canonicalize --cse --canonicalize | FileCheck %s

// CHECK-LABEL: func.func @kept
// CHECK-NEXT: %[[A:.+]] = nn.all_reduce %arg0
// CHECK-NEXT: %[[B:.+]] = nn.all_reduce %arg0
// CHECK-NEXT: nn.all_gather %arg0
// CHECK-NEXT: nn.reduce_scatter %arg0
// CHECK-NEXT: return %[[A]], %[[B]]
func.func @kept(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %a = nn.all_reduce %x : tensor<4xf32> -> tensor<4xf32>
  %b = nn.all_reduce %x : tensor<4xf32> -> tensor<4xf32>
  %c = nn.all_gather %x : tensor<4xf32> -> tensor<8xf32>
  %d = nn.reduce_scatter %x : tensor<4xf32> -> tensor<2xf32>
  return %a, %b : tensor<4xf32>, tensor<4xf32>
}
