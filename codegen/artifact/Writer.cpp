// One table of the schema for each operation of `plan`; indices are positions in the module.
// Nothing here depends on time, on addresses or on the order of a hash table, so equal modules give
// equal bytes.
#include "codegen/artifact/Writer.h"

#include "codegen/artifact/Locations.h"
#include "dialects/plan/Target.h"
#include "runtime/schema/Abi.h"
#include "runtime/schema/Format.h"
#include "runtime/schema/program_generated.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cstring>
#include <map>
#include <numeric>
#include <xxhash.h>

using namespace mlir;

namespace doppel {

namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

// The dialects' enums have the schema's numbers, and so have the file's segments.
static_assert(uint32_t(format::SegmentKind::Elf) == uint32_t(schema::CodeKind::Elf) &&
              uint32_t(format::SegmentKind::Cubin) == uint32_t(schema::CodeKind::Cubin));
static_assert(uint32_t(plan::ArenaKind::Io) == uint32_t(schema::ArenaKind::Io) &&
              uint32_t(plan::LibraryOp::Gemm) == uint32_t(schema::LibraryOp::Gemm) &&
              uint32_t(nn::Precision::BF16) == uint32_t(schema::Precision::BF16) &&
              uint32_t(nn::Precision::TF32) == uint32_t(schema::Precision::TF32) &&
              uint32_t(plan::LibraryOp::MaxPool2D) == uint32_t(schema::LibraryOp::MaxPool2D) &&
              uint32_t(plan::CollectiveKind::AllReduceMax) ==
                  uint32_t(schema::CollectiveKind::AllReduceMax) &&
              uint32_t(plan::CollectiveKind::ReduceScatterSum) ==
                  uint32_t(schema::CollectiveKind::ReduceScatterSum) &&
              uint32_t(nn::StateKind::Other) == uint32_t(schema::StateKind::Other) &&
              uint32_t(nn::StateKind::Ema) == uint32_t(schema::StateKind::Ema) &&
              uint32_t(nn::KernelKind::Augment) == uint32_t(schema::KernelKind::Augment) &&
              uint32_t(nn::KernelKind::Segment) == uint32_t(schema::KernelKind::Segment));

std::optional<schema::DType> dtypeOf(Type element) {
  if (element.isF32())
    return schema::DType::F32;
  if (element.isF64())
    return schema::DType::F64;
  if (element.isBF16())
    return schema::DType::BF16;
  if (element.isInteger(64))
    return schema::DType::I64;
  if (element.isInteger(32))
    return schema::DType::I32;
  if (element.isInteger(8))
    return schema::DType::U8;
  if (element.isInteger(1))
    return schema::DType::Bool;
  return std::nullopt;
}

class ProgramWriter {
public:
  ProgramWriter(ModuleOp module, const ArtifactParts &parts) : module(module), parts(parts) {}

  /// The FlatBuffer's bytes.
  FailureOr<std::string> write();

private:
  template <typename T> auto vectorOf(const std::vector<T> &items) {
    return builder.CreateVector(items);
  }
  Offset<flatbuffers::String> text(StringRef value) {
    return builder.CreateString(value.data(), value.size());
  }

  FailureOr<uint32_t> bufferIndex(StringRef arena, int64_t offset, Type value, Location location);
  FailureOr<uint32_t> bufferIndex(Value buffer);
  FailureOr<std::vector<uint32_t>> bufferIndices(ValueRange buffers);
  uint32_t locationIndex(Location location, StringRef fallback);
  LogicalResult writeFunction(plan::FuncOp function);
  LogicalResult writeInstruction(Operation *op, std::vector<Offset<schema::Instruction>> &list);
  FailureOr<Offset<schema::NamedBuffer>> named(StringRef name, Value buffer);
  std::string summaryOf(Operation *op);
  Offset<flatbuffers::Vector<Offset<schema::Param>>> writeParams();
  Offset<flatbuffers::Vector<Offset<schema::Schedule>>> writeSchedules();
  FailureOr<Offset<flatbuffers::Vector<Offset<schema::CodeSet>>>> writeCode(size_t kernels);
  Offset<schema::Target> writeTarget(plan::TargetAttr target);

  ModuleOp module;
  const ArtifactParts &parts;
  FlatBufferBuilder builder{1 << 16};
  llvm::StringMap<uint32_t> arenaIndex, kernelIndex;
  llvm::StringMap<std::string> kernelSummary;
  std::map<std::tuple<uint32_t, int64_t, const void *>, uint32_t> bufferIndexOf;
  std::map<SpecLocation, uint32_t> locationIndexOf;
  std::vector<Offset<schema::Buffer>> buffers;
  std::vector<Offset<schema::Location>> locations;
  std::vector<Offset<schema::Function>> functions;
};

FailureOr<uint32_t> ProgramWriter::bufferIndex(StringRef arena, int64_t offset, Type value,
                                               Location location) {
  uint32_t in = arenaIndex.lookup(arena);
  auto [entry, added] =
      bufferIndexOf.try_emplace({in, offset, value.getAsOpaquePointer()}, buffers.size());
  if (!added)
    return entry->second;
  schema::DType dtype = schema::DType::RunScalars;
  std::vector<int64_t> shape;
  if (auto images = dyn_cast<nn::ImagesType>(value)) {
    dtype = schema::DType::ImageRef;
    shape = {images.getBatch()};
  } else if (auto tensor = dyn_cast<RankedTensorType>(value)) {
    std::optional<schema::DType> known = dtypeOf(tensor.getElementType());
    if (!known)
      return emitError(location) << "an artifact cannot hold elements of type "
                                 << tensor.getElementType();
    dtype = *known;
    shape.assign(tensor.getShape().begin(), tensor.getShape().end());
  }
  buffers.push_back(schema::CreateBuffer(builder, in, offset, dtype, vectorOf(shape)));
  return entry->second;
}

FailureOr<uint32_t> ProgramWriter::bufferIndex(Value buffer) {
  auto placed = buffer.getDefiningOp<plan::BufferOp>();
  if (!placed)
    return emitError(buffer.getLoc()) << "a buffer has no place in an arena yet: run plan-memory";
  return bufferIndex(placed.getArena(), placed.getOffset(), placed.getType().getValue(),
                     buffer.getLoc());
}

FailureOr<std::vector<uint32_t>> ProgramWriter::bufferIndices(ValueRange values) {
  std::vector<uint32_t> indices;
  for (Value value : values) {
    FailureOr<uint32_t> index = bufferIndex(value);
    if (failed(index))
      return failure();
    indices.push_back(*index);
  }
  return indices;
}

uint32_t ProgramWriter::locationIndex(Location location, StringRef fallback) {
  SpecLocation described = describeLocation(location, fallback);
  auto [entry, added] = locationIndexOf.try_emplace(described, locations.size());
  if (added)
    locations.push_back(schema::CreateLocation(builder, text(described.file), described.line,
                                               described.column, text(described.expression)));
  return entry->second;
}

/// What an instruction computes, for one whose location has no name: "exp, mul, sum" of a kernel,
/// or the library's operation.
std::string ProgramWriter::summaryOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::string>(op)
      .Case([&](plan::LaunchOp launch) { return kernelSummary.lookup(launch.getKernel()); })
      .Case([&](plan::CallOp call) { return stringifyLibraryOp(call.getCallee()).str(); })
      .Case([&](plan::CollectiveStartOp start) {
        return stringifyCollectiveKind(start.getKind()).str();
      })
      .Case([&](plan::CollectiveWaitOp) { return "wait"; })
      .Default([&](Operation *) { return op->getName().stripDialect().str(); });
}

std::string summarize(plan::KernelOp kernel) {
  std::string text;
  int count = 0;
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    if (isa<nn::ConstantOp, nn::BroadcastOp, nn::ReshapeOp>(op))
      continue;
    if (++count > 6)
      return text + ", ...";
    text += (text.empty() ? "" : ", ") + op.getName().stripDialect().str();
  }
  return text.empty() ? stringifyKernelKind(kernel.getKind()).str() : text;
}

LogicalResult ProgramWriter::writeInstruction(Operation *op,
                                              std::vector<Offset<schema::Instruction>> &list) {
  uint32_t location = locationIndex(op->getLoc(), summaryOf(op));
  flatbuffers::Optional<uint32_t> origin;
  if (std::optional<Location> made = originOf(op->getLoc()))
    origin = locationIndex(*made, "");
  auto add = [&](schema::Operation type, Offset<void> operation) {
    list.push_back(schema::CreateInstruction(builder, type, operation, location, origin));
    return success();
  };
  auto each = [&](ValueRange values, auto use) -> LogicalResult {
    FailureOr<std::vector<uint32_t>> indices = bufferIndices(values);
    return failed(indices) ? failure() : use(*indices);
  };
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](plan::LaunchOp launch) {
        SmallVector<Value> all(launch.getInputs());
        llvm::append_range(all, launch.getOutputs());
        return each(all, [&](const std::vector<uint32_t> &indices) {
          auto table = schema::CreateLaunch(builder, kernelIndex.lookup(launch.getKernel()),
                                            vectorOf(indices), launch.getOutputs().size());
          return add(schema::Operation::Launch, table.Union());
        });
      })
      .Case([&](plan::CallOp call) {
        return each(call.getInputs(), [&](const std::vector<uint32_t> &inputs) {
          return each(call.getOutputs(), [&](const std::vector<uint32_t> &outputs) {
            auto in = vectorOf(inputs);
            auto out = vectorOf(outputs);
            auto ints = vectorOf(std::vector<int64_t>(call.getInts()));
            auto op = schema::LibraryOp(uint32_t(call.getCallee()));
            auto precision = schema::Precision(uint32_t(call.getPrecision()));
            return add(schema::Operation::Call,
                       schema::CreateCall(builder, op, in, out, ints, precision).Union());
          });
        });
      })
      .Case([&](plan::CopyOp copy) {
        return each({copy.getSource(), copy.getTarget()}, [&](const std::vector<uint32_t> &ends) {
          return add(schema::Operation::Copy,
                     schema::CreateCopy(builder, ends[0], ends[1]).Union());
        });
      })
      .Case([&](plan::CollectiveStartOp op) {
        return each({op.getInput(), op.getOutput()}, [&](const std::vector<uint32_t> &ends) {
          auto kind = schema::CollectiveKind(uint32_t(op.getKind()));
          return add(schema::Operation::CollectiveStart,
                     schema::CreateCollectiveStart(builder, kind, ends[0], ends[1], op.getOrder())
                         .Union());
        });
      })
      .Case([&](plan::CollectiveWaitOp op) {
        return add(schema::Operation::CollectiveWait,
                   schema::CreateCollectiveWait(builder, op.getOrder()).Union());
      })
      .Case([&](plan::CheckOp check) {
        return each(check.getBuffer(), [&](const std::vector<uint32_t> &indices) {
          auto table = schema::CreateCheck(builder, indices[0], text(check.getWhat()));
          return add(schema::Operation::Check, table.Union());
        });
      })
      .Default([&](Operation *) { return op->emitOpError("has no form in an artifact"); });
}

FailureOr<Offset<schema::NamedBuffer>> ProgramWriter::named(StringRef name, Value buffer) {
  FailureOr<uint32_t> index = bufferIndex(buffer);
  if (failed(index))
    return failure();
  return schema::CreateNamedBuffer(builder, text(name), *index);
}

LogicalResult ProgramWriter::writeFunction(plan::FuncOp function) {
  std::vector<Offset<schema::Instruction>> instructions;
  std::vector<Offset<schema::NamedBuffer>> inputs, outputs;
  std::optional<uint32_t> commit;
  auto name = [&](auto op, auto &list) -> LogicalResult {
    auto entry = named(op.getName(), op.getBuffer());
    if (succeeded(entry))
      list.push_back(*entry);
    return entry;
  };
  for (Operation &op : function.getBody().front()) {
    if (isa<plan::BufferOp>(op))
      continue;
    LogicalResult written =
        llvm::TypeSwitch<Operation *, LogicalResult>(&op)
            .Case([&](plan::InputOp input) { return name(input, inputs); })
            .Case([&](plan::OutputOp output) { return name(output, outputs); })
            .Case([&](plan::CommitOp) { return commit = instructions.size(), success(); })
            .Default([&](Operation *) { return writeInstruction(&op, instructions); });
    if (failed(written))
      return failure();
  }
  auto symbol = text(function.getSymName());
  auto code = vectorOf(instructions);
  auto in = vectorOf(inputs);
  auto out = vectorOf(outputs);
  functions.push_back(
      schema::CreateFunction(builder, symbol, code, in, out, commit.value_or(instructions.size())));
  return success();
}

/// A param is its value as text, or a dictionary of type, value and doc.
Offset<flatbuffers::Vector<Offset<schema::Param>>> ProgramWriter::writeParams() {
  std::vector<Offset<schema::Param>> params;
  if (auto dictionary = module->getAttrOfType<DictionaryAttr>("nn.params"))
    for (NamedAttribute param : dictionary) {
      auto field = [&](StringRef key) -> std::string {
        auto fields = dyn_cast<DictionaryAttr>(param.getValue());
        auto value = fields ? fields.getAs<StringAttr>(key) : StringAttr();
        if (!fields && key == "value")
          value = dyn_cast<StringAttr>(param.getValue());
        return value ? value.str() : "";
      };
      auto name = text(param.getName().strref());
      auto type = text(field("type")), value = text(field("value")), doc = text(field("doc"));
      params.push_back(schema::CreateParam(builder, name, type, value, doc));
    }
  return vectorOf(params);
}

Offset<flatbuffers::Vector<Offset<schema::Schedule>>> ProgramWriter::writeSchedules() {
  std::vector<Offset<schema::Schedule>> schedules;
  for (const MethodSchedule &schedule : parts.schedules) {
    std::vector<schema::ScheduleNode> nodes = schedule.nodes;
    for (schema::ScheduleNode &node : nodes)
      node = {node.op(),
              node.a(),
              node.b(),
              node.c(),
              locationIndex(schedule.locations[node.location()], ""),
              node.value()};
    auto what = text(schedule.what);
    auto list = builder.CreateVectorOfStructs(nodes);
    schedules.push_back(
        schema::CreateSchedule(builder, what, schedule.role, list, nodes.back().location()));
  }
  return vectorOf(schedules);
}

/// Segments stand in the file in the order of the sets and of their modules.
FailureOr<Offset<flatbuffers::Vector<Offset<schema::CodeSet>>>>
ProgramWriter::writeCode(size_t kernels) {
  std::vector<Offset<schema::CodeSet>> sets;
  uint32_t segment = 0;
  for (const KernelCode &code : parts.code) {
    std::vector<uint32_t> modules(code.modules.size());
    std::iota(modules.begin(), modules.end(), segment);
    segment += modules.size();
    std::vector<schema::Block> blocks = code.blocks;
    if (blocks.empty())
      blocks.assign(kernels, schema::Block(1, 0));
    if (blocks.size() != kernels || modules.size() != parts.code.front().modules.size())
      return module.emitError() << "code for " << blocks.size() << " kernels in " << modules.size()
                                << " modules does not fit " << kernels << " kernels in "
                                << parts.code.front().modules.size();
    auto architecture = text(code.architecture);
    auto moduleList = vectorOf(modules);
    auto blockList = builder.CreateVectorOfStructs(blocks);
    sets.push_back(schema::CreateCodeSet(builder, code.kind, architecture, moduleList, blockList));
  }
  return vectorOf(sets);
}

Offset<schema::Target> ProgramWriter::writeTarget(plan::TargetAttr target) {
  auto texts = [&](ArrayAttr array) {
    std::vector<Offset<flatbuffers::String>> list;
    if (array)
      for (StringRef value : array.getAsValueRange<StringAttr>())
        list.push_back(text(value));
    return vectorOf(list);
  };
  auto kind = text(target.getKind()), name = text(target.getName());
  auto features = texts(target.getFeatures()), architectures = texts(target.getArchitectures());
  return schema::CreateTarget(builder, kind, name, features, architectures,
                              target.getCheck() && target.getCheck().getValue());
}

FailureOr<std::string> ProgramWriter::write() {
  std::vector<Offset<schema::Arena>> arenas;
  std::vector<Offset<schema::State>> states;
  std::vector<Offset<schema::Kernel>> kernels;
  uint64_t peak = 0;
  for (auto arena : module.getOps<plan::ArenaOp>()) {
    arenaIndex[arena.getSymName()] = arenas.size();
    auto kind = schema::ArenaKind(uint32_t(arena.getKind()));
    arenas.push_back(
        schema::CreateArena(builder, text(arena.getSymName()), kind, arena.getBytes()));
    if (arena.getKind() != plan::ArenaKind::Io)
      peak += arena.getBytes();
  }
  if (arenas.size() != 3)
    return module.emitError() << "the module is not in the phase 'plan': it has " << arenas.size()
                              << " arenas instead of 3";
  for (auto state : module.getOps<plan::StateOp>()) {
    FailureOr<uint32_t> buffer =
        bufferIndex(plan::stateArena, state.getOffset(), state.getType(), state.getLoc());
    if (failed(buffer))
      return failure();
    uint32_t location = locationIndex(state.getLoc(), state.getSymName());
    states.push_back(schema::CreateState(builder, text(state.getSymName()),
                                         schema::StateKind(uint32_t(state.getKind())), *buffer,
                                         location));
  }
  for (auto kernel : module.getOps<plan::KernelOp>()) {
    uint32_t index = kernelIndex[kernel.getSymName()] = kernels.size();
    kernelSummary[kernel.getSymName()] = summarize(kernel);
    kernels.push_back(schema::CreateKernel(
        builder, text(kernel.getSymName()), schema::KernelKind(uint32_t(kernel.getKind())),
        kernel.getGrid(), kernel.getScratchBytes(),
        index < parts.kernelModules.size() ? parts.kernelModules[index] : 0));
  }
  for (auto function : module.getOps<plan::FuncOp>())
    if (failed(writeFunction(function)))
      return failure();

  auto integer = [&](StringRef name, int64_t fallback) {
    auto attribute = module->getAttrOfType<IntegerAttr>(name);
    return attribute ? attribute.getInt() : fallback;
  };
  // place-program puts one rank's images at the io arena's begin and the run's scalars behind them.
  int64_t world = nn::worldOf(module), batch = integer("nn.batch", world);
  auto images = nn::ImagesType::get(module.getContext(), batch / world);
  auto imagesIndex = bufferIndex(plan::ioArena, 0, images, module.getLoc());
  auto runIndex = bufferIndex(plan::ioArena, plan::alignUp(plan::bytesOf(images)),
                              plan::RunType::get(module.getContext()), module.getLoc());

  auto method = module->getAttrOfType<StringAttr>("nn.method");
  auto producer = text("doppel " DOPPEL_VERSION), name = text(method ? method.getValue() : "");
  plan::TargetAttr madeFor = plan::findTarget(module);
  if (!madeFor)
    return module.emitError() << "the module is not in the phase 'plan': it has no target";
  auto target = writeTarget(madeFor);
  auto code = writeCode(kernels.size());
  if (failed(code))
    return failure();
  auto image = schema::CreateImageInput(builder, text("image"), *imagesIndex, 3, 8);
  auto imageList = vectorOf(std::vector{image});
  auto params = writeParams();
  auto schedules = writeSchedules();
  auto arenaList = vectorOf(arenas);
  auto bufferList = vectorOf(buffers);
  auto stateList = vectorOf(states);
  auto kernelList = vectorOf(kernels);
  auto locationList = vectorOf(locations);
  auto functionList = vectorOf(functions);
  schema::FinishProgramBuffer(
      builder, schema::CreateProgram(builder, producer, name, target, batch, world, params,
                                     arenaList, bufferList, stateList, kernelList, locationList,
                                     functionList, imageList, *runIndex, integer("nn.epochs", 0),
                                     peak, integer("nn.samples", 0), schedules, *code,
                                     uint64_t(integer("nn.fingerprint", 0))));
  return std::string(reinterpret_cast<const char *>(builder.GetBufferPointer()), builder.GetSize());
}

} // namespace

FailureOr<std::string> serializeArtifact(ModuleOp module, const ArtifactParts &parts) {
  FailureOr<std::string> program = ProgramWriter(module, parts).write();
  if (failed(program))
    return failure();
  if (program->size() > format::maxProgramBytes)
    return module.emitError() << "the program has " << program->size() << " bytes, more than "
                              << format::maxProgramBytes;

  struct Content {
    format::SegmentKind kind;
    const std::string *bytes;
  };
  std::vector<Content> contents;
  for (const KernelCode &code : parts.code)
    for (const std::string &bytes : code.modules)
      contents.push_back({format::SegmentKind(uint32_t(code.kind)), &bytes});
  if (!parts.specSource.empty())
    contents.push_back({format::SegmentKind::SpecSource, &parts.specSource});

  auto align = [](uint64_t offset) {
    return (offset + format::alignment - 1) / format::alignment * format::alignment;
  };
  uint64_t table = sizeof(format::Header) + contents.size() * sizeof(format::Segment);
  format::Header header = {};
  header.magic = format::magic;
  header.headerBytes = table + sizeof(uint64_t);
  header.major = format::schemaMajor;
  header.minor = format::schemaMinor;
  header.programOffset = align(header.headerBytes);
  header.programBytes = program->size();
  header.programChecksum = XXH64(program->data(), program->size(), 0);
  header.segmentCount = contents.size();
  std::string_view("doppel " DOPPEL_VERSION)
      .copy(header.producer.data(), header.producer.size() - 1);

  std::vector<format::Segment> segments;
  uint64_t end = header.programOffset + program->size();
  for (const Content &content : contents) {
    uint64_t offset = align(end);
    segments.push_back({uint32_t(content.kind), 0, offset, content.bytes->size(),
                        XXH64(content.bytes->data(), content.bytes->size(), 0)});
    end = offset + content.bytes->size();
  }
  header.fileBytes = end;

  std::string file(end, '\0');
  std::memcpy(file.data(), &header, sizeof(header));
  std::memcpy(file.data() + sizeof(header), segments.data(),
              segments.size() * sizeof(format::Segment));
  uint64_t checksum = XXH64(file.data(), table, 0);
  std::memcpy(file.data() + table, &checksum, sizeof(checksum));
  program->copy(file.data() + header.programOffset, program->size());
  for (auto [segment, content] : llvm::zip(segments, contents))
    content.bytes->copy(file.data() + segment.offset, content.bytes->size());
  return file;
}

} // namespace doppel
