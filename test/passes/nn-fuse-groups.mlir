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

// What only makes new values of states has kernels of its own, since states are written behind the commit point; those of small states
// share one, whatever their sizes.
// CHECK-LABEL: func.func @running_means
// CHECK: %[[A:.+]] = nn.fused column(%arg0)
// CHECK: %[[B:.+]] = nn.fused column(%arg1)
// CHECK: %{{.+}}:2 = nn.fused map(%{{.+}}, %[[A]], %{{.+}}, %[[B]])
// CHECK-NOT: nn.fused
// CHECK: return
nn.state @mean_a buffer : tensor<128xf32>
nn.state @mean_b buffer : tensor<64xf32>
func.func @running_means(%x: !matrix, %y: tensor<256x64xf32>) -> (tensor<128xf32>, tensor<64xf32>) {
  %ra = nn.read @mean_a : tensor<128xf32>
  %rb = nn.read @mean_b : tensor<64xf32>
  %a = nn.reduce sum %x [0] : !matrix -> tensor<128xf32>
  %na = nn.add %ra, %a : tensor<128xf32>
  %b = nn.reduce sum %y [0] : tensor<256x64xf32> -> tensor<64xf32>
  %nb = nn.add %rb, %b : tensor<64xf32>
  nn.write @mean_a, %na : tensor<128xf32>
  nn.write @mean_b, %nb : tensor<64xf32>
  return %a, %b : tensor<128xf32>, tensor<64xf32>
}
