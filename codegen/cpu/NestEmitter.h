// Emits one nest of a kernel's form as LLVM IR for a CPU: loops, of which the innermost steps over
// whole vectors. The last vector of a row is masked, so no scalar loop is left over.
#pragma once

#include "codegen/kernels/NodeEmitter.h"

namespace doppel::cpu {

class NestEmitter : kernels::NodeEmitter {
public:
  /// `lanes`: number of elements of a vector, a power of two.
  NestEmitter(llvm::IRBuilder<> &b, const plan::LoopNest &nest,
              const kernels::KernelBuffers &buffers, unsigned lanes)
      : NodeEmitter(b, nest, buffers, registers), registers(lanes), lanes(lanes) {}

  /// Emits workgroup `group`, 0 .. nest.groups - 1, at the builder's place.
  void emit(llvm::Value *group);

private:
  void laneLoop(llvm::Value *low, llvm::Value *high, unsigned unroll, bool mayEndInVector,
                uint32_t loops, Carried &carried, llvm::function_ref<void(Carried &)> body);
  void emitMap(llvm::Value *group);
  void emitReduce(llvm::Value *group);
  void emitSegment(llvm::Value *group);
  void emitSegmentSum(llvm::Value *group);
  void emitScatter(llvm::Value *group);
  void emitRingCopy(llvm::Value *group);
  void reduceHere(llvm::ArrayRef<unsigned> reduced, llvm::function_ref<llvm::Value *()> laneEnd);
  void sweepLoops(llvm::ArrayRef<unsigned> reduced, llvm::function_ref<llvm::Value *()> laneEnd,
                  Carried &accumulators, llvm::ArrayRef<unsigned> reductions,
                  llvm::ArrayRef<const plan::Store *> stores);

  kernels::MaskedLanes registers;
  unsigned lanes;
};

} // namespace doppel::cpu
