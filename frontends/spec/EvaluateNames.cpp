// Names and what they stand for.
#include "frontends/spec/Builtins.h"
#include "frontends/spec/Evaluator.h"
#include "llvm/ADT/StringSwitch.h"

namespace doppel::spec {

Value Evaluator::bindingValue(Binding &binding, SourceRange range) {
  binding.isRead |= !binding.state || *binding.state != emit.current->updates;
  if (binding.state)
    return Value::tensor(emit.readState(*binding.state, binding.stateType, range));
  if (!binding.context || emit.current->sees(binding.context) || !binding.value.holdsTensor())
    return binding.value;
  llvm::StringRef where = emit.current->kind == ContextKind::Rate      ? "a rate"
                          : emit.current->kind == ContextKind::Initial ? "an initial value"
                          : emit.current->kind == ContextKind::Represent
                              ? "'represent'"
                              : "an update before the forward";
  if (!binding.let) {
    // The user wrote the name of a `let` that leads here.
    llvm::StringRef used = reevaluated ? reevaluated->name : binding.name;
    Diagnostic &error =
        report(Code::NotAvailableHere, reevaluated ? reevaluatedAt : range,
               "'" + used + "' comes from the batch, which does not exist in " + where);
    if (reevaluated)
      error.note(reevaluated->range, "declared here");
    error.note(binding.range,
               reevaluated ? "with '" + binding.name + "' of the batch" : "declared here");
    return Value::error();
  }
  // The name stands for what its expression means here.
  Scoped<Scope *> inMethod(scope, &method.names);
  Scoped<const Binding *> outermost(reevaluated, reevaluated ? reevaluated : &binding);
  Scoped<SourceRange> at(
      reevaluatedAt, reevaluated == &binding && !reevaluatedAt.isValid() ? range : reevaluatedAt);
  Value value = evalLet(binding.let);
  if (binding.let->pattern.isSingle() || value.isError())
    return value;
  for (auto [name, element] : llvm::zip(binding.let->pattern.names, value.elements()))
    if (name.text == binding.name)
      return element;
  return Value::error();
}

Value Evaluator::lookup(llvm::StringRef name, SourceRange range) {
  for (Scope *s = scope; s; s = s->parent)
    if (Binding *binding = s->findHere(name))
      return bindingValue(*binding, range);
  const Unit *unit = trace.frame->unit;
  if (auto decl = unit->decls.find(name); decl != unit->decls.end())
    return declValue(decl->second, unit, range);
  if (auto module = unit->modules.find(name); module != unit->modules.end())
    return Value::module(module->second, name.str());
  for (const Unit *open : units.openModules())
    if (auto decl = open->decls.find(name); decl != open->decls.end())
      return declValue(decl->second, open, range);

  if (name == "image" && trace.frame->isMethod) {
    bool inPlace = imageAllowed || emit.current->kind == ContextKind::Represent;
    if (inPlace)
      return Value::image({});
    Diagnostic &error = report(Code::ImageMisplaced, range, "'image' stands outside of a view");
    error.help("give the picture a name: view x = augment.simclr(image, size: 32)");
    return Value::error();
  }
  if (name == "pi")
    return Value::number(3.14159265358979323846);
  if (name == "batch" && method.batch > 0)
    return Value::integer(method.batch);
  if (name == "random")
    return Value::module(nullptr, "random");
  if (const Builtin *builtin = findBuiltin(name))
    return Value::callable({.builtin = builtin});
  if (Value value = emit.runScalar(name, range); !value.isNone())
    return value;
  return unknownName(name, range);
}

Value Evaluator::declValue(const Decl *decl, const Unit *unit, SourceRange range) {
  if (auto *function = llvm::dyn_cast<FunctionDecl>(decl))
    return Value::callable({.function = function, .unit = unit});
  if (auto *net = llvm::dyn_cast<NetDecl>(decl))
    return Value::callable({.net = net, .unit = unit});
  return fail(Code::WrongType, range, "a method is not a value");
}

llvm::StringRef nameElsewhere(llvm::StringRef name) {
  return llvm::StringSwitch<llvm::StringRef>(name)
      .Case("None", "reshape(x, shape) for a new axis, or leave the argument out")
      .Case("True", "true")
      .Case("False", "false")
      .Case("range", "a list of ints as 0..n")
      .Cases({"cat", "hstack", "vstack"}, "concat(a, b, axis: 0)")
      .Cases({"detach", "no_grad"}, "stop_gradient(x)")
      .Cases({"matmul", "mm", "bmm", "dot"}, "a @ b")
      .Case("eye", "diagonal(n), which is bool, or float(diagonal(n))")
      .Cases({"zip", "enumerate"}, "an index: [f(a[i], b[i]) for i in 0..len(a)]")
      .Case("arange", "iota(n)")
      .Cases({"inf", "Infinity", "infinity", "nan"},
             "a finite number: -1e30 for what a softmax must not see, whose exp is 0")
      .Cases({"clamp", "clamp_min", "clamp_max"}, "clip(x, lo, hi), or maximum(x, lo) for one side")
      .Cases({"dropout", "Dropout"}, "nets.dropout(0.1), a part of a net, after 'use std.nets'")
      .Cases({"t", "mT"}, "transpose(x)")
      .Case("permute", "transpose(x, [0, 2, 1])")
      .Case("view", "reshape(x, shape)")
      .Case("print", "metric NAME = ... for a value of each step")
      .Case("assert", "require(condition, \"message\")")
      .Case("AdamW", "adamw(lr: 0.001, weight_decay: 0.05)")
      .Case("Adam", "adam(lr: 0.001)")
      .Case("SGD", "sgd(lr: 0.1, momentum: 0.9)")
      .Case("LARS", "lars(lr: 0.1)")
      .Case("var", "variance(x, axis: 0)")
      .Case("std", "sqrt(variance(x, axis: 0))")
      .Cases({"randn", "rand", "randint", "randperm"},
             "random.normal, .uniform, .integers or .permutation")
      .Cases({"zeros_like", "ones_like"}, "zeros(x.shape) or ones(x.shape)")
      .Cases({"mse", "mse_loss", "MSELoss"}, "mean((a - b) ** 2)")
      .Cases({"CrossEntropyLoss", "nll_loss"}, "mean(cross_entropy(targets, logits))")
      .Cases({"unsqueeze", "expand_dims", "squeeze", "view_as"}, "reshape(x, shape)")
      .Cases({"expand", "tile", "repeat"}, "broadcast(x, shape)")
      .Case("einsum", "reshape, transpose and @")
      .Cases({"topk", "sort", "argsort"}, "a loop over argmax(x): there is no sorting")
      .Cases({"roll", "shift"}, "concat(x[1..], x[..1])")
      .Cases({"stop_grad", "sg"}, "stop_gradient(x)")
      .Cases({"copy", "deepcopy"}, "net key = ema(online, 0.99)")
      .Cases({"label", "labels", "targets"}, "sample_index(image): a spec sees no labels")
      .Case("optimize", "optimize NET with sgd(lr: 0.1)")
      .Case("self", "the names of the net alone, without 'self'")
      .Case("int32", "i32")
      .Case("float32", "f32")
      .Default({});
}

llvm::StringRef argumentElsewhere(llvm::StringRef name) {
  return llvm::StringSwitch<llvm::StringRef>(name)
      .Cases({"dim", "dims"}, "axis")
      .Cases({"keepdim", "keepdims"}, "keep")
      .Cases({"learning_rate", "rate"}, "lr")
      .Cases({"betas", "beta"}, "beta1")
      .Cases({"wd", "decay_rate"}, "weight_decay")
      .Case("kernel_size", "kernel")
      .Case("epsilon", "eps")
      .Case("size", "shape")
      .Default({});
}

Value Evaluator::unknownName(llvm::StringRef name, SourceRange range) {
  if (name == "_")
    return fail(Code::UnknownName, range, "'_' names nothing: it stands for what is not wanted");
  if (trace.frame->isMethod)
    if (auto later = method.declared.find(name); later != method.declared.end()) {
      if (later->second.file == range.file && method.item.begin <= later->second.begin &&
          later->second.begin < method.item.end)
        report(Code::UnknownName, range, "'" + name + "' is used in its own declaration")
            .help("a name keeps its value: give the new one another name");
      else if (later->second.file == range.file && later->second.begin < range.begin)
        report(Code::UnknownName, range,
               "'" + name + "' stands in a branch of 'if' that is not taken")
            .note(later->second, "declared here");
      else
        report(Code::UnknownName, range, "'" + name + "' is used before its declaration")
            .note(later->second, "declared here, further down");
      return Value::error();
    }
  if (trace.frame->isMethod && (name == "batch" || name == "epochs"))
    return Value::error(); // that there is no such param is reported at the end
  std::vector<llvm::StringRef> known = builtinNames();
  for (Scope *s = scope; s; s = s->parent)
    for (const Binding &binding : s->bindings)
      known.push_back(binding.name);
  auto addUnit = [&](const Unit *unit) {
    for (const auto &entry : unit->decls)
      known.push_back(entry.getKey());
  };
  addUnit(trace.frame->unit);
  for (const auto &entry : trace.frame->unit->modules)
    known.push_back(entry.getKey());
  for (const Unit *open : units.openModules())
    addUnit(open);
  for (llvm::StringRef name :
       {"image", "step", "epoch", "steps_per_epoch", "total_steps", "samples"})
    if (trace.frame->isMethod)
      known.push_back(name);
  llvm::sort(known);
  std::vector<std::string> inModules;
  Diagnostic &error = report(Code::UnknownName, range, "unknown name '" + name + "'");
  for (const auto &[module, unit] : trace.frame->unit->modules)
    if (unit->decls.contains(name))
      inModules.push_back((module + "." + name).str());
  if (findBuiltin(("random." + name).str()))
    inModules.push_back(("random." + name).str());
  if (llvm::is_contained(libraryNames(), name))
    error.help("open the library's module: use std." + name);
  else if (!inModules.empty())
    error.help("write " + llvm::join(inModules, " or "));
  else if (llvm::StringRef here = nameElsewhere(name); !here.empty())
    error.help("write " + here);
  else if (name == "image" && !trace.frame->isMethod)
    error.help("an augmentation gets the picture as a parameter: augment name(image) = ...");
  else if (method.declared.contains(name))
    error.help("a function does not see the method's names: pass it as an argument");
  else if (auto nearest = nearestName(name, known))
    error.help("did you mean '" + *nearest + "'?");
  return Value::error();
}

} // namespace doppel::spec
