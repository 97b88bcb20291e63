// `doppel-verify simulate`: each kernel that a program has for a GPU, block by block in the
// simulator, which shows every access to its checker, against the oracle. The kernel takes the
// oracle's values, rounded to their types, so that each is measured alone.
#include "frontends/cli/verify/Compiled.h"
#include "frontends/cli/verify/Verify.h"

#include "codegen/cuda/Bind.h"
#include "codegen/cuda/Cubin.h"
#include "codegen/cuda/KernelEmitter.h"
#include "codegen/cuda/Placeholders.h"
#include "codegen/cuda/Ptx.h"
#include "codegen/kernels/Draws.h"
#include "dialects/plan/Workgroups.h"
#include "mlir/IR/IRMapping.h"
#include "passes/KernelOutliner.h"
#include "runtime/device/sim/Block.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Transforms/Utils/Cloning.h"

#include <cmath>
#include <cstring>

using namespace mlir;

namespace doppel::verify {

using reference::Tensor;
namespace sim = runtime::sim;

namespace {

using Bytes = std::vector<std::byte>;

/// Calls `visit` with a zero of the C++ type of an element.
template <typename Visit> void withType(Type element, Visit visit) {
  if (element.isF32())
    visit(float());
  else if (element.isF64())
    visit(double());
  else if (element.isInteger(64))
    visit(int64_t());
  else if (element.isInteger(32))
    visit(int32_t());
  else
    visit(uint8_t());
}

Bytes encode(const Tensor &tensor, Type type) {
  Bytes bytes;
  withType(getElementTypeOrSelf(type), [&](auto zero) {
    bytes.resize(tensor.size() * sizeof zero);
    for (int64_t i = 0; i < tensor.size(); ++i) {
      auto number = static_cast<decltype(zero)>(tensor[i]);
      std::memcpy(bytes.data() + i * sizeof zero, &number, sizeof zero);
    }
  });
  return bytes;
}

Tensor decode(const std::byte *bytes, Type type) {
  Tensor tensor(reference::shapeOf(type));
  withType(getElementTypeOrSelf(type), [&](auto number) {
    for (int64_t i = 0; i < tensor.size(); ++i) {
      std::memcpy(&number, bytes + i * sizeof number, sizeof number);
      tensor[i] = static_cast<double>(number);
    }
  });
  return tensor;
}

size_t elementBytes(Type type) {
  size_t bytes = 8; // images: their fields
  if (isa<RankedTensorType>(type))
    withType(getElementTypeOrSelf(type), [&](auto zero) { bytes = sizeof zero; });
  return bytes;
}

/// Buffers of a launch, as a device has them: at 64 bytes.
class Memory {
public:
  void add(const Bytes &bytes, size_t elementBytes, bool isWritten, bool isScratch = false) {
    auto *base = static_cast<std::byte *>(std::aligned_alloc(64, llvm::alignTo(bytes.size(), 64)));
    std::copy(bytes.begin(), bytes.end(), base);
    owned.emplace_back(base, &std::free);
    pointers.push_back(base);
    regions.push_back({base, bytes.size(), elementBytes, isWritten, isScratch});
  }
  std::vector<void *> pointers;
  std::vector<sim::Region> regions;

private:
  std::vector<std::unique_ptr<std::byte, decltype(&std::free)>> owned;
};

class Simulation {
public:
  Simulation(ModuleOp module, const SimulateOptions &options)
      : module(module), options(options),
        source(options.seed, /*rank=*/0), run{options.seed, options.step, /*stepsPerEpoch=*/10,
                                              /*epochs=*/5, /*samples=*/1000} {}

  /// Fails after a diagnostic; else tells whether every kernel is right.
  FailureOr<bool> check(func::FuncOp function);

private:
  FailureOr<bool> checkKernel(nn::FusedOp fused, const InterpretedCall &call);
  /// The kernel's outputs; fails after a message.
  FailureOr<std::vector<Tensor>> launch(plan::KernelOp kernel, ArrayRef<reference::Value> inputs);
  LogicalResult assemble(const llvm::Module &code);

  ModuleOp module;
  const SimulateOptions &options;
  ArgumentSource source;
  abi::RunScalars run;
  size_t spilled = 0;
};

} // namespace

static LogicalResult tell(llvm::Error error) {
  llvm::errs() << "error: " << llvm::toString(std::move(error)) << '\n';
  return failure();
}

LogicalResult Simulation::assemble(const llvm::Module &code) {
  std::unique_ptr<llvm::Module> clone = llvm::CloneModule(code);
  auto ptx = cuda::makePtx(*clone, "sm_80");
  if (!ptx)
    return tell(ptx.takeError());
  const char *path = "/usr/local/cuda/bin/ptxas";
  if (!llvm::sys::fs::can_execute(path))
    return success();
  auto assembler = cuda::openPtxas(path);
  if (!assembler)
    return tell(assembler.takeError());
  auto cubin = (*assembler)->assemble(*ptx, "sm_80");
  if (!cubin)
    return tell(cubin.takeError());
  for (const cuda::KernelUsage &usage : cubin->usage)
    spilled += usage.spillStores > 0 || usage.spillLoads > 0;
  return success();
}

FailureOr<std::vector<Tensor>> Simulation::launch(plan::KernelOp kernel,
                                                  ArrayRef<reference::Value> inputs) {
  auto machine = plan::machineOf(kernel);
  if (failed(machine))
    return failure();
  auto context = std::make_unique<llvm::LLVMContext>();
  auto code = std::make_unique<llvm::Module>("kernels", *context);
  if (failed(cuda::emitKernel(kernel, *machine, *code)))
    return failure();
  for (const std::string &draw : kernels::missingDraws(*code)) {
    kernels::defineDraw(draw, *code);
    code->getFunction(draw)->setVisibility(llvm::GlobalValue::DefaultVisibility);
    code->getFunction(draw)->setLinkage(llvm::GlobalValue::InternalLinkage);
  }
  if (llvm::verifyModule(*code, &llvm::errs()))
    return kernel.emitError("code generation made wrong LLVM IR");
  if (options.ptx && failed(assemble(*code)))
    return failure();

  Block &body = kernel.getBody().front();
  Memory memory;
  std::vector<Bytes> slabs;
  for (auto [argument, value] : llvm::zip_equal(body.getArguments(), inputs)) {
    if (auto *images = std::get_if<reference::Images>(&value)) {
      auto *begin = reinterpret_cast<const std::byte *>(images->refs.data());
      memory.add({begin, begin + images->refs.size() * sizeof(abi::ImageRef)}, 8, false);
      auto *slab = reinterpret_cast<const std::byte *>(images->slab.data());
      slabs.push_back({slab, slab + images->slab.size()});
      continue;
    }
    memory.add(encode(std::get<Tensor>(value), argument.getType()),
               elementBytes(argument.getType()), false);
  }
  if (kernel.getUsesRun()) {
    auto *begin = reinterpret_cast<const std::byte *>(&run);
    memory.add({begin, begin + sizeof run}, 8, false);
  }
  size_t firstOutput = memory.pointers.size();
  auto outputTypes = body.getTerminator()->getOperandTypes();
  for (Type type : outputTypes)
    memory.add(encode(Tensor(reference::shapeOf(type), 77), type), elementBytes(type), true);
  for (const Bytes &slab : slabs)
    memory.add(slab, 1, false);
  if (kernel.getScratchBytes() > 0)
    memory.add(Bytes(kernel.getGrid() * kernel.getScratchBytes(), std::byte{0xCC}), 4, true, true);

  std::string name = kernel.getSymName().str();
  llvm::Function *function = code->getFunction(name);
  auto threads = int32_t(cuda::blockThreads(*function));
  size_t shared = cuda::sharedBytes(*function);
  auto jit = llvm::orc::LLJITBuilder().create();
  if (!jit)
    return tell(jit.takeError());
  code->setDataLayout((*jit)->getDataLayout());
  if (llvm::Error error = cuda::bindSim(*code, /*checked=*/true))
    return tell(std::move(error));
  if (llvm::Error error = (*jit)->addIRModule({std::move(code), std::move(context)}))
    return tell(std::move(error));
  auto entry = (*jit)->lookup(name), services = (*jit)->lookup(abi::simServicesSymbol);
  if (!entry)
    return tell(entry.takeError());
  if (!services)
    return tell(services.takeError());
  *services->toPtr<const abi::SimServices **>() = &sim::services();
  sim::BlockRunner runner;
  if (auto ready = runner.prepare(threads, shared); !ready)
    return tell(ready.error());
  sim::Checker checker(memory.regions, runner.shared(), shared);
  for (int64_t block = 0; block < int64_t(kernel.getGrid()); ++block) {
    auto ran = runner.run(entry->toPtr<abi::SimKernelFunction>(), memory.pointers.data(),
                          int32_t(block), &checker);
    if (!ran) {
      llvm::outs() << "  " << name << ": WRONG, " << ran.error().message << '\n';
      return failure();
    }
  }
  if (auto missing = checker.finish()) {
    llvm::outs() << "  " << name << ": WRONG, " << *missing << '\n';
    return failure();
  }
  std::vector<Tensor> outputs;
  for (auto [number, type] : llvm::enumerate(outputTypes))
    outputs.push_back(decode(memory.regions[firstOutput + number].base, type));
  return outputs;
}

FailureOr<bool> Simulation::checkKernel(nn::FusedOp fused, const InterpretedCall &call) {
  // The kernel, and a function of the same operations.
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  Region body;
  IRMapping mapping;
  fused.getBody().cloneInto(&body, mapping);
  auto machine = plan::machineOf(module.getOperation());
  if (failed(machine))
    return failure();
  KernelOutliner outliner(builder, *machine);
  plan::KernelOp kernel = outliner.outline(fused.getLoc(), fused.getKind(), body);
  if (!kernel)
    return failure();
  auto alone = func::FuncOp::create(
      builder, fused.getLoc(), "simulated",
      builder.getFunctionType(fused.getOperandTypes(), fused.getResultTypes()));
  builder.setInsertionPointToStart(alone.addEntryBlock());
  IRMapping arguments;
  arguments.map(fused.getBody().front().getArguments(), alone.getArguments());
  for (Operation &op : fused.getBody().front().without_terminator())
    builder.clone(op, arguments);
  SmallVector<Value> results;
  for (Value value : fused.getBody().front().getTerminator()->getOperands())
    results.push_back(arguments.lookup(value));
  func::ReturnOp::create(builder, fused.getLoc(), results);

  std::vector<reference::Value> inputs;
  for (Value operand : fused.getInputs()) {
    const reference::Value &value = call.values.at(operand);
    if (auto *tensor = std::get_if<Tensor>(&value))
      inputs.emplace_back(std::in_place_type<Tensor>, roundedToType(*tensor, operand.getType()));
    else
      inputs.emplace_back(std::in_place_type<reference::Images>,
                          std::get<reference::Images>(value));
  }
  reference::Interpreter interpreter(module);
  interpreter.run = run;
  auto wanted = interpreter.call(alone, inputs);
  auto found = launch(kernel, inputs);
  bool isRight = succeeded(wanted) && succeeded(found);
  double worst = 0;
  std::string where;
  for (size_t i = 0; isRight && i < wanted->size(); ++i) {
    Tensor expected = roundedToType((*wanted)[i], fused.getResultTypes()[i]);
    const Tensor &own = (*found)[i];
    double error = relativeError(expected, own, smallElement, options.floor);
    if (error <= worst)
      continue;
    worst = error;
    int64_t element = 0;
    for (int64_t k = 0; k < expected.size(); ++k)
      if (!(std::abs(expected[k] - own[k]) <= std::abs(expected[element] - own[element])))
        element = k;
    llvm::raw_string_ostream(where = "")
        << "    output " << i << ", element " << element
        << llvm::format(": oracle %.9g, block %.9g\n", expected[element], own[element]);
  }
  if (isRight) {
    isRight = worst <= options.tolerance;
    llvm::outs() << "  " << nn::stringifyKernelKind(fused.getKind()) << ": "
                 << (isRight ? "ok" : "WRONG")
                 << llvm::format(", greatest relative error %.1e", worst) << ", "
                 << kernel.getGrid() << " blocks\n";
    if (!isRight) {
      llvm::outs() << where;
      fused.print(llvm::outs());
      llvm::outs() << '\n';
    }
  }
  alone.erase();
  kernel.erase();
  return isRight;
}

FailureOr<bool> Simulation::check(func::FuncOp function) {
  SmallVector<nn::FusedOp> kernels;
  SetVector<Value> wanted;
  for (auto fused : function.getOps<nn::FusedOp>()) {
    kernels.push_back(fused);
    wanted.insert_range(fused.getInputs());
  }
  auto call = interpretValues(function, wanted.getArrayRef(), run, source);
  if (failed(call))
    return failure();
  llvm::outs() << "@" << function.getName() << ": " << kernels.size() << " kernels\n";
  bool isFine = true;
  for (nn::FusedOp fused : kernels) {
    auto right = checkKernel(fused, *call);
    if (failed(right))
      return failure();
    isFine &= *right;
  }
  if (options.ptx && spilled > 0)
    llvm::outs() << "  WRONG: " << spilled << " kernels spill registers\n";
  return isFine && spilled == 0;
}

int simulate(ModuleOp module, Phase phase, const SimulateOptions &options) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  module.getContext()->loadDialect<plan::PlanDialect>();
  auto target =
      plan::targetAttrOf(module.getContext(), {.kind = plan::cudaKind, .architectures = {"sm_80"}});
  if (failed(lower(module, phase, Phase::Fused, {}, target)))
    return 1;
  bool isFine = true, isFound = false;
  for (auto function : llvm::to_vector(module.getOps<func::FuncOp>())) {
    if (!options.function.empty() && function.getName() != options.function)
      continue;
    isFound = true;
    auto good = Simulation(module, options).check(function);
    isFine &= succeeded(good) && *good;
  }
  if (!isFound)
    llvm::errs() << "error: no function @" << options.function << '\n';
  return isFine && isFound ? 0 : 1;
}

} // namespace doppel::verify
