// RUN: doppel-opt %s --plan-set-target --place-program --plan-elide-copies --cse | FileCheck %s

nn.state @s parameter : tensor<64xf32>
nn.state @m moment : tensor<64xf32>
nn.state @queue queue : tensor<32x16xf32>

// An element-wise update happens in the state itself: no copy is left. The new values are other storages than the old ones.
// CHECK-LABEL: plan.func @in_place
// CHECK-DAG: %[[S:.+]] = plan.buffer @state[0] :
// CHECK-DAG: %[[M:.+]] = plan.buffer @state[256] :
// CHECK-DAG: %[[S2:.+]] = plan.buffer @state[0] storage 0
// CHECK-DAG: %[[M2:.+]] = plan.buffer @state[256] storage 1
// CHECK-NOT: plan.copy
// CHECK: plan.launch @{{.+}}(%[[S]], %[[M]], %{{.+}}) -> (%[[S2]], %[[M2]])
// CHECK-NOT: plan.copy
func.func @in_place(%g: tensor<64xf32>) {
  %s = nn.read @s : tensor<64xf32>
  %m = nn.read @m : tensor<64xf32>
  %s2, %m2 = nn.fused map(%s, %m, %g) : (tensor<64xf32>, tensor<64xf32>, tensor<64xf32>) -> (tensor<64xf32>, tensor<64xf32>) {
  ^bb0(%0: tensor<64xf32>, %1: tensor<64xf32>, %2: tensor<64xf32>):
    %3 = nn.add %1, %2 : tensor<64xf32>
    %4 = nn.sub %0, %3 : tensor<64xf32>
    nn.yield %4, %3 : tensor<64xf32>, tensor<64xf32>
  }
  nn.write @s, %s2 : tensor<64xf32>
  nn.write @m, %m2 : tensor<64xf32>
  return
}

// The old value is used after the write: it is copied out first, and the write itself is in place.
// CHECK-LABEL: plan.func @old_value
// CHECK-DAG: %[[S:.+]] = plan.buffer @state[0] :
// CHECK: plan.copy %[[S]] -> %[[OLD:.+]] :
// CHECK: plan.output "out0" %[[OLD]]
func.func @old_value(%g: tensor<64xf32>) -> tensor<64xf32> {
  %s = nn.read @s : tensor<64xf32>
  %s2 = nn.fused map(%g) : (tensor<64xf32>) -> tensor<64xf32> {
  ^bb0(%0: tensor<64xf32>):
    %1 = nn.neg %0 : tensor<64xf32>
    nn.yield %1 : tensor<64xf32>
  }
  nn.write @s, %s2 : tensor<64xf32>
  return %s : tensor<64xf32>
}

// The kernel reads the elements in another order than it writes them: the new value needs a place of its own.
// CHECK-LABEL: plan.func @transposed
// CHECK-DAG: %[[S:.+]] = plan.buffer @state[0] storage 0 : <tensor<64xf32>>
// CHECK: plan.launch @{{.+}}(%{{.+}}) -> (%[[NEW:[0-9a-z%]+]])
// CHECK: plan.copy %{{.+}} -> %[[S]]
func.func @transposed() {
  %s = nn.read @s : tensor<64xf32>
  %s2 = nn.fused map(%s) : (tensor<64xf32>) -> tensor<64xf32> {
  ^bb0(%0: tensor<64xf32>):
    %1 = nn.reshape %0 : tensor<64xf32> -> tensor<8x8xf32>
    %2 = nn.transpose %1 [1, 0] : tensor<8x8xf32> -> tensor<8x8xf32>
    %3 = nn.reshape %2 : tensor<8x8xf32> -> tensor<64xf32>
    nn.yield %3 : tensor<64xf32>
  }
  nn.write @s, %s2 : tensor<64xf32>
  return
}

// The second output is computed from the old value, which the first may have overwritten by then.
// CHECK-LABEL: plan.func @needed_by_another_output
// CHECK: plan.copy
func.func @needed_by_another_output(%g: tensor<64xf32>) -> tensor<64xf32> {
  %s = nn.read @s : tensor<64xf32>
  %s2, %y = nn.fused map(%s, %g) : (tensor<64xf32>, tensor<64xf32>) -> (tensor<64xf32>, tensor<64xf32>) {
  ^bb0(%0: tensor<64xf32>, %1: tensor<64xf32>):
    %2 = nn.exp %1 : tensor<64xf32>
    %3 = nn.mul %0, %1 : tensor<64xf32>
    nn.yield %2, %3 : tensor<64xf32>, tensor<64xf32>
  }
  nn.write @s, %s2 : tensor<64xf32>
  return %y : tensor<64xf32>
}

// A library call reads the old value between the new one's birth and its write.
// CHECK-LABEL: plan.func @read_in_between
// CHECK: plan.launch @{{.+}} -> (%[[NEW:[0-9a-z]+]]) :
// CHECK: plan.call
// CHECK: plan.copy %[[NEW]] -> %{{.+}}
func.func @read_in_between(%g: tensor<64xf32>) -> tensor<8x8xf32> {
  %s = nn.read @s : tensor<64xf32>
  %w = nn.reshape %s : tensor<64xf32> -> tensor<8x8xf32>
  %s2 = nn.fused map(%s, %g) : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32> {
  ^bb0(%0: tensor<64xf32>, %1: tensor<64xf32>):
    %2 = nn.add %0, %1 : tensor<64xf32>
    nn.yield %2 : tensor<64xf32>
  }
  %y = nn.matmul %w, %w : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  nn.write @s, %s2 : tensor<64xf32>
  return %y : tensor<8x8xf32>
}

// The queue keeps its other rows where they are.
// CHECK-LABEL: plan.func @enqueue
// CHECK-DAG: %[[Q:.+]] = plan.buffer @state[512] :
// CHECK-DAG: %[[Q2:.+]] = plan.buffer @state[512] storage 0 :
// CHECK-NOT: plan.copy
// CHECK: plan.launch @{{.+}}(%[[Q]], %{{.+}}, %{{.+}}) -> (%[[Q2]])
// CHECK-NOT: plan.copy
func.func @enqueue(%rows: tensor<4x16xf32>) {
  %q = nn.read @queue : tensor<32x16xf32>
  %q2 = nn.fused scatter(%q, %rows) : (tensor<32x16xf32>, tensor<4x16xf32>) -> tensor<32x16xf32> {
  ^bb0(%0: tensor<32x16xf32>, %1: tensor<4x16xf32>):
    %2 = nn.enqueue %0, %1 : (tensor<32x16xf32>, tensor<4x16xf32>) -> tensor<32x16xf32>
    nn.yield %2 : tensor<32x16xf32>
  }
  nn.write @queue, %q2 : tensor<32x16xf32>
  return
}

// The parts of a pack and of a concatenation are written where they belong; a part that is used by two of them is copied once.
// CHECK-LABEL: plan.func @parts
// CHECK-COUNT-1: plan.copy
// CHECK-NOT: plan.copy
func.func @parts(%x: tensor<4x16xf32>) -> (tensor<128xf32>, tensor<8x16xf32>) {
  %a = nn.matmul %x, %x {transpose_rhs} : (tensor<4x16xf32>, tensor<4x16xf32>) -> tensor<4x4xf32>
  %b = nn.matmul %a, %x : (tensor<4x4xf32>, tensor<4x16xf32>) -> tensor<4x16xf32>
  %c = nn.matmul %a, %b : (tensor<4x4xf32>, tensor<4x16xf32>) -> tensor<4x16xf32>
  %p = nn.pack %b, %c [0, 64] : (tensor<4x16xf32>, tensor<4x16xf32>) -> tensor<128xf32>
  %d = nn.matmul %a, %c : (tensor<4x4xf32>, tensor<4x16xf32>) -> tensor<4x16xf32>
  %e = nn.concat %c, %d axis 0 : (tensor<4x16xf32>, tensor<4x16xf32>) -> tensor<8x16xf32>
  return %p, %e : tensor<128xf32>, tensor<8x16xf32>
}

// States are written behind the commit point: what is made before a check is copied there, what is made behind it is written in place.
// CHECK-LABEL: plan.func @commit
// CHECK: plan.launch @{{.+}} -> (%[[EARLY:[0-9a-z]+]]) :
// CHECK: plan.check
// CHECK-NEXT: plan.commit
// CHECK-NOT: plan.copy
// CHECK: plan.launch
// CHECK-NOT: plan.copy
// CHECK: plan.copy %[[EARLY]] ->
// CHECK-NOT: plan.copy
func.func @commit(%g: tensor<64xf32>) {
  %s = nn.read @s : tensor<64xf32>
  %m = nn.read @m : tensor<64xf32>
  %s2 = nn.fused map(%s, %g) : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32> {
  ^bb0(%0: tensor<64xf32>, %1: tensor<64xf32>):
    %2 = nn.add %0, %1 : tensor<64xf32>
    nn.yield %2 : tensor<64xf32>
  }
  nn.check_finite %g "gradient" : tensor<64xf32>
  %m2 = nn.fused map(%m, %g) : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32> {
  ^bb0(%0: tensor<64xf32>, %1: tensor<64xf32>):
    %2 = nn.mul %0, %1 : tensor<64xf32>
    nn.yield %2 : tensor<64xf32>
  }
  nn.write @s, %s2 : tensor<64xf32>
  nn.write @m, %m2 : tensor<64xf32>
  return
}

// A library's result is copied, wherever it is made: no flag holds a library back.
// CHECK-LABEL: plan.func @library
// CHECK: plan.call matmul{{.*}} -> (%[[NEW:[0-9a-z]+]])
// CHECK-NEXT: plan.copy %{{.+}} ->
func.func @library(%x: tensor<32x16xf32>, %w: tensor<16x16xf32>) {
  %q = nn.matmul %x, %w : (tensor<32x16xf32>, tensor<16x16xf32>) -> tensor<32x16xf32>
  nn.write @queue, %q : tensor<32x16xf32>
  return
}
