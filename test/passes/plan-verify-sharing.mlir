// Where a kernel may write over what it reads, by the verifier's own rule. Each launch below writes output 0 over input 0.
// RUN: doppel-opt %s --plan-verify-memory -split-input-file -verify-diagnostics

// Allowed: element by element, through views, with broadcasts of other values, a softmax along rows, a normalization along columns, a second
// output that takes the same elements, in the last sweep or before it.
plan.arena @state state 0
plan.arena @transient transient 2048
plan.arena @io io 2048
plan.kernel @map map grid 1 scratch 0 {
^bb0(%x: tensor<8x16xf32>, %y: tensor<16xf32>):
  %0 = nn.broadcast %y [1] : tensor<16xf32> -> tensor<8x16xf32>
  %1 = nn.mul %x, %0 : tensor<8x16xf32>
  %2 = nn.reshape %1 : tensor<8x16xf32> -> tensor<128xf32>
  %3 = nn.exp %2 : tensor<128xf32>
  %4 = nn.reshape %3 : tensor<128xf32> -> tensor<8x16xf32>
  %5 = nn.sub %x, %0 : tensor<8x16xf32>
  nn.yield %4, %5 : tensor<8x16xf32>, tensor<8x16xf32>
}
plan.kernel @softmax row grid 1 scratch 0 {
^bb0(%x: tensor<8x16xf32>):
  %m = nn.reduce max %x [1] : tensor<8x16xf32> -> tensor<8xf32>
  %mb = nn.broadcast %m [0] : tensor<8xf32> -> tensor<8x16xf32>
  %d = nn.sub %x, %mb : tensor<8x16xf32>
  %e = nn.exp %d : tensor<8x16xf32>
  %s = nn.reduce sum %e [1] : tensor<8x16xf32> -> tensor<8xf32>
  %sb = nn.broadcast %s [0] : tensor<8xf32> -> tensor<8x16xf32>
  %y = nn.div %e, %sb : tensor<8x16xf32>
  nn.yield %y, %s : tensor<8x16xf32>, tensor<8xf32>
}
plan.kernel @columns column grid 1 scratch 0 {
^bb0(%x: tensor<8x16xf32>):
  %m = nn.reduce sum %x [0] : tensor<8x16xf32> -> tensor<16xf32>
  %mb = nn.broadcast %m [1] : tensor<16xf32> -> tensor<8x16xf32>
  %y = nn.sub %x, %mb : tensor<8x16xf32>
  nn.yield %y : tensor<8x16xf32>
}
plan.kernel @both column grid 1 scratch 0 {
^bb0(%x: tensor<8x16xf32>):
  %m = nn.reduce sum %x [0] : tensor<8x16xf32> -> tensor<16xf32>
  %mb = nn.broadcast %m [1] : tensor<16xf32> -> tensor<8x16xf32>
  %y = nn.sub %x, %mb : tensor<8x16xf32>
  %z = nn.exp %x : tensor<8x16xf32>
  nn.yield %y, %z : tensor<8x16xf32>, tensor<8x16xf32>
}
plan.kernel @ring scatter grid 1 scratch 0 attributes {uses_run} {
^bb0(%q: tensor<8x16xf32>, %r: tensor<2x16xf32>):
  %0 = nn.enqueue %q, %r : (tensor<8x16xf32>, tensor<2x16xf32>) -> tensor<8x16xf32>
  nn.yield %0 : tensor<8x16xf32>
}
plan.func @allowed {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<8x16xf32>>
  %v = plan.buffer @io[512] : !plan.buffer<tensor<16xf32>>
  %rows = plan.buffer @io[576] : !plan.buffer<tensor<2x16xf32>>
  %run = plan.buffer @io[704] : !plan.buffer<!plan.run>
  %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<8x16xf32>>
  %b = plan.buffer @transient[0] storage 1 : !plan.buffer<tensor<8x16xf32>>
  %c = plan.buffer @transient[0] storage 2 : !plan.buffer<tensor<8x16xf32>>
  %d = plan.buffer @transient[0] storage 3 : !plan.buffer<tensor<8x16xf32>>
  %e = plan.buffer @transient[0] storage 4 : !plan.buffer<tensor<8x16xf32>>
  %f = plan.buffer @transient[0] storage 7 : !plan.buffer<tensor<8x16xf32>>
  %other = plan.buffer @transient[512] storage 5 : !plan.buffer<tensor<8x16xf32>>
  %sum = plan.buffer @transient[1024] storage 6 : !plan.buffer<tensor<8xf32>>
  plan.copy %x -> %a : !plan.buffer<tensor<8x16xf32>> -> !plan.buffer<tensor<8x16xf32>>
  plan.launch @map(%a, %v) -> (%b, %other) : (!plan.buffer<tensor<8x16xf32>>, !plan.buffer<tensor<16xf32>>) -> (!plan.buffer<tensor<8x16xf32>>, !plan.buffer<tensor<8x16xf32>>)
  plan.launch @softmax(%b) -> (%c, %sum) : (!plan.buffer<tensor<8x16xf32>>) -> (!plan.buffer<tensor<8x16xf32>>, !plan.buffer<tensor<8xf32>>)
  plan.launch @columns(%c) -> (%d) : (!plan.buffer<tensor<8x16xf32>>) -> !plan.buffer<tensor<8x16xf32>>
  plan.launch @both(%d) -> (%f, %other) : (!plan.buffer<tensor<8x16xf32>>) -> (!plan.buffer<tensor<8x16xf32>>, !plan.buffer<tensor<8x16xf32>>)
  plan.launch @ring(%f, %rows, %run) -> (%e) : (!plan.buffer<tensor<8x16xf32>>, !plan.buffer<tensor<2x16xf32>>, !plan.buffer<!plan.run>) -> !plan.buffer<tensor<8x16xf32>>
}

// -----

// The elements are read in another order.
plan.arena @state state 0
plan.arena @transient transient 2048
plan.arena @io io 2048
plan.kernel @k map grid 1 scratch 0 {
^bb0(%x: tensor<16x16xf32>):
  %0 = nn.transpose %x [1, 0] : tensor<16x16xf32> -> tensor<16x16xf32>
  nn.yield %0 : tensor<16x16xf32>
}
plan.func @transposed {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<16x16xf32>>
  %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<16x16xf32>>
  %b = plan.buffer @transient[0] storage 1 : !plan.buffer<tensor<16x16xf32>>
  plan.copy %x -> %a : !plan.buffer<tensor<16x16xf32>> -> !plan.buffer<tensor<16x16xf32>>
  // expected-error @below {{in @transposed writes output 0 over input 0, which it may not share}}
  plan.launch @k(%a) -> (%b) : (!plan.buffer<tensor<16x16xf32>>) -> !plan.buffer<tensor<16x16xf32>>
}

// -----

// Each element needs its neighbour, which may have been written.
plan.arena @state state 0
plan.arena @transient transient 2048
plan.arena @io io 2048
plan.kernel @k map grid 1 scratch 0 {
^bb0(%x: tensor<16x16xf32>):
  %0 = nn.slice %x offsets [0, 1] strides [1, 1] : tensor<16x16xf32> -> tensor<16x15xf32>
  %1 = nn.pad %0 offsets [0, 0] strides [1, 1] : tensor<16x15xf32> -> tensor<16x16xf32>
  nn.yield %1 : tensor<16x16xf32>
}
plan.func @neighbour {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<16x16xf32>>
  %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<16x16xf32>>
  %b = plan.buffer @transient[0] storage 1 : !plan.buffer<tensor<16x16xf32>>
  plan.copy %x -> %a : !plan.buffer<tensor<16x16xf32>> -> !plan.buffer<tensor<16x16xf32>>
  // expected-error @below {{in @neighbour writes output 0 over input 0, which it may not share}}
  plan.launch @k(%a) -> (%b) : (!plan.buffer<tensor<16x16xf32>>) -> !plan.buffer<tensor<16x16xf32>>
}

// -----

// The sum of a row goes to a column.
plan.arena @state state 0
plan.arena @transient transient 2048
plan.arena @io io 2048
plan.kernel @k map grid 1 scratch 0 {
^bb0(%x: tensor<16x16xf32>):
  %0 = nn.reduce sum %x [1] : tensor<16x16xf32> -> tensor<16xf32>
  %1 = nn.broadcast %0 [1] : tensor<16xf32> -> tensor<16x16xf32>
  %2 = nn.sub %x, %1 : tensor<16x16xf32>
  nn.yield %2 : tensor<16x16xf32>
}
plan.func @other_lines {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<16x16xf32>>
  %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<16x16xf32>>
  %b = plan.buffer @transient[0] storage 1 : !plan.buffer<tensor<16x16xf32>>
  plan.copy %x -> %a : !plan.buffer<tensor<16x16xf32>> -> !plan.buffer<tensor<16x16xf32>>
  // expected-error @below {{in @other_lines writes output 0 over input 0, which it may not share}}
  plan.launch @k(%a) -> (%b) : (!plan.buffer<tensor<16x16xf32>>) -> !plan.buffer<tensor<16x16xf32>>
}

// -----

// The output is stored in the first sweep, the second one reads again.
plan.arena @state state 0
plan.arena @transient transient 2048
plan.arena @io io 2048
plan.kernel @k map grid 1 scratch 0 {
^bb0(%x: tensor<16x16xf32>):
  %0 = nn.exp %x : tensor<16x16xf32>
  %1 = nn.reduce sum %x [1] : tensor<16x16xf32> -> tensor<16xf32>
  nn.yield %0, %1 : tensor<16x16xf32>, tensor<16xf32>
}
plan.func @early {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<16x16xf32>>
  %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<16x16xf32>>
  %b = plan.buffer @transient[0] storage 1 : !plan.buffer<tensor<16x16xf32>>
  %c = plan.buffer @transient[1024] storage 2 : !plan.buffer<tensor<16xf32>>
  plan.copy %x -> %a : !plan.buffer<tensor<16x16xf32>> -> !plan.buffer<tensor<16x16xf32>>
  // expected-error @below {{in @early writes output 0 over input 0, which it may not share}}
  plan.launch @k(%a) -> (%b, %c) : (!plan.buffer<tensor<16x16xf32>>) -> (!plan.buffer<tensor<16x16xf32>>, !plan.buffer<tensor<16xf32>>)
}

// -----

// The other output needs one sweep more than this one.
plan.arena @state state 0
plan.arena @transient transient 2048
plan.arena @io io 2048
plan.kernel @k map grid 1 scratch 0 {
^bb0(%x: tensor<16x16xf32>):
  %0 = nn.reduce max %x [1] : tensor<16x16xf32> -> tensor<16xf32>
  %1 = nn.broadcast %0 [0] : tensor<16xf32> -> tensor<16x16xf32>
  %2 = nn.sub %x, %1 : tensor<16x16xf32>
  %3 = nn.exp %2 : tensor<16x16xf32>
  %4 = nn.reduce sum %3 [1] : tensor<16x16xf32> -> tensor<16xf32>
  nn.yield %2, %4 : tensor<16x16xf32>, tensor<16xf32>
}
plan.func @deeper {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<16x16xf32>>
  %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<16x16xf32>>
  %b = plan.buffer @transient[0] storage 1 : !plan.buffer<tensor<16x16xf32>>
  %c = plan.buffer @transient[1024] storage 2 : !plan.buffer<tensor<16xf32>>
  plan.copy %x -> %a : !plan.buffer<tensor<16x16xf32>> -> !plan.buffer<tensor<16x16xf32>>
  // expected-error @below {{in @deeper writes output 0 over input 0, which it may not share}}
  plan.launch @k(%a) -> (%b, %c) : (!plan.buffer<tensor<16x16xf32>>) -> (!plan.buffer<tensor<16x16xf32>>, !plan.buffer<tensor<16xf32>>)
}

// -----

// Sums along rows and along columns are two nests, of which one may be late.
plan.arena @state state 0
plan.arena @transient transient 2048
plan.arena @io io 2048
plan.kernel @k map grid 1 scratch 0 {
^bb0(%x: tensor<16x16xf32>):
  %0 = nn.reduce sum %x [1] : tensor<16x16xf32> -> tensor<16xf32>
  %1 = nn.broadcast %0 [0] : tensor<16xf32> -> tensor<16x16xf32>
  %2 = nn.sub %x, %1 : tensor<16x16xf32>
  %3 = nn.reduce sum %x [0] : tensor<16x16xf32> -> tensor<16xf32>
  nn.yield %2, %3 : tensor<16x16xf32>, tensor<16xf32>
}
plan.func @other_nest {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<16x16xf32>>
  %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<16x16xf32>>
  %b = plan.buffer @transient[0] storage 1 : !plan.buffer<tensor<16x16xf32>>
  %c = plan.buffer @transient[1024] storage 2 : !plan.buffer<tensor<16xf32>>
  plan.copy %x -> %a : !plan.buffer<tensor<16x16xf32>> -> !plan.buffer<tensor<16x16xf32>>
  // expected-error @below {{in @other_nest writes output 0 over input 0, which it may not share}}
  plan.launch @k(%a) -> (%b, %c) : (!plan.buffer<tensor<16x16xf32>>) -> (!plan.buffer<tensor<16x16xf32>>, !plan.buffer<tensor<16xf32>>)
}

// -----

// Nothing of the input is in the output, but in the other one.
plan.arena @state state 0
plan.arena @transient transient 2048
plan.arena @io io 2048
plan.kernel @k map grid 1 scratch 0 {
^bb0(%x: tensor<16x16xf32>):
  %0 = nn.constant dense<1.0> : tensor<16x16xf32>
  %1 = nn.exp %x : tensor<16x16xf32>
  nn.yield %0, %1 : tensor<16x16xf32>, tensor<16x16xf32>
}
plan.func @another_output {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<16x16xf32>>
  %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<16x16xf32>>
  %b = plan.buffer @transient[0] storage 1 : !plan.buffer<tensor<16x16xf32>>
  %c = plan.buffer @transient[1024] storage 2 : !plan.buffer<tensor<16x16xf32>>
  plan.copy %x -> %a : !plan.buffer<tensor<16x16xf32>> -> !plan.buffer<tensor<16x16xf32>>
  // expected-error @below {{in @another_output writes output 0 over input 0, which it may not share}}
  plan.launch @k(%a) -> (%b, %c) : (!plan.buffer<tensor<16x16xf32>>) -> (!plan.buffer<tensor<16x16xf32>>, !plan.buffer<tensor<16x16xf32>>)
}

// -----

// Someone else asks for the ring.
plan.arena @state state 0
plan.arena @transient transient 2048
plan.arena @io io 2048
plan.kernel @k map grid 1 scratch 0 attributes {uses_run} {
^bb0(%x: tensor<16x16xf32>):
  %r = nn.constant dense<1.0> : tensor<2x16xf32>
  %0 = nn.enqueue %x, %r : (tensor<16x16xf32>, tensor<2x16xf32>) -> tensor<16x16xf32>
  %1 = nn.exp %x : tensor<16x16xf32>
  nn.yield %0, %1 : tensor<16x16xf32>, tensor<16x16xf32>
}
plan.func @ring_read {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<16x16xf32>>
  %run = plan.buffer @io[1024] : !plan.buffer<!plan.run>
  %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<16x16xf32>>
  %b = plan.buffer @transient[0] storage 1 : !plan.buffer<tensor<16x16xf32>>
  %c = plan.buffer @transient[1024] storage 2 : !plan.buffer<tensor<16x16xf32>>
  plan.copy %x -> %a : !plan.buffer<tensor<16x16xf32>> -> !plan.buffer<tensor<16x16xf32>>
  // expected-error @below {{in @ring_read writes output 0 over input 0, which it may not share}}
  plan.launch @k(%a, %run) -> (%b, %c) : (!plan.buffer<tensor<16x16xf32>>, !plan.buffer<!plan.run>) -> (!plan.buffer<tensor<16x16xf32>>, !plan.buffer<tensor<16x16xf32>>)
}
