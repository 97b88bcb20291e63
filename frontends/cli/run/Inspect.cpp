// `doppel inspect`: what is in an artifact.
#include "frontends/cli/run/Commands.h"
#include "frontends/cli/run/Terminal.h"

#include "runtime/core/Text.h"

#include <map>

namespace doppel::cli {

using namespace runtime;

namespace {

/// What the artifact says, which may be anything, for a terminal.
std::string textOf(const flatbuffers::String *text) {
  return text ? printable(text->string_view()) : "";
}

std::string mebibytes(uint64_t bytes) {
  return fmt::format("{:.1f} MiB", double(bytes) / (1 << 20));
}

std::string shapeText(const schema::Buffer &buffer) {
  std::string text;
  if (buffer.shape())
    for (int64_t extent : *buffer.shape())
      text += (text.empty() ? "" : " x ") + std::to_string(extent);
  return text.empty() ? "scalar" : text;
}

void printStates(const schema::Program &program) {
  struct Total {
    int64_t count = 0, elements = 0;
    uint64_t bytes = 0;
  };
  std::map<std::string, Total> totals;
  for (const schema::State *state : *program.states()) {
    const schema::Buffer *buffer = program.buffers()->Get(state->buffer());
    Total &total = totals[schema::EnumNameStateKind(state->kind())];
    uint64_t bytes = bufferBytes(*buffer);
    ++total.count;
    total.bytes += bytes;
    total.elements += int64_t(bytes / elementBytes(buffer->dtype()));
  }
  std::vector<std::vector<std::string>> rows{{"states", "tensors", "elements", "memory"}};
  for (const auto &[kind, total] : totals)
    rows.push_back(
        {kind, formatCount(total.count), formatCount(total.elements), mebibytes(total.bytes)});
  printOut("\n{}", formatTable(rows, {false, true, true, true}));
}

void printFunctions(const schema::Program &program) {
  std::vector<std::vector<std::string>> rows{
      {"function", "launches", "library calls", "copies", "collectives", "checks"}};
  for (const schema::Function *function : *program.functions()) {
    std::map<schema::Operation, int64_t> counts;
    for (const schema::Instruction *instruction : *function->instructions())
      ++counts[instruction->operation_type()];
    auto count = [&](schema::Operation operation) { return formatCount(counts[operation]); };
    rows.push_back({textOf(function->name()), count(schema::Operation::Launch),
                    count(schema::Operation::Call), count(schema::Operation::Copy),
                    count(schema::Operation::Collective), count(schema::Operation::Check)});
  }
  printOut("\n{}", formatTable(rows, {false, true, true, true, true, true}));
}

void printKernels(const schema::Program &program) {
  std::vector<std::vector<std::string>> rows{{"kernel", "kind", "workgroups", "scratch bytes"}};
  for (const schema::Kernel *kernel : *program.kernels())
    rows.push_back({textOf(kernel->symbol()), schema::EnumNameKernelKind(kernel->kind()),
                    formatCount(int64_t(kernel->grid())),
                    formatCount(int64_t(kernel->scratch_bytes()))});
  printOut("\n{}", formatTable(rows, {false, false, true, true}));
  rows = {{"state", "kind", "shape"}};
  for (const schema::State *state : *program.states())
    rows.push_back({textOf(state->name()), schema::EnumNameStateKind(state->kind()),
                    shapeText(*program.buffers()->Get(state->buffer()))});
  printOut("\n{}", formatTable(rows));
}

} // namespace

int runInspect(const std::string &path, bool kernels) {
  auto artifact = Artifact::load(path, Artifact::Machine::Any);
  if (!artifact)
    return report(artifact.error());
  const schema::Program &program = artifact->program();
  std::vector<std::vector<std::string>> rows{
      {"method", textOf(program.method())},
      {"producer", textOf(program.producer())},
      {"target",
       fmt::format("{} {}", textOf(program.target()->kind()), textOf(program.target()->name()))},
      {"batch", formatCount(program.batch())},
      {"epochs", formatCount(program.epochs())},
      {"kernels", formatCount(program.kernels()->size())},
      {"code", fmt::format("{:.1f} KiB", double(artifact->elf().size()) / 1024)},
      {"file", fmt::format("{:.1f} KiB", double(artifact->bytes().size()) / 1024)},
      {"memory", mebibytes(program.peak_bytes()) + " of states and a step, beside the libraries'"},
      {"fingerprint", fmt::format("{:016x}", artifact->fingerprint())}};
  printOut("{}", formatTable(rows));
  if (program.params() && program.params()->size() > 0) {
    rows = {{"param", "value"}};
    for (const schema::Param *param : *program.params())
      rows.push_back({textOf(param->name()), textOf(param->value())});
    printOut("\n{}", formatTable(rows));
  }
  printStates(program);
  printFunctions(program);
  if (kernels)
    printKernels(program);
  return 0;
}

} // namespace doppel::cli
