// Every operation of the dialect, printed and read again.
// RUN: doppel-opt %s --verify-roundtrip | FileCheck %s

// CHECK: plan.arena @state {{ ?}}state 128
plan.arena @state state 128
plan.arena @transient transient 1024
plan.arena @io io 192
// CHECK: plan.state @w {{ ?}}parameter at 64 : tensor<8xf32>
plan.state @w parameter at 64 : tensor<8xf32>
// CHECK: plan.kernel @k {{ ?}}map grid 2 scratch 64 attributes {uses_run} {
plan.kernel @k map grid 2 scratch 64 attributes {uses_run} {
^bb0(%x: tensor<8xf32>):
  %0 = nn.run_scalar step : tensor<f32>
  %1 = nn.broadcast %0 [] : tensor<f32> -> tensor<8xf32>
  %2 = nn.add %x, %1 : tensor<8xf32>
  nn.yield %2 : tensor<8xf32>
}
// CHECK: plan.func @step
plan.func @step {
  // CHECK: plan.buffer @io[0] : <!nn.images<4>>
  %images = plan.buffer @io[0] : !plan.buffer<!nn.images<4>>
  // CHECK: %[[SCALARS:.+]] = plan.buffer @io[128] : <!plan.run>
  %run = plan.buffer @io[128] : !plan.buffer<!plan.run>
  // CHECK: %[[W:.+]] = plan.buffer @state[64] : <tensor<8xf32>>
  %w = plan.buffer @state[64] : !plan.buffer<tensor<8xf32>>
  // CHECK: %[[B:.+]] = plan.buffer @transient[0] storage 3 : <tensor<8xf32>>
  %b = plan.buffer @transient[0] storage 3 : !plan.buffer<tensor<8xf32>>
  %p = plan.buffer @transient[64] : !plan.buffer<tensor<8xi32>>
  // CHECK: %[[A:.+]] = plan.alloc : <tensor<16xf32>>
  %a = plan.alloc : !plan.buffer<tensor<16xf32>>
  // CHECK: %[[V:.+]] = plan.view %[[A]][32] : <tensor<16xf32>> -> <tensor<8xf32>>
  %v = plan.view %a[32] : !plan.buffer<tensor<16xf32>> -> !plan.buffer<tensor<8xf32>>
  %m = plan.alloc : !plan.buffer<tensor<8x8xf32>>
  %n = plan.alloc : !plan.buffer<tensor<8x8xf32>>
  plan.input "w" %w : !plan.buffer<tensor<8xf32>>
  // CHECK: plan.launch @k(%[[W]], %[[SCALARS]]) -> (%[[B]])
  plan.launch @k(%w, %run) -> (%b) : (!plan.buffer<tensor<8xf32>>, !plan.buffer<!plan.run>) -> !plan.buffer<tensor<8xf32>>
  // CHECK: plan.call {{ ?}}random_permutation(%[[SCALARS]]) -> (%{{.+}}) [7]
  plan.call random_permutation(%run) -> (%p) [7] : (!plan.buffer<!plan.run>) -> !plan.buffer<tensor<8xi32>>
  // CHECK: plan.call {{ ?}}gemm(%[[M:.+]], %[[M]], %[[B]]) -> (%{{.+}}) [0, 0, 0, 1, 1] {precision = #nn<precision tf32>} :
  plan.call gemm(%m, %m, %b) -> (%n) [0, 0, 0, 1, 1] {precision = #nn<precision tf32>} : (!plan.buffer<tensor<8x8xf32>>, !plan.buffer<tensor<8x8xf32>>, !plan.buffer<tensor<8xf32>>) -> !plan.buffer<tensor<8x8xf32>>
  // CHECK: plan.copy %[[B]] -> %[[V]]
  plan.copy %b -> %v : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<8xf32>>
  // CHECK: plan.collective_start {{ ?}}all_reduce_max %[[B]] -> %[[V]] order 0
  plan.collective_start all_reduce_max %b -> %v order 0 : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<8xf32>>
  // CHECK: plan.check %[[B]] "loss"
  plan.check %b "loss" : !plan.buffer<tensor<8xf32>>
  // CHECK: plan.collective_wait %[[B]] -> %[[V]] order 0
  plan.collective_wait %b -> %v order 0 : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<8xf32>>
  // CHECK: plan.commit
  plan.commit
  // CHECK: plan.output "y" %[[B]]
  plan.output "y" %b : !plan.buffer<tensor<8xf32>>
}
