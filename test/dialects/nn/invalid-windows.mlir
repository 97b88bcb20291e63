// Constraints of convolution, pooling and batch normalisation.
// RUN: doppel-opt %s -split-input-file -verify-diagnostics

func.func @extent(%x: tensor<1x8x8x3xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error@+1 {{image 'tensor<1x8x8x3xf32>' and weight 'tensor<4x3x3x3xf32>' make [1, 6, 6, 4], the output is 'tensor<1x8x8x4xf32>'}}
  %0 = nn.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x8x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<1x8x8x4xf32>
  return
}

// -----

func.func @channels(%x: tensor<1x8x8x4xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error@+1 {{the image 'tensor<1x8x8x4xf32>' has 4 channels, the weight 'tensor<4x3x3x3xf32>' takes 3 in each of 1 groups}}
  %0 = nn.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x8x8x4xf32>, tensor<4x3x3x3xf32>) -> tensor<1x8x8x4xf32>
  return
}

// -----

func.func @element(%x: tensor<1x8x8x3xf32>, %w: tensor<4x3x3x3xf64>) {
  // expected-error@+1 {{image 'tensor<1x8x8x3xf32>', weight 'tensor<4x3x3x3xf64>' and output 'tensor<1x8x8x4xf32>' differ in element type}}
  %0 = nn.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x8x8x3xf32>, tensor<4x3x3x3xf64>) -> tensor<1x8x8x4xf32>
  return
}

// -----

func.func @strides(%x: tensor<1x8x8x3xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error@+1 {{strides is [1, 0], but must be 2 numbers of at least 1}}
  %0 = nn.conv2d %x, %w {strides = array<i64: 1, 0>, padding = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x8x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<1x8x8x4xf32>
  return
}

// -----

func.func @padding(%x: tensor<1x8x8x3xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error@+1 {{padding is [1, 1], but must be 4 numbers of at least 0}}
  %0 = nn.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 1, 1>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x8x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<1x8x8x4xf32>
  return
}

// -----

func.func @dilations(%x: tensor<1x4x4x3xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error@+1 {{the window is 5 high, the padded image only 4}}
  %0 = nn.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 2, 2>, groups = 1 : i64} : (tensor<1x4x4x3xf32>, tensor<4x3x3x3xf32>) -> tensor<1x1x1x4xf32>
  return
}

// -----

func.func @backward_data(%dy: tensor<1x6x6x4xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error@+1 {{make [1, 7, 7, 4], the output is 'tensor<1x6x6x4xf32>'}}
  %0 = nn.conv2d_backward_data %dy, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x6x6x4xf32>, tensor<4x3x3x3xf32>) -> tensor<1x9x9x3xf32>
  return
}

// -----

func.func @backward_weights(%x: tensor<1x8x8x3xf32>, %dy: tensor<1x6x6x4xf32>) {
  // expected-error@+1 {{make [1, 6, 6, 5], the output is 'tensor<1x6x6x4xf32>'}}
  %0 = nn.conv2d_backward_weights %x, %dy {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1 : i64} : (tensor<1x8x8x3xf32>, tensor<1x6x6x4xf32>) -> tensor<5x3x3x3xf32>
  return
}

// -----

func.func @max_pool(%x: tensor<1x8x8x3xf32>) {
  // expected-error@+1 {{image 'tensor<1x8x8x3xf32>' makes [1, 4, 4, 3], the output is 'tensor<1x3x4x3xf32>'}}
  %0:2 = nn.max_pool2d %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : tensor<1x8x8x3xf32> -> tensor<1x3x4x3xf32>, tensor<1x3x4x3xi8>
  return
}

// -----

func.func @max_pool_workspace(%x: tensor<1x8x8x3xf32>) {
  // expected-error@+1 {{the workspace is 'tensor<4x4xi8>', the output is 'tensor<1x4x4x3xf32>': the shapes differ}}
  %0:2 = nn.max_pool2d %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : tensor<1x8x8x3xf32> -> tensor<1x4x4x3xf32>, tensor<4x4xi8>
  return
}

// -----

func.func @max_pool_places(%x: tensor<1x17x17x3xf32>) {
  // expected-error@+1 {{a window of 289 places does not fit the workspace's byte, at most 256}}
  %0:2 = nn.max_pool2d %x {kernel = array<i64: 17, 17>, strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>} : tensor<1x17x17x3xf32> -> tensor<1x1x1x3xf32>, tensor<1x1x1x3xi8>
  return
}

// -----

func.func @max_pool_backward(%dy: tensor<1x4x4x3xf32>, %places: tensor<1x4x4x3xi8>) {
  // expected-error@+1 {{image 'tensor<1x9x8x2xf32>' makes [1, 4, 4, 2], the output is 'tensor<1x4x4x3xf32>'}}
  %0 = nn.max_pool2d_backward %dy, %places {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : (tensor<1x4x4x3xf32>, tensor<1x4x4x3xi8>) -> tensor<1x9x8x2xf32>
  return
}

// -----

func.func @avg_pool(%x: tensor<1x8x8x3xf32>) {
  // expected-error@+1 {{padding [2, 0, 0, 0] must be smaller than the kernel [2, 2]}}
  %0 = nn.avg_pool2d %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 2, 0, 0, 0>} : tensor<1x8x8x3xf32> -> tensor<1x5x4x3xf32>
  return
}

// -----

func.func @avg_pool_backward(%dy: tensor<1x4x4x3xf32>) {
  // expected-error@+1 {{image 'tensor<1x6x6x3xf32>' makes [1, 3, 3, 3], the output is 'tensor<1x4x4x3xf32>'}}
  %0 = nn.avg_pool2d_backward %dy {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0, 0, 0>} : tensor<1x4x4x3xf32> -> tensor<1x6x6x3xf32>
  return
}

// -----

func.func @batch_norm_rank(%x: tensor<4xf32>, %s: tensor<4xf32>) {
  // expected-error@+1 {{the input is 'tensor<4xf32>', but must have a batch and channels}}
  %0:3 = nn.batch_norm %x, %s, %s {epsilon = 1.0e-5 : f64, groups = 1 : i64} : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<1x4xf32>, tensor<1x4xf32>)
  return
}

// -----

func.func @batch_norm_groups(%x: tensor<6x4xf32>, %s: tensor<4xf32>) {
  // expected-error@+1 {{4 groups do not divide the batch of 6}}
  %0:3 = nn.batch_norm %x, %s, %s {epsilon = 1.0e-5 : f64, groups = 4 : i64} : (tensor<6x4xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<6x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>)
  return
}

// -----

func.func @batch_norm_channels(%x: tensor<6x4xf32>, %s: tensor<5xf32>) {
  // expected-error@+1 {{the input is 'tensor<6x4xf32>' in 1 groups, which asks for 'tensor<4xf32>', not 'tensor<5xf32>'}}
  %0:3 = nn.batch_norm %x, %s, %s {epsilon = 1.0e-5 : f64, groups = 1 : i64} : (tensor<6x4xf32>, tensor<5xf32>, tensor<5xf32>) -> (tensor<6x4xf32>, tensor<1x4xf32>, tensor<1x4xf32>)
  return
}

// -----

func.func @batch_norm_backward(%x: tensor<6x4xf32>, %s: tensor<4xf32>, %m: tensor<4xf32>) {
  // expected-error@+1 {{the input is 'tensor<6x4xf32>' in 2 groups, which asks for 'tensor<2x4xf32>', not 'tensor<4xf32>'}}
  %0:3 = nn.batch_norm_backward %x, %s, %m, %m, %x {epsilon = 1.0e-5 : f64, groups = 2 : i64} : (tensor<6x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<6x4xf32>) -> (tensor<6x4xf32>, tensor<4xf32>, tensor<4xf32>)
  return
}
