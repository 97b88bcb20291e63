// Evaluates the expressions, functions and networks of a spec.
//
// Evaluation is strict and single-threaded. Everything but tensors is computed here; functions are
// inlined, loops unrolled; a tensor's operations go through the TensorEmitter. After an error an
// expression gives an Error value and evaluation goes on, so that one run reports all it can.
// Implementation by what is evaluated: EvaluateNames, EvaluateExprs, EvaluateOperators,
// EvaluateCalls, EvaluateNets, EvaluateTypes.
#pragma once

#include "frontends/spec/Ast.h"
#include "frontends/spec/TensorEmitter.h"
#include "frontends/spec/Units.h"
#include "frontends/spec/Values.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

#include <optional>
#include <string>
#include <vector>

namespace doppel::spec {

class NetInstances;

/// A name and what it stands for.
struct Binding {
  llvm::StringRef name;
  Value value = {};
  SourceRange range = {};
  bool isVariable = false;          ///< may be given a new value by `name = value`
  const Context *context = nullptr; ///< in which the tensors inside of it live
  const LetStmt *let =
      nullptr; ///< in a method: evaluated again where the tensors of `context` cannot be used
  std::optional<std::string> state = {}; ///< stands for the current value of this state
  mlir::RankedTensorType stateType = {};
  bool isBuffer = false;    ///< of a net, so that `update` may write it
  bool isDimension = false; ///< got its size from an argument
  bool isRead = false;      ///< an expression has used it
};

/// Names that come and go together. A function's outermost scope has isRoot.
struct Scope {
  llvm::SmallVector<Binding, 8> bindings = {};
  Scope *parent = nullptr;
  bool isRoot = false;

  Binding *findHere(llvm::StringRef name) {
    for (Binding &binding : llvm::reverse(bindings))
      if (binding.name == name)
        return &binding;
    return nullptr;
  }
};

/// What the method around an expression is to it.
struct MethodScope {
  Scope names = {.isRoot = true};
  llvm::StringMap<SourceRange> declared = {}; ///< by its whole body, wherever it stands
  SourceRange item = {};                      ///< the item that is being evaluated
  int64_t batch = 0;                          ///< 0 before `param batch`
};

/// An argument after evaluation.
struct EvaluatedArgument {
  Name name; ///< empty text: positional
  Value value;
  SourceRange range;
};

class Evaluator : public Reporting {
public:
  Evaluator(Trace &trace, TensorEmitter &emit, Units &units, MethodScope &method)
      : Reporting(trace), emit(emit), units(units), method(method) {}

  //===- Expressions --------------------------------------------------------------------------===//

  Value eval(const Expr *expr);
  /// The same where `image` may stand.
  Value evalOfImage(const Expr *expr);
  /// `help`: what to do where it is known only at run time.
  std::optional<bool>
  evalCondition(const Expr *expr, llvm::StringRef what,
                llvm::StringRef help = "choose by a tensor with where(condition, a, b)");
  std::optional<int64_t> evalSize(const Expr *expr, llvm::StringRef what);
  Value binary(BinaryOp op, const Value &left, const Value &right, SourceRange leftRange,
               SourceRange rightRange, SourceRange range);
  Value evalMember(const MemberExpr *expr);
  /// False, after an error, if a list or string would have more than a million elements.
  bool checkLength(size_t length, SourceRange range);
  /// Reports a name that stands for nothing.
  Value unknownName(llvm::StringRef name, SourceRange range);

  //===- Types --------------------------------------------------------------------------------===//

  /// Makes `value` fit the type: an int becomes a float where one is asked for. False after an
  /// error.
  bool coerce(Value &value, const TypeExpr &type, llvm::StringRef what, SourceRange valueRange,
              SourceRange declared, bool bindDims);
  /// `f32[a, b]` of a state, parameter or buffer: every size is known.
  std::optional<mlir::RankedTensorType> evalTensorType(const TypeExpr &type);
  std::string typeText(const TypeExpr &type) const;

  //===- Statements ---------------------------------------------------------------------------===//

  void bind(llvm::StringRef name, Value value, SourceRange range, bool isVariable = false);
  /// The value of a `let`, of the type that it asks for.
  Value evalLet(const LetStmt *let);
  /// What each name of a pattern stands for; Errors, one reported, where they do not fit.
  std::vector<Value> takeApart(const Pattern &pattern, const Value &value, SourceRange valueRange);
  /// A call for its effect: `require`, or a function that is made of it. An error if it does not
  /// hold.
  Value runCall(const CallStmt *stmt);
  /// After a condition that could not be evaluated: names of both branches exist, but nothing is
  /// known of them.
  void poisonNames(llvm::ArrayRef<const Stmt *> body);

  //===- Nets ---------------------------------------------------------------------------------===//

  /// A net, list of nets, or function of one tensor as a net; nothing after an error.
  std::optional<NetValue> asNet(const Value &value, SourceRange range);
  /// What the forward of `net` makes of the arguments, inlined here.
  Value runNet(const NetValue &net, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
               SourceRange range);
  /// The names that a net's forward and its tensors' initial values see.
  void bindNetNames(const NetNode &node, const std::optional<std::string> &place, Scope &into);

  TensorEmitter &emit;
  Units &units;
  MethodScope &method;
  Scope *scope = nullptr;
  NetInstances *instances = nullptr; ///< of the method that is being built
  int64_t batchNormGroups = 1;
  bool stochastic = true; ///< false inside of a net behind `deterministic`

private:
  // Limits.
  /// The value, or an error where it holds too much or nests too deep.
  Value checkNested(Value value, SourceRange range);

  // Expressions.
  Value evalExpr(const Expr *expr);
  Value evalIndex(const IndexExpr *expr);
  Value indexTensor(const Value &base, const IndexExpr *expr);
  Value evalCall(const CallExpr *expr);
  Value evalUnary(const UnaryExpr *expr);
  Value evalBinary(const BinaryExpr *expr);
  Value evalLogical(const BinaryExpr *expr);
  Value evalCompose(const ComposeExpr *expr);
  Value evalElements(llvm::ArrayRef<const Expr *> elements, bool isTuple);
  Value evalComprehension(const ComprehensionExpr *expr);
  void runClauses(const ComprehensionExpr *expr, size_t clause, std::vector<Value> &results,
                  bool &failed);
  Value evalRange(const RangeExpr *expr);
  Value numberBinary(BinaryOp op, const Value &left, const Value &right, SourceRange range);

  // Names.
  Value lookup(llvm::StringRef name, SourceRange range);
  Value bindingValue(Binding &binding, SourceRange range);
  Value declValue(const Decl *decl, const Unit *unit, SourceRange range);
  Value memberOfNet(const NetValue &net, const Name &member, SourceRange baseRange);

  // Functions and statements.
  enum class Flow { Next, Return };
  Flow runBody(llvm::ArrayRef<const Stmt *> body, Value &result);
  Flow runStmt(const Stmt *stmt, Value &result);
  Flow runFor(const ForStmt *stmt, Value &result);
  void runAssign(const AssignStmt *stmt);
  void runBufferUpdate(const UpdateStmt *stmt);
  /// False after an error.
  bool bindPattern(const Pattern &pattern, const Value &value, SourceRange valueRange,
                   bool isVariable);
  Value call(const Value &callee, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
             SourceRange range, SourceRange calleeRange);
  bool evalArguments(llvm::ArrayRef<Argument> written,
                     llvm::SmallVectorImpl<EvaluatedArgument> &arguments);
  Value callFunction(const Callable &callee, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                     SourceRange range);
  Value callBuiltin(const Builtin &builtin, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                    SourceRange range);
  bool bindParameters(llvm::ArrayRef<Parameter> parameters, llvm::StringRef callee,
                      SourceRange declared, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                      SourceRange range, Frame &callerFrame, Scope *callerScope);

  // Types.
  bool checkDims(const Value &value, const TypeExpr &type, llvm::StringRef what,
                 SourceRange valueRange, SourceRange declared, bool bindDims);
  mlir::Type elementType(llvm::StringRef name);

  // Nets.
  Value makeNet(const Callable &callee, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                SourceRange range);
  void runNetItems(llvm::ArrayRef<const Stmt *> body, NetNode &node);
  Value applyNet(const NetValue &net, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                 SourceRange range);
  Value applyToList(const NetValue &net, const EvaluatedArgument &list, SourceRange range);
  Value applyOne(const NetValue &net, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                 SourceRange range);
  Value runShuffled(const NetValue &net, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                    SourceRange range);

  unsigned evalDepth = 0;
  bool imageAllowed = false;
  /// The `let` whose expression is evaluated once more, and where it was used.
  const Binding *reevaluated = nullptr;
  SourceRange reevaluatedAt = {};
  llvm::DenseSet<const NetNode *> placeless; ///< nets without a place that have been reported
};

/// What to write for a name of Python, numpy or torch; empty if it is not known.
llvm::StringRef nameElsewhere(llvm::StringRef name);
/// What an argument of Python, numpy or torch is called here; empty if it is not known.
llvm::StringRef argumentElsewhere(llvm::StringRef name);
/// The same structure with places below `path`.
Value placedAt(const Value &value, const std::string &path);
/// Whether a part of the structure has a place already, so that it cannot get another.
bool holdsPlaced(const Value &value);
/// Visits the parameters and buffers of a net with their paths below `path`.
void forEachTensor(
    const NetValue &net, const std::string &path,
    llvm::function_ref<void(const NetNode &, const NetTensor &, const std::string &)> visit);

} // namespace doppel::spec
