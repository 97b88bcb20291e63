#include "runtime/device/Operands.h"

namespace doppel::runtime {

Result<void> expectOperands(const Device &device, std::string_view name,
                            std::span<const TensorRef> inputs, std::span<const TensorRef> outputs) {
  for (size_t i = 0; i < inputs.size(); ++i)
    DOPPEL_CHECK(expectDeviceMemory(device, inputs[i], fmt::format("{}: input {}", name, i)));
  for (size_t i = 0; i < outputs.size(); ++i)
    DOPPEL_CHECK(expectDeviceMemory(device, outputs[i], fmt::format("{}: output {}", name, i)));
  return {};
}

namespace {

struct Arity {
  size_t inputs, outputs, ints;
};

Arity arityOf(const LibraryCall &call) {
  switch (call.op) {
  case schema::LibraryOp::Matmul:
    return {2, 1, 2};
  case schema::LibraryOp::Conv2D:
  case schema::LibraryOp::Conv2DBackwardData:
  case schema::LibraryOp::Conv2DBackwardWeights:
    return {2, 1, 10};
  case schema::LibraryOp::MaxPool2D:
    return {1, 2, 8};
  case schema::LibraryOp::MaxPool2DBackward:
    return {2, 1, 8};
  case schema::LibraryOp::AvgPool2D:
  case schema::LibraryOp::AvgPool2DBackward:
    return {1, 1, 8};
  case schema::LibraryOp::RandomPermutation:
    return {1, 1, 1};
  case schema::LibraryOp::Gemm: {
    bool whole = call.ints.size() == 5;
    return {size_t(2) + (whole && call.ints[2]) + (whole && call.ints[3]), 1, 5};
  }
  case schema::LibraryOp::Unspecified:
    break;
  }
  return {0, 0, 0};
}

} // namespace

Result<void> expectArity(const LibraryCall &call) {
  std::string name = schema::EnumNameLibraryOp(call.op);
  Arity arity = arityOf(call);
  if (arity.outputs == 0)
    return failInternal("unknown library operation {}", int(call.op));
  if (call.inputs.size() != arity.inputs || call.outputs.size() != arity.outputs ||
      call.ints.size() != arity.ints)
    return failInternal("{} takes {} inputs, {} outputs and {} integers, not {}, {} and {}", name,
                        arity.inputs, arity.outputs, arity.ints, call.inputs.size(),
                        call.outputs.size(), call.ints.size());
  return {};
}

} // namespace doppel::runtime
