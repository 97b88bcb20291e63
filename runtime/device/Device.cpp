// What all devices share: sizes of tensors, where memory lies, and the registry.
#include "runtime/device/Device.h"

#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/cpu/Processor.h"
#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/device/sim/SimDevice.h"

#include <map>

namespace doppel::runtime {

int64_t TensorRef::elements() const {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

size_t TensorRef::bytes() const { return size_t(elements()) * elementBytes(dtype); }

TensorRef TensorRef::reshaped(std::vector<int64_t> other) const {
  return {data, dtype, std::move(other), memory};
}

TensorRef hostBytes(const void *data, size_t bytes) {
  return {const_cast<void *>(data), schema::DType::U8, {int64_t(bytes)}, {}};
}

static const char *nameOf(const Memory &memory, const Device &device) {
  if (memory.place == Memory::Place::Host)
    return "memory of the host";
  return memory.device == &device ? "memory of this device" : "memory of another device";
}

Result<void> expectDeviceMemory(const Device &device, const TensorRef &tensor,
                                std::string_view what) {
  if (tensor.memory == Memory{Memory::Place::Device, &device})
    return {};
  return failInternal("{} lies in {}, not of this device", what, nameOf(tensor.memory, device));
}

Result<void> expectCopy(const Device &device, const TensorRef &source, const TensorRef &target) {
  if (source.bytes() != target.bytes())
    return failInternal("a copy of {} bytes to {} bytes", source.bytes(), target.bytes());
  for (const TensorRef *tensor : {&source, &target})
    if (tensor->memory.place == Memory::Place::Device && tensor->memory.device != &device)
      return failInternal("a copy from {} to {}", nameOf(source.memory, device),
                          nameOf(target.memory, device));
  return {};
}

Result<void> expectSlabs(const Device &device, std::span<const TensorRef> slabs, size_t needed) {
  if (slabs.size() < needed)
    return failInternal("a run with {} slabs, its kernels read {}", slabs.size(), needed);
  for (size_t i = 0; i < slabs.size(); ++i)
    if (slabs[i].memory.place != Memory::Place::Host || !device.readsHostMemory())
      DOPPEL_CHECK(expectDeviceMemory(device, slabs[i], fmt::format("slab {}", i)));
  return {};
}

/// By kind of target.
static std::map<std::string, DeviceFactory, std::less<>> &registry() {
  static std::map<std::string, DeviceFactory, std::less<>> devices = {
      {"cpu", cpu::openCpuDevice},
      {"cuda", cuda::openCudaDevice},
      {"cuda-sim", sim::openSimDevice}};
  return devices;
}

void registerDevice(std::string kind, DeviceFactory make) {
  if (!make)
    registry().erase(kind);
  else
    registry().insert_or_assign(std::move(kind), std::move(make));
}

Result<std::unique_ptr<Device>> openDevice(const schema::Program &program,
                                           const DeviceOptions &options) {
  std::string_view kind = program.target()->kind()->string_view();
  if (auto found = registry().find(kind); found != registry().end())
    return found->second(program, options);
  std::string known;
  for (const auto &[name, make] : registry())
    known += (known.empty() ? "" : ", ") + name;
  return fail("was compiled for {}, and this program runs {}; rebuild it here: {}", kind, known,
              compileCommand(program));
}

} // namespace doppel::runtime
