// Follows each value of a nest back to the block arguments while index arithmetic stays affine,
// splits a loop where a reshape asks for it, and at last joins neighbouring loops again.
#include "dialects/plan/NestBuilder.h"

#include "mlir/IR/Matchers.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace doppel::plan {

int64_t product(ArrayRef<int64_t> sizes) {
  int64_t result = 1;
  for (int64_t size : sizes)
    result *= size;
  return result;
}

static SmallVector<int64_t> rowMajorStrides(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (int d = int(shape.size()) - 2; d >= 0; --d)
    strides[d] = strides[d + 1] * shape[d + 1];
  return strides;
}

std::optional<Signature> signatureOf(nn::ReduceOp reduce) {
  ArrayRef<int64_t> shape = shapeOf(reduce.getInput());
  Signature signature{1, 1, 1};
  for (auto [d, size] : llvm::enumerate(shape)) {
    if (size == 1)
      continue;
    if (llvm::is_contained(reduce.getDims(), int64_t(d))) {
      if (signature.inner != 1)
        return std::nullopt;
      signature.reduced *= size;
    } else {
      (signature.reduced == 1 ? signature.outer : signature.inner) *= size;
    }
  }
  return signature;
}

static std::string keyOf(const Affine &affine) {
  std::string key = std::to_string(affine.offset);
  for (int64_t stride : affine.strides)
    key += "," + std::to_string(stride);
  return key;
}

static std::string keyOf(const Coordinates &at) {
  std::string key;
  for (const Coordinate &coordinate : at)
    key += keyOf(coordinate.affine) + "+" + std::to_string(coordinate.node) + ";";
  return key;
}

unsigned NestBuilder::node(Node added) {
  std::string key = std::to_string(int(added.kind)) + "/" + std::to_string(intptr_t(added.op)) +
                    "/" + std::to_string(added.number) + "/" + std::to_string(added.limit) + "/" +
                    std::to_string(added.guard) + "/" +
                    std::to_string(intptr_t(added.type.getAsOpaquePointer())) + "/" +
                    keyOf(added.access);
  for (unsigned operand : added.operands)
    key += ":" + std::to_string(operand);
  auto [entry, isNew] = known.try_emplace(key, nest.nodes.size());
  if (!isNew)
    return entry->second;
  if (added.access.strides.empty())
    added.access = affine(added.access.offset);
  nest.nodes.push_back(std::move(added));
  return nest.nodes.size() - 1;
}

unsigned NestBuilder::index(const Coordinate &coordinate) {
  Type i64 = IntegerType::get(nest.location.getContext(), 64);
  bool isZero = coordinate.affine.offset == 0 &&
                llvm::all_of(coordinate.affine.strides, [](int64_t s) { return s == 0; });
  if (coordinate.node >= 0 && isZero)
    return coordinate.node;
  Node plain{NodeKind::Index, i64};
  plain.access = coordinate.affine;
  unsigned result = node(plain);
  if (coordinate.node < 0)
    return result;
  Node sum{NodeKind::IndexAdd, i64};
  sum.operands = {result, unsigned(coordinate.node)};
  return node(sum);
}

unsigned NestBuilder::indexOp(NodeKind kind, unsigned operand, int64_t number) {
  if (number == 1 && kind != NodeKind::IndexMod)
    return operand;
  Node result{kind, IntegerType::get(nest.location.getContext(), 64)};
  result.operands = {operand};
  result.number = number;
  return node(result);
}

unsigned NestBuilder::inRange(const Coordinate &coordinate, int64_t limit) {
  Node result{NodeKind::InRange, IntegerType::get(nest.location.getContext(), 1)};
  result.operands = {index(coordinate)};
  result.number = limit;
  return node(result);
}

int NestBuilder::guarded(int guard, unsigned condition) {
  if (guard < 0)
    return condition;
  Node both{NodeKind::And, IntegerType::get(nest.location.getContext(), 1)};
  both.operands = {unsigned(guard), condition};
  return node(both);
}

/// The number of the point among all points of the loops (or of those that are not reduced), in
/// row-major order.
Affine NestBuilder::linearLoops(bool withReduced) const {
  Affine result = affine();
  int64_t stride = 1;
  for (int d = int(nest.loops.size()) - 1; d >= 0; --d) {
    if (nest.loops[d].role == LoopRole::Reduced && !withReduced)
      continue;
    result.strides[d] = stride;
    stride *= nest.loops[d].size;
  }
  return result;
}

Coordinate NestBuilder::linear(const Coordinates &at, ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides = rowMajorStrides(shape);
  Coordinate result{affine()};
  for (auto [coordinate, stride] : llvm::zip_equal(at, strides)) {
    result.affine.offset += coordinate.affine.offset * stride;
    for (auto [d, factor] : llvm::enumerate(coordinate.affine.strides))
      result.affine.strides[d] += factor * stride;
    if (coordinate.node < 0)
      continue;
    unsigned scaled = indexOp(NodeKind::IndexScale, coordinate.node, stride);
    if (result.node >= 0) {
      Node sum{NodeKind::IndexAdd, nest.nodes[scaled].type};
      sum.operands = {unsigned(result.node), scaled};
      result.node = node(sum);
    } else {
      result.node = scaled;
    }
  }
  return result;
}

/// Writes `linear` as a number whose digits have the sizes `shape`: every loop's contribution must
/// lie within one digit. A loop that crosses into the next digit is asked to be split.
bool NestBuilder::digits(const Affine &linear, ArrayRef<int64_t> shape, Coordinates &result) {
  SmallVector<int64_t> strides = rowMajorStrides(shape);
  result.assign(shape.size(), Coordinate{affine()});
  if (linear.offset < 0)
    return false;
  int64_t rest = linear.offset;
  for (auto [digit, stride] : llvm::zip_equal(result, strides)) {
    digit.affine.offset = rest / stride;
    rest %= stride;
  }
  for (auto [d, step] : llvm::enumerate(linear.strides)) {
    if (step == 0 || nest.loops[d].size == 1)
      continue;
    if (step < 0)
      return false;
    auto place = llvm::find_if(strides, [step = step](int64_t stride) { return stride <= step; });
    if (place == strides.end())
      return false;
    size_t j = place - strides.begin();
    if (step % strides[j] != 0)
      return false;
    // The digit before j that has room: equal strides belong to digits of size one in between.
    if (j > 0 && step * (nest.loops[d].size - 1) >= strides[j - 1]) {
      int64_t inner = strides[j - 1] / step;
      if (strides[j - 1] % step == 0 && inner > 1 && nest.loops[d].size % inner == 0)
        split = {unsigned(d), inner};
      return false;
    }
    result[j].affine.strides[d] += step / strides[j];
  }
  for (size_t j = 1; j < shape.size(); ++j) {
    int64_t greatest = result[j].affine.offset;
    for (auto [d, factor] : llvm::enumerate(result[j].affine.strides))
      greatest += factor * (nest.loops[d].size - 1);
    if (greatest >= shape[j])
      return false;
  }
  return true;
}

Coordinates NestBuilder::delinear(const Coordinate &linear, ArrayRef<int64_t> shape) {
  Coordinates result;
  if (linear.node < 0 && digits(linear.affine, shape, result))
    return result;
  result.assign(shape.size(), Coordinate{affine()});
  // The loops of tables and segments are fixed; there the digits are computed.
  if (nest.kind != NestKind::Map && nest.kind != NestKind::Reduce)
    split.reset();
  if (split)
    return result;
  SmallVector<int64_t> strides = rowMajorStrides(shape);
  unsigned number = index(linear);
  for (size_t j = 0; j < shape.size(); ++j) {
    if (shape[j] == 1)
      continue;
    unsigned digit = indexOp(NodeKind::IndexDiv, number, strides[j]);
    result[j].node = j == 0 ? digit : indexOp(NodeKind::IndexMod, digit, shape[j]);
  }
  return result;
}

unsigned NestBuilder::zero(Type type) {
  Node result{NodeKind::Splat, type};
  return node(result);
}

unsigned NestBuilder::load(Node access, const Coordinate &element, int guard) {
  access.access = element.affine;
  if (element.node >= 0)
    access.operands = {unsigned(element.node)};
  access.guard = guard;
  return node(access);
}

unsigned NestBuilder::evaluate(Value value, const Coordinates &at, int guard) {
  if (split || !problem.empty())
    return 0;
  auto key = std::make_tuple(value.getAsOpaquePointer(), guard, keyOf(at));
  if (auto found = values.find(key); found != values.end())
    return found->second;
  unsigned result = 0;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    Node access{NodeKind::Load, elementOf(value)};
    access.number = argument.getArgNumber();
    result = load(access, linear(at, shapeOf(value)), guard);
  } else {
    result = evaluateOp(value.getDefiningOp(), cast<OpResult>(value), at, guard);
  }
  values[key] = result;
  return result;
}

/// Element `at` of a vector of indices, as i64.
unsigned NestBuilder::indexValue(Value indices, const Coordinate &at, int guard) {
  unsigned value = evaluate(indices, {at}, guard);
  if (elementOf(indices).isInteger(64))
    return value;
  Node convert{NodeKind::Convert, IntegerType::get(nest.location.getContext(), 64)};
  convert.operands = {value};
  return node(convert);
}

unsigned NestBuilder::evaluateReshape(nn::ReshapeOp op, const Coordinates &at, int guard) {
  // Equal dimensions at both ends keep their coordinates, so that one that is no affine function
  // does not spoil the others.
  ArrayRef<int64_t> from = shapeOf(op.getInput()), to = shapeOf(op.getResult());
  size_t front = 0, back = 0;
  while (front < std::min(from.size(), to.size()) && from[front] == to[front])
    ++front;
  while (back < std::min(from.size(), to.size()) - front &&
         from[from.size() - 1 - back] == to[to.size() - 1 - back])
    ++back;
  Coordinates middle(at.begin() + front, at.end() - back);
  Coordinates result(at.begin(), at.begin() + front);
  ArrayRef<int64_t> toMiddle = to.slice(front, to.size() - front - back);
  ArrayRef<int64_t> fromMiddle = from.slice(front, from.size() - front - back);
  llvm::append_range(result, delinear(linear(middle, toMiddle), fromMiddle));
  result.append(at.end() - back, at.end());
  if (split)
    return 0;
  return evaluate(op.getInput(), result, guard);
}

unsigned NestBuilder::evaluatePad(nn::PadOp op, const Coordinates &at, int guard) {
  ArrayRef<int64_t> shape = shapeOf(op.getInput()), whole = shapeOf(op.getResult());
  Coordinates inside = at;
  int condition = -1;
  for (auto [d, size] : llvm::enumerate(shape)) {
    int64_t offset = op.getOffsets()[d], stride = op.getStrides()[d];
    inside[d].affine.offset -= offset;
    if (stride != 1) {
      unsigned number = index(inside[d]);
      unsigned place = indexOp(NodeKind::IndexDiv, number, stride);
      Coordinate phase{affine(), int(indexOp(NodeKind::IndexMod, number, stride))};
      condition = guarded(condition, inRange(phase, 1));
      inside[d] = {affine(), int(place)};
    }
    if (size != whole[d])
      condition = guarded(condition, inRange(inside[d], size));
  }
  if (condition < 0)
    return evaluate(op.getInput(), inside, guard);
  unsigned value = evaluate(op.getInput(), inside, guarded(guard, condition));
  Node choose{NodeKind::Choose, elementOf(op.getResult())};
  choose.operands = {unsigned(condition), value, zero(choose.type)};
  return node(choose);
}

unsigned NestBuilder::evaluateConcat(nn::ConcatOp op, const Coordinates &at, int guard) {
  int64_t start = shapeOf(op.getResult())[op.getAxis()];
  int result = -1;
  for (Value input : llvm::reverse(op.getInputs())) {
    int64_t size = shapeOf(input)[op.getAxis()];
    start -= size;
    Coordinates inside = at;
    inside[op.getAxis()].affine.offset -= start;
    if (op.getInputs().size() == 1)
      return evaluate(input, inside, guard);
    unsigned condition = inRange(inside[op.getAxis()], size);
    unsigned value = evaluate(input, inside, guarded(guard, condition));
    Node choose{NodeKind::Choose, elementOf(op.getResult())};
    choose.operands = {condition, value, result < 0 ? zero(choose.type) : unsigned(result)};
    result = node(choose);
  }
  return result;
}

unsigned NestBuilder::evaluateReduce(nn::ReduceOp reduce, const Coordinates &at) {
  auto fail = [&](const char *why) {
    problem = why;
    return 0u;
  };
  Coordinate place = linear(at, shapeOf(reduce.getResult()));
  Affine own = linearLoops(false);
  if (nest.kind != NestKind::Reduce || place.node >= 0 || place.affine.offset != 0)
    return fail("a reduction is read at another place than its own loops");
  for (auto [d, loop] : llvm::enumerate(nest.loops))
    if (loop.size != 1 && place.affine.strides[d] != own.strides[d])
      return fail("a reduction is read at another place than its own loops");
  std::optional<Signature> signature = signatureOf(reduce);
  Signature loops{nest.extent(LoopRole::Outer), nest.extent(LoopRole::Reduced),
                  nest.extent(LoopRole::Inner)};
  if (!signature || *signature != loops)
    return fail("a reduction runs over other loops than the others of its kernel");
  Coordinates element = delinear({linearLoops(true)}, shapeOf(reduce.getInput()));
  Node result{NodeKind::Reduction, elementOf(reduce.getResult()), reduce};
  if (split)
    return 0;
  result.operands = {evaluate(reduce.getInput(), element, -1)};
  return node(result);
}

unsigned NestBuilder::evaluateOp(Operation *op, OpResult result, const Coordinates &at, int guard) {
  Type type = elementOf(result);
  if (op->hasTrait<OpTrait::Elementwise>()) {
    Node compute{NodeKind::Compute, type, op};
    for (Value operand : op->getOperands())
      compute.operands.push_back(evaluate(operand, at, guard));
    return node(compute);
  }
  return llvm::TypeSwitch<Operation *, unsigned>(op)
      .Case([&](nn::ConstantOp constant) {
        if (constant.getValue().isSplat()) {
          Node splat{NodeKind::Splat, type, op};
          return node(splat);
        }
        return load(Node{NodeKind::Table, type, op}, linear(at, shapeOf(result)), guard);
      })
      .Case([&](nn::IotaOp iota) {
        Node convert{NodeKind::Convert, type};
        convert.operands = {index(at[iota.getDim()])};
        return node(convert);
      })
      .Case([&](nn::RunScalarOp) {
        return node(Node{NodeKind::RunScalar, type, op});
      })
      .Case([&](nn::RandomOp random) {
        Coordinates element = at;
        if (random.getBy())
          element[0] = {affine(), int(indexValue(random.getBy(), at[0], guard))};
        Node draw{NodeKind::Random, type, op};
        draw.operands = {index(linear(element, shapeOf(result)))};
        return node(draw);
      })
      .Case([&](nn::SampleIndexOp sample) {
        Node access{NodeKind::SampleIndex, type, op};
        access.number = cast<BlockArgument>(sample.getImages()).getArgNumber();
        access.operands = {index(at[0])};
        return node(access);
      })
      .Case([&](nn::BroadcastOp broadcast) {
        Coordinates inside;
        for (auto [d, dim] : llvm::enumerate(broadcast.getDims()))
          inside.push_back(shapeOf(broadcast.getInput())[d] == 1 ? Coordinate{affine()} : at[dim]);
        return evaluate(broadcast.getInput(), inside, guard);
      })
      .Case([&](nn::TransposeOp transpose) {
        Coordinates inside(at.size());
        for (auto [d, dim] : llvm::enumerate(transpose.getPermutation()))
          inside[dim] = at[d];
        return evaluate(transpose.getInput(), inside, guard);
      })
      .Case([&](nn::SliceOp slice) {
        Coordinates inside = at;
        for (auto [d, coordinate] : llvm::enumerate(inside)) {
          int64_t stride = slice.getStrides()[d];
          for (int64_t &factor : coordinate.affine.strides)
            factor *= stride;
          coordinate.affine.offset = coordinate.affine.offset * stride + slice.getOffsets()[d];
          if (coordinate.node >= 0)
            coordinate.node = indexOp(NodeKind::IndexScale, coordinate.node, stride);
        }
        return evaluate(slice.getInput(), inside, guard);
      })
      .Case([&](nn::ReshapeOp reshape) { return evaluateReshape(reshape, at, guard); })
      .Case([&](nn::PadOp pad) { return evaluatePad(pad, at, guard); })
      .Case([&](nn::ConcatOp concat) { return evaluateConcat(concat, at, guard); })
      .Case([&](nn::PackOp pack) {
        int last = zero(type);
        for (auto [input, offset] : llvm::zip_equal(pack.getInputs(), pack.getOffsets())) {
          Coordinate inside = at[0];
          inside.affine.offset -= offset;
          unsigned condition = inRange(inside, product(shapeOf(input)));
          unsigned number = index(inside);
          Coordinates place = delinear({affine(), int(number)}, shapeOf(input));
          Node choose{NodeKind::Choose, type};
          choose.operands = {condition, evaluate(input, place, guarded(guard, condition)),
                             unsigned(last)};
          last = node(choose);
        }
        return unsigned(last);
      })
      .Case([&](nn::GatherRowsOp gather) {
        // Row 0 is read, and not used, where the index is outside of the table: loads stay without
        // a mask.
        Coordinate row{affine(), int(indexValue(gather.getIndices(), at[0], guard))};
        unsigned condition = inRange(row, shapeOf(gather.getTable())[0]);
        Type i64 = IntegerType::get(op->getContext(), 64);
        Node place{NodeKind::Choose, i64};
        place.operands = {condition, unsigned(row.node), zero(i64)};
        Coordinates inside = at;
        inside[0] = {affine(), int(node(place))};
        Node choose{NodeKind::Choose, type};
        choose.operands = {condition, evaluate(gather.getTable(), inside, guard), zero(type)};
        return node(choose);
      })
      .Case([&](nn::SegmentBroadcastOp broadcast) {
        Type i64 = IntegerType::get(op->getContext(), 64);
        if (nest.kind != NestKind::Segment || at[0].node >= 0 || at[0].affine.offset != 0 ||
            at[0].affine.strides[0] != 1) {
          problem = "segments are read at another place than their own loops";
          return 0u;
        }
        Coordinate number{affine(), int(node(Node{NodeKind::SegmentNumber, i64}))};
        unsigned condition = inRange(number, broadcast.getOffsets().size());
        Node choose{NodeKind::Choose, type};
        choose.operands = {condition,
                           evaluate(broadcast.getInput(), {number}, guarded(guard, condition)),
                           zero(type)};
        return node(choose);
      })
      .Case([&](nn::ReduceOp reduce) { return evaluateReduce(reduce, at); })
      .Case([&](nn::SegmentSumOp sum) {
        if (nest.special != sum.getOperation()) {
          problem = "a sum of segments is read inside of its kernel";
          return 0u;
        }
        Node reduction{NodeKind::Reduction, type, op};
        Coordinate element{affine(), int(node(Node{NodeKind::SegmentStart,
                                                   IntegerType::get(op->getContext(), 64)}))};
        element.affine.strides.back() = 1;
        reduction.operands = {evaluate(sum.getInput(), {element}, -1)};
        return node(reduction);
      })
      .Default([&](Operation *) {
        problem = ("no kernel can hold '" + op->getName().getStringRef() + "' here").str();
        return 0u;
      });
}

void NestBuilder::buildOnce(ArrayRef<unsigned> outputs) {
  nest.nodes.clear();
  nest.stores.clear();
  known.clear();
  values.clear();
  auto yield = cast<nn::YieldOp>(body.getTerminator());
  if (auto scatter = dyn_cast_or_null<nn::ScatterRowsOp>(nest.special)) {
    // Loops: table row k, index i, element j of a row.
    Affine row = affine(), number = affine();
    row.strides[0] = number.strides[1] = 1;
    auto place = [&](const Affine &first, ArrayRef<int64_t> shape) {
      Affine elements = affine();
      elements.strides[2] = 1;
      Coordinates at = delinear({elements}, shape.drop_front());
      at.insert(at.begin(), Coordinate{first});
      return at;
    };
    unsigned kept = evaluate(scatter.getTable(), place(row, shapeOf(scatter.getTable())), -1);
    unsigned added = evaluate(scatter.getRows(), place(number, shapeOf(scatter.getRows())), -1);
    nest.scatterIndex = evaluate(scatter.getIndices(), {Coordinate{number}}, -1);
    Affine target = affine();
    target.strides[0] = nest.loops[2].size;
    target.strides[2] = 1;
    nest.stores = {{kept, outputs[0], target}, {added, outputs[0], target}};
    return;
  }
  for (unsigned output : outputs) {
    Value value = yield.getValues()[output];
    ArrayRef<int64_t> shape = shapeOf(value);
    Store store{0, output, {}};
    if (auto ring = value.getDefiningOp<nn::EnqueueOp>()) {
      ArrayRef<int64_t> rows = shapeOf(ring.getRows());
      store.access = linearLoops(nest.kind != NestKind::Reduce ||
                                 product(rows) == nest.extent(LoopRole::Outer) *
                                                      nest.extent(LoopRole::Reduced) *
                                                      nest.extent(LoopRole::Inner));
      store.node = evaluate(ring.getRows(), delinear({store.access}, rows), -1);
      Node start{NodeKind::RingStart, IntegerType::get(ring.getContext(), 64)};
      start.number = shape[0] / rows[0];
      start.limit = rows[0];
      store.dynamic = indexOp(NodeKind::IndexScale, node(start), product(rows.drop_front()));
      nest.stores.push_back(store);
      continue;
    }
    bool everyPoint =
        nest.kind == NestKind::Map || nest.kind == NestKind::Segment ||
        (nest.kind == NestKind::Reduce && product(shape) == nest.extent(LoopRole::Outer) *
                                                                nest.extent(LoopRole::Reduced) *
                                                                nest.extent(LoopRole::Inner));
    store.access = linearLoops(everyPoint);
    Coordinates at = delinear({store.access}, shape);
    if (!split)
      store.node = evaluate(value, at, -1);
    nest.stores.push_back(store);
  }
}

/// Joins neighbouring loops of a role where all addresses step through both as through one, and
/// drops loops of size one.
void NestBuilder::join() {
  auto forEachAffine = [&](auto &&visit) {
    for (Node &node : nest.nodes)
      visit(node.access);
    for (Store &store : nest.stores)
      visit(store.access);
  };
  auto drop = [&](size_t d) {
    forEachAffine([&](Affine &access) { access.strides.erase(access.strides.begin() + d); });
    nest.loops.erase(nest.loops.begin() + d);
  };
  if (nest.kind == NestKind::Scatter || nest.kind == NestKind::Segment ||
      nest.kind == NestKind::SegmentSum)
    return;
  for (int d = int(nest.loops.size()) - 1; d >= 0; --d)
    if (nest.loops[d].size == 1)
      drop(d);
  for (int d = int(nest.loops.size()) - 2; d >= 0; --d) {
    if (nest.loops[d].role != nest.loops[d + 1].role)
      continue;
    bool joins = true;
    forEachAffine([&](Affine &access) {
      joins &= access.strides[d] == access.strides[d + 1] * nest.loops[d + 1].size;
    });
    if (!joins)
      continue;
    nest.loops[d + 1].size *= nest.loops[d].size;
    drop(d);
  }
}

/// Tells for each node which loops it varies with and how many sweeps come before it.
void NestBuilder::sweep() {
  uint32_t reduced = 0;
  for (auto [d, loop] : llvm::enumerate(nest.loops))
    if (loop.role == LoopRole::Reduced)
      reduced |= 1u << d;
  for (auto [number, node] : llvm::enumerate(nest.nodes)) {
    for (auto [d, stride] : llvm::enumerate(node.access.strides))
      if (stride != 0)
        node.loops |= 1u << d;
    auto inherit = [&](unsigned operand) {
      node.loops |= nest.nodes[operand].loops;
      node.level = std::max(node.level, nest.nodes[operand].level);
    };
    for (unsigned operand : node.operands)
      inherit(operand);
    if (node.guard >= 0)
      inherit(node.guard);
    if (node.kind == NodeKind::SegmentNumber || node.kind == NodeKind::SegmentStart)
      node.loops |= Node::afterReduction;
    if (node.kind != NodeKind::Reduction)
      continue;
    // Where its input varies with fewer loops than the nest has, the reduction still stands behind
    // its sweep.
    node.loops = (node.loops & ~reduced) | Node::afterReduction;
    nest.reductions.push_back(number);
    nest.sweeps = std::max(nest.sweeps, node.level + 1);
    ++node.level;
  }
}

LogicalResult NestBuilder::build(ArrayRef<unsigned> outputs, std::string &error) {
  for (;;) {
    split.reset();
    buildOnce(outputs);
    if (!split)
      break;
    auto [d, inner] = *split;
    Loop loop = nest.loops[d];
    nest.loops[d].size = loop.size / inner;
    nest.loops.insert(nest.loops.begin() + d + 1, Loop{inner, loop.role});
  }
  if (!problem.empty()) {
    error = problem;
    return failure();
  }
  join();
  sweep();
  return success();
}

} // namespace doppel::plan
