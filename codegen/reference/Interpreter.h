// The oracle: interprets functions of a module of nn, in any of its phases, in double. Every
// operation is its formula (Formulas.h); nothing is optimised, nothing is rounded to the element
// type but uniform draws, which are floats.
#pragma once

#include "codegen/reference/ProcessGrid.h"
#include "codegen/reference/Tensor.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/schema/Abi.h"

#include <map>
#include <string>
#include <variant>

namespace doppel::reference {

/// A batch of decoded images and the bytes that they count from.
struct Images {
  std::vector<abi::ImageRef> refs;
  std::vector<uint8_t> slab; ///< abi::imagePadding included
};
using Value = std::variant<Tensor, Images>;

class Interpreter {
public:
  /// Every nn.state of `module` begins as zeros.
  explicit Interpreter(mlir::ModuleOp module);

  /// Values of the states by name. Members of a group are here alone; the group is made of them
  /// when it is read. An update operation that is not lowered keeps its moments here too, as
  /// NAME.momentum, or NAME.first_moment and NAME.second_moment.
  std::map<std::string, Tensor> states;
  /// What the run provides. `step` is the caller's to set before each call.
  abi::RunScalars run = {};
  /// Where this rank meets the others; one rank alone needs none.
  ProcessGrid *grid = nullptr;
  int rank = 0;

  /// The results of `function`, which has one block, for `arguments` of its types. Fails with a
  /// diagnostic at the operation that cannot be executed, or whose check found a value that is not
  /// finite; states that were written before that stay written.
  mlir::FailureOr<std::vector<Tensor>> call(mlir::func::FuncOp function,
                                            llvm::ArrayRef<Value> arguments);
  /// By name; fails with a diagnostic at the module where there is none.
  mlir::FailureOr<std::vector<Tensor>> call(llvm::StringRef function,
                                            llvm::ArrayRef<Value> arguments);

  mlir::ModuleOp getModule() const { return module; }

private:
  mlir::ModuleOp module;
};

/// The shape of a ranked, static tensor type.
Shape shapeOf(mlir::Type type);
/// The elements of a constant.
Tensor tensorOf(mlir::ElementsAttr elements);

} // namespace doppel::reference
