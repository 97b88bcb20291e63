// DOPPEL_STAND_IN holds settings, NAME=VALUE with blanks between:
//
//   simulate=PATH     kernels are those of this artifact for cuda-sim, and are run
//   log=PATH          gets the calls, a line each, when the process ends
//   fault=CALL:N:S    the Nth call of that name, from 0, fails with the status S; later ones too,
//                     unless S is 2 (out of memory)
//   memory=, held=    MiB of the GPU, and of these what others hold
//   sm=, version=, devices=, init=, ptx=, cubins=, late=     as in Recording
#include "RecordingDriver.h"

#include "SimulatedKernels.h"

#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <sstream>

using doppel::test::Recording;

// The header gives this name to a newer function, of the same kind.
#undef cuEventElapsedTime

// As the driver's, these are what handles point at.
struct CUctx_st {};
struct CUevent_st {
  uint64_t at = 0;
  CUstream stream = nullptr;
  bool reached = true;
};
struct CUmod_st {};
struct CUfunc_st {
  std::string name;
};
struct CUgraph_st {
  std::vector<std::function<CUresult()>> nodes;
};
struct CUgraphExec_st {
  std::vector<std::function<CUresult()>> nodes;
};
struct CUstream_st {
  int number = 0;
  std::unique_ptr<CUgraph_st> capture;
};

namespace {

struct Machine {
  Recording recording;
  CUctx_st context;
  std::map<CUdeviceptr, size_t> memory;
  std::vector<std::unique_ptr<CUfunc_st>> functions;
  std::vector<std::unique_ptr<CUstream_st>> streams;
  CUstream_st defaultStream;
  std::map<std::string, int> counts; ///< of calls, by name
  std::vector<CUevent> events;       ///< that were recorded and live
  std::string log;
  uint64_t clock = 0; ///< microseconds, one a recorded event
  bool capturing() const {
    for (const auto &stream : streams)
      if (stream->capture)
        return true;
    return false;
  }
};

void set(Machine &machine, const std::string &name, const std::string &value) {
  Recording &recording = machine.recording;
  int number = std::atoi(value.c_str());
  if (name == "simulate") {
    doppel::test::simulateKernels(recording, value);
  } else if (name == "log") {
    machine.log = value;
  } else if (name == "fault") {
    std::istringstream parts(value);
    std::string status;
    std::getline(parts, recording.faultCall, ':');
    parts >> recording.faultAt;
    parts.ignore(1);
    parts >> status;
    recording.faultStatus = CUresult(std::atoi(status.c_str()));
  } else if (name == "memory") {
    recording.totalBytes = size_t(number) << 20;
  } else if (name == "held") {
    recording.othersBytes = size_t(number) << 20;
  } else if (name == "sm") {
    recording.architecture = number;
  } else if (name == "version") {
    recording.version = number;
  } else if (name == "devices") {
    recording.devices = number;
  } else if (name == "init") {
    recording.initStatus = CUresult(number);
  } else if (name == "ptx") {
    recording.acceptsPtx = number;
  } else if (name == "cubins") {
    recording.acceptsCubins = number;
  } else if (name == "late") {
    recording.late = number;
  } else {
    std::fprintf(stderr, "DOPPEL_STAND_IN has no setting %s\n", name.c_str());
    std::abort();
  }
}

/// As the environment says.
std::unique_ptr<Machine> startingMachine() {
  auto machine = std::make_unique<Machine>();
  const char *settings = std::getenv("DOPPEL_STAND_IN");
  std::istringstream words(settings ? settings : "");
  for (std::string word; words >> word;) {
    size_t equals = word.find('=');
    set(*machine, word.substr(0, equals), word.substr(std::min(equals, word.size() - 1) + 1));
  }
  return machine;
}

std::unique_ptr<Machine> machine = startingMachine();

/// Before `machine` goes.
struct Log {
  ~Log() {
    if (machine->log.empty())
      return;
    std::FILE *file = std::fopen(machine->log.c_str(), "w");
    for (const std::string &call : machine->recording.calls)
      std::fprintf(file, "%s\n", call.c_str());
    std::fclose(file);
  }
} log;

CUstream_st &streamOf(CUstream stream) { return stream ? *stream : machine->defaultStream; }

/// Writes the call down; what it returns if the device is lost by now.
CUresult note(std::string text) {
  Recording &recording = machine->recording;
  int number = int(recording.calls.size());
  std::string name = text.substr(0, text.find(' '));
  recording.calls.push_back(std::move(text));
  if (!recording.faultCall.empty() && name == recording.faultCall &&
      machine->counts[name]++ == recording.faultAt) {
    if (recording.faultStatus == CUDA_ERROR_OUT_OF_MEMORY)
      return recording.faultStatus;
    recording.loseAtCall = number;
    recording.lostStatus = recording.faultStatus;
  }
  bool lost = recording.loseAtCall >= 0 && number >= recording.loseAtCall;
  return lost ? recording.lostStatus : CUDA_SUCCESS;
}

#define NOTE(...)                                                                                  \
  if (CUresult status = note(fmt::format(__VA_ARGS__)))                                            \
  return status

/// Does it now, or puts it into the stream's capture.
CUresult onStream(CUstream handle, std::string text, std::function<CUresult()> work) {
  CUstream_st &stream = streamOf(handle);
  text += fmt::format(" on stream {}{}", stream.number, stream.capture ? " (captured)" : "");
  NOTE("{}", text);
  if (!stream.capture)
    return work();
  stream.capture->nodes.push_back(std::move(work));
  return CUDA_SUCCESS;
}

/// All that was put into the stream up to now is done.
void settle(CUstream stream) {
  for (CUevent event : machine->events)
    event->reached |= event->stream == stream;
}

/// Whether [address, address + bytes) lies in one allocation.
bool owned(CUdeviceptr address, size_t bytes) {
  auto after = machine->memory.upper_bound(address);
  if (after == machine->memory.begin())
    return false;
  auto [base, size] = *std::prev(after);
  return address + bytes <= base + size;
}

CUresult copy(void *to, const void *from, size_t bytes) {
  std::memmove(to, from, bytes);
  return CUDA_SUCCESS;
}

void *host(CUdeviceptr address) { return reinterpret_cast<void *>(address); }

} // namespace

extern "C" {

__attribute__((visibility("default"))) Recording *doppelFreshRecording() {
  machine = std::make_unique<Machine>();
  return &machine->recording;
}

/// For other stand-ins: what a library puts on a stream.
__attribute__((visibility("default"))) CUresult doppelOnStream(CUstream stream, const char *text,
                                                               const std::function<void()> &work) {
  return onStream(stream, text, [work] {
    work();
    return CUDA_SUCCESS;
  });
}

CUresult cuInit(unsigned) {
  NOTE("cuInit");
  return machine->recording.initStatus;
}
CUresult cuDriverGetVersion(int *version) {
  *version = machine->recording.version;
  return CUDA_SUCCESS;
}
CUresult cuGetErrorName(CUresult status, const char **name) {
  switch (status) {
  case CUDA_ERROR_OUT_OF_MEMORY:
    *name = "CUDA_ERROR_OUT_OF_MEMORY";
    break;
  case CUDA_ERROR_NO_DEVICE:
    *name = "CUDA_ERROR_NO_DEVICE";
    break;
  case CUDA_ERROR_LAUNCH_FAILED:
    *name = "CUDA_ERROR_LAUNCH_FAILED";
    break;
  case CUDA_ERROR_INVALID_VALUE:
    *name = "CUDA_ERROR_INVALID_VALUE";
    break;
  case CUDA_ERROR_NO_BINARY_FOR_GPU:
    *name = "CUDA_ERROR_NO_BINARY_FOR_GPU";
    break;
  case CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED:
    *name = "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED";
    break;
  case CUDA_ERROR_NOT_FOUND:
    *name = "CUDA_ERROR_NOT_FOUND";
    break;
  case CUDA_ERROR_INVALID_PTX:
    *name = "CUDA_ERROR_INVALID_PTX";
    break;
  case CUDA_ERROR_ILLEGAL_ADDRESS:
    *name = "CUDA_ERROR_ILLEGAL_ADDRESS";
    break;
  default:
    *name = nullptr;
    return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult status, const char **text) {
  switch (status) {
  case CUDA_ERROR_OUT_OF_MEMORY:
    *text = "out of memory";
    break;
  case CUDA_ERROR_NO_DEVICE:
    *text = "no CUDA-capable device is detected";
    break;
  case CUDA_ERROR_LAUNCH_FAILED:
    *text = "unspecified launch failure";
    break;
  case CUDA_ERROR_INVALID_PTX:
    *text = "a PTX JIT compilation failed";
    break;
  case CUDA_ERROR_ILLEGAL_ADDRESS:
    *text = "an illegal memory access was encountered";
    break;
  default:
    *text = nullptr;
    return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetCount(int *count) {
  NOTE("cuDeviceGetCount");
  *count = machine->recording.devices;
  return CUDA_SUCCESS;
}
CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  *device = ordinal;
  return ordinal < machine->recording.devices ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
CUresult cuDeviceGetName(char *name, int bytes, CUdevice device) {
  std::snprintf(name, bytes, "Recorded GPU %d", int(device));
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice) {
  const Recording &recording = machine->recording;
  switch (attribute) {
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
    *value = recording.architecture / 10;
    break;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
    *value = recording.architecture % 10;
    break;
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
    *value = recording.multiprocessors;
    break;
  default:
    return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}
CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice) {
  *bytes = machine->recording.totalBytes;
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  NOTE("cuDevicePrimaryCtxRetain {}", int(device));
  *context = &machine->context;
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  NOTE("cuDevicePrimaryCtxRelease {}", int(device));
  return CUDA_SUCCESS;
}
CUresult cuCtxSetCurrent(CUcontext) {
  NOTE("cuCtxSetCurrent");
  return CUDA_SUCCESS;
}
CUresult cuCtxSynchronize() {
  NOTE("cuCtxSynchronize");
  for (CUevent event : machine->events)
    event->reached = true;
  return CUDA_SUCCESS;
}
CUresult cuMemGetInfo_v2(size_t *free, size_t *total) {
  NOTE("cuMemGetInfo");
  const Recording &recording = machine->recording;
  *total = recording.totalBytes;
  *free = recording.totalBytes - recording.othersBytes - recording.allocatedBytes;
  return CUDA_SUCCESS;
}
CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
  NOTE("cuMemAlloc {}", bytes);
  Recording &recording = machine->recording;
  if (machine->capturing())
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (bytes == 0)
    return CUDA_ERROR_INVALID_VALUE;
  bool fits = recording.allocatedBytes + recording.othersBytes + bytes <= recording.totalBytes;
  void *memory = fits && recording.allocations++ != recording.failAllocation
                     ? std::aligned_alloc(256, (bytes + 255) / 256 * 256)
                     : nullptr;
  if (!memory)
    return CUDA_ERROR_OUT_OF_MEMORY;
  std::memset(memory, 0xa5, bytes); // what another program left
  *address = reinterpret_cast<CUdeviceptr>(memory);
  machine->memory[*address] = bytes;
  recording.allocatedBytes += bytes;
  ++recording.liveAllocations;
  return CUDA_SUCCESS;
}
CUresult cuMemFree_v2(CUdeviceptr address) {
  NOTE("cuMemFree");
  auto found = machine->memory.find(address);
  if (found == machine->memory.end())
    return CUDA_ERROR_INVALID_VALUE;
  machine->recording.allocatedBytes -= found->second;
  --machine->recording.liveAllocations;
  machine->memory.erase(found);
  std::free(host(address));
  return CUDA_SUCCESS;
}
CUresult cuMemHostAlloc(void **memory, size_t bytes, unsigned) {
  NOTE("cuMemHostAlloc {}", bytes);
  *memory = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  return *memory ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
CUresult cuMemFreeHost(void *memory) {
  NOTE("cuMemFreeHost");
  std::free(memory);
  return CUDA_SUCCESS;
}
CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
  NOTE("cuMemcpyHtoD {}", bytes);
  return owned(to, bytes) ? copy(host(to), from, bytes) : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
  NOTE("cuMemcpyDtoH {}", bytes);
  return owned(from, bytes) ? copy(to, host(from), bytes) : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
  if (!owned(to, bytes))
    return CUDA_ERROR_INVALID_VALUE;
  return onStream(stream, fmt::format("cuMemcpyHtoDAsync {}", bytes),
                  [=] { return copy(host(to), from, bytes); });
}
CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
  if (!owned(from, bytes))
    return CUDA_ERROR_INVALID_VALUE;
  return onStream(stream, fmt::format("cuMemcpyDtoHAsync {}", bytes),
                  [=] { return copy(to, host(from), bytes); });
}
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  if (!owned(to, bytes) || !owned(from, bytes))
    return CUDA_ERROR_INVALID_VALUE;
  return onStream(stream, fmt::format("cuMemcpyDtoDAsync {}", bytes),
                  [=] { return copy(host(to), host(from), bytes); });
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream) {
  if (!owned(to, bytes))
    return CUDA_ERROR_INVALID_VALUE;
  return onStream(stream, fmt::format("cuMemsetD8Async {}", bytes), [=] {
    std::memset(host(to), value, bytes);
    return CUDA_SUCCESS;
  });
}
CUresult cuStreamCreate(CUstream *stream, unsigned) {
  machine->streams.push_back(std::make_unique<CUstream_st>());
  *stream = machine->streams.back().get();
  (*stream)->number = int(machine->streams.size());
  NOTE("cuStreamCreate {}", (*stream)->number);
  return CUDA_SUCCESS;
}
CUresult cuStreamDestroy_v2(CUstream stream) {
  NOTE("cuStreamDestroy {}", streamOf(stream).number);
  return CUDA_SUCCESS;
}
CUresult cuStreamSynchronize(CUstream stream) {
  NOTE("cuStreamSynchronize {}", streamOf(stream).number);
  settle(stream);
  return streamOf(stream).capture ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}
CUresult cuStreamWaitEvent(CUstream stream, CUevent, unsigned) {
  NOTE("cuStreamWaitEvent {}", streamOf(stream).number);
  return CUDA_SUCCESS;
}
CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode) {
  NOTE("cuStreamBeginCapture {}", streamOf(stream).number);
  if (!stream || stream->capture)
    return CUDA_ERROR_INVALID_VALUE;
  stream->capture = std::make_unique<CUgraph_st>();
  return CUDA_SUCCESS;
}
CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  *graph = stream->capture ? stream->capture.release() : nullptr;
  NOTE("cuStreamEndCapture {}, {} nodes", stream->number, *graph ? (*graph)->nodes.size() : 0);
  return *graph ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuEventCreate(CUevent *event, unsigned) {
  *event = new CUevent_st;
  machine->events.push_back(*event);
  NOTE("cuEventCreate");
  return CUDA_SUCCESS;
}
CUresult cuEventRecord(CUevent event, CUstream stream) {
  NOTE("cuEventRecord on stream {}", streamOf(stream).number);
  event->at = ++machine->clock;
  event->stream = stream;
  event->reached = !machine->recording.late;
  return CUDA_SUCCESS;
}
CUresult cuEventQuery(CUevent event) {
  NOTE("cuEventQuery");
  return event->reached ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}
CUresult cuEventSynchronize(CUevent event) {
  NOTE("cuEventSynchronize");
  event->reached = true;
  return CUDA_SUCCESS;
}
CUresult cuEventElapsedTime(float *milliseconds, CUevent from, CUevent to) {
  *milliseconds = float(to->at - from->at) / 1000;
  return CUDA_SUCCESS;
}
CUresult cuEventDestroy_v2(CUevent event) {
  NOTE("cuEventDestroy");
  std::erase(machine->events, event);
  delete event;
  return CUDA_SUCCESS;
}
CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count,
                            CUjit_option *options, void **values) {
  bool isCubin = std::memcmp(image,
                             "\x7f"
                             "ELF",
                             4) == 0;
  NOTE("cuModuleLoadDataEx {}", isCubin ? "cubin" : "ptx");
  Recording &recording = machine->recording;
  if (!isCubin)
    recording.ptx = static_cast<const char *>(image);
  CUresult status = recording.moduleStatus;
  if (!(isCubin ? recording.acceptsCubins : recording.acceptsPtx))
    status = CUDA_ERROR_NO_BINARY_FOR_GPU;
  if (status) {
    for (unsigned i = 0; i + 1 < count; ++i)
      if (options[i] == CU_JIT_ERROR_LOG_BUFFER)
        std::snprintf(static_cast<char *>(values[i]), reinterpret_cast<size_t>(values[i + 1]), "%s",
                      recording.jitLog.c_str());
    return status;
  }
  *module = new CUmod_st;
  return CUDA_SUCCESS;
}
CUresult cuModuleUnload(CUmodule module) {
  NOTE("cuModuleUnload");
  delete module;
  return CUDA_SUCCESS;
}
CUresult cuModuleGetFunction(CUfunction *function, CUmodule, const char *name) {
  NOTE("cuModuleGetFunction {}", name);
  if (!machine->recording.kernels.contains(name))
    return CUDA_ERROR_NOT_FOUND;
  machine->functions.push_back(std::make_unique<CUfunc_st>(CUfunc_st{name}));
  *function = machine->functions.back().get();
  return CUDA_SUCCESS;
}
CUresult cuFuncGetAttribute(int *value, CUfunction_attribute, CUfunction) {
  *value = 0;
  return CUDA_SUCCESS;
}
CUresult cuLaunchKernel(CUfunction function, unsigned x, unsigned y, unsigned z, unsigned threads,
                        unsigned threadsY, unsigned threadsZ, unsigned sharedBytes, CUstream stream,
                        void **parameters, void **) {
  const Recording &recording = machine->recording;
  Recording::Launch launch{function->name, x, threads, sharedBytes, {}};
  auto count = recording.parameters.find(function->name);
  for (size_t i = 0; count != recording.parameters.end() && i < count->second; ++i)
    launch.pointers.push_back(*static_cast<void **>(parameters[i]));
  if (x == 0 || threads == 0 || y != 1 || z != 1 || threadsY != 1 || threadsZ != 1)
    return CUDA_ERROR_INVALID_VALUE;
  return onStream(stream, fmt::format("cuLaunchKernel {} {}x{}", function->name, x, threads),
                  [launch] {
                    machine->recording.kernels.at(launch.kernel)(launch);
                    return CUDA_SUCCESS;
                  });
}
CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long) {
  NOTE("cuGraphInstantiate {} nodes", graph->nodes.size());
  *exec = new CUgraphExec_st{graph->nodes};
  return CUDA_SUCCESS;
}
CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  NOTE("cuGraphLaunch {} nodes on stream {}", exec->nodes.size(), streamOf(stream).number);
  for (const auto &node : exec->nodes)
    if (CUresult status = node())
      return status;
  return CUDA_SUCCESS;
}
CUresult cuGraphExecDestroy(CUgraphExec exec) {
  NOTE("cuGraphExecDestroy");
  delete exec;
  return CUDA_SUCCESS;
}
CUresult cuGraphDestroy(CUgraph graph) {
  NOTE("cuGraphDestroy");
  delete graph;
  return CUDA_SUCCESS;
}
}
