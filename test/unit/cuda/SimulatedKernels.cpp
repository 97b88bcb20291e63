// A launch runs its blocks one after another, each thread a fibre (runtime/device/sim).
#include "SimulatedKernels.h"

#include "ReservedKernels.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/sim/Block.h"
#include "runtime/schema/Abi.h"

#include <cstdio>
#include <cstdlib>
#include <memory>

using namespace doppel::runtime;

namespace doppel::test {

namespace {

[[noreturn]] void end(const Error &error) {
  std::fprintf(stderr, "stand-in for the driver: %s\n", error.message.c_str());
  std::abort();
}

template <typename T> T orEnd(Result<T> result) {
  if (!result)
    end(result.error());
  return *std::move(result);
}

struct Simulation {
  Artifact artifact;
  std::unique_ptr<cpu::SharedObject> object;
  sim::BlockRunner runner;
};

/// Buffers, a slab for each input of images, scratch memory, the flag.
size_t argumentsOf(const schema::Program &program, const schema::Launch &launch) {
  size_t count = launch.buffers()->size() + 1;
  for (uint32_t i = 0; i + launch.outputs() < launch.buffers()->size(); ++i)
    count += program.buffers()->Get(launch.buffers()->Get(i))->dtype() == schema::DType::ImageRef;
  return count + (program.kernels()->Get(launch.kernel())->scratch_bytes() > 0);
}

} // namespace

void simulateKernels(Recording &recording, const std::string &path) {
  auto simulation = std::make_shared<Simulation>(orEnd(Artifact::load(path)));
  const schema::Program &program = simulation->artifact.program();
  const schema::CodeSet *code = simulation->artifact.code(schema::CodeKind::Elf);
  if (program.target()->kind()->string_view() != "cuda-sim" || !code)
    end({path + " is not compiled for cuda-sim"});
  simulation->object = orEnd(cpu::SharedObject::open(simulation->artifact.module(*code, 0)));
  auto *services =
      static_cast<const abi::SimServices **>(simulation->object->find(abi::simServicesSymbol));
  *services = &sim::services();

  addReservedKernels(recording);
  addKernel(recording, abi::gpuPermutation, 4, [](const Recording::Launch &launch) {
    TensorRef run{pointer<void>(launch, 0), schema::DType::Unspecified, {}};
    TensorRef permutation{
        pointer<void>(launch, 1), schema::DType::I32, {int64_t(number(launch, 2))}};
    orEnd(cpu::prepareCall({schema::LibraryOp::RandomPermutation,
                            {run},
                            {permutation},
                            {int64_t(number(launch, 3))}}))
        .run(nullptr);
  });
  for (const schema::Function *function : *program.functions())
    for (const schema::Instruction *instruction : *function->instructions()) {
      const schema::Launch *source = instruction->operation_as_Launch();
      if (!source)
        continue;
      std::string name = program.kernels()->Get(source->kernel())->symbol()->str();
      auto kernel = reinterpret_cast<abi::SimKernelFunction>(simulation->object->find(name));
      size_t sharedBytes = code->blocks()->Get(source->kernel())->shared_bytes();
      if (!kernel)
        end({"no simulated kernel " + name});
      auto run = [=](const Recording::Launch &launch) {
        if (isSet(static_cast<uint64_t *>(launch.pointers.back())))
          return;
        sim::BlockRunner &runner = simulation->runner;
        if (auto ready = runner.prepare(int32_t(launch.threads), sharedBytes); !ready)
          end(ready.error());
        for (unsigned block = 0; block < launch.blocks; ++block)
          if (auto ran = runner.run(kernel, launch.pointers.data(), int32_t(block), nullptr); !ran)
            end(std::move(ran.error()).within(name));
      };
      addKernel(recording, name, argumentsOf(program, *source), run);
    }
}

} // namespace doppel::test
