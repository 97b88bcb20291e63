// A library computes with the shapes that it is given, so shapes that do not fit each other would
// be reads and writes out of bounds.
#include "runtime/artifact/CheckCalls.h"
#include "runtime/artifact/Validate.h"

#include <fmt/ranges.h>
#include <vector>

namespace doppel::runtime {

namespace {

using Shape = std::vector<int64_t>;

/// Strides, windows and padding beyond this are no image's; products of two of them do not wrap.
constexpr int64_t maxInteger = int64_t(1) << 31;

/// Extents of the windows that step over an extent: (extent + padding - reach) / stride + 1.
int64_t windows(int64_t extent, int64_t padding, int64_t kernel, int64_t dilation, int64_t stride) {
  int64_t room = extent + padding - ((kernel - 1) * dilation + 1);
  return room < 0 ? 0 : room / stride + 1;
}

class CallChecker {
public:
  CallChecker(const schema::Program &program, const schema::Call &call, const std::string &where)
      : program(program), call(call), where(where) {}

  Result<void> run() {
    using schema::LibraryOp;
    DOPPEL_CHECK(precision());
    switch (call.op()) {
    case LibraryOp::Matmul:
      return matmul();
    case LibraryOp::Conv2D:
      return convolution(input(0), input(1), output(0), 2, 1);
    case LibraryOp::Conv2DBackwardData:
      return convolution(output(0), input(1), input(0), 2, 1);
    case LibraryOp::Conv2DBackwardWeights:
      return convolution(input(0), output(0), input(1), 2, 1);
    case LibraryOp::MaxPool2D:
      return pool(input(0), output(0), output(1), 1, 2);
    case LibraryOp::MaxPool2DBackward:
      return pool(output(0), input(0), input(1), 2, 1);
    case LibraryOp::AvgPool2D:
      return pool(input(0), output(0), none, 1, 1);
    case LibraryOp::AvgPool2DBackward:
      return pool(output(0), input(0), none, 1, 1);
    case LibraryOp::RandomPermutation:
      return permutation();
    case LibraryOp::Gemm:
      return gemm();
    case LibraryOp::Unspecified:
      break;
    }
    return fail("{}: operation {} is not known", where, uint32_t(call.op()));
  }

private:
  static constexpr uint32_t none = ~0u;

  uint32_t input(uint32_t i) const {
    return i < call.inputs()->size() ? call.inputs()->Get(i) : none;
  }
  uint32_t output(uint32_t i) const {
    return i < call.outputs()->size() ? call.outputs()->Get(i) : none;
  }
  Shape shape(uint32_t index) const {
    const auto &shape = *program.buffers()->Get(index)->shape();
    return Shape(shape.begin(), shape.end());
  }
  Result<void> counts(uint32_t inputs, uint32_t outputs, uint32_t ints) const {
    if (call.inputs()->size() != inputs || call.outputs()->size() != outputs ||
        call.ints()->size() != ints)
      return fail("{}: {} takes {} inputs, {} outputs and {} ints, not {}, {} and {}", where,
                  schema::EnumNameLibraryOp(call.op()), inputs, outputs, ints,
                  call.inputs()->size(), call.outputs()->size(), call.ints()->size());
    if (!isAligned(*call.ints()))
      return fail("{}: its integers are misaligned", where);
    for (int64_t value : *call.ints())
      if (value < 0 || value >= maxInteger)
        return fail("{}: the integer {} is out of range", where, value);
    return {};
  }
  Result<void> dtype(uint32_t index, schema::DType type) const {
    if (program.buffers()->Get(index)->dtype() != type)
      return fail("{}: buffers[{}] holds {}, not {}", where, index,
                  schema::EnumNameDType(program.buffers()->Get(index)->dtype()),
                  schema::EnumNameDType(type));
    return {};
  }
  std::unexpected<Error> shapes(const Shape &a, const Shape &b, const Shape &c) const {
    return fail("{}: shapes {}, {} and {} do not fit {} with {}", where, a, b, c,
                schema::EnumNameLibraryOp(call.op()),
                Shape(call.ints()->begin(), call.ints()->end()));
  }

  static bool sumsProducts(schema::LibraryOp op) {
    using enum schema::LibraryOp;
    return op == Matmul || op == Gemm || op == Conv2D || op == Conv2DBackwardData ||
           op == Conv2DBackwardWeights;
  }

  /// A device may round to what is asked, so it has to be one that is known for that.
  Result<void> precision() const {
    using schema::Precision;
    Precision wanted = call.precision();
    if (wanted == Precision::F32)
      return {};
    std::string_view kind = program.target()->kind()->string_view();
    bool isGpu = kind == "cuda" || kind == "cuda-sim";
    if (wanted == Precision::TF32 && isGpu && sumsProducts(call.op()))
      return {};
    const char *name = schema::EnumNamePrecision(wanted);
    return fail("{}: {} on a target '{}' is not made with the precision {}", where,
                schema::EnumNameLibraryOp(call.op()), kind,
                *name ? name : std::to_string(int(wanted)));
  }

  Result<void> matmul() const {
    DOPPEL_CHECK(counts(2, 1, 2));
    return product();
  }

  /// With an addend like the result, a bias of each column, or both.
  Result<void> gemm() const {
    const auto &ints = *call.ints();
    bool readable = ints.size() == 5 && isAligned(ints);
    uint32_t addend = readable && ints.Get(2) == 1, bias = readable && ints.Get(3) == 1;
    DOPPEL_CHECK(counts(2 + addend + bias, 1, 5));
    DOPPEL_CHECK(product());
    Shape result = shape(output(0));
    if (ints.Get(4) > 1)
      return fail("{}: relu is 0 or 1, not {}", where, ints.Get(4));
    auto takes = [&](uint32_t index, const Shape &expected) -> Result<void> {
      DOPPEL_CHECK(dtype(index, schema::DType::F32));
      if (shape(index) != expected)
        return fail("{}: what is added, {}, and the result {} do not fit", where, shape(index),
                    result);
      return {};
    };
    if (addend)
      DOPPEL_CHECK(takes(input(2), result));
    if (bias)
      DOPPEL_CHECK(takes(input(2 + addend), {result.back()}));
    return {};
  }

  Result<void> product() const {
    for (uint32_t index : {input(0), input(1), output(0)})
      DOPPEL_CHECK(dtype(index, schema::DType::F32));
    Shape a = shape(input(0)), b = shape(input(1)), c = shape(output(0));
    size_t rank = a.size();
    bool right = (rank == 2 || rank == 3) && b.size() == rank && c.size() == rank &&
                 call.ints()->Get(0) <= 1 && call.ints()->Get(1) <= 1;
    if (right) {
      bool turnA = call.ints()->Get(0), turnB = call.ints()->Get(1);
      int64_t m = a[rank - 2 + turnA], k = a[rank - 1 - turnA];
      right = k == b[rank - 2 + turnB] && m == c[rank - 2] && b[rank - 1 - turnB] == c[rank - 1] &&
              (rank == 2 || (a[0] == b[0] && a[0] == c[0]));
    }
    if (!right)
      return shapes(a, b, c);
    return {};
  }

  /// `wide`: x or its derivative, [N, H, W, I]; `narrow`: y or its derivative, [N, OH, OW, O].
  Result<void> convolution(uint32_t wide, uint32_t weight, uint32_t narrow, uint32_t inputs,
                           uint32_t outputs) const {
    DOPPEL_CHECK(counts(inputs, outputs, 10));
    for (uint32_t index : {wide, weight, narrow})
      DOPPEL_CHECK(dtype(index, schema::DType::F32));
    Shape x = shape(wide), w = shape(weight), y = shape(narrow);
    auto ints = [&](uint32_t i) { return call.ints()->Get(i); };
    int64_t groups = ints(8), last = ints(9);
    bool right = x.size() == 4 && w.size() == 4 && y.size() == 4 && ints(0) > 0 && ints(1) > 0 &&
                 ints(6) > 0 && ints(7) > 0 && groups > 0 && (last == 0 || last == 1);
    if (right && last) // as if its channels came second
      w = {w[0], w[3], w[1], w[2]};
    right = right && x[0] == y[0] && y[3] == w[0] && x[3] % groups == 0 && y[3] % groups == 0 &&
            x[3] / groups == w[1] &&
            y[1] == windows(x[1], ints(2) + ints(4), w[2], ints(6), ints(0)) &&
            y[2] == windows(x[2], ints(3) + ints(5), w[3], ints(7), ints(1));
    if (!right)
      return shapes(x, w, y);
    return {};
  }

  /// `wide`: [N, H, W, C]; `narrow` and the workspace: [N, OH, OW, C].
  Result<void> pool(uint32_t wide, uint32_t narrow, uint32_t workspace, uint32_t inputs,
                    uint32_t outputs) const {
    DOPPEL_CHECK(counts(inputs, outputs, 8));
    DOPPEL_CHECK(dtype(wide, schema::DType::F32));
    DOPPEL_CHECK(dtype(narrow, schema::DType::F32));
    Shape x = shape(wide), y = shape(narrow), kept = y;
    if (workspace != none) {
      DOPPEL_CHECK(dtype(workspace, schema::DType::U8));
      kept = shape(workspace);
    }
    auto ints = [&](uint32_t i) { return call.ints()->Get(i); };
    bool right = x.size() == 4 && y.size() == 4 && kept == y && ints(0) > 0 && ints(1) > 0 &&
                 ints(2) > 0 && ints(3) > 0 && (workspace == none || ints(0) * ints(1) <= 256);
    right = right && x[0] == y[0] && x[3] == y[3] &&
            y[1] == windows(x[1], ints(4) + ints(6), ints(0), 1, ints(2)) &&
            y[2] == windows(x[2], ints(5) + ints(7), ints(1), 1, ints(3));
    if (!right)
      return shapes(x, y, kept);
    return {};
  }

  Result<void> permutation() const {
    DOPPEL_CHECK(counts(1, 1, 1));
    DOPPEL_CHECK(dtype(input(0), schema::DType::RunScalars));
    DOPPEL_CHECK(dtype(output(0), schema::DType::I32));
    if (shape(output(0)).size() != 1 || call.ints()->Get(0) >= int64_t(1) << 24)
      return fail("{}: a permutation of shape {} and stream {}", where, shape(output(0)),
                  call.ints()->Get(0));
    return {};
  }

  const schema::Program &program;
  const schema::Call &call;
  const std::string &where;
};

} // namespace

Result<void> checkCall(const schema::Program &program, const schema::Call &call,
                       const std::string &where) {
  return CallChecker(program, call, where).run();
}

} // namespace doppel::runtime
