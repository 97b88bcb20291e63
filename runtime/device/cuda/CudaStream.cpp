#include "runtime/device/cuda/CudaParts.h"
#include "runtime/schema/GpuAbi.h"

#include <cstring>

namespace doppel::runtime::cuda {

std::optional<NonFinite> decodeFlag(uint64_t flag) {
  if (flag == abi::gpuFlagClear)
    return std::nullopt;
  constexpr uint64_t elements = (uint64_t(1) << abi::gpuFlagCommandShift) - 1;
  return NonFinite{size_t(flag >> abi::gpuFlagCommandShift), int64_t(flag & elements)};
}

static CUdeviceptr at(const void *pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

Result<std::unique_ptr<CudaStream>> CudaStream::make(const Device &device, Context &context) {
  DOPPEL_CHECK(context.use());
  std::unique_ptr<CudaStream> stream(new CudaStream(device, context));
  DOPPEL_CHECK(
      stream->check(context.driver().cuStreamCreate(&stream->handle, CU_STREAM_NON_BLOCKING),
                    "cannot make a stream"));
  DOPPEL_TRY(stream->flag, context.allocate(sizeof(uint64_t)));
  DOPPEL_TRY(stream->traceFlag, context.allocate(sizeof(uint64_t)));
  DOPPEL_CHECK(stream->clearFlag());
  return stream;
}

CudaStream::~CudaStream() {
  if (!context.use())
    return;
  const Driver &driver = context.driver();
  if (handle)
    driver.cuStreamSynchronize(handle);
  for (auto &[mark, event] : events)
    driver.cuEventDestroy(event);
  for (const Reading &reading : readings)
    freeSlots.push_back(reading.slot);
  for (uint64_t *slot : freeSlots)
    driver.cuMemFreeHost(slot);
  if (handle)
    driver.cuStreamDestroy(handle);
}

Result<void> CudaStream::synchronize() {
  return check(context.driver().cuStreamSynchronize(handle), "a stream did not end");
}

Result<void> CudaStream::copy(const TensorRef &source, const TensorRef &target) {
  DOPPEL_CHECK(context.use());
  DOPPEL_CHECK(expectCopy(device, source, target));
  const Driver &driver = context.driver();
  bool fromGpu = source.memory.place == Memory::Place::Device;
  bool toGpu = target.memory.place == Memory::Place::Device;
  size_t bytes = source.bytes();
  if (bytes == 0)
    return {};
  if (!fromGpu && !toGpu) {
    DOPPEL_CHECK(synchronize());
    std::memmove(target.data, source.data, bytes);
    return {};
  }
  CUresult status = fromGpu && toGpu
                        ? driver.cuMemcpyDtoDAsync(at(target.data), at(source.data), bytes, handle)
                    : toGpu ? driver.cuMemcpyHtoDAsync(at(target.data), source.data, bytes, handle)
                            : driver.cuMemcpyDtoHAsync(target.data, at(source.data), bytes, handle);
  return check(status, fmt::format("cannot copy {} bytes", bytes));
}

Result<void> CudaStream::run(CommandList &list, std::span<const TensorRef> slabs) {
  DOPPEL_CHECK(context.use());
  auto &commands = static_cast<CudaCommandList &>(list);
  DOPPEL_CHECK(commands.expect(slabs));
  DOPPEL_TRY(CUgraphExec graph, commands.graph({slabs, flag->data(), flag->data()}));
  DOPPEL_CHECK(context.acquire(handle));
  DOPPEL_CHECK(check(context.driver().cuGraphLaunch(graph, handle), "cannot run a graph"));
  return context.release(handle);
}

Result<void> CudaStream::readFlag(std::optional<NonFinite> &target) {
  DOPPEL_CHECK(context.use());
  const Driver &driver = context.driver();
  if (freeSlots.empty()) {
    void *slot = nullptr;
    DOPPEL_CHECK(
        check(driver.cuMemHostAlloc(&slot, sizeof(uint64_t), 0), "cannot take memory of the host"));
    freeSlots.push_back(static_cast<uint64_t *>(slot));
  }
  uint64_t *slot = freeSlots.back();
  DOPPEL_CHECK(check(driver.cuMemcpyDtoHAsync(slot, at(flag->data()), sizeof *slot, handle),
                     "cannot read the flag"));
  freeSlots.pop_back();
  readings.push_back({&target, slot, last + 1});
  return {};
}

Result<void> CudaStream::clearFlag() {
  DOPPEL_CHECK(context.use());
  static_assert(abi::gpuFlagClear == ~uint64_t(0)); // each byte of it
  return check(context.driver().cuMemsetD8Async(at(flag->data()), 0xff, sizeof(uint64_t), handle),
               "cannot clear the flag");
}

Result<Mark> CudaStream::mark() {
  DOPPEL_CHECK(context.use());
  const Driver &driver = context.driver();
  CUevent event = nullptr;
  DOPPEL_CHECK(
      check(driver.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING), "cannot make an event"));
  if (auto recorded = check(driver.cuEventRecord(event, handle), "cannot mark a stream");
      !recorded) {
    driver.cuEventDestroy(event);
    return std::unexpected(std::move(recorded.error()));
  }
  events.push_back({++last, event});
  return last;
}

/// Of the first mark from `mark` on that nobody waited for: that is behind it, or itself.
CUevent CudaStream::eventOf(Mark mark) const {
  for (const auto &[number, event] : events)
    if (number >= mark)
      return event;
  return nullptr;
}

Result<void> CudaStream::waitFor(Stream &other, Mark mark) {
  DOPPEL_CHECK(context.use());
  CUevent event = static_cast<CudaStream &>(other).eventOf(mark);
  return event ? check(context.driver().cuStreamWaitEvent(handle, event, 0),
                       "cannot wait for a stream")
               : Result<void>();
}

bool CudaStream::reached(Mark mark) {
  CUevent event = eventOf(mark);
  return mark <= done || !event ||
         (context.use() && context.driver().cuEventQuery(event) == CUDA_SUCCESS);
}

/// All up to `mark` is done: flags that were read are told.
void CudaStream::settle(Mark mark) {
  done = std::max(done, mark);
  for (; !readings.empty() && readings.front().end <= done; readings.pop_front()) {
    *readings.front().target = decodeFlag(*readings.front().slot);
    freeSlots.push_back(readings.front().slot);
  }
  for (; !events.empty() && events.front().first <= done; events.pop_front())
    context.driver().cuEventDestroy(events.front().second);
}

Result<void> CudaStream::wait(Mark mark) {
  DOPPEL_CHECK(context.use());
  if (mark > last)
    return failInternal("a mark that was not made is waited for");
  if (mark <= done)
    return {};
  DOPPEL_CHECK(check(context.driver().cuEventSynchronize(eventOf(mark)), "while it computed"));
  settle(mark);
  return {};
}

Result<std::optional<NonFinite>> CudaStream::trace(CommandList &list,
                                                   std::span<const TensorRef> slabs) {
  DOPPEL_CHECK(context.use());
  auto &commands = static_cast<CudaCommandList &>(list);
  DOPPEL_CHECK(commands.expect(slabs));
  DOPPEL_CHECK(synchronize());
  const Driver &driver = context.driver();
  Placement placement{slabs, nullptr, traceFlag->data()};
  DOPPEL_CHECK(check(
      driver.cuMemsetD8Async(at(traceFlag->data()), 0xff, sizeof(uint64_t), context.recording()),
      "cannot clear the flag"));
  for (size_t i = 0; i < commands.size(); ++i) {
    DOPPEL_CHECK(commands.enqueue(i, placement));
    DOPPEL_CHECK(commands.checkOutputs(i, placement));
    DOPPEL_CHECK(check(driver.cuStreamSynchronize(context.recording()), "while it was traced"));
    uint64_t found = 0;
    DOPPEL_CHECK(check(driver.cuMemcpyDtoH(&found, at(traceFlag->data()), sizeof found),
                       "cannot read the flag"));
    if (auto failure = decodeFlag(found))
      return failure;
  }
  return std::nullopt;
}

Result<void> CudaStream::time(CommandList &list, std::span<const TensorRef> slabs,
                              std::span<double> seconds) {
  DOPPEL_CHECK(context.use());
  auto &commands = static_cast<CudaCommandList &>(list);
  if (seconds.size() != commands.size())
    return failInternal("{} timers for {} commands", seconds.size(), commands.size());
  DOPPEL_CHECK(commands.expect(slabs));
  DOPPEL_CHECK(synchronize());
  const Driver &driver = context.driver();
  std::vector<CUevent> ticks(commands.size() + 1);
  Result<void> result;
  for (CUevent &tick : ticks)
    if (result)
      result = check(driver.cuEventCreate(&tick, CU_EVENT_DEFAULT), "cannot make an event");
  Placement placement{slabs, flag->data(), flag->data()};
  for (size_t i = 0; i < ticks.size() && result; ++i) {
    result = check(driver.cuEventRecord(ticks[i], context.recording()), "cannot time a command");
    if (result && i < commands.size())
      result = commands.enqueue(i, placement);
  }
  if (result)
    result = check(driver.cuStreamSynchronize(context.recording()), "while it was timed");
  for (size_t i = 0; i < commands.size() && result; ++i) {
    float milliseconds = 0;
    result = check(driver.cuEventElapsedTime(&milliseconds, ticks[i], ticks[i + 1]),
                   "cannot time a command");
    seconds[i] += milliseconds / 1000;
  }
  for (CUevent tick : ticks)
    if (tick)
      driver.cuEventDestroy(tick);
  return result;
}

} // namespace doppel::runtime::cuda
