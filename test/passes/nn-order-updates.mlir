// A state is overwritten as late, and a value checked as early, as possible: an update can then
// happen in place.
// RUN: doppel-opt %s --nn-order-updates | FileCheck %s

nn.state @w parameter : tensor<64xf32>
nn.state @v moment : tensor<64xf32>
nn.state @bias parameter : tensor<64xf32>

// The new value sinks to just before its write, behind the last use of the old one.
// CHECK-LABEL: func.func @sinks
// CHECK: %[[W:[0-9a-z]+]] = nn.read @w
// CHECK: %[[Y:[0-9a-z]+]] = nn.exp %[[W]]
// CHECK: %[[NEW:[0-9a-z]+]] = nn.fused map(%[[W]], %arg0)
// CHECK: }
// CHECK-NEXT: nn.write @w, %[[NEW]]
// CHECK-NEXT: return %[[Y]]
func.func @sinks(%g: tensor<64xf32>) -> tensor<64xf32> {
  %w = nn.read @w : tensor<64xf32>
  %new = nn.fused map(%w, %g) : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32> {
  ^bb0(%0: tensor<64xf32>, %1: tensor<64xf32>):
    %2 = nn.sub %0, %1 : tensor<64xf32>
    nn.yield %2 : tensor<64xf32>
  }
  %y = nn.exp %w : tensor<64xf32>
  nn.write @w, %new : tensor<64xf32>
  return %y : tensor<64xf32>
}

// So does what only feeds values that sink; each stands before its first user.
// CHECK-LABEL: func.func @chain
// CHECK: nn.exp
// CHECK-NEXT: %[[V:[0-9a-z]+]] = nn.add
// CHECK-NEXT: nn.write @v, %[[V]]
// CHECK-NEXT: %[[NEW:[0-9a-z]+]] = nn.sub %{{[0-9a-z]+}}, %[[V]]
// CHECK-NEXT: nn.write @w, %[[NEW]]
func.func @chain(%g: tensor<64xf32>) -> tensor<64xf32> {
  %w = nn.read @w : tensor<64xf32>
  %v = nn.read @v : tensor<64xf32>
  %v2 = nn.add %v, %g : tensor<64xf32>
  %new = nn.sub %w, %v2 : tensor<64xf32>
  %y = nn.exp %w : tensor<64xf32>
  nn.write @v, %v2 : tensor<64xf32>
  nn.write @w, %new : tensor<64xf32>
  return %y : tensor<64xf32>
}

// A value that something else uses stays where it is, and so does what it needs.
// CHECK-LABEL: func.func @used_elsewhere
// CHECK: %[[NEW:[0-9a-z]+]] = nn.sub
// CHECK-NEXT: %[[Y:[0-9a-z]+]] = nn.exp
// CHECK-NEXT: nn.write @w, %[[NEW]]
// CHECK-NEXT: return %[[NEW]], %[[Y]]
func.func @used_elsewhere(%g: tensor<64xf32>) -> (tensor<64xf32>, tensor<64xf32>) {
  %w = nn.read @w : tensor<64xf32>
  %new = nn.sub %w, %g : tensor<64xf32>
  %y = nn.exp %w : tensor<64xf32>
  nn.write @w, %new : tensor<64xf32>
  return %new, %y : tensor<64xf32>, tensor<64xf32>
}

// A large operand would have to live on until the write: the small result is computed where the
// operand dies.
// CHECK-LABEL: func.func @large_operand
// CHECK: %[[SUM:[0-9a-z]+]] = nn.reduce sum
// CHECK: nn.matmul
// CHECK: nn.write @bias, %[[SUM]]
func.func @large_operand(%x: tensor<256x64xf32>, %d: tensor<256x256xf32>) -> tensor<256x64xf32> {
  %dy = nn.relu %x : tensor<256x64xf32>
  %sum = nn.reduce sum %dy [0] : tensor<256x64xf32> -> tensor<64xf32>
  %y = nn.matmul %d, %x : (tensor<256x256xf32>, tensor<256x64xf32>) -> tensor<256x64xf32>
  nn.write @bias, %sum : tensor<64xf32>
  return %y : tensor<256x64xf32>
}

// Parts of a state lie in memory anyway: they keep nothing from sinking.
// CHECK-LABEL: func.func @state_operands
// CHECK: nn.exp
// CHECK-NEXT: %[[SUM:[0-9a-z]+]] = nn.add
// CHECK-NEXT: nn.write @bias, %[[SUM]]
func.func @state_operands() -> tensor<64xf32> {
  %w = nn.read @w : tensor<64xf32>
  %v = nn.read @v : tensor<64xf32>
  %sum = nn.add %w, %v : tensor<64xf32>
  %y = nn.exp %w : tensor<64xf32>
  nn.write @bias, %sum : tensor<64xf32>
  return %y : tensor<64xf32>
}

// A check follows its value at once; one of an argument comes first. The order of effects among
// writes stays.
// CHECK-LABEL: func.func @checks
// CHECK-NEXT: nn.check_finite %arg0 "gradient"
// CHECK: %[[Y:[0-9a-z]+]] = nn.log
// CHECK-NEXT: nn.check_finite %[[Y]] "loss"
// CHECK-NEXT: %[[Z:[0-9a-z]+]] = nn.exp %[[Y]]
// CHECK-NEXT: nn.write @w, %[[Y]]
// CHECK-NEXT: nn.write @bias, %arg0
// CHECK-NEXT: return %[[Z]]
func.func @checks(%g: tensor<64xf32>) -> tensor<64xf32> {
  %w = nn.read @w : tensor<64xf32>
  %y = nn.log %w : tensor<64xf32>
  %z = nn.exp %y : tensor<64xf32>
  nn.check_finite %g "gradient" : tensor<64xf32>
  nn.check_finite %y "loss" : tensor<64xf32>
  nn.write @w, %y : tensor<64xf32>
  nn.write @bias, %g : tensor<64xf32>
  return %z : tensor<64xf32>
}

// A collective stays where it is: every rank executes the same ones in one order, that of the program. What it feeds sinks.
// CHECK-LABEL: func.func @collectives
// CHECK: %[[ALL:.+]] = nn.all_gather
// CHECK: nn.all_reduce
// CHECK: %[[Q:.+]] = nn.enqueue %{{.+}}, %[[ALL]]
// CHECK-NEXT: nn.write @queue, %[[Q]]
nn.state @queue queue : tensor<64x4xf32>
func.func @collectives(%z: tensor<8x4xf32>, %g: tensor<64xf32>) -> tensor<64x4xf32> {
  %q = nn.read @queue : tensor<64x4xf32>
  %w = nn.read @w : tensor<64xf32>
  %all = nn.all_gather %z : tensor<8x4xf32> -> tensor<16x4xf32>
  %q2 = nn.enqueue %q, %all : (tensor<64x4xf32>, tensor<16x4xf32>) -> tensor<64x4xf32>
  %y = nn.exp %q : tensor<64x4xf32>
  %sum = nn.all_reduce %g : tensor<64xf32> -> tensor<64xf32>
  %new = nn.sub %w, %sum : tensor<64xf32>
  nn.write @queue, %q2 : tensor<64x4xf32>
  nn.write @w, %new : tensor<64xf32>
  return %y : tensor<64x4xf32>
}

// A running statistic waits with what it is made of, which is no more than a few times as large; so does what only another late value reads.
// CHECK-LABEL: func.func @statistic
// CHECK: nn.check_finite
// CHECK: %[[NEW:.+]] = nn.fused map(%{{.+}}, %{{.+}})
// CHECK: nn.write @bias, %[[NEW]]
// CHECK-NEXT: return
func.func @statistic(%x: tensor<64x64xf32>) -> tensor<64xf32> {
  %b = nn.read @bias : tensor<64xf32>
  %sum = nn.reduce sum %x [0] : tensor<64x64xf32> -> tensor<64xf32>
  %new = nn.fused map(%b, %sum) : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32> {
  ^bb0(%0: tensor<64xf32>, %1: tensor<64xf32>):
    %2 = nn.add %0, %1 : tensor<64xf32>
    nn.yield %2 : tensor<64xf32>
  }
  %y = nn.exp %sum : tensor<64xf32>
  nn.check_finite %y "loss" : tensor<64xf32>
  nn.write @bias, %new : tensor<64xf32>
  return %y : tensor<64xf32>
}

// Statistics of several layers in one kernel wait like those of one, however many they are together.
// CHECK-LABEL: func.func @statistics
// CHECK: nn.exp
// CHECK: %[[NEW:.+]]:2 = nn.fused map
// CHECK: nn.write @mean_a, %[[NEW]]#0
// CHECK-NEXT: nn.write @mean_b, %[[NEW]]#1
nn.state @mean_a buffer : tensor<12288xf32>
nn.state @mean_b buffer : tensor<12288xf32>
func.func @statistics(%x: tensor<64x12288xf32>, %y: tensor<64x12288xf32>) -> (tensor<12288xf64>, tensor<12288xf64>) {
  %a = nn.read @mean_a : tensor<12288xf32>
  %b = nn.read @mean_b : tensor<12288xf32>
  %x64 = nn.convert %x : tensor<64x12288xf32> -> tensor<64x12288xf64>
  %y64 = nn.convert %y : tensor<64x12288xf32> -> tensor<64x12288xf64>
  %sa = nn.reduce sum %x64 [0] : tensor<64x12288xf64> -> tensor<12288xf64>
  %sb = nn.reduce sum %y64 [0] : tensor<64x12288xf64> -> tensor<12288xf64>
  %na, %nb = nn.fused map(%a, %b, %sa, %sb) : (tensor<12288xf32>, tensor<12288xf32>, tensor<12288xf64>, tensor<12288xf64>) -> (tensor<12288xf32>, tensor<12288xf32>) {
  ^bb0(%0: tensor<12288xf32>, %1: tensor<12288xf32>, %2: tensor<12288xf64>, %3: tensor<12288xf64>):
    %4 = nn.convert %2 : tensor<12288xf64> -> tensor<12288xf32>
    %5 = nn.convert %3 : tensor<12288xf64> -> tensor<12288xf32>
    %6 = nn.add %0, %4 : tensor<12288xf32>
    %7 = nn.add %1, %5 : tensor<12288xf32>
    nn.yield %6, %7 : tensor<12288xf32>, tensor<12288xf32>
  }
  %z = nn.exp %sa : tensor<12288xf64>
  nn.write @mean_a, %na : tensor<12288xf32>
  nn.write @mean_b, %nb : tensor<12288xf32>
  return %z, %sb : tensor<12288xf64>, tensor<12288xf64>
}
