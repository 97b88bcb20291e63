// What goes into one kernel together, what must not, and in which order the function then stands.
// RUN: doppel-opt %s --plan-set-target --nn-fuse | FileCheck %s

!matrix = tensor<256x128xf32>
nn.state @w parameter : tensor<64xf32>

// Two results of one large input are one kernel: the input is read once.
// CHECK-LABEL: func.func @shared_input
// CHECK: nn.fused map(%arg0, %arg1) : {{.*}} -> (tensor<256x128xf32>, tensor<256x128xf32>)
// CHECK-NOT: nn.fused
// CHECK: return
func.func @shared_input(%x: !matrix, %w: tensor<128xf32>) -> (!matrix, !matrix) {
  %b = nn.broadcast %w [1] : tensor<128xf32> -> !matrix
  %0 = nn.mul %x, %b : !matrix
  %1 = nn.add %x, %b : !matrix
  return %0, %1 : !matrix, !matrix
}

// Two networks that share no more than weights do not go in lockstep.
// CHECK-LABEL: func.func @lockstep
// CHECK: nn.fused map(%arg0, %arg2)
// CHECK: nn.fused map(%arg1, %arg2)
func.func @lockstep(%x: !matrix, %y: !matrix, %w: tensor<128xf32>) -> (!matrix, !matrix) {
  %b = nn.broadcast %w [1] : tensor<128xf32> -> !matrix
  %0 = nn.mul %x, %b : !matrix
  %1 = nn.mul %y, %b : !matrix
  return %0, %1 : !matrix, !matrix
}

// A value behind a call goes in no kernel before it, though they share an input.
// CHECK-LABEL: func.func @call_between
// CHECK: nn.fused map(%arg0)
// CHECK: %[[C:[0-9a-z]+]] = nn.matmul
// CHECK: nn.fused map(%[[C]], %arg0)
func.func @call_between(%x: tensor<256x256xf32>) -> tensor<256x256xf32> {
  %a = nn.relu %x : tensor<256x256xf32>
  %c = nn.matmul %a, %a : (tensor<256x256xf32>, tensor<256x256xf32>) -> tensor<256x256xf32>
  %d = nn.add %c, %x : tensor<256x256xf32>
  return %d : tensor<256x256xf32>
}

// States are read first, also where a kernel of constants alone came before them.
// CHECK-LABEL: func.func @constant_rate
// CHECK-NEXT: %[[W:[0-9a-z]+]] = nn.read @w
// CHECK-NEXT: nn.fused map() : () -> tensor<f32>
// CHECK: nn.reshape %[[W]]
func.func @constant_rate(%x: tensor<8x8xf32>) -> (tensor<f32>, tensor<8x8xf32>) {
  %rate = nn.constant dense<0.1> : tensor<f32>
  %w = nn.read @w : tensor<64xf32>
  %m = nn.reshape %w : tensor<64xf32> -> tensor<8x8xf32>
  %y = nn.matmul %m, %x : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  return %rate, %y : tensor<f32>, tensor<8x8xf32>
}
