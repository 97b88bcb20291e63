// RUN: doppel-opt %s --plan-memory --plan-verify-memory | FileCheck %s
// RUN: doppel-opt %s --plan-memory=reuse=false --plan-verify-memory | FileCheck %s --check-prefix=APART

plan.arena @state state 0
// Three values of 256 bytes, of which two live at once. Without reuse each has its own bytes. The functions share the arena.
// CHECK: plan.arena @transient transient 512
// APART: plan.arena @transient transient 768
plan.arena @transient transient 0
plan.arena @io io 256

plan.kernel @relu map grid 1 scratch 0 {
^bb0(%x: tensor<64xf32>):
  %0 = nn.relu %x : tensor<64xf32>
  nn.yield %0 : tensor<64xf32>
}
plan.kernel @reverse map grid 1 scratch 0 {
^bb0(%x: tensor<64xf32>):
  %0 = nn.reshape %x : tensor<64xf32> -> tensor<8x8xf32>
  %1 = nn.transpose %0 [1, 0] : tensor<8x8xf32> -> tensor<8x8xf32>
  %2 = nn.reshape %1 : tensor<8x8xf32> -> tensor<64xf32>
  nn.yield %2 : tensor<64xf32>
}

// CHECK-LABEL: plan.func @chain
// A value that dies in the launch that makes the next cannot be overwritten by it: the kernel reads other elements than it writes.
// CHECK-DAG: %[[A:.+]] = plan.buffer @transient[0] storage 0
// CHECK-DAG: %[[B:.+]] = plan.buffer @transient[256] storage 1
// CHECK-DAG: %[[C:.+]] = plan.buffer @transient[0] storage 2
// CHECK: plan.launch @reverse(%[[A]]) -> (%[[B]])
// CHECK: plan.launch @reverse(%[[B]]) -> (%[[C]])
// CHECK-NOT: plan.alloc
plan.func @chain {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<64xf32>>
  %a = plan.alloc : !plan.buffer<tensor<64xf32>>
  %b = plan.alloc : !plan.buffer<tensor<64xf32>>
  %c = plan.alloc : !plan.buffer<tensor<64xf32>>
  plan.input "x" %x : !plan.buffer<tensor<64xf32>>
  plan.launch @reverse(%x) -> (%a) : (!plan.buffer<tensor<64xf32>>) -> !plan.buffer<tensor<64xf32>>
  plan.launch @reverse(%a) -> (%b) : (!plan.buffer<tensor<64xf32>>) -> !plan.buffer<tensor<64xf32>>
  plan.launch @reverse(%b) -> (%c) : (!plan.buffer<tensor<64xf32>>) -> !plan.buffer<tensor<64xf32>>
  plan.output "y" %c : !plan.buffer<tensor<64xf32>>
}

// An element-wise kernel writes over the input that dies, through a view as well; an input that lives on is kept.
// CHECK-LABEL: plan.func @in_place
// CHECK-DAG: %[[A:.+]] = plan.buffer @transient[[[AT:.+]]] storage 0 : <tensor<64xf32>>
// CHECK-DAG: %[[B:.+]] = plan.buffer @transient[[[AT]]] storage 1
// CHECK-NOT: plan.buffer @transient[[[AT]]] storage 2
// CHECK: plan.launch @relu(%[[A]]) -> (%[[B]])
// CHECK: plan.launch @relu(%[[B]]) -> (%[[C:[0-9a-z]+]]) :
// CHECK: plan.output "b" %[[B]]
plan.func @in_place {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<64xf32>>
  %a = plan.alloc : !plan.buffer<tensor<8x8xf32>>
  %a1 = plan.view %a[0] : !plan.buffer<tensor<8x8xf32>> -> !plan.buffer<tensor<64xf32>>
  %b = plan.alloc : !plan.buffer<tensor<64xf32>>
  %c = plan.alloc : !plan.buffer<tensor<64xf32>>
  plan.launch @reverse(%x) -> (%a1) : (!plan.buffer<tensor<64xf32>>) -> !plan.buffer<tensor<64xf32>>
  plan.launch @relu(%a1) -> (%b) : (!plan.buffer<tensor<64xf32>>) -> !plan.buffer<tensor<64xf32>>
  plan.launch @relu(%b) -> (%c) : (!plan.buffer<tensor<64xf32>>) -> !plan.buffer<tensor<64xf32>>
  plan.output "b" %b : !plan.buffer<tensor<64xf32>>
  plan.output "c" %c : !plan.buffer<tensor<64xf32>>
}

// The host reads an output when all is done, wherever it is named.
// CHECK-LABEL: plan.func @early
// CHECK-DAG: %[[A:.+]] = plan.buffer @transient[[[AT:.+]]] storage 0 : <tensor<64xf32>>
// CHECK-NOT: plan.buffer @transient[[[AT]]] storage 1
// CHECK: plan.output "b"
plan.func @early {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<64xf32>>
  %a = plan.alloc : !plan.buffer<tensor<64xf32>>
  %b = plan.alloc : !plan.buffer<tensor<64xf32>>
  plan.launch @reverse(%x) -> (%a) : (!plan.buffer<tensor<64xf32>>) -> !plan.buffer<tensor<64xf32>>
  plan.output "a" %a : !plan.buffer<tensor<64xf32>>
  plan.launch @reverse(%x) -> (%b) : (!plan.buffer<tensor<64xf32>>) -> !plan.buffer<tensor<64xf32>>
  plan.output "b" %b : !plan.buffer<tensor<64xf32>>
}
