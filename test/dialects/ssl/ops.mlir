// Every operation in its printed form.
// RUN: doppel-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: ssl.method @Method batch 4 epochs 2 {dim = "2"}
ssl.method @Method batch 4 epochs 2 {dim = "2"} {
  // CHECK: ssl.state @net.w parameter : tensor<2xf32>
  ssl.state @net.w parameter : tensor<2xf32> {
    %c = nn.random normal stream 1 : tensor<2xf32>
    nn.yield %c : tensor<2xf32>
  }
  ssl.state @copy.w ema : tensor<2xf32> {
    %c = nn.read @net.w : tensor<2xf32>
    nn.yield %c : tensor<2xf32>
  }
  // CHECK: ssl.net @net : (tensor<4x2xf32>) -> tensor<4x2xf32>
  ssl.net @net : (tensor<4x2xf32>) -> tensor<4x2xf32> {
  ^bb0(%x: tensor<4x2xf32>):
    %w = nn.read @".w" : tensor<2xf32>
    %b = nn.broadcast %w [1] : tensor<2xf32> -> tensor<4x2xf32>
    %y = nn.mul %x, %b : tensor<4x2xf32>
    nn.yield %y : tensor<4x2xf32>
  }
  // CHECK: ssl.step
  ssl.step {
  ^bb0(%images: !nn.images<4>):
    %index = nn.sample_index %images : !nn.images<4> -> tensor<4xi64>
    %f = nn.convert %index : tensor<4xi64> -> tensor<4xf32>
    %x = nn.broadcast %f [0] : tensor<4xf32> -> tensor<4x2xf32>
    // CHECK: ssl.view "x" %{{.+}} : tensor<4x2xf32>
    ssl.view "x" %x : tensor<4x2xf32>
    // CHECK: ssl.apply @net as "net"(%{{.+}}) : (tensor<4x2xf32>) -> tensor<4x2xf32>
    %y = ssl.apply @net as "net"(%x) : (tensor<4x2xf32>) -> tensor<4x2xf32>
    %l = nn.reduce sum %y [0, 1] : tensor<4x2xf32> -> tensor<f32>
    // CHECK: ssl.loss %[[L:.+]] : tensor<f32>
    ssl.loss %l : tensor<f32>
    // CHECK: ssl.metric "same" %[[L]] : tensor<f32>
    ssl.metric "same" %l : tensor<f32>
    // CHECK: ssl.update "net.w" before_forward
    ssl.update "net.w" before_forward {
      %w = nn.read @net.w : tensor<2xf32>
      nn.yield %w : tensor<2xf32>
    }
    // CHECK: ssl.ema "copy" of "net" after_step
    ssl.ema "copy" of "net" after_step {
      %m = nn.constant dense<0.5> : tensor<f32>
      nn.yield %m : tensor<f32>
    }
  }
  // CHECK: ssl.optimize sgd ["net.w"] decay [true] adapt [false] {dampening = 0.000000e+00 : f64, momentum = 0.000000e+00 : f64, nesterov = false}
  ssl.optimize sgd ["net.w"] decay [true] adapt [false] {momentum = 0.0, dampening = 0.0, nesterov = false} {
    %r = nn.constant dense<0.5> : tensor<f32>
    nn.yield %r, %r : tensor<f32>, tensor<f32>
  }
  // CHECK: ssl.represent
  ssl.represent {
  ^bb0(%images: !nn.images<4>):
    %index = nn.sample_index %images : !nn.images<4> -> tensor<4xi64>
    %f = nn.convert %index : tensor<4xi64> -> tensor<4xf32>
    %x = nn.broadcast %f [0] : tensor<4xf32> -> tensor<4x2xf32>
    nn.yield %x : tensor<4x2xf32>
  }
}
