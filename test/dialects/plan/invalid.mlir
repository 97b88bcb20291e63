// RUN: doppel-opt %s -split-input-file -verify-diagnostics

// expected-error @below {{has 100 bytes, which is no multiple of 64}}
plan.arena @state state 100

// -----

// expected-note @below {{the arena}}
plan.arena @transient transient 128
plan.func @step {
  // expected-error @below {{offset 112 + 32 bytes exceeds arena 'transient' of 128}}
  %b = plan.buffer @transient[112] : !plan.buffer<tensor<8xf32>>
}

// -----

plan.func @step {
  // expected-error @below {{lies in @nowhere, which is no arena}}
  %b = plan.buffer @nowhere[0] : !plan.buffer<tensor<8xf32>>
}

// -----

plan.func @step {
  // expected-error @below {{offset 2 is no multiple of the element's 4 bytes}}
  %b = plan.buffer @transient[2] : !plan.buffer<tensor<8xf32>>
}

// -----

plan.func @step {
  %a = plan.alloc : !plan.buffer<tensor<8xf32>>
  // expected-error @below {{offset 16 + 32 bytes exceeds the source's 32}}
  %v = plan.view %a[16] : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<8xf32>>
}

// -----

plan.func @step {
  %a = plan.alloc : !plan.buffer<tensor<8xf32>>
  // expected-error @below {{launches @k, which is no kernel}}
  plan.launch @k(%a) -> (%a) : (!plan.buffer<tensor<8xf32>>) -> !plan.buffer<tensor<8xf32>>
}

// -----

plan.kernel @k map grid 1 scratch 0 {
^bb0(%x: tensor<8xf32>):
  nn.yield %x : tensor<8xf32>
}
plan.func @step {
  %a = plan.alloc : !plan.buffer<tensor<4xf32>>
  %b = plan.alloc : !plan.buffer<tensor<8xf32>>
  // expected-error @below {{input 0 is 'tensor<4xf32>', the kernel's is 'tensor<8xf32>'}}
  plan.launch @k(%a) -> (%b) : (!plan.buffer<tensor<4xf32>>) -> !plan.buffer<tensor<8xf32>>
}

// -----

plan.kernel @k map grid 1 scratch 0 attributes {uses_run} {
^bb0(%x: tensor<8xf32>):
  nn.yield %x : tensor<8xf32>
}
plan.func @step {
  %b = plan.alloc : !plan.buffer<tensor<8xf32>>
  // expected-error @below {{of @k lacks the run buffer as its last input}}
  plan.launch @k(%b) -> (%b) : (!plan.buffer<tensor<8xf32>>) -> !plan.buffer<tensor<8xf32>>
}

// -----

plan.func @step {
  %a = plan.alloc : !plan.buffer<tensor<8x8xf32>>
  %b = plan.alloc : !plan.buffer<tensor<8x8xf32>>
  // expected-error @below {{writes a buffer that it reads}}
  plan.call matmul(%a, %b) -> (%b) [0, 0] : (!plan.buffer<tensor<8x8xf32>>, !plan.buffer<tensor<8x8xf32>>) -> !plan.buffer<tensor<8x8xf32>>
}

// -----

plan.func @step {
  %a = plan.alloc : !plan.buffer<tensor<8x8xf32>>
  %b = plan.alloc : !plan.buffer<tensor<8x8xf32>>
  // expected-error @below {{matmul takes 2 inputs, 1 outputs and 2 integers, not 2, 1 and 1}}
  plan.call matmul(%a, %a) -> (%b) [0] : (!plan.buffer<tensor<8x8xf32>>, !plan.buffer<tensor<8x8xf32>>) -> !plan.buffer<tensor<8x8xf32>>
}

// -----

plan.func @step {
  %a = plan.alloc : !plan.buffer<tensor<8x8xf32>>
  %b = plan.alloc : !plan.buffer<tensor<8x8xf32>>
  %v = plan.alloc : !plan.buffer<tensor<8xf32>>
  // expected-error @below {{gemm takes 4 inputs, 1 outputs and 5 integers, not 3, 1 and 5}}
  plan.call gemm(%a, %a, %v) -> (%b) [0, 0, 1, 1, 0] : (!plan.buffer<tensor<8x8xf32>>, !plan.buffer<tensor<8x8xf32>>, !plan.buffer<tensor<8xf32>>) -> !plan.buffer<tensor<8x8xf32>>
}

// -----

plan.func @step {
  %a = plan.alloc : !plan.buffer<tensor<8x8xf32>>
  %b = plan.alloc : !plan.buffer<tensor<8x8xf32>>
  // expected-error @below {{gemm takes 5 integers, not 2}}
  plan.call gemm(%a, %a) -> (%b) [0, 0] : (!plan.buffer<tensor<8x8xf32>>, !plan.buffer<tensor<8x8xf32>>) -> !plan.buffer<tensor<8x8xf32>>
}

// -----

plan.func @step {
  %a = plan.alloc : !plan.buffer<tensor<8x8xf32>>
  %b = plan.alloc : !plan.buffer<tensor<8x8xf32>>
  %v = plan.alloc : !plan.buffer<tensor<6xf32>>
  // expected-error @below {{adds 'tensor<6xf32>' to 'tensor<8x8xf32>'}}
  plan.call gemm(%a, %a, %v) -> (%b) [0, 0, 0, 1, 0] : (!plan.buffer<tensor<8x8xf32>>, !plan.buffer<tensor<8x8xf32>>, !plan.buffer<tensor<6xf32>>) -> !plan.buffer<tensor<8x8xf32>>
}

// -----

plan.func @step {
  %r = plan.buffer @io[0] : !plan.buffer<!plan.run>
  %p = plan.alloc : !plan.buffer<tensor<8xi32>>
  // expected-error @below {{random_permutation sums no products, so it has no precision tf32}}
  plan.call random_permutation(%r) -> (%p) [7] {precision = #nn<precision tf32>} : (!plan.buffer<!plan.run>) -> !plan.buffer<tensor<8xi32>>
}
plan.arena @io io 192

// -----

plan.func @step {
  %a = plan.alloc : !plan.buffer<tensor<8xf32>>
  %b = plan.alloc : !plan.buffer<tensor<4xf32>>
  // expected-error @below {{copies 32 bytes to 16}}
  plan.copy %a -> %b : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<4xf32>>
}

// -----

plan.func @step {
  %a = plan.alloc : !plan.buffer<tensor<8xf32>>
  %b = plan.alloc : !plan.buffer<tensor<8xf64>>
  // expected-error @below {{needs tensors of one element type}}
  plan.collective_start all_reduce %a -> %b order 0 : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<8xf64>>
}

// -----

plan.func @step {
  %a = plan.alloc : !plan.buffer<tensor<8xi32>>
  // expected-error @below {{needs a tensor of floats}}
  plan.check %a "indices" : !plan.buffer<tensor<8xi32>>
}

// -----

// expected-error @below {{has a grid of 0 and 0 bytes of scratch memory}}
plan.kernel @k map grid 0 scratch 0 {
  %0 = nn.constant dense<0.0> : tensor<8xf32>
  nn.yield %0 : tensor<8xf32>
}

// -----

plan.arena @transient transient 128
plan.func @step {
  %a = plan.buffer @transient[0] : !plan.buffer<tensor<8xf32>>
  %b = plan.buffer @transient[64] : !plan.buffer<tensor<8xf32>>
  plan.collective_start all_reduce %a -> %b order 0 : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<8xf32>>
  // expected-error @below {{has the number 2, but is number 1 in the order of @step}}
  plan.collective_start all_reduce %b -> %a order 2 : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<8xf32>>
}

// -----

plan.arena @transient transient 128
plan.func @step {
  %a = plan.buffer @transient[0] : !plan.buffer<tensor<8xf32>>
  %b = plan.buffer @transient[64] : !plan.buffer<tensor<8xf32>>
  // expected-error @below {{has the number 1, but is number 0 in the order of @step}}
  plan.collective_start all_reduce %a -> %b order 1 : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<8xf32>>
  plan.collective_start all_reduce %b -> %a order 0 : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<8xf32>>
}

// -----

plan.arena @transient transient 128
plan.func @step {
  %a = plan.buffer @transient[0] : !plan.buffer<tensor<8xf32>>
  %b = plan.buffer @transient[64] : !plan.buffer<tensor<8xf32>>
  // expected-error @below {{has no wait}}
  plan.collective_start all_reduce %a -> %b order 0 : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<8xf32>>
}

// -----

plan.arena @transient transient 128
plan.func @step {
  %a = plan.buffer @transient[0] : !plan.buffer<tensor<8xf32>>
  %b = plan.buffer @transient[64] : !plan.buffer<tensor<8xf32>>
  // expected-error @below {{waits for the collective 0, which has not started}}
  plan.collective_wait %a -> %b order 0 : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<8xf32>>
  plan.collective_start all_reduce %a -> %b order 0 : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<8xf32>>
}

// -----

plan.arena @transient transient 128
plan.func @step {
  %a = plan.buffer @transient[0] : !plan.buffer<tensor<8xf32>>
  %b = plan.buffer @transient[64] : !plan.buffer<tensor<8xf32>>
  plan.collective_start all_reduce %a -> %b order 0 : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<8xf32>>
  plan.collective_wait %a -> %b order 0 : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<8xf32>>
  // expected-error @below {{waits for the collective 0 a second time}}
  plan.collective_wait %a -> %b order 0 : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<8xf32>>
}

// -----

plan.arena @transient transient 128
plan.func @step {
  %a = plan.buffer @transient[0] : !plan.buffer<tensor<8xf32>>
  %b = plan.buffer @transient[64] : !plan.buffer<tensor<8xf32>>
  // expected-note @below {{which starts here}}
  plan.collective_start all_reduce_max %a -> %b order 0 : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<8xf32>>
  // expected-error @below {{names other buffers than the collective 0}}
  plan.collective_wait %b -> %a order 0 : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<8xf32>>
}

// -----

plan.func @step {
  %a = plan.alloc : !plan.buffer<tensor<8xf32>>
  %b = plan.alloc : !plan.buffer<tensor<4xf32>>
  // expected-error @below {{input is 'tensor<8xf32>', output 'tensor<4xf32>'}}
  plan.collective_start all_reduce_max %a -> %b order 0 : !plan.buffer<tensor<8xf32>> -> !plan.buffer<tensor<4xf32>>
}

// -----

plan.func @step {
  // expected-note @below {{the first}}
  plan.commit
  // expected-error @below {{is the second one in @step}}
  plan.commit
}
