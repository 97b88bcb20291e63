// Looks at every element of a program once, in the order of the schema. What passes here can be run
// without another check of an index, an offset or a shape. CheckCalls.cpp has the operands of
// library operations.
#include "runtime/artifact/Validate.h"

#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/CheckCalls.h"
#include "runtime/core/Safetensors.h"
#include "runtime/core/Text.h"
#include "runtime/schema/Schedule.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace doppel::runtime {

namespace {

using flatbuffers::Vector;

/// 2^46 bytes: above all memory there is, and sums of a few such numbers do not wrap.
constexpr uint64_t maxBytes = uint64_t(1) << 46;

/// Collectives that are under way at once: above what helps, and every instruction is held against
/// each.
constexpr size_t maxOpenCollectives = 64;

/// Above what any GPU has: threads of a block, bytes that they share.
constexpr uint32_t maxThreads = 1024, maxShared = uint32_t(1) << 20;

class Validator {
public:
  Validator(const schema::Program &program, std::span<const format::Segment> segments)
      : program(program), segments(segments) {}

  Result<void> run() {
    DOPPEL_CHECK(checkPresence());
    DOPPEL_CHECK(checkArenas());
    DOPPEL_CHECK(checkBuffers());
    DOPPEL_CHECK(checkLocations());
    DOPPEL_CHECK(checkStates());
    DOPPEL_CHECK(checkKernels());
    DOPPEL_CHECK(checkCode());
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
  Result<void> checkCode();
  Result<void> checkCodeSet(const schema::CodeSet &set, const std::string &where);
  Result<void> checkFunctions();
  Result<void> checkSchedules();
  Result<void> checkImages();
  Result<void> checkIo();
  Result<void> checkProgram();

  Result<void> checkInstruction(const schema::Instruction &instruction, const std::string &where);
  Result<void> checkLaunch(const schema::Launch &launch, const std::string &where);
  Result<void> checkCollective(const schema::CollectiveStart &collective, const std::string &where);
  Result<void> checkCollectives(const schema::Function &function, const std::string &name);
  Result<void> checkCommit(const schema::Function &function, const std::string &name);
  Result<void> checkNamed(const Vector<flatbuffers::Offset<schema::NamedBuffer>> &named,
                          const std::string &where);

  /// An index into `buffers`; where `aligned`, the buffer is one that kernels and libraries touch.
  Result<void> checkBuffer(uint32_t index, const std::string &where, bool aligned = true);
  Result<void> checkWritable(uint32_t index, const std::string &where);

  const schema::Buffer &buffer(uint32_t index) const { return *program.buffers()->Get(index); }
  bool overlap(uint32_t a, uint32_t b) const {
    return buffer(a).arena() == buffer(b).arena() &&
           buffer(a).offset() < buffer(b).offset() + bytes[b] &&
           buffer(b).offset() < buffer(a).offset() + bytes[a];
  }
  bool sameBytes(uint32_t a, uint32_t b) const {
    return buffer(a).arena() == buffer(b).arena() && buffer(a).offset() == buffer(b).offset() &&
           bytes[a] == bytes[b];
  }
  schema::ArenaKind arenaOf(uint32_t index) const {
    return program.arenas()->Get(buffer(index).arena())->kind();
  }

  const schema::Program &program;
  std::span<const format::Segment> segments;
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
  DOPPEL_CHECK(check(target.architectures(), "target.architectures"));
  DOPPEL_CHECK(check(program.images(), "images"));
  DOPPEL_CHECK(check(program.code(), "code"));
  for (auto [text, name] : {std::pair(program.producer(), "producer"),
                            {program.method(), "method"},
                            {target.kind(), "target.kind"},
                            {target.name(), "target.name"}})
    if (!isUtf8(text->string_view()))
      return fail("program.{} '{}' is no UTF-8", name, printable(text->string_view()));
  for (const flatbuffers::String *architecture : *target.architectures())
    if (!isName(architecture->string_view()))
      return fail("program.target.architectures has '{}', which is no name",
                  printable(architecture->string_view()));
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
    if (!known(buffer.dtype(), schema::DType::BF16))
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

Result<void> Validator::checkCode() {
  std::set<std::pair<schema::CodeKind, std::string_view>> known;
  std::vector<bool> used(segments.size());
  for (uint32_t i = 0; i < program.code()->size(); ++i) {
    const schema::CodeSet &set = *program.code()->Get(i);
    std::string where = fmt::format("code[{}]", i);
    DOPPEL_CHECK(checkCodeSet(set, where));
    if (!known.emplace(set.kind(), set.architecture()->string_view()).second)
      return fail("{} is a second {} for '{}'", where, schema::EnumNameCodeKind(set.kind()),
                  set.architecture()->string_view());
    for (uint32_t segment : *set.modules()) {
      if (used[segment])
        return fail("{}: segments[{}] is another module too", where, segment);
      used[segment] = true;
    }
  }
  if (known.empty())
    return fail("code: there is none");
  for (uint32_t i = 0; i < segments.size(); ++i)
    if (!used[i] && segments[i].kind != uint32_t(format::SegmentKind::SpecSource))
      return fail("segments[{}] holds code that no kernel uses", i);
  for (uint32_t i = 0; i < program.kernels()->size(); ++i) {
    uint32_t module = program.kernels()->Get(i)->module_();
    uint32_t count = program.code()->Get(0)->modules()->size();
    if (module >= count)
      return fail("kernels[{}].module {} exceeds the {} modules", i, module, count);
  }
  return {};
}

Result<void> Validator::checkCodeSet(const schema::CodeSet &set, const std::string &where) {
  if (!known(set.kind(), schema::CodeKind::Cubin))
    return fail("{}.kind {} is not known", where, uint32_t(set.kind()));
  if (!set.architecture() || !set.modules() || !set.blocks())
    return fail("{} lacks its architecture, modules or blocks", where);
  // An ELF is for a processor, which the target describes.
  std::string_view architecture = set.architecture()->string_view();
  bool isElf = set.kind() == schema::CodeKind::Elf;
  if (isElf ? !architecture.empty() : !isName(architecture))
    return fail("{}: '{}' is no architecture of {}", where, printable(architecture),
                schema::EnumNameCodeKind(set.kind()));
  uint32_t count =
      program.code()->Get(0)->modules() ? program.code()->Get(0)->modules()->size() : 0;
  if (set.modules()->size() == 0 || set.modules()->size() > format::maxModules ||
      set.modules()->size() != count)
    return fail("{}: {} modules are none, more than {}, or not the {} of code[0]", where,
                set.modules()->size(), format::maxModules, count);
  for (uint32_t segment : *set.modules())
    if (segment >= segments.size() || segments[segment].kind != uint32_t(set.kind()))
      return fail("{}: segments[{}] is no {} segment", where, segment,
                  schema::EnumNameCodeKind(set.kind()));
  if (set.blocks()->size() != program.kernels()->size())
    return fail("{}: {} blocks for {} kernels", where, set.blocks()->size(),
                program.kernels()->size());
  for (uint32_t i = 0; i < set.blocks()->size(); ++i) {
    const schema::Block &block = *set.blocks()->Get(i);
    if (block.threads() == 0 || block.threads() > maxThreads || block.shared_bytes() > maxShared)
      return fail("{}.blocks[{}]: {} threads and {} shared bytes are out of range", where, i,
                  block.threads(), block.shared_bytes());
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

Result<void> Validator::checkCollective(const schema::CollectiveStart &collective,
                                        const std::string &where) {
  if (!known(collective.kind(), schema::CollectiveKind::ReduceScatterSum))
    return fail("{}: kind {} is not known", where, uint32_t(collective.kind()));
  DOPPEL_CHECK(checkBuffer(collective.input(), where));
  DOPPEL_CHECK(checkBuffer(collective.output(), where));
  DOPPEL_CHECK(checkWritable(collective.output(), where));
  if (buffer(collective.input()).dtype() != buffer(collective.output()).dtype())
    return fail("{}: dtypes of input and output differ", where);
  uint64_t in = bytes[collective.input()], out = bytes[collective.output()];
  bool gathers = collective.kind() == schema::CollectiveKind::AllGather;
  bool scatters = collective.kind() == schema::CollectiveKind::ReduceScatterSum;
  if (gathers)
    in *= program.world();
  if (scatters)
    out *= program.world();
  if (in != out)
    return fail("{}: {} bytes in do not make {} bytes out of {} ranks", where,
                bytes[collective.input()], bytes[collective.output()], program.world());
  bool inPlace = !gathers && !scatters && sameBytes(collective.input(), collective.output());
  if (!inPlace && overlap(collective.input(), collective.output()))
    return fail("{}: output overlaps input", where);
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
  case schema::Operation::CollectiveStart:
    return checkCollective(*instruction.operation_as_CollectiveStart(),
                           where + " (collective start)");
  case schema::Operation::CollectiveWait:
    return {}; // checkCollectives
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

/// Calls `use(buffer, isWritten)` for each buffer that the instruction touches, a wait's aside.
template <typename Use> static void forEachAccess(const schema::Instruction &instruction, Use use) {
  if (auto *launch = instruction.operation_as_Launch()) {
    uint32_t inputs = launch->buffers()->size() - launch->outputs();
    for (uint32_t i = 0; i < launch->buffers()->size(); ++i)
      use(launch->buffers()->Get(i), i >= inputs);
  } else if (auto *call = instruction.operation_as_Call()) {
    for (uint32_t index : *call->inputs())
      use(index, false);
    for (uint32_t index : *call->outputs())
      use(index, true);
  } else if (auto *copy = instruction.operation_as_Copy()) {
    use(copy->source(), false);
    use(copy->target(), true);
  } else if (auto *start = instruction.operation_as_CollectiveStart()) {
    use(start->input(), false);
    use(start->output(), true);
  } else if (auto *check = instruction.operation_as_Check()) {
    use(check->buffer(), false);
  }
}

/// Orders 0, 1, ..., one wait for each start, and their buffers left alone in between.
Result<void> Validator::checkCollectives(const schema::Function &function,
                                         const std::string &name) {
  std::map<uint32_t, const schema::CollectiveStart *> open; // by order
  uint32_t next = 0;
  for (uint32_t i = 0; i < function.instructions()->size(); ++i) {
    const schema::Instruction &instruction = *function.instructions()->Get(i);
    std::string where = fmt::format("{}.instructions[{}]", name, i);
    Result<void> used;
    for (const auto &[order, start] : open)
      forEachAccess(instruction, [&, order = order, start = start](uint32_t index, bool isWritten) {
        if (overlap(index, start->output()) || (isWritten && overlap(index, start->input())))
          used = fail("{}: {} buffers[{}], which collective {} uses until its wait", where,
                      isWritten ? "writes" : "reads", index, order);
      });
    DOPPEL_CHECK(used);
    if (auto *start = instruction.operation_as_CollectiveStart()) {
      if (start->order() != next)
        return fail("{} (collective start): order {} is not {}", where, start->order(), next);
      if (open.size() == maxOpenCollectives)
        return fail("{} (collective start): more than {} at once", where, maxOpenCollectives);
      open.emplace(next++, start);
    } else if (auto *wait = instruction.operation_as_CollectiveWait()) {
      if (open.erase(wait->order()) == 0)
        return fail("{} (collective wait): no collective {} is under way", where, wait->order());
    }
  }
  if (!open.empty())
    return fail("{}: collective {} has no wait", name, open.begin()->first);
  return {};
}

/// A function that a check stops has written no state: they are written behind the commit point, by
/// what a device can hold back, and nothing is checked there.
Result<void> Validator::checkCommit(const schema::Function &function, const std::string &name) {
  if (function.commit() > function.instructions()->size())
    return fail("{}.commit {} exceeds the {} instructions", name, function.commit(),
                function.instructions()->size());
  for (uint32_t i = 0; i < function.instructions()->size(); ++i) {
    const schema::Instruction &instruction = *function.instructions()->Get(i);
    std::string where = fmt::format("{}.instructions[{}]", name, i);
    if (i >= function.commit() && instruction.operation_as_Check())
      return fail("{}: checks a value behind the commit point {}", where, function.commit());
    bool canWait = instruction.operation_as_Launch() || instruction.operation_as_Copy();
    Result<void> written;
    forEachAccess(instruction, [&](uint32_t index, bool isWritten) {
      if (!isWritten || arenaOf(index) != schema::ArenaKind::State)
        return;
      if (i < function.commit())
        written = fail("{}: writes buffers[{}], a state's, before the commit point {}", where,
                       index, function.commit());
      else if (!canWait)
        written =
            fail("{}: writes buffers[{}], a state's: only launches and copies may", where, index);
    });
    DOPPEL_CHECK(written);
  }
  return {};
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
    for (uint32_t i = 0; i < function->instructions()->size(); ++i)
      DOPPEL_CHECK(checkInstruction(*function->instructions()->Get(i),
                                    fmt::format("{}.instructions[{}]", name, i)));
    DOPPEL_CHECK(checkCollectives(*function, name));
    DOPPEL_CHECK(checkCommit(*function, name));
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

Result<void> Validator::checkImages() {
  DOPPEL_CHECK(checkNames(*program.images(), "images", [](auto *image) { return image->name(); }));
  if (program.images()->size() == 0)
    return fail("images: there are none");
  int64_t local = program.batch() / program.world();
  for (uint32_t i = 0; i < program.images()->size(); ++i) {
    const schema::ImageInput &image = *program.images()->Get(i);
    std::string where = fmt::format("images[{}]", i);
    DOPPEL_CHECK(checkBuffer(image.buffer(), where));
    const schema::Buffer &list = buffer(image.buffer());
    if (list.dtype() != schema::DType::ImageRef || list.shape()->size() != 1 ||
        list.shape()->Get(0) != local)
      return fail("{}: buffers[{}] is no list of {} images", where, image.buffer(), local);
    if (image.channels() < 1 || image.channels() > 4 || (image.bits() != 8 && image.bits() != 16))
      return fail("{}: {} channels of {} bits are not 1 to 4 of 8 or 16", where, image.channels(),
                  image.bits());
  }
  return {};
}

/// The host writes each of these whole: none may lie in another.
Result<void> Validator::checkIo() {
  std::map<uint32_t, std::string> written = {{program.run(), "run"}};
  for (uint32_t i = 0; i < program.images()->size(); ++i)
    if (!written.emplace(program.images()->Get(i)->buffer(), fmt::format("images[{}]", i)).second)
      return fail("images[{}]: its buffer is another input's too", i);
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
  DOPPEL_CHECK(checkImages());
  DOPPEL_CHECK(checkBuffer(program.run(), "run"));
  const schema::Buffer &run = buffer(program.run());
  if (run.dtype() != schema::DType::RunScalars || bytes[program.run()] != 40)
    return fail("run: buffers[{}] does not hold one run's scalars", program.run());
  DOPPEL_CHECK(checkIo());
  uint64_t peak = 0;
  for (const schema::Arena *arena : *program.arenas())
    if (arena->kind() != schema::ArenaKind::Io)
      peak += arena->bytes();
  if (program.peak_bytes() != peak)
    return fail("peak_bytes is {}, the arenas have {}", program.peak_bytes(), peak);
  return {};
}

} // namespace

Result<void> validateProgram(const schema::Program &program,
                             std::span<const format::Segment> segments) {
  return Validator(program, segments).run();
}

} // namespace doppel::runtime
