// Packs parameters into vectors and turns optimizers and averages into arithmetic on them. Parameters that are treated alike (one network, one
// optimizer, under decay or not, followed by the same averages) make a group; its moments and averages are columns: vectors with the same
// offsets. After this pass no operation reads or writes a member by its own name, and no update_parameters or ema_update is left.
#include "passes/Optimizers.h"
#include "passes/Passes.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace doppel {

#define GEN_PASS_DEF_PACKSTATES
#include "passes/Passes.h.inc"

namespace {

constexpr int64_t alignment = 16; // elements: each member begins at 64 bytes

/// One vector of states: the parameters of a group, one of their moments, or one of their averages.
struct Column {
  StringAttr symbol; ///< of the nn.state_group
  nn::StateKind kind;
  SmallVector<StringAttr> members;
};

/// target <- average of source, by the module's n-th ema_update; columns are numbers within the group.
struct Average {
  unsigned update, target, source;
};

struct Group {
  std::string root;       ///< the network's name: "online"
  int optimizer = -1;     ///< which update_parameters steps it, or -1
  bool decay = false, adapt = false;
  SmallVector<Column> columns;   ///< parameters, averages, then moments
  unsigned firstMoment = 0;      ///< column of the first moment
  SmallVector<Average> averages; ///< in the order of the step
  SmallVector<RankedTensorType> types;
  SmallVector<int64_t> offsets, sizes;
  SmallVector<unsigned> gradients; ///< place of each member in its optimizer's list
  RankedTensorType vector;
};

/// A parameter and all that follows it, before grouping.
struct Row {
  SmallVector<StringAttr> states; ///< the parameter, then its averages
  RankedTensorType type;
  int optimizer = -1;
  unsigned gradient = 0;
  bool decay = false, adapt = false;
  int writer = -1; ///< number of the row if the spec writes one of its states by itself
  SmallVector<Average> averages;

  StringRef root() const { return states.front().getValue().split('.').first; }

  /// Rows with equal keys share a group.
  std::string key() const {
    std::string text;
    llvm::raw_string_ostream out(text);
    out << root() << '|' << optimizer << '|' << decay << adapt << '|' << writer << '|'
        << type.getElementType();
    for (const Average &average : averages)
      out << '|' << average.update << ',' << average.target << ',' << average.source;
    return text;
  }
};

//===-- Grouping -----------------------------------------------------------------------------------------===//

class Grouping {
public:
  Grouping(ModuleOp module, func::FuncOp step) : symbols(module), step(step) {}

  FailureOr<std::vector<Group>> run() {
    if (failed(findRows()))
      return failure();
    llvm::MapVector<StringAttr, Group> groups; // by key
    MLIRContext *context = step.getContext();
    for (Row &row : rows)
      addRow(groups[StringAttr::get(context, row.key())], row);
    std::vector<Group> result;
    for (auto &[key, group] : groups)
      result.push_back(finish(std::move(group)));
    return result;
  }

private:
  LogicalResult findRows() {
    unsigned update = 0;
    int optimizer = 0;
    for (auto op : step.getOps<nn::UpdateParametersOp>()) {
      for (auto [index, parameter] : llvm::enumerate(op.getParameters())) {
        Row &row = rows[rowOf(cast<FlatSymbolRefAttr>(parameter).getAttr())];
        if (row.optimizer >= 0)
          return op.emitOpError() << "'" << row.states.front().getValue()
                                  << "' is stepped by another optimizer already";
        row.optimizer = optimizer;
        row.gradient = index;
        row.decay = op.getDecay()[index];
        row.adapt = op.getAdapt()[index];
      }
      ++optimizer;
    }
    for (auto op : step.getOps<nn::EmaUpdateOp>()) {
      for (auto [target, source] : llvm::zip_equal(op.getTargets(), op.getSources()))
        if (failed(addAverage(op, update, cast<FlatSymbolRefAttr>(target).getAttr(),
                              cast<FlatSymbolRefAttr>(source).getAttr())))
          return failure();
      ++update;
    }
    // A state that the spec writes by itself stays alone, so that the write is one of a whole vector.
    for (auto op : step.getOps<nn::WriteOp>())
      if (auto known = rowIndex.find(op.getStateAttr().getAttr()); known != rowIndex.end())
        rows[known->second].writer = int(known->second);
    return success();
  }

  /// The row that `state` belongs to; a new one if it is in none.
  unsigned rowOf(StringAttr state) {
    auto [entry, isNew] = rowIndex.try_emplace(state, rows.size());
    if (isNew) {
      Row &row = rows.emplace_back();
      row.states.push_back(state);
      row.type = cast<RankedTensorType>(symbols.lookup<nn::StateOp>(state).getType());
    }
    return entry->second;
  }

  LogicalResult addAverage(nn::EmaUpdateOp op, unsigned update, StringAttr target,
                           StringAttr source) {
    unsigned index = rowOf(source);
    auto [entry, isNew] = rowIndex.try_emplace(target, index);
    Row &row = rows[index];
    if (!isNew && entry->second != index)
      return op.emitOpError() << "'" << target.getValue() << "' cannot follow '"
                              << source.getValue() << "': it is tied to '"
                              << rows[entry->second].states.front().getValue() << "'";
    if (isNew)
      row.states.push_back(target);
    auto column = [&](StringAttr state) {
      return unsigned(llvm::find(row.states, state) - row.states.begin());
    };
    row.averages.push_back({update, column(target), column(source)});
    return success();
  }

  void addRow(Group &group, const Row &row) {
    if (group.columns.empty()) {
      group.root = row.root();
      group.optimizer = row.optimizer;
      group.decay = row.decay;
      group.adapt = row.adapt;
      group.averages = row.averages;
      for (StringAttr state : row.states) {
        Column &column = group.columns.emplace_back();
        column.kind = symbols.lookup<nn::StateOp>(state).getKind();
        std::string name = (state.getValue().split('.').first + "/" + className(row)).str();
        column.symbol = uniqueSymbol(name);
      }
    }
    for (auto [column, state] : llvm::zip_equal(group.columns, row.states))
      column.members.push_back(state);
    int64_t end = group.sizes.empty() ? 0 : group.offsets.back() + group.sizes.back();
    group.offsets.push_back(llvm::alignTo(end, alignment));
    group.sizes.push_back(row.type.getNumElements());
    group.types.push_back(row.type);
    group.gradients.push_back(row.gradient);
  }

  static StringRef className(const Row &row) {
    if (row.optimizer < 0)
      return "frozen";
    return row.decay ? "decay" : "no_decay";
  }

  /// Adds the moments' columns and declares all of the group's states.
  Group finish(Group group) {
    int64_t length = llvm::alignTo(group.offsets.back() + group.sizes.back(), alignment);
    group.vector = RankedTensorType::get({length}, group.types.front().getElementType());
    group.firstMoment = group.columns.size();
    if (group.optimizer >= 0) {
      auto updates = step.getOps<nn::UpdateParametersOp>();
      nn::UpdateParametersOp update = *std::next(updates.begin(), group.optimizer);
      for (StringRef suffix : getMomentNames(update.getRule(), update.getOptions()))
        addMoment(group, suffix);
    }
    OpBuilder builder(firstFunction());
    for (const Column &column : group.columns) {
      auto members = llvm::map_to_vector(column.members, [](StringAttr member) -> Attribute {
        return FlatSymbolRefAttr::get(member);
      });
      nn::StateGroupOp::create(builder, symbols.lookup(column.members.front())->getLoc(),
                               column.symbol, column.kind, builder.getArrayAttr(members),
                               group.offsets, group.vector);
    }
    return group;
  }

  void addMoment(Group &group, StringRef suffix) {
    Column moment{uniqueSymbol(group.columns.front().symbol.getValue() + "/" + suffix),
                  nn::StateKind::Moment,
                  {}};
    for (auto [parameter, type] : llvm::zip_equal(group.columns.front().members, group.types)) {
      auto state = symbols.lookup<nn::StateOp>(parameter);
      OpBuilder builder(step->getContext());
      auto declared = nn::StateOp::create(builder, state.getLoc(),
                                          (parameter.getValue() + "." + suffix).str(),
                                          nn::StateKind::Moment, type);
      // Behind the last state or group: states keep the order in which they were declared.
      moment.members.push_back(symbols.insert(declared, firstFunction()->getIterator()));
    }
    group.columns.push_back(moment);
  }

  Operation *firstFunction() {
    return *step->getParentOfType<ModuleOp>().getOps<func::FuncOp>().begin();
  }

  StringAttr uniqueSymbol(const Twine &wanted) {
    std::string base = wanted.str(), name = base;
    for (unsigned i = 2; symbols.lookup(name) || !groupNames.insert(name).second; ++i)
      name = base + "/" + std::to_string(i);
    return StringAttr::get(step->getContext(), name);
  }

  SymbolTable symbols;
  func::FuncOp step;
  std::vector<Row> rows;
  DenseMap<StringAttr, unsigned> rowIndex;
  llvm::StringSet<> groupNames;
};

//===-- Rewriting ----------------------------------------------------------------------------------------===//

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
      } else if (auto write = dyn_cast<nn::WriteOp>(op);
                 write && isMember(write.getStateAttr())) {
        Place place = places.lookup(write.getStateAttr().getAttr());
        const Group &group = groups[place.group];
        Value vector = nn::PackOp::create(builder, group.vector, ValueRange{write.getValue()},
                                          group.offsets);
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
      vector = nn::ReadOp::create(builder, groups[group].vector,
                                  groups[group].columns[column].symbol);
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
    for (auto [g, group] : llvm::enumerate(groups)) {
      if (group.optimizer != int(optimizer))
        continue;
      Expr gradients = packGradients(builder, op, group);
      PackedUpdate update{readVector(builder, g, 0),
                          gradients,
                          {builder, op.getLearningRate()},
                          {builder, op.getWeightDecay()},
                          group.decay,
                          group.adapt,
                          group.offsets,
                          group.sizes,
                          op.getOptions()};
      SmallVector<Expr> moments;
      for (unsigned column = group.firstMoment; column < group.columns.size(); ++column)
        moments.push_back(readVector(builder, g, column));
      Expr parameters = applyOptimizer(op.getRule(), update, moments);
      writeVector(builder, g, 0, parameters);
      for (auto [index, moment] : llvm::enumerate(moments))
        writeVector(builder, g, group.firstMoment + index, moment);
    }
  }

  /// The group's gradients in one vector, their mean over ranks, checked.
  Expr packGradients(ImplicitLocOpBuilder &builder, nn::UpdateParametersOp op,
                     const Group &group) {
    SmallVector<Value> parts = llvm::map_to_vector(
        group.gradients, [&](unsigned place) -> Value { return op.getGradients()[place]; });
    std::string what = "gradient of " + group.root;
    Location outer = builder.getLoc();
    builder.setLoc(NameLoc::get(builder.getStringAttr(what), outer));
    Expr vector(builder, nn::PackOp::create(builder, group.vector, parts, group.offsets));
    if (world > 1) {
      Expr sum(builder, nn::AllReduceOp::create(builder, group.vector, vector, /*order=*/0));
      vector = sum * (1.0 / double(world));
    }
    nn::CheckFiniteOp::create(builder, vector, what);
    builder.setLoc(outer);
    return vector;
  }

  void moveAverages(ImplicitLocOpBuilder &builder, Value momentum, unsigned update) {
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
};

//===-- What a step gives back ---------------------------------------------------------------------------===//

/// With several ranks, every scalar that the step returns becomes its mean over them, by one collective.
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
  Expr mean = Expr(builder, nn::AllReduceOp::create(builder, type, all, /*order=*/0)) *
              (1.0 / double(world));
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

/// Every rank runs the collectives of a function in the order of its text.
void numberCollectives(func::FuncOp function) {
  int64_t order = 0;
  Builder builder(function.getContext());
  function.walk([&](Operation *op) {
    if (isa<nn::AllReduceOp, nn::AllGatherOp, nn::ReduceScatterOp>(op))
      op->setAttr("order", builder.getI64IntegerAttr(order++));
  });
}

struct PackStates : impl::PackStatesBase<PackStates> {
  using PackStatesBase::PackStatesBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto step = module.lookupSymbol<func::FuncOp>("step");
    if (!step)
      return;
    FailureOr<std::vector<Group>> groups = Grouping(module, step).run();
    if (failed(groups))
      return signalPassFailure();
    averageOutputs(step, world);
    checkLoss(step);
    Rewriter rewriter(*groups, world);
    for (auto function : module.getOps<func::FuncOp>()) {
      if (function.getSymName() != "init")
        rewriter.rewrite(function);
      else if (failed(rewriter.rewriteInit(function)))
        return signalPassFailure();
      numberCollectives(function);
    }
  }
};

} // namespace
} // namespace doppel
