// What code generation starts from for every target: the body of a kernel as nests of loops over
// scalar expressions.
//
// Operations that only move data (broadcast, reshape, transpose, slice, pad, concat, gather) are
// gone: they have become affine addresses, guards and choices. What is left is a graph of nodes,
// each a number at one point of the loops. A target chooses how the loops run (threads, vectors,
// tiles), never what they compute. The form is a function of the body alone, so the grid is, too.
#pragma once

#include "dialects/nn/NnDialect.h"

namespace doppel::plan {

/// offset + the sum of strides[d] * (index of loop d).
struct Affine {
  llvm::SmallVector<int64_t, 4> strides = {};
  int64_t offset = 0;
};

enum class NodeKind : uint8_t {
  Load,     ///< element `access` (+ operand 0, where there is one) of block argument `number`; zero
            ///< where `guard` is false
  Table,    ///< the same of the constant `op`, which is no splat
  Splat,    ///< the one value of the constant `op`
  Index,    ///< `access` itself, i64
  IndexAdd, ///< operand 0 + operand 1, i64
  IndexScale,    ///< operand 0 * number
  IndexDiv,      ///< operand 0 / number, rounding down
  IndexMod,      ///< operand 0 modulo number, not negative
  InRange,       ///< 0 <= operand 0 < number, i1
  And,           ///< operand 0 and operand 1, i1
  Choose,        ///< operand 1 where operand 0 holds, else operand 2
  Compute,       ///< the element-wise `op` of the operands
  Convert,       ///< operand 0, an i64, as `type`
  Reduction,     ///< the reduce `op` over operand 0
  RunScalar,     ///< the scalar `op` of the run
  Random,        ///< draw number operand 0 of the random `op`
  SampleIndex,   ///< the data set index of image operand 0 of block argument `number`
  RingStart,     ///< (step mod number) * the `limit` of rows, i64
  SegmentNumber, ///< of the piece that the loop is in; -1 in a gap, i64
  SegmentStart,  ///< first element of the segment that the loop is in, i64
};

struct Node {
  NodeKind kind;
  mlir::Type type; ///< of the element
  mlir::Operation *op = nullptr;
  llvm::SmallVector<unsigned, 3> operands = {}; ///< nodes
  Affine access = {};
  int64_t number = 0;
  int64_t limit = 0;
  int guard = -1;     ///< node or -1
  uint32_t loops = 0; ///< bit d: varies with loop d; bit 31: waits for a reduction
  unsigned level = 0; ///< number of sweeps over the reduced loops that come before it

  static constexpr uint32_t afterReduction = 1u << 31;
};

/// What a loop is to the nest: independent, reduced over, or beside the reduced ones (the columns
/// of a column reduction).
enum class LoopRole : uint8_t { Outer, Reduced, Inner };

struct Loop {
  int64_t size;
  LoopRole role;
};

struct Store {
  unsigned node;
  unsigned output; ///< number of the yielded value
  Affine access;
  int dynamic = -1; ///< node, in elements, added to `access`, or -1
};

/// A run of a packed vector, [start, end), that is one segment, or -1 where it is none.
struct Piece {
  int64_t start, end, segment;
  bool operator==(const Piece &) const = default;
};

enum class NestKind : uint8_t {
  Map,     ///< every point of the loops is independent
  Reduce,  ///< Outer x Reduced x Inner; stores after the reductions vary with Outer and Inner alone
  Segment, ///< one loop over a packed vector, piece by piece
  SegmentSum, ///< Outer: the segments; Reduced: the elements of each, `pieces` tells how many
  Scatter,    ///< loops: rows of the table (Outer), indices in order (Reduced), elements of a row
              ///< (Inner)
};

struct LoopNest {
  NestKind kind = NestKind::Map;
  llvm::SmallVector<Loop, 4>
      loops; ///< sizes above 1 only, neighbours joined where every address allows it
  std::vector<Node> nodes;
  std::vector<Store> stores;
  llvm::SmallVector<unsigned> reductions; ///< Reduction nodes
  unsigned sweeps = 0;                    ///< number of levels of reductions
  std::vector<Piece> pieces;
  mlir::Operation *special = nullptr; ///< the segment_sum, scatter_rows or enqueue
  int scatterIndex = -1;              ///< node: the row that index i names
  int ringQueue = -1; ///< block argument: the queue whose other rows an enqueue keeps
  mlir::LocationAttr location;

  // Set by cutIntoWorkgroups.
  int64_t groups = 1; ///< workgroups of this nest; they are `outerGroups` x `innerGroups`
  int64_t outerPerGroup = 1, outerGroups = 1;
  int64_t innerPerGroup = 1, innerGroups = 1;

  /// Product of the sizes of the loops of a role.
  int64_t extent(LoopRole role) const;
};

/// The nests of a kernel, one after another in its grid. They are independent of each other.
struct KernelForm {
  std::vector<LoopNest> nests;
  int64_t grid = 0; ///< set by cutIntoWorkgroups
};

/// The form of a body whose terminator is nn.yield. Diagnoses an operation that no nest can hold (a
/// reduction over other loops than the rest, a reduction that is read at another place than its
/// own) where `diagnose`. Not for the augment kind.
mlir::FailureOr<KernelForm> buildKernelForm(mlir::Block &body, bool diagnose = true);

/// Whether the body reads the run's scalars (the step, the seed): the launch has the run buffer as
/// its last input then.
bool usesRun(mlir::Block &body);

} // namespace doppel::plan
