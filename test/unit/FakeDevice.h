// A device without a processor: memory is the host's, every kernel is there, and a run does what a
// test says.
#pragma once

#include "runtime/device/Device.h"

#include <cstring>
#include <functional>
#include <set>

namespace doppel::runtime::test {

class FakeDevice : public Device {
public:
  /// Called by each run of a command list, with its commands' kinds in order: "launch", "check",
  /// ...
  std::function<void(const std::vector<std::string> &)> onRun;
  std::set<std::string> missing; ///< symbols that no module has

  Result<void> checkTarget(const schema::Program &) const override { return {}; }
  std::string description() const override { return "fake"; }
  Result<std::unique_ptr<Allocation>> allocate(size_t bytes) override {
    return std::make_unique<Memory>(bytes);
  }
  Result<void> upload(void *target, const void *source, size_t bytes) override {
    std::memcpy(target, source, bytes);
    return {};
  }
  Result<void> download(void *target, const void *source, size_t bytes) override {
    std::memcpy(target, source, bytes);
    return {};
  }
  Result<std::unique_ptr<KernelModule>> loadModule(std::span<const std::byte>) override {
    return std::make_unique<Module>(*this);
  }
  Result<std::unique_ptr<CommandList>> makeCommandList() override {
    return std::make_unique<Commands>(*this);
  }
  size_t workspaceBytes() const override { return 0; }
  int threads() const override { return 1; }

private:
  struct Memory : Allocation {
    explicit Memory(size_t bytes) : storage(bytes + 64) {}
    void *data() override {
      auto address = reinterpret_cast<uintptr_t>(storage.data());
      return reinterpret_cast<void *>((address + 63) / 64 * 64);
    }
    size_t bytes() const override { return storage.size() - 64; }
    std::vector<std::byte> storage;
  };
  struct Module : KernelModule {
    explicit Module(const FakeDevice &device) : device(device) {}
    Result<void> check(const KernelLaunch &launch) const override {
      if (device.missing.contains(launch.symbol))
        return fail("the code segment has no kernel '{}'", launch.symbol);
      return {};
    }
    const FakeDevice &device;
  };
  struct Commands : CommandList {
    explicit Commands(const FakeDevice &device) : device(device) {}
    Result<void> add(const char *kind) {
      kinds.push_back(kind);
      return {};
    }
    Result<void> launch(KernelModule &, const KernelLaunch &) override { return add("launch"); }
    Result<void> call(const LibraryCall &) override { return add("call"); }
    Result<void> copy(const TensorRef &, const TensorRef &) override { return add("copy"); }
    Result<void> check(const TensorRef &, std::string) override { return add("check"); }
    Result<std::optional<NonFinite>> run() override {
      if (device.onRun)
        device.onRun(kinds);
      return std::nullopt;
    }
    Result<std::optional<NonFinite>> runTraced() override { return run(); }
    Result<void> runTimed(std::span<double>) override { return {}; }
    const FakeDevice &device;
    std::vector<std::string> kinds;
  };
};

} // namespace doppel::runtime::test
