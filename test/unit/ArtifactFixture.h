// A small artifact in parts that a test may change before they become bytes: one field wrong,
// everything else right, checksums included.
#pragma once

#include "runtime/artifact/Artifact.h"
#include "runtime/schema/Format.h"

#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <vector>
#include <xxhash.h>

namespace doppel::runtime::test {

struct BufferPart {
  uint32_t arena;
  uint64_t offset;
  schema::DType dtype;
  std::vector<int64_t> shape;
};

/// A program with one instruction of each kind: a queue is copied, multiplied, reduced over ranks,
/// checked and changed by a kernel.
struct ProgramParts {
  std::vector<std::tuple<std::string, schema::ArenaKind, uint64_t>> arenas = {
      {"state", schema::ArenaKind::State, 512},
      {"transient", schema::ArenaKind::Transient, 1024},
      {"io", schema::ArenaKind::Io, 192}};
  std::vector<BufferPart> buffers = {
      {2, 0, schema::DType::ImageRef, {4}}, {2, 128, schema::DType::RunScalars, {}},
      {0, 0, schema::DType::F32, {8, 8}},   {0, 256, schema::DType::F32, {8, 8}},
      {1, 0, schema::DType::F32, {8, 8}},   {1, 256, schema::DType::F32, {8, 8}},
      {1, 512, schema::DType::I32, {16}},   {1, 576, schema::DType::F32, {}}};
  struct StatePart {
    std::string name;
    schema::StateKind kind;
    uint32_t buffer, location;
  };
  std::vector<StatePart> states = {{"weight", schema::StateKind::Parameter, 2, 0},
                                   {"queue", schema::StateKind::Queue, 3, 1}};
  struct KernelPart {
    std::string symbol;
    schema::KernelKind kind;
    uint64_t grid, scratch;
    uint32_t module = 0;
  };
  std::vector<KernelPart> kernels = {{"map_0", schema::KernelKind::Map, 4, 64}};
  struct CodePart {
    schema::CodeKind kind;
    std::string architecture;
    std::vector<uint32_t> segments;
    std::vector<schema::Block> blocks;
  };
  std::vector<CodePart> code = {{schema::CodeKind::Elf, "", {0}, {{1, 0}}}};
  std::vector<std::string> features, targetArchitectures;
  std::vector<uint32_t> copy = {2, 4};
  std::vector<uint32_t> inputs = {4, 2}, outputs = {5};
  std::vector<int64_t> ints = {0, 1};
  schema::LibraryOp call = schema::LibraryOp::Matmul;
  schema::Precision precision = schema::Precision::F32;
  uint32_t kernel = 0, launchOutputs = 1;
  std::vector<uint32_t> launch = {5, 1, 3};
  std::vector<uint32_t> starts = {0, 1}, waits = {0, 1}; ///< orders, one start and wait in turn
  uint32_t commit = 7;                                   ///< of the second function
  schema::CollectiveKind collective = schema::CollectiveKind::AllReduceSum;
  uint32_t collectiveInput = 3, collectiveOutput = 5;
  uint32_t checked = 5, instructionLocation = 1;
  std::vector<uint32_t> lastCopy;            ///< behind the check: source and target
  std::optional<uint32_t> instructionOrigin; ///< of the first
  std::string secondFunction = "step", outputName = "loss", targetKind = "cpu";
  uint32_t outputBuffer = 7;
  int64_t batch = 4, epochs = 10;
  uint32_t world = 1, run = 1;
  struct ImagePart {
    std::string name;
    uint32_t buffer;
    uint8_t channels, bits;
  };
  std::vector<ImagePart> images = {{"image", 0, 3, 8}};
  schema::ScheduleRole scheduleRole = schema::ScheduleRole::Rate;
  uint32_t scheduleLocation = 1;
  std::vector<schema::ScheduleNode> schedule = {{schema::ScheduleOp::Step, 0, 0, 0, 0, 0},
                                                {schema::ScheduleOp::Constant, 0, 0, 0, 0, 2},
                                                {schema::ScheduleOp::Less, 0, 1, 0, 1, 0}};
  uint64_t peak = 1536, method = 17; ///< the method's fingerprint

  std::string bytes() const {
    flatbuffers::FlatBufferBuilder b;
    auto text = [&](const std::string &value) { return b.CreateString(value); };
    std::vector<flatbuffers::Offset<schema::Arena>> arenaList;
    for (const auto &[name, kind, size] : arenas)
      arenaList.push_back(schema::CreateArena(b, text(name), kind, size));
    std::vector<flatbuffers::Offset<schema::Buffer>> bufferList;
    for (const BufferPart &buffer : buffers)
      bufferList.push_back(schema::CreateBuffer(b, buffer.arena, buffer.offset, buffer.dtype,
                                                b.CreateVector(buffer.shape)));
    std::vector<flatbuffers::Offset<schema::State>> stateList;
    for (const StatePart &state : states)
      stateList.push_back(
          schema::CreateState(b, text(state.name), state.kind, state.buffer, state.location));
    std::vector<flatbuffers::Offset<schema::Kernel>> kernelList;
    for (const KernelPart &kernel : kernels)
      kernelList.push_back(schema::CreateKernel(b, text(kernel.symbol), kernel.kind, kernel.grid,
                                                kernel.scratch, kernel.module));
    std::vector<flatbuffers::Offset<schema::CodeSet>> sets;
    for (const CodePart &set : code) {
      auto segments = b.CreateVector(set.segments);
      auto blocks = b.CreateVectorOfStructs(set.blocks);
      sets.push_back(schema::CreateCodeSet(b, set.kind, text(set.architecture), segments, blocks));
    }
    std::vector<flatbuffers::Offset<schema::ImageInput>> imageList;
    for (const ImagePart &image : images)
      imageList.push_back(
          schema::CreateImageInput(b, text(image.name), image.buffer, image.channels, image.bits));
    std::vector<flatbuffers::Offset<schema::Location>> locations = {
        schema::CreateLocation(b, text("toy.dpl"), 3, 7, text("weight")),
        schema::CreateLocation(b, text("toy.dpl"), 5, 9, text("matmul"))};

    std::vector<flatbuffers::Offset<schema::Instruction>> list;
    auto add = [&](schema::Operation type, auto table) {
      list.push_back(schema::CreateInstruction(
          b, type, table.Union(), instructionLocation,
          list.empty() && instructionOrigin ? flatbuffers::Optional<uint32_t>(*instructionOrigin)
                                            : flatbuffers::nullopt));
    };
    add(schema::Operation::Copy, schema::CreateCopy(b, copy[0], copy[1]));
    auto in = b.CreateVector(inputs);
    auto out = b.CreateVector(outputs);
    auto integers = b.CreateVector(ints);
    add(schema::Operation::Call, schema::CreateCall(b, call, in, out, integers, precision));
    // What it computes is copied to the state behind the check, or written by it there.
    auto operands = b.CreateVector(launch);
    auto addLaunch = [&] {
      add(schema::Operation::Launch, schema::CreateLaunch(b, kernel, operands, launchOutputs));
    };
    if (!lastCopy.empty())
      addLaunch();
    for (size_t i = 0; i < std::max(starts.size(), waits.size()); ++i) {
      if (i < starts.size())
        add(schema::Operation::CollectiveStart,
            schema::CreateCollectiveStart(b, collective, collectiveInput, collectiveOutput,
                                          starts[i]));
      if (i < waits.size())
        add(schema::Operation::CollectiveWait, schema::CreateCollectiveWait(b, waits[i]));
    }
    auto what = text("loss");
    add(schema::Operation::Check, schema::CreateCheck(b, checked, what));
    if (lastCopy.empty())
      addLaunch();
    else
      add(schema::Operation::Copy, schema::CreateCopy(b, lastCopy[0], lastCopy[1]));

    std::vector<flatbuffers::Offset<schema::Function>> functions;
    for (const std::string &name : {std::string("init"), secondFunction}) {
      auto symbol = text(name);
      auto instructions = b.CreateVector(name == "init" ? decltype(list)() : list);
      auto inputs = b.CreateVector(std::vector<flatbuffers::Offset<schema::NamedBuffer>>());
      auto output = schema::CreateNamedBuffer(b, text(outputName), outputBuffer);
      auto outputs = b.CreateVector(&output, 1);
      functions.push_back(schema::CreateFunction(b, symbol, instructions, inputs, outputs,
                                                 name == "init" ? 0 : commit));
    }
    auto targetFeatures = b.CreateVectorOfStrings(features);
    auto kind = text(targetKind), processor = text("any");
    auto architectures = b.CreateVectorOfStrings(targetArchitectures);
    auto target = schema::CreateTarget(b, kind, processor, targetFeatures, architectures);
    auto param = schema::CreateParam(b, text("dim"), text(""), text("8"), text(""));
    auto params = b.CreateVector(&param, 1);
    auto producer = text("doppel test"), name = text("Toy");
    auto a = b.CreateVector(arenaList);
    auto bu = b.CreateVector(bufferList);
    auto s = b.CreateVector(stateList);
    auto k = b.CreateVector(kernelList);
    auto l = b.CreateVector(locations);
    auto f = b.CreateVector(functions);
    auto im = b.CreateVector(imageList);
    auto c = b.CreateVector(sets);
    auto nodes = b.CreateVectorOfStructs(schedule);
    auto rate =
        schema::CreateSchedule(b, text("the learning rate"), scheduleRole, nodes, scheduleLocation);
    auto schedules = b.CreateVector(&rate, 1);
    schema::FinishProgramBuffer(b, schema::CreateProgram(b, producer, name, target, batch, world,
                                                         params, a, bu, s, k, l, f, im, run, epochs,
                                                         peak, 0, schedules, c, method));
    return {reinterpret_cast<const char *>(b.GetBufferPointer()), b.GetSize()};
  }
};

/// A segment's kind and bytes.
using SegmentPart = std::pair<format::SegmentKind, std::string>;

/// One module of code and the spec's text.
inline std::vector<SegmentPart> oneModule() {
  return {{format::SegmentKind::Elf, "\x7f"
                                     "ELF and so on"},
          {format::SegmentKind::SpecSource, "method Toy {}\n"}};
}

/// The file around a program, with right sizes and checksums; `change` may spoil its header before
/// it is summed.
inline std::vector<std::byte>
artifactOf(const std::string &program,
           const std::function<void(format::Header &, std::vector<format::Segment> &)> &change = {},
           const std::vector<SegmentPart> &parts = oneModule()) {
  auto align = [](uint64_t offset) { return (offset + 63) / 64 * 64; };
  format::Header header = {};
  header.magic = format::magic;
  header.major = format::schemaMajor;
  header.minor = format::schemaMinor;
  header.segmentCount = uint32_t(parts.size());
  uint64_t table = sizeof(header) + parts.size() * sizeof(format::Segment);
  header.headerBytes = uint32_t(table + sizeof(uint64_t));
  header.programOffset = align(header.headerBytes);
  header.programBytes = program.size();
  header.programChecksum = XXH64(program.data(), program.size(), 0);
  std::strcpy(header.producer.data(), "doppel test");
  std::vector<format::Segment> segments;
  uint64_t end = header.programOffset + program.size();
  for (const auto &[kind, bytes] : parts) {
    uint64_t offset = align(end);
    segments.push_back(
        {uint32_t(kind), 0, offset, bytes.size(), XXH64(bytes.data(), bytes.size(), 0)});
    end = offset + bytes.size();
  }
  header.fileBytes = end;
  std::vector<std::byte> file(end);
  std::memcpy(file.data() + header.programOffset, program.data(), program.size());
  for (size_t i = 0; i < parts.size(); ++i)
    std::memcpy(file.data() + segments[i].offset, parts[i].second.data(), parts[i].second.size());
  if (change)
    change(header, segments);
  std::memcpy(file.data(), &header, sizeof(header));
  std::memcpy(file.data() + sizeof(header), segments.data(),
              segments.size() * sizeof(format::Segment));
  uint64_t checksum = XXH64(file.data(), table, 0);
  std::memcpy(file.data() + table, &checksum, sizeof(checksum));
  return file;
}

} // namespace doppel::runtime::test
