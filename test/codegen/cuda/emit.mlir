// What the commands show of kernels for GPUs: LLVM IR with placeholders, PTX, and with an assembler a table of registers.
// RUN: doppel-compile compile %s --target cuda:sm_90 --emit code | FileCheck %s --check-prefix=CODE
// RUN: doppel-compile compile %s --target cuda-sim --emit code | FileCheck %s --check-prefix=CODE
// RUN: doppel-compile compile %s --target cuda:sm_90 --emit ptx | FileCheck %s --check-prefix=PTX
// RUN: doppel-compile compile %s --target cuda:sm_120 --emit ptx | FileCheck %s --check-prefix=NEWER
// RUN: doppel-compile compile %s --target cuda -o %t.k.dpx -q --dump-kernels %t.k | count 0
// RUN: ls %t.k | FileCheck %s --check-prefix=FILES
// RUN: if [ -e %t.k/kernels.txt ]; then FileCheck %s --check-prefix=TABLE --input-file=%t.k/kernels.txt; fi
//
// PTX is for the least of the architectures.
// RUN: doppel-compile compile %s --target cuda --emit ptx | FileCheck %s --check-prefix=LEAST
//
// For a CPU there is no PTX, but there are kernels to look at.
// RUN: (doppel-compile compile %s --emit ptx; echo "exit $?") 2>&1 | FileCheck %s --check-prefix=NOPTX
// RUN: (doppel-compile compile %s --target cuda-sim --emit ptx; echo "exit $?") 2>&1 | FileCheck %s --check-prefix=NOSIM
// RUN: doppel-compile compile %s -o %t.dpx -q --dump-kernels %t.c
// RUN: ls %t.c | FileCheck %s --check-prefix=CPU
// RUN: doppel-compile compile %s --target cuda -o %t.gpu.dpx -q
// RUN: doppel inspect %t.gpu.dpx | FileCheck %s --check-prefix=ARTIFACT
//
// CODE: define void @map_0(ptr noalias align 64 %0, ptr noalias align 64 %1)
// CODE: call i32 @doppel.block()
// CODE: call i32 @doppel.thread()
// PTX: .version 8.0
// PTX-NEXT: .target sm_90
// PTX: .visible .entry map_0(
// PTX: .reqntid 256
// PTX: ld.global.nc.v4.b32
// PTX: .visible .entry row_1(
// PTX: shfl.sync.bfly
// PTX: .visible .entry doppel_check_partials(
// LEAST: .target sm_80
// NEWER: .version 8.7
// NEWER-NEXT: .target sm_120
// FILES: kernels.0.ptx
// FILES: kernels.1.ptx
// FILES: kernels.ll
// TABLE: kernel for blocks threads registers shared stack spill store spill load
// TABLE-NEXT: map_0 sm_80 4 256 {{[0-9]+}} 0 0 0 0
// TABLE-NEXT: map_0 sm_90
// TABLE-NEXT: row_1 sm_80 512 256 {{[0-9]+}} {{[0-9]+}} 0 0 0
// NOPTX: error: --emit ptx is for GPUs: give --target cuda with it
// NOPTX: exit 2
// NOSIM: error: --emit ptx and --dump-kernels are for the target cuda, not cuda-sim
// NOSIM: exit 2
// CPU: kernels.ll
// CPU: kernels.so
// ARTIFACT: cuda

nn.state @x parameter : tensor<4096xf32>
nn.state @y parameter : tensor<4096xf32>
nn.state @rows parameter : tensor<512x4096xf32>
func.func @init() {
  %x = nn.read @x : tensor<4096xf32>
  %y = nn.exp %x : tensor<4096xf32>
  nn.write @y, %y : tensor<4096xf32>
  return
}
func.func @step() -> (tensor<512xf32> {nn.name = "loss"}) {
  %x = nn.read @rows : tensor<512x4096xf32>
  %y = nn.reduce sum %x [1] : tensor<512x4096xf32> -> tensor<512xf32>
  return %y : tensor<512xf32>
}
