// Two steps of each update rule, with parameters under decay and adaptation or not, against test/golden/optimizers.py; the rule itself and
// what nn-pack-states makes of it give the same states. The learning rate is 0.1 / (step + 1), the gradient g / (step + 1).
// RUN: sed -e 's/@RULE/sgd/;s/@ADAPTED/false/;s/@OPTIONS/{momentum = 0.9, dampening = 0.0, nesterov = false}/' %s | doppel-verify run - --steps 2 | FileCheck %s --check-prefix=SGD
// RUN: sed -e 's/@RULE/sgd/;s/@ADAPTED/false/;s/@OPTIONS/{momentum = 0.9, dampening = 0.0, nesterov = false}/' %s | doppel-opt --nn-pack-states | doppel-verify run - --steps 2 | FileCheck %s --check-prefix=SGD
// RUN: sed -e 's/@RULE/sgd/;s/@ADAPTED/false/;s/@OPTIONS/{momentum = 0.9, dampening = 0.0, nesterov = true}/' %s | doppel-verify run - --steps 2 | FileCheck %s --check-prefix=NESTEROV
// RUN: sed -e 's/@RULE/sgd/;s/@ADAPTED/false/;s/@OPTIONS/{momentum = 0.9, dampening = 0.0, nesterov = true}/' %s | doppel-opt --nn-pack-states | doppel-verify run - --steps 2 | FileCheck %s --check-prefix=NESTEROV
// RUN: sed -e 's/@RULE/sgd/;s/@ADAPTED/false/;s/@OPTIONS/{momentum = 0.0, dampening = 0.0, nesterov = false}/' %s | doppel-verify run - --steps 2 | FileCheck %s --check-prefix=PLAIN
// RUN: sed -e 's/@RULE/sgd/;s/@ADAPTED/false/;s/@OPTIONS/{momentum = 0.0, dampening = 0.0, nesterov = false}/' %s | doppel-opt --nn-pack-states | doppel-verify run - --steps 2 | FileCheck %s --check-prefix=PLAIN
// RUN: sed -e 's/@RULE/lars/;s/@ADAPTED/false/;s/@OPTIONS/{momentum = 0.9, nesterov = false, trust = 0.02, epsilon = 0.0, form = "tf"}/' %s | doppel-verify run - --steps 2 | FileCheck %s --check-prefix=LARS_TF
// RUN: sed -e 's/@RULE/lars/;s/@ADAPTED/false/;s/@OPTIONS/{momentum = 0.9, nesterov = false, trust = 0.02, epsilon = 0.0, form = "tf"}/' %s | doppel-opt --nn-pack-states | doppel-verify run - --steps 2 | FileCheck %s --check-prefix=LARS_TF
// RUN: sed -e 's/@RULE/lars/;s/@ADAPTED/false/;s/@OPTIONS/{momentum = 0.9, nesterov = false, trust = 0.02, epsilon = 0.0, form = "byol"}/' %s | doppel-verify run - --steps 2 | FileCheck %s --check-prefix=LARS_BYOL
// RUN: sed -e 's/@RULE/lars/;s/@ADAPTED/false/;s/@OPTIONS/{momentum = 0.9, nesterov = false, trust = 0.02, epsilon = 0.0, form = "byol"}/' %s | doppel-opt --nn-pack-states | doppel-verify run - --steps 2 | FileCheck %s --check-prefix=LARS_BYOL
// RUN: sed -e 's/@RULE/lars/;s/@ADAPTED/true/;s/@OPTIONS/{momentum = 0.9, nesterov = false, trust = 0.02, epsilon = 1.0e-8, form = "larc"}/' %s | doppel-verify run - --steps 2 | FileCheck %s --check-prefix=LARS_LARC
// RUN: sed -e 's/@RULE/lars/;s/@ADAPTED/true/;s/@OPTIONS/{momentum = 0.9, nesterov = false, trust = 0.02, epsilon = 1.0e-8, form = "larc"}/' %s | doppel-opt --nn-pack-states | doppel-verify run - --steps 2 | FileCheck %s --check-prefix=LARS_LARC
// RUN: sed -e 's/@RULE/adamw/;s/@ADAPTED/false/;s/@OPTIONS/{beta1 = 0.9, beta2 = 0.999, epsilon = 1.0e-8}/' %s | doppel-verify run - --steps 2 | FileCheck %s --check-prefix=ADAMW
// RUN: sed -e 's/@RULE/adamw/;s/@ADAPTED/false/;s/@OPTIONS/{beta1 = 0.9, beta2 = 0.999, epsilon = 1.0e-8}/' %s | doppel-opt --nn-pack-states | doppel-verify run - --steps 2 | FileCheck %s --check-prefix=ADAMW

// SGD: state b [2] = -0.04 0.17
// SGD: state b.momentum [2] = 2.8 -1.4
// SGD: state w [3] = 0.905387 -2.02296 0.664881
// SGD: state w.momentum [3] = 0.79225 0.15925 -1.34762
// NESTEROV: state b [2] = -0.256 0.278
// NESTEROV: state b.momentum [2] = 2.8 -1.4
// NESTEROV: state w [3] = 0.845221 -2.03681 0.768983
// NESTEROV: state w.momentum [3] = 0.789775 0.158575 -1.34324
// PLAIN: state b [2] = 0.05 0.125
// PLAIN: state w [3] = 0.930137 -2.01621 0.621006
// LARS_TF: state b [2] = -0.13 0.215
// LARS_TF: state b.momentum [2] = 0.23 -0.115
// LARS_TF: state w [3] = 0.994537 -2.00126 0.509452
// LARS_TF: state w.momentum [3] = 0.003231 0.000649546 -0.00549605
// LARS_BYOL: state b [2] = -0.04 0.17
// LARS_BYOL: state b.momentum [2] = 2.8 -1.4
// LARS_BYOL: state w [3] = 0.995542 -2.00098 0.507672
// LARS_BYOL: state w.momentum [3] = 0.0445359 0.00751342 -0.0743173
// LARS_LARC: state b [2] = 0.298954 0.000523
// LARS_LARC: state b.momentum [2] = 0.0101869 -0.00509344
// LARS_LARC: state w [3] = 0.9961 -2.00087 0.506724
// LARS_LARC: state w.momentum [3] = 0.0379961 0.00657417 -0.0635683
// ADAMW: state b [2] = 0.153391 0.146609
// ADAMW: state b.first_moment [2] = 0.28 -0.14
// ADAMW: state b.second_moment [2] = 0.004996 0.001249
// ADAMW: state w [3] = 0.846154 -2.13138 0.642615
// ADAMW: state w.first_moment [3] = 0.07 0.035 -0.14
// ADAMW: state w.second_moment [3] = 0.00031225 7.80625e-05 0.001249

nn.state @w parameter {nn.value = dense<[1.0, -2.0, 0.5]> : tensor<3xf32>} : tensor<3xf32>
nn.state @b parameter {nn.value = dense<[0.3, 0.0]> : tensor<2xf32>} : tensor<2xf32>

func.func @step() {
  %step = nn.run_scalar step : tensor<f32>
  %one = nn.constant dense<1.0> : tensor<f32>
  %count = nn.add %step, %one : tensor<f32>
  %base = nn.constant dense<0.1> : tensor<f32>
  %lr = nn.div %base, %count : tensor<f32>
  %wd = nn.constant dense<0.05> : tensor<f32>
  %gw = nn.constant dense<[0.5, 0.25, -1.0]> : tensor<3xf32>
  %gb = nn.constant dense<[2.0, -1.0]> : tensor<2xf32>
  %cw = nn.broadcast %count [] : tensor<f32> -> tensor<3xf32>
  %cb = nn.broadcast %count [] : tensor<f32> -> tensor<2xf32>
  %w = nn.div %gw, %cw : tensor<3xf32>
  %b = nn.div %gb, %cb : tensor<2xf32>
  nn.update_parameters @RULE %lr, %wd (%w, %b) [@w, @b] decay [true, false] adapt [true, @ADAPTED] @OPTIONS : tensor<f32>, tensor<3xf32>, tensor<2xf32>
  return
}
