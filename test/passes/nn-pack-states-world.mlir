// The mean of the gradients and of the scalars of several ranks.
// RUN: doppel-opt %s --nn-differentiate --nn-pack-states=world=2 --cse | FileCheck %s
// Two ranks with half of the batch each end where one with all of it does.
// RUN: doppel-opt %s --nn-differentiate --nn-pack-states=world=2 | doppel-verify run --ranks 2 --function step - | FileCheck %s --check-prefix=RANKS

nn.state @net.w parameter : tensor<2xf32>
func.func @init() {
  %w = nn.constant dense<[1.0, 2.0]> : tensor<2xf32>
  nn.write @net.w, %w : tensor<2xf32>
  return
}

// CHECK-LABEL: func.func @step
// CHECK: nn.all_gather %{{.+}}
// CHECK: nn.reduce_scatter %{{.+}}
// CHECK: %[[G:.+]] = nn.pack
// CHECK: %[[SUM:.+]] = nn.all_reduce %[[G]]
// CHECK: %[[HALF:.+]] = nn.constant dense<5.000000e-01> : tensor<16xf32>
// CHECK: %[[MEAN:.+]] = nn.mul %[[SUM]], %[[HALF]]
// CHECK: nn.check_finite %[[MEAN]] "gradient of net"
// CHECK: nn.all_reduce %{{.+}} : tensor<2xf32>
//
// Each rank r has the loss sum(all_gather(w * (r + 1))) * (r + 1) with w = [1, 2], so 9 and 18: the mean is 13.5. The gradient of the sum of both is
// (1 + 2) (1 + 2) = 9 a place, its mean over ranks 4.5.
// RANKS: rank 0
// RANKS: loss [] = 13.5
// RANKS: rate [] = 0.25
// RANKS: state net.w [2] = -0.125 0.875
// RANKS: rank 1
// RANKS: loss [] = 13.5
// RANKS: state net.w [2] = -0.125 0.875
func.func @step(%rank: !nn.images<1>) -> (tensor<f32> {nn.name = "loss"}, tensor<f32> {nn.name = "rate"}) {
  %index = nn.sample_index %rank : !nn.images<1> -> tensor<1xi64>
  %number = nn.convert %index : tensor<1xi64> -> tensor<1xf32>
  %one = nn.constant dense<1.0> : tensor<1xf32>
  %factor = nn.add %number, %one : tensor<1xf32>
  %f = nn.reshape %factor : tensor<1xf32> -> tensor<f32>
  %fs = nn.broadcast %f [] : tensor<f32> -> tensor<2xf32>
  %w = nn.read @net.w : tensor<2xf32>
  %local = nn.mul %w, %fs : tensor<2xf32>
  %all = nn.all_gather %local : tensor<2xf32> -> tensor<4xf32>
  %sum = nn.reduce sum %all [0] : tensor<4xf32> -> tensor<f32>
  %loss = nn.mul %sum, %f : tensor<f32>
  %lr = nn.constant dense<0.25> : tensor<f32>
  %wd = nn.constant dense<0.0> : tensor<f32>
  nn.optimize sgd %loss, %lr, %wd [@net.w] decay [false] adapt [false] {momentum = 0.0, dampening = 0.0, nesterov = false} : tensor<f32>
  return %loss, %lr : tensor<f32>, tensor<f32>
}
