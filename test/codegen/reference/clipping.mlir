// Gradients cut by their norm: one norm of all, or one a parameter. A millionth is added to the norm, as in torch: the gradients below are so
// small that it counts. By rule and as packed vectors alike.
// RUN: sed 's/@BY/"global"/' %s | doppel-verify run - | FileCheck %s --check-prefix=GLOBAL
// RUN: sed 's/@BY/"global"/' %s | doppel-opt --nn-pack-states | doppel-verify run - | FileCheck %s --check-prefix=GLOBAL
// RUN: sed 's/@BY/"tensor"/' %s | doppel-verify run - | FileCheck %s --check-prefix=TENSOR
// RUN: sed 's/@BY/"tensor"/' %s | doppel-opt --nn-pack-states | doppel-verify run - | FileCheck %s --check-prefix=TENSOR

// Norms 5e-6 and 12e-6, of both 13e-6; cut to 7e-6. A parameter is minus what is left of its gradient.
// 7/14 of each; or all of the first, since 7/6 is more, and 7/13 of the second. A gradient of zeros stays.
// GLOBAL-DAG: state a [2] = -1.5e-06 -2e-06
// GLOBAL-DAG: state b [1] = -6e-06
// GLOBAL-NOT: state c
// TENSOR-DAG: state a [2] = -3e-06 -4e-06
// TENSOR-DAG: state b [1] = -6.46154e-06
// TENSOR-NOT: state c
nn.state @a parameter {nn.value = dense<0.0> : tensor<2xf32>} : tensor<2xf32>
nn.state @b parameter {nn.value = dense<0.0> : tensor<1xf32>} : tensor<1xf32>
nn.state @c parameter {nn.value = dense<0.0> : tensor<1xf32>} : tensor<1xf32>

func.func @step() {
  %lr = nn.constant dense<1.0> : tensor<f32>
  %wd = nn.constant dense<0.0> : tensor<f32>
  %a = nn.constant dense<[3.0e-6, 4.0e-6]> : tensor<2xf32>
  %b = nn.constant dense<[12.0e-6]> : tensor<1xf32>
  %c = nn.constant dense<[0.0]> : tensor<1xf32>
  nn.update_parameters sgd %lr, %wd (%a, %b, %c) [@a, @b, @c] decay [false, false, false] adapt [false, false, false]
      {momentum = 0.0, dampening = 0.0, nesterov = false, clip = 7.0e-6, clip_by = @BY}
      : tensor<f32>, tensor<2xf32>, tensor<1xf32>, tensor<1xf32>
  return
}
