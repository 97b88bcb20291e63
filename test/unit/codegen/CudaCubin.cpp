// Machine code by NVIDIA's assemblers, where this machine has them.
#include "codegen/cuda/Cubin.h"

#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>

#if __has_include(<nvJitLink.h>)
#define NVJITLINK_NO_INLINE
#include <nvJitLink.h>
static_assert(NVJITLINK_INPUT_PTX == 2 && NVJITLINK_SUCCESS == 0);
static_assert(sizeof(nvJitLinkHandle) == sizeof(void *));
#endif

using namespace doppel::cuda;

namespace {

const char *const ptx = R"(.version 8.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 p) .reqntid 128 {
  .reg .b64 %rd<3>;
  .shared .align 16 .b8 s[64];
  ld.param.u64 %rd1,[p];
  cvta.to.global.u64 %rd2,%rd1;
  st.shared.b32 [s], 5;
  st.global.b32 [%rd2], 5;
  ret;
}
)";

std::string toolkit() {
  const char *home = std::getenv("CUDA_HOME");
  return home ? home : "/usr/local/cuda";
}

void assembles(const Assembler &assembler) {
  for (const char *architecture : {"sm_80", "sm_90"}) {
    llvm::Expected<Cubin> cubin = assembler.assemble(ptx, architecture);
    ASSERT_TRUE(bool(cubin)) << llvm::toString(cubin.takeError());
    EXPECT_EQ(cubin->bytes.substr(0, 4), "\x7f"
                                         "ELF");
    ASSERT_EQ(cubin->usage.size(), 1u) << assembler.description();
    EXPECT_EQ(cubin->usage[0].kernel, "k");
    EXPECT_GE(cubin->usage[0].sharedBytes, 64u);
    EXPECT_GT(cubin->usage[0].registers, 0u);
    EXPECT_EQ(cubin->usage[0].spillStores, 0u);
  }
  llvm::Expected<Cubin> wrong = assembler.assemble("no ptx", "sm_90");
  ASSERT_FALSE(bool(wrong));
  EXPECT_NE(llvm::toString(wrong.takeError()).find("makes no code for 'sm_90'"), std::string::npos);
  llvm::Expected<Cubin> old = assembler.assemble(ptx, "sm_12");
  ASSERT_FALSE(bool(old));
  llvm::consumeError(old.takeError());
}

TEST(CudaCubin, NvJitLinkAssembles) {
  for (const char *name : {"libnvJitLink.so.13", "libnvJitLink.so.12"}) {
    std::string path = toolkit() + "/lib64/" + name;
    if (!std::filesystem::exists(path))
      continue;
    auto opened = openNvJitLink(path);
    ASSERT_TRUE(bool(opened)) << llvm::toString(opened.takeError());
    EXPECT_EQ((*opened)->description().substr(0, 10), "nvJitLink ");
    assembles(**opened);
    return;
  }
  GTEST_SKIP() << "no nvJitLink here";
}

TEST(CudaCubin, PtxasAssembles) {
  std::string path = toolkit() + "/bin/ptxas";
  if (!std::filesystem::exists(path))
    GTEST_SKIP() << "no ptxas here";
  auto opened = openPtxas(path);
  ASSERT_TRUE(bool(opened)) << llvm::toString(opened.takeError());
  EXPECT_EQ((*opened)->description().substr(0, 6), "ptxas ");
  assembles(**opened);
}

TEST(CudaCubin, WhatIsNoAssemblerIsSaidSo) {
  auto library = openNvJitLink("/nowhere/libnvJitLink.so.13");
  ASSERT_FALSE(bool(library));
  EXPECT_NE(llvm::toString(library.takeError()).find("cannot open '/nowhere/libnvJitLink.so.13'"),
            std::string::npos);
  auto other = openNvJitLink("libm.so.6");
  ASSERT_FALSE(bool(other));
  EXPECT_EQ(llvm::toString(other.takeError()), "'libm.so.6' has no function 'nvJitLinkCreate'");
  auto program = openPtxas("/bin/true");
  ASSERT_FALSE(bool(program));
  EXPECT_NE(llvm::toString(program.takeError()).find("'/bin/true' is no ptxas"), std::string::npos);
}

TEST(CudaCubin, UsageIsReadFromTheLog) {
  // As ptxas 13.0 prints it; the second function is one that kernels call.
  std::vector<KernelUsage> usage = parseUsage(R"(ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'k2' for 'sm_90'
ptxas info    : Function properties for k2
    16 bytes stack frame, 4 bytes spill stores, 8 bytes spill loads
ptxas info    : Function properties for draw
    32 bytes stack frame, 12 bytes spill stores, 16 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 64 bytes smem, 400 bytes cmem[0]
ptxas info    : Compile time = 2.157 ms
ptxas info    : Compiling entry function 'k' for 'sm_90'
ptxas info    : Function properties for k
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, used 0 barriers
)");
  ASSERT_EQ(usage.size(), 2u);
  EXPECT_EQ(usage[0].kernel, "k2");
  EXPECT_EQ(usage[0].registers, 40u);
  EXPECT_EQ(usage[0].sharedBytes, 64u);
  EXPECT_EQ(usage[0].stackBytes, 16u);
  EXPECT_EQ(usage[0].spillStores, 4u);
  EXPECT_EQ(usage[0].spillLoads, 8u);
  EXPECT_EQ(usage[1].kernel, "k");
  EXPECT_EQ(usage[1].registers, 8u);
  EXPECT_EQ(usage[1].sharedBytes, 0u);
}

} // namespace
