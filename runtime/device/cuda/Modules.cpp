#include "runtime/device/cuda/Modules.h"

#include "runtime/schema/GpuAbi.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstring>

namespace doppel::runtime::cuda {

namespace {

/// 90 of "sm_90"; 0 of what is for one GPU alone ("sm_90a") or no name.
int numberOf(std::string_view architecture) {
  constexpr std::string_view prefix = "sm_";
  if (!architecture.starts_with(prefix))
    return 0;
  const char *end = architecture.data() + architecture.size();
  int number = 0;
  auto [rest, error] = std::from_chars(architecture.data() + prefix.size(), end, number);
  return error == std::errc() && rest == end ? number : 0;
}

/// What to compile for, so that a GPU has code: the latest architecture that it runs. 0: none.
int advisedArchitecture(int architecture) {
  int best = 0;
  for (int each : abi::gpuArchitectures)
    if (each <= architecture)
      best = each;
  return best;
}

} // namespace

Result<CodeChoice> chooseCode(std::span<const CodeOffer> offers, const GpuInfo &gpu) {
  auto suits = [&](const CodeOffer &offer) {
    int number = numberOf(offer.architecture);
    bool sameGeneration = number / 10 == gpu.architecture / 10;
    return number > 0 && number <= gpu.architecture && (offer.ptx || sameGeneration);
  };
  const CodeOffer *best = nullptr;
  std::string listed;
  for (const CodeOffer &offer : offers) {
    listed += fmt::format("{}{} for {}", listed.empty() ? "" : ", ", offer.ptx ? "PTX" : "code",
                          offer.architecture);
    auto rank = [](const CodeOffer &each) {
      return std::pair(!each.ptx, numberOf(each.architecture));
    };
    if (suits(offer) && (!best || rank(offer) > rank(*best)))
      best = &offer;
  }
  int advised = advisedArchitecture(gpu.architecture);
  if (!best && advised == 0)
    return fail("{} is an sm_{}, and programs need an sm_{} at least: another GPU, or compile the "
                "spec with --target cpu",
                gpu.name, gpu.architecture, abi::gpuArchitectures[0]);
  if (!best)
    return fail("{} is an sm_{}, and the artifact has {}: compile the spec with --target "
                "cuda:sm_{}",
                gpu.name, gpu.architecture, listed.empty() ? "no code for GPUs" : listed, advised);
  CodeChoice choice = {size_t(best - offers.data()), ""};
  if (best->ptx) {
    choice.remark =
        fmt::format("{} is an sm_{}, and the artifact has {}: the driver compiles the PTX now",
                    gpu.name, gpu.architecture, listed);
    if (advised / 10 == gpu.architecture / 10)
      choice.remark += fmt::format("; --target cuda:sm_{} spares that", advised);
  }
  return choice;
}

Result<std::unique_ptr<Module>> Module::load(const Driver &driver,
                                             std::span<const std::byte> code) {
  constexpr std::string_view elf = "\x7f"
                                   "ELF";
  bool isCubin = code.size() >= elf.size() && std::memcmp(code.data(), elf.data(), elf.size()) == 0;
  // PTX is text that ends with a zero, which the artifact's need not have.
  std::string text(reinterpret_cast<const char *>(code.data()), isCubin ? 0 : code.size());
  std::array<char, 4096> log = {};
  std::array options = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  std::array<void *, 2> values = {log.data(), reinterpret_cast<void *>(log.size())};
  CUmodule handle = nullptr;
  CUresult status = driver.cuModuleLoadDataEx(
      &handle, isCubin ? static_cast<const void *>(code.data()) : text.data(), options.size(),
      options.data(), values.data());
  std::string_view words(log.data(), strnlen(log.data(), log.size()));
  while (!words.empty() && std::isspace(static_cast<unsigned char>(words.back())))
    words.remove_suffix(1);
  std::string said = words.empty() ? "" : fmt::format(" ({})", words);
  std::ranges::replace(said, '\n', ' ');
  switch (status) {
  case CUDA_SUCCESS:
    return std::make_unique<Module>(driver, handle);
  case CUDA_ERROR_UNSUPPORTED_PTX_VERSION:
  case CUDA_ERROR_JIT_COMPILER_NOT_FOUND:
    return fail("NVIDIA's driver of CUDA {} cannot compile the artifact's PTX{}: update it, or "
                "compile the spec with --target cuda:sm_NN for this GPU on a machine with ptxas or "
                "libnvJitLink",
                cudaVersion(driver.version()), said);
  case CUDA_ERROR_NO_BINARY_FOR_GPU:
    return fail("NVIDIA's driver of CUDA {} does not load the artifact's {}: it is for another "
                "architecture, or made by a later CUDA{}; update the driver, or compile the spec "
                "where its CUDA is",
                cudaVersion(driver.version()), isCubin ? "code" : "PTX", said);
  default:
    return std::unexpected(driver
                               .check(status, fmt::format("cannot load the artifact's {}{}",
                                                          isCubin ? "code" : "PTX", said))
                               .error());
  }
}

Module::~Module() { driver.cuModuleUnload(handle); }

Result<CUfunction> Module::function(const std::string &kernel) const {
  CUfunction function = nullptr;
  CUresult status = driver.cuModuleGetFunction(&function, handle, kernel.c_str());
  if (status == CUDA_ERROR_NOT_FOUND)
    return fail("the artifact's code has no kernel '{}'", kernel);
  DOPPEL_CHECK(driver.check(status, fmt::format("cannot find the kernel '{}'", kernel)));
  return function;
}

} // namespace doppel::runtime::cuda
