// The nodes of one nest of a kernel's form as LLVM IR, for every target: loads, tables, index
// arithmetic, computes, draws, scalars of the run, stores. A node is emitted in the outermost loop
// that gives it all it varies with, once. What loops there are is a target's own; each opens a
// scope.
#pragma once

#include "codegen/kernels/Lanes.h"
#include "codegen/kernels/VectorMath.h"
#include "dialects/plan/KernelForm.h"

#include "llvm/IR/IRBuilder.h"

#include <optional>

namespace doppel::kernels {

/// Base addresses of a kernel's buffers, in the order of the plan's launch.
struct KernelBuffers {
  llvm::SmallVector<llvm::Value *> inputs, outputs;
  llvm::SmallVector<llvm::Value *> slabs; ///< by input: of the pixels of images, else null
  llvm::Value *run = nullptr;             ///< of abi::RunScalars, where the kernel reads them
};

class NodeEmitter {
public:
  NodeEmitter(llvm::IRBuilder<> &b, const plan::LoopNest &nest, const KernelBuffers &buffers,
              const Lanes &lanes)
      : b(b), math(b), nest(nest), buffers(buffers), vectors(lanes),
        index(nest.loops.size(), nullptr) {}

protected:
  using Carried = llvm::SmallVector<llvm::Value *>;
  struct Scope {
    uint32_t loops; ///< that run here or further out
    llvm::Instruction *anchor =
        nullptr; ///< what is emitted here goes before it; at the builder's place if null
    llvm::DenseMap<std::pair<unsigned, unsigned>, llvm::Value *> known{}; ///< by node and instance
    /// What is first wanted in here is emitted in here, not further out: other threads, which do
    /// not come here, have no business with it.
    bool closed = false;
  };
  /// One vector of those that an iteration of the lane loop works on.
  struct Instance {
    llvm::Value *base; ///< index of the first lane
    llvm::Value *mask = nullptr;
  };

  /// for (i = low; i < high; i += step) body(i): a new scope, whose loops are `loops`. `carried`
  /// goes from iteration to iteration.
  void loop(llvm::Value *low, llvm::Value *high, int64_t step, uint32_t loops, Carried &carried,
            llvm::function_ref<void(llvm::Value *, Carried &)> body);
  /// Sets the indices of `loops` from the number of their point in row-major order.
  void delinear(llvm::Value *linear, llvm::ArrayRef<unsigned> loops);
  llvm::Value *least(llvm::Value *x, llvm::Value *y);
  llvm::Value *constant(int64_t value) { return b.getInt64(value); }

  /// The value of a node at an instance: a vector where it varies with the lanes, else a number.
  llvm::Value *eval(unsigned node, unsigned instance);
  void store(const plan::Store &store, unsigned instance);
  /// The index expression at the first lane of the instance.
  llvm::Value *offset(const plan::Affine &access, unsigned instance);

  // Reductions. Sums of f32 are made in f64: of a thousand numbers they would lose three bits, of
  // numbers that cancel (the gradient of a bias) all. Products and maps between are f32.
  llvm::Type *accumulatorType(const plan::Node &node);
  /// A reduction's accumulator as the node's value.
  llvm::Value *rounded(llvm::Value *accumulator, const plan::Node &node);
  llvm::Value *combine(nn::ReduceKind kind, llvm::Value *x, llvm::Value *y);
  /// `reduce` may be null: a sum.
  llvm::Value *identity(nn::ReduceOp reduce, llvm::Type *type);

  llvm::GlobalVariable *table(llvm::ArrayRef<int64_t> values);
  bool inLane(uint32_t loops) const { return laneDim >= 0 && (loops >> laneDim & 1); }
  llvm::Value *widen(llvm::Value *value) { return vectors.widen(b, value); }
  llvm::Value *laneNumbers(llvm::Type *type) { return vectors.numbers(type); }
  llvm::Type *registerType(mlir::Type type); ///< of a number in a register: i1 for bool
  llvm::Type *memoryType(mlir::Type type);   ///< in memory: i8 for bool

  llvm::IRBuilder<> &b;
  VectorMath math;
  const plan::LoopNest &nest;
  const KernelBuffers &buffers;
  const Lanes &vectors;
  int laneDim = -1;
  llvm::SmallVector<llvm::Value *> index; ///< of each loop but the lane loop
  llvm::SmallVector<Instance, 8> instances;
  llvm::SmallVector<Scope, 8> scopes;
  llvm::Value *piece = nullptr; ///< number of the piece of a Segment or SegmentSum nest

private:
  llvm::Value *emitNode(const plan::Node &node, unsigned number, unsigned instance);
  llvm::Value *emitCompute(const plan::Node &node, llvm::ArrayRef<llvm::Value *> operands);
  llvm::Value *emitLoad(const plan::Node &node, llvm::Value *base, unsigned instance);
  std::optional<std::pair<int64_t, int64_t>> boundsOf(unsigned number) const;
  llvm::Value *emitDivision(const plan::Node &node, llvm::Value *x);
  llvm::Value *emitRandom(const plan::Node &node, llvm::Value *element);
  llvm::Value *runField(unsigned number, bool asWord);
  llvm::Value *convert(llvm::Value *value, mlir::Type from, mlir::Type to);
  llvm::Constant *splatConstant(const plan::Node &node);
  llvm::GlobalVariable *table(mlir::Operation *constant);
  llvm::GlobalVariable *table(llvm::Constant *data);
  bool alignedVectors(const plan::Affine &access) const;
};

} // namespace doppel::kernels
