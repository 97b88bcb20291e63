// Prints syntax trees: expressions in full parentheses on one line, statements and declarations a
// line each.
#include "frontends/spec/Ast.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

namespace doppel::spec {

llvm::StringRef spelling(BinaryOp op) {
  static constexpr llvm::StringLiteral spellings[] = {
      "+", "-", "*", "/", "%", "**", "@", "==", "!=", "<", "<=", ">", ">=", "and", "or"};
  return spellings[static_cast<size_t>(op)];
}

llvm::StringRef spelling(UnaryOp op) { return op == UnaryOp::Negate ? "-" : "not"; }

llvm::StringRef spelling(Moment moment) {
  switch (moment) {
  case Moment::Unspecified:
    return "";
  case Moment::BeforeForward:
    return "before forward";
  case Moment::AfterLoss:
    return "after loss";
  case Moment::AfterStep:
    return "after step";
  }
  return "";
}

namespace {

class AstPrinter {
public:
  explicit AstPrinter(llvm::raw_ostream &out) : out(out) {}

  void decl(const Decl *d) {
    switch (d->kind) {
    case DeclKind::Use: {
      const auto *use = llvm::cast<UseDecl>(d);
      out << "use";
      if (!use->isStd)
        out << " \"" << use->path << "\" as " << use->alias.text;
      for (const Name &module : use->modules)
        out << " std." << module.text;
      out << '\n';
      return;
    }
    case DeclKind::Allow:
      statement(llvm::cast<AllowDecl>(d)->allow);
      return;
    case DeclKind::Function: {
      const auto *fn = llvm::cast<FunctionDecl>(d);
      out << (fn->isAugment ? "augment " : "fn ") << fn->name.text;
      parameters(fn->parameters);
      if (fn->result) {
        out << " -> ";
        type(fn->result);
      }
      documentation(fn->doc);
      return block(fn->body);
    }
    case DeclKind::Net: {
      const auto *net = llvm::cast<NetDecl>(d);
      out << "net " << net->name.text;
      parameters(net->parameters);
      documentation(net->doc);
      return block(net->body);
    }
    case DeclKind::Method: {
      const auto *method = llvm::cast<MethodDecl>(d);
      out << "method " << method->name.text;
      documentation(method->doc);
      return block(method->body);
    }
    }
  }

private:
  void documentation(llvm::StringRef doc) {
    if (!doc.empty()) {
      out << "  /// ";
      llvm::printEscapedString(doc, out);
    }
    out << '\n';
  }

  void block(llvm::ArrayRef<const Stmt *> body) {
    indent += 2;
    for (const Stmt *s : body)
      statement(s);
    indent -= 2;
  }

  void names(llvm::ArrayRef<Name> list) {
    llvm::interleaveComma(list, out, [&](const Name &name) { out << name.text; });
  }

  void parameters(llvm::ArrayRef<Parameter> list) {
    out << '(';
    llvm::interleaveComma(list, out, [&](const Parameter &parameter) {
      out << parameter.name.text;
      annotation(parameter.type);
      if (parameter.fallback) {
        out << " = ";
        expr(parameter.fallback);
      }
    });
    out << ')';
  }

  void annotation(const TypeExpr *written) {
    if (!written)
      return;
    out << ": ";
    type(written);
  }

  void type(const TypeExpr *t) {
    if (t->element) {
      out << '[';
      type(t->element);
      out << ']';
      return;
    }
    out << t->name.text;
    if (!t->hasDims)
      return;
    out << '[';
    list(t->dims);
    out << ']';
  }

  void named(llvm::StringRef word, llvm::StringRef name, const Expr *value) {
    out << word << ' ' << name;
    if (value) {
      out << " = ";
      expr(value);
    }
  }

  void statement(const Stmt *s) {
    out.indent(indent);
    switch (s->kind) {
    case StmtKind::Let: {
      const auto *let = llvm::cast<LetStmt>(s);
      out << "let ";
      names(let->pattern.names);
      annotation(let->type);
      out << " = ";
      expr(let->value);
      break;
    }
    case StmtKind::Allow: {
      const auto *allow = llvm::cast<AllowStmt>(s);
      out << "allow " << allow->code.text << ' ';
      out << '"';
      llvm::printEscapedString(allow->reason, out);
      out << '"';
      break;
    }
    case StmtKind::Assign: {
      const auto *assign = llvm::cast<AssignStmt>(s);
      out << assign->name.text << " = ";
      expr(assign->value);
      break;
    }
    case StmtKind::Return:
      out << "return ";
      expr(llvm::cast<ReturnStmt>(s)->value);
      break;
    case StmtKind::If: {
      const auto *branch = llvm::cast<IfStmt>(s);
      out << "if ";
      expr(branch->condition);
      out << '\n';
      block(branch->thenBody);
      if (!branch->elseBody.empty()) {
        out.indent(indent) << "else\n";
        block(branch->elseBody);
      }
      return;
    }
    case StmtKind::For: {
      const auto *loop = llvm::cast<ForStmt>(s);
      out << "for ";
      names(loop->pattern.names);
      out << " in ";
      expr(loop->iterable);
      out << '\n';
      return block(loop->body);
    }
    case StmtKind::Call:
      expr(llvm::cast<CallStmt>(s)->call);
      break;
    case StmtKind::Update: {
      const auto *update = llvm::cast<UpdateStmt>(s);
      out << "update ";
      expr(update->target);
      if (update->value) {
        out << " = ";
        expr(update->value);
      }
      if (update->moment != Moment::Unspecified)
        out << ' ' << spelling(update->moment);
      clause("when", update->condition);
      break;
    }
    case StmtKind::Parameter:
    case StmtKind::Buffer:
    case StmtKind::State: {
      const auto *tensor = llvm::cast<TensorDeclStmt>(s);
      out << (s->kind == StmtKind::Parameter ? "parameter "
              : s->kind == StmtKind::Buffer  ? "buffer "
                                             : "state ")
          << tensor->name.text;
      annotation(tensor->type);
      out << " = ";
      expr(tensor->initial);
      break;
    }
    case StmtKind::Forward: {
      const auto *forward = llvm::cast<ForwardStmt>(s);
      out << "forward";
      parameters(forward->parameters);
      out << '\n';
      return block(forward->body);
    }
    case StmtKind::Param:
      param(llvm::cast<ParamStmt>(s));
      return;
    case StmtKind::View: {
      const auto *view = llvm::cast<ViewStmt>(s);
      out << "view ";
      llvm::interleaveComma(view->names, out, [&](const ViewName &name) {
        out << name.name.text;
        if (name.count) {
          out << '[';
          expr(name.count);
          out << ']';
        }
      });
      out << " = ";
      expr(view->value);
      break;
    }
    case StmtKind::Net:
      named("net", llvm::cast<NetStmt>(s)->name.text, llvm::cast<NetStmt>(s)->value);
      break;
    case StmtKind::Loss:
      out << "loss ";
      expr(llvm::cast<LossStmt>(s)->value);
      clause("when", llvm::cast<LossStmt>(s)->condition);
      break;
    case StmtKind::Metric:
      named("metric", llvm::cast<MetricStmt>(s)->name.text, llvm::cast<MetricStmt>(s)->value);
      break;
    case StmtKind::Optimize: {
      const auto *optimize = llvm::cast<OptimizeStmt>(s);
      out << "optimize ";
      list(optimize->targets);
      clause("matching", optimize->matching);
      clause("except", optimize->except);
      clause("with", optimize->optimizer);
      clause("when", optimize->condition);
      break;
    }
    case StmtKind::Represent:
      out << "represent ";
      expr(llvm::cast<RepresentStmt>(s)->value);
      break;
    }
    out << '\n';
  }

  void clause(llvm::StringRef word, const Expr *value) {
    if (!value)
      return;
    out << ' ' << word << ' ';
    expr(value);
  }

  void param(const ParamStmt *p) {
    out << "param " << p->name.text;
    annotation(p->type);
    if (p->fallback) {
      out << " = ";
      expr(p->fallback);
    }
    if (!p->allowed.empty()) {
      out << (p->allowedIsSet ? " in {" : " in ");
      list(p->allowed);
      out << (p->allowedIsSet ? "}" : "");
    }
    documentation(p->doc);
  }

  void list(llvm::ArrayRef<const Expr *> elements) {
    llvm::interleaveComma(elements, out, [&](const Expr *e) { expr(e); });
  }

  void clause(const ForClause &loop) {
    out << " for ";
    names(loop.pattern.names);
    out << " in ";
    expr(loop.iterable);
    if (loop.filter) {
      out << " where ";
      expr(loop.filter);
    }
  }

  void expr(const Expr *e) {
    if (!e) { // the whole axis of an index
      out << ':';
      return;
    }
    switch (e->kind) {
    case ExprKind::Int:
      out << llvm::cast<IntExpr>(e)->value;
      return;
    case ExprKind::Float:
      out << llvm::format("%.17g", llvm::cast<FloatExpr>(e)->value);
      return;
    case ExprKind::Bool:
      out << (llvm::cast<BoolExpr>(e)->value ? "true" : "false");
      return;
    case ExprKind::String:
      out << '"';
      llvm::printEscapedString(llvm::cast<StringExpr>(e)->value, out);
      out << '"';
      return;
    case ExprKind::Name:
      out << llvm::cast<NameExpr>(e)->name;
      return;
    case ExprKind::Member:
      expr(llvm::cast<MemberExpr>(e)->base);
      out << '.' << llvm::cast<MemberExpr>(e)->member.text;
      return;
    case ExprKind::Index:
      expr(llvm::cast<IndexExpr>(e)->base);
      out << '[';
      list(llvm::cast<IndexExpr>(e)->indices);
      out << ']';
      return;
    case ExprKind::Call: {
      const auto *call = llvm::cast<CallExpr>(e);
      expr(call->callee);
      out << '(';
      llvm::interleaveComma(call->arguments, out, [&](const Argument &argument) {
        if (argument.isNamed())
          out << argument.name.text << ": ";
        expr(argument.value);
      });
      out << ')';
      return;
    }
    case ExprKind::Unary: {
      const auto *unary = llvm::cast<UnaryExpr>(e);
      out << '(' << spelling(unary->op) << (unary->op == UnaryOp::Not ? " " : "");
      expr(unary->operand);
      out << ')';
      return;
    }
    case ExprKind::Binary: {
      const auto *binary = llvm::cast<BinaryExpr>(e);
      out << '(';
      expr(binary->left);
      out << ' ' << spelling(binary->op) << ' ';
      expr(binary->right);
      out << ')';
      return;
    }
    case ExprKind::Conditional: {
      const auto *conditional = llvm::cast<ConditionalExpr>(e);
      out << '(';
      expr(conditional->thenValue);
      out << " if ";
      expr(conditional->condition);
      out << " else ";
      expr(conditional->elseValue);
      out << ')';
      return;
    }
    case ExprKind::Compose:
      out << '(';
      llvm::interleave(
          llvm::cast<ComposeExpr>(e)->parts,
          [&](const ComposePart &part) {
            if (part.isLabelled())
              out << part.label.text << ": ";
            expr(part.value);
          },
          [&] { out << " >> "; });
      out << ')';
      return;
    case ExprKind::List:
      out << '[';
      list(llvm::cast<ListExpr>(e)->elements);
      out << ']';
      return;
    case ExprKind::Tuple:
      out << '(';
      list(llvm::cast<TupleExpr>(e)->elements);
      out << ')';
      return;
    case ExprKind::Comprehension:
      out << '[';
      expr(llvm::cast<ComprehensionExpr>(e)->element);
      for (const ForClause &loop : llvm::cast<ComprehensionExpr>(e)->clauses)
        clause(loop);
      out << ']';
      return;
    case ExprKind::Range: {
      const auto *range = llvm::cast<RangeExpr>(e);
      out << '(';
      if (range->begin)
        expr(range->begin);
      out << "..";
      if (range->end)
        expr(range->end);
      out << ')';
      return;
    }
    case ExprKind::Spread:
      expr(llvm::cast<SpreadExpr>(e)->operand);
      out << "...";
      return;
    case ExprKind::Error:
      out << "<error>";
      return;
    }
  }

  llvm::raw_ostream &out;
  unsigned indent = 0;
};

} // namespace

void printAst(const SourceFile &file, llvm::raw_ostream &out) {
  AstPrinter printer(out);
  for (const Decl *d : file.decls)
    printer.decl(d);
}

} // namespace doppel::spec
