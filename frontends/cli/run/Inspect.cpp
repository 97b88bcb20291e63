// `doppel inspect`: what is in an artifact.
#include "frontends/cli/Inputs.h"
#include "frontends/cli/run/Commands.h"
#include "frontends/cli/run/Terminal.h"

#include "runtime/core/Text.h"

#include <algorithm>
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
                    count(schema::Operation::CollectiveStart), count(schema::Operation::Check)});
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

void printParams(const schema::Program &program) {
  std::vector<std::vector<std::string>> rows{{"param", "value"}};
  for (const schema::Param *param : *program.params())
    rows.push_back({textOf(param->name()), textOf(param->value())});
  printOut("{}", formatTable(rows));
}

/// Networks and their parts, down to the third name of a path: online, online.backbone,
/// online.backbone.layer1. Not what the optimizers keep.
void printNets(const schema::Program &program) {
  struct Net {
    int64_t tensors = 0, parameters = 0, buffers = 0;
    bool isAverage = false;
  };
  std::map<std::string, Net> nets;
  std::vector<std::string> order;
  for (const schema::State *state : *program.states()) {
    std::string name = state->name()->str();
    bool isBuffer = state->kind() == schema::StateKind::Buffer;
    bool isAverage = state->kind() == schema::StateKind::Ema;
    if (!isBuffer && !isAverage && state->kind() != schema::StateKind::Parameter)
      continue;
    const schema::Buffer *buffer = program.buffers()->Get(state->buffer());
    auto elements = int64_t(bufferBytes(*buffer) / elementBytes(buffer->dtype()));
    size_t dot = name.find('.');
    for (int depth = 0; depth < 3 && dot != std::string::npos;
         ++depth, dot = name.find('.', dot + 1)) {
      std::string path = name.substr(0, dot);
      auto [entry, isNew] = nets.try_emplace(path);
      if (isNew)
        order.push_back(path);
      ++entry->second.tensors;
      (isBuffer ? entry->second.buffers : entry->second.parameters) += elements;
      entry->second.isAverage |= isAverage;
    }
  }
  // Parts stand behind what they are parts of, in the order of the spec.
  std::vector<std::vector<std::string>> rows{{"net", "", "tensors", "parameters", "buffers"}};
  auto add = [&](auto &self, const std::string &prefix, size_t depth) -> void {
    for (const std::string &path : order) {
      bool isPart = size_t(std::ranges::count(path, '.')) == depth && path.starts_with(prefix);
      if (!isPart)
        continue;
      const Net &net = nets.at(path);
      rows.push_back({printable(path), net.isAverage ? "average" : "", formatCount(net.tensors),
                      formatCount(net.parameters), formatCount(net.buffers)});
      self(self, path + ".", depth + 1);
    }
  };
  add(add, "", 0);
  printOut("{}", formatTable(rows, {false, false, true, true, true}));
}

/// What convolutions and products round their operands to: "f32", or "tf32" and how many do.
std::string precisionText(const schema::Program &program) {
  std::map<schema::Precision, int64_t> counts;
  for (const schema::Function *function : *program.functions())
    for (const schema::Instruction *instruction : *function->instructions())
      if (const schema::Call *call = instruction->operation_as_Call())
        ++counts[call->precision()];
  std::string text;
  for (auto [precision, name] : {std::pair(schema::Precision::TF32, "tf32")})
    if (counts[precision] > 0)
      text += fmt::format("{} in {} library calls, else ", name, formatCount(counts[precision]));
  return text + "f32";
}

std::string codeName(schema::CodeKind kind) {
  switch (kind) {
  case schema::CodeKind::Elf:
    return "ELF";
  case schema::CodeKind::Ptx:
    return "PTX";
  case schema::CodeKind::Cubin:
    return "cubins";
  case schema::CodeKind::Unspecified:
    break;
  }
  return "";
}

/// "ELF, 120.3 KiB", or every set: "PTX for sm_80, 80.1 KiB; cubins for sm_90, 210.0 KiB".
std::string codeText(const Artifact &artifact) {
  std::string text;
  for (const schema::CodeSet *set : *artifact.program().code()) {
    uint64_t bytes = 0;
    for (uint32_t number = 0; number < set->modules()->size(); ++number)
      bytes += artifact.module(*set, number).size();
    std::string name = codeName(set->kind());
    if (set->architecture()->size() > 0)
      name += " for " + textOf(set->architecture());
    text += fmt::format("{}{}, {:.1f} KiB", text.empty() ? "" : "; ", name, double(bytes) / 1024);
  }
  return text;
}

} // namespace

int runInspect(const InspectOptions &options) {
  auto expected = expectArtifact("inspect", options.artifact);
  if (!expected)
    return report(expected.error());
  auto artifact = Artifact::load(options.artifact);
  if (!artifact)
    return report(artifact.error());
  const schema::Program &program = artifact->program();
  if (options.params)
    printParams(program);
  if (options.nets)
    printNets(program);
  if (options.params || options.nets) {
    if (options.kernels)
      printKernels(program);
    return 0;
  }
  std::vector<std::vector<std::string>> rows{
      {"method", textOf(program.method())},
      {"producer", textOf(program.producer())},
      {"target",
       fmt::format("{} {}", textOf(program.target()->kind()), textOf(program.target()->name()))},
      {"precision", precisionText(program)},
      {"batch", formatCount(program.batch())},
      {"epochs", formatCount(program.epochs())},
      {"kernels", formatCount(program.kernels()->size())},
      {"code", codeText(*artifact)},
      {"file", fmt::format("{:.1f} KiB", double(artifact->bytes().size()) / 1024)},
      {"memory", mebibytes(program.peak_bytes()) + " of states and a step, beside the libraries'"},
      {"fingerprints", fmt::format("states {:016x}, method {:016x}, program {:016x}",
                                   artifact->fingerprints().states, artifact->fingerprints().method,
                                   artifact->fingerprints().program)}};
  printOut("{}", formatTable(rows));
  if (program.params()->size() > 0) {
    printOut("\n");
    printParams(program);
  }
  printStates(program);
  printFunctions(program);
  if (options.kernels)
    printKernels(program);
  return 0;
}

} // namespace doppel::cli
