// Copies in programs that are placed already: what must stay, whatever the order in which copies go.
// RUN: doppel-opt %s --plan-elide-copies | FileCheck %s

plan.arena @state state 512
plan.arena @transient transient 0
plan.arena @io io 0

plan.kernel @turn map grid 1 scratch 0 {
^bb0(%x: tensor<64xf32>):
  %0 = nn.reshape %x : tensor<64xf32> -> tensor<8x8xf32>
  %1 = nn.transpose %0 [1, 0] : tensor<8x8xf32> -> tensor<8x8xf32>
  %2 = nn.reshape %1 : tensor<8x8xf32> -> tensor<64xf32>
  nn.yield %2 : tensor<64xf32>
}

// The last reader of the copy is what overwrites the source, out of order: reading the source itself would read new values.
// CHECK-LABEL: plan.func @overwritten_by_its_reader
// CHECK-DAG: %[[S:.+]] = plan.buffer @state[0]
// CHECK-DAG: %[[OLD:.+]] = plan.alloc
// CHECK: plan.copy %[[S]] -> %[[OLD]]
// CHECK-NEXT: plan.launch @turn(%[[OLD]]) -> (%[[S]])
plan.func @overwritten_by_its_reader {
  %s = plan.buffer @state[0] : !plan.buffer<tensor<64xf32>>
  %old = plan.alloc : !plan.buffer<tensor<64xf32>>
  plan.copy %s -> %old : !plan.buffer<tensor<64xf32>> -> !plan.buffer<tensor<64xf32>>
  plan.launch @turn(%old) -> (%s) : (!plan.buffer<tensor<64xf32>>) -> !plan.buffer<tensor<64xf32>>
}

// Where the write comes after the last reader, the copy goes.
// CHECK-LABEL: plan.func @overwritten_later
// CHECK-NOT: plan.copy
// CHECK-COUNT-2: plan.launch @turn
plan.func @overwritten_later {
  %s = plan.buffer @state[0] : !plan.buffer<tensor<64xf32>>
  %t = plan.buffer @state[256] : !plan.buffer<tensor<64xf32>>
  %old = plan.alloc : !plan.buffer<tensor<64xf32>>
  plan.copy %s -> %old : !plan.buffer<tensor<64xf32>> -> !plan.buffer<tensor<64xf32>>
  plan.launch @turn(%old) -> (%t) : (!plan.buffer<tensor<64xf32>>) -> !plan.buffer<tensor<64xf32>>
  plan.launch @turn(%t) -> (%s) : (!plan.buffer<tensor<64xf32>>) -> !plan.buffer<tensor<64xf32>>
}
