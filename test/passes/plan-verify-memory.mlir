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
