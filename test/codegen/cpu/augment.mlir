// Each stage of a view behind a crop, as compiled code against the oracle: images of odd sizes,
// larger and smaller than the view, sides that are no multiple of a vector. recipes.dpl has the
// library's pipelines. A turned pixel's error is that of the place it is read at, whatever its value.
// RUN: for side in 7 16 37; do sed "s/SIDE/$side/g" %s \
// RUN:   | doppel-verify kernels - --step $side --floor 0.25 \
// RUN:   | FileCheck %s --implicit-check-not=WRONG || exit 1; done

!view = tensor<6xSIDExSIDEx3xf32>

// The middle of an image, made larger and smaller.
// CHECK-LABEL: @center_crop
// CHECK-COUNT-2: ok
#crop = #nn.stage<center_crop, {size = SIDE : i64, resize = 40 : i64}>
#whole = #nn.stage<center_crop, {size = SIDE : i64, resize = SIDE : i64}>
func.func @center_crop(%images: !nn.images<6>) -> (!view, !view) {
  %0 = nn.augment %images stream 1 [#crop] : !nn.images<6> -> !view
  %1 = nn.augment %images stream 1 [#whole] : !nn.images<6> -> !view
  return %0, %1 : !view, !view
}

// Boxes down to a single pixel, by both filters; long ones are clamped to the image.
// CHECK-LABEL: @random_resized_crop
// CHECK-COUNT-4: ok
#bilinear = #nn.stage<random_resized_crop, {
    size = SIDE : i64, interpolation = "bilinear", scale = array<f64: 0.08, 1.0>,
    ratio = array<f64: 0.75, 1.3333>}>
#bicubic = #nn.stage<random_resized_crop, {
    size = SIDE : i64, interpolation = "bicubic", scale = array<f64: 0.2, 1.0>,
    ratio = array<f64: 0.75, 1.3333>}>
#pixel = #nn.stage<random_resized_crop, {
    size = SIDE : i64, interpolation = "bicubic", scale = array<f64: 1.0e-5, 1.0e-3>,
    ratio = array<f64: 1.0, 1.0>}>
#long = #nn.stage<random_resized_crop, {
    size = SIDE : i64, interpolation = "bilinear", scale = array<f64: 0.9, 1.0>,
    ratio = array<f64: 0.1, 10.0>}>
func.func @random_resized_crop(%images: !nn.images<6>) -> (!view, !view, !view, !view) {
  %0 = nn.augment %images stream 2 [#bilinear] : !nn.images<6> -> !view
  %1 = nn.augment %images stream 3 [#bicubic] : !nn.images<6> -> !view
  %2 = nn.augment %images stream 4 [#pixel] : !nn.images<6> -> !view
  %3 = nn.augment %images stream 5 [#long] : !nn.images<6> -> !view
  return %0, %1, %2, %3 : !view, !view, !view, !view
}

// Images of one pixel, and of one row of two.
// CHECK-LABEL: @one_pixel
// CHECK-COUNT-2: ok
func.func @one_pixel(%images: !nn.images<6> {nn.value = dense<
    "0x7942BDF22106F0847762F0F3CB4D764DC707"> : tensor<6x1x1x3xi8>})
    -> (!view, !view) {
  %0 = nn.augment %images stream 6 [#bicubic] : !nn.images<6> -> !view
  %1 = nn.augment %images stream 7 [#crop] : !nn.images<6> -> !view
  return %0, %1 : !view, !view
}

// CHECK-LABEL: @one_row
// CHECK-COUNT-2: ok
func.func @one_row(%images: !nn.images<6> {nn.value = dense<
    "0x2051159A0F89F2C6DACAE344BB311245FD6F84DF9AD7C5B3D076AC0E8F53A7356C88913F">
    : tensor<6x1x2x3xi8>})
    -> (!view, !view) {
  %0 = nn.augment %images stream 6 [#bilinear] : !nn.images<6> -> !view
  %1 = nn.augment %images stream 7 [#crop] : !nn.images<6> -> !view
  return %0, %1 : !view, !view
}

// CHECK-LABEL: @flip_grey_solarize_normalize
// CHECK-COUNT-4: ok
#flip = #nn.stage<horizontal_flip, {p = 0.5}>
#grey = #nn.stage<grayscale, {p = 0.5}>
#solarize = #nn.stage<solarize, {threshold = 0.5, p = 0.5}>
#normalize = #nn.stage<normalize, {mean = array<f64: 0.485, 0.456, 0.406>,
                                   std = array<f64: 0.229, 0.224, 0.225>}>
func.func @flip_grey_solarize_normalize(%images: !nn.images<6>) -> (!view, !view, !view, !view) {
  %0 = nn.augment %images stream 8 [#crop, #flip] : !nn.images<6> -> !view
  %1 = nn.augment %images stream 9 [#crop, #grey] : !nn.images<6> -> !view
  %2 = nn.augment %images stream 10 [#crop, #solarize] : !nn.images<6> -> !view
  %3 = nn.augment %images stream 11 [#crop, #normalize] : !nn.images<6> -> !view
  return %0, %1, %2, %3 : !view, !view, !view, !view
}

// Each of the four alone, then all in a drawn and in the fixed order, then with a brightness that is added.
// CHECK-LABEL: @color_jitter
// CHECK-COUNT-7: ok
#brightness = #nn.stage<color_jitter, {
    brightness = 0.8, contrast = 0.0, saturation = 0.0, hue = 0.0, p = 1.0, order = "fixed", brightness_by = "factor"}>
#contrast = #nn.stage<color_jitter, {
    brightness = 0.0, contrast = 0.8, saturation = 0.0, hue = 0.0, p = 1.0, order = "fixed", brightness_by = "factor"}>
#saturation = #nn.stage<color_jitter, {
    brightness = 0.0, contrast = 0.0, saturation = 0.8, hue = 0.0, p = 1.0, order = "fixed", brightness_by = "factor"}>
#hue = #nn.stage<color_jitter, {
    brightness = 0.0, contrast = 0.0, saturation = 0.0, hue = 0.5, p = 1.0, order = "fixed", brightness_by = "factor"}>
#jitter = #nn.stage<color_jitter, {
    brightness = 0.8, contrast = 0.8, saturation = 0.8, hue = 0.2, p = 0.8, order = "random", brightness_by = "factor"}>
#fixed = #nn.stage<color_jitter, {
    brightness = 0.4, contrast = 0.4, saturation = 0.4, hue = 0.1, p = 0.8, order = "fixed", brightness_by = "factor"}>
#offset = #nn.stage<color_jitter, {
    brightness = 0.8, contrast = 0.4, saturation = 0.4, hue = 0.1, p = 0.8, order = "random", brightness_by = "offset"}>
func.func @color_jitter(%images: !nn.images<6>) -> (!view, !view, !view, !view, !view, !view, !view) {
  %0 = nn.augment %images stream 12 [#crop, #brightness] : !nn.images<6> -> !view
  %1 = nn.augment %images stream 13 [#crop, #contrast] : !nn.images<6> -> !view
  %2 = nn.augment %images stream 14 [#crop, #saturation] : !nn.images<6> -> !view
  %3 = nn.augment %images stream 15 [#crop, #hue] : !nn.images<6> -> !view
  %4 = nn.augment %images stream 16 [#crop, #jitter] : !nn.images<6> -> !view
  %5 = nn.augment %images stream 17 [#crop, #fixed] : !nn.images<6> -> !view
  %6 = nn.augment %images stream 23 [#crop, #offset] : !nn.images<6> -> !view
  return %0, %1, %2, %3, %4, %5, %6 : !view, !view, !view, !view, !view, !view, !view
}

// A blur as wide as reflection allows, one tap, weights that are zero in f32; turns by any angle.
// CHECK-LABEL: @blur_and_rotation
// CHECK-COUNT-5: ok
#blur = #nn.stage<gaussian_blur, {sigma = array<f64: 0.1, 2.0>, kernel = 13 : i64, p = 0.8}>
#tap = #nn.stage<gaussian_blur, {sigma = array<f64: 1.0, 1.0>, kernel = 1 : i64, p = 1.0}>
#narrow = #nn.stage<gaussian_blur, {sigma = array<f64: 0.05, 0.06>, kernel = 5 : i64, p = 1.0}>
#tilt = #nn.stage<rotation, {degrees = 30.0, p = 1.0}>
#turn = #nn.stage<rotation, {degrees = 180.0, p = 0.5}>
func.func @blur_and_rotation(%images: !nn.images<6>) -> (!view, !view, !view, !view, !view) {
  %0 = nn.augment %images stream 18 [#crop, #blur] : !nn.images<6> -> !view
  %1 = nn.augment %images stream 19 [#crop, #tap] : !nn.images<6> -> !view
  %2 = nn.augment %images stream 20 [#crop, #narrow] : !nn.images<6> -> !view
  %3 = nn.augment %images stream 21 [#crop, #tilt] : !nn.images<6> -> !view
  %4 = nn.augment %images stream 22 [#crop, #turn] : !nn.images<6> -> !view
  return %0, %1, %2, %3, %4 : !view, !view, !view, !view, !view
}
