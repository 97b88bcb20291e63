// Collectives keep their order: no kernel may make one wait for a later one.
// RUN: doppel-opt %s --plan-set-target --nn-fuse | FileCheck %s

// exp(x) and b * x share x and could be one kernel, which the first collective needs and which needs the second.
// CHECK-LABEL: func.func @one_kernel
// CHECK: %[[E:.+]] = nn.fused map(%arg0)
// CHECK: nn.exp
// CHECK: nn.all_reduce %[[E]]
// CHECK: %[[B:.+]] = nn.all_reduce %arg1
// CHECK: nn.fused map(%[[B]], %arg0)
// CHECK: nn.mul
func.func @one_kernel(%x: tensor<256x64xf32>, %y: tensor<256x64xf32>) -> (tensor<256x64xf32>, tensor<256x64xf32>) {
  %e = nn.exp %x : tensor<256x64xf32>
  %a = nn.all_reduce %e : tensor<256x64xf32> -> tensor<256x64xf32>
  %b = nn.all_reduce %y : tensor<256x64xf32> -> tensor<256x64xf32>
  %m = nn.mul %b, %x : tensor<256x64xf32>
  return %a, %m : tensor<256x64xf32>, tensor<256x64xf32>
}

// Here the kernel is allowed. A product that stood before both collectives now needs the second one, which may not overtake the first.
// CHECK-LABEL: func.func @sorted
// CHECK: nn.all_reduce %arg1
// CHECK: nn.all_gather %arg2
// CHECK: nn.fused
// CHECK: nn.exp
// CHECK: nn.mul
// CHECK: nn.matmul
func.func @sorted(%x: tensor<256x256xf32>, %y: tensor<64xf32>, %z: tensor<128x256xf32>) -> (tensor<256x256xf32>, tensor<64xf32>, tensor<256x256xf32>) {
  %e = nn.exp %x : tensor<256x256xf32>
  %p = nn.matmul %e, %e : (tensor<256x256xf32>, tensor<256x256xf32>) -> tensor<256x256xf32>
  %a = nn.all_reduce %y : tensor<64xf32> -> tensor<64xf32>
  %b = nn.all_gather %z : tensor<128x256xf32> -> tensor<256x256xf32>
  %m = nn.mul %b, %x : tensor<256x256xf32>
  return %p, %a, %m : tensor<256x256xf32>, tensor<64xf32>, tensor<256x256xf32>
}

// An unused result is no reason to leave the others alone.
// CHECK-LABEL: func.func @unused
// CHECK: nn.all_reduce
// CHECK: nn.all_reduce
func.func @unused(%x: tensor<64xf32>) -> tensor<64xf32> {
  %a = nn.all_reduce %x : tensor<64xf32> -> tensor<64xf32>
  %b = nn.all_reduce %x : tensor<64xf32> -> tensor<64xf32>
  return %b : tensor<64xf32>
}
