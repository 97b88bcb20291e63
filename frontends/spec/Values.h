// What an expression of a spec evaluates to while the spec is compiled. Everything but a tensor is
// known; a tensor is an SSA value whose type holds its shape.
//
// Values are immutable and cheap to copy: what is large is shared. An Error stands for a value
// about which something has been reported already: whoever meets it gives an Error in turn and says
// nothing.
#pragma once

#include "frontends/spec/Ast.h"
#include "mlir/IR/Attributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace doppel::spec {

struct Builtin;
struct NetNode;
struct Unit;
class Value;

/// Whatever can be called by name. Exactly one of the three is set.
struct Callable {
  const FunctionDecl *function = nullptr;
  const NetDecl *net = nullptr; ///< calling it makes a net value
  const Builtin *builtin = nullptr;
  const Unit *unit = nullptr; ///< of function and net: where their names are looked up

  llvm::StringRef name() const;
  SourceRange declaredAt() const;
};

/// A network: its structure, and its place once its parameters exist.
struct NetValue {
  std::shared_ptr<const NetNode> node;
  /// The path of its parameters: "online.backbone" in a method, ".conv1" (from the applied net) in
  /// a forward. Unset: only a description.
  std::optional<std::string> place = {};
  int64_t groups = 0; ///< runs of the batch that share batch norm statistics; 0: as the caller says
  bool shuffle = false;       ///< whether the batch is permuted before and put back after
  bool deterministic = false; ///< whether what is random in training (drop path) is left out
};

/// A picture on its way through augmentation: the stages that have been asked for so far.
struct ImageValue {
  llvm::SmallVector<mlir::Attribute> stages; ///< nn::StageAttr
  int64_t size = 0;                          ///< pixels of a side, 0 before the crop
  int64_t resize = 0; ///< the shorter side before a centre crop, 0 if `resize` was not called
};

struct OptimizerValue;

/// The most that a size, a batch, a number of samples or of epochs may be: the product of any two
/// fits into 64 bits.
constexpr int64_t maxCount = INT32_MAX;

enum class ValueKind {
  None, ///< an argument that was not given
  Error,
  Int,
  Float,
  Bool,
  String,
  List,
  Tuple,
  Tensor,
  Image,
  Callable,
  Net,
  Optimizer,
  Module
};

class Value {
public:
  Value() = default;
  static Value error() { return Value(ValueKind::Error); }
  static Value integer(int64_t value);
  static Value number(double value);
  static Value boolean(bool value);
  static Value string(std::string text);
  static Value list(std::vector<Value> elements);
  static Value tuple(std::vector<Value> elements);
  static Value tensor(mlir::Value value);
  static Value image(ImageValue image);
  static Value callable(Callable callable);
  static Value net(NetValue net);
  static Value optimizer(OptimizerValue optimizer);
  /// A library module, a used file, or (with a null unit) the built-in module `random`.
  static Value module(const Unit *unit, std::string name);

  ValueKind kind() const { return valueKind; }
  bool isNone() const { return valueKind == ValueKind::None; }
  bool isError() const { return valueKind == ValueKind::Error; }
  bool isInt() const { return valueKind == ValueKind::Int; }
  bool isNumber() const { return isInt() || valueKind == ValueKind::Float; }
  bool isBool() const { return valueKind == ValueKind::Bool; }
  bool isString() const { return valueKind == ValueKind::String; }
  bool isList() const { return valueKind == ValueKind::List; }
  bool isSequence() const { return isList() || valueKind == ValueKind::Tuple; }
  bool isTensor() const { return valueKind == ValueKind::Tensor; }
  bool isImage() const { return valueKind == ValueKind::Image; }
  bool isCallable() const { return valueKind == ValueKind::Callable; }
  bool isNet() const { return valueKind == ValueKind::Net; }
  bool isOptimizer() const { return valueKind == ValueKind::Optimizer; }
  bool isModule() const { return valueKind == ValueKind::Module; }

  int64_t asInt() const { return scalar.i; }
  double asDouble() const { return isInt() ? static_cast<double>(scalar.i) : scalar.f; }
  bool asBool() const { return scalar.b; }
  llvm::StringRef asString() const;
  llvm::ArrayRef<Value> elements() const;
  mlir::Value asTensor() const { return tensorValue; }
  mlir::RankedTensorType tensorType() const;
  llvm::ArrayRef<int64_t> shape() const { return tensorType().getShape(); }
  const ImageValue &asImage() const;
  const Callable &asCallable() const;
  const NetValue &asNet() const;
  const OptimizerValue &asOptimizer() const;
  const Unit *asUnit() const;
  llvm::StringRef moduleName() const { return asString(); }

  /// Whether a tensor is somewhere inside, so that the value belongs to the region in which it was
  /// computed.
  bool holdsTensor() const;
  /// Whether an Error is somewhere inside.
  bool holdsError() const;
  /// Values inside of lists, tuples and nets, however deep, each as often as it is met; itself
  /// included.
  size_t weight() const;
  /// How deep lists and nets stand in each other; 0 for what holds nothing.
  unsigned depth() const;
  /// The same with every tensor in it replaced, in order.
  Value mapTensors(llvm::function_ref<mlir::Value(mlir::Value)> map) const;

private:
  struct Payload;
  explicit Value(ValueKind kind) : valueKind(kind) {}

  ValueKind valueKind = ValueKind::None;
  union {
    int64_t i;
    double f;
    bool b;
  } scalar = {0};
  mlir::Value tensorValue;
  std::shared_ptr<const Payload> payload;
};

/// An optimizer and its rates. `rule` is an nn::OptimizerRule; the options are those of
/// nn.optimize.
struct OptimizerValue {
  uint32_t rule = 0;
  Value learningRate;
  Value weightDecay;
  mlir::DictionaryAttr options;
  bool decayMatricesOnly = false;
  bool adapts = false; ///< LARS
  bool adaptMatricesOnly = false;
};

struct Value::Payload {
  std::string text;
  std::vector<Value> elements;
  size_t weight = 1; ///< of elements
  unsigned depth = 1;
  bool holdsTensor = false;
  bool holdsError = false;
  ImageValue image;
  Callable callable;
  NetValue net;
  OptimizerValue optimizer;
  const Unit *unit = nullptr;
};

/// A part of a net by its name: a net, or a list of them.
struct NetChild {
  llvm::StringRef name;
  Value value;
  SourceRange range;
};

/// A parameter or buffer of a net, its shape known.
struct NetTensor {
  const TensorDeclStmt *decl;
  mlir::RankedTensorType type;
};

/// The structure of a network, without parameters. Owned by the values that use it; its address is
/// its identity.
struct NetNode {
  enum class Kind { Declared, Chain, Function } kind;
  SourceRange range; ///< of the expression that made it

  // Declared: a `net` and what its body computed.
  const NetDecl *decl = nullptr;
  const Unit *unit = nullptr;
  struct Named {
    llvm::StringRef name;
    Value value;
    SourceRange range;
  };
  std::vector<Named> names; ///< parameters and lets
  std::vector<NetTensor> tensors;
  const ForwardStmt *forward = nullptr;

  // Declared: children by name. Chain: the parts in order, named by label or index.
  std::vector<NetChild> children;
  std::vector<std::string> indexNames; ///< owns the names of unlabelled parts

  // Function: a function of one tensor as a part.
  Value function;

  unsigned depth = 1; ///< one more than its deepest part
  size_t weight = 1;  ///< Value::weight: itself and its parts

  /// Adds a part at the end.
  void add(NetChild part);

  const NetChild *child(llvm::StringRef name) const;
};

/// "int", "f32[256, 128]", "list of 3", "net": how messages call the type of a value.
std::string typeName(const Value &value);
std::string typeName(mlir::RankedTensorType type);
/// "[256, 128]".
std::string shapeText(llvm::ArrayRef<int64_t> shape);
/// The shortest text that reads back as the same number, with a point or an exponent.
std::string numberText(double value);
/// The text of a compile-time value as --set takes it and as `str` gives it; strings have quotes
/// inside of lists only.
std::string valueText(const Value &value, bool quoted = false);

} // namespace doppel::spec
