// Counts what is in a plan, for people.
#include "frontends/cli/compile/Summary.h"

#include "codegen/artifact/Locations.h"
#include "dialects/plan/PlanDialect.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/Format.h"

using namespace mlir;

namespace doppel::cli {

std::string formatBytes(uint64_t bytes) {
  const char *units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  double amount = bytes;
  unsigned unit = 0;
  for (; amount >= 1024 && unit < 4; ++unit)
    amount /= 1024;
  std::string text;
  llvm::raw_string_ostream out(text);
  out << llvm::format(unit == 0 ? "%.0f " : "%.1f ", amount) << units[unit];
  return text;
}

/// 11173962 -> "11 173 962"
static std::string grouped(int64_t number) {
  std::string text = std::to_string(number);
  for (int at = int(text.size()) - 3; at > 0; at -= 3)
    text.insert(at, " ");
  return text;
}

void printSummary(ModuleOp plan, StringRef file, uint64_t fileBytes, double seconds,
                  llvm::raw_ostream &out) {
  int64_t parameters = 0, tensors = 0, states = 0, kernels = 0, launches = 0, calls = 0, copies = 0,
          remade = 0;
  for (auto state : plan.getOps<plan::StateOp>()) {
    ++states;
    if (state.getKind() != nn::StateKind::Parameter)
      continue;
    ++tensors;
    parameters += cast<ShapedType>(state.getType()).getNumElements();
  }
  kernels = llvm::range_size(plan.getOps<plan::KernelOp>());
  if (auto step = plan.lookupSymbol<plan::FuncOp>("step")) {
    Block &body = step.getBody().front();
    launches = llvm::range_size(body.getOps<plan::LaunchOp>());
    calls = llvm::range_size(body.getOps<plan::CallOp>());
    copies = llvm::range_size(body.getOps<plan::CopyOp>());
    if (auto bytes = step->getAttrOfType<IntegerAttr>("nn.remade_bytes"))
      remade = bytes.getInt();
  }
  uint64_t stateBytes = 0, transientBytes = 0;
  for (auto arena : plan.getOps<plan::ArenaOp>()) {
    if (arena.getKind() == plan::ArenaKind::State)
      stateBytes += arena.getBytes();
    if (arena.getKind() == plan::ArenaKind::Transient)
      transientBytes += arena.getBytes();
  }
  auto method = plan->getAttrOfType<StringAttr>("nn.method");
  auto line = [&](StringRef name) -> llvm::raw_ostream & {
    return out << "  " << llvm::left_justify(name, 15);
  };
  out << (method ? method.getValue() : StringRef("program")) << " -> " << file << '\n';
  line("parameters") << grouped(parameters) << " in " << tensors << " tensors\n";
  line("states") << states << " (" << formatBytes(stateBytes) << ")\n";
  line("kernels") << kernels << " (" << launches << " launches a step, " << copies << " copies)\n";
  line("library calls") << calls << " a step\n";
  line("peak memory") << formatBytes(stateBytes + transientBytes) << " (states "
                      << formatBytes(stateBytes) << ", a step " << formatBytes(transientBytes);
  if (remade > 0)
    out << ", with " << formatBytes(uint64_t(remade)) << " for updates before the forward";
  out << ")\n";
  line("file") << formatBytes(fileBytes) << '\n';
  line("time") << llvm::format("%.1f s\n", seconds);
}

void printExplanation(ModuleOp plan, llvm::raw_ostream &out) {
  struct Fusion {
    Operation *launch;
    int64_t count = 0;
  };
  llvm::MapVector<StringRef, Fusion> fusions;
  auto step = plan.lookupSymbol<plan::FuncOp>("step");
  if (!step)
    return;
  for (auto launch : step.getBody().front().getOps<plan::LaunchOp>()) {
    Fusion &fusion = fusions[launch.getKernel()];
    fusion.launch = launch;
    ++fusion.count;
  }
  int64_t total = 0, updates = 0;
  out << "Fused kernels of a step: operations, place in the spec, bytes never written\n";
  for (auto &[name, fusion] : fusions) {
    auto kernel = plan.lookupSymbol<plan::KernelOp>(name);
    Block &body = kernel.getBody().front();
    int64_t saved = 0;
    unsigned count = 0;
    std::string operations;
    for (Operation &op : body.without_terminator()) {
      if (isa<nn::ConstantOp, nn::ReshapeOp>(op))
        continue;
      bool yielded = llvm::any_of(op.getUsers(), llvm::IsaPred<nn::YieldOp>);
      if (!yielded)
        saved += plan::bytesOf(op.getResult(0).getType());
      if (++count <= 8)
        operations += (operations.empty() ? "" : ", ") + op.getName().stripDialect().str();
    }
    if (count < 2)
      continue;
    SpecLocation place = describeLocation(fusion.launch->getLoc(), "");
    out << "  " << llvm::left_justify(name, 14) << llvm::right_justify(formatBytes(saved), 11);
    if (fusion.count > 1)
      out << " x " << fusion.count;
    out << "  " << operations << (count > 8 ? ", ..." : "");
    if (!place.file.empty())
      out << "  (" << place.file << ":" << place.line << ":" << place.column << ")";
    out << '\n';
    total += saved * fusion.count;
  }
  for (auto launch : step.getBody().front().getOps<plan::LaunchOp>())
    for (Value output : launch.getOutputs())
      if (output.getDefiningOp<plan::BufferOp>().getArena() == plan::stateArena)
        ++updates;
  out << "  together " << formatBytes(total) << " a step; " << updates
      << " states or groups are updated in place\n";
}

} // namespace doppel::cli
