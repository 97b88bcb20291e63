// Views against the oracle where a pipeline, a seed or a sample is out of the ordinary; augment.mlir has each stage by itself.
// RUN: split-file %s %t
// RUN: doppel-verify kernels %t/many.mlir --seed 12884901895 --step 5 | FileCheck %s --implicit-check-not=WRONG
// RUN: doppel-verify kernels %t/grey.mlir | FileCheck %s --implicit-check-not=WRONG --check-prefix=GREY

//--- many.mlir

!view = tensor<96x9x9x3xf32>
!small = tensor<96x5x5x3xf32>
#crop = #nn.stage<center_crop, {size = 9 : i64, resize = 12 : i64}>
#flip = #nn.stage<horizontal_flip, {p = 0.5}>
#always = #nn.stage<horizontal_flip, {p = 1.0}>
#tilt = #nn.stage<rotation, {degrees = 30.0, p = 1.0}>

// A flip behind a rotation turns nothing but the view; two flips are two draws.
// CHECK-LABEL: @flips
// CHECK-COUNT-4: ok
func.func @flips(%images: !nn.images<96>) -> (!view, !view, !view, !view) {
  %0 = nn.augment %images stream 1 [#crop, #tilt, #flip] : !nn.images<96> -> !view
  %1 = nn.augment %images stream 2 [#crop, #flip, #tilt] : !nn.images<96> -> !view
  %2 = nn.augment %images stream 3 [#crop, #flip, #flip] : !nn.images<96> -> !view
  %3 = nn.augment %images stream 4 [#crop, #always, #flip, #tilt, #always] : !nn.images<96> -> !view
  return %0, %1, %2, %3 : !view, !view, !view, !view
}

// The seed above has bits beyond the 32nd; so have the numbers of these samples. Of two samples whose numbers agree in the low bits
// the views differ.
// CHECK-LABEL: @numbers
// CHECK-COUNT-2: ok
#box = #nn.stage<random_resized_crop, {
    size = 9 : i64, interpolation = "bilinear", scale = array<f64: 0.08, 1.0>, ratio = array<f64: 0.75, 1.3333>}>
func.func @numbers(%images: !nn.images<96> {nn.first = 21474836483 : i64}) -> (!view, tensor<96xi64>) {
  %0 = nn.augment %images stream 5 [#box, #flip] : !nn.images<96> -> !view
  %1 = nn.sample_index %images : !nn.images<96> -> tensor<96xi64>
  return %0, %1 : !view, tensor<96xi64>
}

// Enough samples for all 24 orders; strengths above 1, whose factors stay above 0.
// CHECK-LABEL: @jitter
// CHECK-COUNT-2: ok
#tiny = #nn.stage<center_crop, {size = 5 : i64, resize = 6 : i64}>
#orders = #nn.stage<color_jitter, {
    brightness = 0.8, contrast = 0.8, saturation = 0.8, hue = 0.2, p = 1.0, order = "random", brightness_by = "factor"}>
#strong = #nn.stage<color_jitter, {
    brightness = 1.8, contrast = 1.6, saturation = 2.5, hue = 0.5, p = 1.0, order = "fixed", brightness_by = "factor"}>
func.func @jitter(%images: !nn.images<96>) -> (!small, !small) {
  %0 = nn.augment %images stream 6 [#tiny, #orders] : !nn.images<96> -> !small
  %1 = nn.augment %images stream 7 [#tiny, #strong] : !nn.images<96> -> !small
  return %0, %1 : !small, !small
}

// Boxes that seldom lie in the picture: many draws, and the middle where the tenth fails. The ratios are of one side.
// CHECK-LABEL: @boxes
// CHECK-COUNT-2: ok
#wide = #nn.stage<random_resized_crop, {
    size = 5 : i64, interpolation = "bilinear", scale = array<f64: 0.6, 1.0>, ratio = array<f64: 1.6, 2.4>}>
#tall = #nn.stage<random_resized_crop, {
    size = 5 : i64, interpolation = "bilinear", scale = array<f64: 0.6, 1.0>, ratio = array<f64: 0.4, 0.6>}>
func.func @boxes(%images: !nn.images<96>) -> (!small, !small) {
  %0 = nn.augment %images stream 10 [#wide] : !nn.images<96> -> !small
  %1 = nn.augment %images stream 11 [#tall] : !nn.images<96> -> !small
  return %0, %1 : !small, !small
}

//--- grey.mlir
// Black is at the threshold of 0 and is inverted; grey pixels have no hue to turn.
#tiny = #nn.stage<center_crop, {size = 5 : i64, resize = 6 : i64}>
// GREY-LABEL: @black_and_grey
// GREY-COUNT-2: ok
#all = #nn.stage<solarize, {threshold = 0.0, p = 1.0}>
#hue = #nn.stage<color_jitter, {
    brightness = 0.0, contrast = 0.0, saturation = 0.0, hue = 0.5, p = 1.0, order = "fixed", brightness_by = "factor"}>
func.func @black_and_grey(%images: !nn.images<2> {nn.value = dense<
    "0x000000404040FFFFFF000000000000FF0000"> : tensor<2x1x3x3xi8>}) -> (tensor<2x5x5x3xf32>, tensor<2x5x5x3xf32>) {
  %0 = nn.augment %images stream 8 [#tiny, #all] : !nn.images<2> -> tensor<2x5x5x3xf32>
  %1 = nn.augment %images stream 9 [#tiny, #hue] : !nn.images<2> -> tensor<2x5x5x3xf32>
  return %0, %1 : tensor<2x5x5x3xf32>, tensor<2x5x5x3xf32>
}
