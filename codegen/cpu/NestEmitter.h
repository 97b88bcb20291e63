// Emits one nest of a kernel's form as LLVM IR for a CPU: loops, of which the innermost steps over
// whole vectors. A node is emitted in the outermost loop that gives it all it varies with, once;
// the last vector of a row is masked, so no scalar loop is left over.
#pragma once

#include "codegen/cpu/VectorMath.h"
#include "dialects/plan/KernelForm.h"

#include "llvm/IR/IRBuilder.h"

#include <functional>

namespace doppel::cpu {

/// The arguments of a kernel's function, loaded: base addresses in the order of the plan's launch.
struct KernelBuffers {
  llvm::SmallVector<llvm::Value *> inputs, outputs;
  llvm::Value *run = nullptr; ///< of abi::RunScalars, where the kernel reads them
};

class NestEmitter {
public:
  /// `lanes`: number of elements of a vector, a power of two.
  NestEmitter(llvm::IRBuilder<> &b, const plan::LoopNest &nest, const KernelBuffers &buffers,
              unsigned lanes)
      : b(b), math(b), nest(nest), buffers(buffers), lanes(lanes),
        index(nest.loops.size(), nullptr) {}

  /// Emits workgroup `group`, 0 .. nest.groups - 1, at the builder's place.
  void emit(llvm::Value *group);

private:
  using Carried = llvm::SmallVector<llvm::Value *>;
  struct Scope {
    uint32_t loops; ///< that run here or further out
    llvm::Instruction *anchor =
        nullptr; ///< what is emitted here goes before it; at the builder's place if null
    llvm::DenseMap<std::pair<unsigned, unsigned>, llvm::Value *> known{}; ///< by node and instance
  };
  /// One vector of those that an iteration of the lane loop works on.
  struct Instance {
    llvm::Value *base; ///< index of the first lane
    llvm::Value *mask = nullptr;
  };

  // Loops.
  void loop(llvm::Value *low, llvm::Value *high, int64_t step, uint32_t loops, Carried &carried,
            llvm::function_ref<void(llvm::Value *, Carried &)> body);
  void laneLoop(llvm::Value *low, llvm::Value *high, unsigned unroll, bool mayEndInVector,
                uint32_t loops, Carried &carried, llvm::function_ref<void(Carried &)> body);
  void delinear(llvm::Value *linear, llvm::ArrayRef<unsigned> loops);
  llvm::Value *least(llvm::Value *x, llvm::Value *y);
  llvm::Value *constant(int64_t value) { return b.getInt64(value); }

  // Nests.
  void emitMap(llvm::Value *group);
  void emitReduce(llvm::Value *group);
  void emitSegment(llvm::Value *group);
  void emitSegmentSum(llvm::Value *group);
  void emitScatter(llvm::Value *group);
  void emitRingCopy(llvm::Value *group);
  void reduceHere(llvm::ArrayRef<unsigned> reduced, llvm::function_ref<llvm::Value *()> laneEnd);
  llvm::Type *accumulatorType(const plan::Node &node);
  llvm::Value *rounded(llvm::Value *accumulator, const plan::Node &node);
  void sweepLoops(llvm::ArrayRef<unsigned> reduced, llvm::function_ref<llvm::Value *()> laneEnd,
                  Carried &accumulators, llvm::ArrayRef<unsigned> reductions,
                  llvm::ArrayRef<const plan::Store *> stores);
  void store(const plan::Store &store, unsigned instance);

  // Nodes.
  llvm::Value *eval(unsigned node, unsigned instance);
  llvm::Value *emitNode(const plan::Node &node, unsigned number, unsigned instance);
  llvm::Value *emitCompute(const plan::Node &node, llvm::ArrayRef<llvm::Value *> operands);
  llvm::Value *emitLoad(const plan::Node &node, llvm::Value *base, unsigned instance);
  llvm::Value *emitRandom(const plan::Node &node, llvm::Value *element);
  llvm::Value *runField(unsigned number, bool asWord);
  llvm::Value *offset(const plan::Affine &access, unsigned instance);
  llvm::Value *convert(llvm::Value *value, mlir::Type from, mlir::Type to);
  llvm::Value *combine(nn::ReduceKind kind, llvm::Value *x, llvm::Value *y);
  llvm::Value *identity(nn::ReduceOp reduce, llvm::Type *type);
  llvm::Constant *splatConstant(const plan::Node &node);
  llvm::GlobalVariable *table(llvm::ArrayRef<int64_t> values);
  llvm::GlobalVariable *table(mlir::Operation *constant);

  bool inLane(uint32_t loops) const { return laneDim >= 0 && (loops >> laneDim & 1); }
  llvm::Value *widen(llvm::Value *value);
  llvm::Value *laneNumbers(llvm::Type *type);
  llvm::Type *registerType(mlir::Type type); ///< of a number in a register: i1 for bool
  llvm::Type *memoryType(mlir::Type type);   ///< in memory: i8 for bool

  llvm::IRBuilder<> &b;
  VectorMath math;
  const plan::LoopNest &nest;
  const KernelBuffers &buffers;
  unsigned lanes;
  int laneDim = -1;
  llvm::SmallVector<llvm::Value *> index; ///< of each loop but the lane loop
  llvm::SmallVector<Instance, 8> instances;
  llvm::SmallVector<Scope, 8> scopes;
  llvm::Value *piece = nullptr; ///< number of the piece of a Segment or SegmentSum nest
};

} // namespace doppel::cpu
