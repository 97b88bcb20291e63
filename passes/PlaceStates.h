// The layout of @state.
#pragma once

#include "dialects/nn/NnDialect.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"

namespace doppel {

/// Where a state or a state group lies in the state arena.
struct StatePlace {
  int64_t offset; ///< bytes
  mlir::RankedTensorType type;
};

struct StateLayout {
  llvm::StringMap<StatePlace> places; ///< by name of the state or group
  int64_t bytes = 0;                  ///< of all
};

/// Gives every state and state group of the module its place: equal kinds together, in the order of
/// declaration, a group where its first member is declared. Makes a plan.state of each state, at
/// the builder, and erases the nn.state and nn.state_group.
StateLayout placeStates(mlir::ModuleOp module, mlir::OpBuilder &builder);

} // namespace doppel
