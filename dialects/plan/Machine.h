// What passes and code generators may ask of the machine that a program is made for. Every number
// of a machine stands here, with its reason; no pass and no form of a kernel has one of its own.
//
// The numbers of a target never depend on the machine that a program happens to run on: not on a
// count of cores, nor on which of its architectures a GPU is. What is added in which order follows
// them, and with it the bits.
#pragma once

#include "dialects/plan/Target.h"

#include <limits>

namespace doppel::plan {

struct Machine {
  static constexpr int64_t unlimited = std::numeric_limits<int64_t>::max();

  // Workgroups (Workgroups.cpp).

  /// Elements of a kernel's work that make a workgroup worth its start: at least, and as many as
  /// one takes where there are enough of them.
  int64_t leastGroupElements, groupElements;
  /// Workgroups that keep the whole machine busy; more of them need not be made out of less work.
  int64_t fullGroups;
  /// Columns that a workgroup of a column reduction takes.
  int64_t groupColumns;
  /// So many reductions are enough for the machine, so their columns are not cut as well.
  int64_t enoughReductions;
  /// Whether a range of several loops that did not join can be cut: threads find their own indices,
  /// a vector has to lie in one loop.
  bool cutsSeveralLoops;
  /// Workgroups of a scatter, at most: each of them reads all indices.
  int64_t scatterGroups;

  // Reductions (passes/FuseReductions.cpp).

  /// A reduction of more elements a workgroup is cut into parts, of at least `leastPart` elements
  /// each and `mostParts` at most.
  int64_t longReduction, leastPart, mostParts;
  /// A segment of more elements is summed in parts.
  int64_t longSegment;
  /// From so many elements on, a variance is made in one sweep: below, the data stay in a cache for
  /// the second one.
  int64_t oneSweepElements;

  // Fusion (passes/Fuse.cpp).

  /// A kernel of fewer elements costs its launch, whatever it computes.
  int64_t smallElements;
  /// A value of fewer bytes is still in a cache when it is read.
  int64_t cachedBytes;
  /// Elements that may be computed again by each of their readers without a thought.
  int64_t againElements;
  /// Operations of arithmetic on an f32 that cost as much as one f32 of memory traffic.
  int64_t operationsPerNumber;
  /// More buffers in one kernel would leave too few registers for their addresses and vectors.
  int64_t mostBuffers;
  /// More operations in one kernel would leave the code generator too long a function.
  int64_t mostOperations;

  // Library calls (passes/LayOutConvolutions.cpp, where no other pass is named).

  /// Whether convolutions want their filters as [O, KH, KW, I / groups].
  bool filtersChannelsLast;
  /// Channels that a convolution reads come in multiples of this.
  int64_t channelMultiple;
  /// Whether pools are calls; else they are kernels (passes/DecomposePools.cpp).
  bool poolsAreCalls;

  /// Whether products and convolutions can round their operands to tf32.
  bool roundsToTf32;
  /// Whether a product adds a matrix and a bias and takes relu before it stores (passes/
  /// FuseEpilogues.cpp).
  bool productsTakeEpilogues;

  // Code.

  /// Bytes of a vector: of a register on a CPU, of one load of a thread on a GPU.
  int64_t vectorBytes;
  /// Threads of a workgroup that run side by side and share memory; 1 on a CPU.
  int64_t threads;
  /// Threads that run in step; 1 on a CPU.
  int64_t warpThreads;
  /// Bytes of memory that the threads of a workgroup may share.
  int64_t sharedBytes;

  /// The bytes that a workgroup of an augment kernel needs for itself while it runs: two views as
  /// planes of floats, nine rows for the resize, a padded row and the weights of a blur, each in
  /// whole vectors. No view's memory grows with its image. A target that runs many workgroups at
  /// once runs fewer of them, which take the views in turn.
  int64_t augmentScratchBytes(nn::AugmentOp augment) const;
};

/// The machine of a target: on a GPU the least of its architectures.
Machine machineOf(TargetAttr target);

/// The machine of the module that `op` lies in. Where that has no target, an error.
mlir::FailureOr<Machine> machineOf(mlir::Operation *op);

} // namespace doppel::plan
