// Every operation, attribute and type of nn survives printing and parsing, in both forms.
// RUN: doppel-opt %s | doppel-opt | FileCheck %s
// RUN: doppel-opt %s --mlir-print-op-generic | doppel-opt | FileCheck %s

// CHECK-LABEL: module
// CHECK: nn.state @online.conv1.weight parameter : tensor<4x3x3x3xf32>
nn.state @"online.conv1.weight" parameter : tensor<4x3x3x3xf32>
nn.state @"target.conv1.weight" ema : tensor<4x3x3x3xf32>
nn.state @mean buffer : tensor<4xf32>
nn.state @w parameter : tensor<8xf32>
nn.state @v moment : tensor<8xf32>
nn.state @queue queue : tensor<8x4xf32>
nn.state @center other : tensor<4xf32>
// CHECK: nn.state_group @group parameter [@online.conv1.weight, @w] [0, 112] : tensor<128xf32>
nn.state_group @group parameter [@"online.conv1.weight", @w] [0, 112] : tensor<128xf32>

// CHECK-LABEL: func.func @elementwise
func.func @elementwise(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>, %b: tensor<2x3xi1>) {
  // CHECK: nn.neg %{{.*}} : tensor<2x3xf32>
  %0 = nn.neg %x : tensor<2x3xf32>
  %1 = nn.exp %x : tensor<2x3xf32>
  %2 = nn.log %x : tensor<2x3xf32>
  %3 = nn.sqrt %x : tensor<2x3xf32>
  %4 = nn.rsqrt %x : tensor<2x3xf32>
  %5 = nn.tanh %x : tensor<2x3xf32>
  %6 = nn.sigmoid %x : tensor<2x3xf32>
  %7 = nn.erf %x : tensor<2x3xf32>
  %8 = nn.abs %x : tensor<2x3xf32>
  %9 = nn.sin %x : tensor<2x3xf32>
  %10 = nn.cos %x : tensor<2x3xf32>
  %11 = nn.floor %x : tensor<2x3xf32>
  %12 = nn.relu %x : tensor<2x3xf32>
  // CHECK: nn.not %{{.*}} : tensor<2x3xi1>
  %13 = nn.not %b : tensor<2x3xi1>
  %14 = nn.stop_gradient %x : tensor<2x3xf32>
  // CHECK: nn.add %{{.*}}, %{{.*}} : tensor<2x3xf32>
  %15 = nn.add %x, %y : tensor<2x3xf32>
  %16 = nn.sub %x, %y : tensor<2x3xf32>
  %17 = nn.mul %x, %y : tensor<2x3xf32>
  %18 = nn.div %x, %y : tensor<2x3xf32>
  %19 = nn.rem %x, %y : tensor<2x3xf32>
  %20 = nn.max %x, %y : tensor<2x3xf32>
  %21 = nn.min %x, %y : tensor<2x3xf32>
  %22 = nn.pow %x, %y : tensor<2x3xf32>
  %23 = nn.and %b, %b : tensor<2x3xi1>
  %24 = nn.or %b, %b : tensor<2x3xi1>
  // CHECK: nn.compare lt %{{.*}}, %{{.*}} : tensor<2x3xf32> -> tensor<2x3xi1>
  %25 = nn.compare lt %x, %y : tensor<2x3xf32> -> tensor<2x3xi1>
  // CHECK: nn.select %{{.*}}, %{{.*}}, %{{.*}} : tensor<2x3xi1>, tensor<2x3xf32>
  %26 = nn.select %b, %x, %y : tensor<2x3xi1>, tensor<2x3xf32>
  // CHECK: nn.convert %{{.*}} : tensor<2x3xf32> -> tensor<2x3xi64>
  %27 = nn.convert %x : tensor<2x3xf32> -> tensor<2x3xi64>
  return
}

// CHECK-LABEL: func.func @run
func.func @run(%images: !nn.images<2>) {
  // CHECK: nn.constant dense<1.000000e+00> : tensor<2xf32>
  %0 = nn.constant dense<1.0> : tensor<2xf32>
  // CHECK: nn.iota 1 : tensor<2x3xi64>
  %1 = nn.iota 1 : tensor<2x3xi64>
  // CHECK: nn.run_scalar steps_per_epoch : tensor<f32>
  %2 = nn.run_scalar steps_per_epoch : tensor<f32>
  // CHECK: nn.random normal stream 3 : tensor<4xf32>
  %3 = nn.random normal stream 3 : tensor<4xf32>
  // CHECK: nn.random_permutation stream 4 : tensor<8xi32>
  %4 = nn.random_permutation stream 4 : tensor<8xi32>
  // CHECK: nn.sample_index %{{.*}} : <2> -> tensor<2xi64>
  %5 = nn.sample_index %images : !nn.images<2> -> tensor<2xi64>
  // CHECK: nn.augment %{{.*}} stream 5 [#nn.stage<random_resized_crop, {{.*}}>, #nn.stage<horizontal_flip, {p = 5.000000e-01 : f64}>,
  %6 = nn.augment %images stream 5 [
      #nn.stage<random_resized_crop, {size = 32 : i64, scale = array<f64: 0.2, 1.0>, ratio = array<f64: 0.75, 1.33>, interpolation = "bicubic"}>,
      #nn.stage<horizontal_flip, {p = 0.5}>,
      #nn.stage<color_jitter, {brightness = 0.4, contrast = 0.4, saturation = 0.4, hue = 0.1, p = 0.8, order = "random", brightness_by = "factor"}>,
      #nn.stage<grayscale, {p = 0.2}>,
      #nn.stage<gaussian_blur, {sigma = array<f64: 0.1, 2.0>, kernel = 3 : i64, p = 0.5}>,
      #nn.stage<solarize, {threshold = 0.5, p = 0.2}>,
      #nn.stage<rotation, {degrees = 30.0, p = 0.5}>,
      #nn.stage<normalize, {mean = array<f64: 0.5, 0.5, 0.5>, std = array<f64: 0.2, 0.2, 0.2>}>]
      : !nn.images<2> -> tensor<2x32x32x3xf32>
  return
}

// CHECK-LABEL: func.func @tensors
func.func @tensors(%x: tensor<2x3xf32>, %table: tensor<8x4xf32>, %i: tensor<3xi32>, %rows: tensor<3x4xf32>, %batch: tensor<4x4xf32>) {
  // CHECK: nn.broadcast %{{.*}} [0, 2] : tensor<2x3xf32> -> tensor<2x5x3xf32>
  %0 = nn.broadcast %x [0, 2] : tensor<2x3xf32> -> tensor<2x5x3xf32>
  // CHECK: nn.reshape %{{.*}} : tensor<2x3xf32> -> tensor<6xf32>
  %1 = nn.reshape %x : tensor<2x3xf32> -> tensor<6xf32>
  // CHECK: nn.transpose %{{.*}} [1, 0] : tensor<2x3xf32> -> tensor<3x2xf32>
  %2 = nn.transpose %x [1, 0] : tensor<2x3xf32> -> tensor<3x2xf32>
  // CHECK: nn.slice %{{.*}} offsets [0, 0] strides [1, 2] : tensor<2x3xf32> -> tensor<2x2xf32>
  %3 = nn.slice %x offsets [0, 0] strides [1, 2] : tensor<2x3xf32> -> tensor<2x2xf32>
  // CHECK: nn.pad %{{.*}} offsets [0, 0] strides [1, 2] : tensor<2x2xf32> -> tensor<2x3xf32>
  %4 = nn.pad %3 offsets [0, 0] strides [1, 2] : tensor<2x2xf32> -> tensor<2x3xf32>
  // CHECK: nn.concat %{{.*}}, %{{.*}} axis 1 : (tensor<2x3xf32>, tensor<2x2xf32>) -> tensor<2x5xf32>
  %5 = nn.concat %x, %3 axis 1 : (tensor<2x3xf32>, tensor<2x2xf32>) -> tensor<2x5xf32>
  // CHECK: nn.reduce max %{{.*}} [1] : tensor<2x3xf32> -> tensor<2xf32>
  %6 = nn.reduce max %x [1] : tensor<2x3xf32> -> tensor<2xf32>
  // CHECK: nn.matmul %{{.*}}, %{{.*}} {transpose_rhs} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x2xf32>
  %7 = nn.matmul %x, %x {transpose_rhs} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x2xf32>
  // CHECK: nn.gemm %{{.*}}, %{{.*}} add %[[PRODUCT:.*]] {precision = #nn<precision tf32>, transpose_rhs} : (tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %gemm = nn.gemm %x, %x add %7 {precision = #nn<precision tf32>, transpose_rhs} : (tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  // CHECK: nn.gather_rows
  %8 = nn.gather_rows %table, %i : (tensor<8x4xf32>, tensor<3xi32>) -> tensor<3x4xf32>
  // CHECK: nn.scatter_rows %{{.*}} {accumulate} :
  %9 = nn.scatter_rows %table, %i, %rows {accumulate} : (tensor<8x4xf32>, tensor<3xi32>, tensor<3x4xf32>) -> tensor<8x4xf32>
  // CHECK: nn.enqueue
  %10 = nn.enqueue %table, %batch : (tensor<8x4xf32>, tensor<4x4xf32>) -> tensor<8x4xf32>
  // CHECK: nn.pack %{{.*}}, %{{.*}} [0, 16] : (tensor<2x3xf32>, tensor<6xf32>) -> tensor<32xf32>
  %11 = nn.pack %x, %1 [0, 16] : (tensor<2x3xf32>, tensor<6xf32>) -> tensor<32xf32>
  // CHECK: nn.segment_sum %{{.*}} offsets [0, 16] sizes [6, 6] : tensor<32xf32> -> tensor<2xf32>
  %12 = nn.segment_sum %11 offsets [0, 16] sizes [6, 6] : tensor<32xf32> -> tensor<2xf32>
  // CHECK: nn.segment_broadcast %{{.*}} offsets [0, 16] sizes [6, 6] : tensor<2xf32> -> tensor<32xf32>
  %13 = nn.segment_broadcast %12 offsets [0, 16] sizes [6, 6] : tensor<2xf32> -> tensor<32xf32>
  // CHECK: nn.all_reduce %{{.*}} : tensor<2x3xf32> -> tensor<2x3xf32>
  %14 = nn.all_reduce %x : tensor<2x3xf32> -> tensor<2x3xf32>
  // CHECK: nn.all_gather %{{.*}} : tensor<2x3xf32> -> tensor<4x3xf32>
  %15 = nn.all_gather %x : tensor<2x3xf32> -> tensor<4x3xf32>
  // CHECK: nn.reduce_scatter %{{.*}} : tensor<4x3xf32> -> tensor<2x3xf32>
  %16 = nn.reduce_scatter %15 : tensor<4x3xf32> -> tensor<2x3xf32>
  return
}

// CHECK-LABEL: func.func @windows
func.func @windows(%x: tensor<2x8x8x4xf32>, %w: tensor<8x2x3x3xf32>, %s: tensor<4xf32>) {
  // CHECK: nn.conv2d
  %y = nn.conv2d %x, %w {strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<2x8x8x4xf32>, tensor<8x2x3x3xf32>) -> tensor<2x4x4x8xf32>
  // CHECK: nn.conv2d_backward_data
  %dx = nn.conv2d_backward_data %y, %w {strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<2x4x4x8xf32>, tensor<8x2x3x3xf32>) -> tensor<2x8x8x4xf32>
  // CHECK: nn.conv2d_backward_weights
  %dw = nn.conv2d_backward_weights %x, %y {strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 2 : i64} : (tensor<2x8x8x4xf32>, tensor<2x4x4x8xf32>) -> tensor<8x2x3x3xf32>
  // CHECK: nn.max_pool2d %{{.*}} {{.*}} : tensor<2x8x8x4xf32> -> tensor<2x4x4x4xf32>, tensor<2x4x4x4xi8>
  %p, %places = nn.max_pool2d %x {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>} : tensor<2x8x8x4xf32> -> tensor<2x4x4x4xf32>, tensor<2x4x4x4xi8>
  // CHECK: nn.max_pool2d_backward
  %dp = nn.max_pool2d_backward %p, %places {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, padding = array<i64: 1, 1, 1, 1>} : (tensor<2x4x4x4xf32>, tensor<2x4x4x4xi8>) -> tensor<2x8x8x4xf32>
  // CHECK: nn.avg_pool2d
  %a = nn.avg_pool2d %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : tensor<2x8x8x4xf32> -> tensor<2x4x4x4xf32>
  // CHECK: nn.avg_pool2d_backward
  %da = nn.avg_pool2d_backward %a {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : tensor<2x4x4x4xf32> -> tensor<2x8x8x4xf32>
  // CHECK: nn.batch_norm
  %n:3 = nn.batch_norm %x, %s, %s {epsilon = 1.0e-5 : f64, groups = 2 : i64} : (tensor<2x8x8x4xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<2x8x8x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>)
  // CHECK: nn.batch_norm_backward
  %dn:3 = nn.batch_norm_backward %x, %s, %n#1, %n#2, %x {epsilon = 1.0e-5 : f64, groups = 2 : i64} : (tensor<2x8x8x4xf32>, tensor<4xf32>, tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x8x8x4xf32>) -> (tensor<2x8x8x4xf32>, tensor<4xf32>, tensor<4xf32>)
  return
}

// CHECK-LABEL: func.func @states
func.func @states(%loss: tensor<f32>, %g: tensor<8xf32>) {
  // CHECK: nn.read @online.conv1.weight : tensor<4x3x3x3xf32>
  %0 = nn.read @"online.conv1.weight" : tensor<4x3x3x3xf32>
  // CHECK: nn.read @group : tensor<128xf32>
  %1 = nn.read @group : tensor<128xf32>
  // CHECK: nn.write @group, %{{.*}} : tensor<128xf32>
  nn.write @group, %1 : tensor<128xf32>
  // CHECK: nn.ema_update %{{.*}} [@target.conv1.weight] from [@online.conv1.weight] : tensor<f32>
  nn.ema_update %loss [@"target.conv1.weight"] from [@"online.conv1.weight"] : tensor<f32>
  // CHECK: nn.optimize lars %{{.*}}, %{{.*}}, %{{.*}} [@w] decay [true] adapt [false] {
  nn.optimize lars %loss, %loss, %loss [@w] decay [true] adapt [false] {momentum = 0.9, nesterov = false, trust = 0.001, epsilon = 0.0, form = "tf"} : tensor<f32>
  // CHECK: nn.update_parameters adamw %{{.*}}, %{{.*}}(%{{.*}}) [@w] decay [true] adapt [false] {
  nn.update_parameters adamw %loss, %loss (%g) [@w] decay [true] adapt [false] {beta1 = 0.9, beta2 = 0.999, epsilon = 1.0e-8} : tensor<f32>, tensor<8xf32>
  // CHECK: nn.check_finite %{{.*}} "loss" : tensor<f32>
  nn.check_finite %loss "loss" : tensor<f32>
  return
}

// CHECK-LABEL: func.func @fused
func.func @fused(%x: tensor<4x8xf32>) -> tensor<4xf32> {
  // CHECK: nn.fused row(%{{.*}}) : (tensor<4x8xf32>) -> tensor<4xf32> {
  // CHECK: nn.yield %{{.*}} : tensor<4xf32>
  %0 = nn.fused row(%x) : (tensor<4x8xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %e = nn.exp %a : tensor<4x8xf32>
    %s = nn.reduce sum %e [1] : tensor<4x8xf32> -> tensor<4xf32>
    nn.yield %s : tensor<4xf32>
  }
  return %0 : tensor<4xf32>
}
