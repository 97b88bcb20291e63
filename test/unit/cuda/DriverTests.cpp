// Opening NVIDIA's libraries and its driver: what is found where, and what each failure says.
#include "RecordingDriver.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

using namespace doppel::runtime;
using namespace doppel::runtime::cuda;
using doppel::test::Recording;
using doppel::test::recordingOf;

namespace {

const std::string folder = DOPPEL_RECORDING_DRIVER;

LibrarySearch only(const std::string &place) { return {{place}, false, {}}; }

std::string openingSays() {
  auto opened = Driver::open(only(folder));
  return opened ? "" : opened.error().message;
}

class CudaLibraryTest : public testing::Test {
protected:
  std::filesystem::path place = std::filesystem::path(testing::TempDir()) / "doppel-cuda-library";
  void SetUp() override {
    std::filesystem::remove_all(place);
    std::filesystem::create_directories(place);
  }
  void TearDown() override { std::filesystem::remove_all(place); }
};

using CudaLibrary = CudaLibraryTest;

TEST_F(CudaLibrary, SaysWhatWasLookedForAndWhere) {
  constexpr const char *names[] = {"libnone.so.13", "libnone.so.12"};
  auto opened = openLibrary("cuNone", names, {{place}, true, {"/usr/local/none/lib64"}});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message,
            "cuNone is not here: looked for libnone.so.13 or libnone.so.12 in " + place.string() +
                ", the system's library path, /usr/local/none/lib64");
}

TEST_F(CudaLibrary, AFileThatIsNoLibraryIsNotPassedOver) {
  std::ofstream(place / "libnone.so.13") << "text";
  constexpr const char *names[] = {"libnone.so.13"};
  for (bool before : {true, false}) {
    std::vector<std::string> places = {place};
    auto opened =
        openLibrary("cuNone", names,
                    before ? LibrarySearch{places, false, {}} : LibrarySearch{{}, true, places});
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().message.find("cuNone cannot be opened: " + place.string()),
              std::string::npos)
        << opened.error().message;
  }
}

TEST_F(CudaLibrary, TheSystemsComesBeforeThoseOfPython) {
  std::ofstream(place / "libm.so.6") << "text";
  constexpr const char *names[] = {"libm.so.6"};
  auto opened = openLibrary("libm", names, {{}, true, {place}});
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->name(), "libm.so.6");
  EXPECT_NE(opened->symbol("cos"), nullptr);
  EXPECT_EQ(opened->symbol("cuInit"), nullptr);
}

TEST_F(CudaLibrary, FoldersOfAVirtualEnvironmentAreSearched) {
  std::filesystem::create_directories(place / "lib/python3.12/site-packages/nvidia/cudnn/lib");
  std::filesystem::create_directories(place / "lib/python3.12/site-packages/nvidia/cu13/lib");
  std::filesystem::create_directories(place / "lib/python3.12/site-packages/nvidia/headers");
  std::string before = std::getenv("VIRTUAL_ENV") ? std::getenv("VIRTUAL_ENV") : "";
  setenv("VIRTUAL_ENV", place.c_str(), 1);
  std::vector<std::string> folders = usualSearch().then;
  before.empty() ? unsetenv("VIRTUAL_ENV") : setenv("VIRTUAL_ENV", before.c_str(), 1);
  auto has = [&](const char *end) {
    return std::ranges::find(folders, place.string() + "/lib/python3.12/site-packages/nvidia/" +
                                          end) != folders.end();
  };
  EXPECT_TRUE(has("cudnn/lib"));
  EXPECT_TRUE(has("cu13/lib"));
  EXPECT_FALSE(has("headers/lib"));
}

TEST_F(CudaLibrary, FoldersOfThePythonInThePathAreSearched) {
  std::filesystem::create_directories(place /
                                      "conda/lib/python3.11/site-packages/nvidia/cudnn/lib");
  std::filesystem::create_directories(place / "conda/bin");
  std::ofstream(place / "conda/bin/python3") << "";
  std::string before = std::getenv("PATH") ? std::getenv("PATH") : "";
  setenv("PATH",
         ("relative:" + (place / "none").string() + ":" + (place / "conda/bin").string() + ":" +
          before)
             .c_str(),
         1);
  std::vector<std::string> folders = usualSearch().then;
  setenv("PATH", before.c_str(), 1);
  EXPECT_EQ(std::ranges::count(
                folders, (place / "conda/lib/python3.11/site-packages/nvidia/cudnn/lib").string()),
            1);
}

TEST(CudaSearch, EachPlaceIsSearchedOnceAndCudaHomeFirst) {
  std::string before = std::getenv("CUDA_HOME") ? std::getenv("CUDA_HOME") : "";
  auto foldersWith = [](const char *home) {
    setenv("CUDA_HOME", home, 1);
    return usualSearch().then;
  };
  std::vector<std::string> usual = foldersWith("/usr/local/cuda"), own = foldersWith("/opt/cuda");
  before.empty() ? unsetenv("CUDA_HOME") : setenv("CUDA_HOME", before.c_str(), 1);
  EXPECT_EQ(std::ranges::count(usual, "/usr/local/cuda/lib64"), 1);
  EXPECT_EQ(own.front(), "/opt/cuda/lib64");
  EXPECT_EQ(std::ranges::count(own, "/usr/local/cuda/lib64"), 1);
}

TEST(CudaDriver, TellsItsVersionAndItsGpus) {
  Recording &recording = recordingOf(folder);
  recording.devices = 2;
  recording.architecture = 80;
  auto driver = Driver::open(only(folder));
  ASSERT_TRUE(driver) << driver.error().message;
  EXPECT_EQ(cudaVersion((*driver)->version()), "12.4");
  auto gpus = (*driver)->gpus();
  ASSERT_TRUE(gpus);
  ASSERT_EQ(gpus->size(), 2u);
  EXPECT_EQ((*gpus)[1].name, "Recorded GPU 1");
  EXPECT_EQ((*gpus)[1].architecture, 80);
  EXPECT_EQ((*gpus)[1].multiprocessors, 132);
  EXPECT_EQ((*gpus)[1].totalBytes, uint64_t(80) << 30);
}

TEST(CudaDriver, WithoutADriverSaysHowToGoOn) {
  auto opened = Driver::open(only("/nowhere"));
  ASSERT_FALSE(opened);
  EXPECT_EQ(
      opened.error().message,
      "NVIDIA's driver is not here: looked for libcuda.so.1 in /nowhere; to run on this machine's "
      "processor, compile the spec with --target cpu");
}

TEST(CudaDriver, TooOldADriverNamesBothVersions) {
  recordingOf(folder).version = 11080;
  EXPECT_NE(openingSays().find("is of CUDA 11.8, 12.0 is needed: update it to 525.60 or later"),
            std::string::npos)
      << openingSays();
}

TEST(CudaDriver, WithoutAGpuSaysSo) {
  recordingOf(folder).initStatus = CUDA_ERROR_NO_DEVICE;
  EXPECT_NE(
      openingSays().find("NVIDIA's driver does not start: CUDA_ERROR_NO_DEVICE (no CUDA-capable "
                         "device is detected); to run"),
      std::string::npos)
      << openingSays();
  // Where a running program has lost its GPU, one that starts has none.
  for (CUresult status : {CUDA_ERROR_UNKNOWN, CUDA_ERROR_SYSTEM_NOT_READY}) {
    recordingOf(folder).initStatus = status;
    EXPECT_TRUE(openingSays().starts_with("NVIDIA's driver does not start: CUDA")) << openingSays();
  }
  recordingOf(folder).devices = 0;
  auto driver = Driver::open(only(folder));
  ASSERT_TRUE(driver);
  auto gpus = (*driver)->gpus();
  ASSERT_FALSE(gpus);
  EXPECT_NE(gpus.error().message.find("finds no GPU"), std::string::npos);
}

TEST(CudaDriver, ALibraryOfTheNameThatIsNotTheDriverIsNamed) {
  std::filesystem::path place = std::filesystem::path(testing::TempDir()) / "doppel-no-driver";
  std::filesystem::remove_all(place);
  std::filesystem::create_directories(place);
  std::filesystem::create_symlink("/lib/x86_64-linux-gnu/libm.so.6", place / "libcuda.so.1");
  auto opened = Driver::open(only(place));
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find("has no function cuInit"), std::string::npos)
      << opened.error().message;
  std::filesystem::remove_all(place);
}

TEST(CudaDriver, ALostGpuIsToldFromACallThatFailed) {
  recordingOf(folder);
  auto driver = Driver::open(only(folder));
  ASSERT_TRUE(driver);
  EXPECT_TRUE((*driver)->check(CUDA_SUCCESS, "x"));
  EXPECT_EQ((*driver)->check(CUDA_ERROR_OUT_OF_MEMORY, "cannot take 3 GiB").error().message,
            "cannot take 3 GiB: CUDA_ERROR_OUT_OF_MEMORY (out of memory)");
  EXPECT_EQ(
      (*driver)->check(CUDA_ERROR_LAUNCH_FAILED, "in step 7").error().message,
      "the GPU is lost to this process, in step 7: CUDA_ERROR_LAUNCH_FAILED (unspecified launch "
      "failure)");
  EXPECT_EQ((*driver)->check(CUresult(12345), "x").error().message, "x: CUDA error 12345");
  for (CUresult status : {CUDA_ERROR_UNKNOWN, CUDA_ERROR_ASSERT, CUDA_ERROR_ILLEGAL_ADDRESS,
                          CUDA_ERROR_ECC_UNCORRECTABLE, CUDA_ERROR_NVLINK_UNCORRECTABLE})
    EXPECT_TRUE((*driver)->check(status, "x").error().message.starts_with("the GPU is lost"))
        << status;
  // A GPU that another process has for itself is not lost.
  std::string held = (*driver)->check(CUDA_ERROR_DEVICE_UNAVAILABLE, "x").error().message;
  EXPECT_TRUE(held.starts_with("x: ")) << held;
  EXPECT_NE(held.find("another process may have the GPU for itself alone"), std::string::npos);
}

// The stand-in keeps to what the tests of the device rely on.
TEST(RecordingDriver, CapturesAndReplays) {
  Recording &recording = recordingOf(folder);
  auto driver = Driver::open(only(folder));
  ASSERT_TRUE(driver);
  const Driver &cuda = **driver;
  recording.kernels["twice"] = [](const Recording::Launch &launch) {
    *static_cast<float *>(launch.pointers[0]) *= 2;
  };
  recording.parameters["twice"] = 1;
  CUdeviceptr memory = 0;
  ASSERT_EQ(cuda.cuMemAlloc(&memory, 4), CUDA_SUCCESS);
  float value = 3;
  ASSERT_EQ(cuda.cuMemcpyHtoD(memory, &value, 4), CUDA_SUCCESS);
  EXPECT_EQ(cuda.cuMemcpyHtoD(memory + 1, &value, 4), CUDA_ERROR_INVALID_VALUE);
  CUmodule module = nullptr;
  CUfunction twice = nullptr, other = nullptr;
  ASSERT_EQ(cuda.cuModuleLoadDataEx(&module, ".version 8.0", 0, nullptr, nullptr), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuModuleGetFunction(&twice, module, "twice"), CUDA_SUCCESS);
  EXPECT_EQ(cuda.cuModuleGetFunction(&other, module, "other"), CUDA_ERROR_NOT_FOUND);
  CUstream stream = nullptr;
  ASSERT_EQ(cuda.cuStreamCreate(&stream, 0), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_SUCCESS);
  CUdeviceptr late = 0;
  EXPECT_EQ(cuda.cuMemAlloc(&late, 4), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  void *parameters[] = {&memory};
  ASSERT_EQ(cuda.cuLaunchKernel(twice, 1, 1, 1, 32, 1, 1, 0, stream, parameters, nullptr),
            CUDA_SUCCESS);
  CUgraph graph = nullptr;
  ASSERT_EQ(cuda.cuStreamEndCapture(stream, &graph), CUDA_SUCCESS);
  CUgraphExec exec = nullptr;
  ASSERT_EQ(cuda.cuGraphInstantiate(&exec, graph, 0), CUDA_SUCCESS);
  for (float expected : {3.0f, 6.0f, 12.0f}) {
    ASSERT_EQ(cuda.cuMemcpyDtoH(&value, memory, 4), CUDA_SUCCESS);
    EXPECT_EQ(value, expected);
    ASSERT_EQ(cuda.cuGraphLaunch(exec, stream), CUDA_SUCCESS);
  }
  EXPECT_EQ(recording.count("cuLaunchKernel twice 1x32 on stream 1 (captured)"), 1u);
  EXPECT_EQ(recording.count("cuGraphLaunch 1 nodes on stream 1"), 3u);
  recording.loseAtCall = int(recording.calls.size());
  EXPECT_EQ(cuda.cuGraphLaunch(exec, stream), CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_EQ(cuda.cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
}

} // namespace
