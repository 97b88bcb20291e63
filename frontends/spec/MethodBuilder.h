// Makes an ssl.method of the items of a `method`, in the order of the text: what they declare
// becomes states and networks, what they compute the body of ssl.step, and what changes states
// regions beside it.
//
// Implementation by kind of item: BuildMethod (the whole, and which item goes where), BuildStates
// (views, nets, states, features), BuildUpdates (losses, metrics, updates), BuildOptimizers,
// BuildParams.
#pragma once

#include "dialects/ssl/SslDialect.h"
#include "frontends/spec/Evaluator.h"
#include "frontends/spec/NetInstances.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/MapVector.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel::spec {

/// Values of `--set`, by the names of params.
using Sets = llvm::ArrayRef<std::pair<std::string, std::string>>;

/// Elaborates the method of `unit`. Null if there are errors.
mlir::OwningOpRef<mlir::ModuleOp> elaborate(mlir::MLIRContext &context,
                                            const SourceManager &sources, Diagnostics &diagnostics,
                                            Units &units, const Unit &unit, Sets sets);

/// A state of the method.
struct StateInfo {
  nn::StateKind kind;
  mlir::RankedTensorType type;
  SourceRange range;
  SourceRange updated = {};   ///< by an `update`
  SourceRange optimized = {}; ///< by an `optimize`
  bool excepted = false;      ///< by the `except` of one
};

/// `net NAME = ...` of the method.
struct PlacedNet {
  SourceRange range;
  std::string emaOf = {}; ///< empty: not an EMA
  const Expr *momentum = nullptr;
  SourceRange updated = {};
};

class MethodBuilder : private Reporting {
public:
  explicit MethodBuilder(Evaluator &evaluator)
      : Reporting(evaluator.trace), evaluator(evaluator), emit(evaluator.emit),
        builder(emit.builder), names(evaluator.method) {}

  mlir::OwningOpRef<mlir::ModuleOp> build(const Unit &unit, const MethodDecl &decl, Sets given);

private:
  // Items.
  void runItems(llvm::ArrayRef<const Stmt *> body);
  void runItem(const Stmt *stmt);
  void runLet(const LetStmt *stmt);
  void runView(const ViewStmt *stmt);
  void runNetStmt(const NetStmt *stmt);
  bool runEma(const NetStmt *stmt);
  void runState(const TensorDeclStmt *stmt);
  void runLoss(const LossStmt *stmt);
  void runMetric(const MetricStmt *stmt);
  void runUpdate(const UpdateStmt *stmt);
  void runOptimize(const OptimizeStmt *stmt);
  void runRepresent(const RepresentStmt *stmt);
  void runParam(const ParamStmt *stmt);

  // Names.
  void collectNames(llvm::ArrayRef<const Stmt *> body);
  /// False, after an error, if the method has such a name already.
  bool declare(const Name &name);
  /// What a method must have, and what it probably should.
  void checkMethod(const MethodDecl &decl);

  // States.
  void addState(const std::string &name, nn::StateKind kind, mlir::RankedTensorType type,
                SourceRange range, llvm::function_ref<Value()> initial);
  void declareStates(const NetValue &net, const std::string &path, SourceRange range);
  void declareTensor(const NetNode &node, const NetTensor &tensor, const std::string &path,
                     nn::StateKind kind, SourceRange range);
  void declareEma(const NetValue &net, const std::string &target, const std::string &source,
                  bool fresh, SourceRange range);

  // Updates.
  void runEmaUpdate(const UpdateStmt *stmt, PlacedNet &net);
  void runParameterUpdate(const UpdateStmt *stmt, const MemberExpr *target);
  void runStateUpdate(const UpdateStmt *stmt, llvm::StringRef name, StateInfo &state);
  /// Notes the update of `name` at `at`; false, with an error, where the step has one already.
  bool isFirstUpdate(SourceRange at, llvm::StringRef name, SourceRange &updated);
  /// An update of the state `name` at the statement's moment by what `body` computes there; null
  /// after an error.
  void emitUpdate(const UpdateStmt *stmt, llvm::StringRef name,
                  llvm::function_ref<mlir::Value()> body);
  /// The ring `name` with its rows written only where `condition` holds. The state `turn` counts
  /// those steps, modulo the turns of the ring: places by the step of the run would leave gaps.
  mlir::Value enqueueWhere(SourceRange at, mlir::Value condition, nn::EnqueueOp ring,
                           llvm::StringRef name, const std::string &turn);
  /// The condition of a `when` as bool[]; null after an error.
  mlir::Value evalWhen(const Expr *condition);

  // Optimizers.
  bool collectParameters(const OptimizeStmt *stmt, llvm::SmallVectorImpl<mlir::Attribute> &names,
                         llvm::SmallVectorImpl<mlir::RankedTensorType> &types);
  std::string parameterOf(const Expr *target);
  bool evalPatterns(const Expr *expr, std::vector<std::string> &patterns);

  // Params.
  Value parseSet(const ParamStmt &stmt, const Value &fallback, llvm::StringRef text);
  bool checkAllowed(const ParamStmt &stmt, const Value &value, bool isSet);
  void checkSets(Sets given, llvm::ArrayRef<const Stmt *> body);
  void warnOfIdleSets();

  Evaluator &evaluator;
  TensorEmitter &emit;
  mlir::OpBuilder &builder;
  MethodScope &names;

  ssl::MethodOp method;
  ssl::StepOp step;
  std::optional<NetInstances> instances;
  Context *stepContext = nullptr;
  llvm::StringMap<SourceRange> declared; ///< names so far
  llvm::MapVector<llvm::StringRef, StateInfo> states;
  llvm::StringMap<std::string> stateNames; ///< owns the keys of `states`
  llvm::MapVector<llvm::StringRef, PlacedNet> nets;
  std::map<std::string, SourceRange, std::less<>> metrics; ///< where each is declared
  std::map<std::string, std::string, std::less<>> sets;
  llvm::StringMap<Value> params;
  llvm::SmallVector<mlir::NamedAttribute> paramTexts;
  SourceRange represented;
  bool hasLoss = false;
  bool hasOptimizer = false;
  int64_t epochs = 0;
  int64_t samples = 0; ///< of the data set, where the method has a param of that name
};

} // namespace doppel::spec
