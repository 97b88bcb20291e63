// What an update gives the forward computation is made again for its write, from the old states.
// RUN: doppel-opt %s --nn-remake-updates | FileCheck %s
// RUN: doppel-opt %s --plan-set-target --nn-remake-updates --nn-fuse --nn-order-updates | FileCheck %s --check-prefix=FUSED
// RUN: doppel-opt %s --plan-set-target --nn-remake-updates --nn-fuse --nn-order-updates --place-program --plan-elide-copies --plan-memory --plan-verify-memory | FileCheck %s --check-prefix=PLAN

nn.state @w parameter : tensor<65536xf32>
nn.state @t ema : tensor<65536xf32>
nn.state @queue queue : tensor<64x4xf32>

// CHECK-LABEL: func.func @average
// CHECK-SAME: nn.remade_bytes = 262144
// CHECK: %[[W:.+]] = nn.read @w
// CHECK: %[[T:.+]] = nn.read @t
// CHECK: %[[NOW:.+]] = nn.add
// CHECK: nn.slice %[[NOW]]
// CHECK: nn.check_finite
// CHECK: %[[KEPT:.+]] = nn.mul %[[T]], %{{.+}}
// CHECK: %[[MOVED:.+]] = nn.mul %[[W]], %{{.+}}
// CHECK: %[[AGAIN:.+]] = nn.add %[[KEPT]], %[[MOVED]]
// CHECK: nn.write @t, %[[AGAIN]]

// It is made by the kernel that steps the network, behind the check.
// FUSED-LABEL: func.func @average
// FUSED: nn.matmul
// FUSED: nn.check_finite
// FUSED: %{{.+}}:2 = nn.fused map
// FUSED-NOT: nn.fused
// FUSED: return

// PLAN-LABEL: plan.func @average
// PLAN: plan.check
// PLAN-NEXT: plan.commit
// PLAN-NOT: plan.copy
// PLAN: plan.launch @{{.+}} -> (%{{[^,]+}}, %{{[^,]+}}) :
// PLAN-NOT: plan.copy
// PLAN: plan.output
func.func @average(%x: tensor<8x64xf32>, %g: tensor<65536xf32>) -> tensor<8x64xf32> {
  %w = nn.read @w : tensor<65536xf32>
  %t = nn.read @t : tensor<65536xf32>
  %m = nn.constant dense<0.9> : tensor<f32>
  %n = nn.constant dense<0.1> : tensor<f32>
  %mm = nn.broadcast %m [] : tensor<f32> -> tensor<65536xf32>
  %nn = nn.broadcast %n [] : tensor<f32> -> tensor<65536xf32>
  %a = nn.mul %t, %mm : tensor<65536xf32>
  %b = nn.mul %w, %nn : tensor<65536xf32>
  %t2 = nn.add %a, %b : tensor<65536xf32>
  %part = nn.slice %t2 offsets [0] strides [1] : tensor<65536xf32> -> tensor<4096xf32>
  %weight = nn.reshape %part : tensor<4096xf32> -> tensor<64x64xf32>
  %y = nn.matmul %x, %weight : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
  nn.check_finite %y "loss" : tensor<8x64xf32>
  %w2 = nn.sub %w, %g : tensor<65536xf32>
  nn.write @w, %w2 : tensor<65536xf32>
  nn.write @t, %t2 : tensor<65536xf32>
  return %y : tensor<8x64xf32>
}

// What is made of other values than states is not: it is copied behind the commit point.
// CHECK-LABEL: func.func @rows
// CHECK: %[[Q:.+]] = nn.enqueue
// CHECK: nn.write @queue, %[[Q]]
// PLAN-LABEL: plan.func @rows
// PLAN: plan.launch
// PLAN: plan.commit
// PLAN: plan.copy
func.func @rows(%z: tensor<8x4xf32>) -> tensor<64x4xf32> {
  %q = nn.read @queue : tensor<64x4xf32>
  %q2 = nn.enqueue %q, %z : (tensor<64x4xf32>, tensor<8x4xf32>) -> tensor<64x4xf32>
  %y = nn.exp %q2 : tensor<64x4xf32>
  nn.check_finite %y "loss" : tensor<64x4xf32>
  nn.write @queue, %q2 : tensor<64x4xf32>
  return %y : tensor<64x4xf32>
}
