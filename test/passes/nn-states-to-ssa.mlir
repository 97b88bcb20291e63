// RUN: doppel-opt %s --nn-states-to-ssa --split-input-file --verify-diagnostics | FileCheck %s

nn.state @a parameter : tensor<2xf32>
nn.state @b parameter : tensor<2xf32>

// A read after a write is the value written; one read at the top, one write at the end.
// CHECK-LABEL: func.func @forward_writes
// CHECK: %[[A:.+]] = nn.read @a
// CHECK-NEXT: %[[X:.+]] = nn.exp %[[A]]
// CHECK-NEXT: %[[Y:.+]] = nn.exp %[[X]]
// CHECK-NEXT: nn.write @a, %[[Y]]
// CHECK-NEXT: return
func.func @forward_writes() {
  %a = nn.read @a : tensor<2xf32>
  %x = nn.exp %a : tensor<2xf32>
  nn.write @a, %x : tensor<2xf32>
  %b = nn.read @a : tensor<2xf32>
  %y = nn.exp %b : tensor<2xf32>
  nn.write @a, %y : tensor<2xf32>
  return
}

// Reads go to the top and writes to the end, both in their order; a write whose value nobody reads stays.
// CHECK-LABEL: func.func @order
// CHECK: %[[B:.+]] = nn.read @b
// CHECK-NEXT: %[[A:.+]] = nn.read @a
// CHECK-NEXT: %[[C:.+]] = nn.exp %[[B]]
// CHECK-NEXT: %[[D:.+]] = nn.exp %[[A]]
// CHECK-NEXT: nn.write @b, %[[C]]
// CHECK-NEXT: nn.write @a, %[[D]]
// CHECK-NEXT: return %[[C]]
func.func @order() -> tensor<2xf32> {
  %b = nn.read @b : tensor<2xf32>
  %c = nn.exp %b : tensor<2xf32>
  nn.write @b, %c : tensor<2xf32>
  %a = nn.read @a : tensor<2xf32>
  %d = nn.exp %a : tensor<2xf32>
  nn.write @a, %d : tensor<2xf32>
  %last = nn.read @b : tensor<2xf32>
  return %last : tensor<2xf32>
}

// -----

nn.state @w parameter : tensor<2xf32>
nn.state @t ema : tensor<2xf32>
func.func @too_early(%m: tensor<f32>) {
  // expected-error @below {{changes states: lower it first (nn-pack-states)}}
  nn.ema_update %m [@t] from [@w] : tensor<f32>
  return
}
