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

std::string errorOf(const RightCall &call, schema::Precision precision = schema::Precision::F32,
                    const std::string &target = "") {
  ProgramParts parts;
  parts.precision = precision;
  if (!target.empty())
    parts.targetKind = target;
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
    {LibraryOp::Gemm, {{{2, 3}}, {{3, 5}}}, {{{2, 5}}}, {0, 0, 0, 0, 1}},
    {LibraryOp::Gemm, {{{2, 3}}, {{3, 5}}, {{2, 5}}}, {{{2, 5}}}, {0, 0, 1, 0, 1}},
    {LibraryOp::Gemm, {{{2, 3}}, {{5, 3}}, {{5}}}, {{{2, 5}}}, {0, 1, 0, 1, 1}},
    {LibraryOp::Gemm,
     {{{7, 3, 2}}, {{7, 3, 5}}, {{7, 2, 5}}, {{5}}},
     {{{7, 2, 5}}},
     {1, 0, 1, 1, 1}},
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
        // Without relu it is a right call as well, of something else.
        if (right.op == LibraryOp::Gemm && number == 4 && change < 0)
          continue;
        EXPECT_NE(errorOf(wrong), "")
            << schema::EnumNameLibraryOp(right.op) << " integer " << number << " by " << change;
      }
}

/// A device may round to what a call says, so only one that is known for that gets such a call.
TEST(ArtifactCalls, PrecisionIsOneThatTheTargetHas) {
  using schema::Precision;
  const RightCall &product = kRightCalls.front(), &pool = kRightCalls[12];
  ASSERT_EQ(pool.op, LibraryOp::AvgPool2D);
  for (const char *target : {"cuda", "cuda-sim"}) {
    EXPECT_EQ(errorOf(product, Precision::TF32, target), "");
    EXPECT_NE(errorOf(pool, Precision::TF32, target).find("not made with the precision TF32"),
              std::string::npos);
  }
  EXPECT_NE(errorOf(product, Precision::TF32)
                .find("Matmul on a target 'cpu' is not made with the precision TF32"),
            std::string::npos)
      << errorOf(product, Precision::TF32);
  for (Precision unknown : {Precision::Unspecified, Precision(7)})
    EXPECT_NE(errorOf(product, unknown, "cuda").find("is not made with the precision"),
              std::string::npos);
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
