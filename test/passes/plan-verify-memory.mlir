// RUN: doppel-opt %s --plan-verify-memory -split-input-file -verify-diagnostics

plan.arena @state state 0
plan.arena @transient transient 512
plan.arena @io io 256
plan.func @clobbered {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<64xf32>>
  %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<64xf32>>
  %b = plan.buffer @transient[128] storage 1 : !plan.buffer<tensor<64xf32>>
  plan.copy %x -> %a : !plan.buffer<tensor<64xf32>> -> !plan.buffer<tensor<64xf32>>
  // expected-note @below {{storage 1 was written over it here}}
  plan.copy %x -> %b : !plan.buffer<tensor<64xf32>> -> !plan.buffer<tensor<64xf32>>
  // expected-error @below {{in @clobbered reads byte 128 of the transient arena for storage 0}}
  plan.check %a "a" : !plan.buffer<tensor<64xf32>>
}

// -----

plan.arena @state state 0
plan.arena @transient transient 512
plan.arena @io io 256
plan.func @half_written {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<32xf32>>
  %low = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<32xf32>>
  %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<64xf32>>
  plan.copy %x -> %low : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
  // expected-error @below {{reads byte 128 of the transient arena for storage 0, which no instruction has written}}
  plan.check %a "a" : !plan.buffer<tensor<64xf32>>
}

// -----

plan.arena @state state 0
plan.arena @transient transient 512
plan.arena @io io 256
plan.func @shared_by_library {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<8x8xf32>>
  %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<8x8xf32>>
  %b = plan.buffer @transient[0] storage 1 : !plan.buffer<tensor<8x8xf32>>
  plan.copy %x -> %a : !plan.buffer<tensor<8x8xf32>> -> !plan.buffer<tensor<8x8xf32>>
  // expected-error @below {{in @shared_by_library writes output 0 over input 0, which it may not share}}
  plan.call matmul(%a, %x) -> (%b) [0, 0] : (!plan.buffer<tensor<8x8xf32>>, !plan.buffer<tensor<8x8xf32>>) -> !plan.buffer<tensor<8x8xf32>>
}

// -----

plan.arena @state state 512
plan.arena @transient transient 0
plan.arena @io io 0
// expected-note @below {{which ends at byte 400}}
plan.state @a parameter at 0 : tensor<100xf32>
// expected-error @below {{begins at byte 384, inside @a}}
plan.state @b parameter at 384 : tensor<8xf32>

// -----

// An update in place, and a reader of the old value behind it: bytes are the same, the value is not.
plan.arena @state state 256
plan.arena @transient transient 256
plan.arena @io io 256
plan.state @w parameter at 0 : tensor<64xf32>
plan.kernel @step map grid 1 scratch 0 {
^bb0(%w: tensor<64xf32>, %g: tensor<64xf32>):
  %0 = nn.sub %w, %g : tensor<64xf32>
  nn.yield %0 : tensor<64xf32>
}
plan.func @old_value {
  %g = plan.buffer @io[0] : !plan.buffer<tensor<64xf32>>
  %old = plan.buffer @state[0] : !plan.buffer<tensor<64xf32>>
  %new = plan.buffer @state[0] storage 0 : !plan.buffer<tensor<64xf32>>
  %t = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<64xf32>>
  // expected-note @below {{storage 0 was written over it here}}
  plan.launch @step(%old, %g) -> (%new) : (!plan.buffer<tensor<64xf32>>, !plan.buffer<tensor<64xf32>>) -> !plan.buffer<tensor<64xf32>>
  // expected-error @below {{in @old_value reads byte 0 of the state arena for what was there before}}
  plan.launch @step(%old, %g) -> (%t) : (!plan.buffer<tensor<64xf32>>, !plan.buffer<tensor<64xf32>>) -> !plan.buffer<tensor<64xf32>>
}
// Readers of the new value come behind it, those of the old one before: this is fine.
plan.func @fine {
  %g = plan.buffer @io[0] : !plan.buffer<tensor<64xf32>>
  %old = plan.buffer @state[0] : !plan.buffer<tensor<64xf32>>
  %new = plan.buffer @state[0] storage 0 : !plan.buffer<tensor<64xf32>>
  %t = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<64xf32>>
  plan.output "w" %new : !plan.buffer<tensor<64xf32>>
  plan.check %old "w" : !plan.buffer<tensor<64xf32>>
  plan.launch @step(%old, %g) -> (%new) : (!plan.buffer<tensor<64xf32>>, !plan.buffer<tensor<64xf32>>) -> !plan.buffer<tensor<64xf32>>
  plan.launch @step(%new, %g) -> (%t) : (!plan.buffer<tensor<64xf32>>, !plan.buffer<tensor<64xf32>>) -> !plan.buffer<tensor<64xf32>>
}

// -----

plan.arena @state state 256
plan.arena @transient transient 256
plan.arena @io io 256
plan.state @w parameter at 0 : tensor<64xf32>
plan.func @too_early {
  %new = plan.buffer @state[0] storage 0 : !plan.buffer<tensor<64xf32>>
  %t = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<64xf32>>
  // expected-error @below {{in @too_early reads byte 0 of the state arena for storage 0, which no instruction has written}}
  plan.copy %new -> %t : !plan.buffer<tensor<64xf32>> -> !plan.buffer<tensor<64xf32>>
}

// -----

// An output is read when all is done, wherever it is named.
plan.arena @state state 256
plan.arena @transient transient 0
plan.arena @io io 256
plan.state @w parameter at 0 : tensor<64xf32>
plan.func @output {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<64xf32>>
  %old = plan.buffer @state[0] : !plan.buffer<tensor<64xf32>>
  %new = plan.buffer @state[0] storage 0 : !plan.buffer<tensor<64xf32>>
  // expected-error @below {{in @output reads byte 0 of the state arena for what was there before}}
  plan.output "w" %old : !plan.buffer<tensor<64xf32>>
  // expected-note @below {{storage 0 was written over it here}}
  plan.copy %x -> %new : !plan.buffer<tensor<64xf32>> -> !plan.buffer<tensor<64xf32>>
}

// -----

// The new value of one state lies on that of the next.
plan.arena @state state 512
plan.arena @transient transient 0
plan.arena @io io 512
plan.state @a parameter at 0 : tensor<64xf32>
plan.state @b parameter at 256 : tensor<64xf32>
plan.func @over_another {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<64xf32>>
  %y = plan.buffer @io[0] : !plan.buffer<tensor<80xf32>>
  %a = plan.buffer @state[0] storage 0 : !plan.buffer<tensor<80xf32>>
  %b = plan.buffer @state[256] storage 1 : !plan.buffer<tensor<64xf32>>
  // expected-note @below {{storage 1 was written here}}
  plan.copy %x -> %b : !plan.buffer<tensor<64xf32>> -> !plan.buffer<tensor<64xf32>>
  // expected-error @below {{in @over_another writes storage 0 over byte 256 of the state arena, which has its new value}}
  plan.copy %y -> %a : !plan.buffer<tensor<80xf32>> -> !plan.buffer<tensor<80xf32>>
}

// -----

plan.arena @state state 512
plan.arena @transient transient 0
plan.arena @io io 512
plan.state @a parameter at 0 : tensor<64xf32>
// expected-error @below {{is half written at the end of @half: byte 320 of the arena holds what was there before, those before it storage 0}}
plan.state @b parameter at 256 : tensor<64xf32>
plan.func @half {
  %y = plan.buffer @io[0] : !plan.buffer<tensor<80xf32>>
  %a = plan.buffer @state[0] storage 0 : !plan.buffer<tensor<80xf32>>
  plan.copy %y -> %a : !plan.buffer<tensor<80xf32>> -> !plan.buffer<tensor<80xf32>>
}

// -----

plan.arena @state state 256
plan.arena @transient transient 0
plan.arena @io io 256
plan.state @w parameter at 0 : tensor<64xf32>
plan.func @unnamed {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<64xf32>>
  %w = plan.buffer @state[0] : !plan.buffer<tensor<64xf32>>
  // expected-error @below {{in @unnamed writes byte 0 of the state arena without a storage}}
  plan.copy %x -> %w : !plan.buffer<tensor<64xf32>> -> !plan.buffer<tensor<64xf32>>
}

// -----

plan.arena @state state 256
plan.arena @transient transient 0
plan.arena @io io 256
plan.state @w parameter at 0 : tensor<64xf32>
plan.func @images {
  %w = plan.buffer @state[0] : !plan.buffer<tensor<64xf32>>
  %x = plan.buffer @io[0] storage 0 : !plan.buffer<tensor<64xf32>>
  // expected-error @below {{in @images writes to the io arena: @io is the host's}}
  plan.copy %w -> %x : !plan.buffer<tensor<64xf32>> -> !plan.buffer<tensor<64xf32>>
}

// -----

plan.arena @state state 0
plan.arena @transient transient 512
plan.arena @io io 256
// Two collectives under way at once; the inputs may be read.
plan.func @meanwhile {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<32xf32>>
  %y = plan.buffer @io[128] : !plan.buffer<tensor<32xf32>>
  %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<32xf32>>
  %b = plan.buffer @transient[128] storage 1 : !plan.buffer<tensor<32xf32>>
  %c = plan.buffer @transient[256] storage 2 : !plan.buffer<tensor<32xf32>>
  plan.collective_start all_reduce %x -> %a order 0 : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
  plan.collective_start all_reduce_max %x -> %b order 1 : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
  plan.copy %x -> %c : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
  plan.collective_wait %x -> %b order 1 : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
  plan.collective_wait %x -> %a order 0 : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
  plan.output "sum" %a : !plan.buffer<tensor<32xf32>>
  plan.output "max" %b : !plan.buffer<tensor<32xf32>>
}

// -----

plan.arena @state state 0
plan.arena @transient transient 256
plan.arena @io io 256
plan.func @read_too_early {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<32xf32>>
  %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<32xf32>>
  %b = plan.buffer @transient[128] storage 1 : !plan.buffer<tensor<32xf32>>
  // expected-note @below {{a collective under way was written over it here}}
  plan.collective_start all_reduce %x -> %a order 0 : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
  // expected-error @below {{in @read_too_early reads byte 0 of the transient arena for storage 0}}
  plan.copy %a -> %b : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
  plan.collective_wait %x -> %a order 0 : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
}

// -----

plan.arena @state state 0
plan.arena @transient transient 256
plan.arena @io io 256
plan.func @written_meanwhile {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<32xf32>>
  %y = plan.buffer @io[128] : !plan.buffer<tensor<16xf32>>
  %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<32xf32>>
  %b = plan.buffer @transient[64] storage 1 : !plan.buffer<tensor<16xf32>>
  plan.collective_start all_reduce %x -> %a order 0 : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
  // expected-note @below {{here}}
  plan.copy %y -> %b : !plan.buffer<tensor<16xf32>> -> !plan.buffer<tensor<16xf32>>
  // expected-error @below {{in @written_meanwhile waits for byte 64 of the transient arena, which was written since the collective started}}
  plan.collective_wait %x -> %a order 0 : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
}

// -----

plan.arena @state state 0
plan.arena @transient transient 256
plan.arena @io io 256
plan.func @input_gone {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<32xf32>>
  %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<32xf32>>
  %b = plan.buffer @transient[128] storage 1 : !plan.buffer<tensor<32xf32>>
  %c = plan.buffer @transient[0] storage 2 : !plan.buffer<tensor<32xf32>>
  plan.copy %x -> %a : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
  plan.collective_start all_reduce %a -> %b order 0 : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
  // expected-note @below {{storage 2 was written over it here}}
  plan.copy %x -> %c : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
  // expected-error @below {{in @input_gone reads byte 0 of the transient arena for storage 0}}
  plan.collective_wait %a -> %b order 0 : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
}

// -----

plan.arena @state state 0
plan.arena @transient transient 256
plan.arena @io io 256
plan.func @two_into_one {
  %x = plan.buffer @io[0] : !plan.buffer<tensor<32xf32>>
  %a = plan.buffer @transient[0] storage 0 : !plan.buffer<tensor<32xf32>>
  %b = plan.buffer @transient[64] storage 1 : !plan.buffer<tensor<32xf32>>
  plan.collective_start all_reduce %x -> %a order 0 : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
  // expected-note @below {{here}}
  plan.collective_start all_reduce %x -> %b order 1 : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
  // expected-error @below {{in @two_into_one waits for byte 64 of the transient arena, which was written since the collective started}}
  plan.collective_wait %x -> %a order 0 : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
  plan.collective_wait %x -> %b order 1 : !plan.buffer<tensor<32xf32>> -> !plan.buffer<tensor<32xf32>>
}
