// RUN: doppel-opt %s --plan-set-target --place-program | FileCheck %s

// States lie in one arena: equal kinds together, in the order of declaration, each at a multiple of 64 bytes; members of a group
// where the group has them.
// CHECK: plan.arena @state state 1280
// CHECK: plan.arena @transient transient 0
// 4 images of 24 bytes, the run's scalars, the arguments that are tensors.
// CHECK: plan.arena @io io 384
// CHECK: plan.state @w parameter at 0 : tensor<10xf32>
// CHECK: plan.state @b parameter at 64 : tensor<8xf32>
// CHECK: plan.state @mean buffer at 128 : tensor<3xf32>
// CHECK: plan.state @w.momentum moment at 192 : tensor<10xf32>
// CHECK: plan.state @b.momentum moment at 256 : tensor<8xf32>
// CHECK: plan.state @queue queue at 320 : tensor<16x15xf32>
// CHECK-NOT: nn.state
module attributes {nn.batch = 4 : i64} {
  nn.state @mean buffer : tensor<3xf32>
  nn.state @w parameter : tensor<10xf32>
  nn.state @queue queue : tensor<16x15xf32>
  nn.state @"w.momentum" moment : tensor<10xf32>
  nn.state @b parameter : tensor<8xf32>
  nn.state @"b.momentum" moment : tensor<8xf32>
  nn.state_group @params parameter [@w, @b] [0, 16] : tensor<24xf32>
  nn.state_group @moments moment [@"w.momentum", @"b.momentum"] [0, 16] : tensor<24xf32>

  // Equal bodies are one kernel, whatever their locations; a body that reads the run's scalars says so.
  // CHECK: plan.kernel @map_0 map grid 1 scratch 0 {
  // CHECK: nn.neg
  // CHECK: plan.kernel @map_1 map grid 1 scratch 0 attributes {uses_run} {
  // CHECK: nn.run_scalar
  // CHECK: plan.kernel @map_2
  // CHECK: nn.constant dense<0.0
  // CHECK-NOT: plan.kernel

  // CHECK-LABEL: plan.func @kernels
  // CHECK-DAG: %[[X:.+]] = plan.buffer @io[192] : <tensor<8xf32>>
  // CHECK-DAG: %[[SCALARS:.+]] = plan.buffer @io[128] : <!plan.run>
  // CHECK-DAG: %[[A:.+]] = plan.alloc
  // CHECK: plan.input "x" %[[X]]
  // CHECK: plan.launch @map_0(%[[X]]) -> (%[[A:[0-9a-z]+]])
  // CHECK: plan.launch @map_0(%[[A]]) -> (%[[B:[0-9a-z]+]])
  // CHECK: plan.launch @map_1(%[[B]], %[[SCALARS]]) -> (%[[C:[0-9a-z]+]])
  // CHECK: plan.output "y" %[[C]]
  func.func @kernels(%x: tensor<8xf32> {nn.name = "x"}) -> (tensor<8xf32> {nn.name = "y"}) {
    %a = nn.fused map(%x) : (tensor<8xf32>) -> tensor<8xf32> {
    ^bb0(%0: tensor<8xf32>):
      %1 = nn.neg %0 : tensor<8xf32>
      nn.yield %1 : tensor<8xf32>
    }
    %b = nn.fused map(%a) : (tensor<8xf32>) -> tensor<8xf32> {
    ^bb0(%0: tensor<8xf32>):
      %1 = nn.neg %0 : tensor<8xf32>
      nn.yield %1 : tensor<8xf32>
    }
    %c = nn.fused map(%b) : (tensor<8xf32>) -> tensor<8xf32> {
    ^bb0(%0: tensor<8xf32>):
      %s = nn.run_scalar step : tensor<f32>
      %t = nn.broadcast %s [] : tensor<f32> -> tensor<8xf32>
      %1 = nn.mul %0, %t : tensor<8xf32>
      nn.yield %1 : tensor<8xf32>
    }
    return %c : tensor<8xf32>
  }

  // A state is copied out where it is read and copied in where it is written; a part of a group is a view.
  // CHECK-LABEL: plan.func @states
  // CHECK-DAG: %[[GROUP:.+]] = plan.buffer @state[0] : <tensor<24xf32>>
  // CHECK-DAG: %[[VALUE:.+]] = plan.alloc : <tensor<24xf32>>
  // CHECK-DAG: %[[B:.+]] = plan.view %[[VALUE]][64]
  // CHECK-DAG: %[[MATRIX:.+]] = plan.view %[[B]][0] : <tensor<8xf32>> -> <tensor<2x4xf32>>
  // CHECK: plan.copy %[[GROUP]] -> %[[VALUE]]
  // CHECK: plan.call {{ ?}}matmul(%[[MATRIX]], %[[MATRIX]]) -> (%[[C:[0-9a-z]+]]) [0, 1]
  // CHECK: plan.check %[[C]] "product"
  // CHECK: plan.copy %[[VALUE]] -> %{{.+}} : <tensor<24xf32>>
  func.func @states() {
    %w = nn.read @params : tensor<24xf32>
    %b = nn.slice %w offsets [16] strides [1] : tensor<24xf32> -> tensor<8xf32>
    %m = nn.reshape %b : tensor<8xf32> -> tensor<2x4xf32>
    %c = nn.matmul %m, %m {transpose_rhs} : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x2xf32>
    nn.check_finite %c "product" : tensor<2x2xf32>
    nn.write @params, %w : tensor<24xf32>
    return
  }

  // The parts of a pack are copied to their places, the gaps are set to zero; a part that is not aligned gets a place of its own.
  // CHECK-LABEL: plan.func @packs
  // CHECK-DAG: %[[P:.+]] = plan.alloc : <tensor<24xf32>>
  // CHECK-DAG: %[[FIRST:.+]] = plan.view %[[P]][0]
  // CHECK-DAG: %[[SECOND:.+]] = plan.view %[[P]][64]
  // CHECK-DAG: %[[GAP:.+]] = plan.view %[[P]][40] {{.*}} -> <tensor<6xf32>>
  // CHECK-DAG: %[[ODD:.+]] = plan.view %[[P]][12] {{.*}} -> <tensor<4xf32>>
  // CHECK-DAG: %[[EVEN:.+]] = plan.alloc : <tensor<4xf32>>
  // CHECK: plan.copy %{{.+}} -> %[[FIRST]]
  // CHECK: plan.copy %{{.+}} -> %[[SECOND]]
  // CHECK: plan.launch @{{.+}}() -> (%[[ZEROS:[0-9a-z]+]])
  // CHECK: plan.copy %[[ZEROS]] -> %[[GAP]]
  // CHECK: plan.copy %[[ODD]] -> %[[EVEN]]
  // CHECK: plan.output "out0" %[[EVEN]]
  func.func @packs(%w: tensor<10xf32>, %b: tensor<8xf32>) -> tensor<4xf32> {
    %p = nn.pack %w, %b [0, 16] : (tensor<10xf32>, tensor<8xf32>) -> tensor<24xf32>
    %s = nn.slice %p offsets [3] strides [1] : tensor<24xf32> -> tensor<4xf32>
    return %s : tensor<4xf32>
  }
}
