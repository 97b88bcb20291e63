// Calls of library operations in an artifact: a right call of each is taken; with any extent or any
// integer changed by one it is refused, since the library would then read or write beside its
// operands.

#include "ArtifactFixture.h"

#include <gtest/gtest.h>

namespace doppel::runtime::test {
namespace {

using schema::DType;
using schema::LibraryOp;

struct Operand {
  std::vector<int64_t> shape;
  DType dtype = DType::F32;
};

struct RightCall {
  LibraryOp op;
  std::vector<Operand> inputs, outputs;
  std::vector<int64_t> ints;
};

std::string errorOf(const RightCall &call) {
  ProgramParts parts;
  parts.arenas[1] = {"transient", schema::ArenaKind::Transient, 1 << 20};
  parts.peak = (1 << 20) + 512;
  parts.call = call.op;
  parts.inputs.clear();
  parts.outputs.clear();
  parts.ints = call.ints;
  uint64_t offset = 1024;
  auto add = [&](const Operand &operand, std::vector<uint32_t> &indices) {
    indices.push_back(uint32_t(parts.buffers.size()));
    parts.buffers.push_back({1, offset, operand.dtype, operand.shape});
    offset += 1 << 16;
  };
  for (const Operand &operand : call.inputs)
    add(operand, parts.inputs);
  for (const Operand &operand : call.outputs)
    add(operand, parts.outputs);
  auto artifact = Artifact::parse(artifactOf(parts.bytes()), "toy.dpx");
  return artifact ? "" : artifact.error().message;
}

// No extent is another's, and windows step by one, so that no change of one number is another right
// call. Strides, padding (top, left, bottom, right), dilations, groups, channels last; for pools
// the kernel first.
const std::vector<int64_t> kConvolution = {1, 1, 1, 2, 0, 1, 2, 1, 2, 0};
const std::vector<int64_t> kConvolutionLast = {1, 1, 1, 2, 0, 1, 2, 1, 2, 1};
const Operand kImage{{3, 11, 13, 6}}, kWeight{{8, 3, 3, 4}}, kConvolved{{3, 8, 13, 8}};
const Operand kWeightLast{{8, 3, 4, 3}};
const std::vector<int64_t> kPool = {3, 4, 1, 1, 1, 2, 0, 1};
const Operand kPooled{{3, 10, 13, 6}}, kPlaces{{3, 10, 13, 6}, DType::U8};

const std::vector<RightCall> kRightCalls = {
    {LibraryOp::Matmul, {{{2, 3}}, {{3, 5}}}, {{{2, 5}}}, {0, 0}},
    {LibraryOp::Matmul, {{{3, 2}}, {{3, 5}}}, {{{2, 5}}}, {1, 0}},
    {LibraryOp::Matmul, {{{2, 3}}, {{5, 3}}}, {{{2, 5}}}, {0, 1}},
    {LibraryOp::Matmul, {{{7, 3, 2}}, {{7, 5, 3}}}, {{{7, 2, 5}}}, {1, 1}},
    {LibraryOp::Conv2D, {kImage, kWeight}, {kConvolved}, kConvolution},
    {LibraryOp::Conv2DBackwardData, {kConvolved, kWeight}, {kImage}, kConvolution},
    {LibraryOp::Conv2DBackwardWeights, {kImage, kConvolved}, {kWeight}, kConvolution},
    {LibraryOp::Conv2D, {kImage, kWeightLast}, {kConvolved}, kConvolutionLast},
    {LibraryOp::Conv2DBackwardData, {kConvolved, kWeightLast}, {kImage}, kConvolutionLast},
    {LibraryOp::Conv2DBackwardWeights, {kImage, kConvolved}, {kWeightLast}, kConvolutionLast},
    {LibraryOp::MaxPool2D, {kImage}, {kPooled, kPlaces}, kPool},
    {LibraryOp::MaxPool2DBackward, {kPooled, kPlaces}, {kImage}, kPool},
    {LibraryOp::AvgPool2D, {kImage}, {kPooled}, kPool},
    {LibraryOp::AvgPool2DBackward, {kPooled}, {kImage}, kPool},
};

TEST(ArtifactCalls, RightOnesAreTaken) {
  for (const RightCall &call : kRightCalls)
    EXPECT_EQ(errorOf(call), "") << schema::EnumNameLibraryOp(call.op);
}

TEST(ArtifactCalls, EveryExtentMatters) {
  for (const RightCall &right : kRightCalls)
    for (bool output : {false, true})
      for (size_t number = 0; number < (output ? right.outputs : right.inputs).size(); ++number)
        for (size_t axis = 0; axis < (output ? right.outputs : right.inputs)[number].shape.size();
             ++axis)
          for (int64_t change : {-1, 1}) {
            RightCall wrong = right;
            (output ? wrong.outputs : wrong.inputs)[number].shape[axis] += change;
            std::string error = errorOf(wrong);
            EXPECT_NE(error.find("do not fit"), std::string::npos)
                << schema::EnumNameLibraryOp(right.op) << (output ? " output " : " input ")
                << number << " axis " << axis << " by " << change << ": " << error;
          }
}

TEST(ArtifactCalls, EveryIntegerMatters) {
  for (const RightCall &right : kRightCalls)
    for (size_t number = 0; number < right.ints.size(); ++number)
      for (int64_t change : {-1, 1}) {
        RightCall wrong = right;
        wrong.ints[number] += change;
        EXPECT_NE(errorOf(wrong), "")
            << schema::EnumNameLibraryOp(right.op) << " integer " << number << " by " << change;
      }
}

TEST(ArtifactCalls, ElementsAreOfTheLibrarysTypes) {
  for (const RightCall &right : kRightCalls)
    for (bool output : {false, true})
      for (size_t number = 0; number < (output ? right.outputs : right.inputs).size(); ++number) {
        RightCall wrong = right;
        (output ? wrong.outputs : wrong.inputs)[number].dtype = DType::I32;
        EXPECT_NE(errorOf(wrong).find("holds I32"), std::string::npos)
            << schema::EnumNameLibraryOp(right.op) << " " << number;
      }
}

} // namespace
} // namespace doppel::runtime::test
