// The verifier of a method. It stands at ssl.method, the one place that sees states, networks and
// their uses together: names must be those of states, types must agree, and what a region yields
// must be what its operation is for.
#include "dialects/ssl/SslDialect.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace doppel;
using namespace doppel::ssl;

namespace {

class MethodVerifier {
public:
  explicit MethodVerifier(MethodOp method) : method(method) {}

  LogicalResult run() {
    Operation *step = nullptr, *represent = nullptr;
    for (Operation &op : method.getBody().front()) {
      LogicalResult valid =
          llvm::TypeSwitch<Operation *, LogicalResult>(&op)
              .Case([&](StateOp state) { return verifyState(state); })
              .Case([&](NetOp net) { return verifyNet(net); })
              .Case([&](EmaOp ema) { return verifyEma(ema); })
              .Case([&](StepOp) { return verifyOnce(&op, step); })
              .Case([&](OptimizeOp optimize) { return verifyOptimize(optimize); })
              .Case([&](RepresentOp region) {
                return success(succeeded(verifyOnce(&op, represent)) &&
                               succeeded(verifyRepresent(region)));
              })
              .Default([](Operation *other) {
                return other->emitOpError("is not an operation of a method's body");
              });
      if (failed(valid))
        return failure();
    }
    if (!step)
      return method.emitOpError("has no ssl.step");
    return verifyUses(step);
  }

private:
  static LogicalResult verifyOnce(Operation *op, Operation *&first) {
    if (first) {
      InFlightDiagnostic error = op->emitOpError("is the second of its method");
      error.attachNote(first->getLoc()) << "the first";
      return error;
    }
    first = op;
    return success();
  }

  /// The region's terminator must be nn.yield with values of these types.
  static LogicalResult verifyYield(Operation *op, Region &region, TypeRange types) {
    Block &block = region.front();
    auto yield = block.empty() ? nn::YieldOp() : dyn_cast<nn::YieldOp>(block.back());
    if (!yield)
      return op->emitOpError("must end its region with nn.yield");
    if (yield.getOperandTypes() != types) {
      InFlightDiagnostic error = op->emitOpError() << "must yield (" << types << "), but yields ("
                                                   << yield.getOperandTypes() << ")";
      return error;
    }
    return success();
  }

  static LogicalResult verifyScalars(Operation *op, Region &region, unsigned count) {
    auto scalar = RankedTensorType::get({}, Float32Type::get(op->getContext()));
    return verifyYield(op, region, SmallVector<Type>(count, scalar));
  }

  LogicalResult verifyState(StateOp state) {
    if (failed(verifyYield(state, state.getInit(), state.getType())))
      return failure();
    WalkResult reads = state.walk([&](nn::ReadOp read) {
      if (states.contains(read.getState()))
        return WalkResult::advance();
      read.emitOpError() << "reads '" << read.getState()
                         << "', which is not declared above the state that it initialises";
      return WalkResult::interrupt();
    });
    states[state.getSymName()] = state;
    return failure(reads.wasInterrupted());
  }

  static LogicalResult verifyNet(NetOp net) {
    auto type = cast<FunctionType>(net.getFunctionType());
    if (net.getBody().getArgumentTypes() != type.getInputs())
      return net.emitOpError() << "is " << type << ", but its region takes ("
                               << net.getBody().getArgumentTypes() << ")";
    return verifyYield(net, net.getBody(), type.getResults());
  }

  LogicalResult verifyEma(EmaOp ema) {
    if (failed(verifyScalars(ema, ema.getMomentum(), 1)))
      return failure();
    std::string prefix = ema.getTarget().str() + ".";
    for (StateOp state : method.getBody().front().getOps<StateOp>()) {
      StringRef name = state.getSymName();
      if (state.getKind() != nn::StateKind::Ema || !name.consume_front(prefix))
        continue;
      std::string source = (ema.getSource() + "." + name).str();
      StateOp follows = states.lookup(source);
      if (follows && follows.getType() == state.getType())
        continue;
      InFlightDiagnostic error = ema.emitOpError()
                                 << "has no source '" << source << "' of type " << state.getType();
      error.attachNote(state.getLoc()) << "for this state";
      return error;
    }
    return success();
  }

  LogicalResult verifyOptimize(OptimizeOp optimize) {
    size_t count = optimize.getParameters().size();
    if (optimize.getDecay().size() != count || optimize.getAdapt().size() != count)
      return optimize.emitOpError()
             << "has " << count << " parameters, " << optimize.getDecay().size() << " decay and "
             << optimize.getAdapt().size() << " adapt flags";
    for (auto name : optimize.getParameters().getAsRange<StringAttr>()) {
      StateOp state = states.lookup(name.getValue());
      if (!state || state.getKind() != nn::StateKind::Parameter)
        return optimize.emitOpError() << name << " is not a parameter declared above";
      if (auto [at, isNew] = optimizers.try_emplace(name.getValue(), optimize); !isNew) {
        InFlightDiagnostic error = optimize.emitOpError() << name << " has an optimizer already";
        error.attachNote(at->second.getLoc()) << "this one";
        return error;
      }
    }
    auto scalar = RankedTensorType::get({}, Float32Type::get(method.getContext()));
    SmallVector<Type> yielded{scalar, scalar};
    if (auto yield = dyn_cast<nn::YieldOp>(optimize.getSchedule().front().back());
        yield && yield.getNumOperands() == 3)
      yielded.push_back(RankedTensorType::get({}, IntegerType::get(method.getContext(), 1)));
    return verifyYield(optimize, optimize.getSchedule(), yielded);
  }

  static LogicalResult verifyRepresent(RepresentOp represent) {
    auto yield = dyn_cast<nn::YieldOp>(represent.getBody().front().back());
    if (!yield || yield.getNumOperands() != 1 ||
        cast<RankedTensorType>(yield.getOperand(0).getType()).getRank() != 2)
      return represent.emitOpError("must yield features [batch, D]");
    return success();
  }

  //===-- Uses of states ----------------------------------------------------------------------===//

  LogicalResult verifyUses(Operation *step) {
    bool hasLoss = false;
    WalkResult uses = method.walk([&](Operation *op) {
      hasLoss |= isa<LossOp>(op);
      LogicalResult valid = llvm::TypeSwitch<Operation *, LogicalResult>(op)
                                .Case([&](UpdateOp update) { return verifyUpdate(update); })
                                .Case([&](ApplyOp apply) { return verifyApply(apply); })
                                .Case([&](EmaOp ema) {
                                  return ema->getParentOp() == step ? verifyEma(ema) : success();
                                })
                                .Case<nn::ReadOp, nn::WriteOp>([&](auto access) {
                                  return access->template getParentOfType<NetOp>()
                                             ? success()
                                             : verifyAccess(access, access, "");
                                })
                                .Default(success());
      return failed(valid) ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (uses.wasInterrupted())
      return failure();
    return hasLoss ? success() : LogicalResult(step->emitOpError("has no ssl.loss"));
  }

  /// `user` reads or writes the state `access` names, below `path` if the name is relative.
  template <typename Access>
  LogicalResult verifyAccess(Operation *user, Access access, StringRef path) {
    std::string name = access.getState().str();
    if (StringRef(name).starts_with("."))
      name = path.str() + name;
    Type type;
    if constexpr (std::is_same_v<Access, nn::ReadOp>)
      type = access.getType();
    else
      type = access.getValue().getType();
    StateOp state = states.lookup(name);
    if (!state) {
      InFlightDiagnostic error = user->emitOpError() << "'" << name << "' is not a state";
      error.attachNote(access.getLoc()) << "accessed here";
      return error;
    }
    if (state.getType() == type)
      return success();
    InFlightDiagnostic error = user->emitOpError() << "'" << name << "' is " << state.getType()
                                                   << ", the value is " << type;
    error.attachNote(state.getLoc()) << "declared here";
    return error;
  }

  LogicalResult verifyUpdate(UpdateOp update) {
    StateOp state = states.lookup(update.getState());
    if (!state)
      return update.emitOpError() << "'" << update.getState() << "' is not a state";
    if (failed(verifyYield(update, update.getValue(), state.getType())))
      return failure();
    if (update.getWhen() != When::BeforeForward)
      return success();
    WalkResult captures = update.walk([&](Operation *op) {
      for (Value operand : op->getOperands())
        if (!update.getValue().isAncestor(operand.getParentRegion()))
          return WalkResult::interrupt();
      return WalkResult::advance();
    });
    if (captures.wasInterrupted())
      return update.emitOpError("is before the forward computation, but uses a value of it");
    return success();
  }

  LogicalResult verifyApply(ApplyOp apply) {
    auto net = dyn_cast_or_null<NetOp>(method.lookupSymbol(apply.getNet()));
    if (!net)
      return apply.emitOpError() << "'" << apply.getNet() << "' is not a network";
    auto type = cast<FunctionType>(net.getFunctionType());
    if (type.getInputs() != apply.getInputs().getTypes() ||
        type.getResults() != apply.getOutputs().getTypes()) {
      InFlightDiagnostic error = apply.emitOpError() << "does not have the network's type " << type;
      error.attachNote(net.getLoc()) << "declared here";
      return error;
    }
    if (apply.getPath().starts_with("."))
      return success(); // within another net, whose application tells the path
    WalkResult accesses = net.walk([&](Operation *op) {
      LogicalResult valid = success();
      if (auto read = dyn_cast<nn::ReadOp>(op))
        valid = verifyAccess(apply, read, apply.getPath());
      else if (auto write = dyn_cast<nn::WriteOp>(op))
        valid = verifyAccess(apply, write, apply.getPath());
      return failed(valid) ? WalkResult::interrupt() : WalkResult::advance();
    });
    return failure(accesses.wasInterrupted());
  }

  MethodOp method;
  llvm::StringMap<StateOp> states;
  llvm::StringMap<OptimizeOp> optimizers;
};

} // namespace

LogicalResult MethodOp::verifyRegions() { return MethodVerifier(*this).run(); }
