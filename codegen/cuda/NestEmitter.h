// The loops of one nest over the threads of a block (README.md, "Loops").
#pragma once

#include "codegen/cuda/Placeholders.h"
#include "codegen/kernels/NodeEmitter.h"
#include "dialects/plan/Machine.h"

namespace doppel::cuda {

/// Emits workgroup `group`, 0 .. nest.groups - 1, at the builder's place, which all threads of the
/// block reach. Returns the bytes of shared memory that it needs.
uint64_t emitNest(llvm::IRBuilder<> &b, const plan::LoopNest &nest,
                  const kernels::KernelBuffers &buffers, const plan::Machine &machine,
                  llvm::Value *group);

/// Elements of a vector: one load of 16 bytes, as f32.
unsigned vectorWidth(const plan::Machine &machine);

class NestEmitter : kernels::NodeEmitter {
public:
  /// Which elements of a run of neighbours are emitted. Where the whole vectors of a run are made
  /// by one emitter, what is left at its ends is made by another of width 1.
  enum class Part { All, WholeVectors, Ends };

  NestEmitter(llvm::IRBuilder<> &b, const plan::LoopNest &nest,
              const kernels::KernelBuffers &buffers, const plan::Machine &machine, unsigned width,
              Part part);

  void emit(llvm::Value *group);
  uint64_t sharedBytes() const { return shared; }

private:
  /// The threads that make one row of a row reduction.
  struct Team {
    int64_t size;               ///< 1, a warp, or the block
    llvm::Value *number, *lane; ///< of the team in the block, of the thread in the team; i64
  };
  /// The value of a reduction from each thread's accumulator.
  using Combine = llvm::function_ref<llvm::Value *(llvm::Value *accumulator, nn::ReduceKind)>;

  // NestLoops.cpp.
  void emitMap(llvm::Value *group);
  void emitSegment(llvm::Value *group);
  void emitScatter(llvm::Value *group);
  void emitRingCopy(llvm::Value *group);
  /// for each vector of [low, high), the threads in turn; the body finds it in `instances`.
  void threadLoop(llvm::Value *low, llvm::Value *high, uint32_t loops,
                  llvm::function_ref<void()> body);
  /// The same over the part of this emitter; `low` may lie anywhere.
  void partLoop(llvm::Value *low, llvm::Value *high, uint32_t loops,
                llvm::function_ref<void()> body);
  void storeAll();
  /// body() in threads where `condition` holds. With `alone`, only they load what the body alone
  /// reads: an output may lie over it.
  void inBranch(llvm::Value *condition, llvm::function_ref<void()> body, bool alone = false);
  /// Sets the indices of `loops` from the number of their point, `linear`, which is below the
  /// product of their sizes; the last is the first lane of a vector where it is the lane loop.
  void setIndices(llvm::Value *linear, llvm::ArrayRef<unsigned> loops);

  // NestReductions.cpp.
  void emitRows(llvm::Value *group);
  void emitColumns(llvm::Value *group);
  void emitSegmentSum(llvm::Value *group);
  Team teamFor(int64_t vectors);
  void reduceRow(const Team &team, llvm::ArrayRef<unsigned> reduced, llvm::Value *count);
  /// All sweeps over the reduced loops, of which this thread has points `first`, `first` + `step`,
  /// ... below `count`; `combined` makes a reduction's value of the threads' accumulators. Then
  /// the stores behind them, in threads where `stores` holds (null: in all).
  void sweepAll(llvm::ArrayRef<unsigned> reduced, llvm::Value *first, llvm::Value *count,
                int64_t step, Combine combined, llvm::Value *stores);
  void addPoint(Carried &accumulators, llvm::ArrayRef<unsigned> reductions,
                llvm::ArrayRef<const plan::Store *> stores);
  llvm::Value *joinLanes(llvm::Value *accumulator, nn::ReduceKind kind);
  llvm::Value *joinWarp(llvm::Value *value, nn::ReduceKind kind);
  struct Slots;
  Slots slotsFor(llvm::Type *type, int64_t count);
  void writeSlot(const Slots &slots, llvm::Value *number, llvm::Value *value);
  llvm::Value *readSlot(const Slots &slots, llvm::Value *number);
  llvm::Value *joinWarps(llvm::Value *value, nn::ReduceKind kind);
  llvm::Value *joinRows(llvm::Value *value, nn::ReduceKind kind, int64_t down, int64_t across);

  kernels::ThreadLanes lanes;
  const plan::Machine &machine;
  Part part;
  unsigned width;
  Placeholders gpu;
  llvm::Value *thread; ///< i64
  uint64_t shared = 0;
};

} // namespace doppel::cuda
