// Convolutions in groups and with uneven windows, and pooling, against the oracle.
// RUN: for channels in 4 8 12 16 48; do \
// RUN:   sed "s/CHANNELS/$channels/g; s/PART/$((channels / 4))/g" %s | doppel-verify kernels - \
// RUN:   | FileCheck %s --implicit-check-not=WRONG || exit 1; done

!image = tensor<2x8x9xCHANNELSxf32>
!halved = tensor<2x4x5xCHANNELSxf32>
#one = array<i64: 1, 1>
#two = array<i64: 2, 2>
#three = array<i64: 3, 3>
#none = array<i64: 0, 0, 0, 0>
#around = array<i64: 1, 1, 1, 1>

// Kernel, stride, padding and dilation differ by axis and by side.
// CHECK-LABEL: @uneven
// CHECK-COUNT-3: ok
#by_2 = array<i64: 1, 2>
#by_3 = array<i64: 1, 3>
#uneven = array<i64: 0, 1, 2, 0>
func.func @uneven(%x: !image, %w: tensor<6xCHANNELSx3x2xf32>, %dy: tensor<2x8x4x6xf32>)
    -> (tensor<2x8x4x6xf32>, !image, tensor<6xCHANNELSx3x2xf32>) {
  %y = nn.conv2d %x, %w {strides = #by_2, padding = #uneven, dilations = #by_3, groups = 1 : i64}
      : (!image, tensor<6xCHANNELSx3x2xf32>) -> tensor<2x8x4x6xf32>
  %dx = nn.conv2d_backward_data %dy, %w
      {strides = #by_2, padding = #uneven, dilations = #by_3, groups = 1 : i64}
      : (tensor<2x8x4x6xf32>, tensor<6xCHANNELSx3x2xf32>) -> !image
  %dw = nn.conv2d_backward_weights %x, %dy
      {strides = #by_2, padding = #uneven, dilations = #by_3, groups = 1 : i64}
      : (!image, tensor<2x8x4x6xf32>) -> tensor<6xCHANNELSx3x2xf32>
  return %y, %dx, %dw : tensor<2x8x4x6xf32>, !image, tensor<6xCHANNELSx3x2xf32>
}

// Four groups with two outputs each.
// CHECK-LABEL: @groups
// CHECK-COUNT-3: ok
#down_2 = array<i64: 2, 1>
func.func @groups(%x: !image, %w: tensor<8xPARTx3x3xf32>, %dy: tensor<2x4x9x8xf32>)
    -> (tensor<2x4x9x8xf32>, !image, tensor<8xPARTx3x3xf32>) {
  %y = nn.conv2d %x, %w {strides = #down_2, padding = #around, dilations = #one, groups = 4 : i64}
      : (!image, tensor<8xPARTx3x3xf32>) -> tensor<2x4x9x8xf32>
  %dx = nn.conv2d_backward_data %dy, %w
      {strides = #down_2, padding = #around, dilations = #one, groups = 4 : i64}
      : (tensor<2x4x9x8xf32>, tensor<8xPARTx3x3xf32>) -> !image
  %dw = nn.conv2d_backward_weights %x, %dy
      {strides = #down_2, padding = #around, dilations = #one, groups = 4 : i64}
      : (!image, tensor<2x4x9x8xf32>) -> tensor<8xPARTx3x3xf32>
  return %y, %dx, %dw : tensor<2x4x9x8xf32>, !image, tensor<8xPARTx3x3xf32>
}

// A group for each channel.
// CHECK-LABEL: @depthwise
// CHECK-COUNT-3: ok
func.func @depthwise(%x: !image, %w: tensor<CHANNELSx1x3x3xf32>, %dy: !image)
    -> (!image, !image, tensor<CHANNELSx1x3x3xf32>) {
  %y = nn.conv2d %x, %w
      {strides = #one, padding = #around, dilations = #one, groups = CHANNELS : i64}
      : (!image, tensor<CHANNELSx1x3x3xf32>) -> !image
  %dx = nn.conv2d_backward_data %dy, %w
      {strides = #one, padding = #around, dilations = #one, groups = CHANNELS : i64}
      : (!image, tensor<CHANNELSx1x3x3xf32>) -> !image
  %dw = nn.conv2d_backward_weights %x, %dy
      {strides = #one, padding = #around, dilations = #one, groups = CHANNELS : i64}
      : (!image, !image) -> tensor<CHANNELSx1x3x3xf32>
  return %y, %dx, %dw : !image, !image, tensor<CHANNELSx1x3x3xf32>
}

// Windows overlap, and hold equal numbers, of which the first is the greatest.
// CHECK-LABEL: @max_pool
// CHECK-COUNT-2: ok
func.func @max_pool(%x: !image {nn.range = [-2.0, 3.0]}, %dy: !halved) -> (!halved, !image) {
  %f = nn.floor %x : !image
  %y, %places = nn.max_pool2d %f {kernel = #three, strides = #two, padding = #around}
      : !image -> !halved, tensor<2x4x5xCHANNELSxi8>
  %dx = nn.max_pool2d_backward %dy, %places {kernel = #three, strides = #two, padding = #around}
      : (!halved, tensor<2x4x5xCHANNELSxi8>) -> !image
  return %y, %dx : !halved, !image
}

// Padding counts as zeros; a window may be the whole image.
// CHECK-LABEL: @avg_pool
// CHECK-COUNT-4: ok
#tall = array<i64: 3, 2>
#behind = array<i64: 0, 0, 1, 1>
#whole = array<i64: 8, 9>
func.func @avg_pool(%x: !image, %dy: !halved, %dz: tensor<2x1x1xCHANNELSxf32>)
    -> (!halved, !image, tensor<2x1x1xCHANNELSxf32>, !image) {
  %y = nn.avg_pool2d %x {kernel = #tall, strides = #two, padding = #behind} : !image -> !halved
  %dx = nn.avg_pool2d_backward %dy {kernel = #tall, strides = #two, padding = #behind}
      : !halved -> !image
  %z = nn.avg_pool2d %x {kernel = #whole, strides = #one, padding = #none}
      : !image -> tensor<2x1x1xCHANNELSxf32>
  %dw = nn.avg_pool2d_backward %dz {kernel = #whole, strides = #one, padding = #none}
      : tensor<2x1x1xCHANNELSxf32> -> !image
  return %y, %dx, %z, %dw : !halved, !image, tensor<2x1x1xCHANNELSxf32>, !image
}
