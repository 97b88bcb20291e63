// The layout of packed states: which parameters share a vector, and at which offsets.
#pragma once

#include "dialects/nn/NnDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <string>
#include <vector>

namespace doppel {

/// One vector of states: the parameters of a group, one of their moments, or one of their averages.
struct Column {
  mlir::StringAttr symbol; ///< of the nn.state_group
  nn::StateKind kind;
  llvm::SmallVector<mlir::StringAttr> members;
};

/// target <- average of source, by the module's n-th ema_update; columns are numbers within the
/// group.
struct Average {
  unsigned update, target, source;
};

struct Group {
  std::string root;         ///< the network's name: "online"
  int optimizer = -1;       ///< which update_parameters steps it, or -1
  mlir::StringAttr counter; ///< state [] that counts that optimizer's steps, where it may skip some
  bool decay = false, adapt = false;
  llvm::SmallVector<Column> columns;   ///< parameters, averages, then moments
  unsigned firstMoment = 0;            ///< column of the first moment
  llvm::SmallVector<Average> averages; ///< in the order of the step
  llvm::SmallVector<mlir::RankedTensorType> types;
  llvm::SmallVector<int64_t> offsets, sizes;
  llvm::SmallVector<unsigned> gradients; ///< place of each member in its optimizer's list
  mlir::RankedTensorType vector;
};

/// Groups all states that an update_parameters or an ema_update of `step` touches, and declares the
/// groups and the moments in its module: in the order in which the step names their first members.
/// Fails, after an error, where two optimizers step one parameter, or where an average follows two.
mlir::FailureOr<std::vector<Group>> groupStates(mlir::ModuleOp module, mlir::func::FuncOp step);

} // namespace doppel
