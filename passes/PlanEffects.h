// What the planner knows of memory: the bytes behind a buffer, and where a kernel may write over
// what it reads. plan-verify-memory uses nothing of it but has a rule of its own, which the planner
// asks too.
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

/// The place in an arena behind a buffer, or null if it has none yet.
plan::BufferOp bufferOf(mlir::Value buffer);

/// Tells of kernels which inputs may share their bytes with an output: where the loops of its form
/// allow it and the verifier's rule, which knows nothing of loops, does too. One of the two may
/// then be wrong, and a program that is right is never refused. Keeps the form of each kernel that
/// was asked for.
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
