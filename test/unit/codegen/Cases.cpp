#include "test/unit/codegen/Cases.h"

#include "llvm/ADT/StringSwitch.h"

using namespace doppel::codegen;

namespace {

std::string unary(const std::string &name, const char *range = "$X") {
  return "func.func @f(%x: $V " + std::string(range) + ") -> $V {\n  %y = nn." + name +
         " %x : $V\n  return %y : $V\n}";
}

std::string binary(const std::string &name, const char *left = "$X", const char *right = "$X") {
  return "func.func @f(%x: $V " + std::string(left) + ", %y: $V " + right +
         ") -> $V {\n  %z = nn." + name + " %x, %y : $V\n  return %z : $V\n}";
}

/// Numbers are moved, and then chosen from, so that a kernel does both.
std::string moved(const char *arguments, const char *operation, const char *type,
                  const char *boolean) {
  return "func.func @f(" + std::string(arguments) + ", %c: " + boolean + ", %o: " + type +
         " $X) -> " + type + " {\n  " + operation + "\n  %y = nn.select %c, %m, %o : " + boolean +
         ", " + type + "\n  return %y : " + type + "\n}";
}

std::string reduced(const char *dims, const char *result) {
  return "func.func @f(%x: $V $X) -> " + std::string(result) + " {\n  %y = nn.reduce $K %x " +
         dims + " : $V -> " + result + "\n  return %y : " + result + "\n}";
}

constexpr const char *window =
    "{strides = array<i64: 2, 1>, padding = array<i64: 1, 0, 2, 1>, dilations = array<i64: 1, 2>, "
    "groups = 1 : i64}";
constexpr const char *pool =
    "{kernel = array<i64: 3, 2>, strides = array<i64: 2, 1>, padding = array<i64: 1, 0, 1, 1>}";

std::string windows(const std::string &arguments, const std::string &operation,
                    const std::string &attributes, const std::string &types,
                    const std::string &result) {
  return "func.func @f(" + arguments + ") -> " + result + " {\n  %r = nn." + operation + " " +
         attributes + " : " + types + "\n  return %r : " + result + "\n}";
}

std::vector<Case> makeCases() {
  std::vector<Case> all;
  auto add = [&](const char *operation, const std::string &text, Entries entries = Entries::None,
                 double units = 8) {
    all.push_back({operation, text, entries, /*elementwise=*/false, units});
  };
  auto elementwise = [&](const char *operation, const std::string &text,
                         Entries entries = Entries::None) {
    all.push_back({operation, text, entries, /*elementwise=*/true});
  };

  for (const char *name : {"neg", "exp", "tanh", "sigmoid", "erf", "abs", "sin", "cos", "floor",
                           "relu", "not", "stop_gradient"})
    elementwise(name, unary(name));
  for (const char *name : {"log", "sqrt", "rsqrt"})
    elementwise(name, unary(name, "$P"));
  for (const char *name : {"add", "sub", "mul", "max", "min", "and", "or"})
    elementwise(name, binary(name));
  elementwise("div", binary("div", "$X", "$P"));
  elementwise("rem", binary("rem", "$X", "$P"));
  all.back().cancels = true;
  elementwise("pow", binary("pow", "$P", "$X"));
  all.back().units = 32; // of f64's logarithm times the exponent
  elementwise("compare", R"(func.func @f(%x: $V $X, %y: $V $X) -> $B {
  %z = nn.compare $K %x, %y : $V -> $B
  return %z : $B
})",
              Entries::Predicates);
  elementwise("select", R"(func.func @f(%x: $V $X, %y: $V $X, %c: $B) -> $V {
  %z = nn.select %c, %x, %y : $B, $V
  return %z : $V
})");
  elementwise("convert", R"(func.func @f(%x: $V $X) -> $W {
  %y = nn.convert %x : $V -> $W
  return %y : $W
})");

  // What a kernel has without an argument: one number for all, and a table.
  add("constant", R"(func.func @f() -> ($V, tensor<$Rx5x$T>) {
  %s = nn.constant dense<1> : tensor<$Cxi32>
  %n = nn.convert %s : tensor<$Cxi32> -> tensor<$Cx$T>
  %y = nn.broadcast %n [1] : tensor<$Cx$T> -> $V
  %k = nn.constant dense<$D> : tensor<5x$T>
  %z = nn.broadcast %k [1] : tensor<5x$T> -> tensor<$Rx5x$T>
  return %y, %z : $V, tensor<$Rx5x$T>
})");
  for (const char *dim : {"0", "1"})
    add("iota", "func.func @f() -> $V {\n  %y = nn.iota " + std::string(dim) +
                    " : $V\n  return %y : $V\n}");
  add("run_scalar", R"(func.func @f() -> $V {
  %s = nn.run_scalar $K : tensor<$T>
  %y = nn.broadcast %s [] : tensor<$T> -> $V
  return %y : $V
})",
      Entries::RunValues);
  add("random", R"(func.func @f() -> $V {
  %y = nn.random $K stream 3 : $V
  return %y : $V
})",
      Entries::Distributions, 160);
  all.back().inF32 = true;
  add("random", R"(func.func @f(%i: tensor<$Rx$U> {nn.range = [0.0, 90000.0]}) -> $V {
  %y = nn.random $K stream 4 by(%i : tensor<$Rx$U>) : $V
  return %y : $V
})",
      Entries::Distributions, 160);
  all.back().inF32 = true;
  // Of pixels that are sums of many, in f32.
  add("augment", R"(func.func @f(%images: !nn.images<5>) -> tensor<5x12x12x3xf32> {
  %y = nn.augment %images stream 5 [$K] : !nn.images<5> -> tensor<5x12x12x3xf32>
  return %y : tensor<5x12x12x3xf32>
})",
      Entries::Transforms, 200);
  add("sample_index", R"(func.func @f(%images: !nn.images<5>) -> tensor<5x4001xi64> {
  %i = nn.sample_index %images : !nn.images<5> -> tensor<5xi64>
  %y = nn.broadcast %i [0] : tensor<5xi64> -> tensor<5x4001xi64>
  return %y : tensor<5x4001xi64>
})");

  add("broadcast", R"(func.func @f(%x: tensor<$Cx$T> $X, %r: tensor<$Rx$T> $X) -> ($V, $V) {
  %y = nn.broadcast %x [1] : tensor<$Cx$T> -> $V
  %z = nn.broadcast %r [0] : tensor<$Rx$T> -> $V
  return %y, %z : $V, $V
})");
  add("reshape", moved("%x: $V $X", "%m = nn.reshape %x : $V -> tensor<$Cx$Rx$T>",
                       "tensor<$Cx$Rx$T>", "tensor<$Cx$Rxi1>"));
  add("transpose", moved("%x: $V $X", "%m = nn.transpose %x [1, 0] : $V -> tensor<$Cx$Rx$T>",
                         "tensor<$Cx$Rx$T>", "tensor<$Cx$Rxi1>"));
  add("slice", moved("%x: tensor<7x24007x$T> $X",
                     "%m = nn.slice %x offsets [1, 5] strides [2, 3] : tensor<7x24007x$T> -> "
                     "tensor<3x8001x$T>",
                     "tensor<3x8001x$T>", "tensor<3x8001xi1>"));
  add("pad", moved("%x: tensor<3x2001x$T> $X",
                   "%m = nn.pad %x offsets [1, 5] strides [2, 3] : tensor<3x2001x$T> -> "
                   "tensor<7x6007x$T>",
                   "tensor<7x6007x$T>", "tensor<7x6007xi1>"));
  // In whole vectors, some of whose lanes have no element; of constants as well.
  add("pad", R"(func.func @f(%x: tensor<5x$T> $X) -> (tensor<1600x12x$T>, tensor<1600x12x$T>) {
  %p = nn.pad %x offsets [1] strides [2] : tensor<5x$T> -> tensor<12x$T>
  %y = nn.broadcast %p [1] : tensor<12x$T> -> tensor<1600x12x$T>
  %k = nn.constant dense<$D> : tensor<5x$T>
  %q = nn.pad %k offsets [1] strides [2] : tensor<5x$T> -> tensor<12x$T>
  %z = nn.broadcast %q [1] : tensor<12x$T> -> tensor<1600x12x$T>
  return %y, %z : tensor<1600x12x$T>, tensor<1600x12x$T>
})");
  add("concat", moved("%a: tensor<3x6007x$T> $X, %b: tensor<3x5x$T> $X",
                      "%m = nn.concat %a, %b axis 1 : (tensor<3x6007x$T>, tensor<3x5x$T>) -> "
                      "tensor<3x6012x$T>",
                      "tensor<3x6012x$T>", "tensor<3x6012xi1>"));
  for (auto [dims, result] :
       {std::pair("[1]", "tensor<$Rx$T>"), {"[0]", "tensor<$Cx$T>"}, {"[0, 1]", "tensor<$T>"}})
    add("reduce", reduced(dims, result), Entries::ReduceKinds);
  // Rows that no vector divides are a warp's; columns lie between two other axes.
  add("reduce",
      R"(func.func @f(%x: tensor<150x37x5x$T> $X) -> (tensor<150x5x$T>, tensor<150x37x$T>) {
  %y = nn.reduce $K %x [1] : tensor<150x37x5x$T> -> tensor<150x5x$T>
  %z = nn.reduce $K %x [2] : tensor<150x37x5x$T> -> tensor<150x37x$T>
  return %y, %z : tensor<150x5x$T>, tensor<150x37x$T>
})",
      Entries::ReduceKinds);

  // Some indices lie outside of the table.
  add("gather_rows", R"(func.func @f(%t: tensor<70x33x$T> $X,
    %i: tensor<600x$U> {nn.range = [-2.0, 72.0]}) -> tensor<600x33x$T> {
  %y = nn.gather_rows %t, %i : (tensor<70x33x$T>, tensor<600x$U>) -> tensor<600x33x$T>
  return %y : tensor<600x33x$T>
})");
  add("gather_rows",
      R"(func.func @f(%i: tensor<18021x$U> {nn.range = [-2.0, 7.0]}) -> tensor<18021x$T> {
  %t = nn.constant dense<$D> : tensor<5x$T>
  %y = nn.gather_rows %t, %i : (tensor<5x$T>, tensor<18021x$U>) -> tensor<18021x$T>
  return %y : tensor<18021x$T>
})");
  for (const char *how : {"", "{accumulate}"})
    add("scatter_rows",
        R"(func.func @f(%t: tensor<700x33x$T> $X,
    %i: tensor<40x$U> {nn.range = [-20.0, 720.0]}, %r: tensor<40x33x$T> $X) -> tensor<700x33x$T> {
  %y = nn.scatter_rows %t, %i, %r )" +
            std::string(how) +
            R"( : (tensor<700x33x$T>, tensor<40x$U>, tensor<40x33x$T>) -> tensor<700x33x$T>
  return %y : tensor<700x33x$T>
})");
  add("enqueue",
      R"(func.func @f(%q: tensor<600x33x$T> $X, %r: tensor<150x33x$T> $X) -> tensor<600x33x$T> {
  %y = nn.enqueue %q, %r : (tensor<600x33x$T>, tensor<150x33x$T>) -> tensor<600x33x$T>
  return %y : tensor<600x33x$T>
})");
  add("segment_sum", R"(func.func @f(%x: tensor<40000x$T> $X) -> tensor<4x$T> {
  %y = nn.segment_sum %x offsets [0, 16, 32, 1112] sizes [1, 16, 1073, 37117] : tensor<40000x$T> -> tensor<4x$T>
  return %y : tensor<4x$T>
})");
  add("segment_broadcast", R"(func.func @f(%x: tensor<4x$T> $X) -> tensor<40000x$T> {
  %y = nn.segment_broadcast %x offsets [0, 16, 32, 1112] sizes [1, 16, 1073, 37117] : tensor<4x$T> -> tensor<40000x$T>
  return %y : tensor<40000x$T>
})");

  add("matmul",
      R"(func.func @f(%a: tensor<37x129xf32>, %b: tensor<129x70xf32>, %c: tensor<3x19x37xf32>,
    %d: tensor<3x37x19xf32>) -> (tensor<37x70xf32>, tensor<3x37x37xf32>) {
  %y = nn.matmul %a, %b : (tensor<37x129xf32>, tensor<129x70xf32>) -> tensor<37x70xf32>
  %z = nn.matmul %c, %d {transpose_lhs, transpose_rhs} : (tensor<3x19x37xf32>, tensor<3x37x19xf32>) -> tensor<3x37x37xf32>
  return %y, %z : tensor<37x70xf32>, tensor<3x37x37xf32>
})",
      Entries::None, 100);
  const std::string a = "tensor<37x129xf32>", b = "tensor<70x129xf32>", c = "tensor<37x70xf32>",
                    bias = "tensor<70xf32>";
  add("gemm",
      "func.func @f(%a: " + a + ", %b: " + b + ", %c: " + c + ", %d: " + bias + ") -> (" + c +
          ", " + c + ") {\n  %y = nn.gemm %a, %b add %c bias %d {relu, transpose_rhs} : (" + a +
          ", " + b + ", " + c + ", " + bias + ") -> " + c +
          "\n  %z = nn.gemm %a, %b bias %d {transpose_rhs} : (" + a + ", " + b + ", " + bias +
          ") -> " + c + "\n  return %y, %z : " + c + ", " + c + "\n}",
      Entries::None, 100);
  const std::string x = "tensor<2x9x9x5xf32>", w = "tensor<6x5x3x2xf32>", y = "tensor<2x5x8x6xf32>",
                    p = "tensor<2x5x9x5xf32>", places = "tensor<2x5x9x5xi8>";
  add("conv2d",
      windows("%x: " + x + ", %w: " + w, "conv2d %x, %w", window, "(" + x + ", " + w + ") -> " + y,
              y),
      Entries::None, 100);
  add("conv2d_backward_data",
      windows("%g: " + y + ", %w: " + w, "conv2d_backward_data %g, %w", window,
              "(" + y + ", " + w + ") -> " + x, x),
      Entries::None, 100);
  add("conv2d_backward_weights",
      windows("%x: " + x + ", %g: " + y, "conv2d_backward_weights %x, %g", window,
              "(" + x + ", " + y + ") -> " + w, w),
      Entries::None, 100);
  for (const char *operation : {"max_pool2d", "max_pool2d_backward"})
    add(operation, "func.func @f(%x: " + x + ", %g: " + p + ") -> (" + p + ", " + x +
                       ") {\n  %y, %p = nn.max_pool2d %x " + pool + " : " + x + " -> " + p + ", " +
                       places + "\n  %d = nn.max_pool2d_backward %g, %p " + pool + " : (" + p +
                       ", " + places + ") -> " + x + "\n  return %y, %d : " + p + ", " + x + "\n}");
  add("avg_pool2d", windows("%x: " + x, "avg_pool2d %x", pool, x + " -> " + p, p));
  add("avg_pool2d_backward", windows("%g: " + p, "avg_pool2d_backward %g", pool, p + " -> " + x, x),
      Entries::None, 16);
  add("random_permutation", R"(func.func @f() -> tensor<301xi32> {
  %y = nn.random_permutation stream 6 : tensor<301xi32>
  return %y : tensor<301xi32>
})");
  return all;
}

} // namespace

const std::vector<Case> &doppel::codegen::cases() {
  static const std::vector<Case> all = makeCases();
  return all;
}

std::string doppel::codegen::stagesOf(llvm::StringRef transform) {
  auto stage = [](const std::string &name, const std::string &arguments) {
    return "#nn.stage<" + name + ", {" + arguments + "}>";
  };
  std::string cut = stage("center_crop", "size = 12 : i64, resize = 15 : i64");
  auto box = [&](const char *filter) {
    return stage("random_resized_crop", "size = 12 : i64, interpolation = \"" +
                                            std::string(filter) +
                                            "\", scale = array<f64: 0.08, 1.0>, "
                                            "ratio = array<f64: 0.75, 1.3333>");
  };
  return llvm::StringSwitch<std::string>(transform)
      .Case("random_resized_crop", box("bilinear"))
      .Case("center_crop", cut)
      .Case("horizontal_flip", box("bicubic") + ", " + stage("horizontal_flip", "p = 0.5"))
      .Case("color_jitter",
            cut + ", " +
                stage("color_jitter", "brightness = 0.8, contrast = 0.8, saturation = 0.8, hue = "
                                      "0.2, p = 0.9, order = \"random\", brightness_by = "
                                      "\"factor\""))
      .Case("grayscale", cut + ", " + stage("grayscale", "p = 0.5"))
      .Case("gaussian_blur",
            cut + ", " +
                stage("gaussian_blur", "kernel = 5 : i64, sigma = array<f64: 0.1, 2.0>, p = 0.7"))
      .Case("solarize", cut + ", " + stage("solarize", "threshold = 0.5, p = 0.5"))
      .Case("rotation", cut + ", " + stage("rotation", "degrees = 30.0, p = 0.8"))
      .Case("normalize", cut + ", " +
                             stage("normalize", "mean = array<f64: 0.4, 0.5, 0.6>, "
                                                "std = array<f64: 0.2, 0.25, 0.3>"))
      .Default("");
}
