// What makes two parameters share a vector, and what does not.
// RUN: doppel-opt %s --nn-pack-states --split-input-file --verify-diagnostics | FileCheck %s

nn.state @a.x parameter : tensor<20xf32>
nn.state @a.y parameter : tensor<2x3xf32>
nn.state @a.proto parameter : tensor<4xf32>
nn.state @b.x parameter : tensor<8xf32>
nn.state @c.x parameter : tensor<8xf32>
nn.state @t.x ema : tensor<20xf32>
nn.state @u.x ema : tensor<8xf32>

// @a.x is averaged, @a.y is not; @a.proto is written by the spec; @b is another network; @c is averaged but never stepped.
// CHECK-DAG: nn.state_group @"a/decay" parameter [@a.x] [0] : tensor<32xf32>
// CHECK-DAG: nn.state_group @"t/decay" ema [@t.x] [0] : tensor<32xf32>
// CHECK-DAG: nn.state_group @"a/decay/2" parameter [@a.y] [0] : tensor<16xf32>
// CHECK-DAG: nn.state_group @"a/decay/3" parameter [@a.proto] [0] : tensor<16xf32>
// CHECK-DAG: nn.state_group @"b/decay" parameter [@b.x] [0] : tensor<16xf32>
// CHECK-DAG: nn.state_group @"c/frozen" parameter [@c.x] [0] : tensor<16xf32>
// CHECK-DAG: nn.state_group @"u/frozen" ema [@u.x] [0] : tensor<16xf32>
// CHECK-LABEL: func.func @step
// CHECK: %[[P:.+]] = nn.pack %arg5 [0] : (tensor<4xf32>) -> tensor<16xf32>
// CHECK: nn.write @"a/decay/3", %[[P]]
func.func @step(%lr: tensor<f32>, %gx: tensor<20xf32>, %gy: tensor<2x3xf32>, %gp: tensor<4xf32>, %gb: tensor<8xf32>, %new: tensor<4xf32>) {
  nn.write @a.proto, %new : tensor<4xf32>
  nn.update_parameters sgd %lr, %lr(%gx, %gy, %gp, %gb) [@a.x, @a.y, @a.proto, @b.x] decay [true, true, true, true] adapt [true, true, true, true]
      {momentum = 0.0, dampening = 0.0, nesterov = false} : tensor<f32>, tensor<20xf32>, tensor<2x3xf32>, tensor<4xf32>, tensor<8xf32>
  nn.ema_update %lr [@t.x, @u.x] from [@a.x, @c.x] : tensor<f32>
  return
}

// -----

nn.state @a.x parameter : tensor<4xf32>
func.func @step(%lr: tensor<f32>, %g: tensor<4xf32>) {
  nn.update_parameters sgd %lr, %lr(%g) [@a.x] decay [true] adapt [true] {momentum = 0.0, dampening = 0.0, nesterov = false} : tensor<f32>, tensor<4xf32>
  // expected-error @below {{'a.x' is stepped by another optimizer already}}
  nn.update_parameters sgd %lr, %lr(%g) [@a.x] decay [true] adapt [true] {momentum = 0.0, dampening = 0.0, nesterov = false} : tensor<f32>, tensor<4xf32>
  return
}

// -----

nn.state @a.x parameter : tensor<4xf32>
nn.state @b.x parameter : tensor<4xf32>
nn.state @t.x ema : tensor<4xf32>
func.func @step(%m: tensor<f32>) {
  nn.ema_update %m [@t.x] from [@a.x] : tensor<f32>
  // expected-error @below {{'t.x' cannot follow 'b.x': it is tied to 'a.x'}}
  nn.ema_update %m [@t.x] from [@b.x] : tensor<f32>
  return
}

// -----

nn.state @a.x parameter : tensor<4xf32>
// expected-error @below {{does not write 'a.x'}}
func.func @init() {
  return
}
func.func @step(%lr: tensor<f32>, %g: tensor<4xf32>) {
  nn.update_parameters sgd %lr, %lr(%g) [@a.x] decay [true] adapt [true] {momentum = 0.0, dampening = 0.0, nesterov = false} : tensor<f32>, tensor<4xf32>
  return
}
