// Which code a GPU is given, how it is loaded, and what is said of memory before the first step.
#include "RecordingDriver.h"
#include "runtime/device/cuda/MemoryNeeds.h"
#include "runtime/device/cuda/Modules.h"

#include <gtest/gtest.h>

using namespace doppel::runtime;
using namespace doppel::runtime::cuda;
using doppel::test::Recording;
using doppel::test::recordingOf;

namespace {

const std::string folder = DOPPEL_RECORDING_DRIVER;

GpuInfo gpuOf(int architecture) {
  return {.name = "GPU", .architecture = architecture, .totalBytes = uint64_t(1000) << 20};
}

std::span<const std::byte> bytesOf(const std::string &text) {
  return std::as_bytes(std::span(text));
}

const std::string cubin("\x7f"
                        "ELF...",
                        7);

TEST(CudaCode, OfItsOwnArchitectureComesFirst) {
  const CodeOffer offers[] = {{true, "sm_80"}, {false, "sm_80"}, {false, "sm_90"}};
  auto choice = chooseCode(offers, gpuOf(90));
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_EQ(choice->offer, 2u);
  EXPECT_EQ(choice->remark, "");
  choice = chooseCode(offers, gpuOf(80));
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_EQ(choice->offer, 1u);
}

TEST(CudaCode, OfAnEarlierGpuOfTheSameGenerationIsRun) {
  const CodeOffer offers[] = {
      {true, "sm_80"}, {false, "sm_80"}, {false, "sm_86"}, {false, "sm_90"}};
  auto choice = chooseCode(offers, gpuOf(89));
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_EQ(choice->offer, 2u);
  EXPECT_EQ(choice->remark, "");
}

TEST(CudaCode, OfAnotherArchitectureIsPtxAndToldSo) {
  const CodeOffer offers[] = {{false, "sm_80"}, {true, "sm_80"}, {false, "sm_120"}};
  auto choice = chooseCode(offers, gpuOf(90));
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_EQ(choice->offer, 1u);
  EXPECT_EQ(choice->remark,
            "GPU is an sm_90, and the artifact has code for sm_80, PTX for sm_80, code for sm_120: "
            "the driver compiles the PTX now; --target cuda:sm_90 spares that");
}

TEST(CudaCode, WithoutAnyTheTargetIsNamed) {
  const CodeOffer cubins[] = {{false, "sm_80"}, {false, "sm_90a"}};
  auto choice = chooseCode(cubins, gpuOf(90));
  ASSERT_FALSE(choice);
  EXPECT_EQ(choice.error().message,
            "GPU is an sm_90, and the artifact has code for sm_80, code for "
            "sm_90a: compile the spec with --target cuda:sm_90");
  // PTX of a later architecture is none for this one.
  const CodeOffer later[] = {{true, "sm_90"}};
  choice = chooseCode(later, gpuOf(80));
  ASSERT_FALSE(choice);
  EXPECT_EQ(choice.error().message,
            "GPU is an sm_80, and the artifact has PTX for sm_90: compile the spec "
            "with --target cuda:sm_80");
  choice = chooseCode({}, gpuOf(80));
  ASSERT_FALSE(choice);
  EXPECT_NE(choice.error().message.find("has no code for GPUs: compile"), std::string::npos);
}

/// The advice is a target that the compiler takes, and that gives the GPU code of its own.
TEST(CudaCode, TheTargetThatIsAdvisedIsOneThatThereIs) {
  const CodeOffer later[] = {{true, "sm_90"}, {false, "sm_90"}};
  auto choice = chooseCode(later, gpuOf(75));
  ASSERT_FALSE(choice);
  EXPECT_EQ(choice.error().message, "GPU is an sm_75, and programs need an sm_80 at least: another "
                                    "GPU, or compile the spec with --target cpu");
  choice = chooseCode(later, gpuOf(87));
  ASSERT_FALSE(choice);
  EXPECT_TRUE(choice.error().message.ends_with("compile the spec with --target cuda:sm_86"))
      << choice.error().message;
  choice = chooseCode(later, gpuOf(103));
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_TRUE(choice->remark.ends_with("the driver compiles the PTX now; --target cuda:sm_100 "
                                       "spares that"))
      << choice->remark;
  // There is no code for its generation.
  choice = chooseCode(later, gpuOf(110));
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_TRUE(choice->remark.ends_with("the driver compiles the PTX now")) << choice->remark;
}

class CudaModules : public testing::Test {
protected:
  Recording &recording = recordingOf(folder);
  std::unique_ptr<Driver> driver;
  void SetUp() override {
    auto opened = Driver::open({{folder}, false, {}});
    ASSERT_TRUE(opened) << opened.error().message;
    driver = std::move(*opened);
  }
  std::string loadingSays(const std::string &code) {
    auto module = Module::load(*driver, bytesOf(code));
    return module ? "" : module.error().message;
  }
};

TEST_F(CudaModules, AreLoadedAndUnloaded) {
  recording.kernels["k"] = [](const Recording::Launch &) {};
  {
    auto module = Module::load(*driver, bytesOf(cubin));
    ASSERT_TRUE(module) << module.error().message;
    EXPECT_TRUE((*module)->function("k"));
    auto other = (*module)->function("other");
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().message, "the artifact's code has no kernel 'other'");
    EXPECT_EQ(recording.count("cuModuleUnload"), 0u);
  }
  EXPECT_EQ(recording.count("cuModuleLoadDataEx cubin"), 1u);
  EXPECT_EQ(recording.count("cuModuleUnload"), 1u);
}

TEST_F(CudaModules, PtxIsGivenAsTextThatEnds) {
  const std::string longer = ".version 8.0 and what stands behind";
  auto module = Module::load(*driver, bytesOf(longer).first(12));
  ASSERT_TRUE(module) << module.error().message;
  EXPECT_EQ(recording.ptx, ".version 8.0");
}

TEST_F(CudaModules, TheDriversWordsAboutPtxAreTold) {
  recording.moduleStatus = CUDA_ERROR_INVALID_PTX;
  recording.jitLog = "ptxas fatal : Unresolved\nsymbol f\n";
  EXPECT_EQ(loadingSays(".version"),
            "cannot load the artifact's PTX (ptxas fatal : Unresolved symbol "
            "f): CUDA_ERROR_INVALID_PTX (a PTX JIT compilation failed)");
}

TEST_F(CudaModules, WhatADriverIsTooOldForNamesItsVersionAndTheWayOut) {
  recording.version = 12020;
  auto opened = Driver::open({{folder}, false, {}});
  ASSERT_TRUE(opened);
  driver = std::move(*opened);
  recording.moduleStatus = CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
  EXPECT_TRUE(loadingSays(".version")
                  .starts_with("NVIDIA's driver of CUDA 12.2 cannot compile the artifact's PTX: "
                               "update it, or compile"))
      << loadingSays(".version");
  recording.moduleStatus = CUDA_SUCCESS;
  recording.acceptsCubins = false;
  EXPECT_TRUE(loadingSays(cubin).starts_with(
      "NVIDIA's driver of CUDA 12.2 does not load the artifact's code: it is for another "
      "architecture, or made by a later CUDA;"))
      << loadingSays(cubin);
  EXPECT_EQ(recording.count("cuModuleUnload"), 0u);
}

TEST_F(CudaModules, ALostGpuIsToldWhileLoading) {
  recording.loseAtCall = int(recording.calls.size());
  EXPECT_TRUE(loadingSays(cubin).starts_with(
      "the GPU is lost to this process, cannot load the artifact's code: CUDA_ERROR_LAUNCH_FAILED"))
      << loadingSays(cubin);
}

constexpr uint64_t mebibyte = 1 << 20;

TEST(CudaMemory, ThatFitsToTheByteIsTaken) {
  const MemoryNeeds needs = {100 * mebibyte, 500 * mebibyte, 100 * mebibyte};
  EXPECT_TRUE(fitMemory(needs, gpuOf(90), 700 * mebibyte));
  EXPECT_FALSE(fitMemory(needs, gpuOf(90), 700 * mebibyte - 1));
}

TEST(CudaMemory, ThatOthersHoldIsToldFromThatTheGpuLacks) {
  const MemoryNeeds needs = {100 * mebibyte, 500 * mebibyte, 100 * mebibyte};
  auto told = fitMemory(needs, gpuOf(90), 699 * mebibyte);
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().message,
            "the program needs 700 MiB of memory (states 100, a step 500, libraries 100), and of "
            "the 1000 MiB of GPU others and the driver hold 301: 1 MiB are missing, for libraries; "
            "end what holds them (`nvidia-smi` lists it), or compile the spec for a smaller batch "
            "(--set batch=N)");
  // Libraries are not known before the program fits.
  told = fitMemory({needs.states, needs.step * 2, 0}, gpuOf(90), 1000 * mebibyte);
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().message,
            "the program needs 1100 MiB of memory (states 100, a step 1000), and GPU has 1000 MiB: "
            "100 MiB are missing, for a step; compile the spec for a smaller batch (--set batch=N) "
            "or smaller images");
}

TEST(CudaMemory, TheFirstPartThatDoesNotFitIsNamed) {
  auto named = [](uint64_t free) {
    const MemoryNeeds needs = {100 * mebibyte, 500 * mebibyte, 100 * mebibyte};
    std::string message = fitMemory(needs, gpuOf(90), free).error().message;
    return message.substr(message.find("others and"),
                          message.find("; end") - message.find("others and"));
  };
  EXPECT_EQ(named(99 * mebibyte),
            "others and the driver hold 901: 601 MiB are missing, for states");
  EXPECT_EQ(named(100 * mebibyte),
            "others and the driver hold 900: 600 MiB are missing, for a step");
  EXPECT_EQ(named(600 * mebibyte),
            "others and the driver hold 400: 100 MiB are missing, for libraries");
}

} // namespace
