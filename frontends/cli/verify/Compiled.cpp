// From a module to an executable by the compiler's own path: passes, code generation, artifact,
// loader, device.
#include "frontends/cli/verify/Compiled.h"

#include "codegen/cpu/CpuCodegen.h"
#include "codegen/cpu/Processor.h"
#include "codegen/cuda/CudaCodegen.h"
#include "dialects/nn/NnDialect.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/raw_ostream.h"

#include <cstring>

using namespace mlir;

namespace doppel::verify {

using reference::Tensor;

LogicalResult lower(ModuleOp module, Phase from, Phase to, const PipelineOptions &options,
                    plan::TargetAttr target) {
  module.getContext()->loadDialect<plan::PlanDialect>();
  if (!target)
    target = plan::targetAttrOf(module.getContext(), {.kind = plan::cpuKind});
  if (target.getKind() != plan::cudaKind) {
    FailureOr<plan::TargetAttr> complete =
        cpu::completeTarget(target, [&] { return module.emitError(); });
    if (failed(complete))
      return failure();
    target = *complete;
  }
  plan::setTarget(module, target);
  PassManager manager(module.getContext());
  buildPipeline(manager, from, to, options);
  return manager.run(module);
}

LogicalResult tell(const runtime::Error &error) {
  llvm::errs() << "error: " << error.message << '\n';
  return failure();
}

FailureOr<KernelCode> compileKernels(ModuleOp module) {
  if (plan::findTarget(module).getKind() == plan::cpuKind) {
    FailureOr<cpu::ObjectCode> code = cpu::compileKernels(module);
    if (failed(code))
      return failure();
    return KernelCode{.modules = {std::move(code->elf)}, .blocks = {}};
  }
  FailureOr<cuda::SimCode> code = cuda::compileForSimulator(module);
  if (failed(code))
    return failure();
  KernelCode made{.modules = {std::move(code->elf)}, .blocks = {}};
  for (const cuda::BlockShape &shape : code->blocks)
    made.blocks.push_back({shape.threads, uint32_t(shape.sharedBytes)});
  return made;
}

LogicalResult LoadedProgram::parse(ModuleOp module, const KernelCode &code) {
  ArtifactParts parts;
  parts.code = {code};
  FailureOr<std::string> bytes = serializeArtifact(module, parts);
  if (failed(bytes))
    return failure();
  auto parsed = runtime::Artifact::parse(std::as_bytes(std::span(*bytes)), "the artifact");
  if (!parsed)
    return tell(parsed.error());
  artifact = std::move(*parsed);
  return success();
}

LogicalResult LoadedProgram::load(ModuleOp module, const KernelCode &code, int threads) {
  if (failed(parse(module, code)))
    return failure();
  auto opened = runtime::openDevice(artifact->program(), {threads});
  if (!opened)
    return tell(opened.error());
  device = std::move(*opened);
  auto bound = runtime::Executable::create(*artifact, *device);
  if (!bound)
    return tell(bound.error());
  executable = std::move(*bound);
  return success();
}

static nn::StateOp declareState(func::FuncOp function, const std::string &name, Type type) {
  OpBuilder builder(function);
  return nn::StateOp::create(builder, function.getLoc(), name, nn::StateKind::Other,
                             cast<RankedTensorType>(type));
}

/// A tensor argument becomes a state that is read at the function's begin.
LogicalResult Compiled::rewriteArguments(func::FuncOp function) {
  std::vector<std::string> &names = arguments[function.getName().str()];
  BitVector erased(function.getNumArguments());
  OpBuilder builder = OpBuilder::atBlockBegin(&function.getBody().front());
  for (BlockArgument argument : function.getArguments()) {
    names.emplace_back();
    if (isa<nn::ImagesType>(argument.getType()))
      continue;
    names.back() = "verify." + function.getName().str() + ".argument" +
                   std::to_string(argument.getArgNumber());
    declareState(function, names.back(), argument.getType());
    argument.replaceAllUsesWith(
        nn::ReadOp::create(builder, argument.getLoc(), argument.getType(),
                           FlatSymbolRefAttr::get(builder.getContext(), names.back())));
    erased.set(argument.getArgNumber());
  }
  return function.eraseArguments(erased);
}

/// A result that is not f32 becomes a state that is written at the function's end; the others get
/// names of their own.
void Compiled::rewriteResults(func::FuncOp function) {
  std::vector<Result> &places = results[function.getName().str()];
  Operation *end = function.getBody().front().getTerminator();
  OpBuilder builder(end);
  BitVector erased(function.getNumResults());
  for (unsigned i = 0; i < function.getNumResults(); ++i) {
    auto type = cast<RankedTensorType>(function.getResultTypes()[i]);
    std::string name = "verify." + function.getName().str() + ".result" + std::to_string(i);
    places.push_back({name, !type.getElementType().isF32()});
    function.setResultAttr(i, "nn.name", builder.getStringAttr(name));
    if (!places.back().isState)
      continue;
    declareState(function, name, type);
    nn::WriteOp::create(builder, end->getLoc(), FlatSymbolRefAttr::get(builder.getContext(), name),
                        end->getOperand(i));
    erased.set(i);
  }
  end->eraseOperands(erased);
  LogicalResult done = function.eraseResults(erased);
  assert(succeeded(done) && "a function's type can lose results");
  (void)done;
}

FailureOr<std::unique_ptr<Compiled>> Compiled::create(ModuleOp module, Phase from, int threads,
                                                      plan::TargetAttr target) {
  std::unique_ptr<Compiled> compiled(new Compiled);
  for (auto function : llvm::to_vector(module.getOps<func::FuncOp>())) {
    if (failed(compiled->rewriteArguments(function)))
      return failure();
    compiled->rewriteResults(function);
  }
  if (failed(lower(module, from, Phase::Plan, {}, target)))
    return failure();
  FailureOr<KernelCode> code = compileKernels(module);
  if (failed(code))
    return failure();
  if (failed(compiled->load(module, *code, threads)))
    return failure();
  return compiled;
}

//===- Values ---------------------------------------------------------------------------------===//

template <typename Number> static void encode(const Tensor &tensor, std::vector<std::byte> &bytes) {
  bytes.resize(tensor.size() * sizeof(Number));
  for (int64_t i = 0; i < tensor.size(); ++i) {
    auto number = static_cast<Number>(tensor[i]);
    std::memcpy(bytes.data() + i * sizeof(Number), &number, sizeof(Number));
  }
}

template <typename Number> static void decode(std::span<const std::byte> bytes, Tensor &tensor) {
  for (int64_t i = 0; i < tensor.size(); ++i) {
    Number number;
    std::memcpy(&number, bytes.data() + i * sizeof(Number), sizeof(Number));
    tensor[i] = static_cast<double>(number);
  }
}

/// Calls `visit` with a value of the C++ type of `dtype`.
template <typename Visit> static void withType(schema::DType dtype, Visit visit) {
  switch (dtype) {
  case schema::DType::F32:
    return visit(float());
  case schema::DType::F64:
    return visit(double());
  case schema::DType::I64:
    return visit(int64_t());
  case schema::DType::I32:
    return visit(int32_t());
  default:
    return visit(uint8_t());
  }
}

size_t Compiled::stateNumber(const std::string &name) const {
  const auto &states = executable->states();
  auto found = llvm::find_if(states, [&](const auto &state) { return state.name == name; });
  return found - states.begin();
}

LogicalResult Compiled::write(const std::string &name, const Tensor &value) {
  size_t number = stateNumber(name);
  if (number == executable->states().size())
    return success(); // no function of the program uses it
  std::vector<std::byte> bytes;
  withType(executable->states()[number].dtype,
           [&](auto zero) { encode<decltype(zero)>(value, bytes); });
  if (auto written = executable->writeState(number, bytes); !written)
    return tell(written.error());
  return success();
}

FailureOr<Tensor> Compiled::read(const std::string &name) {
  size_t number = stateNumber(name);
  if (number == executable->states().size())
    return tell({"the program has no state " + name});
  const runtime::StateInfo &info = executable->states()[number];
  auto bytes = executable->readState(number);
  if (!bytes)
    return tell(bytes.error());
  Tensor tensor(info.shape);
  withType(info.dtype, [&](auto zero) { decode<decltype(zero)>(*bytes, tensor); });
  return tensor;
}

FailureOr<std::vector<Tensor>> Compiled::call(StringRef function, ArrayRef<reference::Value> values,
                                              const abi::RunScalars &run,
                                              std::map<std::string, Tensor> &states) {
  for (const auto &[name, value] : states)
    if (failed(write(name, value)))
      return failure();
  runtime::Inputs inputs{{}, run};
  for (auto [name, value] : llvm::zip_equal(arguments.at(function.str()), values)) {
    if (auto *images = std::get_if<reference::Images>(&value)) {
      inputs.images.push_back({images->refs, images->slab});
    } else if (failed(write(name, std::get<Tensor>(value)))) {
      return failure();
    }
  }
  auto stopped = executable->run(function.str(), inputs);
  if (!stopped)
    return tell(stopped.error());
  if (*stopped)
    return tell({(**stopped).what + " is not finite: " + (**stopped).expression});

  std::vector<Tensor> found;
  for (const Result &result : results.at(function.str())) {
    if (result.isState) {
      FailureOr<Tensor> tensor = read(result.name);
      if (failed(tensor))
        return failure();
      found.push_back(std::move(*tensor));
      continue;
    }
    reference::Shape shape;
    auto output = executable->output(executable->lastTicket(), result.name, &shape);
    if (!output)
      return tell(output.error());
    found.emplace_back(shape, std::vector<double>(output->begin(), output->end()));
  }
  for (auto &[name, value] : states)
    if (stateNumber(name) != executable->states().size()) {
      FailureOr<Tensor> tensor = read(name);
      if (failed(tensor))
        return failure();
      value = std::move(*tensor);
    }
  return found;
}

} // namespace doppel::verify
