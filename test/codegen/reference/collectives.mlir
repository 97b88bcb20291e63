// Ranks as threads: each has its own interpreter and arguments, and meets the others at every collective.
// RUN: doppel-verify run %s --ranks 3 --function collectives | FileCheck %s
// RUN: not doppel-verify run %s --ranks 2 --function mismatch 2>&1 | FileCheck %s --check-prefix=MISMATCH
// RUN: not doppel-verify run %s --ranks 2 --function collectives 2>&1 | FileCheck %s --check-prefix=RANKS
// RUN: doppel-verify run %s --ranks 1 --function one_rank | FileCheck %s --check-prefix=ONE

// A rank's first sample has the number of the rank times the batch, here 1.
// CHECK-LABEL: @collectives
// CHECK: rank 0
// CHECK: result 0 [1] = 3
// CHECK: result 1 [3] = 0 1 2
// CHECK: result 2 [1] = 0
// CHECK: rank 1
// CHECK: result 0 [1] = 3
// CHECK: result 1 [3] = 0 1 2
// CHECK: result 2 [1] = 3
// CHECK: rank 2
// CHECK: result 0 [1] = 3
// CHECK: result 1 [3] = 0 1 2
// CHECK: result 2 [1] = 6
func.func @collectives(%images: !nn.images<1>) -> (tensor<1xf32>, tensor<3xf32>, tensor<1xf32>) {
  %i = nn.sample_index %images : !nn.images<1> -> tensor<1xi64>
  %x = nn.convert %i : tensor<1xi64> -> tensor<1xf32>
  %0 = nn.all_reduce %x : tensor<1xf32> -> tensor<1xf32>
  %1 = nn.all_gather %x : tensor<1xf32> -> tensor<3xf32>
  %2 = nn.reduce_scatter %1 : tensor<3xf32> -> tensor<1xf32>
  return %0, %1, %2 : tensor<1xf32>, tensor<3xf32>, tensor<1xf32>
}

// RANKS: error: is for another number of ranks than 2

// A rank whose check fails does not come to the collective; the other one hears of it instead of waiting.
// MISMATCH-DAG: error: the value is not finite at step 0
// MISMATCH-DAG: error: the ranks did not meet: rank 1 failed
func.func @mismatch(%images: !nn.images<1>) -> tensor<1xf32> {
  %i = nn.sample_index %images : !nn.images<1> -> tensor<1xi64>
  %x = nn.convert %i : tensor<1xi64> -> tensor<1xf32>
  %one = nn.constant dense<1.0> : tensor<1xf32>
  %y = nn.sub %one, %x : tensor<1xf32>
  %z = nn.log %y : tensor<1xf32>
  nn.check_finite %z "the value" : tensor<1xf32>
  %0 = nn.all_reduce %z : tensor<1xf32> -> tensor<1xf32>
  return %0 : tensor<1xf32>
}

// ONE: result 0 [2] = 1 2
func.func @one_rank(%x: tensor<2xf32> {nn.value = dense<[1.0, 2.0]> : tensor<2xf32>}) -> tensor<2xf32> {
  %0 = nn.all_reduce %x : tensor<2xf32> -> tensor<2xf32>
  %1 = nn.all_gather %0 : tensor<2xf32> -> tensor<2xf32>
  %2 = nn.reduce_scatter %1 : tensor<2xf32> -> tensor<2xf32>
  return %2 : tensor<2xf32>
}
