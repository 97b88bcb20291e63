// Follows one input of a kernel through the operations of its body: how each value depends on it,
// place by place.
#include "passes/VerifySharing.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace doppel {
namespace {

/// A tensor seen as [outer, reduced, inner].
struct Lines {
  int64_t outer = 1, reduced = 1, inner = 1;
  bool operator==(const Lines &) const = default;
  int64_t elements() const { return outer * reduced * inner; }
};

/// How a value depends on the input.
enum class Reach {
  None,   ///< not at all
  Place,  ///< element p on element p, counted in row-major order
  Line,   ///< element p on the line of p; as many elements as the input
  Folded, ///< one number a line, on that line
  Any,    ///< otherwise
};

struct Dependence {
  Reach reach = Reach::None;
  Lines lines = {}; ///< of Line and Folded
};

/// What decides which nest of loops a value is made by, and how many sweeps come before it.
struct Loops {
  SmallVector<Lines> reductions;                         ///< of all that it is computed from
  SmallVector<std::pair<Attribute, Attribute>> segments; ///< offsets and sizes
  unsigned depth = 0;                                    ///< reductions one after another
  /// Whether one nest makes a value of these loops and `other` of `elements` elements, in a kernel
  /// that has the reductions `all`.
  bool sameNest(const Loops &other, int64_t elements, ArrayRef<Lines> all) const {
    if (segments != other.segments)
      return false;
    if (reductions == other.reductions)
      return true;
    // What reduces nothing goes with the reductions over as many points, if these are of one kind.
    return other.reductions.empty() && llvm::all_of(all, [&](const Lines &each) {
             return each.elements() != elements || llvm::is_contained(reductions, each);
           });
  }
};

int64_t elementsOf(Value value) { return cast<ShapedType>(value.getType()).getNumElements(); }

/// `shape` by whether each dimension is `isReduced`; none if reduced dimensions are no neighbours.
std::optional<Lines> linesOf(ArrayRef<int64_t> shape, llvm::function_ref<bool(int64_t)> isReduced) {
  Lines lines;
  for (auto [d, size] : llvm::enumerate(shape)) {
    if (size == 1)
      continue;
    if (!isReduced(int64_t(d)))
      (lines.reduced == 1 ? lines.outer : lines.inner) *= size;
    else if (lines.inner != 1)
      return std::nullopt;
    else
      lines.reduced *= size;
  }
  return lines;
}

class InputTracer {
public:
  explicit InputTracer(BlockArgument input) : input(input) {}

  Dependence of(Value value) {
    if (value == input)
      return {Reach::Place};
    Operation *op = value.getDefiningOp();
    if (!op)
      return {};
    auto found = known.find(value);
    return found != known.end() ? found->second : known[value] = trace(op);
  }

private:
  Dependence trace(Operation *op) {
    SmallVector<Dependence> operands;
    for (Value operand : op->getOperands())
      operands.push_back(of(operand));
    auto reaches = [](Reach reach) {
      return [reach](const Dependence &each) { return each.reach == reach; };
    };
    if (llvm::all_of(operands, reaches(Reach::None)))
      return {};
    if (llvm::any_of(operands, reaches(Reach::Any)))
      return {Reach::Any};
    if (op->hasTrait<OpTrait::Elementwise>())
      return together(operands);
    return llvm::TypeSwitch<Operation *, Dependence>(op)
        .Case([&](nn::ReshapeOp) { return operands.front(); })
        .Case([&](nn::TransposeOp transpose) {
          return transpose.movesNothing() ? operands.front() : Dependence{Reach::Any};
        })
        .Case([&](nn::BroadcastOp broadcast) { return spread(broadcast, operands.front()); })
        .Case([&](nn::ReduceOp reduce) { return fold(reduce, operands.front()); })
        .Default([](Operation *) { return Dependence{Reach::Any}; });
  }

  /// Of an element-wise operation.
  static Dependence together(ArrayRef<Dependence> operands) {
    Dependence all;
    for (const Dependence &each : operands) {
      if (each.reach == Reach::None)
        continue;
      bool hasLines = each.reach != Reach::Place;
      if (all.reach == Reach::None || (all.reach == Reach::Place && each.reach == Reach::Line))
        all = each;
      else if (hasLines ? each.reach != all.reach || each.lines != all.lines
                        : all.reach == Reach::Folded)
        return {Reach::Any};
    }
    return all;
  }

  /// A broadcast keeps the order of its input's dimensions.
  static Dependence spread(nn::BroadcastOp broadcast, const Dependence &from) {
    if (elementsOf(broadcast.getInput()) == elementsOf(broadcast.getResult()))
      return from;
    auto lines = linesOf(broadcast.getResult().getType().getShape(), [&](int64_t dim) {
      return !llvm::is_contained(broadcast.getDims(), dim);
    });
    if (from.reach != Reach::Folded || !lines || *lines != from.lines)
      return {Reach::Any};
    return {Reach::Line, from.lines};
  }

  static Dependence fold(nn::ReduceOp reduce, const Dependence &from) {
    auto lines = linesOf(cast<ShapedType>(reduce.getInput().getType()).getShape(),
                         [&](int64_t dim) { return llvm::is_contained(reduce.getDims(), dim); });
    if (lines && lines->reduced == 1)
      return from;
    if (!lines || from.reach == Reach::Folded ||
        (from.reach == Reach::Line && from.lines != *lines))
      return {Reach::Any};
    return {Reach::Folded, *lines};
  }

  BlockArgument input;
  DenseMap<Value, Dependence> known;
};

Loops loopsOf(Value value) {
  Loops loops;
  llvm::SetVector<Operation *> cone;
  if (Operation *op = value.getDefiningOp())
    cone.insert(op);
  for (size_t i = 0; i < cone.size(); ++i)
    for (Value operand : cone[i]->getOperands())
      if (Operation *op = operand.getDefiningOp())
        cone.insert(op);
  // In the order of the block each operation comes behind what it is computed from.
  DenseMap<Operation *, unsigned> depths;
  if (Operation *end = value.getDefiningOp())
    for (Operation &op : *end->getBlock()) {
      if (!cone.contains(&op))
        continue;
      unsigned depth = 0;
      for (Value operand : op.getOperands())
        depth = std::max(depth, depths.lookup(operand.getDefiningOp()));
      if (auto reduce = dyn_cast<nn::ReduceOp>(op)) {
        ++depth;
        auto lines =
            linesOf(cast<ShapedType>(reduce.getInput().getType()).getShape(),
                    [&](int64_t dim) { return llvm::is_contained(reduce.getDims(), dim); });
        if (Lines each = lines.value_or(Lines{}); !llvm::is_contained(loops.reductions, each))
          loops.reductions.push_back(each);
      }
      if (auto segments = dyn_cast<nn::SegmentBroadcastOp>(op)) {
        std::pair<Attribute, Attribute> each = {segments.getOffsetsAttr(), segments.getSizesAttr()};
        if (!llvm::is_contained(loops.segments, each))
          loops.segments.push_back(each);
      }
      depths[&op] = depth;
      loops.depth = std::max(loops.depth, depth);
    }
  return loops;
}

/// Whether `made` is the ring or table `input` with some rows replaced, and the only reader of it.
bool replacesRows(Value made, BlockArgument input) {
  Operation *op = made.getDefiningOp();
  return isa_and_nonnull<nn::EnqueueOp, nn::ScatterRowsOp>(op) && op->getOperand(0) == input &&
         input.hasOneUse() && made.hasOneUse();
}

} // namespace

bool mayOverwrite(plan::KernelOp kernel, unsigned input, unsigned output) {
  Block &body = kernel.getBody().front();
  if (input >= body.getNumArguments())
    return false; // the run's scalars
  BlockArgument from = body.getArgument(input);
  OperandRange outputs = body.getTerminator()->getOperands();
  Value to = outputs[output];
  if (!isa<RankedTensorType>(from.getType()) || elementsOf(from) != elementsOf(to) ||
      plan::bytesOf(from.getType()) != plan::bytesOf(to.getType()))
    return false;
  if (replacesRows(to, from))
    return true;

  InputTracer tracer(from);
  auto isLocal = [&](Value value) {
    Reach reach = tracer.of(value).reach;
    return reach == Reach::Place || reach == Reach::Line;
  };
  if (!isLocal(to))
    return false;
  SmallVector<Lines> reductions;
  for (Value each : outputs)
    llvm::append_range(reductions, loopsOf(each).reductions);
  Loops loops = loopsOf(to);
  return llvm::all_of(outputs, [&](Value other) {
    Reach reach = tracer.of(other).reach;
    if (reach == Reach::None)
      return true;
    Loops others = loopsOf(other);
    return (isLocal(other) || reach == Reach::Folded) &&
           loops.sameNest(others, elementsOf(other), reductions) && others.depth <= loops.depth;
  });
}

} // namespace doppel
