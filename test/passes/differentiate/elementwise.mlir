// Each element-wise rule against central differences in double. Arguments keep away from poles and kinks.
// RUN: doppel-verify gradients %s

func.func @neg(%x: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.neg %x : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @exp(%x: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.exp %x : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @log(%x: tensor<2x3xf64> {nn.range = [0.3, 2.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.log %x : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @sqrt(%x: tensor<2x3xf64> {nn.range = [0.3, 2.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.sqrt %x : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @rsqrt(%x: tensor<2x3xf64> {nn.range = [0.3, 2.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.rsqrt %x : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @tanh(%x: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.tanh %x : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @sigmoid(%x: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.sigmoid %x : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @erf(%x: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.erf %x : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @abs(%x: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.abs %x : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @sin(%x: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.sin %x : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @cos(%x: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.cos %x : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @relu(%x: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.relu %x : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @floor(%x: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.floor %x : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @add(%a: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %b: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.add %a, %b : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @sub(%a: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %b: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.sub %a, %b : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @mul(%a: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %b: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.mul %a, %b : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @div(%a: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %b: tensor<2x3xf64> {nn.range = [0.3, 2.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.div %a, %b : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @rem(%a: tensor<2x3xf64> {nn.range = [1.0, 9.0]}, %b: tensor<2x3xf64> {nn.range = [0.3, 2.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.rem %a, %b : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @max(%a: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %b: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.max %a, %b : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @min(%a: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %b: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.min %a, %b : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @pow(%a: tensor<2x3xf64> {nn.range = [0.3, 2.0]}, %b: tensor<2x3xf64> {nn.range = [-1.0, 1.0]}, %w: tensor<2x3xf64>) -> tensor<f64> {
  %y = nn.pow %a, %b : tensor<2x3xf64>
  %t = nn.mul %y, %w : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @select(%a: tensor<2x3xf64>, %b: tensor<2x3xf64>, %c: tensor<2x3xf64> {nn.constant}) -> tensor<f64> {
  %zero = nn.constant dense<0.0> : tensor<2x3xf64>
  %p = nn.compare lt %c, %zero : tensor<2x3xf64> -> tensor<2x3xi1>
  %y = nn.select %p, %a, %b : tensor<2x3xi1>, tensor<2x3xf64>
  %t = nn.mul %y, %a : tensor<2x3xf64>
  %l = nn.reduce sum %t [0, 1] : tensor<2x3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

func.func @convert(%a: tensor<3xf32>, %w: tensor<3xf64>) -> tensor<f64> {
  %y = nn.convert %a : tensor<3xf32> -> tensor<3xf64>
  %t = nn.mul %y, %w : tensor<3xf64>
  %l = nn.reduce sum %t [0] : tensor<3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

// One value used on several paths: its gradient is their sum.
func.func @shared(%x: tensor<3xf64>) -> tensor<f64> {
  %e = nn.exp %x : tensor<3xf64>
  %s = nn.sin %e : tensor<3xf64>
  %t = nn.mul %e, %s : tensor<3xf64>
  %u = nn.mul %t, %x : tensor<3xf64>
  %v = nn.mul %u, %u : tensor<3xf64>
  %l = nn.reduce sum %v [0] : tensor<3xf64> -> tensor<f64>
  return %l : tensor<f64>
}

// The same value twice in one operation.
func.func @square(%x: tensor<3xf64>) -> tensor<f64> {
  %y = nn.mul %x, %x : tensor<3xf64>
  %z = nn.add %y, %y : tensor<3xf64>
  %l = nn.reduce sum %z [0] : tensor<3xf64> -> tensor<f64>
  return %l : tensor<f64>
}
