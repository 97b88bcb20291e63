// Products take the sums, biases and relus behind them where the target's library does that; a CPU's stay as they are.
// RUN: doppel-opt %s --plan-set-target=target=cuda --nn-fuse-epilogues | FileCheck %s
// RUN: doppel-opt %s --plan-set-target=target=cpu --nn-fuse-epilogues | FileCheck %s --check-prefix=CPU
// CPU-NOT: nn.gemm
//
// What is computed stays.
// RUN: doppel-verify run %s > %t.before
// RUN: doppel-opt %s --plan-set-target=target=cuda --nn-fuse-epilogues -o %t.mlir
// RUN: doppel-verify run %t.mlir | diff %t.before -

// A layer, and the layer behind it, whose gradients ask for its result alone.
// CHECK-LABEL: @layers
// CHECK: %[[Y:.*]] = nn.gemm %arg0, %arg1 bias %arg2 {precision = #nn<precision tf32>, relu, transpose_rhs} : (tensor<4x3xf32>, tensor<5x3xf32>, tensor<5xf32>) -> tensor<4x5xf32>
// CHECK-NEXT: %[[Z:.*]] = nn.gemm %[[Y]], %arg3 bias %arg4 :
// CHECK-NEXT: nn.compare gt %[[Y]]
// CHECK-NOT: nn.broadcast
func.func @layers(%x: tensor<4x3xf32>, %w: tensor<5x3xf32>, %b: tensor<5xf32>, %v: tensor<5x2xf32>, %c: tensor<2xf32>) -> (tensor<4x2xf32>, tensor<4x5xi1>) {
  %zero = nn.constant dense<0.0> : tensor<4x5xf32>
  %m = nn.matmul %x, %w {precision = #nn<precision tf32>, transpose_rhs} : (tensor<4x3xf32>, tensor<5x3xf32>) -> tensor<4x5xf32>
  %bb = nn.broadcast %b [1] : tensor<5xf32> -> tensor<4x5xf32>
  %s = nn.add %m, %bb : tensor<4x5xf32>
  %y = nn.relu %s : tensor<4x5xf32>
  %n = nn.matmul %y, %v : (tensor<4x5xf32>, tensor<5x2xf32>) -> tensor<4x2xf32>
  %cc = nn.broadcast %c [1] : tensor<2xf32> -> tensor<4x2xf32>
  %z = nn.add %cc, %n : tensor<4x2xf32>
  %mask = nn.compare gt %y, %zero : tensor<4x5xf32> -> tensor<4x5xi1>
  return %z, %mask : tensor<4x2xf32>, tensor<4x5xi1>
}

// The gradient of a layer that is used three times: each product adds to the one before it.
// CHECK-LABEL: @sums
// CHECK: %[[ONE:.*]] = nn.matmul %arg0, %arg1 {transpose_lhs}
// CHECK-NEXT: %[[TWO:.*]] = nn.gemm %arg2, %arg3 add %[[ONE]] {transpose_lhs}
// CHECK-NEXT: %[[THREE:.*]] = nn.gemm %arg0, %arg3 add %[[TWO]] {transpose_lhs}
// CHECK-NEXT: return %[[THREE]]
func.func @sums(%a: tensor<4x3xf32>, %b: tensor<4x2xf32>, %c: tensor<4x3xf32>, %d: tensor<4x2xf32>) -> tensor<3x2xf32> {
  %0 = nn.matmul %a, %b {transpose_lhs} : (tensor<4x3xf32>, tensor<4x2xf32>) -> tensor<3x2xf32>
  %1 = nn.matmul %c, %d {transpose_lhs} : (tensor<4x3xf32>, tensor<4x2xf32>) -> tensor<3x2xf32>
  %2 = nn.matmul %a, %d {transpose_lhs} : (tensor<4x3xf32>, tensor<4x2xf32>) -> tensor<3x2xf32>
  %s = nn.add %0, %1 : tensor<3x2xf32>
  %t = nn.add %2, %s : tensor<3x2xf32>
  return %t : tensor<3x2xf32>
}

// A residual of [N, T, C] around a product of [N T, C], which is read by another kernel too.
// CHECK-LABEL: @residual
// CHECK: %[[X:.*]] = nn.tanh
// CHECK: %[[C:.*]] = nn.reshape %[[X]] : tensor<2x2x3xf32> -> tensor<4x3xf32>
// CHECK-NEXT: %[[G:.*]] = nn.gemm %{{.*}}, %arg1 add %[[C]] bias %arg2 :
// CHECK-NEXT: %[[R:.*]] = nn.reshape %[[G]] : tensor<4x3xf32> -> tensor<2x2x3xf32>
// CHECK-NOT: nn.add
// CHECK: nn.exp %[[X]]
// CHECK: return %[[R]]
func.func @residual(%i: tensor<2x2x3xf32>, %w: tensor<3x3xf32>, %b: tensor<3xf32>) -> (tensor<2x2x3xf32>, tensor<2x2x3xf32>) {
  %x = nn.tanh %i : tensor<2x2x3xf32>
  %f = nn.reshape %i : tensor<2x2x3xf32> -> tensor<4x3xf32>
  %m = nn.matmul %f, %w : (tensor<4x3xf32>, tensor<3x3xf32>) -> tensor<4x3xf32>
  %bb = nn.broadcast %b [1] : tensor<3xf32> -> tensor<4x3xf32>
  %s = nn.add %m, %bb : tensor<4x3xf32>
  %r = nn.reshape %s : tensor<4x3xf32> -> tensor<2x2x3xf32>
  %y = nn.add %x, %r : tensor<2x2x3xf32>
  %e = nn.exp %x : tensor<2x2x3xf32>
  return %y, %e : tensor<2x2x3xf32>, tensor<2x2x3xf32>
}

// Of a batch of products; a state is in memory; the addend comes behind the product.
// CHECK-LABEL: @batch
// CHECK: nn.gemm %arg0, %arg1 add %{{.*}} bias %arg2 {relu} : (tensor<2x4x3xf32>, tensor<2x3x5xf32>, tensor<2x4x5xf32>, tensor<5xf32>) -> tensor<2x4x5xf32>
func.func @batch(%a: tensor<2x4x3xf32>, %b: tensor<2x3x5xf32>, %c: tensor<5xf32>, %d: tensor<2x4x2xf32>, %e: tensor<2x2x5xf32>) -> tensor<2x4x5xf32> {
  %m = nn.matmul %a, %b : (tensor<2x4x3xf32>, tensor<2x3x5xf32>) -> tensor<2x4x5xf32>
  %u = nn.matmul %d, %e : (tensor<2x4x2xf32>, tensor<2x2x5xf32>) -> tensor<2x4x5xf32>
  %t = nn.tanh %u : tensor<2x4x5xf32>
  %v = nn.add %u, %t : tensor<2x4x5xf32>
  %k = nn.mul %v, %v : tensor<2x4x5xf32>
  %cc = nn.broadcast %c [2] : tensor<5xf32> -> tensor<2x4x5xf32>
  %s = nn.add %m, %cc : tensor<2x4x5xf32>
  %x = nn.add %s, %v : tensor<2x4x5xf32>
  %y = nn.relu %x : tensor<2x4x5xf32>
  %z = nn.mul %y, %k : tensor<2x4x5xf32>
  return %z : tensor<2x4x5xf32>
}

// Relu alone.
// CHECK-LABEL: @relu
// CHECK: nn.gemm %arg0, %arg1 {relu} : (tensor<2x3xf32>, tensor<3x2xf32>) -> tensor<2x2xf32>
func.func @relu(%a: tensor<2x3xf32>, %b: tensor<3x2xf32>) -> tensor<2x2xf32> {
  %m = nn.matmul %a, %b : (tensor<2x3xf32>, tensor<3x2xf32>) -> tensor<2x2xf32>
  %y = nn.relu %m : tensor<2x2xf32>
  return %y : tensor<2x2xf32>
}

// A bias of the rows is none of the columns, nor is a number; what is added once to values that a kernel would make on the way stays there.
// CHECK-LABEL: @others
// CHECK-COUNT-4: nn.matmul
// CHECK-NOT: nn.gemm
func.func @others(%a: tensor<3x3xf32>, %b: tensor<3xf32>, %c: tensor<f32>) -> (tensor<3x3xf32>, tensor<3x3xf32>, tensor<3x3xf32>, tensor<3x3xf32>) {
  %0 = nn.matmul %a, %a : (tensor<3x3xf32>, tensor<3x3xf32>) -> tensor<3x3xf32>
  %bb = nn.broadcast %b [0] : tensor<3xf32> -> tensor<3x3xf32>
  %s = nn.add %0, %bb : tensor<3x3xf32>
  %1 = nn.matmul %a, %a {transpose_rhs} : (tensor<3x3xf32>, tensor<3x3xf32>) -> tensor<3x3xf32>
  %cc = nn.broadcast %c [] : tensor<f32> -> tensor<3x3xf32>
  %t = nn.add %1, %cc : tensor<3x3xf32>
  %2 = nn.matmul %a, %a {transpose_lhs} : (tensor<3x3xf32>, tensor<3x3xf32>) -> tensor<3x3xf32>
  %e = nn.exp %a : tensor<3x3xf32>
  %u = nn.add %2, %e : tensor<3x3xf32>
  %3 = nn.matmul %a, %a {transpose_lhs, transpose_rhs} : (tensor<3x3xf32>, tensor<3x3xf32>) -> tensor<3x3xf32>
  %d = nn.sub %3, %a : tensor<3x3xf32>
  return %s, %t, %u, %d : tensor<3x3xf32>, tensor<3x3xf32>, tensor<3x3xf32>, tensor<3x3xf32>
}

// A value on the way that someone else reads is stored as it is: relu before the bias, a product that is a result, a sum that is.
// CHECK-LABEL: @readers
// CHECK: nn.matmul
// CHECK: nn.gemm %arg0, %arg0 bias %arg1 {transpose_rhs}
// CHECK: nn.relu
// CHECK: nn.gemm %arg0, %arg0 {relu, transpose_lhs}
// CHECK: nn.add
func.func @readers(%a: tensor<3x3xf32>, %b: tensor<3xf32>) -> (tensor<3x3xf32>, tensor<3x3xf32>, tensor<3x3xf32>, tensor<3x3xf32>, tensor<3x3xf32>) {
  %bb = nn.broadcast %b [1] : tensor<3xf32> -> tensor<3x3xf32>
  %0 = nn.matmul %a, %a : (tensor<3x3xf32>, tensor<3x3xf32>) -> tensor<3x3xf32>
  %s = nn.add %0, %bb : tensor<3x3xf32>
  %1 = nn.matmul %a, %a {transpose_rhs} : (tensor<3x3xf32>, tensor<3x3xf32>) -> tensor<3x3xf32>
  %t = nn.add %1, %bb : tensor<3x3xf32>
  %r = nn.relu %t : tensor<3x3xf32>
  %2 = nn.matmul %a, %a {transpose_lhs} : (tensor<3x3xf32>, tensor<3x3xf32>) -> tensor<3x3xf32>
  %q = nn.relu %2 : tensor<3x3xf32>
  %u = nn.add %q, %bb : tensor<3x3xf32>
  return %0, %s, %t, %r, %u : tensor<3x3xf32>, tensor<3x3xf32>, tensor<3x3xf32>, tensor<3x3xf32>, tensor<3x3xf32>
}

// The oracle's doubles are no product of cuBLASLt.
// CHECK-LABEL: @double
// CHECK: nn.matmul
func.func @double(%a: tensor<2x3xf64>, %b: tensor<3x2xf64>) -> tensor<2x2xf64> {
  %m = nn.matmul %a, %b : (tensor<2x3xf64>, tensor<3x2xf64>) -> tensor<2x2xf64>
  %y = nn.relu %m : tensor<2x2xf64>
  return %y : tensor<2x2xf64>
}
