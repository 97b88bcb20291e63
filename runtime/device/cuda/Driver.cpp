#include "runtime/device/cuda/Driver.h"

namespace doppel::runtime::cuda {
namespace {

constexpr int leastVersion = 12000;
constexpr const char *leastDriver = "525.60";
constexpr const char *wayOut =
    "to run on this machine's processor, compile the spec with --target cpu";

} // namespace

std::string cudaVersion(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

std::string Driver::words(CUresult status) const {
  const char *name = nullptr, *text = nullptr;
  cuGetErrorName(status, &name);
  cuGetErrorString(status, &text);
  if (!name)
    return fmt::format("CUDA error {}", int(status));
  return text ? fmt::format("{} ({})", name, text) : name;
}

Result<void> Driver::check(CUresult status, std::string_view what) const {
  if (status == CUDA_SUCCESS)
    return {};
  switch (status) {
  // After these every later call of the process fails as well.
  case CUDA_ERROR_ILLEGAL_ADDRESS:
  case CUDA_ERROR_LAUNCH_FAILED:
  case CUDA_ERROR_LAUNCH_TIMEOUT:
  case CUDA_ERROR_ECC_UNCORRECTABLE:
  case CUDA_ERROR_NVLINK_UNCORRECTABLE:
  case CUDA_ERROR_HARDWARE_STACK_ERROR:
  case CUDA_ERROR_ILLEGAL_INSTRUCTION:
  case CUDA_ERROR_MISALIGNED_ADDRESS:
  case CUDA_ERROR_INVALID_ADDRESS_SPACE:
  case CUDA_ERROR_INVALID_PC:
  case CUDA_ERROR_ASSERT:
  case CUDA_ERROR_CONTEXT_IS_DESTROYED:
  case CUDA_ERROR_UNKNOWN: // of a GPU that fell off the bus
    return fail("the GPU is lost to this process, {}: {}", what, words(status));
  case CUDA_ERROR_DEVICE_UNAVAILABLE:
    return fail("{}: {}; another process may have the GPU for itself alone (`nvidia-smi` lists "
                "processes and the compute mode)",
                what, words(status));
  default:
    return fail("{}: {}", what, words(status));
  }
}

Result<std::unique_ptr<Driver>> Driver::open(const LibrarySearch &search) {
  constexpr const char *names[] = {"libcuda.so.1"};
  auto library = openLibrary("NVIDIA's driver", names, search);
  if (!library)
    return fail("{}; {}", library.error().message, wayOut);
  std::unique_ptr<Driver> driver(new Driver);
  std::string missing;
  auto find = [&](auto &function, const char *symbol) {
    function =
        reinterpret_cast<std::remove_reference_t<decltype(function)>>(library->symbol(symbol));
    if (!function && missing.empty())
      missing = symbol;
  };
#define DOPPEL_FIND(function, symbol) find(driver->function, symbol);
  DOPPEL_DRIVER_FUNCTIONS(DOPPEL_FIND)
#undef DOPPEL_FIND
  if (driver->cuDriverGetVersion && driver->cuDriverGetVersion(&driver->version_) == CUDA_SUCCESS &&
      driver->version_ < leastVersion)
    return fail("NVIDIA's driver ({}) is of CUDA {}, {} is needed: update it to {} or later; {}",
                library->name(), cudaVersion(driver->version_), cudaVersion(leastVersion),
                leastDriver, wayOut);
  if (!missing.empty())
    return fail("NVIDIA's driver ({}) has no function {}: it is of CUDA {}, or not NVIDIA's; {}",
                library->name(), missing, cudaVersion(driver->version_), wayOut);
  // No check(): what means a lost GPU later is here one that was never there.
  if (CUresult status = driver->cuInit(0))
    return fail("NVIDIA's driver does not start: {}; {}", driver->words(status), wayOut);
  return driver;
}

Result<std::vector<GpuInfo>> Driver::gpus() const {
  int count = 0;
  DOPPEL_CHECK(check(cuDeviceGetCount(&count), "cannot count the GPUs"));
  std::vector<GpuInfo> found;
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    GpuInfo gpu;
    gpu.ordinal = ordinal;
    CUdevice device = 0;
    DOPPEL_CHECK(check(cuDeviceGet(&device, ordinal), "cannot look at a GPU"));
    char name[256] = "";
    cuDeviceGetName(name, sizeof name, device);
    gpu.name = name;
    auto attribute = [&](CUdevice_attribute which) {
      int value = 0;
      cuDeviceGetAttribute(&value, which, device);
      return value;
    };
    gpu.architecture = 10 * attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) +
                       attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    gpu.multiprocessors = attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
    size_t bytes = 0;
    cuDeviceTotalMem(&bytes, device);
    gpu.totalBytes = bytes;
    found.push_back(std::move(gpu));
  }
  if (found.empty())
    return fail("NVIDIA's driver finds no GPU; {}", wayOut);
  return found;
}

} // namespace doppel::runtime::cuda
