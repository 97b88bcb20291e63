// Optimizers that step only while a condition holds, and gradients that are clipped, each alone or over all parameters: over packed states they
// give in five steps what the oracle gives for one parameter after another. In f64, so that constants are exact.
// RUN: mkdir -p %t
// RUN: for rule in "sgd {momentum = 0.875, dampening = 0.5, nesterov = false" "adamw {beta1 = 0.5, beta2 = 0.75, epsilon = 1.0e-8" \
// RUN:   "lars {momentum = 0.875, nesterov = false, trust = 0.02, epsilon = 0.0, form = \"tf\""; do \
// RUN: for clip in "" ", clip = 0.25, clip_by = \"tensor\"" ", clip = 0.25, clip_by = \"global\"" ", clip = 9.0, clip_by = \"global\""; do \
// RUN: for when in "" "when %odd"; do \
// RUN:   sed -e "s/@RULE/${rule%%%% *}/; s/@OPTIONS/${rule#* }$clip}/; s/@WHEN/$when/" %s > %t/one.mlir; \
// RUN:   doppel-opt %t/one.mlir --nn-differentiate | doppel-verify run --function step --steps 5 - > %t/whole || exit 1; \
// RUN:   doppel-opt %t/one.mlir --to-train | doppel-verify run --function step --steps 5 - > %t/packed || exit 1; \
// RUN:   echo "$rule $clip $when"; diff %t/whole %t/packed || exit 1; done; done; done

// A rule that counts its steps gets a state for the count, others do not.
// RUN: sed -e 's/@RULE/adamw/; s/@OPTIONS/{beta1 = 0.5, beta2 = 0.75, epsilon = 1.0e-8}/; s/@WHEN/when %odd/' %s | doppel-opt --to-train | FileCheck %s --check-prefix=COUNT
// RUN: sed -e 's/@RULE/adamw/; s/@OPTIONS/{beta1 = 0.5, beta2 = 0.75, epsilon = 1.0e-8}/; s/@WHEN//' %s | doppel-opt --to-train | FileCheck %s --check-prefix=PLAIN
// COUNT: nn.state @net.a.steps {{ ?}}moment : tensor<f64>
// PLAIN-NOT: steps

// An option of clipping alone, or a way of clipping that there is not, is refused.
// RUN: sed -e 's/@RULE/sgd/; s/@OPTIONS/{momentum = 0.0, dampening = 0.0, nesterov = false, clip = 1.0}/; s/@WHEN//' %s | not doppel-opt 2>&1 | FileCheck %s --check-prefix=BAD
// BAD: error: 'nn.optimize' op clips by 'clip', a number, and 'clip_by', "tensor" or "global"
module {
  nn.state @net.a parameter : tensor<3x2xf64>
  nn.state @net.b parameter : tensor<5xf64>
  func.func @init() {
    %a = nn.random normal stream 1 : tensor<3x2xf64>
    %b = nn.random normal stream 2 : tensor<5xf64>
    nn.write @net.a, %a : tensor<3x2xf64>
    nn.write @net.b, %b : tensor<5xf64>
    return
  }
  func.func @step() -> (tensor<f64> {nn.name = "loss"}) {
    %a = nn.read @net.a : tensor<3x2xf64>
    %b = nn.read @net.b : tensor<5xf64>
    %sa = nn.sin %a : tensor<3x2xf64>
    %sb = nn.sin %b : tensor<5xf64>
    %la = nn.reduce sum %sa [0, 1] : tensor<3x2xf64> -> tensor<f64>
    %lb = nn.reduce sum %sb [0] : tensor<5xf64> -> tensor<f64>
    %l = nn.add %la, %lb : tensor<f64>
    %lr = nn.constant dense<0.125> : tensor<f64>
    %wd = nn.constant dense<0.0625> : tensor<f64>
    %step = nn.run_scalar step : tensor<f64>
    %two = nn.constant dense<2.0> : tensor<f64>
    %one = nn.constant dense<1.0> : tensor<f64>
    %rest = nn.rem %step, %two : tensor<f64>
    %odd = nn.compare eq %rest, %one : tensor<f64> -> tensor<i1>
    nn.optimize @RULE %l, %lr, %wd @WHEN [@net.a, @net.b] decay [true, false] adapt [true, false] @OPTIONS : tensor<f64>
    return %l : tensor<f64>
  }
}
