// Effects happen in program order; a group is its members, and gaps are zero.
// RUN: doppel-verify run %s | FileCheck %s
// RUN: doppel-verify run %s --function enqueue --step 5 --steps 2 | FileCheck %s --check-prefix=RING

nn.state @w parameter {nn.value = dense<[1.0, 2.0]> : tensor<2xf32>} : tensor<2xf32>
nn.state @t ema {nn.value = dense<[5.0, 5.0]> : tensor<2xf32>} : tensor<2xf32>
nn.state @a other {nn.value = dense<[1.0, 2.0]> : tensor<2xf32>} : tensor<2xf32>
nn.state @b other {nn.value = dense<[[3.0]]> : tensor<1x1xf32>} : tensor<1x1xf32>
nn.state_group @ab other [@a, @b] [0, 16] : tensor<18xf32>
nn.state @queue queue : tensor<4x1xf32>
nn.state @drawn parameter : tensor<1xf32>

// @init gives what it writes; a state without any value is zero.
func.func @init() {
  %0 = nn.constant dense<7.0> : tensor<1xf32>
  nn.write @drawn, %0 : tensor<1xf32>
  return
}

// CHECK-LABEL: @order
func.func @order(%x: tensor<2xf32> {nn.value = dense<[10.0, 20.0]> : tensor<2xf32>})
    -> (tensor<2xf32>, tensor<2xf32>, tensor<1xf32>) {
  // CHECK: result 0 [2] = 1 2
  %0 = nn.read @w : tensor<2xf32>
  nn.write @w, %x : tensor<2xf32>
  // CHECK: result 1 [2] = 10 20
  %1 = nn.read @w : tensor<2xf32>
  // CHECK: result 2 [1] = 7
  %2 = nn.read @drawn : tensor<1xf32>
  // The average takes the source as it is at this point: 0.75 * 5 + 0.25 * 10.
  %m = nn.constant dense<0.75> : tensor<f32>
  nn.ema_update %m [@t] from [@w] : tensor<f32>
  // CHECK: state t [2] = 6.25 8.75
  // CHECK: state w [2] = 10 20
  return %0, %1, %2 : tensor<2xf32>, tensor<2xf32>, tensor<1xf32>
}

// CHECK-LABEL: @group
func.func @group() -> (tensor<18xf32>, tensor<2xf32>) {
  // CHECK: result 0 [18] = 1 2 0 0 0 0 0 0 ... sum 6 norm 3.74166
  %0 = nn.read @ab : tensor<18xf32>
  %1 = nn.add %0, %0 : tensor<18xf32>
  nn.write @ab, %1 : tensor<18xf32>
  // CHECK: result 1 [2] = 2 4
  %2 = nn.read @a : tensor<2xf32>
  // CHECK: state a [2] = 2 4
  // CHECK: state b [1, 1] = 6
  return %0, %2 : tensor<18xf32>, tensor<2xf32>
}

// The row at which a batch of 2 goes in is (step * 2) mod 4: the third and fourth at step 5, the first two at step 6.
// RING-LABEL: @enqueue
// RING: step 5
// RING: result 0 [4, 1] = 0 0 1 2
// RING: step 6
// RING: result 0 [4, 1] = 1 2 1 2
func.func @enqueue(%rows: tensor<2x1xf32> {nn.value = dense<[[1.0], [2.0]]> : tensor<2x1xf32>}) -> tensor<4x1xf32> {
  %0 = nn.read @queue : tensor<4x1xf32>
  %1 = nn.enqueue %0, %rows : (tensor<4x1xf32>, tensor<2x1xf32>) -> tensor<4x1xf32>
  nn.write @queue, %1 : tensor<4x1xf32>
  return %1 : tensor<4x1xf32>
}

// CHECK-LABEL: @run
// CHECK: result 0 [4] = 0 10 5 1000
func.func @run() -> tensor<4xf32> {
  %0 = nn.run_scalar step : tensor<f32>
  %1 = nn.run_scalar steps_per_epoch : tensor<f32>
  %2 = nn.run_scalar epochs : tensor<f32>
  %3 = nn.run_scalar samples : tensor<f32>
  %4 = nn.reshape %0 : tensor<f32> -> tensor<1xf32>
  %5 = nn.reshape %1 : tensor<f32> -> tensor<1xf32>
  %6 = nn.reshape %2 : tensor<f32> -> tensor<1xf32>
  %7 = nn.reshape %3 : tensor<f32> -> tensor<1xf32>
  %8 = nn.concat %4, %5, %6, %7 axis 0 : (tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<4xf32>
  return %8 : tensor<4xf32>
}
