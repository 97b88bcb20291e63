// Emits the operations of a step: shapes and types made to agree, every broadcast explicit.
//
// An operation goes to the end of the block of the current Context, which also says what may be
// used there. Operands have been checked unless a function says that it reports.
#pragma once

#include "dialects/nn/NnDialect.h"
#include "frontends/spec/Trace.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"

#include <array>
#include <optional>
#include <string>

namespace doppel::spec {

/// Where tensors go, and what may be used there.
enum class ContextKind {
  Step,          ///< the forward computation
  Update,        ///< the region of an update after the loss or the step
  BeforeForward, ///< the region of an update before the forward
  Rate,          ///< rates of optimizers and momenta of EMA nets
  Initial,       ///< the initial value of a state
  Represent,     ///< features, in inference mode
  Net            ///< the body of a network
};

struct Context {
  ContextKind kind;
  mlir::Block *block;
  const Context *outer = nullptr; ///< whose tensors may be used here too
  bool training = true;
  mlir::RankedTensorType declared = {}; ///< Initial: the type of the state
  mlir::Value images = {};              ///< Step, Represent: the batch of images
  llvm::StringRef updates = {};         ///< Update, BeforeForward: the state that gets a new value
  bool drewRandom = false;
  llvm::StringMap<mlir::Value> reads = {};
  std::array<mlir::Value, 5> runScalars = {};

  bool sees(const Context *other) const {
    for (const Context *c = this; c; c = c->outer)
      if (c == other)
        return true;
    return false;
  }
};

class TensorEmitter : public Reporting {
public:
  TensorEmitter(mlir::MLIRContext &context, Trace &trace) : Reporting(trace), builder(&context) {}

  /// Emits an operation at the end of the current block.
  template <typename Op, typename... Args> Op make(SourceRange range, Args &&...args) {
    countOperations(range, 1);
    builder.setInsertionPointToEnd(current->block);
    return Op::create(builder, trace.location(range), std::forward<Args>(args)...);
  }
  /// Operations that the method has `count` more of, wherever they stand.
  void countOperations(SourceRange range, size_t count);

  //===- Types and constants ------------------------------------------------------------------===//

  mlir::RankedTensorType tensorType(llvm::ArrayRef<int64_t> shape, mlir::Type element);
  mlir::RankedTensorType f32(llvm::ArrayRef<int64_t> shape);
  /// Whether tensors of `element` can hold the number; reports it where not.
  bool fitsElement(SourceRange range, double value, mlir::Type element);
  mlir::Value constant(SourceRange range, mlir::RankedTensorType type, double value);
  mlir::Value convert(SourceRange range, mlir::Value value, mlir::Type element);

  //===- Shapes -------------------------------------------------------------------------------===//

  mlir::Value reshape(SourceRange range, mlir::Value value, llvm::ArrayRef<int64_t> shape);
  /// As numpy: `value`'s axes are aligned from the last, those of 1 stretch.
  mlir::Value broadcastTo(SourceRange range, mlir::Value value, llvm::ArrayRef<int64_t> shape);
  mlir::Value reduce(SourceRange range, nn::ReduceKind kind, mlir::Value value,
                     llvm::ArrayRef<int64_t> dims, bool keep);
  mlir::Value slice(SourceRange range, mlir::Value value, llvm::ArrayRef<int64_t> offsets,
                    llvm::ArrayRef<int64_t> sizes);
  mlir::Value concat(SourceRange range, llvm::ArrayRef<mlir::Value> values, int64_t axis);
  mlir::Value transpose(SourceRange range, mlir::Value value, llvm::ArrayRef<int64_t> permutation);
  /// The shape that both broadcast to; reports E0310 and gives nothing if they do not.
  std::optional<llvm::SmallVector<int64_t>>
  broadcastShapes(llvm::ArrayRef<int64_t> left, llvm::ArrayRef<int64_t> right,
                  llvm::StringRef leftName, llvm::StringRef rightName, SourceRange range);

  //===- Values of the language as tensors ----------------------------------------------------===//

  /// Whether `value` can become a tensor of `type`, shapes aside: bools fill bools
  /// and nothing else does.
  static bool fills(const Value &value, mlir::RankedTensorType type);
  /// A number or bool as a tensor of `shape` and `element`; a tensor broadcast and converted.
  mlir::Value materialize(SourceRange range, const Value &value, llvm::ArrayRef<int64_t> shape,
                          mlir::Type element);
  /// The element type that arithmetic of both has.
  mlir::Type commonElement(const Value &left, const Value &right);
  /// Brings two operands (of which one is a tensor at least) to one shape and element type. False
  /// after an error.
  bool unify(const Value &left, const Value &right, SourceRange leftRange, SourceRange rightRange,
             SourceRange range, mlir::Value &leftTensor, mlir::Value &rightTensor);
  /// A value of rank 0 of f32 from a number or tensor; reports E0408 (`what` names it) if it is
  /// neither.
  mlir::Value scalar(const Value &value, SourceRange range, llvm::StringRef what);
  /// The new value of the state `name` as a tensor of its type; null after an error.
  mlir::Value newValue(SourceRange at, llvm::StringRef name, const Value &value,
                       mlir::RankedTensorType type, SourceRange declared);
  /// `value` where the scalar condition holds, `otherwise` where not. Both have one type.
  mlir::Value choose(SourceRange range, mlir::Value condition, mlir::Value value,
                     mlir::Value otherwise);

  //===- Operators: these report --------------------------------------------------------------===//

  /// `left @ right`.
  Value matmul(const Value &left, const Value &right, SourceRange leftRange, SourceRange rightRange,
               SourceRange range);
  /// Any other operator of two values, each a tensor, number or bool, one a tensor.
  Value arithmetic(BinaryOp op, const Value &left, const Value &right, SourceRange leftRange,
                   SourceRange rightRange, SourceRange range);

  //===- What the context holds ---------------------------------------------------------------===//

  mlir::Value readState(llvm::StringRef path, mlir::RankedTensorType type, SourceRange range);
  /// A scalar of the run by its name in the language, or None.
  Value runScalar(llvm::StringRef name, SourceRange range);
  /// The view that the image's stages make, in Step and Represent. Null after an error.
  mlir::Value materializeImage(const ImageValue &image, SourceRange range);
  /// Images of the batch, in Step and Represent.
  int64_t batch() const;
  /// The number of a new stream of random numbers.
  int64_t nextStream(SourceRange range);

  Context *current = nullptr;
  mlir::OpBuilder builder;

private:
  size_t operations = 0;
  int64_t streams = 0;
  std::string tooLarge; ///< the first shape that no machine holds, to be reported
};

} // namespace doppel::spec
