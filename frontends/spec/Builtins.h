// The functions that the compiler provides: their names, parameters and what they do.
#pragma once

#include "frontends/spec/Evaluator.h"

namespace doppel::spec {

class BuiltinCall;

/// A built-in function. `signature` lists its parameters: "x, axis?, keep?"; a `?` marks an
/// optional one, "xs..." takes all positional arguments.
struct Builtin {
  const char *name;
  const char *signature;
  Value (*run)(BuiltinCall &call);
};

/// The built-in of that name ("sum", "random.normal"), or null.
const Builtin *findBuiltin(llvm::StringRef name);
llvm::ArrayRef<Builtin> mathBuiltins();
llvm::ArrayRef<Builtin> tensorBuiltins();
llvm::ArrayRef<Builtin> randomBuiltins();
llvm::ArrayRef<Builtin> trainingBuiltins();
llvm::ArrayRef<Builtin> augmentBuiltins();
/// Every name that the compiler provides, for the nearest one in a message.
std::vector<llvm::StringRef> builtinNames();

/// The arguments of one call, by the names of the parameters. Each accessor reports a value of
/// another type and then gives nothing.
class BuiltinCall : public Reporting {
public:
  BuiltinCall(Evaluator &evaluator, const Builtin &builtin, SourceRange range)
      : Reporting(evaluator.trace), evaluator(evaluator), emit(evaluator.emit), builtin(builtin),
        range(range) {}

  /// Distributes the arguments of a call over the parameters. False after an error, also that of an
  /// argument's evaluation.
  bool bind(llvm::SmallVectorImpl<EvaluatedArgument> &arguments);

  const Value &value(llvm::StringRef name) const { return find(name).value; }
  SourceRange rangeOf(llvm::StringRef name) const;
  bool has(llvm::StringRef name) const { return !find(name).value.isNone(); }
  llvm::ArrayRef<EvaluatedArgument> rest() const { return positional; }

  std::optional<mlir::Value> tensor(llvm::StringRef name);
  std::optional<int64_t> integer(llvm::StringRef name, std::optional<int64_t> fallback = {});
  /// An int from `least` to maxCount.
  std::optional<int64_t> count(llvm::StringRef name, std::optional<int64_t> fallback = {},
                               int64_t least = 1);
  std::optional<double> number(llvm::StringRef name, std::optional<double> fallback = {});
  /// A number from `low` to `high`.
  std::optional<double> numberIn(llvm::StringRef name, std::optional<double> fallback, double low,
                                 double high);
  std::optional<bool> flag(llvm::StringRef name, bool fallback);
  std::optional<std::string> text(llvm::StringRef name, llvm::StringRef fallback,
                                  llvm::ArrayRef<llvm::StringRef> allowed);
  std::optional<llvm::SmallVector<int64_t>> integers(llvm::StringRef name);
  std::optional<llvm::SmallVector<double>> numbers(llvm::StringRef name, size_t count,
                                                   llvm::ArrayRef<double> fallback = {});
  /// A shape: a list of ints from 1; absent: that of the state whose initial value is computed.
  std::optional<llvm::SmallVector<int64_t>> shape(llvm::StringRef name);
  /// An axis of a tensor of `rank`, counted from 0.
  std::optional<int64_t> axis(int64_t axis, int64_t rank, SourceRange at);
  std::optional<ImageValue> image(llvm::StringRef name);

  /// How messages call an argument: as it is written, if that is short.
  std::string label(llvm::StringRef name) const { return label(rangeOf(name), name); }
  using Reporting::label;
  Value wrongType(llvm::StringRef name, llvm::StringRef expected);

  Evaluator &evaluator;
  TensorEmitter &emit;
  const Builtin &builtin;
  const SourceRange range;

private:
  struct Slot {
    llvm::StringRef name;
    bool isOptional;
    Value value;
    SourceRange range;
  };
  const Slot &find(llvm::StringRef name) const;

  llvm::SmallVector<Slot> slots;
  llvm::SmallVector<EvaluatedArgument> positional;
};

} // namespace doppel::spec
