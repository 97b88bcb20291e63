// RUN: doppel-opt %s --plan-set-target --nn-verify-phase=phase=fused --split-input-file --verify-diagnostics
// RUN: not doppel-opt %s --nn-verify-phase=phase=nonsense --split-input-file 2>&1 | FileCheck %s
// CHECK: there is no postcondition of a phase 'nonsense'

func.func @fine(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %y = nn.matmul %x, %x : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  return %y : tensor<2x2xf32>
}

// -----

func.func @loose(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @below {{phase 'fused': 'nn.exp' should be in a kernel}}
  %y = nn.exp %x : tensor<2xf32>
  return %y : tensor<2xf32>
}
