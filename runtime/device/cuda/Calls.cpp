#include "runtime/device/cuda/Calls.h"

namespace doppel::runtime::cuda {

Result<Convolution> convolutionOf(schema::LibraryOp op, const CallShapes &shapes,
                                  const std::vector<int64_t> &ints, schema::Precision precision) {
  using Kind = Convolution::Kind;
  bool isOne = shapes.size() == 3 && ints.size() == 10;
  for (const auto &shape : shapes)
    isOne &= shape.size() == 4;
  if (!isOne)
    return failInternal("a convolution of other shapes");
  if (!ints[9])
    return fail("a convolution has its filters in the order of a processor, not of a GPU: compile "
                "the spec with --target cuda");
  Kind kind = op == schema::LibraryOp::Conv2D               ? Kind::Forward
              : op == schema::LibraryOp::Conv2DBackwardData ? Kind::BackwardData
                                                            : Kind::BackwardWeights;
  const auto &x = shapes[kind == Kind::BackwardData ? 2 : 0];
  const auto &w = shapes[kind == Kind::BackwardWeights ? 2 : 1];
  const auto &y = shapes[kind == Kind::Forward ? 2 : kind == Kind::BackwardData ? 0 : 1];
  return Convolution{.kind = kind,
                     .batch = x[0],
                     .height = x[1],
                     .width = x[2],
                     .channels = x[3],
                     .outHeight = y[1],
                     .outWidth = y[2],
                     .filters = y[3],
                     .kernelHeight = w[1],
                     .kernelWidth = w[2],
                     .strideY = ints[0],
                     .strideX = ints[1],
                     .dilationY = ints[6],
                     .dilationX = ints[7],
                     .top = ints[2],
                     .left = ints[3],
                     .bottom = ints[4],
                     .right = ints[5],
                     .groups = ints[8],
                     .tf32 = precision == schema::Precision::TF32};
}

Result<Product> productOf(schema::LibraryOp op, const CallShapes &shapes,
                          const std::vector<int64_t> &ints, schema::Precision precision) {
  bool gemm = op == schema::LibraryOp::Gemm;
  bool addend = gemm && ints.size() == 5 && ints[2], bias = gemm && ints.size() == 5 && ints[3];
  if (shapes.size() != size_t(3 + addend + bias) || ints.size() != size_t(gemm ? 5 : 2))
    return failInternal("a product of other operands");
  const auto &a = shapes[0], &b = shapes[1], &c = shapes.back();
  const char *name = schema::EnumNameLibraryOp(op);
  size_t rank = c.size();
  if (rank < 2 || rank > 3 || a.size() != rank || b.size() != rank)
    return failInternal("{} of other shapes than a product's", name);
  bool transposeA = ints[0];
  Product product{.batch = rank == 3 ? c[0] : 1,
                  .m = c[rank - 2],
                  .n = c[rank - 1],
                  .k = a[transposeA ? rank - 2 : rank - 1],
                  .transposeA = transposeA,
                  .transposeB = bool(ints[1]),
                  .addend = addend,
                  .bias = bias,
                  .relu = gemm && ints[4],
                  .tf32 = precision == schema::Precision::TF32};
  auto is = [&](const std::vector<int64_t> &shape, int64_t rows, int64_t columns, bool turned) {
    return shape[rank - 2] == (turned ? columns : rows) &&
           shape[rank - 1] == (turned ? rows : columns) && (rank == 2 || shape[0] == product.batch);
  };
  if (!is(a, product.m, product.k, transposeA) || !is(b, product.k, product.n, product.transposeB))
    return failInternal("{}: [{}] by [{}] do not give [{}]", name, fmt::join(a, ", "),
                        fmt::join(b, ", "), fmt::join(c, ", "));
  return product;
}

} // namespace doppel::runtime::cuda
