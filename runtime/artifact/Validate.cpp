// Looks at every element of a program once, in the order of the schema. What passes here can be run
// without another check of an index, an offset or a shape. CheckCalls.cpp has the operands of
// library operations.
#include "runtime/artifact/Validate.h"

#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/CheckCalls.h"
#include "runtime/core/Safetensors.h"
#include "runtime/core/Text.h"
#include "runtime/schema/Format.h"
#include "runtime/schema/Schedule.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace doppel::runtime {

namespace {

using flatbuffers::Vector;

/// 2^46 bytes: above all memory there is, and sums of a few such numbers do not wrap.
constexpr uint64_t maxBytes = uint64_t(1) << 46;

class Validator {
public:
  explicit Validator(const schema::Program &program) : program(program) {}

  Result<void> run() {
    DOPPEL_CHECK(checkPresence());
    DOPPEL_CHECK(checkArenas());
    DOPPEL_CHECK(checkBuffers());
    DOPPEL_CHECK(checkLocations());
    DOPPEL_CHECK(checkStates());
    DOPPEL_CHECK(checkKernels());
    DOPPEL_CHECK(checkFunctions());
    DOPPEL_CHECK(checkSchedules());
    return checkProgram();
  }

private:
  Result<void> checkPresence();
  Result<void> checkArenas();
  Result<void> checkBuffers();
  Result<void> checkLocations();
  Result<void> checkStates();
  Result<void> checkKernels();
  Result<void> checkFunctions();
  Result<void> checkSchedules();
  Result<void> checkIo();
  Result<void> checkProgram();

  Result<void> checkInstruction(const schema::Instruction &instruction, const std::string &where);
  Result<void> checkLaunch(const schema::Launch &launch, const std::string &where);
  Result<void> checkCollective(const schema::Collective &collective, const std::string &where);
  Result<void> checkNamed(const Vector<flatbuffers::Offset<schema::NamedBuffer>> &named,
                          const std::string &where);

  /// An index into `buffers`; where `aligned`, the buffer is one that kernels and libraries touch.
  Result<void> checkBuffer(uint32_t index, const std::string &where, bool aligned = true);
  Result<void> checkWritable(uint32_t index, const std::string &where);

  const schema::Buffer &buffer(uint32_t index) const { return *program.buffers()->Get(index); }
  schema::ArenaKind arenaOf(uint32_t index) const {
    return program.arenas()->Get(buffer(index).arena())->kind();
  }

  const schema::Program &program;
  std::vector<uint64_t> bytes; ///< of each buffer
};

template <typename Enum> bool known(Enum value, Enum last) {
  return uint32_t(value) > 0 && uint32_t(value) <= uint32_t(last);
}

/// Whether a name can be printed, written as JSON and handed to the linker as it is.
bool isName(std::string_view name) {
  return !name.empty() && isUtf8(name) && printable(name) == name;
}

/// Fails unless all names are there, are text and differ.
template <typename Items, typename Name>
Result<void> checkNames(const Items &items, std::string_view what, Name nameOf) {
  std::unordered_set<std::string_view> names;
  for (uint32_t i = 0; i < items.size(); ++i) {
    const flatbuffers::String *name = nameOf(items.Get(i));
    if (!name || name->size() == 0)
      return fail("{}[{}] has no name", what, i);
    if (!isName(name->string_view()))
      return fail("{}[{}]: its name '{}' is no UTF-8 or has control characters", what, i,
                  printable(name->string_view()));
    if (!names.insert(name->string_view()).second)
      return fail("{}[{}] is a second '{}'", what, i, name->string_view());
  }
  return {};
}

Result<void> Validator::checkPresence() {
  auto check = [](const void *field, const char *name) -> Result<void> {
    if (!field)
      return fail("program.{} is missing", name);
    return {};
  };
  DOPPEL_CHECK(check(program.producer(), "producer"));
  DOPPEL_CHECK(check(program.method(), "method"));
  DOPPEL_CHECK(check(program.target(), "target"));
  DOPPEL_CHECK(check(program.params(), "params"));
  DOPPEL_CHECK(check(program.arenas(), "arenas"));
  DOPPEL_CHECK(check(program.buffers(), "buffers"));
  DOPPEL_CHECK(check(program.states(), "states"));
  DOPPEL_CHECK(check(program.kernels(), "kernels"));
  DOPPEL_CHECK(check(program.locations(), "locations"));
  DOPPEL_CHECK(check(program.functions(), "functions"));
  const schema::Target &target = *program.target();
  DOPPEL_CHECK(check(target.kind(), "target.kind"));
  DOPPEL_CHECK(check(target.name(), "target.name"));
  DOPPEL_CHECK(check(target.features(), "target.features"));
  for (auto [text, name] : {std::pair(program.producer(), "producer"),
                            {program.method(), "method"},
                            {target.kind(), "target.kind"},
                            {target.name(), "target.name"}})
    if (!isUtf8(text->string_view()))
      return fail("program.{} '{}' is no UTF-8", name, printable(text->string_view()));
  for (uint32_t i = 0; i < program.params()->size(); ++i) {
    const schema::Param &param = *program.params()->Get(i);
    if (!param.name() || !param.type() || !param.value() || !param.doc())
      return fail("params[{}] lacks its name, type, value or doc", i);
  }
  return checkNames(*program.params(), "params", [](auto *param) { return param->name(); });
}

Result<void> Validator::checkArenas() {
  DOPPEL_CHECK(checkNames(*program.arenas(), "arenas", [](auto *arena) { return arena->name(); }));
  std::set<schema::ArenaKind> kinds;
  for (uint32_t i = 0; i < program.arenas()->size(); ++i) {
    const schema::Arena &arena = *program.arenas()->Get(i);
    if (!known(arena.kind(), schema::ArenaKind::Io))
      return fail("arenas[{}].kind {} is not known", i, uint32_t(arena.kind()));
    if (!kinds.insert(arena.kind()).second)
      return fail("arenas[{}] is a second arena of its kind", i);
    if (arena.bytes() > maxBytes || arena.bytes() % format::alignment != 0)
      return fail("arenas[{}].bytes {} is too much or no multiple of {}", i, arena.bytes(),
                  format::alignment);
  }
  if (kinds.size() != 3)
    return fail("arenas: there must be one of each kind, not {}", kinds.size());
  return {};
}

Result<void> Validator::checkBuffers() {
  for (uint32_t i = 0; i < program.buffers()->size(); ++i) {
    const schema::Buffer &buffer = *program.buffers()->Get(i);
    if (buffer.arena() >= program.arenas()->size())
      return fail("buffers[{}].arena {} exceeds the {} arenas", i, buffer.arena(),
                  program.arenas()->size());
    if (!known(buffer.dtype(), schema::DType::RunScalars))
      return fail("buffers[{}].dtype {} is not known", i, uint32_t(buffer.dtype()));
    if (!buffer.shape())
      return fail("buffers[{}] has no shape", i);
    if (!isAligned(*buffer.shape()))
      return fail("buffers[{}].shape is misaligned", i);
    uint64_t size = elementBytes(buffer.dtype());
    for (int64_t extent : *buffer.shape()) {
      if (extent <= 0 || uint64_t(extent) > maxBytes / size)
        return fail("buffers[{}]: its shape has the extent {} and overflows", i, extent);
      size *= uint64_t(extent);
    }
    const schema::Arena &arena = *program.arenas()->Get(buffer.arena());
    if (buffer.offset() > arena.bytes() || size > arena.bytes() - buffer.offset())
      return fail("buffers[{}].offset {} + {} exceeds arena '{}' of {}", i, buffer.offset(), size,
                  arena.name()->string_view(), arena.bytes());
    uint64_t element = std::min<uint64_t>(elementBytes(buffer.dtype()), 8);
    if (buffer.offset() % element != 0)
      return fail("buffers[{}].offset {} is no multiple of its element's {} bytes", i,
                  buffer.offset(), element);
    bool host =
        buffer.dtype() == schema::DType::ImageRef || buffer.dtype() == schema::DType::RunScalars;
    if (host && arena.kind() != schema::ArenaKind::Io)
      return fail("buffers[{}] holds what only the host writes, outside of the io arena", i);
    bytes.push_back(size);
  }
  return {};
}

Result<void> Validator::checkLocations() {
  for (uint32_t i = 0; i < program.locations()->size(); ++i) {
    const schema::Location &location = *program.locations()->Get(i);
    if (!location.file() || !location.expression())
      return fail("locations[{}] lacks its file or expression", i);
  }
  return {};
}

Result<void> Validator::checkBuffer(uint32_t index, const std::string &where, bool aligned) {
  if (index >= bytes.size())
    return fail("{}: buffer {} exceeds the {} buffers", where, index, bytes.size());
  if (aligned && buffer(index).offset() % format::alignment != 0)
    return fail("{}: buffers[{}].offset {} is no multiple of {}", where, index,
                buffer(index).offset(), format::alignment);
  return {};
}

Result<void> Validator::checkWritable(uint32_t index, const std::string &where) {
  if (arenaOf(index) == schema::ArenaKind::Io)
    return fail("{}: writes buffers[{}], which is the host's", where, index);
  return {};
}

Result<void> Validator::checkStates() {
  DOPPEL_CHECK(checkNames(*program.states(), "states", [](auto *state) { return state->name(); }));
  struct Place {
    uint64_t begin, end;
    std::string_view name;
  };
  std::vector<Place> places;
  for (uint32_t i = 0; i < program.states()->size(); ++i) {
    const schema::State &state = *program.states()->Get(i);
    std::string where = fmt::format("states[{}] ('{}')", i, state.name()->string_view());
    if (state.name()->string_view() == kMetadata)
      return fail("{}: checkpoints keep their metadata under that name", where);
    if (!known(state.kind(), schema::StateKind::Other))
      return fail("{}: kind {} is not known", where, uint32_t(state.kind()));
    DOPPEL_CHECK(checkBuffer(state.buffer(), where));
    if (arenaOf(state.buffer()) != schema::ArenaKind::State)
      return fail("{}: buffers[{}] is not in the state arena", where, state.buffer());
    if (state.location() >= program.locations()->size())
      return fail("{}: location {} exceeds the {} locations", where, state.location(),
                  program.locations()->size());
    uint64_t begin = buffer(state.buffer()).offset();
    places.push_back({begin, begin + bytes[state.buffer()], state.name()->string_view()});
  }
  std::ranges::sort(places, {}, &Place::begin);
  for (size_t i = 1; i < places.size(); ++i)
    if (places[i].begin < places[i - 1].end)
      return fail("states '{}' and '{}' overlap", places[i - 1].name, places[i].name);
  return {};
}

Result<void> Validator::checkKernels() {
  DOPPEL_CHECK(
      checkNames(*program.kernels(), "kernels", [](auto *kernel) { return kernel->symbol(); }));
  for (uint32_t i = 0; i < program.kernels()->size(); ++i) {
    const schema::Kernel &kernel = *program.kernels()->Get(i);
    if (!known(kernel.kind(), schema::KernelKind::Augment))
      return fail("kernels[{}].kind {} is not known", i, uint32_t(kernel.kind()));
    if (kernel.grid() == 0 || kernel.grid() > maxBytes)
      return fail("kernels[{}].grid {} is out of range", i, kernel.grid());
    if (kernel.scratch_bytes() > maxBytes)
      return fail("kernels[{}].scratch_bytes {} is out of range", i, kernel.scratch_bytes());
  }
  return {};
}

Result<void> Validator::checkLaunch(const schema::Launch &launch, const std::string &where) {
  if (launch.kernel() >= program.kernels()->size())
    return fail("{}: kernel {} exceeds the {} kernels", where, launch.kernel(),
                program.kernels()->size());
  if (!launch.buffers() || launch.outputs() == 0 || launch.outputs() > launch.buffers()->size())
    return fail("{}: {} outputs of {} buffers", where, launch.outputs(),
                launch.buffers() ? launch.buffers()->size() : 0);
  uint32_t inputs = launch.buffers()->size() - launch.outputs();
  for (uint32_t i = 0; i < launch.buffers()->size(); ++i) {
    DOPPEL_CHECK(checkBuffer(launch.buffers()->Get(i), where));
    if (i >= inputs)
      DOPPEL_CHECK(checkWritable(launch.buffers()->Get(i), where));
  }
  return {};
}

Result<void> Validator::checkCollective(const schema::Collective &collective,
                                        const std::string &where) {
  if (!known(collective.kind(), schema::CollectiveKind::ReduceScatterSum))
    return fail("{}: kind {} is not known", where, uint32_t(collective.kind()));
  DOPPEL_CHECK(checkBuffer(collective.input(), where));
  DOPPEL_CHECK(checkBuffer(collective.output(), where));
  DOPPEL_CHECK(checkWritable(collective.output(), where));
  if (buffer(collective.input()).dtype() != buffer(collective.output()).dtype())
    return fail("{}: dtypes of input and output differ", where);
  uint64_t in = bytes[collective.input()], out = bytes[collective.output()];
  if (collective.kind() == schema::CollectiveKind::AllGather)
    in *= program.world();
  if (collective.kind() == schema::CollectiveKind::ReduceScatterSum)
    out *= program.world();
  if (in != out)
    return fail("{}: {} bytes in do not make {} bytes out of {} ranks", where,
                bytes[collective.input()], bytes[collective.output()], program.world());
  return {};
}

Result<void> Validator::checkInstruction(const schema::Instruction &instruction,
                                         const std::string &where) {
  if (instruction.location() >= program.locations()->size())
    return fail("{}: location {} exceeds the {} locations", where, instruction.location(),
                program.locations()->size());
  if (instruction.origin() && *instruction.origin() >= program.locations()->size())
    return fail("{}: origin {} exceeds the {} locations", where, *instruction.origin(),
                program.locations()->size());
  if (!instruction.operation())
    return fail("{} has no operation", where);
  switch (instruction.operation_type()) {
  case schema::Operation::Launch:
    return checkLaunch(*instruction.operation_as_Launch(), where + " (launch)");
  case schema::Operation::Call: {
    const schema::Call &call = *instruction.operation_as_Call();
    std::string here = where + " (call)";
    if (!call.inputs() || !call.outputs() || !call.ints())
      return fail("{} lacks its inputs, outputs or ints", here);
    for (uint32_t index : *call.inputs())
      DOPPEL_CHECK(checkBuffer(index, here));
    for (uint32_t index : *call.outputs()) {
      DOPPEL_CHECK(checkBuffer(index, here));
      DOPPEL_CHECK(checkWritable(index, here));
    }
    return checkCall(program, call, here);
  }
  case schema::Operation::Copy: {
    const schema::Copy &copy = *instruction.operation_as_Copy();
    std::string here = where + " (copy)";
    DOPPEL_CHECK(checkBuffer(copy.source(), here, /*aligned=*/false));
    DOPPEL_CHECK(checkBuffer(copy.target(), here, /*aligned=*/false));
    DOPPEL_CHECK(checkWritable(copy.target(), here));
    if (bytes[copy.source()] != bytes[copy.target()])
      return fail("{}: {} bytes to {}", here, bytes[copy.source()], bytes[copy.target()]);
    return {};
  }
  case schema::Operation::Collective:
    return checkCollective(*instruction.operation_as_Collective(), where + " (collective)");
  case schema::Operation::Check: {
    const schema::Check &check = *instruction.operation_as_Check();
    std::string here = where + " (check)";
    DOPPEL_CHECK(checkBuffer(check.buffer(), here));
    schema::DType type = buffer(check.buffer()).dtype();
    if (type != schema::DType::F32)
      return fail("{}: buffers[{}] holds {}, but what is checked is F32", here, check.buffer(),
                  schema::EnumNameDType(type));
    if (!check.what() || !isUtf8(check.what()->string_view()))
      return fail("{} has no name, or one that is no UTF-8", here);
    return {};
  }
  case schema::Operation::NONE:
    break;
  }
  return fail("{}: operation {} is not known", where, uint32_t(instruction.operation_type()));
}

Result<void> Validator::checkNamed(const Vector<flatbuffers::Offset<schema::NamedBuffer>> &named,
                                   const std::string &where) {
  DOPPEL_CHECK(checkNames(named, where, [](auto *item) { return item->name(); }));
  for (uint32_t i = 0; i < named.size(); ++i)
    DOPPEL_CHECK(checkBuffer(named.Get(i)->buffer(), fmt::format("{}[{}]", where, i)));
  return {};
}

Result<void> Validator::checkFunctions() {
  DOPPEL_CHECK(checkNames(*program.functions(), "functions",
                          [](auto *function) { return function->name(); }));
  for (const schema::Function *function : *program.functions()) {
    std::string name = "@" + function->name()->str();
    if (!function->instructions() || !function->inputs() || !function->outputs())
      return fail("{} lacks its instructions, inputs or outputs", name);
    uint32_t collectives = 0;
    for (uint32_t i = 0; i < function->instructions()->size(); ++i) {
      const schema::Instruction &instruction = *function->instructions()->Get(i);
      DOPPEL_CHECK(checkInstruction(instruction, fmt::format("{}.instructions[{}]", name, i)));
      if (auto *collective = instruction.operation_as_Collective()) {
        if (collective->order() != collectives)
          return fail("{}.instructions[{}]: it has the number {}, but is collective {} of {}", name,
                      i, collective->order(), collectives, name);
        ++collectives;
      }
    }
    DOPPEL_CHECK(checkNamed(*function->inputs(), name + ".inputs"));
    DOPPEL_CHECK(checkNamed(*function->outputs(), name + ".outputs"));
    for (const schema::NamedBuffer *input : *function->inputs())
      if (arenaOf(input->buffer()) != schema::ArenaKind::Io)
        return fail("{}.inputs: '{}' is not in the io arena", name, input->name()->string_view());
  }
  return {};
}

Result<void> Validator::checkSchedules() {
  if (!program.schedules())
    return {};
  for (uint32_t i = 0; i < program.schedules()->size(); ++i) {
    const schema::Schedule &schedule = *program.schedules()->Get(i);
    std::string where = fmt::format("schedules[{}]", i);
    if (!schedule.what() || !schedule.nodes() || schedule.nodes()->size() == 0)
      return fail("{} lacks its name or nodes", where);
    if (!known(schedule.role(), schema::ScheduleRole::Fraction))
      return fail("{}.role {} is not known", where, uint32_t(schedule.role()));
    if (!isAligned(*schedule.nodes()))
      return fail("{}.nodes is misaligned", where);
    if (schedule.location() >= program.locations()->size())
      return fail("{}: location {} exceeds the {} locations", where, schedule.location(),
                  program.locations()->size());
    for (uint32_t n = 0; n < schedule.nodes()->size(); ++n) {
      const schema::ScheduleNode &node = *schedule.nodes()->Get(n);
      std::optional<int> operands = schedule::operandCount(node.op());
      if (!operands)
        return fail("{}.nodes[{}].op {} is not known", where, n, uint32_t(node.op()));
      if (node.location() >= program.locations()->size())
        return fail("{}.nodes[{}]: location {} exceeds the {} locations", where, n, node.location(),
                    program.locations()->size());
      std::array<uint32_t, 3> all{node.a(), node.b(), node.c()};
      for (int operand = 0; operand < *operands; ++operand)
        if (all[size_t(operand)] >= n)
          return fail("{}.nodes[{}]: operand {} is no node before it", where, n,
                      all[size_t(operand)]);
    }
  }
  return {};
}

/// The host writes each of these whole: none may lie in another.
Result<void> Validator::checkIo() {
  std::map<uint32_t, std::string> written = {{program.images(), "images"}, {program.run(), "run"}};
  for (const schema::Function *function : *program.functions())
    for (const schema::NamedBuffer *input : *function->inputs())
      written.emplace(input->buffer(),
                      fmt::format("@{}.inputs '{}'", function->name()->string_view(),
                                  input->name()->string_view()));
  std::vector<std::pair<uint64_t, uint32_t>> places; // by offset
  for (const auto &[index, name] : written)
    places.emplace_back(buffer(index).offset(), index);
  std::ranges::sort(places);
  for (size_t i = 1; i < places.size(); ++i) {
    auto [before, first] = places[i - 1];
    if (places[i].first < before + bytes[first])
      return fail("io: {} (buffers[{}]) and {} (buffers[{}]) overlap", written[first], first,
                  written[places[i].second], places[i].second);
  }
  return {};
}

Result<void> Validator::checkProgram() {
  if (program.world() == 0 || program.batch() <= 0 || program.batch() % program.world() != 0)
    return fail("batch {} is not positive or no multiple of world {}", program.batch(),
                program.world());
  if (program.epochs() < 0)
    return fail("epochs {} is negative", program.epochs());
  if (program.samples() < 0)
    return fail("samples {} is negative", program.samples());
  DOPPEL_CHECK(checkBuffer(program.images(), "images"));
  DOPPEL_CHECK(checkBuffer(program.run(), "run"));
  const schema::Buffer &images = buffer(program.images()), &run = buffer(program.run());
  int64_t local = program.batch() / program.world();
  if (images.dtype() != schema::DType::ImageRef || images.shape()->size() != 1 ||
      images.shape()->Get(0) != local)
    return fail("images: buffers[{}] is no list of {} images", program.images(), local);
  if (run.dtype() != schema::DType::RunScalars || bytes[program.run()] != 40)
    return fail("run: buffers[{}] does not hold one run's scalars", program.run());
  DOPPEL_CHECK(checkIo());
  uint64_t peak = 0;
  for (const schema::Arena *arena : *program.arenas())
    if (arena->kind() != schema::ArenaKind::Io)
      peak += arena->bytes();
  if (program.peak_bytes() != peak)
    return fail("peak_bytes is {}, the arenas have {}", program.peak_bytes(), peak);
  if (program.target()->kind()->string_view() != "cpu")
    return fail("target.kind '{}' is not known to this program",
                program.target()->kind()->string_view());
  return {};
}

} // namespace

Result<void> validateProgram(const schema::Program &program) { return Validator(program).run(); }

} // namespace doppel::runtime
