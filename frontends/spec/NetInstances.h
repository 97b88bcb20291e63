// The ssl.net of each application of a placed net.
//
// A placed net that a method applies becomes one ssl.net for each (structure, input types, mode);
// inside of it its children are inlined and states are read below the empty path, so that all
// places of one structure share it.
#pragma once

#include "dialects/ssl/SslDialect.h"
#include "frontends/spec/Evaluator.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include <string>

namespace doppel::spec {

class NetInstances : private Reporting {
public:
  /// Networks go in front of `step`.
  NetInstances(Evaluator &evaluator, ssl::StepOp step)
      : Reporting(evaluator.trace), evaluator(evaluator), emit(evaluator.emit), step(step) {}

  /// What `net`, which has a place, makes of the arguments.
  Value apply(const NetValue &net, llvm::SmallVectorImpl<EvaluatedArgument> &arguments,
              SourceRange range);
  /// Keeps a network from being called `name`, as a state is.
  void reserve(llvm::StringRef name) { symbols.insert(name); }

private:
  struct Instance {
    ssl::NetOp op;
    Value result; ///< in terms of the body
  };
  /// The network that an application needs, made if there is none yet.
  Instance find(const NetValue &net, llvm::ArrayRef<EvaluatedArgument> arguments,
                SourceRange range);
  Instance make(const NetValue &net, llvm::ArrayRef<EvaluatedArgument> arguments, SourceRange range,
                bool &draws);
  std::string key(const NetValue &net, llvm::ArrayRef<EvaluatedArgument> arguments) const;

  Evaluator &evaluator;
  TensorEmitter &emit;
  ssl::StepOp step;
  llvm::StringMap<Instance> instances;
  llvm::StringSet<> symbols;
};

} // namespace doppel::spec
