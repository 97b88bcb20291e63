// Packs parameters into the vectors of StateGroups.h and turns optimizers and averages into
// arithmetic on them. After this pass no operation reads or writes a member by its own name, and no
// update_parameters or ema_update is left.
#include "passes/Optimizers.h"
#include "passes/Passes.h"
#include "passes/StateGroups.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_PACKSTATES
#include "passes/Passes.h.inc"

namespace {

//===-- Rewriting -----------------------------------------------------------------------------===//

/// Where a member lies.
struct Place {
  unsigned group, column, member;
};

class Rewriter {
public:
  Rewriter(ArrayRef<Group> groups, int64_t world) : groups(groups), world(world) {
    for (auto [g, group] : llvm::enumerate(groups))
      for (auto [c, column] : llvm::enumerate(group.columns))
        for (auto [m, member] : llvm::enumerate(column.members))
          places[member] = {unsigned(g), unsigned(c), unsigned(m)};
  }

  /// @init writes each member; afterwards it writes each vector once, moments as zeros.
  LogicalResult rewriteInit(func::FuncOp init) {
    DenseMap<StringAttr, Value> values;
    for (Operation &op : llvm::make_early_inc_range(init.getBody().front())) {
      if (auto write = dyn_cast<nn::WriteOp>(op); write && isMember(write.getStateAttr())) {
        values[write.getStateAttr().getAttr()] = write.getValue();
        write.erase();
      } else if (auto read = dyn_cast<nn::ReadOp>(op); read && isMember(read.getStateAttr())) {
        Value value = values.lookup(read.getStateAttr().getAttr());
        if (!value)
          return read.emitOpError("reads a state before its initial value is written");
        read.replaceAllUsesWith(value);
        read.erase();
      }
    }
    OpBuilder builder(init.getBody().front().getTerminator());
    for (const Group &group : groups)
      for (auto [index, column] : llvm::enumerate(group.columns)) {
        Value vector;
        if (index >= group.firstMoment) {
          vector = nn::ConstantOp::create(builder, init.getLoc(), group.vector, 0.0);
        } else {
          SmallVector<Value> parts;
          for (StringAttr member : column.members) {
            parts.push_back(values.lookup(member));
            if (!parts.back())
              return init.emitOpError() << "does not write '" << member.getValue() << "'";
          }
          vector = nn::PackOp::create(builder, parts.front().getLoc(), group.vector, parts,
                                      group.offsets);
        }
        nn::WriteOp::create(builder, vector.getLoc(), column.symbol, vector);
      }
    DenseSet<StringAttr> counters;
    for (const Group &group : groups) {
      if (!group.counter || !counters.insert(group.counter).second)
        continue;
      auto type = RankedTensorType::get({}, group.vector.getElementType());
      Value zero = nn::ConstantOp::create(builder, init.getLoc(), type, 0.0);
      nn::WriteOp::create(builder, init.getLoc(), group.counter, zero);
    }
    return success();
  }

  void rewrite(func::FuncOp function) {
    vectors.clear();
    members.clear();
    unsigned optimizer = 0, average = 0;
    for (Operation &op : llvm::make_early_inc_range(function.getBody().front())) {
      ImplicitLocOpBuilder builder(op.getLoc(), &op);
      if (auto read = dyn_cast<nn::ReadOp>(op); read && isMember(read.getStateAttr())) {
        read.replaceAllUsesWith(readMember(builder, read.getStateAttr().getAttr()));
      } else if (auto write = dyn_cast<nn::WriteOp>(op); write && isMember(write.getStateAttr())) {
        Place place = places.lookup(write.getStateAttr().getAttr());
        const Group &group = groups[place.group];
        Value vector =
            nn::PackOp::create(builder, group.vector, ValueRange{write.getValue()}, group.offsets);
        writeVector(builder, place.group, place.column, vector);
      } else if (auto update = dyn_cast<nn::UpdateParametersOp>(op)) {
        stepParameters(builder, update, optimizer++);
      } else if (auto ema = dyn_cast<nn::EmaUpdateOp>(op)) {
        moveAverages(builder, ema.getMomentum(), average++);
      } else {
        continue;
      }
      op.erase();
    }
  }

private:
  bool isMember(FlatSymbolRefAttr symbol) const { return places.contains(symbol.getAttr()); }

  Expr readVector(ImplicitLocOpBuilder &builder, unsigned group, unsigned column) {
    Value &vector = vectors[{group, column}];
    if (!vector)
      vector =
          nn::ReadOp::create(builder, groups[group].vector, groups[group].columns[column].symbol);
    return {builder, vector};
  }

  void writeVector(ImplicitLocOpBuilder &builder, unsigned group, unsigned column, Value vector) {
    vectors[{group, column}] = vector;
    for (StringAttr member : groups[group].columns[column].members)
      members.erase(member);
    nn::WriteOp::create(builder, groups[group].columns[column].symbol, vector);
  }

  Value readMember(ImplicitLocOpBuilder &builder, StringAttr member) {
    Value &value = members[member];
    if (value)
      return value;
    Place place = places.lookup(member);
    const Group &group = groups[place.group];
    value = readVector(builder, place.group, place.column)
                .slice({group.sizes[place.member]}, {group.offsets[place.member]}, {1})
                .reshape(group.types[place.member].getShape());
    return value;
  }

  void stepParameters(ImplicitLocOpBuilder &builder, nn::UpdateParametersOp op,
                      unsigned optimizer) {
    SmallVector<unsigned> stepped;
    SmallVector<Expr> gradients;
    StringAttr counter;
    for (auto [g, group] : llvm::enumerate(groups)) {
      if (group.optimizer != int(optimizer))
        continue;
      stepped.push_back(g);
      gradients.push_back(packGradients(builder, op, group));
      counter = group.counter;
    }
    Expr factor;
    if (clipsGlobally(op.getOptions()))
      factor = globalClipFactor(gradients, op.getOptions());
    Expr rate(builder, op.getLearningRate());
    checkScalar(op.getLearningRate(), "learning rate");
    checkScalar(op.getWeightDecay(), "weight decay");
    Expr step(builder, counter ? nn::ReadOp::create(builder, rate.type(), counter).getResult()
                               : nn::RunScalarOp::create(builder, rate.type(), nn::RunValue::Step));
    for (auto [g, gradient] : llvm::zip_equal(stepped, gradients))
      stepGroup(builder, op, g, factor ? gradient * factor.splat(gradient.shape()) : gradient,
                step);
    if (counter)
      nn::WriteOp::create(builder, counter, choose(op, step + 1, step));
  }

  /// A rate that is computed in the run could spoil all parameters at once.
  void checkScalar(Value rate, StringRef what) {
    if (matchPattern(rate, m_Constant()) || !checked.insert(rate).second)
      return;
    OpBuilder after(rate.getContext());
    after.setInsertionPointAfterValue(rate);
    nn::CheckFiniteOp::create(after, rate.getLoc(), rate, what);
  }

  void stepGroup(ImplicitLocOpBuilder &builder, nn::UpdateParametersOp op, unsigned number,
                 Expr gradients, Expr step) {
    const Group &group = groups[number];
    PackedUpdate update{readVector(builder, number, 0),
                        gradients,
                        {builder, op.getLearningRate()},
                        {builder, op.getWeightDecay()},
                        step,
                        group.decay,
                        group.adapt,
                        group.offsets,
                        group.sizes,
                        op.getOptions()};
    if (op.getOptions().contains("clip") && !clipsGlobally(op.getOptions()))
      update.gradients = clipByTensor(update);
    SmallVector<Expr> old{update.parameters}, fresh;
    for (unsigned column = group.firstMoment; column < group.columns.size(); ++column)
      old.push_back(readVector(builder, number, column));
    fresh = old;
    fresh[0] = applyOptimizer(op.getRule(), update, MutableArrayRef(fresh).drop_front());
    for (auto [index, vector] : llvm::enumerate(fresh))
      writeVector(builder, number, index ? group.firstMoment + index - 1 : 0,
                  choose(op, vector, old[index]));
  }

  /// The new value where the optimizer's condition holds, the old one where not.
  static Expr choose(nn::UpdateParametersOp op, Expr fresh, Expr old) {
    if (!op.getCondition())
      return fresh;
    return Expr(fresh.b(), op.getCondition()).splat(fresh.shape()).select(fresh, old);
  }

  /// The group's gradients in one vector, their mean over ranks, checked.
  Expr packGradients(ImplicitLocOpBuilder &builder, nn::UpdateParametersOp op, const Group &group) {
    SmallVector<Value> parts = llvm::map_to_vector(
        group.gradients, [&](unsigned place) -> Value { return op.getGradients()[place]; });
    std::string what = "gradient of " + group.root;
    Location outer = builder.getLoc();
    builder.setLoc(NameLoc::get(builder.getStringAttr(what), outer));
    Expr vector(builder, nn::PackOp::create(builder, group.vector, parts, group.offsets));
    if (world > 1) {
      Expr sum(builder, nn::AllReduceOp::create(builder, group.vector, vector));
      vector = sum * (1.0 / double(world));
    }
    nn::CheckFiniteOp::create(builder, vector, what);
    builder.setLoc(outer);
    return vector;
  }

  void moveAverages(ImplicitLocOpBuilder &builder, Value momentum, unsigned update) {
    checkScalar(momentum, "momentum");
    for (auto [g, group] : llvm::enumerate(groups))
      for (const Average &average : group.averages) {
        if (average.update != update)
          continue;
        Expr target = readVector(builder, g, average.target);
        Expr source = readVector(builder, g, average.source);
        Expr m(builder, momentum);
        Expr next = target * m.splat(target.shape()) + source * (1 - m).splat(target.shape());
        writeVector(builder, g, average.target, next);
      }
  }

  ArrayRef<Group> groups;
  int64_t world;
  DenseMap<StringAttr, Place> places;
  DenseMap<std::pair<unsigned, unsigned>, Value> vectors; ///< value of each column at this point
  DenseMap<StringAttr, Value> members;                    ///< value of each member at this point
  DenseSet<Value> checked;
};

//===-- What a step gives back ----------------------------------------------------------------===//

/// With several ranks, every scalar that the step returns becomes its mean over them, by one
/// collective.
void averageOutputs(func::FuncOp step, int64_t world) {
  Operation *end = step.getBody().front().getTerminator();
  SmallVector<OpOperand *> scalars;
  for (OpOperand &operand : end->getOpOperands())
    if (auto type = cast<RankedTensorType>(operand.get().getType());
        type.getRank() == 0 && type.getElementType().isF32())
      scalars.push_back(&operand);
  if (world <= 1 || scalars.empty())
    return;
  ImplicitLocOpBuilder builder(step.getLoc(), end);
  SmallVector<Value> parts;
  for (OpOperand *operand : scalars)
    parts.push_back(Expr(builder, operand->get()).reshape({1}));
  auto type = RankedTensorType::get({int64_t(parts.size())}, builder.getF32Type());
  Value all = nn::ConcatOp::create(builder, type, parts, 0);
  Expr mean = Expr(builder, nn::AllReduceOp::create(builder, type, all)) * (1.0 / double(world));
  for (auto [index, operand] : llvm::enumerate(scalars))
    operand->set(mean.slice({1}, {int64_t(index)}, {1}).reshape({}));
}

void checkLoss(func::FuncOp step) {
  Operation *end = step.getBody().front().getTerminator();
  for (auto [index, value] : llvm::enumerate(end->getOperands()))
    if (auto name = step.getResultAttrOfType<StringAttr>(index, "nn.name");
        name && name.getValue() == "loss") {
      OpBuilder builder(end);
      nn::CheckFiniteOp::create(builder, value.getLoc(), value, "loss");
    }
}

struct PackStates : impl::PackStatesBase<PackStates> {
  using PackStatesBase::PackStatesBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto step = module.lookupSymbol<func::FuncOp>("step");
    if (!step)
      return;
    FailureOr<std::vector<Group>> groups = groupStates(module, step);
    if (failed(groups))
      return signalPassFailure();
    if (world > 1)
      module->setAttr("nn.world", Builder(&getContext()).getI64IntegerAttr(world));
    averageOutputs(step, world);
    checkLoss(step);
    Rewriter rewriter(*groups, world);
    for (auto function : module.getOps<func::FuncOp>()) {
      if (function.getSymName() != "init")
        rewriter.rewrite(function);
      else if (failed(rewriter.rewriteInit(function)))
        return signalPassFailure();
    }
  }
};

} // namespace
} // namespace doppel
