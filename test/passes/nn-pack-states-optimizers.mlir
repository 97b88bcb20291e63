// Each optimizer over packed states gives, in five steps, what the oracle's update of one parameter after another gives; @net.c begins at zero, where
// LARS has no ratio. In f64, so that constants are exact.
// RUN: split-file %s %t
// RUN: for f in %t/*.mlir; do \
// RUN:   doppel-opt $f --nn-differentiate | doppel-verify run --function step --steps 5 - > %t.whole || exit 1; \
// RUN:   doppel-opt $f --to-train | doppel-verify run --function step --steps 5 - > %t.packed || exit 1; \
// RUN:   echo $f; diff %t.whole %t.packed || exit 1; \
// RUN: done

//--- 0-sgd.mlir
module {
  nn.state @net.a parameter : tensor<3x2xf64>
  nn.state @net.b parameter : tensor<5xf64>
  nn.state @net.c parameter : tensor<2x2xf64>
  func.func @init() {
    %a = nn.random normal stream 1 : tensor<3x2xf64>
    %b = nn.random normal stream 2 : tensor<5xf64>
    %c = nn.constant dense<0.0> : tensor<2x2xf64>
    nn.write @net.a, %a : tensor<3x2xf64>
    nn.write @net.b, %b : tensor<5xf64>
    nn.write @net.c, %c : tensor<2x2xf64>
    return
  }
  func.func @step() -> (tensor<f64> {nn.name = "loss"}) {
    %a = nn.read @net.a : tensor<3x2xf64>
    %b = nn.read @net.b : tensor<5xf64>
    %c = nn.read @net.c : tensor<2x2xf64>
    %sa = nn.sin %a : tensor<3x2xf64>
    %sb = nn.sin %b : tensor<5xf64>
    %sc = nn.sin %c : tensor<2x2xf64>
    %la = nn.reduce sum %sa [0, 1] : tensor<3x2xf64> -> tensor<f64>
    %lb = nn.reduce sum %sb [0] : tensor<5xf64> -> tensor<f64>
    %lc = nn.reduce sum %sc [0, 1] : tensor<2x2xf64> -> tensor<f64>
    %lab = nn.add %la, %lb : tensor<f64>
    %l = nn.add %lab, %lc : tensor<f64>
    %lr = nn.constant dense<0.125> : tensor<f64>
    %wd = nn.constant dense<0.0625> : tensor<f64>
    nn.optimize sgd %l, %lr, %wd [@net.a, @net.b, @net.c] decay [true, false, true] adapt [true, false, true]
        {momentum = 0.875, dampening = 0.0, nesterov = false} : tensor<f64>
    return %l : tensor<f64>
  }
}

//--- 1-sgd.mlir
module {
  nn.state @net.a parameter : tensor<3x2xf64>
  nn.state @net.b parameter : tensor<5xf64>
  nn.state @net.c parameter : tensor<2x2xf64>
  func.func @init() {
    %a = nn.random normal stream 1 : tensor<3x2xf64>
    %b = nn.random normal stream 2 : tensor<5xf64>
    %c = nn.constant dense<0.0> : tensor<2x2xf64>
    nn.write @net.a, %a : tensor<3x2xf64>
    nn.write @net.b, %b : tensor<5xf64>
    nn.write @net.c, %c : tensor<2x2xf64>
    return
  }
  func.func @step() -> (tensor<f64> {nn.name = "loss"}) {
    %a = nn.read @net.a : tensor<3x2xf64>
    %b = nn.read @net.b : tensor<5xf64>
    %c = nn.read @net.c : tensor<2x2xf64>
    %sa = nn.sin %a : tensor<3x2xf64>
    %sb = nn.sin %b : tensor<5xf64>
    %sc = nn.sin %c : tensor<2x2xf64>
    %la = nn.reduce sum %sa [0, 1] : tensor<3x2xf64> -> tensor<f64>
    %lb = nn.reduce sum %sb [0] : tensor<5xf64> -> tensor<f64>
    %lc = nn.reduce sum %sc [0, 1] : tensor<2x2xf64> -> tensor<f64>
    %lab = nn.add %la, %lb : tensor<f64>
    %l = nn.add %lab, %lc : tensor<f64>
    %lr = nn.constant dense<0.125> : tensor<f64>
    %wd = nn.constant dense<0.0625> : tensor<f64>
    nn.optimize sgd %l, %lr, %wd [@net.a, @net.b, @net.c] decay [true, false, true] adapt [true, false, true]
        {momentum = 0.875, dampening = 0.5, nesterov = true} : tensor<f64>
    return %l : tensor<f64>
  }
}

//--- 2-lars.mlir
module {
  nn.state @net.a parameter : tensor<3x2xf64>
  nn.state @net.b parameter : tensor<5xf64>
  nn.state @net.c parameter : tensor<2x2xf64>
  func.func @init() {
    %a = nn.random normal stream 1 : tensor<3x2xf64>
    %b = nn.random normal stream 2 : tensor<5xf64>
    %c = nn.constant dense<0.0> : tensor<2x2xf64>
    nn.write @net.a, %a : tensor<3x2xf64>
    nn.write @net.b, %b : tensor<5xf64>
    nn.write @net.c, %c : tensor<2x2xf64>
    return
  }
  func.func @step() -> (tensor<f64> {nn.name = "loss"}) {
    %a = nn.read @net.a : tensor<3x2xf64>
    %b = nn.read @net.b : tensor<5xf64>
    %c = nn.read @net.c : tensor<2x2xf64>
    %sa = nn.sin %a : tensor<3x2xf64>
    %sb = nn.sin %b : tensor<5xf64>
    %sc = nn.sin %c : tensor<2x2xf64>
    %la = nn.reduce sum %sa [0, 1] : tensor<3x2xf64> -> tensor<f64>
    %lb = nn.reduce sum %sb [0] : tensor<5xf64> -> tensor<f64>
    %lc = nn.reduce sum %sc [0, 1] : tensor<2x2xf64> -> tensor<f64>
    %lab = nn.add %la, %lb : tensor<f64>
    %l = nn.add %lab, %lc : tensor<f64>
    %lr = nn.constant dense<0.125> : tensor<f64>
    %wd = nn.constant dense<0.0625> : tensor<f64>
    nn.optimize lars %l, %lr, %wd [@net.a, @net.b, @net.c] decay [true, false, true] adapt [true, false, true]
        {momentum = 0.875, nesterov = false, trust = 0.03125, epsilon = 0.0, form = "tf"} : tensor<f64>
    return %l : tensor<f64>
  }
}

//--- 3-lars.mlir
module {
  nn.state @net.a parameter : tensor<3x2xf64>
  nn.state @net.b parameter : tensor<5xf64>
  nn.state @net.c parameter : tensor<2x2xf64>
  func.func @init() {
    %a = nn.random normal stream 1 : tensor<3x2xf64>
    %b = nn.random normal stream 2 : tensor<5xf64>
    %c = nn.constant dense<0.0> : tensor<2x2xf64>
    nn.write @net.a, %a : tensor<3x2xf64>
    nn.write @net.b, %b : tensor<5xf64>
    nn.write @net.c, %c : tensor<2x2xf64>
    return
  }
  func.func @step() -> (tensor<f64> {nn.name = "loss"}) {
    %a = nn.read @net.a : tensor<3x2xf64>
    %b = nn.read @net.b : tensor<5xf64>
    %c = nn.read @net.c : tensor<2x2xf64>
    %sa = nn.sin %a : tensor<3x2xf64>
    %sb = nn.sin %b : tensor<5xf64>
    %sc = nn.sin %c : tensor<2x2xf64>
    %la = nn.reduce sum %sa [0, 1] : tensor<3x2xf64> -> tensor<f64>
    %lb = nn.reduce sum %sb [0] : tensor<5xf64> -> tensor<f64>
    %lc = nn.reduce sum %sc [0, 1] : tensor<2x2xf64> -> tensor<f64>
    %lab = nn.add %la, %lb : tensor<f64>
    %l = nn.add %lab, %lc : tensor<f64>
    %lr = nn.constant dense<0.125> : tensor<f64>
    %wd = nn.constant dense<0.0625> : tensor<f64>
    nn.optimize lars %l, %lr, %wd [@net.a, @net.b, @net.c] decay [true, false, true] adapt [true, false, true]
        {momentum = 0.875, nesterov = true, trust = 0.03125, epsilon = 0.0, form = "tf"} : tensor<f64>
    return %l : tensor<f64>
  }
}

//--- 4-lars.mlir
module {
  nn.state @net.a parameter : tensor<3x2xf64>
  nn.state @net.b parameter : tensor<5xf64>
  nn.state @net.c parameter : tensor<2x2xf64>
  func.func @init() {
    %a = nn.random normal stream 1 : tensor<3x2xf64>
    %b = nn.random normal stream 2 : tensor<5xf64>
    %c = nn.constant dense<0.0> : tensor<2x2xf64>
    nn.write @net.a, %a : tensor<3x2xf64>
    nn.write @net.b, %b : tensor<5xf64>
    nn.write @net.c, %c : tensor<2x2xf64>
    return
  }
  func.func @step() -> (tensor<f64> {nn.name = "loss"}) {
    %a = nn.read @net.a : tensor<3x2xf64>
    %b = nn.read @net.b : tensor<5xf64>
    %c = nn.read @net.c : tensor<2x2xf64>
    %sa = nn.sin %a : tensor<3x2xf64>
    %sb = nn.sin %b : tensor<5xf64>
    %sc = nn.sin %c : tensor<2x2xf64>
    %la = nn.reduce sum %sa [0, 1] : tensor<3x2xf64> -> tensor<f64>
    %lb = nn.reduce sum %sb [0] : tensor<5xf64> -> tensor<f64>
    %lc = nn.reduce sum %sc [0, 1] : tensor<2x2xf64> -> tensor<f64>
    %lab = nn.add %la, %lb : tensor<f64>
    %l = nn.add %lab, %lc : tensor<f64>
    %lr = nn.constant dense<0.125> : tensor<f64>
    %wd = nn.constant dense<0.0625> : tensor<f64>
    nn.optimize lars %l, %lr, %wd [@net.a, @net.b, @net.c] decay [true, false, true] adapt [true, false, true]
        {momentum = 0.875, nesterov = false, trust = 0.03125, epsilon = 0.0, form = "byol"} : tensor<f64>
    return %l : tensor<f64>
  }
}

//--- 5-lars.mlir
module {
  nn.state @net.a parameter : tensor<3x2xf64>
  nn.state @net.b parameter : tensor<5xf64>
  nn.state @net.c parameter : tensor<2x2xf64>
  func.func @init() {
    %a = nn.random normal stream 1 : tensor<3x2xf64>
    %b = nn.random normal stream 2 : tensor<5xf64>
    %c = nn.constant dense<0.0> : tensor<2x2xf64>
    nn.write @net.a, %a : tensor<3x2xf64>
    nn.write @net.b, %b : tensor<5xf64>
    nn.write @net.c, %c : tensor<2x2xf64>
    return
  }
  func.func @step() -> (tensor<f64> {nn.name = "loss"}) {
    %a = nn.read @net.a : tensor<3x2xf64>
    %b = nn.read @net.b : tensor<5xf64>
    %c = nn.read @net.c : tensor<2x2xf64>
    %sa = nn.sin %a : tensor<3x2xf64>
    %sb = nn.sin %b : tensor<5xf64>
    %sc = nn.sin %c : tensor<2x2xf64>
    %la = nn.reduce sum %sa [0, 1] : tensor<3x2xf64> -> tensor<f64>
    %lb = nn.reduce sum %sb [0] : tensor<5xf64> -> tensor<f64>
    %lc = nn.reduce sum %sc [0, 1] : tensor<2x2xf64> -> tensor<f64>
    %lab = nn.add %la, %lb : tensor<f64>
    %l = nn.add %lab, %lc : tensor<f64>
    %lr = nn.constant dense<0.125> : tensor<f64>
    %wd = nn.constant dense<0.0625> : tensor<f64>
    nn.optimize lars %l, %lr, %wd [@net.a, @net.b, @net.c] decay [true, true, true] adapt [true, true, true]
        {momentum = 0.875, nesterov = false, trust = 0.03125, epsilon = 0.0009765625, form = "larc"} : tensor<f64>
    return %l : tensor<f64>
  }
}

//--- 6-adamw.mlir
module {
  nn.state @net.a parameter : tensor<3x2xf64>
  nn.state @net.b parameter : tensor<5xf64>
  nn.state @net.c parameter : tensor<2x2xf64>
  func.func @init() {
    %a = nn.random normal stream 1 : tensor<3x2xf64>
    %b = nn.random normal stream 2 : tensor<5xf64>
    %c = nn.constant dense<0.0> : tensor<2x2xf64>
    nn.write @net.a, %a : tensor<3x2xf64>
    nn.write @net.b, %b : tensor<5xf64>
    nn.write @net.c, %c : tensor<2x2xf64>
    return
  }
  func.func @step() -> (tensor<f64> {nn.name = "loss"}) {
    %a = nn.read @net.a : tensor<3x2xf64>
    %b = nn.read @net.b : tensor<5xf64>
    %c = nn.read @net.c : tensor<2x2xf64>
    %sa = nn.sin %a : tensor<3x2xf64>
    %sb = nn.sin %b : tensor<5xf64>
    %sc = nn.sin %c : tensor<2x2xf64>
    %la = nn.reduce sum %sa [0, 1] : tensor<3x2xf64> -> tensor<f64>
    %lb = nn.reduce sum %sb [0] : tensor<5xf64> -> tensor<f64>
    %lc = nn.reduce sum %sc [0, 1] : tensor<2x2xf64> -> tensor<f64>
    %lab = nn.add %la, %lb : tensor<f64>
    %l = nn.add %lab, %lc : tensor<f64>
    %lr = nn.constant dense<0.125> : tensor<f64>
    %wd = nn.constant dense<0.0625> : tensor<f64>
    nn.optimize adamw %l, %lr, %wd [@net.a, @net.b, @net.c] decay [true, false, true] adapt [true, false, true]
        {beta1 = 0.875, beta2 = 0.9375, epsilon = 0.0009765625} : tensor<f64>
    return %l : tensor<f64>
  }
}
