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

/// A program with one instruction of each kind: a queue is copied, multiplied, changed by a kernel,
/// reduced over ranks and checked.
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
  };
  std::vector<KernelPart> kernels = {{"map_0", schema::KernelKind::Map, 4, 64}};
  std::vector<std::string> features;
  std::vector<uint32_t> copy = {2, 4};
  std::vector<uint32_t> inputs = {4, 2}, outputs = {5};
  std::vector<int64_t> ints = {0, 1};
  schema::LibraryOp call = schema::LibraryOp::Matmul;
  uint32_t kernel = 0, launchOutputs = 1;
  std::vector<uint32_t> launch = {5, 1, 3};
  uint32_t collectiveOrder[2] = {0, 1};
  schema::CollectiveKind collective = schema::CollectiveKind::AllReduceSum;
  uint32_t collectiveInput = 3, collectiveOutput = 5;
  uint32_t checked = 5, instructionLocation = 1;
  std::optional<uint32_t> instructionOrigin; ///< of the first
  std::string secondFunction = "step", outputName = "loss", targetKind = "cpu";
  uint32_t outputBuffer = 7;
  int64_t batch = 4, epochs = 10;
  uint32_t world = 1, images = 0, run = 1;
  schema::ScheduleRole scheduleRole = schema::ScheduleRole::Rate;
  uint32_t scheduleLocation = 1;
  std::vector<schema::ScheduleNode> schedule = {{schema::ScheduleOp::Step, 0, 0, 0, 0, 0},
                                                {schema::ScheduleOp::Constant, 0, 0, 0, 0, 2},
                                                {schema::ScheduleOp::Less, 0, 1, 0, 1, 0}};
  uint64_t peak = 1536;

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
      kernelList.push_back(
          schema::CreateKernel(b, text(kernel.symbol), kernel.kind, kernel.grid, kernel.scratch));
    std::vector<flatbuffers::Offset<schema::Location>> locations = {
        schema::CreateLocation(b, text("toy.dpl"), 3, 7, text("weight")),
        schema::CreateLocation(b, text("toy.dpl"), 5, 9, text("matmul"))};

    std::vector<flatbuffers::Offset<schema::Instruction>> code;
    auto add = [&](schema::Operation type, auto table) {
      code.push_back(schema::CreateInstruction(
          b, type, table.Union(), instructionLocation,
          code.empty() && instructionOrigin ? flatbuffers::Optional<uint32_t>(*instructionOrigin)
                                            : flatbuffers::nullopt));
    };
    add(schema::Operation::Copy, schema::CreateCopy(b, copy[0], copy[1]));
    auto in = b.CreateVector(inputs);
    auto out = b.CreateVector(outputs);
    auto integers = b.CreateVector(ints);
    add(schema::Operation::Call, schema::CreateCall(b, call, in, out, integers));
    auto operands = b.CreateVector(launch);
    add(schema::Operation::Launch, schema::CreateLaunch(b, kernel, operands, launchOutputs));
    for (uint32_t order : collectiveOrder)
      add(schema::Operation::Collective,
          schema::CreateCollective(b, collective, collectiveInput, collectiveOutput, order));
    auto what = text("loss");
    add(schema::Operation::Check, schema::CreateCheck(b, checked, what));

    std::vector<flatbuffers::Offset<schema::Function>> functions;
    for (const std::string &name : {std::string("init"), secondFunction}) {
      auto symbol = text(name);
      auto instructions = b.CreateVector(name == "init" ? decltype(code)() : code);
      auto inputs = b.CreateVector(std::vector<flatbuffers::Offset<schema::NamedBuffer>>());
      auto output = schema::CreateNamedBuffer(b, text(outputName), outputBuffer);
      auto outputs = b.CreateVector(&output, 1);
      functions.push_back(schema::CreateFunction(b, symbol, instructions, inputs, outputs));
    }
    auto targetFeatures = b.CreateVectorOfStrings(features);
    auto kind = text(targetKind), processor = text("any");
    auto target = schema::CreateTarget(b, kind, processor, targetFeatures);
    auto param = schema::CreateParam(b, text("dim"), text(""), text("8"), text(""));
    auto params = b.CreateVector(&param, 1);
    auto producer = text("doppel test"), method = text("Toy");
    auto a = b.CreateVector(arenaList);
    auto bu = b.CreateVector(bufferList);
    auto s = b.CreateVector(stateList);
    auto k = b.CreateVector(kernelList);
    auto l = b.CreateVector(locations);
    auto f = b.CreateVector(functions);
    auto nodes = b.CreateVectorOfStructs(schedule);
    auto rate =
        schema::CreateSchedule(b, text("the learning rate"), scheduleRole, nodes, scheduleLocation);
    auto schedules = b.CreateVector(&rate, 1);
    schema::FinishProgramBuffer(b, schema::CreateProgram(b, producer, method, target, batch, world,
                                                         params, a, bu, s, k, l, f, images, run,
                                                         epochs, peak, 0, schedules));
    return {reinterpret_cast<const char *>(b.GetBufferPointer()), b.GetSize()};
  }
};

/// The file around a program, with right sizes and checksums; `change` may spoil its header before
/// it is summed.
inline std::vector<std::byte> artifactOf(
    const std::string &program,
    const std::function<void(format::Header &, std::vector<format::Segment> &)> &change = {}) {
  std::string elf = "\x7f"
                    "ELF and so on",
              spec = "method Toy {}\n";
  auto align = [](uint64_t offset) { return (offset + 63) / 64 * 64; };
  format::Header header = {};
  header.magic = format::magic;
  header.major = format::schemaMajor;
  header.minor = format::schemaMinor;
  header.segmentCount = 2;
  header.headerBytes = sizeof(header) + 2 * sizeof(format::Segment) + 8;
  header.programOffset = align(header.headerBytes);
  header.programBytes = program.size();
  header.programChecksum = XXH64(program.data(), program.size(), 0);
  std::strcpy(header.producer.data(), "doppel test");
  std::vector<format::Segment> segments(2);
  uint64_t elfOffset = align(header.programOffset + program.size());
  uint64_t specOffset = align(elfOffset + elf.size());
  segments[0] = {1, 0, elfOffset, elf.size(), XXH64(elf.data(), elf.size(), 0)};
  segments[1] = {2, 0, specOffset, spec.size(), XXH64(spec.data(), spec.size(), 0)};
  header.fileBytes = specOffset + spec.size();
  std::vector<std::byte> file(header.fileBytes);
  uint64_t programOffset = header.programOffset;
  if (change)
    change(header, segments);
  std::memcpy(file.data(), &header, sizeof(header));
  std::memcpy(file.data() + sizeof(header), segments.data(), 2 * sizeof(format::Segment));
  uint64_t table = sizeof(header) + 2 * sizeof(format::Segment);
  uint64_t checksum = XXH64(file.data(), table, 0);
  std::memcpy(file.data() + table, &checksum, sizeof(checksum));
  std::memcpy(file.data() + programOffset, program.data(), program.size());
  std::memcpy(file.data() + elfOffset, elf.data(), elf.size());
  std::memcpy(file.data() + specOffset, spec.data(), spec.size());
  return file;
}

} // namespace doppel::runtime::test
