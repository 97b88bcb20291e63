// Views made by blocks: stages behind others. Each alone is a case (Cases.cpp).
#include "test/unit/codegen/CudaFixture.h"

using namespace doppel;
using namespace doppel::cuda;

namespace {

class CudaViews : public CudaKernels {
protected:
  CudaViews() { tolerance = 2e-5; }

  /// `stages` behind a crop of 12 pixels.
  void checkStages(const std::string &stages) {
    check(R"(
#cut = #nn.stage<center_crop, {size = 12 : i64, resize = 15 : i64}>
#box = #nn.stage<random_resized_crop, {
    size = 12 : i64, interpolation = "bilinear", scale = array<f64: 0.08, 1.0>, ratio = array<f64: 0.75, 1.3333>}>
#flip = #nn.stage<horizontal_flip, {p = 0.5}>
#always = #nn.stage<horizontal_flip, {p = 1.0}>
#jitter = #nn.stage<color_jitter, {
    brightness = 0.8, contrast = 0.8, saturation = 0.8, hue = 0.2, p = 0.9, order = "random", brightness_by = "factor"}>
#grey = #nn.stage<grayscale, {p = 0.5}>
#blur = #nn.stage<gaussian_blur, {kernel = 5 : i64, sigma = array<f64: 0.1, 2.0>, p = 0.7}>
#solarize = #nn.stage<solarize, {threshold = 0.5, p = 0.5}>
#tilt = #nn.stage<rotation, {degrees = 30.0, p = 0.8}>
#normalize = #nn.stage<normalize, {mean = array<f64: 0.4, 0.5, 0.6>, std = array<f64: 0.2, 0.25, 0.3>}>
func.func @views(%images: !nn.images<7>) -> tensor<7x12x12x3xf32> {
  %0 = nn.augment %images stream 1 [)" +
          stages + R"(] : !nn.images<7> -> tensor<7x12x12x3xf32>
  return %0 : tensor<7x12x12x3xf32>
})");
  }
};

TEST_F(CudaViews, Places) {
  for (const char *stages : {"#cut, #tilt, #flip", "#cut, #tilt, #tilt, #always"})
    checkStages(stages);
}

// More views than blocks run at once.
TEST_F(CudaViews, SeveralOfABlock) {
  check(R"(
#box = #nn.stage<random_resized_crop, {
    size = 12 : i64, interpolation = "bilinear", scale = array<f64: 0.2, 1.0>, ratio = array<f64: 0.75, 1.3333>}>
func.func @views(%images: !nn.images<440>) -> tensor<440x12x12x3xf32> {
  %0 = nn.augment %images stream 1 [#box] : !nn.images<440> -> tensor<440x12x12x3xf32>
  return %0 : tensor<440x12x12x3xf32>
})");
}

TEST_F(CudaViews, WholePipelines) {
  checkStages("#box, #flip, #jitter, #grey, #blur, #solarize, #normalize");
  checkStages("#box, #blur, #jitter, #tilt, #always, #blur, #flip");
}

} // namespace
