// Packed vectors and their segments as compiled code against the oracle.
// RUN: doppel-verify kernels %s | FileCheck %s --implicit-check-not=WRONG
// RUN: doppel-verify kernels %s --threads 1 --seed 7 | FileCheck %s --implicit-check-not=WRONG

// Segments with gaps, of one element, of a vector's length and one more; the numbers of each from
// its sum.
// CHECK-LABEL: @segments
// CHECK-COUNT-3: ok
func.func @segments(%v: tensor<200xf32>, %w: tensor<4xf32> {nn.range = [0.5, 2.0]})
    -> (tensor<4xf32>, tensor<200xf32>, tensor<200xf32>) {
  %q = nn.mul %v, %v : tensor<200xf32>
  %s = nn.segment_sum %q offsets [0, 16, 32, 112] sizes [1, 16, 73, 17]
      : tensor<200xf32> -> tensor<4xf32>
  %t = nn.mul %s, %w : tensor<4xf32>
  %b = nn.segment_broadcast %t offsets [0, 16, 32, 112] sizes [1, 16, 73, 17]
      : tensor<4xf32> -> tensor<200xf32>
  %y = nn.add %v, %b : tensor<200xf32>
  %c = nn.segment_broadcast %w offsets [0, 16, 32, 112] sizes [1, 16, 73, 17]
      : tensor<4xf32> -> tensor<200xf32>
  return %s, %y, %c : tensor<4xf32>, tensor<200xf32>, tensor<200xf32>
}

// A segment that is summed in parts, and a vector that ends in a gap.
// CHECK-LABEL: @long_segments
// CHECK-COUNT-2: ok
func.func @long_segments(%v: tensor<200001xf32> {nn.range = [0.0, 1.0]})
    -> (tensor<2xf32>, tensor<200001xf32>) {
  %s = nn.segment_sum %v offsets [5, 150016] sizes [150000, 49980]
      : tensor<200001xf32> -> tensor<2xf32>
  %b = nn.segment_broadcast %s offsets [5, 150016] sizes [150000, 49980]
      : tensor<2xf32> -> tensor<200001xf32>
  return %s, %b : tensor<2xf32>, tensor<200001xf32>
}

// The rate of each segment from its weights and gradients, as LARS has it.
// CHECK-LABEL: @rates
// CHECK-COUNT-2: ok
func.func @rates(%w: tensor<5000xf32>, %g: tensor<5000xf32>) -> (tensor<5000xf32>, tensor<3xf32>) {
  %ww = nn.mul %w, %w : tensor<5000xf32>
  %gg = nn.mul %g, %g : tensor<5000xf32>
  %sw = nn.segment_sum %ww offsets [0, 144, 4208] sizes [129, 4063, 790]
      : tensor<5000xf32> -> tensor<3xf32>
  %sg = nn.segment_sum %gg offsets [0, 144, 4208] sizes [129, 4063, 790]
      : tensor<5000xf32> -> tensor<3xf32>
  %nw = nn.sqrt %sw : tensor<3xf32>
  %ng = nn.sqrt %sg : tensor<3xf32>
  %ratio = nn.div %nw, %ng : tensor<3xf32>
  %r = nn.segment_broadcast %ratio offsets [0, 144, 4208] sizes [129, 4063, 790]
      : tensor<3xf32> -> tensor<5000xf32>
  %step = nn.mul %g, %r : tensor<5000xf32>
  %new = nn.sub %w, %step : tensor<5000xf32>
  return %new, %ratio : tensor<5000xf32>, tensor<3xf32>
}

// Parts at their offsets with zeros between, read across a gap, and made by a kernel before.
// CHECK-LABEL: @packs
// CHECK-COUNT-3: ok
func.func @packs(%a: tensor<3x5xf32>, %b: tensor<7xf32>, %c: tensor<f32>)
    -> (tensor<48xf32>, tensor<20xf32>, tensor<32xf32>) {
  %p = nn.pack %a, %b, %c [0, 16, 32]
      : (tensor<3x5xf32>, tensor<7xf32>, tensor<f32>) -> tensor<48xf32>
  %s = nn.slice %p offsets [15] strides [1] : tensor<48xf32> -> tensor<20xf32>
  %e = nn.exp %a : tensor<3x5xf32>
  %d = nn.pack %b, %e [0, 16] : (tensor<7xf32>, tensor<3x5xf32>) -> tensor<32xf32>
  %n = nn.neg %d : tensor<32xf32>
  return %p, %s, %n : tensor<48xf32>, tensor<20xf32>, tensor<32xf32>
}
