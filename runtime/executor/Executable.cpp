// Records an artifact's functions on a device and runs them.
#include "runtime/executor/Executable.h"

#include <algorithm>
#include <tuple>

namespace doppel::runtime {

Result<std::unique_ptr<Executable>> Executable::create(const Artifact &artifact, Device &device) {
  std::unique_ptr<Executable> executable(new Executable(artifact, device));
  if (auto fits = device.checkTarget(artifact.program()); !fits)
    return std::unexpected(std::move(fits.error()).within(artifact.name()));
  DOPPEL_CHECK(executable->checkImages());
  const schema::CodeSet *code = artifact.code(schema::CodeKind::Elf);
  if (!code)
    return fail("{}: has no code for this device", artifact.name());
  DOPPEL_CHECK(executable->allocate());
  for (uint32_t number = 0; number < code->modules()->size(); ++number) {
    DOPPEL_TRY(std::unique_ptr<KernelModule> module,
               device.loadModule(artifact.module(*code, number)));
    executable->modules.push_back(std::move(module));
  }
  for (const schema::Function *function : *artifact.program().functions()) {
    if (auto recorded = executable->record(*function); !recorded)
      return std::unexpected(std::move(recorded.error())
                                 .within(fmt::format("function '{}'", function->name()->str())));
  }
  return executable;
}

/// What `setImages` can give.
Result<void> Executable::checkImages() const {
  const auto &images = *artifact.program().images();
  const schema::ImageInput &first = *images.Get(0);
  if (images.size() != 1 || first.channels() != 3 || first.bits() != 8)
    return fail("{}: takes {} pictures a sample, the first of {} channels of {} bits; this program "
                "gives one of 3 channels of 8 bits",
                artifact.name(), images.size(), first.channels(), first.bits());
  return {};
}

Result<void> Executable::allocate() {
  const schema::Program &program = artifact.program();
  for (const schema::Arena *arena : *program.arenas()) {
    auto memory = device.allocate(arena->bytes());
    if (!memory)
      return std::unexpected(
          std::move(memory.error()).within(fmt::format("arena '{}'", arena->name()->str())));
    arenas.push_back(*std::move(memory));
  }
  for (const schema::State *state : *program.states()) {
    TensorRef value = tensor(state->buffer());
    uint64_t bytes = value.bytes();
    stateInfos.push_back(
        {state->name()->str(), state->kind(), value.dtype, std::move(value.shape), bytes});
  }
  return {};
}

TensorRef Executable::tensor(uint32_t index) const {
  const schema::Buffer *buffer = artifact.program().buffers()->Get(index);
  TensorRef result;
  result.data = static_cast<char *>(arenas[buffer->arena()]->data()) + buffer->offset();
  result.dtype = buffer->dtype();
  if (buffer->shape())
    result.shape.assign(buffer->shape()->begin(), buffer->shape()->end());
  return result;
}

Result<void> Executable::record(const schema::Function &function) {
  DOPPEL_TRY(std::unique_ptr<CommandList> commands, device.makeCommandList());
  std::vector<uint32_t> recorded; // the instruction of each command
  auto tensors = [&](const flatbuffers::Vector<uint32_t> *indices) {
    std::vector<TensorRef> result;
    if (indices)
      for (uint32_t index : *indices)
        result.push_back(tensor(index));
    return result;
  };
  for (uint32_t index = 0; index < function.instructions()->size(); ++index) {
    const schema::Instruction *instruction = function.instructions()->Get(index);
    switch (instruction->operation_type()) {
    case schema::Operation::Launch: {
      const schema::Launch *source = instruction->operation_as_Launch();
      const schema::Kernel *kernel = artifact.program().kernels()->Get(source->kernel());
      KernelLaunch launch{kernel->symbol()->str(),
                          int64_t(kernel->grid()),
                          kernel->scratch_bytes(),
                          tensors(source->buffers()),
                          {}};
      auto firstOutput = launch.inputs.end() - source->outputs();
      launch.outputs.assign(firstOutput, launch.inputs.end());
      launch.inputs.erase(firstOutput, launch.inputs.end());
      KernelModule &module = *modules[kernel->module_()];
      // Program and code come from one file, but not necessarily from one compiler run.
      if (auto fits = module.check(launch); !fits)
        return std::unexpected(std::move(fits.error())
                                   .within(fmt::format("instructions[{}] (launch of kernels[{}])",
                                                       index, source->kernel())));
      DOPPEL_CHECK(commands->launch(module, launch));
      break;
    }
    case schema::Operation::Call: {
      const schema::Call *source = instruction->operation_as_Call();
      LibraryCall call{source->op(), tensors(source->inputs()), tensors(source->outputs()), {}};
      if (source->ints())
        call.ints.assign(source->ints()->begin(), source->ints()->end());
      DOPPEL_CHECK(commands->call(call));
      break;
    }
    case schema::Operation::Copy: {
      const schema::Copy *copy = instruction->operation_as_Copy();
      DOPPEL_CHECK(commands->copy(tensor(copy->source()), tensor(copy->target())));
      break;
    }
    case schema::Operation::CollectiveStart: {
      // One rank: every collective is a copy of its input.
      if (artifact.program().world() > 1)
        return fail("this artifact is for {} ranks; this runtime runs one",
                    artifact.program().world());
      const schema::CollectiveStart *collective = instruction->operation_as_CollectiveStart();
      DOPPEL_CHECK(commands->copy(tensor(collective->input()), tensor(collective->output())));
      break;
    }
    case schema::Operation::CollectiveWait:
      continue;
    case schema::Operation::Check: {
      const schema::Check *check = instruction->operation_as_Check();
      DOPPEL_CHECK(commands->check(tensor(check->buffer()), check->what()->str()));
      break;
    }
    case schema::Operation::NONE:
      return failInternal("an instruction without an operation");
    }
    recorded.push_back(index);
  }
  functions.insert_or_assign(function.name()->str(),
                             RecordedFunction{&function, std::move(commands), std::move(recorded)});
  return {};
}

Result<void> Executable::setImages(std::span<const abi::ImageRef> images) {
  TensorRef target = tensor(artifact.program().images()->Get(0)->buffer());
  if (int64_t(images.size()) != target.elements())
    return failInternal("{} images for a batch of {}", images.size(), target.elements());
  return device.upload(target.data, images.data(), images.size_bytes());
}

Result<void> Executable::setRun(const abi::RunScalars &scalars) {
  return device.upload(tensor(artifact.program().run()).data, &scalars, sizeof(scalars));
}

Result<Executable::RecordedFunction *> Executable::find(std::string_view function) {
  auto found = functions.find(function);
  if (found == functions.end())
    return fail("the artifact has no function '{}'", function);
  return &found->second;
}

/// "FILE:LINE:COLUMN", or empty.
static std::string placeOf(const schema::Location &location) {
  std::string place;
  if (location.file() && location.file()->size() > 0)
    place = fmt::format("{}:{}:{}", location.file()->str(), location.line(), location.column());
  return place;
}

std::string Executable::writerOf(size_t state) const {
  const schema::Program &program = artifact.program();
  const schema::Function *step = artifact.function("step");
  if (!step)
    return "";
  auto range = [&](uint32_t index) {
    const schema::Buffer &buffer = *program.buffers()->Get(index);
    return std::tuple(buffer.arena(), buffer.offset(), buffer.offset() + bufferBytes(buffer));
  };
  auto [arena, begin, end] = range(program.states()->Get(uint32_t(state))->buffer());
  auto covers = [&, arena = arena, begin = begin, end = end](uint32_t index) {
    auto [theirArena, theirBegin, theirEnd] = range(index);
    return arena == theirArena && begin < theirEnd && theirBegin < end;
  };
  auto writes = [&](const schema::Instruction &instruction) {
    if (const schema::Launch *launch = instruction.operation_as_Launch())
      return std::any_of(launch->buffers()->end() - launch->outputs(), launch->buffers()->end(),
                         covers);
    if (const schema::Call *call = instruction.operation_as_Call())
      return std::any_of(call->outputs()->begin(), call->outputs()->end(), covers);
    if (const schema::Copy *copy = instruction.operation_as_Copy())
      return covers(copy->target());
    if (const schema::CollectiveStart *start = instruction.operation_as_CollectiveStart())
      return covers(start->output());
    return false;
  };
  for (uint32_t i = step->instructions()->size(); i-- > 0;) {
    const schema::Instruction &instruction = *step->instructions()->Get(i);
    if (!writes(instruction))
      continue;
    const schema::Location &location =
        *program.locations()->Get(instruction.origin().value_or(instruction.location()));
    std::string place = placeOf(location);
    return location.expression()->str() + (place.empty() ? "" : " at ") + place;
  }
  return "";
}

NonFiniteReport Executable::report(const RecordedFunction &function,
                                   const NonFinite &failure) const {
  const auto *instruction =
      function.source->instructions()->Get(function.instructions[failure.command]);
  uint32_t index = instruction->origin().value_or(instruction->location());
  const schema::Location *location = artifact.program().locations()->Get(index);
  NonFiniteReport result;
  result.what = failure.what;
  if (location->expression())
    result.expression = location->expression()->str();
  result.place = placeOf(*location);
  return result;
}

Result<std::optional<NonFiniteReport>> Executable::run(std::string_view name) {
  DOPPEL_TRY(RecordedFunction * function, find(name));
  DOPPEL_TRY(std::optional<NonFinite> failure, function->commands->run());
  if (!failure)
    return std::nullopt;
  return report(*function, *failure);
}

Result<std::optional<NonFiniteReport>> Executable::trace(std::string_view name) {
  DOPPEL_TRY(RecordedFunction * function, find(name));
  DOPPEL_TRY(std::optional<NonFinite> failure, function->commands->runTraced());
  if (!failure)
    return std::nullopt;
  return report(*function, *failure);
}

Result<std::vector<Executable::InstructionTime>> Executable::profile(std::string_view name,
                                                                     int repeats) {
  DOPPEL_TRY(RecordedFunction * function, find(name));
  const auto &instructions = *function->source->instructions();
  std::vector<double> seconds(function->instructions.size(), 0.0);
  for (int i = 0; i < repeats; ++i)
    DOPPEL_CHECK(function->commands->runTimed(seconds));
  std::vector<InstructionTime> times;
  for (size_t i = 0; i < seconds.size(); ++i) {
    const schema::Instruction *instruction = instructions.Get(function->instructions[i]);
    std::string label = schema::EnumNameOperation(instruction->operation_type());
    if (const auto *launch = instruction->operation_as_Launch())
      label = artifact.program().kernels()->Get(launch->kernel())->symbol()->str();
    else if (const auto *call = instruction->operation_as_Call())
      label = schema::EnumNameLibraryOp(call->op());
    const auto *expression =
        artifact.program().locations()->Get(instruction->location())->expression();
    times.push_back({std::move(label), expression ? expression->str() : "", seconds[i]});
  }
  return times;
}

std::vector<std::string> Executable::outputNames(std::string_view name) const {
  std::vector<std::string> names;
  if (auto found = functions.find(name); found != functions.end())
    for (const schema::NamedBuffer *output : *found->second.source->outputs())
      names.push_back(output->name()->str());
  return names;
}

Result<std::vector<float>> Executable::output(std::string_view functionName, std::string_view name,
                                              std::vector<int64_t> *shape) {
  DOPPEL_TRY(RecordedFunction * function, find(functionName));
  for (const schema::NamedBuffer *output : *function->source->outputs()) {
    if (output->name()->string_view() != name)
      continue;
    TensorRef value = tensor(output->buffer());
    if (value.dtype != schema::DType::F32)
      return failInternal("output '{}' is not f32", name);
    std::vector<float> values(size_t(value.elements()));
    DOPPEL_CHECK(device.download(values.data(), value.data, value.bytes()));
    if (shape)
      *shape = std::move(value.shape);
    return values;
  }
  return failInternal("function '{}' has no output '{}'", functionName, name);
}

Result<std::vector<std::byte>> Executable::readState(size_t index) {
  TensorRef value = tensor(artifact.program().states()->Get(index)->buffer());
  std::vector<std::byte> bytes(value.bytes());
  DOPPEL_CHECK(device.download(bytes.data(), value.data, bytes.size()));
  return bytes;
}

Result<void> Executable::writeState(size_t index, std::span<const std::byte> bytes) {
  TensorRef value = tensor(artifact.program().states()->Get(index)->buffer());
  if (bytes.size() != value.bytes())
    return failInternal("{} bytes for state '{}' of {}", bytes.size(), stateInfos[index].name,
                        value.bytes());
  return device.upload(value.data, bytes.data(), bytes.size());
}

int64_t Executable::batch() const { return artifact.program().batch(); }

int64_t Executable::localBatch() const { return batch() / artifact.program().world(); }

uint64_t Executable::arenaBytes(schema::ArenaKind kind) const {
  uint64_t bytes = 0;
  for (const schema::Arena *arena : *artifact.program().arenas())
    if (arena->kind() == kind)
      bytes += arena->bytes();
  return bytes;
}

uint64_t Executable::stateBytes() const { return arenaBytes(schema::ArenaKind::State); }
uint64_t Executable::transientBytes() const { return arenaBytes(schema::ArenaKind::Transient); }

} // namespace doppel::runtime
