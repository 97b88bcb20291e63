// The checker: an abstract interpreter of the syntax tree that leaves the tensor operations of one
// training step.
//
// Evaluation is strict and single-threaded. Everything but tensors is computed here; functions are
// inlined, loops unrolled. A tensor is emitted into the block of the current Context. After an
// error an expression gives an Error value and evaluation goes on, so that one run reports all it
// can. Implementation by what is evaluated: ElaborateExprs, ElaborateCalls, ElaborateNets,
// ElaborateMethod, ElaborateNames, ElaborateParams, ElaborateTypes; EmitTensors has the operations
// on tensors that several of them share.
#pragma once

#include "dialects/nn/NnDialect.h"
#include "dialects/ssl/SslDialect.h"
#include "frontends/spec/Ast.h"
#include "frontends/spec/Diagnostics.h"
#include "frontends/spec/ElaborateUnits.h"
#include "frontends/spec/Values.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include <array>
#include <optional>
#include <utility>
#include <vector>

namespace doppel::spec {

class BuiltinCall;

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

/// A function, net or method that is being evaluated.
struct Frame {
  llvm::StringRef name;
  const Unit *unit;
  const Frame *caller = nullptr;
  SourceRange callRange = {};
  unsigned depth = 0;
  bool isMethod = false;
  bool isForward = false;
  bool startsLocations = false; ///< a net's body is shared by its applications, so locations do not
                                ///< go on to the caller
  std::optional<mlir::Location> callLocation = {};
  std::map<std::string, SourceRange, std::less<>> updated = {}; ///< buffers, in a forward
};

/// An argument after evaluation.
struct EvaluatedArgument {
  Name name; ///< empty text: positional
  Value value;
  SourceRange range;
};

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

class Elaborator {
public:
  Elaborator(mlir::MLIRContext &context, const SourceManager &sources, Diagnostics &diagnostics,
             Units &units);

  /// Elaborates the method of `unit`. Null if there are errors.
  mlir::OwningOpRef<mlir::ModuleOp> run(const Unit &unit,
                                        llvm::ArrayRef<std::pair<std::string, std::string>> sets);

  //===- Messages -----------------------------------------------------------------------------===//

  /// Reports at `range`; inside of a library function at the user's call, with a note at `range`.
  Diagnostic &report(Code code, SourceRange range, const llvm::Twine &message);
  Value fail(Code code, SourceRange range, const llvm::Twine &message) {
    report(code, range, message);
    return Value::error();
  }
  /// How messages call an operand: its text if that is short, else `otherwise`.
  std::string label(SourceRange range, llvm::StringRef otherwise) const;
  mlir::Location location(SourceRange range);
  /// Evaluation has been given up: so many errors, or so large a program, that the rest helps
  /// nobody.
  bool stopped() const { return gaveUp || abandoned || diagnostics.isFull(); }

  //===- Expressions --------------------------------------------------------------------------===//

  Value eval(const Expr *expr);
  /// `help`: what to do where it is known only at run time.
  std::optional<bool>
  evalCondition(const Expr *expr, llvm::StringRef what,
                llvm::StringRef help = "choose by a tensor with where(condition, a, b)");
  std::optional<int64_t> evalSize(const Expr *expr, llvm::StringRef what);
  Value call(const Value &callee, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
             SourceRange range, SourceRange calleeRange);
  Value binary(BinaryOp op, const Value &left, const Value &right, SourceRange leftRange,
               SourceRange rightRange, SourceRange range);
  Value lookup(llvm::StringRef name, SourceRange range);
  /// A scalar of the run by its name in the language, or None.
  Value runScalar(llvm::StringRef name, SourceRange range);

  //===- Tensors: the operands have been checked ----------------------------------------------===//

  /// Emits an operation at the end of the current block.
  template <typename Op, typename... Args> Op make(SourceRange range, Args &&...args) {
    countOperations(range, 1);
    builder.setInsertionPointToEnd(current->block);
    return Op::create(builder, location(range), std::forward<Args>(args)...);
  }
  mlir::RankedTensorType tensorType(llvm::ArrayRef<int64_t> shape, mlir::Type element);
  mlir::RankedTensorType f32(llvm::ArrayRef<int64_t> shape);
  /// Whether tensors of `element` can hold the number; reports it where not.
  bool fitsElement(SourceRange range, double value, mlir::Type element);
  mlir::Value constant(SourceRange range, mlir::RankedTensorType type, double value);
  mlir::Value convert(SourceRange range, mlir::Value value, mlir::Type element);
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
  /// Whether `value` can become a tensor of `type`, shapes aside: bools fill bools
  /// and nothing else does.
  static bool fills(const Value &value, mlir::RankedTensorType type);
  /// The new value of the state `name` as a tensor of its type; null after an error.
  mlir::Value newValue(SourceRange at, llvm::StringRef name, const Value &value,
                       mlir::RankedTensorType type, SourceRange declared);
  /// A number or bool as a tensor of `shape` and `element`; a tensor broadcast and converted.
  mlir::Value materialize(SourceRange range, const Value &value, llvm::ArrayRef<int64_t> shape,
                          mlir::Type element);
  /// The element type that arithmetic of both has.
  mlir::Type commonElement(const Value &left, const Value &right);
  /// Brings two operands (of which one is a tensor at least) to one shape and element type. False
  /// after an error.
  bool unify(const Value &left, const Value &right, SourceRange leftRange, SourceRange rightRange,
             SourceRange range, mlir::Value &leftTensor, mlir::Value &rightTensor);
  int64_t nextStream(SourceRange range);
  /// A value of rank 0 of f32 from a number or tensor; reports E0408 (`what` names it) if it is
  /// neither.
  mlir::Value scalar(const Value &value, SourceRange range, llvm::StringRef what);
  /// The view that the image's stages make, in Step and Represent. Null after an error.
  mlir::Value materializeImage(const ImageValue &image, SourceRange range);
  mlir::Value readState(llvm::StringRef path, mlir::RankedTensorType type, SourceRange range);

  //===- Nets ---------------------------------------------------------------------------------===//

  Value applyNet(const NetValue &net, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                 SourceRange range);
  /// A net, list of nets, or function of one tensor as a net; nothing after an error.
  std::optional<NetValue> asNet(const Value &value, SourceRange range);
  /// The same structure with places below `path`.
  Value place(const Value &value, const std::string &path);

  Context *current = nullptr;
  Frame *frame = nullptr;
  Scope *scope = nullptr;
  mlir::OpBuilder builder;
  Diagnostics &diagnostics;
  const SourceManager &sources;
  int64_t batch = 0;
  int64_t batchNormGroups = 1;
  bool stochastic = true; ///< false inside of a net behind `deterministic`

private:
  friend class BuiltinCall;
  friend class NameChecker;
  class Restore;

  // Messages.
  void countOperations(SourceRange range, size_t count);
  bool countEvaluation(SourceRange range);
  /// False, after an error, if a list or string would have more than a million elements.
  bool checkLength(size_t length, SourceRange range);
  /// The value, or an error where it holds too much or nests too deep.
  Value checkNested(Value value, SourceRange range);
  mlir::Location fileLocation(SourceRange range);

  // Expressions.
  Value evalExpr(const Expr *expr);
  Value evalMember(const MemberExpr *expr);
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
  Value tensorBinary(BinaryOp op, const Value &left, const Value &right, SourceRange leftRange,
                     SourceRange rightRange, SourceRange range);
  Value matmul(const Value &left, const Value &right, SourceRange leftRange, SourceRange rightRange,
               SourceRange range);
  Value bindingValue(Binding &binding, SourceRange range);
  Value unknownName(llvm::StringRef name, SourceRange range);
  /// Reports unknown names of the whole unit and of the user's files that it uses, also where
  /// nothing was evaluated.
  void checkNames(const Unit &unit, const MethodDecl &decl);
  Value declValue(const Decl *decl, const Unit *unit, SourceRange range);
  Value memberOfNet(const NetValue &net, const Name &member, SourceRange baseRange);
  bool bindPattern(const Pattern &pattern, const Value &value, SourceRange valueRange,
                   bool isVariable, const LetStmt *let = nullptr);

  // Functions and statements.
  enum class Flow { Next, Return };
  Flow runBody(llvm::ArrayRef<const Stmt *> body, Value &result);
  Flow runStmt(const Stmt *stmt, Value &result);
  Value runCall(const CallStmt *stmt);
  Flow runFor(const ForStmt *stmt, Value &result);
  void runAssign(const AssignStmt *stmt);
  void runBufferUpdate(const UpdateStmt *stmt);
  void poisonNames(llvm::ArrayRef<const Stmt *> body);
  void bind(llvm::StringRef name, Value value, SourceRange range, bool isVariable = false);
  bool evalArguments(llvm::ArrayRef<Argument> written,
                     llvm::SmallVectorImpl<EvaluatedArgument> &arguments);
  Value callFunction(const Callable &callee, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                     SourceRange range);
  Value callBuiltin(const Builtin &builtin, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                    SourceRange range);
  bool bindParameters(llvm::ArrayRef<Parameter> parameters, llvm::StringRef callee,
                      SourceRange declared, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                      SourceRange range, const Frame &callerFrame, Scope *callerScope);
  bool enterCall(Frame &next, SourceRange range);

  // Types.
  bool coerce(Value &value, const TypeExpr &type, llvm::StringRef what, SourceRange valueRange,
              SourceRange declared, bool bindDims);
  bool checkDims(const Value &value, const TypeExpr &type, llvm::StringRef what,
                 SourceRange valueRange, SourceRange declared, bool bindDims);
  std::optional<mlir::RankedTensorType> evalTensorType(const TypeExpr &type);
  mlir::Type elementType(llvm::StringRef name);
  std::string typeText(const TypeExpr &type) const;

  // Nets.
  Value makeNet(const Callable &callee, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                SourceRange range);
  void runNetItems(llvm::ArrayRef<const Stmt *> body, NetNode &node);
  void declareStates(const NetValue &net, const std::string &path, SourceRange range);
  void declareTensor(const NetNode &node, const NetTensor &tensor, const std::string &path,
                     nn::StateKind kind, SourceRange range);
  bool hasTensors(const NetValue &net) const;
  bool holdsPlaced(const Value &value) const;
  void
  forEachTensor(const NetValue &net, const std::string &path,
                llvm::function_ref<void(const NetNode &, const NetTensor &, const std::string &)>
                    visit) const;
  void bindNetNames(const NetNode &node, const std::optional<std::string> &place, Scope &into);
  Value applyToList(const NetValue &net, const EvaluatedArgument &list, SourceRange range);
  Value applyOne(const NetValue &net, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                 SourceRange range);
  Value runNet(const NetValue &net, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
               SourceRange range);
  Value runShuffled(const NetValue &net, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                    SourceRange range);
  Value applyInstance(const NetValue &net, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
                      SourceRange range);
  std::string instanceKey(const NetValue &net, llvm::ArrayRef<EvaluatedArgument> arguments) const;

  // Methods.
  const MethodDecl *findMethod(const Unit &unit);
  void runItems(llvm::ArrayRef<const Stmt *> body);
  void runItem(const Stmt *stmt);
  void runView(const ViewStmt *stmt);
  void runNetStmt(const NetStmt *stmt);
  bool runEma(const NetStmt *stmt);
  void declareEma(const NetValue &net, const std::string &target, const std::string &source,
                  bool fresh, SourceRange range);
  void runState(const TensorDeclStmt *stmt);
  void runLoss(const LossStmt *stmt);
  void runMetric(const MetricStmt *stmt);
  void runUpdate(const UpdateStmt *stmt);
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
  mlir::Value evalWhen(const Expr *condition);
  mlir::Value choose(SourceRange range, mlir::Value condition, mlir::Value value,
                     mlir::Value otherwise);
  void runOptimize(const OptimizeStmt *stmt);
  bool collectParameters(const OptimizeStmt *stmt, llvm::SmallVectorImpl<mlir::Attribute> &names,
                         llvm::SmallVectorImpl<mlir::RankedTensorType> &types);
  bool evalPatterns(const Expr *expr, std::vector<std::string> &patterns);
  void runRepresent(const RepresentStmt *stmt);
  void addState(const std::string &name, nn::StateKind kind, mlir::RankedTensorType type,
                SourceRange range, llvm::function_ref<Value()> initial);
  bool declareInMethod(const Name &name);
  void checkMethod(const MethodDecl &method);
  /// Names that the method declares further down, for the message about an early use.
  void collectNames(llvm::ArrayRef<const Stmt *> body);

  // Params.
  void runParam(const ParamStmt *stmt);
  Value parseSet(const ParamStmt &stmt, const Value &fallback, llvm::StringRef text);
  bool checkAllowed(const ParamStmt &stmt, const Value &value, bool isSet);
  void checkSets(llvm::ArrayRef<std::pair<std::string, std::string>> sets,
                 llvm::ArrayRef<const Stmt *> body);
  void warnOfIdleSets();

  mlir::MLIRContext &context;
  Units &units;
  const Unit *methodUnit = nullptr;
  bool gaveUp = false;    ///< the whole method
  std::string tooLarge;   ///< the first shape that no machine holds, to be reported
  bool abandoned = false; ///< the item of the method that is being evaluated
  size_t operations = 0;
  size_t evaluations = 0;
  unsigned evalDepth = 0;
  int64_t streams = 0;

  // The method under construction.
  ssl::MethodOp method;
  mlir::Block *statesEnd = nullptr;
  ssl::StepOp step;
  Scope *methodScope = nullptr;
  Context *stepContext = nullptr;
  llvm::StringMap<SourceRange> methodNames;   ///< of the whole body
  llvm::StringMap<SourceRange> declaredNames; ///< so far
  std::map<std::string, std::string, std::less<>> sets;
  SourceRange itemRange = {};                ///< of the item of the method that is being evaluated
  llvm::DenseSet<const NetNode *> placeless; ///< nets without a place that have been reported
  llvm::StringRef updating;                  ///< the state whose update is being evaluated
  llvm::StringSet<> readStates;              ///< by what is not their own update
  llvm::StringSet<> readParams;              ///< those of `sets` that an expression used
  llvm::StringMap<Value> params;
  llvm::SmallVector<mlir::NamedAttribute> paramTexts;
  llvm::MapVector<llvm::StringRef, StateInfo> states;
  llvm::StringMap<std::string> stateNames; ///< owns the keys of `states`
  llvm::MapVector<llvm::StringRef, PlacedNet> nets;
  llvm::StringMap<ssl::NetOp> instances;
  llvm::StringMap<Value> instanceResults;
  llvm::StringSet<> symbols;
  const Binding *reevaluated =
      nullptr; ///< the `let` whose expression is evaluated once more, and where it was used
  SourceRange reevaluatedAt = {};
  bool imageAllowed = false;
  bool hasLoss = false;
  bool hasOptimizer = false;
  std::map<std::string, SourceRange, std::less<>> metrics; ///< where each is declared
  bool failedLoss = false;
  SourceRange represented;
  int64_t epochs = 0;
  int64_t samples = 0; ///< of the data set, where the method has a param of that name
};

/// Puts back what it was given, at the end of a scope.
template <typename T> class Scoped {
public:
  Scoped(T &place, T value) : place(place), old(std::exchange(place, std::move(value))) {}
  ~Scoped() { place = std::move(old); }
  Scoped(const Scoped &) = delete;

private:
  T &place;
  T old;
};

} // namespace doppel::spec
