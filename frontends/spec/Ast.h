// The syntax tree of a spec: what the user wrote, with a source range on every node and nothing
// resolved.
//
// Nodes are immutable, trivially destructible and owned by an AstContext: lists are ArrayRefs into
// its memory, names and strings point into it or into the SourceManager's text. After an error the
// parser leaves an ErrorExpr or drops the item; a tree with errors is for finding more errors only.
#pragma once

#include "frontends/spec/SourceManager.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Allocator.h"
#include "llvm/Support/Casting.h"

#include <new>
#include <type_traits>
#include <utility>

namespace llvm {
class raw_ostream;
}

namespace doppel::spec {

/// An identifier and where it stands.
struct Name {
  llvm::StringRef text;
  SourceRange range;
};

//===- Expressions ----------------------------------------------------------------------------===//

enum class ExprKind {
  Int,
  Float,
  Bool,
  String,
  Name,
  Member,
  Index,
  Call,
  Unary,
  Binary,
  Conditional,
  Compose,
  List,
  Tuple,
  Comprehension,
  Range,
  Spread,
  Error
};

struct Expr {
  const ExprKind kind;
  SourceRange range;

protected:
  Expr(ExprKind kind, SourceRange range) : kind(kind), range(range) {}
};

struct IntExpr : Expr {
  int64_t value;
  IntExpr(SourceRange range, int64_t value) : Expr(ExprKind::Int, range), value(value) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Int; }
};

struct FloatExpr : Expr {
  double value;
  FloatExpr(SourceRange range, double value) : Expr(ExprKind::Float, range), value(value) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Float; }
};

struct BoolExpr : Expr {
  bool value;
  BoolExpr(SourceRange range, bool value) : Expr(ExprKind::Bool, range), value(value) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Bool; }
};

/// A string literal; `value` has its escapes resolved.
struct StringExpr : Expr {
  llvm::StringRef value;
  StringExpr(SourceRange range, llvm::StringRef value)
      : Expr(ExprKind::String, range), value(value) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::String; }
};

struct NameExpr : Expr {
  llvm::StringRef name;
  NameExpr(SourceRange range, llvm::StringRef name) : Expr(ExprKind::Name, range), name(name) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Name; }
};

/// `base.member`: a name of a module, a part of a net, an element `0`, `1`, ... of a list of nets,
/// or `x.shape`.
struct MemberExpr : Expr {
  const Expr *base;
  Name member;
  MemberExpr(SourceRange range, const Expr *base, Name member)
      : Expr(ExprKind::Member, range), base(base), member(member) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Member; }
};

/// `base[i, 0..4, :]`. An index that is null is `:`, the whole axis; a RangeExpr is a slice.
struct IndexExpr : Expr {
  const Expr *base;
  llvm::ArrayRef<const Expr *> indices;
  IndexExpr(SourceRange range, const Expr *base, llvm::ArrayRef<const Expr *> indices)
      : Expr(ExprKind::Index, range), base(base), indices(indices) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Index; }
};

/// An argument of a call. A positional one has an empty name; its value may be a SpreadExpr.
struct Argument {
  Name name;
  const Expr *value;
  bool isNamed() const { return !name.text.empty(); }
};

/// `callee(arguments)`. `x |> f(a)` is parsed into f(x, a) and `x |> f` into f(x), both with
/// `piped` set.
struct CallExpr : Expr {
  const Expr *callee;
  llvm::ArrayRef<Argument> arguments;
  bool piped;
  CallExpr(SourceRange range, const Expr *callee, llvm::ArrayRef<Argument> arguments, bool piped)
      : Expr(ExprKind::Call, range), callee(callee), arguments(arguments), piped(piped) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Call; }
};

enum class UnaryOp { Negate, Not };

struct UnaryExpr : Expr {
  UnaryOp op;
  const Expr *operand;
  UnaryExpr(SourceRange range, UnaryOp op, const Expr *operand)
      : Expr(ExprKind::Unary, range), op(op), operand(operand) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Unary; }
};

enum class BinaryOp {
  Add,
  Subtract,
  Multiply,
  Divide,
  Remainder,
  Power,
  MatMul,
  Equal,
  NotEqual,
  Less,
  LessEqual,
  Greater,
  GreaterEqual,
  And,
  Or
};

/// The operator as it is written: "+", "@", "and".
llvm::StringRef spelling(BinaryOp op);
llvm::StringRef spelling(UnaryOp op);

struct BinaryExpr : Expr {
  BinaryOp op;
  SourceRange opRange;
  const Expr *left;
  const Expr *right;
  BinaryExpr(SourceRange range, BinaryOp op, SourceRange opRange, const Expr *left,
             const Expr *right)
      : Expr(ExprKind::Binary, range), op(op), opRange(opRange), left(left), right(right) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Binary; }
};

/// `thenValue if condition else elseValue`; the condition is known at compile time and only one
/// side is evaluated.
struct ConditionalExpr : Expr {
  const Expr *condition;
  const Expr *thenValue;
  const Expr *elseValue;
  ConditionalExpr(SourceRange range, const Expr *condition, const Expr *thenValue,
                  const Expr *elseValue)
      : Expr(ExprKind::Conditional, range), condition(condition), thenValue(thenValue),
        elseValue(elseValue) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Conditional; }
};

/// A part of a composition; without a label its name is its index.
struct ComposePart {
  Name label;
  const Expr *value;
  bool isLabelled() const { return !label.text.empty(); }
};

/// `backbone: a >> head: b >> c`: at least two parts, or one that is labelled; applied from left to
/// right.
struct ComposeExpr : Expr {
  llvm::ArrayRef<ComposePart> parts;
  ComposeExpr(SourceRange range, llvm::ArrayRef<ComposePart> parts)
      : Expr(ExprKind::Compose, range), parts(parts) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Compose; }
};

/// `[a, b...]`; elements may be SpreadExprs.
struct ListExpr : Expr {
  llvm::ArrayRef<const Expr *> elements;
  ListExpr(SourceRange range, llvm::ArrayRef<const Expr *> elements)
      : Expr(ExprKind::List, range), elements(elements) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::List; }
};

/// `(a, b)`, or `return a, b`: at least two elements.
struct TupleExpr : Expr {
  llvm::ArrayRef<const Expr *> elements;
  TupleExpr(SourceRange range, llvm::ArrayRef<const Expr *> elements)
      : Expr(ExprKind::Tuple, range), elements(elements) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Tuple; }
};

/// A name, or several that take a tuple or list apart; `_` binds nothing.
struct Pattern {
  llvm::ArrayRef<Name> names;
  SourceRange range;
  bool isSingle() const { return names.size() == 1; }
};

/// `for pattern in iterable where filter`; `filter` is null or a compile-time condition.
struct ForClause {
  Pattern pattern;
  const Expr *iterable;
  const Expr *filter;
};

/// `[element for ... where ... for ...]`, at least one clause, the first outermost.
struct ComprehensionExpr : Expr {
  const Expr *element;
  llvm::ArrayRef<ForClause> clauses;
  ComprehensionExpr(SourceRange range, const Expr *element, llvm::ArrayRef<ForClause> clauses)
      : Expr(ExprKind::Comprehension, range), element(element), clauses(clauses) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Comprehension; }
};

/// `begin..end`, the integers from begin up to but without end. Either is null where it is left
/// out, which only a slice and a param's interval allow.
struct RangeExpr : Expr {
  const Expr *begin;
  const Expr *end;
  RangeExpr(SourceRange range, const Expr *begin, const Expr *end)
      : Expr(ExprKind::Range, range), begin(begin), end(end) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Range; }
};

/// `list...` in a list or in the arguments of a call.
struct SpreadExpr : Expr {
  const Expr *operand;
  SpreadExpr(SourceRange range, const Expr *operand)
      : Expr(ExprKind::Spread, range), operand(operand) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Spread; }
};

/// Stands where an expression could not be parsed; the error has been reported, so whoever meets it
/// says nothing.
struct ErrorExpr : Expr {
  explicit ErrorExpr(SourceRange range) : Expr(ExprKind::Error, range) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Error; }
};

//===- Types and parameters -------------------------------------------------------------------===//

/// `int`, `f32[N, dim]`, `[float]` or any other single name. What the names mean is the checker's
/// business.
struct TypeExpr {
  SourceRange range;
  Name name;               ///< empty for a list
  const TypeExpr *element; ///< of a list, else null
  bool hasDims;            ///< tells f32[] from f32
  llvm::ArrayRef<const Expr *> dims;
};

/// A parameter of a function, net or forward: `name: type = default`.
struct Parameter {
  Name name;
  const TypeExpr *type; ///< null if not written
  const Expr *fallback; ///< the default, null if not written
};

//===- Statements and items -------------------------------------------------------------------===//

/// One hierarchy serves the bodies of functions, nets and methods; the parser lets each kind stand
/// only where the comment says.
enum class StmtKind {
  Let,       // everywhere
  Assign,    // functions: reassign; nets: declare a child
  Return,    // functions
  If,        // everywhere
  For,       // functions
  Call,      // everywhere
  Allow,     // everywhere
  Update,    // functions (buffers of the net, no moment) and methods (with a moment)
  Parameter, // nets
  Buffer,    // nets
  Forward,   // nets
  Param,     // methods, and all below
  View,
  Net,
  State,
  Loss,
  Metric,
  Optimize,
  Represent
};

struct Stmt {
  const StmtKind kind;
  const SourceRange range;

protected:
  Stmt(StmtKind kind, SourceRange range) : kind(kind), range(range) {}
};

/// `let a, b = value`.
struct LetStmt : Stmt {
  Pattern pattern;
  const TypeExpr *type; ///< of a single name; null if not written
  const Expr *value;
  LetStmt(SourceRange range, Pattern pattern, const TypeExpr *type, const Expr *value)
      : Stmt(StmtKind::Let, range), pattern(pattern), type(type), value(value) {}
  static bool classof(const Stmt *s) { return s->kind == StmtKind::Let; }
};

/// `name = value`: in a function it gives a name that `let` or a parameter introduced a new value;
/// in a net it declares a child.
struct AssignStmt : Stmt {
  Name name;
  const Expr *value;
  AssignStmt(SourceRange range, Name name, const Expr *value)
      : Stmt(StmtKind::Assign, range), name(name), value(value) {}
  static bool classof(const Stmt *s) { return s->kind == StmtKind::Assign; }
};

/// `return value`; `return a, b` has a TupleExpr.
struct ReturnStmt : Stmt {
  const Expr *value;
  ReturnStmt(SourceRange range, const Expr *value) : Stmt(StmtKind::Return, range), value(value) {}
  static bool classof(const Stmt *s) { return s->kind == StmtKind::Return; }
};

/// `if condition { ... } else { ... }` on a compile-time condition. It opens no scope. `else if` is
/// an If as the only statement of elseBody.
struct IfStmt : Stmt {
  const Expr *condition;
  llvm::ArrayRef<const Stmt *> thenBody;
  llvm::ArrayRef<const Stmt *> elseBody;
  IfStmt(SourceRange range, const Expr *condition, llvm::ArrayRef<const Stmt *> thenBody,
         llvm::ArrayRef<const Stmt *> elseBody)
      : Stmt(StmtKind::If, range), condition(condition), thenBody(thenBody), elseBody(elseBody) {}
  static bool classof(const Stmt *s) { return s->kind == StmtKind::If; }
};

/// `for pattern in iterable { ... }`, unrolled; each turn has a scope of its own.
struct ForStmt : Stmt {
  Pattern pattern;
  const Expr *iterable;
  llvm::ArrayRef<const Stmt *> body;
  ForStmt(SourceRange range, Pattern pattern, const Expr *iterable,
          llvm::ArrayRef<const Stmt *> body)
      : Stmt(StmtKind::For, range), pattern(pattern), iterable(iterable), body(body) {}
  static bool classof(const Stmt *s) { return s->kind == StmtKind::For; }
};

/// A call for its effect at compile time: `require(condition, message)`.
struct CallStmt : Stmt {
  const CallExpr *call;
  CallStmt(SourceRange range, const CallExpr *call) : Stmt(StmtKind::Call, range), call(call) {}
  static bool classof(const Stmt *s) { return s->kind == StmtKind::Call; }
};

/// `allow CODE "reason"`: the next statement has no warning of that code.
struct AllowStmt : Stmt {
  Name code;
  llvm::StringRef reason;
  AllowStmt(SourceRange range, Name code, llvm::StringRef reason)
      : Stmt(StmtKind::Allow, range), code(code), reason(reason) {}
  static bool classof(const Stmt *s) { return s->kind == StmtKind::Allow; }
};

/// When an update happens; `Unspecified` in a forward.
enum class Moment { Unspecified, BeforeForward, AfterLoss, AfterStep };
llvm::StringRef spelling(Moment moment);

/// `update name = value after loss when condition`, or `update key before forward` of an EMA net,
/// whose value is null. The target is a NameExpr, or in a method a MemberExpr of a net's parameter.
struct UpdateStmt : Stmt {
  const Expr *target;
  const Expr *value;
  Moment moment;
  SourceRange momentRange;
  const Expr *condition; ///< null: in each step
  UpdateStmt(SourceRange range, const Expr *target, const Expr *value, Moment moment,
             SourceRange momentRange, const Expr *condition)
      : Stmt(StmtKind::Update, range), target(target), value(value), moment(moment),
        momentRange(momentRange), condition(condition) {}
  static bool classof(const Stmt *s) { return s->kind == StmtKind::Update; }
};

/// `parameter weight: f32[out, in] = initial` or `buffer running_mean: f32[n] = initial` of a net;
/// `state queue: f32[length, dim] = initial` of a method.
struct TensorDeclStmt : Stmt {
  Name name;
  const TypeExpr *type;
  const Expr *initial;
  TensorDeclStmt(StmtKind kind, SourceRange range, Name name, const TypeExpr *type,
                 const Expr *initial)
      : Stmt(kind, range), name(name), type(type), initial(initial) {}
  static bool classof(const Stmt *s) {
    return s->kind == StmtKind::Parameter || s->kind == StmtKind::Buffer ||
           s->kind == StmtKind::State;
  }
};

/// `forward(x) { ... }` or `forward(x) = value`, which has a body of one Return.
struct ForwardStmt : Stmt {
  SourceRange nameRange;
  llvm::ArrayRef<Parameter> parameters;
  llvm::ArrayRef<const Stmt *> body;
  ForwardStmt(SourceRange range, SourceRange nameRange, llvm::ArrayRef<Parameter> parameters,
              llvm::ArrayRef<const Stmt *> body)
      : Stmt(StmtKind::Forward, range), nameRange(nameRange), parameters(parameters), body(body) {}
  static bool classof(const Stmt *s) { return s->kind == StmtKind::Forward; }
};

/// `param name: type = fallback in allowed`. `allowed` has a RangeExpr alone (closed at both ends
/// here), or the members of a set; empty allows all.
struct ParamStmt : Stmt {
  Name name;
  const TypeExpr *type; ///< null: the type of the default
  const Expr *fallback; ///< null: must be set
  llvm::ArrayRef<const Expr *> allowed;
  bool allowedIsSet;
  llvm::StringRef doc;
  ParamStmt(SourceRange range, Name name, const TypeExpr *type, const Expr *fallback,
            llvm::ArrayRef<const Expr *> allowed, bool allowedIsSet, llvm::StringRef doc)
      : Stmt(StmtKind::Param, range), name(name), type(type), fallback(fallback), allowed(allowed),
        allowedIsSet(allowedIsSet), doc(doc) {}
  static bool classof(const Stmt *s) { return s->kind == StmtKind::Param; }
};

/// One name of a `view`; with a count it is a list of that many views.
struct ViewName {
  Name name;
  const Expr *count; ///< null: a single view
};

/// `view q, k = value`, `view large[2] = value`: the value is elaborated once for each view, each
/// with random numbers of its own.
struct ViewStmt : Stmt {
  llvm::ArrayRef<ViewName> names;
  const Expr *value;
  ViewStmt(SourceRange range, llvm::ArrayRef<ViewName> names, const Expr *value)
      : Stmt(StmtKind::View, range), names(names), value(value) {}
  static bool classof(const Stmt *s) { return s->kind == StmtKind::View; }
};

/// `net online = value` in a method.
struct NetStmt : Stmt {
  Name name;
  const Expr *value;
  NetStmt(SourceRange range, Name name, const Expr *value)
      : Stmt(StmtKind::Net, range), name(name), value(value) {}
  static bool classof(const Stmt *s) { return s->kind == StmtKind::Net; }
};

/// `loss value when condition`; several are summed.
struct LossStmt : Stmt {
  const Expr *value;
  const Expr *condition; ///< null: in each step
  LossStmt(SourceRange range, const Expr *value, const Expr *condition)
      : Stmt(StmtKind::Loss, range), value(value), condition(condition) {}
  static bool classof(const Stmt *s) { return s->kind == StmtKind::Loss; }
};

/// `metric name = value`: a scalar that is logged, without gradient.
struct MetricStmt : Stmt {
  Name name;
  const Expr *value;
  MetricStmt(SourceRange range, Name name, const Expr *value)
      : Stmt(StmtKind::Metric, range), name(name), value(value) {}
  static bool classof(const Stmt *s) { return s->kind == StmtKind::Metric; }
};

/// `optimize online.backbone, predictor matching "*.weight" except "head.*" with sgd(...) when
/// condition`.
struct OptimizeStmt : Stmt {
  llvm::ArrayRef<const Expr *> targets; ///< NameExprs or MemberExprs
  const Expr *matching;                 ///< a pattern or a list of them; null: all parameters
  const Expr *except;                   ///< likewise; null: none is left out
  const Expr *optimizer;
  const Expr *condition; ///< null: in each step
  OptimizeStmt(SourceRange range, llvm::ArrayRef<const Expr *> targets, const Expr *matching,
               const Expr *except, const Expr *optimizer, const Expr *condition)
      : Stmt(StmtKind::Optimize, range), targets(targets), matching(matching), except(except),
        optimizer(optimizer), condition(condition) {}
  static bool classof(const Stmt *s) { return s->kind == StmtKind::Optimize; }
};

/// `represent value`, over `image`, in inference mode.
struct RepresentStmt : Stmt {
  const Expr *value;
  RepresentStmt(SourceRange range, const Expr *value)
      : Stmt(StmtKind::Represent, range), value(value) {}
  static bool classof(const Stmt *s) { return s->kind == StmtKind::Represent; }
};

//===- Declarations ---------------------------------------------------------------------------===//

enum class DeclKind { Use, Function, Net, Method, Allow };

struct Decl {
  const DeclKind kind;
  const SourceRange range;

protected:
  Decl(DeclKind kind, SourceRange range) : kind(kind), range(range) {}
};

/// `use std.{nets, losses}` has isStd and the module names; `use "path.dpl" as name` has the path
/// and the alias.
struct UseDecl : Decl {
  bool isStd;
  llvm::ArrayRef<Name> modules;
  llvm::StringRef path;
  SourceRange pathRange;
  Name alias;
  UseDecl(SourceRange range, llvm::ArrayRef<Name> modules)
      : Decl(DeclKind::Use, range), isStd(true), modules(modules) {}
  UseDecl(SourceRange range, llvm::StringRef path, SourceRange pathRange, Name alias)
      : Decl(DeclKind::Use, range), isStd(false), path(path), pathRange(pathRange), alias(alias) {}
  static bool classof(const Decl *d) { return d->kind == DeclKind::Use; }
};

/// `allow CODE "reason"` at the top of a file: the next declaration has no warning of that code.
struct AllowDecl : Decl {
  const AllowStmt *allow;
  explicit AllowDecl(const AllowStmt *allow) : Decl(DeclKind::Allow, allow->range), allow(allow) {}
  static bool classof(const Decl *d) { return d->kind == DeclKind::Allow; }
};

/// `fn name(parameters) -> type { ... }`, or `= value`, which has a body of one Return. `augment
/// name(image, ...) = value` is the same with isAugment.
struct FunctionDecl : Decl {
  Name name;
  llvm::ArrayRef<Parameter> parameters;
  const TypeExpr *result; ///< null if not written
  llvm::ArrayRef<const Stmt *> body;
  bool isAugment;
  llvm::StringRef doc;
  FunctionDecl(SourceRange range, Name name, llvm::ArrayRef<Parameter> parameters,
               const TypeExpr *result, llvm::ArrayRef<const Stmt *> body, bool isAugment,
               llvm::StringRef doc)
      : Decl(DeclKind::Function, range), name(name), parameters(parameters), result(result),
        body(body), isAugment(isAugment), doc(doc) {}
  static bool classof(const Decl *d) { return d->kind == DeclKind::Function; }
};

/// `net name(parameters) { children, tensors, forward }`.
struct NetDecl : Decl {
  Name name;
  llvm::ArrayRef<Parameter> parameters;
  llvm::ArrayRef<const Stmt *> body;
  llvm::StringRef doc;
  NetDecl(SourceRange range, Name name, llvm::ArrayRef<Parameter> parameters,
          llvm::ArrayRef<const Stmt *> body, llvm::StringRef doc)
      : Decl(DeclKind::Net, range), name(name), parameters(parameters), body(body), doc(doc) {}
  static bool classof(const Decl *d) { return d->kind == DeclKind::Net; }
};

struct MethodDecl : Decl {
  Name name;
  llvm::ArrayRef<const Stmt *> body;
  llvm::StringRef doc;
  MethodDecl(SourceRange range, Name name, llvm::ArrayRef<const Stmt *> body, llvm::StringRef doc)
      : Decl(DeclKind::Method, range), name(name), body(body), doc(doc) {}
  static bool classof(const Decl *d) { return d->kind == DeclKind::Method; }
};

/// A file, its declarations in order.
struct SourceFile {
  uint32_t file;
  llvm::ArrayRef<const Decl *> decls;
};

//===- Ownership ------------------------------------------------------------------------------===//

/// Owns the nodes of any number of trees.
class AstContext {
public:
  template <typename Node, typename... Args> const Node *create(Args &&...args) {
    static_assert(std::is_trivially_destructible_v<Node>, "nodes are never destroyed");
    return new (allocator.Allocate<Node>()) Node{std::forward<Args>(args)...};
  }
  /// A copy of `elements` that lives as long as the context.
  template <typename Range> auto copy(const Range &elements) {
    using Element = std::remove_cvref_t<decltype(*elements.begin())>;
    Element *memory = allocator.Allocate<Element>(elements.size());
    std::uninitialized_copy(elements.begin(), elements.end(), memory);
    return llvm::ArrayRef<Element>(memory, elements.size());
  }
  llvm::StringRef copyString(llvm::StringRef text) { return text.copy(allocator); }

private:
  llvm::BumpPtrAllocator allocator;
};

/// Prints the tree, one node a line, children indented by two: what `--emit ast` shows.
void printAst(const SourceFile &file, llvm::raw_ostream &out);

} // namespace doppel::spec
