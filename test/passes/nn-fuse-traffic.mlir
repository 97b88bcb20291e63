// A value that several kernels need is stored where that moves fewer bytes than computing it again
// in each of them.
// RUN: doppel-opt %s --plan-set-target --nn-fuse | FileCheck %s

// One input, one operation: each kernel reads the input and computes the value itself.
// CHECK-LABEL: func.func @computed_again
// CHECK: nn.fused row(%arg0) : (tensor<256x128xf32>) -> tensor<256xf32>
// CHECK: nn.relu
// CHECK: nn.fused column(%arg0) : (tensor<256x128xf32>) -> tensor<128xf32>
// CHECK: nn.relu
func.func @computed_again(%x: tensor<256x128xf32>) -> (tensor<256xf32>, tensor<128xf32>) {
  %y = nn.relu %x : tensor<256x128xf32>
  %r = nn.reduce sum %y [1] : tensor<256x128xf32> -> tensor<256xf32>
  %c = nn.reduce sum %y [0] : tensor<256x128xf32> -> tensor<128xf32>
  return %r, %c : tensor<256xf32>, tensor<128xf32>
}

// Three inputs: the first kernel stores the value, the second reads it in their place.
// CHECK-LABEL: func.func @stored
// CHECK: %[[K:[0-9a-z]+]]:2 = nn.fused row(%arg0, %arg1, %arg2) : {{.*}} -> (tensor<256x128xf32>,
// CHECK: nn.fused column(%[[K]]#0) : (tensor<256x128xf32>)
// CHECK-NOT: nn.mul
// CHECK: return %[[K]]#1
func.func @stored(%a: tensor<256x128xf32>, %b: tensor<256x128xf32>, %c: tensor<256x128xf32>)
    -> (tensor<256xf32>, tensor<128xf32>) {
  %0 = nn.add %a, %b : tensor<256x128xf32>
  %y = nn.mul %0, %c : tensor<256x128xf32>
  %r = nn.reduce sum %y [1] : tensor<256x128xf32> -> tensor<256xf32>
  %s = nn.reduce sum %y [0] : tensor<256x128xf32> -> tensor<128xf32>
  return %r, %s : tensor<256xf32>, tensor<128xf32>
}

// One input, but much arithmetic: stored.
// CHECK-LABEL: func.func @much_work
// CHECK: %[[K:[0-9a-z]+]]:2 = nn.fused row(%arg0)
// CHECK: nn.fused column(%[[K]]#0)
// CHECK-NOT: nn.tanh
// CHECK: return
func.func @much_work(%x: tensor<256x128xf32>) -> (tensor<256xf32>, tensor<128xf32>) {
  %0 = nn.exp %x : tensor<256x128xf32>
  %1 = nn.tanh %0 : tensor<256x128xf32>
  %2 = nn.sin %1 : tensor<256x128xf32>
  %3 = nn.erf %2 : tensor<256x128xf32>
  %4 = nn.exp %3 : tensor<256x128xf32>
  %y = nn.tanh %4 : tensor<256x128xf32>
  %r = nn.reduce sum %y [1] : tensor<256x128xf32> -> tensor<256xf32>
  %s = nn.reduce sum %y [0] : tensor<256x128xf32> -> tensor<128xf32>
  return %r, %s : tensor<256xf32>, tensor<128xf32>
}

// Both needs are in one kernel: nothing is stored, and each input is read once.
// CHECK-LABEL: func.func @one_reader
// CHECK: nn.fused row(%arg0, %arg1, %arg2) : {{.*}} -> (tensor<256xf32>, tensor<256xf32>)
// CHECK-NOT: nn.fused
// CHECK: return
func.func @one_reader(%a: tensor<256x128xf32>, %b: tensor<256x128xf32>, %c: tensor<256x128xf32>)
    -> (tensor<256xf32>, tensor<256xf32>) {
  %0 = nn.add %a, %b : tensor<256x128xf32>
  %y = nn.mul %0, %c : tensor<256x128xf32>
  %r = nn.reduce sum %y [1] : tensor<256x128xf32> -> tensor<256xf32>
  %s = nn.reduce max %y [1] : tensor<256x128xf32> -> tensor<256xf32>
  return %r, %s : tensor<256xf32>, tensor<256xf32>
}

// The product needs y in memory; the last kernel, which reads x anyway, computes y from it and does
// not read y.
// CHECK-LABEL: func.func @not_read_again
// CHECK: %[[Y:[0-9a-z]+]] = nn.fused map(%arg0, %arg2)
// CHECK: %[[M:[0-9a-z]+]] = nn.matmul %[[Y]], %arg1
// CHECK: nn.fused map(%[[M]], %arg0, %arg2)
// CHECK: nn.add
// CHECK: nn.mul
func.func @not_read_again(%x: tensor<256x128xf32>, %w: tensor<128x128xf32>, %s: tensor<256xf32>)
    -> tensor<256x128xf32> {
  %b = nn.broadcast %s [0] : tensor<256xf32> -> tensor<256x128xf32>
  %y = nn.add %x, %b : tensor<256x128xf32>
  %m = nn.matmul %y, %w : (tensor<256x128xf32>, tensor<128x128xf32>) -> tensor<256x128xf32>
  %z = nn.mul %m, %y : tensor<256x128xf32>
  %r = nn.sub %z, %x : tensor<256x128xf32>
  return %r : tensor<256x128xf32>
}

// A mask is not kept from the forward to the backward pass, though it has fewer bytes than what it
// is computed from.
// CHECK-LABEL: func.func @mask
// CHECK: nn.fused map(%arg0) : (tensor<256x256xf32>) -> tensor<256x256xf32>
// CHECK: %[[D:[0-9a-z]+]] = nn.matmul
// CHECK: nn.fused map(%arg0, %[[D]])
// CHECK: nn.compare gt
// CHECK: nn.select
func.func @mask(%x: tensor<256x256xf32>, %w: tensor<256x256xf32>) -> tensor<256x256xf32> {
  %zero = nn.constant dense<0.0> : tensor<256x256xf32>
  %mask = nn.compare gt %x, %zero : tensor<256x256xf32> -> tensor<256x256xi1>
  %y = nn.select %mask, %x, %zero : tensor<256x256xi1>, tensor<256x256xf32>
  %dy = nn.matmul %y, %w : (tensor<256x256xf32>, tensor<256x256xf32>) -> tensor<256x256xf32>
  %dx = nn.select %mask, %dy, %zero : tensor<256x256xi1>, tensor<256x256xf32>
  return %dx : tensor<256x256xf32>
}

// What every point of a larger space would compute anew is computed once, in a kernel of its own.
// CHECK-LABEL: func.func @small_first
// CHECK: %[[A:[0-9a-z]+]] = nn.fused map(%arg1) : (tensor<128xf32>) -> tensor<128xf32>
// CHECK: nn.exp
// CHECK: nn.fused map(%arg0, %[[A]])
// CHECK-NOT: nn.exp
// CHECK: return
func.func @small_first(%x: tensor<256x128xf32>, %w: tensor<128xf32>) -> tensor<256x128xf32> {
  %e = nn.exp %w : tensor<128xf32>
  %b = nn.broadcast %e [1] : tensor<128xf32> -> tensor<256x128xf32>
  %y = nn.mul %x, %b : tensor<256x128xf32>
  return %y : tensor<256x128xf32>
}
