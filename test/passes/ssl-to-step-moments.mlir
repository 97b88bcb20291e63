// Updates at each of the three moments, and what their reads see.
// RUN: doppel-opt %s --ssl-to-step | FileCheck %s
// RUN: doppel-opt %s --to-step --to-train | doppel-verify run --function step | FileCheck %s --check-prefix=VALUES

ssl.method @Moments batch 4 epochs 1 {} {
  ssl.state @net.w parameter : tensor<2xf32> { %c = nn.constant dense<[1.0, 3.0]> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  ssl.state @copy.w ema : tensor<2xf32> { %c = nn.constant dense<5.0> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  ssl.state @before other : tensor<2xf32> { %c = nn.constant dense<0.0> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  ssl.state @after other : tensor<2xf32> { %c = nn.constant dense<0.0> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  ssl.state @last other : tensor<2xf32> { %c = nn.constant dense<0.0> : tensor<2xf32> nn.yield %c : tensor<2xf32> }
  ssl.net @net : () -> tensor<2xf32> {
    %w = nn.read @".w" : tensor<2xf32>
    nn.yield %w : tensor<2xf32>
  }
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %w = ssl.apply @net as "net" () : () -> tensor<2xf32>
    %square = nn.mul %w, %w : tensor<2xf32>
    %loss = nn.reduce sum %square [0] : tensor<2xf32> -> tensor<f32>
    %half = nn.constant dense<0.5> : tensor<f32>
    ssl.loss %loss : tensor<f32>
    ssl.loss %half : tensor<f32>
    ssl.metric "square" %loss : tensor<f32>
    ssl.update "last" after_step {
      %new = nn.read @net.w : tensor<2xf32>
      %sum = nn.add %new, %w : tensor<2xf32>
      nn.yield %sum : tensor<2xf32>
    }
    ssl.ema "copy" of "net" after_step { %m = nn.constant dense<0.5> : tensor<f32> nn.yield %m : tensor<f32> }
    ssl.update "after" after_loss { nn.yield %square : tensor<2xf32> }
    ssl.update "before" before_forward { %old = nn.read @net.w : tensor<2xf32> nn.yield %old : tensor<2xf32> }
  }
  ssl.optimize sgd ["net.w"] decay [true] adapt [true] {momentum = 0.0, dampening = 0.0, nesterov = false} {
    %lr = nn.constant dense<0.25> : tensor<f32>
    %wd = nn.constant dense<0.0> : tensor<f32>
    nn.yield %lr, %wd : tensor<f32>, tensor<f32>
  }
}

// CHECK-LABEL: func.func @step
// CHECK-SAME: {nn.name = "loss"}, tensor<f32> {nn.name = "square"}, tensor<f32> {nn.name = "learning_rate"}
// CHECK: nn.write @before
// CHECK: %[[W:.+]] = nn.read @net.w
// CHECK: %[[SQUARE:.+]] = nn.mul %[[W]], %[[W]]
// CHECK: %[[LOSS:.+]] = nn.add
// CHECK: nn.write @after, %[[SQUARE]]
// CHECK: nn.optimize {{ *}}sgd %[[LOSS]]
// CHECK: %[[NEW:.+]] = nn.read @net.w
// CHECK: nn.add %[[NEW]], %[[W]]
// CHECK: nn.write @last
// CHECK: nn.ema_update

// w = [1, 3], gradient 2 w, rate 1/4: the new w is [0.5, 1.5], half of that and half of 5 the average.
// VALUES: loss [] = 10.5
// VALUES: square [] = 10
// VALUES: state after [2] = 1 9
// VALUES: state before [2] = 1 3
// VALUES: state copy.w [2] = 2.75 3.25
// VALUES: state last [2] = 1.5 4.5
// VALUES: state net.w [2] = 0.5 1.5
