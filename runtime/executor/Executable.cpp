// Records an artifact's functions on a device and submits them. Invariant: slots of tickets from
// `unread` to `submitted` are the device's; all others are the host's.
#include "runtime/executor/Executable.h"

#include <algorithm>
#include <cstring>
#include <tuple>

namespace doppel::runtime {

Result<std::unique_ptr<Executable>> Executable::create(const Artifact &artifact, Device &device) {
  std::unique_ptr<Executable> executable(new Executable(artifact, device));
  if (auto fits = device.checkTarget(artifact.program()); !fits)
    return std::unexpected(std::move(fits.error()).within(artifact.name()));
  const schema::CodeSet *code = device.chooseCode(artifact);
  if (!code)
    return fail("{}: has no code for this device", artifact.name());
  executable->code = code;
  if (auto prepared = device.prepare(artifact.program()); !prepared)
    return std::unexpected(std::move(prepared.error()).within(artifact.name()));
  DOPPEL_TRY(executable->stream, device.makeStream());
  DOPPEL_CHECK(executable->allocate());
  DOPPEL_CHECK(executable->allocateInputs());
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

Executable::~Executable() { (void)settle(); }

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

/// Io buffers are set by a copy of each from the slot of a ticket.
Result<void> Executable::allocateInputs() {
  size_t bytes = 0;
  auto add = [&](const TensorRef &io) {
    size_t offset = bytes;
    bytes += (io.bytes() + 63) / 64 * 64;
    return offset;
  };
  for (const schema::ImageInput *input : *artifact.program().images()) {
    TensorRef refs = tensor(input->buffer());
    uint64_t pixelBytes = uint64_t(input->channels()) * input->bits() / 8;
    size_t offset = add(refs);
    imageInputs.push_back({std::move(refs), offset, pixelBytes,
                           std::make_unique<ImageFeed>(device, *stream, pixelBytes, maxInFlight)});
  }
  runOffset = add(tensor(artifact.program().run()));
  for (Slot &slot : slots) {
    DOPPEL_TRY(slot.inputs, device.allocateHost(bytes));
  }
  return {};
}

bool Executable::isState(uint32_t index) const {
  const schema::Program &program = artifact.program();
  return program.arenas()->Get(program.buffers()->Get(index)->arena())->kind() ==
         schema::ArenaKind::State;
}

TensorRef Executable::tensor(uint32_t index) const {
  const schema::Buffer *buffer = artifact.program().buffers()->Get(index);
  TensorRef result;
  result.data = static_cast<char *>(arenas[buffer->arena()]->data()) + buffer->offset();
  result.dtype = buffer->dtype();
  result.memory = arenas[buffer->arena()]->memory();
  if (buffer->shape())
    result.shape.assign(buffer->shape()->begin(), buffer->shape()->end());
  return result;
}

/// "FILE:LINE:COLUMN", or empty.
static std::string placeOf(const schema::Location &location) {
  std::string place;
  if (location.file() && location.file()->size() > 0)
    place = fmt::format("{}:{}:{}", location.file()->str(), location.line(), location.column());
  return place;
}

/// "softmax(x) at a.dpl:3:5".
static std::string describe(const schema::Program &program, uint32_t index) {
  const schema::Location &location = *program.locations()->Get(index);
  std::string place = placeOf(location);
  return (location.expression() ? location.expression()->str() : "") +
         (place.empty() ? "" : " at ") + place;
}

Result<void> Executable::record(const schema::Function &function) {
  RecordedFunction recorded{
      .source = &function, .commands = nullptr, .instructions = {}, .outputs = {}};
  DOPPEL_TRY(recorded.commands, device.makeCommandList());
  std::unique_ptr<CommandList> &commands = recorded.commands;
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
                          {},
                          {},
                          std::any_of(source->buffers()->end() - source->outputs(),
                                      source->buffers()->end(),
                                      [&](uint32_t buffer) { return isState(buffer); })};
      const schema::Block &block = *code->blocks()->Get(source->kernel());
      launch.threads = block.threads();
      launch.sharedBytes = block.shared_bytes();
      launch.place = describe(artifact.program(), instruction->location());
      auto firstOutput = launch.inputs.end() - source->outputs();
      launch.outputs.assign(firstOutput, launch.inputs.end());
      launch.inputs.erase(firstOutput, launch.inputs.end());
      for (const TensorRef &input : launch.inputs) {
        if (input.dtype != schema::DType::ImageRef)
          continue;
        auto known = std::ranges::find_if(
            imageInputs, [&](const ImageInput &images) { return images.refs.data == input.data; });
        if (known == imageInputs.end())
          return fail("instructions[{}] reads images that are no input of the program", index);
        launch.slabs.push_back(uint32_t(known - imageInputs.begin()));
        recorded.readsImages = true;
      }
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
      LibraryCall call{source->op(),
                       tensors(source->inputs()),
                       tensors(source->outputs()),
                       {},
                       source->precision()};
      if (source->ints())
        call.ints.assign(source->ints()->begin(), source->ints()->end());
      DOPPEL_CHECK(commands->call(call));
      break;
    }
    case schema::Operation::Copy: {
      const schema::Copy *copy = instruction->operation_as_Copy();
      DOPPEL_CHECK(
          commands->copy(tensor(copy->source()), tensor(copy->target()), isState(copy->target())));
      break;
    }
    case schema::Operation::CollectiveStart: {
      // One rank: every collective is a copy of its input.
      if (artifact.program().world() > 1)
        return fail("this artifact is for {} ranks; this runtime runs one",
                    artifact.program().world());
      const schema::CollectiveStart *collective = instruction->operation_as_CollectiveStart();
      DOPPEL_CHECK(
          commands->copy(tensor(collective->input()), tensor(collective->output()), false));
      break;
    }
    case schema::Operation::CollectiveWait:
      continue;
    case schema::Operation::Check: {
      const schema::Check *check = instruction->operation_as_Check();
      DOPPEL_CHECK(commands->check(tensor(check->buffer())));
      break;
    }
    case schema::Operation::NONE:
      return failInternal("an instruction without an operation");
    }
    recorded.instructions.push_back(index);
  }
  for (const schema::NamedBuffer *output : *function.outputs()) {
    TensorRef value = tensor(output->buffer());
    size_t bytes = (value.bytes() + 63) / 64 * 64;
    recorded.outputs.push_back({output->name()->str(), std::move(value), recorded.outputBytes});
    recorded.outputBytes += bytes;
  }
  functions.insert_or_assign(function.name()->str(), std::move(recorded));
  return {};
}

Result<Executable::RecordedFunction *> Executable::find(std::string_view function) {
  auto found = functions.find(function);
  if (found == functions.end())
    return fail("the artifact has no function '{}'", function);
  return &found->second;
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
    return describe(program, instruction.origin().value_or(instruction.location()));
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
  if (const schema::Check *check = instruction->operation_as_Check())
    result.what = check->what()->str();
  if (location->expression())
    result.expression = location->expression()->str();
  result.place = placeOf(*location);
  return result;
}

//===- Tickets --------------------------------------------------------------------------------===//

Result<void> Executable::checkImages(size_t input, const ImageBatch &batch) const {
  const ImageInput &known = imageInputs[input];
  if (int64_t(batch.images.size()) != known.refs.elements())
    return failInternal("{} images for a batch of {}", batch.images.size(), known.refs.elements());
  for (size_t i = 0; i < batch.images.size(); ++i) {
    const abi::ImageRef &image = batch.images[i];
    // No product overflows: a side is below 2^31.
    uint64_t height = uint64_t(std::max(image.height, 0)),
             width = uint64_t(std::max(image.width, 0));
    uint64_t room = image.offset <= batch.slab.size() ? batch.slab.size() - image.offset : 0;
    if (height == 0 || width == 0 || room < abi::imagePadding ||
        height * width > (room - abi::imagePadding) / known.pixelBytes)
      return failInternal("image {} of {} x {} at {} does not lie in its slab of {} bytes", i,
                          image.width, image.height, image.offset, batch.slab.size());
  }
  return {};
}

Result<void> Executable::setInputs(Slot &slot, const Inputs &inputs) {
  if (slot.function->readsImages && inputs.images.size() != imageInputs.size())
    return failInternal("{} batches for {} image inputs", inputs.images.size(), imageInputs.size());
  auto *base = static_cast<std::byte *>(slot.inputs->data());
  slot.slabs.clear();
  for (size_t i = 0; slot.function->readsImages && i < imageInputs.size(); ++i) {
    const ImageBatch &batch = inputs.images[i];
    DOPPEL_CHECK(checkImages(i, batch));
    std::span refs(reinterpret_cast<abi::ImageRef *>(base + imageInputs[i].offset),
                   batch.images.size());
    std::ranges::copy(batch.images, refs.begin());
    DOPPEL_TRY(TensorRef slab,
               imageInputs[i].feed->place(size_t(&slot - slots.data()), batch, refs));
    slot.slabs.push_back(std::move(slab));
  }
  std::memcpy(base + runOffset, &inputs.run, sizeof(inputs.run));
  return {};
}

/// From the slot to the io arena.
Result<void> Executable::sendInputs(Slot &slot) {
  auto send = [&](const TensorRef &target, size_t offset) {
    TensorRef source = target;
    source.data = static_cast<std::byte *>(slot.inputs->data()) + offset;
    source.memory = slot.inputs->memory();
    return stream->copy(source, target);
  };
  if (slot.function->readsImages)
    for (const ImageInput &input : imageInputs)
      DOPPEL_CHECK(send(input.refs, input.offset));
  return send(tensor(artifact.program().run()), runOffset);
}

Result<Ticket> Executable::submit(std::string_view name, const Inputs &inputs, Outputs outputs) {
  DOPPEL_TRY(RecordedFunction * function, find(name));
  if (submitted - unread == maxInFlight)
    return failInternal("function '{}' is submitted while {} tickets are unread", name,
                        maxInFlight);
  Slot &slot = slotOf(submitted);
  slot.function = function;
  slot.kept = outputs;
  if (outputs == Outputs::Kept &&
      (!slot.outputs || slot.outputs->bytes() < function->outputBytes)) {
    slot.outputs.reset();
    DOPPEL_TRY(slot.outputs, device.allocateHost(std::max<size_t>(function->outputBytes, 1)));
  }
  DOPPEL_CHECK(setInputs(slot, inputs));
  DOPPEL_CHECK(sendInputs(slot));
  DOPPEL_CHECK(stream->run(*function->commands, slot.slabs));
  if (outputs == Outputs::Kept)
    for (const Output &output : function->outputs) {
      TensorRef target = output.value;
      target.data = static_cast<std::byte *>(slot.outputs->data()) + output.offset;
      target.memory = slot.outputs->memory();
      DOPPEL_CHECK(stream->copy(output.value, target));
    }
  DOPPEL_CHECK(stream->readFlag(slot.flag));
  DOPPEL_TRY(slot.end, stream->mark());
  return submitted++;
}

Result<void> Executable::expectTicket(Ticket ticket) const {
  if (ticket < submitted && ticket + maxInFlight >= submitted)
    return {};
  return failInternal("ticket {} is none of the last {} before {}", ticket, maxInFlight, submitted);
}

bool Executable::finished(Ticket ticket) {
  return ticket < unread || (expectTicket(ticket) && stream->reached(slotOf(ticket).end));
}

Result<std::optional<NonFiniteReport>> Executable::wait(Ticket ticket) {
  DOPPEL_CHECK(expectTicket(ticket));
  if (ticket != unread)
    return failInternal("ticket {} is waited for before {}", ticket, unread);
  Slot &slot = slotOf(ticket);
  DOPPEL_CHECK(stream->wait(slot.end));
  ++unread;
  if (!slot.flag)
    return std::nullopt;
  if (!failed)
    failed = slot.function;
  return report(*failed, *slot.flag);
}

/// Waits for all that was submitted; their tickets stay unread.
Result<void> Executable::settle() {
  return submitted == 1 ? Result<void>() : stream->wait(slotOf(submitted - 1).end);
}

Result<void> Executable::clear() {
  DOPPEL_CHECK(settle());
  failed = nullptr;
  return stream->clearFlag();
}

Result<std::optional<NonFiniteReport>> Executable::trace(Ticket ticket) {
  DOPPEL_CHECK(expectTicket(ticket));
  DOPPEL_CHECK(clear());
  Slot &slot = slotOf(ticket);
  DOPPEL_CHECK(sendInputs(slot));
  DOPPEL_TRY(std::optional<NonFinite> failure, stream->trace(*slot.function->commands, slot.slabs));
  if (!failure)
    return std::nullopt;
  return report(*slot.function, *failure);
}

Result<std::optional<NonFiniteReport>> Executable::run(std::string_view name, const Inputs &inputs,
                                                       Outputs outputs) {
  if (unread != submitted)
    return failInternal("function '{}' is run while others are in flight", name);
  DOPPEL_TRY(Ticket ticket, submit(name, inputs, outputs));
  DOPPEL_TRY(std::optional<NonFiniteReport> failure, wait(ticket));
  if (failure)
    DOPPEL_CHECK(clear());
  return failure;
}

Result<std::vector<Executable::InstructionTime>>
Executable::profile(std::string_view name, const Inputs &inputs, int repeats) {
  DOPPEL_TRY(RecordedFunction * function, find(name));
  if (unread != submitted)
    return failInternal("function '{}' is timed while others are in flight", name);
  Slot &slot = slotOf(submitted);
  slot.function = function;
  DOPPEL_CHECK(setInputs(slot, inputs));
  DOPPEL_CHECK(sendInputs(slot));
  const auto &instructions = *function->source->instructions();
  std::vector<double> seconds(function->instructions.size(), 0.0);
  for (int i = 0; i < repeats; ++i)
    DOPPEL_CHECK(stream->time(*function->commands, slot.slabs, seconds));
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
    for (const Output &output : found->second.outputs)
      names.push_back(output.name);
  return names;
}

Result<std::vector<float>> Executable::output(Ticket ticket, std::string_view name,
                                              std::vector<int64_t> *shape) {
  DOPPEL_CHECK(expectTicket(ticket));
  const Slot &slot = slotOf(ticket);
  if (ticket >= unread || slot.kept == Outputs::Dropped)
    return failInternal("ticket {} has no outputs to read", ticket);
  for (const Output &output : slot.function->outputs) {
    if (output.name != name)
      continue;
    if (output.value.dtype != schema::DType::F32)
      return failInternal("output '{}' is not f32", name);
    std::vector<float> values(size_t(output.value.elements()));
    std::memcpy(values.data(), static_cast<const std::byte *>(slot.outputs->data()) + output.offset,
                output.value.bytes());
    if (shape)
      *shape = output.value.shape;
    return values;
  }
  return failInternal("function '{}' has no output '{}'",
                      slot.function->source->name()->string_view(), name);
}

Result<std::vector<std::byte>> Executable::readState(size_t index) {
  TensorRef value = tensor(artifact.program().states()->Get(index)->buffer());
  std::vector<std::byte> bytes(value.bytes());
  DOPPEL_CHECK(settle());
  DOPPEL_CHECK(device.download(bytes.data(), value));
  return bytes;
}

Result<void> Executable::writeState(size_t index, std::span<const std::byte> bytes) {
  TensorRef value = tensor(artifact.program().states()->Get(index)->buffer());
  if (bytes.size() != value.bytes())
    return failInternal("{} bytes for state '{}' of {}", bytes.size(), stateInfos[index].name,
                        value.bytes());
  DOPPEL_CHECK(settle());
  return device.upload(value, bytes.data());
}

int64_t Executable::batch() const { return artifact.program().batch(); }

int64_t Executable::localBatch() const { return batch() / artifact.program().world(); }

Result<void> Executable::reserveImages(size_t input, std::span<const uint8_t> kept,
                                       uint64_t batchBytes) {
  if (input >= imageInputs.size())
    return failInternal("pictures for input {} of {}", input, imageInputs.size());
  return imageInputs[input].feed->reserve(kept, batchBytes);
}

Result<MemoryUse> Executable::memoryUse() const {
  MemoryUse use;
  for (const schema::Arena *arena : *artifact.program().arenas())
    (arena->kind() == schema::ArenaKind::State ? use.states : use.step) += arena->bytes();
  use.libraries = device.workspaceBytes();
  for (const ImageInput &input : imageInputs) {
    use.images += input.feed->bytes();
    use.imagesStay |= input.feed->isResident();
  }
  DOPPEL_TRY(use.device, device.memory());
  return use;
}

} // namespace doppel::runtime
