// A device without a processor: memory is the host's, every kernel is there, and a run does
// nothing.
#pragma once

#include "runtime/device/Device.h"

#include <cstring>
#include <set>

namespace doppel::runtime::test {

class FakeDevice : public Device {
public:
  std::set<std::string> missing; ///< symbols that no module has

  Result<void> checkTarget(const schema::Program &) const override { return {}; }
  std::string description() const override { return "fake"; }
  Result<std::unique_ptr<Allocation>> allocate(size_t bytes) override {
    return std::make_unique<Block>(bytes, Memory{Memory::Place::Device, this});
  }
  Result<std::unique_ptr<Allocation>> allocateHost(size_t bytes) override {
    return std::make_unique<Block>(bytes, Memory{Memory::Place::Host, this});
  }
  const schema::CodeSet *chooseCode(const Artifact &artifact) const override {
    return artifact.code(schema::CodeKind::Elf);
  }
  bool readsHostMemory() const override { return true; }
  Result<void> upload(const TensorRef &target, const void *source) override {
    std::memcpy(target.data, source, target.bytes());
    return {};
  }
  Result<void> download(void *target, const TensorRef &source) override {
    std::memcpy(target, source.data, source.bytes());
    return {};
  }
  Result<std::unique_ptr<KernelModule>> loadModule(std::span<const std::byte>) override {
    return std::make_unique<Module>(*this);
  }
  Result<std::unique_ptr<CommandList>> makeCommandList() override {
    return std::make_unique<Commands>();
  }
  Result<std::unique_ptr<Stream>> makeStream() override { return std::make_unique<NoStream>(); }
  size_t workspaceBytes() const override { return 0; }
  int threads() const override { return 1; }

private:
  struct Block : Allocation {
    Block(size_t bytes, Memory memory) : storage(bytes + 64), place(memory) {}
    void *data() override {
      auto address = reinterpret_cast<uintptr_t>(storage.data());
      return reinterpret_cast<void *>((address + 63) / 64 * 64);
    }
    size_t bytes() const override { return storage.size() - 64; }
    Memory memory() const override { return place; }
    std::vector<std::byte> storage;
    Memory place;
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
    Result<void> launch(KernelModule &, const KernelLaunch &) override { return {}; }
    Result<void> call(const LibraryCall &) override { return {}; }
    Result<void> copy(const TensorRef &, const TensorRef &, bool) override { return {}; }
    Result<void> check(const TensorRef &) override { return {}; }
  };

public:
  /// For devices of tests whose runs do nothing.
  struct NoStream : Stream {
    Result<void> copy(const TensorRef &, const TensorRef &) override { return {}; }
    Result<void> run(CommandList &, std::span<const TensorRef>) override { return {}; }
    Result<void> readFlag(std::optional<NonFinite> &) override { return {}; }
    Result<void> clearFlag() override { return {}; }
    Result<Mark> mark() override { return Mark{1}; }
    Result<void> waitFor(Stream &, Mark) override { return {}; }
    bool reached(Mark) override { return true; }
    Result<void> wait(Mark) override { return {}; }
    Result<std::optional<NonFinite>> trace(CommandList &, std::span<const TensorRef>) override {
      return std::nullopt;
    }
    Result<void> time(CommandList &, std::span<const TensorRef>, std::span<double>) override {
      return {};
    }
  };
};

} // namespace doppel::runtime::test
