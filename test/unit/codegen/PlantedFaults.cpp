// Faults in whole kernels of a method, each of which the checking simulator must find, and tell
// with the kernel's place in the spec, thread and block. The kernels are those of a compiled
// program, a fault is planted into a copy of one, and the program that launches the copy alone is
// run as any other artifact is. On the kernels as they are nothing is found.
#include "codegen/cuda/CudaCodegen.h"
#include "codegen/cuda/Placeholders.h"
#include "codegen/cuda/Reserved.h"
#include "dialects/plan/PlanDialect.h"
#include "frontends/cli/verify/Compiled.h"
#include "frontends/cli/verify/Verify.h"
#include "frontends/spec/Frontend.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/sim/Block.h"
#include "runtime/schema/GpuAbi.h"
#include "test/unit/codegen/Faults.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Regex.h"
#include "llvm/Transforms/Utils/Cloning.h"

#include <gtest/gtest.h>
#include <set>

using namespace doppel;
using namespace doppel::cuda;

namespace {

namespace abi = doppel::abi; // not the C++ library's

/// A method that has kernels of every kind, as small as it can be.
constexpr const char *spec = DOPPEL_EXAMPLES_DIR "/swav.dpl";
constexpr std::pair<const char *, const char *> settings[] = {
    {"batch", "8"},   {"size", "16"},      {"backbone", "resnet10"}, {"stem", "cifar"},
    {"width", "20"},  {"dim", "64"},       {"hidden", "16"},         {"prototypes", "1100"},
    {"length", "16"}, {"small_size", "8"}, {"small_crops", "1"},     {"queue_from", "0"}};
/// Kernels of each kind, the smallest, the largest, and some between.
constexpr size_t mostOfKind = 12;

std::string variantName(llvm::StringRef kernel, const char *change) {
  return kernel.str() + "." + change;
}

/// The kernels, with each fault in copies, as one code for all tests.
class Plants {
public:
  Plants();
  static Plants &get() {
    static Plants plants;
    return plants;
  }

  struct Subject {
    plan::KernelOp kernel;
    llvm::StringRef function;
    unsigned launch; ///< its number in the function
    bool inPlace, writesStates;
  };
  /// What a kind of kernels has for a fault.
  struct Variant {
    std::string kernel; ///< the subject's name; empty where the fault has no place in this kind
    std::string symbol;
  };

  /// Runs a program of one launch: of `symbol`, the changed kernel of `subject`, as so many blocks
  /// more. What the device says, or empty.
  std::string run(const Subject &subject, const std::string &symbol, int64_t moreBlocks);
  std::string textOf(llvm::StringRef kernel) {
    std::string text = "\n";
    llvm::raw_string_ostream stream(text);
    plan::KernelOp(subjects.at(kernel).kernel).print(stream);
    return text;
  }

  llvm::StringMap<Subject> subjects;
  std::map<std::pair<const Fault *, std::string>, Variant> variants;
  KernelCode code;
  std::vector<BlockShape> blocks;

private:
  void choose(mlir::ModuleOp module);
  void plantAll(llvm::Module &module);
  void plant(llvm::Function &function, const Subject &subject);
  void addFlags(llvm::Function &function);
  llvm::Function *copy(llvm::Function &function, const std::string &name, int64_t moreBlocks = 0);

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> program; ///< in phase `plan`, without other kernels
};

Plants::Plants() {
  spec::SpecOptions options;
  for (auto [name, value] : settings)
    options.sets.emplace_back(name, value);
  program = spec::loadSpec(context, spec, options, llvm::errs());
  context.loadDialect<plan::PlanDialect>();
  auto target = plan::targetAttrOf(
      &context, {.kind = plan::simulatorKind, .architectures = {"sm_80"}, .check = true});
  if (!program || failed(verify::lower(*program, Phase::Ssl, Phase::Plan, {}, target)))
    llvm::report_fatal_error("the method does not compile");
  choose(*program);
  auto made = compileForSimulator(*program, [&](llvm::Module &module) { plantAll(module); });
  if (failed(made))
    llvm::report_fatal_error("the kernels do not compile");
  code.modules = {std::move(made->elf)};
  blocks = std::move(made->blocks);
  for (const BlockShape &shape : blocks)
    code.blocks.push_back({shape.threads, uint32_t(shape.sharedBytes)});
}

/// Takes some kernels of each kind that @step and @init launch; the others go.
void Plants::choose(mlir::ModuleOp module) {
  std::map<nn::KernelKind, std::vector<Subject>> known;
  llvm::StringSet<> seen;
  auto place = [](mlir::Value buffer) {
    auto op = buffer.getDefiningOp<plan::BufferOp>();
    return std::pair(op.getArena(), op.getOffset());
  };
  for (llvm::StringRef name : {"step", "init"}) {
    auto function = module.lookupSymbol<plan::FuncOp>(name);
    for (auto [number, launch] : llvm::enumerate(function.getBody().getOps<plan::LaunchOp>())) {
      if (!seen.insert(launch.getKernel()).second)
        continue;
      Subject subject{module.lookupSymbol<plan::KernelOp>(launch.getKernel()), name,
                      unsigned(number), false, false};
      for (mlir::Value output : launch.getOutputs()) {
        subject.writesStates |= place(output).first == "state";
        for (mlir::Value input : launch.getInputs())
          subject.inPlace |= place(input) == place(output);
      }
      known[subject.kernel.getKind()].push_back(subject);
    }
  }
  for (auto &[kind, list] : known) {
    auto size = [](Subject subject) { return llvm::range_size(subject.kernel.getBody().front()); };
    std::stable_sort(list.begin(), list.end(),
                     [&](const Subject &a, const Subject &b) { return size(a) < size(b); });
    size_t count = std::min(list.size(), mostOfKind);
    for (size_t i = 0; i < count; ++i) {
      Subject &subject = list[count == 1 ? 0 : i * (list.size() - 1) / (count - 1)];
      subjects.try_emplace(subject.kernel.getSymName(), subject);
    }
  }
  for (auto kernel : llvm::make_early_inc_range(module.getOps<plan::KernelOp>()))
    if (!subjects.contains(kernel.getSymName()))
      kernel.erase(); // run() takes their launches away
}

/// A copy of a kernel and of what the loader holds its launches against.
llvm::Function *Plants::copy(llvm::Function &function, const std::string &name,
                             int64_t moreBlocks) {
  llvm::ValueToValueMapTy map;
  llvm::Function *made = llvm::CloneFunction(&function, map);
  made->setName(name);
  llvm::Module &module = *function.getParent();
  auto *signature = llvm::cast<llvm::ConstantDataArray>(
      module.getNamedGlobal((function.getName() + abi::signatureSuffix).str())->getInitializer());
  std::vector<uint64_t> numbers;
  for (unsigned i = 0; i < signature->getNumElements(); ++i)
    numbers.push_back(signature->getElementAsInteger(i));
  numbers[0] += moreBlocks;
  auto *value = llvm::ConstantDataArray::get(module.getContext(), numbers);
  new llvm::GlobalVariable(module, value->getType(), true, llvm::GlobalValue::ExternalLinkage,
                           value, name + abi::signatureSuffix);
  return made;
}

void Plants::plant(llvm::Function &function, const Subject &subject) {
  plan::KernelOp kernel = subject.kernel;
  std::string kind = nn::stringifyKernelKind(kernel.getKind()).str();
  mlir::Block &body = kernel.getBody().front();
  for (const Fault &fault : faults()) {
    Variant &variant = variants[{&fault, kind}];
    if (!variant.kernel.empty())
      continue;
    std::string symbol = variantName(kernel.getSymName(), fault.name);
    llvm::Function *faulty = copy(function, symbol, fault.moreBlocks);
    auto isLarge = [](mlir::Type type) {
      return mlir::cast<mlir::ShapedType>(type).getNumElements() >= 64;
    };
    FaultyKernel place{*faulty,
                       body.getNumArguments() + kernel.getUsesRun(),
                       body.getTerminator()->getNumOperands(),
                       kernel.getScratchBytes() > 0,
                       subject.inPlace,
                       !body.getOps<nn::SliceOp>().empty(),
                       !llvm::any_of(body.getTerminator()->getOperandTypes(), isLarge),
                       int64_t(kernel.getGrid())};
    if (fault.plant(place)) {
      EXPECT_FALSE(llvm::verifyFunction(*faulty, &llvm::errs())) << symbol;
      variant = {kernel.getSymName().str(), symbol};
    } else {
      faulty->eraseFromParent();
    }
  }
}

/// Copies that heed the flag, as code for GPUs has them; one whose guard is always open.
void Plants::addFlags(llvm::Function &function) {
  addFlag(*copy(function, variantName(function.getName(), "guarded")));
  llvm::Function *open = addFlag(*copy(function, variantName(function.getName(), "unguarded")));
  for (llvm::BasicBlock &block : *open)
    if (block.getName() == "look") {
      auto *branch = llvm::cast<llvm::BranchInst>(block.getTerminator());
      branch->setCondition(llvm::ConstantInt::getTrue(open->getContext()));
    }
}

void Plants::plantAll(llvm::Module &module) {
  std::vector<llvm::Function *> kernels;
  for (llvm::Function &function : module)
    if (isKernel(function))
      kernels.push_back(&function);
  for (llvm::Function *function : kernels) {
    const Subject &subject = subjects.at(function->getName());
    plant(*function, subject);
    if (subject.writesStates)
      addFlags(*function);
  }
}

std::string Plants::run(const Subject &subject, const std::string &symbol, int64_t moreBlocks) {
  mlir::OwningOpRef<mlir::ModuleOp> module = program->clone();
  auto symbolAttr = mlir::FlatSymbolRefAttr::get(&context, symbol);
  for (auto function : module->getOps<plan::FuncOp>()) {
    unsigned launches = 0;
    for (mlir::Operation &op : llvm::make_early_inc_range(function.getBody().front())) {
      auto launch = mlir::dyn_cast<plan::LaunchOp>(op);
      if (launch && launches++ == subject.launch && function.getSymName() == subject.function)
        launch.setKernelAttr(symbolAttr);
      else if (mlir::isa<plan::LaunchOp, plan::CallOp, plan::CopyOp, plan::CheckOp>(op))
        op.erase();
    }
  }
  auto kernel = module->lookupSymbol<plan::KernelOp>(plan::KernelOp(subject.kernel).getSymName());
  kernel.setSymName(symbol);
  kernel.setGrid(kernel.getGrid() + moreBlocks);
  verify::LoadedProgram loaded;
  if (failed(loaded.parse(*module, code)))
    return "no artifact";
  auto device = runtime::openDevice(loaded.artifact->program(), {.threads = 1});
  if (!device)
    return device.error().message;
  auto executable = runtime::Executable::create(*loaded.artifact, **device);
  if (!executable)
    return executable.error().message;
  verify::ArgumentSource source(/*seed=*/1, /*rank=*/0);
  auto drawn = source.draw(module->getLoc(), nn::ImagesType::get(&context, 8), {}, 0);
  const auto &images = std::get<reference::Images>(*drawn);
  runtime::Inputs inputs{{{images.refs, images.slab}},
                         {.seed = 1, .step = 3, .stepsPerEpoch = 10, .epochs = 5, .samples = 80}};
  auto stopped = (*executable)->run(subject.function.str(), inputs);
  return stopped ? "" : stopped.error().message;
}

//===- Tests ----------------------------------------------------------------------------------===//

class PlantedFaults : public testing::TestWithParam<const Fault *> {};

TEST_P(PlantedFaults, AreFound) {
  const Fault &fault = *GetParam();
  Plants &plants = Plants::get();
  llvm::SmallVector<llvm::StringRef> kinds;
  llvm::StringRef(fault.kinds).split(kinds, ' ');
  for (unsigned i = 1; i <= nn::getMaxEnumValForKernelKind(); ++i) {
    std::string kind = nn::stringifyKernelKind(nn::KernelKind(i)).str();
    SCOPED_TRACE(kind);
    Plants::Variant &variant = plants.variants[{&fault, kind}];
    EXPECT_EQ(llvm::is_contained(kinds, kind), !variant.kernel.empty())
        << "the fault has " << (variant.kernel.empty() ? "no " : "a ") << "place in this kind";
    if (variant.kernel.empty())
      continue;
    std::string message =
        plants.run(plants.subjects.at(variant.kernel), variant.symbol, fault.moreBlocks);
    // "kernel 'row_3.LeavesOutABarrier' (softmax(x) at std/losses.dpl:12:3): thread 1 of block 0
    // ..."
    llvm::Regex place("kernel '" + llvm::Regex::escape(variant.symbol) +
                      "' \\(.* at [a-z_/]+\\.dpl:[0-9]+:[0-9]+\\): ");
    EXPECT_TRUE(place.match(message)) << message;
    EXPECT_TRUE(llvm::Regex(fault.message).match(message))
        << variant.symbol << ": " << message << plants.textOf(variant.kernel);
    EXPECT_TRUE(llvm::Regex("threads? .*of blocks? [0-9]+").match(message)) << message;
  }
}

std::vector<const Fault *> pointersToFaults() {
  std::vector<const Fault *> all;
  for (const Fault &fault : faults())
    all.push_back(&fault);
  return all;
}

INSTANTIATE_TEST_SUITE_P(, PlantedFaults, testing::ValuesIn(pointersToFaults()),
                         [](const auto &info) { return std::string(info.param->name); });

TEST(PlantedFaultsNot, KernelsAsTheyAreHaveNone) {
  Plants &plants = Plants::get();
  std::set<nn::KernelKind> kinds;
  for (const auto &entry : plants.subjects) {
    const Plants::Subject &subject = entry.second;
    EXPECT_EQ(plants.run(subject, entry.first().str(), 0), "") << entry.first().str();
    kinds.insert(plan::KernelOp(subject.kernel).getKind());
  }
  EXPECT_EQ(kinds.size(), nn::getMaxEnumValForKernelKind());
}

TEST(PlantedFaultsNot, AnotherNumberOfBlocksIsRefused) {
  Plants &plants = Plants::get();
  for (const auto &entry : plants.subjects)
    for (int64_t more : {-1, 1}) {
      int64_t blocks = plan::KernelOp(entry.second.kernel).getGrid();
      if (blocks + more == 0)
        continue; // that is no program
      std::string message = plants.run(entry.second, entry.first().str(), more);
      std::string wanted = llvm::formatv("kernel '{0}' is launched with {1} workgroups, but was "
                                         "compiled for {2}",
                                         entry.first(), blocks + more, blocks)
                               .str();
      EXPECT_NE(message.find(wanted), std::string::npos) << message;
    }
}

//===- The flag -------------------------------------------------------------------------------===//

/// Runs a kernel that takes the flag, while that is set: no buffer may be written then. What the
/// simulator finds, or empty.
std::string runFlagged(runtime::cpu::SharedObject &object, const std::string &symbol,
                       const BlockShape &shape) {
  namespace sim = runtime::sim;
  auto *numbers = static_cast<const int64_t *>(object.find(symbol + abi::signatureSuffix));
  auto entry = reinterpret_cast<abi::SimKernelFunction>(object.find(symbol));
  if (!numbers || !entry)
    return "no kernel";
  std::vector<void *> pointers;
  std::vector<sim::Region> regions;
  struct Free {
    size_t bytes;
    void operator()(void *data) const { runtime::cpu::freeAligned(data, bytes); }
  };
  std::vector<std::unique_ptr<void, Free>> owned;
  for (int64_t i = 0; i < numbers[2] + numbers[3]; ++i) {
    size_t bytes = numbers[4 + i];
    owned.emplace_back(runtime::cpu::allocateAligned(bytes), Free{bytes});
    pointers.push_back(owned.back().get());
    regions.push_back({static_cast<std::byte *>(pointers.back()), bytes, 4, false});
  }
  uint64_t flag = 3;
  pointers.push_back(&flag);
  regions.push_back({reinterpret_cast<std::byte *>(&flag), sizeof flag, sizeof flag, false});
  sim::BlockRunner runner;
  EXPECT_TRUE(runner.prepare(int32_t(shape.threads), shape.sharedBytes));
  sim::Checker checker(regions, runner.shared(), shape.sharedBytes);
  for (int64_t block = 0; block < numbers[0]; ++block)
    if (auto ran = runner.run(entry, pointers.data(), int32_t(block), &checker); !ran)
      return ran.error().message;
  return "";
}

TEST(PlantedFaultsFlag, AKernelWithoutItsGuardIsFound) {
  Plants &plants = Plants::get();
  auto object =
      runtime::cpu::SharedObject::open(std::as_bytes(std::span(plants.code.modules.front())));
  ASSERT_TRUE(object) << object.error().message;
  *static_cast<const abi::SimServices **>((*object)->find(abi::simServicesSymbol)) =
      &runtime::sim::services();
  int count = 0;
  for (const BlockShape &shape : plants.blocks) {
    if (!plants.subjects.at(shape.kernel).writesStates)
      continue;
    EXPECT_EQ(runFlagged(**object, variantName(shape.kernel, "guarded"), shape), "")
        << shape.kernel;
    std::string message = runFlagged(**object, variantName(shape.kernel, "unguarded"), shape);
    EXPECT_TRUE(
        llvm::Regex("thread [0-9]+ of block [0-9]+ writes buffer [0-9]+, an input").match(message))
        << shape.kernel << ": " << message;
    ++count;
  }
  EXPECT_GE(count, 3);
}

} // namespace
