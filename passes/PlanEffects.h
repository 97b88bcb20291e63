// What the instructions of a plan.func read and write, byte by byte: the ground on which copies are
// elided, memory is shared and both are checked.
#pragma once

#include "dialects/plan/KernelForm.h"
#include "dialects/plan/PlanDialect.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/DenseMap.h"

#include <memory>

namespace doppel {

/// Bytes [begin, end) of an allocation or of an arena.
struct MemoryRange {
  const void *root = nullptr; ///< the plan.alloc, or the name of the arena
  int64_t begin = 0, end = 0;

  bool overlaps(const MemoryRange &other) const {
    return root == other.root && begin < other.end && other.begin < end;
  }
  bool operator==(const MemoryRange &) const = default;
  int64_t bytes() const { return end - begin; }
};

/// The bytes of a value of type !plan.buffer, through all its views.
MemoryRange rangeOf(mlir::Value buffer);

/// The allocation behind a buffer, or null if it lies in an arena already.
plan::AllocOp allocationOf(mlir::Value buffer);

/// The operands that an instruction reads and writes. Both are empty for definitions of buffers.
struct Effects {
  llvm::SmallVector<mlir::Value, 8> reads, writes;
};
Effects effectsOf(mlir::Operation *instruction);

/// Whether the operation is executed (or names an output), rather than a definition of memory.
bool isInstruction(mlir::Operation *op);

/// Tells of kernels which inputs may share their bytes with an output. Keeps the form of each
/// kernel that was asked for.
class KernelAliasing {
public:
  explicit KernelAliasing(mlir::ModuleOp module) : symbols(module) {}

  /// Whether output `output` of the launch may lie where input `input` does: whoever writes an
  /// element has read all that it and anyone else needs of it. True for element-wise use at the
  /// same place, and for the queue of an enqueue and the table of a scatter, which keep what they
  /// do not write.
  bool mayShare(plan::LaunchOp launch, unsigned input, unsigned output);

private:
  mlir::SymbolTable symbols;
  llvm::DenseMap<mlir::Operation *, std::unique_ptr<plan::KernelForm>> forms;
};

} // namespace doppel
