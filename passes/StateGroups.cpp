// Forms the groups of packed states. Parameters that are treated alike (one network, one optimizer,
// under decay or not, followed by the same averages) make a group; its moments and averages are
// columns: vectors with the same offsets, each member at a multiple of 64 bytes.
#include "passes/StateGroups.h"

#include "passes/Optimizers.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace doppel {
namespace {

constexpr int64_t alignment = 16; // elements: each member begins at 64 bytes

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
    // A state that the spec writes by itself stays alone, so that the write is one of a whole
    // vector.
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
      if (update.getCondition() && countsSteps(update.getRule(), update.getOptions()))
        group.counter = counterOf(update);
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
      auto declared =
          nn::StateOp::create(builder, state.getLoc(), (parameter.getValue() + "." + suffix).str(),
                              nn::StateKind::Moment, type);
      // Behind the last state or group: states keep the order in which they were declared.
      moment.members.push_back(symbols.insert(declared, firstFunction()->getIterator()));
    }
    group.columns.push_back(moment);
  }

  /// The state that counts the steps of an optimizer, named by its first parameter.
  StringAttr counterOf(nn::UpdateParametersOp update) {
    auto first = cast<FlatSymbolRefAttr>(update.getParameters()[0]).getValue();
    std::string name = (first + ".steps").str();
    if (!symbols.lookup(name)) {
      OpBuilder builder(firstFunction());
      nn::StateOp::create(builder, update.getLoc(), name, nn::StateKind::Moment,
                          update.getLearningRate().getType());
      symbols.insert(&*std::prev(firstFunction()->getIterator()));
    }
    return StringAttr::get(step->getContext(), name);
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

} // namespace

FailureOr<std::vector<Group>> groupStates(ModuleOp module, func::FuncOp step) {
  return Grouping(module, step).run();
}

} // namespace doppel
