// The CPU device as a GPU is to its callers: a stream does nothing before somebody waits, and
// kernels read no picture in memory of the host. What is read too early, or written too early, is
// seen.
#pragma once

#include "runtime/device/cpu/CpuDevice.h"

#include <deque>

namespace doppel::runtime::test {

class LateDevice : public Device {
public:
  explicit LateDevice(int threads = 1, size_t slabBytes = SIZE_MAX,
                      std::optional<DeviceMemory> own = std::nullopt)
      : inner(cpu::makeCpuDevice(threads)), slabBytes(slabBytes), own(own) {}

  std::string description() const override { return "late " + inner->description(); }
  Result<void> checkTarget(const schema::Program &program) const override {
    return inner->checkTarget(program);
  }
  const schema::CodeSet *chooseCode(const Artifact &artifact) const override {
    return inner->chooseCode(artifact);
  }
  Result<std::optional<DeviceMemory>> memory() const override { return own; }
  /// Nothing larger than `slabBytes` is to be had, so that a data set is not resident.
  Result<std::unique_ptr<Allocation>> allocate(size_t bytes) override {
    if (bytes > slabBytes)
      return fail("not enough memory: {} bytes wanted", bytes);
    return inner->allocate(bytes);
  }
  Result<std::unique_ptr<Allocation>> allocateHost(size_t bytes) override {
    ++hostAllocations;
    return inner->allocateHost(bytes);
  }
  bool readsHostMemory() const override { return false; }
  Result<void> upload(const TensorRef &target, const void *source) override {
    uploadedBytes += target.bytes();
    return inner->upload(target, source);
  }
  Result<void> download(void *target, const TensorRef &source) override {
    return inner->download(target, source);
  }
  Result<std::unique_ptr<KernelModule>> loadModule(std::span<const std::byte> code) override {
    return inner->loadModule(code);
  }
  Result<std::unique_ptr<CommandList>> makeCommandList() override {
    return inner->makeCommandList();
  }
  Result<std::unique_ptr<Stream>> makeStream() override {
    DOPPEL_TRY(std::unique_ptr<Stream> stream, inner->makeStream());
    return std::make_unique<LateStream>(*inner, std::move(stream));
  }
  size_t workspaceBytes() const override { return inner->workspaceBytes(); }
  int threads() const override { return inner->threads(); }

  size_t hostAllocations = 0, uploadedBytes = 0;

private:
  class LateStream : public Stream {
  public:
    LateStream(const Device &device, std::unique_ptr<Stream> inner)
        : device(device), inner(std::move(inner)) {}

    Result<void> copy(const TensorRef &source, const TensorRef &target) override {
      DOPPEL_CHECK(expectCopy(device, source, target));
      return later([this, source, target] { return inner->copy(source, target); });
    }
    Result<void> run(CommandList &list, std::span<const TensorRef> slabs) override {
      for (const TensorRef &slab : slabs)
        DOPPEL_CHECK(expectDeviceMemory(device, slab, "a slab"));
      return later([this, &list, kept = std::vector(slabs.begin(), slabs.end())] {
        return inner->run(list, kept);
      });
    }
    Result<void> readFlag(std::optional<NonFinite> &target) override {
      return later([this, &target] { return inner->readFlag(target); });
    }
    Result<void> clearFlag() override {
      return later([this] { return inner->clearFlag(); });
    }
    Result<Mark> mark() override { return done + queue.size(); }
    Result<void> waitFor(Stream &other, Mark mark) override {
      return later([&other, mark] { return other.wait(mark); });
    }
    bool reached(Mark mark) override { return done >= mark; }
    Result<void> wait(Mark mark) override {
      while (done < mark) {
        auto next = std::move(queue.front());
        queue.pop_front();
        ++done;
        DOPPEL_CHECK(next());
      }
      return {};
    }
    Result<std::optional<NonFinite>> trace(CommandList &list,
                                           std::span<const TensorRef> slabs) override {
      DOPPEL_CHECK(wait(done + queue.size()));
      return inner->trace(list, slabs);
    }
    Result<void> time(CommandList &list, std::span<const TensorRef> slabs,
                      std::span<double> seconds) override {
      DOPPEL_CHECK(wait(done + queue.size()));
      return inner->time(list, slabs, seconds);
    }

  private:
    Result<void> later(std::function<Result<void>()> work) {
      queue.push_back(std::move(work));
      return {};
    }

    const Device &device;
    std::unique_ptr<Stream> inner;
    std::deque<std::function<Result<void>()>> queue;
    Mark done = 0;
  };

  std::unique_ptr<Device> inner;
  size_t slabBytes;
  std::optional<DeviceMemory> own;
};

} // namespace doppel::runtime::test
