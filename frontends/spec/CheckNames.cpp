// Names in what has not been evaluated: bodies that nobody calls and branches that are not taken.
// Whether a name exists needs no values, so the whole file is checked, as a reader would.
#include "frontends/spec/CheckNames.h"

#include "frontends/spec/Builtins.h"

namespace doppel::spec {

namespace {
/// Walks the bodies of a file with every name that is bound there standing for nothing. Reports
/// what lookup() would; a message that evaluation has given already is kept once.
class NameChecker {
public:
  explicit NameChecker(Evaluator &evaluator) : evaluator(evaluator), builtins(builtinNames()) {}

  void check(const Unit &unit, const MethodDecl *method) {
    if (!seen.insert(&unit).second)
      return;
    for (const Decl *decl : unit.ast.decls) {
      if (auto *function = llvm::dyn_cast<FunctionDecl>(decl))
        inFrame(unit, function->name.text, /*isMethod=*/false, [&] {
          parameters(function->parameters);
          statements(function->body);
        });
      else if (auto *net = llvm::dyn_cast<NetDecl>(decl))
        inFrame(unit, net->name.text, /*isMethod=*/false, [&] { netBody(*net); });
      else if (decl == method)
        inFrame(unit, method->name.text, /*isMethod=*/true, [&] {
          bind("image");
          for (const auto &entry : evaluator.method.declared)
            bind(entry.getKey());
          statements(method->body);
        });
    }
    for (const auto &entry : unit.modules)
      if (!entry.second->isLibrary)
        check(*entry.second, nullptr);
  }

private:
  void inFrame(const Unit &unit, llvm::StringRef name, bool isMethod,
               llvm::function_ref<void()> body) {
    Frame frame{.name = name, .unit = &unit, .isMethod = isMethod};
    Scope names{.isRoot = true};
    Scoped<Frame *> inFrame(evaluator.trace.frame, &frame);
    Scoped<Scope *> inScope(evaluator.scope, &names);
    body();
  }

  void inScope(llvm::function_ref<void()> body) {
    Scope names{.parent = evaluator.scope};
    Scoped<Scope *> inside(evaluator.scope, &names);
    body();
  }

  void bind(llvm::StringRef name) {
    evaluator.scope->bindings.push_back({.name = name, .value = Value::error()});
  }
  void bind(const Pattern &pattern) {
    for (const Name &name : pattern.names)
      bind(name.text);
  }

  bool isBound(llvm::StringRef name) const {
    for (Scope *scope = evaluator.scope; scope; scope = scope->parent)
      if (scope->findHere(name))
        return true;
    return false;
  }

  bool exists(llvm::StringRef name) {
    const Unit *unit = evaluator.trace.frame->unit;
    return isBound(name) || unit->decls.contains(name) || unit->modules.contains(name) ||
           llvm::is_contained(builtins, name) ||
           llvm::any_of(evaluator.units.openModules(),
                        [&](const Unit *open) { return open->decls.contains(name); });
  }

  /// A size that is a new name is bound by the argument.
  void parameters(llvm::ArrayRef<Parameter> all) {
    for (const Parameter &parameter : all)
      bind(parameter.name.text);
    for (const Parameter &parameter : all) {
      const TypeExpr *type = parameter.type;
      for (; type && type->element; type = type->element)
        ;
      for (const Expr *dim : type ? type->dims : llvm::ArrayRef<const Expr *>())
        if (auto *name = llvm::dyn_cast<NameExpr>(dim); name && !isBound(name->name))
          bind(name->name);
    }
    for (const Parameter &parameter : all)
      expression(parameter.fallback);
  }

  void netBody(const NetDecl &net) {
    parameters(net.parameters);
    statements(net.body);
    // Wherever it stands, a forward sees all of its net.
    for (llvm::StringRef name : {"training", "stochastic", "batch_norm_groups"})
      bind(name);
    forwards(net.body);
  }

  void forwards(llvm::ArrayRef<const Stmt *> body) {
    for (const Stmt *stmt : body) {
      if (auto *branch = llvm::dyn_cast<IfStmt>(stmt)) {
        forwards(branch->thenBody);
        forwards(branch->elseBody);
      } else if (auto *forward = llvm::dyn_cast<ForwardStmt>(stmt)) {
        inScope([&] {
          parameters(forward->parameters);
          statements(forward->body);
        });
      }
    }
  }

  void statements(llvm::ArrayRef<const Stmt *> body) {
    for (const Stmt *stmt : body)
      statement(stmt);
  }

  void statement(const Stmt *stmt) {
    switch (stmt->kind) {
    case StmtKind::Let: {
      auto *let = llvm::cast<LetStmt>(stmt);
      expression(let->value);
      if (let->type)
        expressions(let->type->dims);
      bind(let->pattern);
      break;
    }
    case StmtKind::Assign: {
      auto *assign = llvm::cast<AssignStmt>(stmt);
      expression(assign->value);
      bind(assign->name.text);
      break;
    }
    case StmtKind::Return:
      expression(llvm::cast<ReturnStmt>(stmt)->value);
      break;
    case StmtKind::If: {
      auto *branch = llvm::cast<IfStmt>(stmt);
      expression(branch->condition);
      statements(branch->thenBody);
      statements(branch->elseBody);
      break;
    }
    case StmtKind::For: {
      auto *loop = llvm::cast<ForStmt>(stmt);
      expression(loop->iterable);
      inScope([&] {
        bind(loop->pattern);
        statements(loop->body);
      });
      break;
    }
    case StmtKind::Call:
      expression(llvm::cast<CallStmt>(stmt)->call);
      break;
    case StmtKind::Update: {
      auto *update = llvm::cast<UpdateStmt>(stmt);
      expression(update->value);
      expression(update->condition);
      break;
    }
    case StmtKind::Parameter:
    case StmtKind::Buffer:
    case StmtKind::State: {
      auto *tensor = llvm::cast<TensorDeclStmt>(stmt);
      expressions(tensor->type->dims);
      expression(tensor->initial);
      bind(tensor->name.text);
      break;
    }
    case StmtKind::Forward:
    case StmtKind::Allow:
      break;
    case StmtKind::Param: {
      auto *param = llvm::cast<ParamStmt>(stmt);
      expression(param->fallback);
      expressions(param->allowed);
      break;
    }
    case StmtKind::View: {
      auto *view = llvm::cast<ViewStmt>(stmt);
      for (const ViewName &name : view->names)
        expression(name.count);
      expression(view->value);
      break;
    }
    case StmtKind::Net:
      expression(llvm::cast<NetStmt>(stmt)->value);
      break;
    case StmtKind::Loss: {
      auto *loss = llvm::cast<LossStmt>(stmt);
      expression(loss->value);
      expression(loss->condition);
      break;
    }
    case StmtKind::Metric:
      expression(llvm::cast<MetricStmt>(stmt)->value);
      break;
    case StmtKind::Optimize: {
      auto *optimize = llvm::cast<OptimizeStmt>(stmt);
      for (const Expr *part :
           {optimize->matching, optimize->except, optimize->optimizer, optimize->condition})
        expression(part);
      break;
    }
    case StmtKind::Represent:
      expression(llvm::cast<RepresentStmt>(stmt)->value);
      break;
    }
  }

  void expressions(llvm::ArrayRef<const Expr *> all) {
    for (const Expr *each : all)
      expression(each);
  }

  void expression(const Expr *expr) {
    if (!expr)
      return;
    switch (expr->kind) {
    case ExprKind::Int:
    case ExprKind::Float:
    case ExprKind::Bool:
    case ExprKind::String:
    case ExprKind::Error:
      break;
    case ExprKind::Name: {
      auto *name = llvm::cast<NameExpr>(expr);
      if (!exists(name->name))
        evaluator.unknownName(name->name, name->range);
      break;
    }
    case ExprKind::Member: {
      auto *member = llvm::cast<MemberExpr>(expr);
      auto *base = llvm::dyn_cast<NameExpr>(member->base);
      const Unit *unit = evaluator.trace.frame->unit;
      bool ofModule = base && !isBound(base->name) && !unit->decls.contains(base->name) &&
                      (unit->modules.contains(base->name) || base->name == "random");
      if (ofModule)
        evaluator.evalMember(member);
      else
        expression(member->base);
      break;
    }
    case ExprKind::Index: {
      auto *index = llvm::cast<IndexExpr>(expr);
      expression(index->base);
      expressions(index->indices);
      break;
    }
    case ExprKind::Call: {
      auto *call = llvm::cast<CallExpr>(expr);
      expression(call->callee);
      for (const Argument &argument : call->arguments)
        expression(argument.value);
      break;
    }
    case ExprKind::Unary:
      expression(llvm::cast<UnaryExpr>(expr)->operand);
      break;
    case ExprKind::Binary: {
      auto *binary = llvm::cast<BinaryExpr>(expr);
      expression(binary->left);
      expression(binary->right);
      break;
    }
    case ExprKind::Conditional: {
      auto *conditional = llvm::cast<ConditionalExpr>(expr);
      expression(conditional->condition);
      expression(conditional->thenValue);
      expression(conditional->elseValue);
      break;
    }
    case ExprKind::Compose:
      for (const ComposePart &part : llvm::cast<ComposeExpr>(expr)->parts)
        expression(part.value);
      break;
    case ExprKind::List:
      expressions(llvm::cast<ListExpr>(expr)->elements);
      break;
    case ExprKind::Tuple:
      expressions(llvm::cast<TupleExpr>(expr)->elements);
      break;
    case ExprKind::Comprehension:
      clauses(llvm::cast<ComprehensionExpr>(expr), 0);
      break;
    case ExprKind::Range: {
      auto *range = llvm::cast<RangeExpr>(expr);
      expression(range->begin);
      expression(range->end);
      break;
    }
    case ExprKind::Spread:
      expression(llvm::cast<SpreadExpr>(expr)->operand);
      break;
    }
  }

  void clauses(const ComprehensionExpr *expr, size_t clause) {
    if (clause == expr->clauses.size())
      return expression(expr->element);
    const ForClause &each = expr->clauses[clause];
    expression(each.iterable);
    inScope([&] {
      bind(each.pattern);
      expression(each.filter);
      clauses(expr, clause + 1);
    });
  }

  Evaluator &evaluator;
  std::vector<llvm::StringRef> builtins;
  llvm::DenseSet<const Unit *> seen;
};
} // namespace

void checkNames(Evaluator &evaluator, const Unit &unit, const MethodDecl &decl) {
  NameChecker(evaluator).check(unit, &decl);
}

} // namespace doppel::spec
