// Artifacts from strangers: Artifact::parse() over any bytes, with checksums made right so that
// what stands behind them is reached. What is accepted is recorded on a device that only looks:
// every tensor lies in its arena, and the library prepares its calls or says why not.
#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/cpu/Processor.h"
#include "runtime/executor/Executable.h"
#include "runtime/schema/Format.h"
#include "test/unit/ArtifactFixture.h"
#include "test/unit/FakeDevice.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <xxhash.h>

using namespace doppel::runtime;
using namespace doppel;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace {

[[noreturn]] void broken(const std::string &what) {
  std::fprintf(stderr, "artifact: %s\n", what.c_str());
  std::abort();
}

/// Elements of a library call's operands up to which the library is asked to prepare it.
constexpr int64_t kMaxElements = 1 << 20;

/// Addresses that nobody may touch.
class NoMemory : public Allocation {
public:
  NoMemory(uintptr_t address, size_t bytes, Memory place)
      : address(address), size(bytes), place(place) {}
  void *data() override { return reinterpret_cast<void *>(address); }
  size_t bytes() const override { return size; }
  Memory memory() const override { return place; }

private:
  uintptr_t address;
  size_t size;
  Memory place;
};

/// Checks what it is asked to do and does nothing.
class LookingDevice : public Device {
public:
  std::string description() const override { return "a device that only looks"; }
  Result<void> checkTarget(const schema::Program &) const override { return {}; }

  Result<std::unique_ptr<Allocation>> allocate(size_t bytes) override {
    uintptr_t address = arenas.empty() ? 1 << 20 : arenas.back().second + (1 << 20);
    address = (address + 63) / 64 * 64;
    arenas.emplace_back(address, address + bytes);
    return std::make_unique<NoMemory>(address, bytes, Memory{Memory::Place::Device, this});
  }
  Result<std::unique_ptr<Allocation>> allocateHost(size_t bytes) override {
    return std::make_unique<NoMemory>(64, bytes, Memory{Memory::Place::Host, this});
  }
  const schema::CodeSet *chooseCode(const Artifact &artifact) const override {
    return artifact.code(schema::CodeKind::Elf);
  }
  bool readsHostMemory() const override { return true; }
  Result<void> upload(const TensorRef &, const void *) override { return {}; }
  Result<void> download(void *, const TensorRef &) override { return {}; }
  Result<std::unique_ptr<KernelModule>> loadModule(std::span<const std::byte>) override {
    return std::make_unique<KernelModule>();
  }
  Result<std::unique_ptr<CommandList>> makeCommandList() override {
    return std::make_unique<List>(*this);
  }
  Result<std::unique_ptr<Stream>> makeStream() override {
    return std::make_unique<test::FakeDevice::NoStream>();
  }
  size_t workspaceBytes() const override { return 0; }
  int threads() const override { return 1; }

private:
  class List : public CommandList {
  public:
    explicit List(const LookingDevice &device) : device(device) {}

    Result<void> launch(KernelModule &, const KernelLaunch &launch) override {
      if (launch.symbol.empty() || launch.grid <= 0 || launch.outputs.empty())
        broken("a launch without a symbol, a grid or an output");
      look(launch.inputs, /*aligned=*/true);
      look(launch.outputs, /*aligned=*/true);
      auto images = std::ranges::count(launch.inputs, schema::DType::ImageRef, &TensorRef::dtype);
      if (images != std::ranges::ssize(launch.slabs))
        broken("a launch that reads images without their slab");
      return {};
    }
    Result<void> call(const LibraryCall &call) override {
      int64_t elements = look(call.inputs, /*aligned=*/true) + look(call.outputs, true);
      if (elements > kMaxElements)
        return {};
      auto prepared = cpu::prepareCall(call);
      if (!prepared && prepared.error().message.empty())
        broken("a call refused without a message");
      return {};
    }
    Result<void> copy(const TensorRef &source, const TensorRef &target, bool) override {
      look({source, target}, /*aligned=*/false);
      if (source.bytes() != target.bytes())
        broken("a copy between different sizes");
      return {};
    }
    Result<void> check(const TensorRef &tensor) override {
      look({tensor}, /*aligned=*/true);
      return {};
    }

  private:
    /// Number of elements, which does not exceed the arenas' bytes.
    int64_t look(const std::vector<TensorRef> &tensors, bool aligned) const {
      int64_t elements = 0;
      for (const TensorRef &tensor : tensors) {
        auto begin = reinterpret_cast<uintptr_t>(tensor.data);
        bool inside =
            std::any_of(device.arenas.begin(), device.arenas.end(), [&](const auto &arena) {
              return begin >= arena.first && begin <= arena.second &&
                     tensor.bytes() <= arena.second - begin;
            });
        if (!inside)
          broken("a tensor outside of the arenas");
        if (aligned && begin % 64 != 0)
          broken("a tensor of a kernel or library that is not aligned");
        elements += tensor.elements();
      }
      return elements;
    }

    const LookingDevice &device;
  };

  std::vector<std::pair<uintptr_t, uintptr_t>> arenas;
};

/// The program with a call of each library operation, its operands in buffers of their own with
/// room behind each.
std::vector<test::ProgramParts> partsOfEachCall() {
  using test::ProgramParts, schema::DType, schema::LibraryOp;
  struct Variant {
    LibraryOp op;
    std::vector<uint32_t> inputs, outputs;
    std::vector<int64_t> ints;
  };
  const std::vector<int64_t> same = {1, 1, 1, 1, 1, 1, 1, 1, 1, 0},
                             halved = {2, 2, 2, 2, 0, 0, 0, 0};
  const Variant variants[] = {{LibraryOp::Matmul, {8, 9}, {10}, {0, 1}},
                              {LibraryOp::Conv2D, {11, 12}, {13}, same},
                              {LibraryOp::Conv2DBackwardData, {13, 12}, {11}, same},
                              {LibraryOp::Conv2DBackwardWeights, {11, 13}, {12}, same},
                              {LibraryOp::MaxPool2D, {11}, {14, 15}, halved},
                              {LibraryOp::MaxPool2DBackward, {14, 15}, {11}, halved},
                              {LibraryOp::AvgPool2D, {11}, {14}, halved},
                              {LibraryOp::AvgPool2DBackward, {14}, {11}, halved},
                              {LibraryOp::RandomPermutation, {1}, {6}, {7}}};
  std::vector<ProgramParts> all;
  for (const Variant &variant : variants) {
    ProgramParts parts;
    std::get<2>(parts.arenas[1]) = 16384;
    parts.peak = 512 + 16384;
    uint64_t offset = 1024;
    for (const auto &[dtype, shape] : std::vector<std::pair<DType, std::vector<int64_t>>>{
             {DType::F32, {8, 4}},         // 8: a
             {DType::F32, {16, 4}},        // 9: b, to be turned
             {DType::F32, {8, 16}},        // 10: a b^T
             {DType::F32, {1, 4, 4, 4}},   // 11: images
             {DType::F32, {8, 4, 3, 3}},   // 12: weights
             {DType::F32, {1, 4, 4, 8}},   // 13: the images' convolution
             {DType::F32, {1, 2, 2, 4}},   // 14: the images, pooled
             {DType::U8, {1, 2, 2, 4}}}) { // 15: and its workspace
      parts.buffers.push_back({1, offset, dtype, shape});
      offset += shape[0] == 8 && shape.size() == 4 ? 4096 : 1536;
    }
    parts.call = variant.op;
    parts.inputs = variant.inputs;
    parts.outputs = variant.outputs;
    parts.ints = variant.ints;
    all.push_back(parts);
  }
  return all;
}

/// Code of every kind in two modules each.
std::vector<std::byte> withManySegments() {
  using format::SegmentKind, schema::CodeKind;
  test::ProgramParts parts;
  parts.targetArchitectures = {"sm_80", "sm_90"};
  parts.kernels.push_back({"row_1", schema::KernelKind::Row, 7, 0, 1});
  parts.code = {{CodeKind::Elf, "", {0, 1}, {{1, 0}, {1, 0}}},
                {CodeKind::Ptx, "sm_80", {2, 3}, {{256, 0}, {128, 4096}}},
                {CodeKind::Cubin, "sm_90", {4, 5}, {{256, 0}, {512, 16384}}}};
  std::vector<test::SegmentPart> segments;
  for (SegmentKind kind : {SegmentKind::Elf, SegmentKind::Elf, SegmentKind::Ptx, SegmentKind::Ptx,
                           SegmentKind::Cubin, SegmentKind::Cubin, SegmentKind::SpecSource})
    segments.emplace_back(kind, "code");
  return test::artifactOf(parts.bytes(), {}, segments);
}

/// Right artifacts, one for each library operation and one with code for several machines: what
/// changes begin with, so that no file of another schema version is kept.
std::vector<std::vector<std::byte>> makeSeeds() {
  std::vector<std::vector<std::byte>> seeds;
  for (const test::ProgramParts &parts : partsOfEachCall())
    seeds.push_back(test::artifactOf(parts.bytes()));
  seeds.push_back(withManySegments());
  for (const std::vector<std::byte> &seed : seeds) {
    LookingDevice device;
    auto artifact = Artifact::parse(seed, "seed");
    if (!artifact)
      broken(artifact.error().message);
    if (auto executable = Executable::create(*artifact, device); !executable)
      broken("seed: " + executable.error().message);
  }
  return seeds;
}

/// Makes sizes and checksums of a file right, as far as its parts can be told.
void repair(uint8_t *data, size_t size) {
  format::Header header;
  if (size < sizeof(header) + sizeof(uint64_t))
    return;
  std::memcpy(&header, data, sizeof(header));
  header.magic = format::magic;
  header.segmentCount %= format::maxSegments + 1;
  size_t table = sizeof(header) + header.segmentCount * sizeof(format::Segment);
  if (table + sizeof(uint64_t) > size)
    return;
  header.headerBytes = uint32_t(table + sizeof(uint64_t));
  header.fileBytes = size;
  auto sum = [&](uint64_t offset, uint64_t bytes, uint64_t &checksum) {
    if (offset <= size && bytes <= size - offset)
      checksum = XXH64(data + offset, bytes, 0);
  };
  for (uint32_t i = 0; i < header.segmentCount; ++i) {
    format::Segment segment;
    uint8_t *place = data + sizeof(header) + i * sizeof(segment);
    std::memcpy(&segment, place, sizeof(segment));
    sum(segment.offset, segment.bytes, segment.checksum);
    std::memcpy(place, &segment, sizeof(segment));
  }
  sum(header.programOffset, header.programBytes, header.programChecksum);
  std::memcpy(data, &header, sizeof(header));
  uint64_t checksum = XXH64(data, table, 0);
  std::memcpy(data + table, &checksum, sizeof(checksum));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  auto artifact = Artifact::parse(std::as_bytes(std::span(data, size)), "fuzz.dpx");
  if (!artifact) {
    if (!artifact.error().message.starts_with("fuzz.dpx: "))
      broken("an error that does not name the file");
    return 0;
  }
  if (auto fits = checkProcessor(artifact->program()); !fits && fits.error().message.empty())
    broken("a processor refused without a message");
  LookingDevice device;
  auto executable = Executable::create(*artifact, device);
  if (!executable && executable.error().message.empty())
    broken("refused without a message");
  return 0;
}

/// Changes a right artifact where the input is none of this version; the program alone three times
/// in four, so that its offsets stay where the header has them.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize,
                                          unsigned seed) {
  format::Header header = {};
  if (size >= sizeof(header))
    std::memcpy(&header, data, sizeof(header));
  if (header.major != format::schemaMajor || header.minor != format::schemaMinor) {
    static const std::vector<std::vector<std::byte>> seeds = makeSeeds();
    const std::vector<std::byte> &chosen = seeds[seed / 128 % seeds.size()];
    if (chosen.size() <= maxSize) {
      size = chosen.size();
      std::memcpy(data, chosen.data(), size);
      std::memcpy(&header, data, sizeof(header));
    }
  }
  bool inside = header.programOffset <= size && header.programBytes <= size - header.programOffset;
  if (seed % 4 != 0 && inside && header.programBytes > 0)
    LLVMFuzzerMutate(data + header.programOffset, header.programBytes, header.programBytes);
  else
    size = LLVMFuzzerMutate(data, size, maxSize);
  if (seed % 32 != 0)
    repair(data, size);
  return size;
}
