// The numbers of each kind of target.
#include "dialects/plan/Machine.h"

#include "dialects/plan/NestBuilder.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace doppel;
using namespace doppel::plan;

/// A CPU with caches and a few to a few hundred cores. Nothing follows its name but the vectors.
static Machine cpuMachine(TargetAttr target) {
  auto has = [&](StringRef feature) {
    return target.getFeatures() &&
           llvm::is_contained(target.getFeatures().getAsValueRange<StringAttr>(), feature);
  };
  bool wide = has("avx512f") && has("avx512bw") && has("avx512dq") && has("avx512vl");
  return {
      // 16,384 f32 are 64 KiB: a workgroup of some ten microseconds, against one to hand it out.
      .leastGroupElements = 16384,
      .groupElements = 16384,
      // A sum may not depend on the number of cores, so none is named.
      .fullGroups = Machine::unlimited,
      // 256 f32 are 1 KiB, long enough for the prefetcher, and their f64 sums fit the first cache.
      .groupColumns = 256,
      .enoughReductions = 16,
      .cutsSeveralLoops = false,
      .scatterGroups = 64,
      // Eight workgroups' work for one core is what the others would wait for.
      .longReduction = 1 << 17,
      .leastPart = 2048,
      .mostParts = 64,
      .longSegment = 1 << 16,
      .oneSweepElements = 1 << 16, // 256 KiB
      .smallElements = 16384,
      .cachedBytes = 1 << 16,
      .againElements = 1024,
      .operationsPerNumber = 24,
      .mostBuffers = 40, // with sixteen registers the addresses are reloaded all the time
      .mostOperations = 512,
      // oneDNN brings filters into a layout of its own anyway.
      .filtersChannelsLast = false,
      .channelMultiple = 1,
      .poolsAreCalls = true,
      .roundsToTf32 = false,
      .productsTakeEpilogues = false, // kernels do it while the product is in a cache
      .vectorBytes = wide          ? 64
                     : has("avx2") ? 32
                                   : 16,
      .threads = 1,
      .warpThreads = 1,
      .sharedBytes = 0,
  };
}

/// First values, from counted bytes and the experience of others; they wait for a card to be tuned
/// on.
static Machine cudaMachine(TargetAttr target) {
  auto least = cast<StringAttr>(target.getArchitectures()[0]);
  // Four blocks of 256 threads an SM: half of the threads that it holds, with 64 registers each.
  int64_t blocks = 4 * findArchitecture(least.getValue())->multiprocessors;
  return {
      // One load of 16 bytes a thread, or four of them in flight: 256 threads * 4 f32 * 4.
      .leastGroupElements = 1024,
      .groupElements = 4096,
      .fullGroups = blocks,
      // A warp's load of 16 bytes a lane is 128 f32; the block's eight warps take rows in turn.
      .groupColumns = 128,
      .enoughReductions = Machine::unlimited,
      .cutsSeveralLoops = true,
      .scatterGroups = blocks,
      // 128 elements a thread; fewer leave the sum over the threads as long as that over elements.
      .longReduction = 1 << 15,
      .leastPart = 2048,
      .mostParts = blocks,
      .longSegment = 1 << 14,
      .oneSweepElements = 1 << 16, // below, both sweeps together take less than a launch
      // A launch in a graph takes about a microsecond, in which memory moves one to three MB.
      .smallElements = 1 << 18,
      .cachedBytes = 1 << 20,
      .againElements = 1024,
      // 132 SMs of 128 lanes at 1.7 GHz against 3.35 TB/s (H100): 8.6 operations a byte.
      .operationsPerNumber = 32,
      // 32 vectors of four registers are half of a thread's 255.
      .mostBuffers = 32,
      .mostOperations = 256,
      // cuDNN has its fast kernels for filters in the order of the images; with 3 channels it takes
      // 411 MB to make 8 of them itself.
      .filtersChannelsLast = true,
      .channelMultiple = 8,
      .poolsAreCalls = false, // cuDNN's graphs have no backward of a max pool
      .roundsToTf32 = true,   // since sm_80
      .productsTakeEpilogues = true,
      .vectorBytes = 16,
      .threads = 256,
      .warpThreads = 32,
      .sharedBytes = 48 * 1024, // more has to be asked for at each launch
  };
}

Machine plan::machineOf(TargetAttr target) {
  return target.getKind() == cpuKind ? cpuMachine(target) : cudaMachine(target);
}

FailureOr<Machine> plan::machineOf(Operation *op) {
  if (TargetAttr target = findTarget(op))
    return machineOf(target);
  return op->emitError() << "the module has no plan.target, which says how kernels are cut: give "
                            "it one (doppel-opt --plan-set-target=target=cpu)";
}

int64_t Machine::augmentScratchBytes(nn::AugmentOp augment) const {
  constexpr int64_t floats = 16; // of 64 bytes, the longest vectors of all targets
  int64_t size = shapeOf(augment.getResult())[1], taps = 1;
  for (auto stage : augment.getPipeline().getAsRange<nn::StageAttr>())
    if (stage.getTransform() == nn::Transform::GaussianBlur)
      taps = std::max(taps, stage.getInteger("kernel"));
  int64_t row = llvm::alignTo(size, floats), plane = llvm::alignTo(size * size, floats);
  return int64_t(sizeof(float)) * (6 * plane + 10 * row + 2 * llvm::alignTo(taps, floats) + 64);
}
