// Constraints of augmentation stages and pipelines.
// RUN: doppel-opt %s -split-input-file -verify-diagnostics

// expected-error@+1 {{horizontal_flip lacks its argument 'p', an f64}}
func.func private @missing() attributes {s = #nn.stage<horizontal_flip, {}>}

// -----

// expected-error@+1 {{grayscale: 'p' is 1 : i64, not an f64}}
func.func private @number() attributes {s = #nn.stage<grayscale, {p = 1 : i64}>}

// -----

// expected-error@+1 {{center_crop: 'size' is 3.200000e+01 : f64, not an i64}}
func.func private @integer() attributes {s = #nn.stage<center_crop, {size = 32.0, resize = 32 : i64}>}

// -----

// expected-error@+1 {{gaussian_blur: 'sigma' is array<f64: 2.000000e+00, 1.000000e-01>, not array<f64: low, high> with low <= high}}
func.func private @interval() attributes {s = #nn.stage<gaussian_blur, {sigma = array<f64: 2.0, 0.1>, kernel = 3 : i64, p = 0.5}>}

// -----

// expected-error@+1 {{normalize: 'mean' is array<f64: 5.000000e-01>, not array<f64> of 3}}
func.func private @channels() attributes {s = #nn.stage<normalize, {mean = array<f64: 0.5>, std = array<f64: 0.2, 0.2, 0.2>}>}

// -----

// expected-error@+1 {{color_jitter: 'order' is true, not a string}}
func.func private @text() attributes {s = #nn.stage<color_jitter, {brightness = 0.4, contrast = 0.4, saturation = 0.4, hue = 0.1, p = 0.8, order = true, brightness_by = "factor"}>}

// -----

// expected-error@+1 {{solarize has no argument "sigma"}}
func.func private @unknown() attributes {s = #nn.stage<solarize, {threshold = 0.5, p = 0.2, sigma = 1.0}>}

// -----

// expected-error@+1 {{random_resized_crop: 'interpolation' is "nearest", not "bilinear" or "bicubic"}}
func.func private @interpolation() attributes {s = #nn.stage<random_resized_crop, {size = 32 : i64, scale = array<f64: 0.2, 1.0>, ratio = array<f64: 0.75, 1.33>, interpolation = "nearest"}>}

// -----

// expected-error@+1 {{color_jitter: 'order' is "sorted", not "random" or "fixed"}}
func.func private @order() attributes {s = #nn.stage<color_jitter, {brightness = 0.4, contrast = 0.4, saturation = 0.4, hue = 0.1, p = 0.8, order = "sorted", brightness_by = "factor"}>}

// -----

// expected-error@+1 {{color_jitter: 'brightness_by' is "gain", not "factor" or "offset"}}
func.func private @brightness_by() attributes {s = #nn.stage<color_jitter, {brightness = 0.4, contrast = 0.4, saturation = 0.4, hue = 0.1, p = 0.8, order = "fixed", brightness_by = "gain"}>}

// -----

// expected-error@+1 {{center_crop: 'size' is 0, but must be at least 1}}
func.func private @size() attributes {s = #nn.stage<center_crop, {size = 0 : i64, resize = 32 : i64}>}

// -----

// expected-error@+1 {{center_crop: 'resize' is 16, smaller than the crop's 'size' of 32}}
func.func private @resize() attributes {s = #nn.stage<center_crop, {size = 32 : i64, resize = 16 : i64}>}

// -----

// expected-error@+1 {{gaussian_blur: 'kernel' is 4, but must be odd}}
func.func private @kernel() attributes {s = #nn.stage<gaussian_blur, {sigma = array<f64: 0.1, 2.0>, kernel = 4 : i64, p = 0.5}>}

// -----

// expected-error@+1 {{normalize: 'std' is array<f64: 0.000000e+00, 2.000000e-01, 2.000000e-01>, but must be positive}}
func.func private @deviation() attributes {s = #nn.stage<normalize, {mean = array<f64: 0.5, 0.5, 0.5>, std = array<f64: 0.0, 0.2, 0.2>}>}

// -----

func.func @empty(%images: !nn.images<2>) {
  // expected-error@+1 {{the pipeline is empty; its first stage must be a crop}}
  %0 = nn.augment %images stream 1 [] : !nn.images<2> -> tensor<2x32x32x3xf32>
  return
}

// -----

func.func @crop_first(%images: !nn.images<2>) {
  // expected-error@+1 {{the first stage is grayscale, but must be a crop, which sets the size}}
  %0 = nn.augment %images stream 1 [#nn.stage<grayscale, {p = 0.2}>] : !nn.images<2> -> tensor<2x32x32x3xf32>
  return
}

// -----

func.func @crop_twice(%images: !nn.images<2>) {
  // expected-error@+1 {{stage 1 is center_crop, but only the first may be a crop}}
  %0 = nn.augment %images stream 1 [#nn.stage<center_crop, {size = 32 : i64, resize = 32 : i64}>, #nn.stage<center_crop, {size = 32 : i64, resize = 32 : i64}>] : !nn.images<2> -> tensor<2x32x32x3xf32>
  return
}

// -----

func.func @size_of_view(%images: !nn.images<2>) {
  // expected-error@+1 {{the pipeline makes 'tensor<2x24x24x3xf32>', the result is 'tensor<2x32x32x3xf32>'}}
  %0 = nn.augment %images stream 1 [#nn.stage<center_crop, {size = 24 : i64, resize = 32 : i64}>] : !nn.images<2> -> tensor<2x32x32x3xf32>
  return
}

// -----

func.func @wide_blur(%images: !nn.images<2>) {
  // expected-error@+1 {{stage 1: a blur of 9 taps is too wide for a view of 4 pixels}}
  %0 = nn.augment %images stream 1 [#nn.stage<center_crop, {size = 4 : i64, resize = 4 : i64}>, #nn.stage<gaussian_blur, {sigma = array<f64: 0.1, 2.0>, kernel = 9 : i64, p = 0.5}>] : !nn.images<2> -> tensor<2x4x4x3xf32>
  return
}

// -----

func.func @stream(%images: !nn.images<2>) {
  // expected-error@+1 {{stream is -2, but must be in [0, 2^24)}}
  %0 = nn.augment %images stream -2 [#nn.stage<center_crop, {size = 4 : i64, resize = 4 : i64}>] : !nn.images<2> -> tensor<2x4x4x3xf32>
  return
}
