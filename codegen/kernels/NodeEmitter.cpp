// Where each node of a nest is emitted, and what it is.
#include "codegen/kernels/NodeEmitter.h"

#include "codegen/kernels/Draws.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "runtime/schema/Abi.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/Module.h"

using namespace doppel;
using namespace doppel::kernels;
using namespace doppel::plan;
using llvm::ArrayRef;
using llvm::BasicBlock;
using llvm::SmallVector;
using llvm::Type;
using llvm::Value;

Type *NodeEmitter::registerType(mlir::Type type) {
  if (type.isF32())
    return b.getFloatTy();
  if (type.isF64())
    return b.getDoubleTy();
  return b.getIntNTy(type.getIntOrFloatBitWidth());
}

Type *NodeEmitter::memoryType(mlir::Type type) {
  return type.isInteger(1) ? b.getInt8Ty() : registerType(type);
}

void NodeEmitter::loop(Value *low, Value *high, int64_t step, uint32_t loops, Carried &carried,
                       llvm::function_ref<void(Value *, Carried &)> body) {
  llvm::Function *function = b.GetInsertBlock()->getParent();
  BasicBlock *before = b.GetInsertBlock();
  BasicBlock *header = BasicBlock::Create(b.getContext(), "loop", function);
  BasicBlock *inside = BasicBlock::Create(b.getContext(), "body", function);
  BasicBlock *after = BasicBlock::Create(b.getContext(), "after", function);
  scopes.back().anchor = b.CreateBr(header);
  b.SetInsertPoint(header);
  llvm::PHINode *i = b.CreatePHI(b.getInt64Ty(), 2);
  i->addIncoming(low, before);
  SmallVector<llvm::PHINode *> phis;
  for (Value *value : carried) {
    phis.push_back(b.CreatePHI(value->getType(), 2));
    phis.back()->addIncoming(value, before);
  }
  b.CreateCondBr(b.CreateICmpSLT(i, high), inside, after);
  b.SetInsertPoint(inside);
  scopes.push_back({scopes.back().loops | loops});
  Carried values(phis.begin(), phis.end());
  body(i, values);
  scopes.pop_back();
  i->addIncoming(b.CreateAdd(i, constant(step), "", false, true), b.GetInsertBlock());
  for (auto [phi, value] : llvm::zip_equal(phis, values))
    phi->addIncoming(value, b.GetInsertBlock());
  b.CreateBr(header);
  b.SetInsertPoint(after);
  scopes.back().anchor = nullptr;
  carried.assign(phis.begin(), phis.end());
}

Value *NodeEmitter::least(Value *x, Value *y) {
  return b.CreateSelect(b.CreateICmpSLT(x, y), x, y);
}

void NodeEmitter::delinear(Value *linear, ArrayRef<unsigned> loops) {
  for (size_t i = loops.size(); i-- > 0;) {
    Value *size = constant(nest.loops[loops[i]].size);
    index[loops[i]] = i == 0 ? linear : b.CreateURem(linear, size);
    linear = i == 0 ? linear : b.CreateUDiv(linear, size);
  }
}

Value *NodeEmitter::offset(const Affine &access, unsigned instance) {
  Value *sum = nullptr;
  for (auto [d, stride] : llvm::enumerate(access.strides)) {
    if (stride == 0)
      continue;
    Value *position = int(d) == laneDim ? instances[instance].base : index[d];
    Value *term = stride == 1 ? position : b.CreateMul(position, constant(stride), "", false, true);
    sum = sum ? b.CreateAdd(sum, term, "", false, true) : term;
  }
  if (!sum)
    return constant(access.offset);
  return access.offset ? b.CreateAdd(sum, constant(access.offset), "", false, true) : sum;
}

Value *NodeEmitter::eval(unsigned number, unsigned instance) {
  const Node &node = nest.nodes[number];
  unsigned own = inLane(node.loops) ? instance : 0;
  size_t depth = 0;
  while (depth + 1 < scopes.size() && (node.loops & ~scopes[depth].loops))
    ++depth;
  auto key = std::make_pair(number, own);
  if (auto found = scopes[depth].known.find(key); found != scopes[depth].known.end())
    return found->second;
  for (size_t inner = depth + 1; inner < scopes.size(); ++inner) {
    if (!scopes[inner].closed)
      continue;
    depth = inner;
    if (auto found = scopes[depth].known.find(key); found != scopes[depth].known.end())
      return found->second;
  }
  llvm::IRBuilderBase::InsertPointGuard guard(b);
  if (llvm::Instruction *anchor = scopes[depth].anchor)
    b.SetInsertPoint(anchor);
  Value *value = emitNode(node, number, own);
  scopes[depth].known[key] = value;
  return value;
}

Value *NodeEmitter::emitNode(const Node &node, unsigned number, unsigned instance) {
  bool vector = inLane(node.loops) && vectors.width > 1;
  SmallVector<Value *> operands;
  bool lazy = node.kind == NodeKind::Reduction;
  if (!lazy)
    for (unsigned operand : node.operands)
      operands.push_back(eval(operand, instance));
  if (vector && node.kind != NodeKind::Load && node.kind != NodeKind::Table &&
      node.kind != NodeKind::Choose)
    for (Value *&operand : operands)
      operand = widen(operand);
  auto i64 = [&](int64_t value) -> llvm::Constant * {
    Type *type = operands.empty() ? b.getInt64Ty() : operands[0]->getType();
    return llvm::ConstantInt::get(type, value, true);
  };
  switch (node.kind) {
  case NodeKind::Load:
    return emitLoad(node, buffers.inputs[node.number], instance);
  case NodeKind::Table:
    return emitLoad(node, table(node.op), instance);
  case NodeKind::Splat:
    return splatConstant(node);
  case NodeKind::Index: {
    Value *first = offset(node.access, instance);
    int64_t stride = laneDim >= 0 ? node.access.strides[laneDim] : 0;
    if (stride == 0 || vectors.width == 1)
      return first;
    Value *steps = b.CreateMul(laneNumbers(b.getInt64Ty()), widen(constant(stride)));
    return b.CreateAdd(widen(first), steps, "", false, true);
  }
  case NodeKind::IndexAdd:
    return b.CreateAdd(operands[0], operands[1], "", false, true);
  case NodeKind::IndexScale:
    return b.CreateMul(operands[0], i64(node.number), "", false, true);
  case NodeKind::IndexDiv:
  case NodeKind::IndexMod:
    return emitDivision(node, operands[0]);
  case NodeKind::InRange:
    return b.CreateICmpULT(operands[0], i64(node.number));
  case NodeKind::And:
    return b.CreateAnd(operands[0], operands[1]);
  case NodeKind::Choose:
    if (vector && (operands[1]->getType()->isVectorTy() || operands[2]->getType()->isVectorTy() ||
                   operands[0]->getType()->isVectorTy())) {
      operands[1] = widen(operands[1]);
      operands[2] = widen(operands[2]);
    }
    return b.CreateSelect(operands[0], operands[1], operands[2]);
  case NodeKind::Compute:
    return emitCompute(node, operands);
  case NodeKind::Convert:
    return convert(operands[0], nest.nodes[node.operands[0]].type, node.type);
  case NodeKind::Reduction:
    llvm_unreachable("a reduction is known once its sweep is done");
  case NodeKind::RunScalar: {
    auto value = mlir::cast<nn::RunScalarOp>(node.op).getValue();
    return b.CreateSIToFP(runField(unsigned(value), false), registerType(node.type));
  }
  case NodeKind::Random:
    return emitRandom(node, operands[0]);
  case NodeKind::SampleIndex: {
    Value *bytes = b.CreateAdd(b.CreateMul(operands[0], i64(sizeof(abi::ImageRef))),
                               i64(offsetof(abi::ImageRef, index)));
    Value *address = b.CreateGEP(b.getInt8Ty(), buffers.inputs[node.number], bytes);
    if (!vector)
      return b.CreateLoad(b.getInt64Ty(), address);
    return vectors.gather(b, b.getInt64Ty(), buffers.inputs[node.number], address,
                          instances[instance].mask);
  }
  case NodeKind::RingStart: {
    Value *turn =
        b.CreateURem(runField(unsigned(nn::RunValue::Step), false), constant(node.number));
    return b.CreateMul(turn, constant(node.limit));
  }
  case NodeKind::SegmentNumber:
  case NodeKind::SegmentStart: {
    SmallVector<int64_t> values;
    for (const Piece &piece : nest.pieces)
      values.push_back(node.kind == NodeKind::SegmentNumber ? piece.segment : piece.start);
    return b.CreateLoad(b.getInt64Ty(), b.CreateGEP(b.getInt64Ty(), table(values), piece));
  }
  }
  llvm_unreachable("every kind of node is handled");
}

/// The least and the greatest number that a node of indices can have; nothing where the data
/// decide.
std::optional<std::pair<int64_t, int64_t>> NodeEmitter::boundsOf(unsigned number) const {
  const Node &node = nest.nodes[number];
  auto operand = [&](unsigned i) { return boundsOf(node.operands[i]); };
  switch (node.kind) {
  case NodeKind::Index: {
    int64_t low = node.access.offset, high = low;
    for (auto [stride, loop] : llvm::zip(node.access.strides, nest.loops))
      (stride < 0 ? low : high) += stride * (loop.size - 1);
    return std::pair(low, high);
  }
  case NodeKind::IndexAdd: {
    auto x = operand(0), y = operand(1);
    if (!x || !y)
      return std::nullopt;
    return std::pair(x->first + y->first, x->second + y->second);
  }
  case NodeKind::IndexScale: {
    auto x = operand(0);
    if (!x)
      return std::nullopt;
    auto ends = std::minmax(x->first * node.number, x->second * node.number);
    return std::pair<int64_t, int64_t>(ends);
  }
  case NodeKind::IndexDiv: {
    auto x = operand(0);
    if (!x)
      return std::nullopt;
    return std::pair(llvm::divideFloorSigned(x->first, node.number),
                     llvm::divideFloorSigned(x->second, node.number));
  }
  case NodeKind::IndexMod:
    return std::pair<int64_t, int64_t>(0, node.number - 1);
  default:
    return std::nullopt;
  }
}

/// An IndexDiv or IndexMod, which round down: indices below zero occur where a guard will be false.
/// In 32 bits where they suffice: a division of 64 is long, and no vector has one.
Value *NodeEmitter::emitDivision(const Node &node, Value *x) {
  bool isMod = node.kind == NodeKind::IndexMod;
  Type *wide = x->getType();
  auto bounds = boundsOf(node.operands[0]);
  bool fits = bounds && bounds->first > INT32_MIN && bounds->second <= INT32_MAX &&
              node.number <= INT32_MAX;
  auto constantOf = [&](int64_t value) {
    return llvm::ConstantInt::get(x->getType(), uint64_t(value), true);
  };
  if (llvm::isPowerOf2_64(node.number))
    return isMod ? b.CreateAnd(x, constantOf(node.number - 1))
                 : b.CreateAShr(x, constantOf(llvm::Log2_64(node.number)));
  if (fits)
    x = b.CreateTrunc(x, wide->getWithNewType(b.getInt32Ty()));
  Value *n = constantOf(node.number), *result;
  if (bounds && bounds->first >= 0) {
    result = isMod ? b.CreateURem(x, n) : b.CreateUDiv(x, n);
  } else {
    Value *quotient = b.CreateSDiv(x, n);
    Value *rest = b.CreateSub(x, b.CreateMul(quotient, n));
    Value *below = b.CreateICmpSLT(rest, constantOf(0));
    result = isMod ? b.CreateSelect(below, b.CreateAdd(rest, n), rest)
                   : b.CreateSelect(below, b.CreateSub(quotient, constantOf(1)), quotient);
  }
  return fits ? b.CreateSExt(result, wide) : result;
}

llvm::Constant *NodeEmitter::splatConstant(const Node &node) {
  Type *type = registerType(node.type);
  if (!node.op)
    return llvm::Constant::getNullValue(type);
  auto elements =
      mlir::cast<mlir::DenseElementsAttr>(mlir::cast<nn::ConstantOp>(node.op).getValue());
  if (type->isFloatingPointTy())
    return llvm::ConstantFP::get(type, elements.getSplatValue<mlir::APFloat>());
  return llvm::ConstantInt::get(type, elements.getSplatValue<mlir::APInt>());
}

llvm::GlobalVariable *NodeEmitter::table(llvm::Constant *data) {
  llvm::Module &module = *b.GetInsertBlock()->getModule();
  for (llvm::GlobalVariable &global : module.globals())
    if (global.hasInitializer() && global.getInitializer() == data)
      return &global;
  auto *global = new llvm::GlobalVariable(module, data->getType(), true,
                                          llvm::GlobalValue::PrivateLinkage, data, "table", nullptr,
                                          llvm::GlobalValue::NotThreadLocal, vectors.tableSpace);
  global->setAlignment(llvm::Align(64));
  return global;
}

llvm::GlobalVariable *NodeEmitter::table(ArrayRef<int64_t> values) {
  return table(llvm::ConstantDataArray::get(b.getContext(), values));
}

llvm::GlobalVariable *NodeEmitter::table(mlir::Operation *constant) {
  auto elements =
      mlir::cast<mlir::DenseElementsAttr>(mlir::cast<nn::ConstantOp>(constant).getValue());
  Type *type = memoryType(elements.getElementType());
  SmallVector<llvm::Constant *> values;
  if (type->isFloatingPointTy())
    for (const mlir::APFloat &value : elements.getValues<mlir::APFloat>())
      values.push_back(llvm::ConstantFP::get(type, value));
  else
    for (const mlir::APInt &value : elements.getValues<mlir::APInt>())
      values.push_back(llvm::ConstantInt::get(type, value.zextOrTrunc(type->getIntegerBitWidth())));
  return table(llvm::ConstantArray::get(llvm::ArrayType::get(type, values.size()), values));
}

/// Whether every first lane of the access lies at a multiple of the width: vectors of whole loops
/// begin there.
bool NodeEmitter::alignedVectors(const Affine &access) const {
  for (auto [d, stride] : llvm::enumerate(access.strides))
    if (int(d) != laneDim && stride % vectors.width != 0)
      return false;
  return access.offset % vectors.width == 0;
}

Value *NodeEmitter::emitLoad(const Node &node, Value *base, unsigned instance) {
  Type *type = memoryType(node.type);
  llvm::Align align(type->getPrimitiveSizeInBits() / 8);
  Value *dynamic = node.operands.empty() ? nullptr : eval(node.operands[0], instance);
  Value *guard = node.guard < 0 ? nullptr : eval(node.guard, instance);
  Value *first = offset(node.access, instance);
  auto loaded = [&](Value *value) {
    return node.type.isInteger(1)
               ? b.CreateICmpNE(value, llvm::Constant::getNullValue(value->getType()))
               : value;
  };
  if (dynamic && !dynamic->getType()->isVectorTy()) {
    first = b.CreateAdd(first, dynamic, "", false, true);
    dynamic = nullptr;
  }
  int64_t stride = laneDim >= 0 ? node.access.strides[laneDim] : 0;
  bool vectorGuard = guard && guard->getType()->isVectorTy();
  if (!dynamic && (stride == 0 || vectors.width == 1) && !vectorGuard) {
    // A place that must not be read is replaced by the first element, whose value nobody looks at.
    if (guard)
      first = b.CreateSelect(guard, first, constant(0));
    return loaded(b.CreateAlignedLoad(type, b.CreateInBoundsGEP(type, base, first), align));
  }
  Value *mask = instances[instance].mask;
  if (guard)
    mask = mask ? b.CreateAnd(mask, widen(guard)) : widen(guard);
  if (!dynamic && stride == 1)
    return loaded(vectors.load(b, type, base, first, mask,
                               node.operands.empty() && alignedVectors(node.access)));
  Value *offsets =
      b.CreateAdd(widen(first), b.CreateMul(laneNumbers(b.getInt64Ty()), widen(constant(stride))));
  if (dynamic)
    offsets = b.CreateAdd(offsets, dynamic);
  return loaded(vectors.gather(b, type, base, b.CreateGEP(type, base, offsets), mask));
}

void NodeEmitter::store(const Store &store, unsigned instance) {
  const Node &node = nest.nodes[store.node];
  Value *value = eval(store.node, instance), *base = buffers.outputs[store.output];
  Type *type = memoryType(node.type);
  Value *place = offset(store.access, instance);
  if (store.dynamic >= 0)
    place = b.CreateAdd(place, eval(store.dynamic, instance));
  if (vectors.width > 1 && laneDim >= 0 && store.access.strides[laneDim] != 0) {
    assert(store.access.strides[laneDim] == 1 && "outputs are dense along the lanes");
    value = widen(value);
    if (node.type.isInteger(1))
      value = b.CreateZExt(value, vectors.vectorOf(type));
    vectors.store(b, value, base, place, instances[instance].mask,
                  store.dynamic < 0 && alignedVectors(store.access));
    return;
  }
  if (node.type.isInteger(1))
    value = b.CreateZExt(value, type);
  llvm::Align align(type->getPrimitiveSizeInBits() / 8);
  b.CreateAlignedStore(value, b.CreateInBoundsGEP(type, base, place), align);
}

Value *NodeEmitter::runField(unsigned number, bool asWord) {
  // abi::RunScalars: the seed, then the fields in the order of nn::RunValue.
  Value *address = b.CreateConstInBoundsGEP1_64(b.getInt64Ty(), buffers.run, number);
  Value *value = b.CreateLoad(b.getInt64Ty(), address);
  return asWord ? b.CreateTrunc(value, b.getInt32Ty()) : value;
}

Value *NodeEmitter::emitRandom(const Node &node, Value *element) {
  auto random = mlir::cast<nn::RandomOp>(node.op);
  Value *result = callDraw(b, random.getDistribution(), element, uint32_t(random.getStream()),
                           runField(0, false), runField(unsigned(nn::RunValue::Step), true));
  if (node.type.isF64())
    result = b.CreateFPExt(result, result->getType()->getWithNewType(b.getDoubleTy()));
  return result;
}

Value *NodeEmitter::convert(Value *value, mlir::Type from, mlir::Type to) {
  Type *target = value->getType()->getWithNewType(registerType(to));
  if (from == to)
    return value;
  bool fromFloat = mlir::isa<mlir::FloatType>(from), toFloat = mlir::isa<mlir::FloatType>(to);
  if (to.isInteger(1))
    return fromFloat ? b.CreateFCmpUNE(value, llvm::Constant::getNullValue(value->getType()))
                     : b.CreateICmpNE(value, llvm::Constant::getNullValue(value->getType()));
  if (fromFloat && toFloat)
    return b.CreateFPCast(value, target);
  if (fromFloat)
    return b.CreateIntrinsic(llvm::Intrinsic::fptosi_sat, {target, value->getType()}, {value});
  if (toFloat)
    return from.isInteger(1) ? b.CreateUIToFP(value, target) : b.CreateSIToFP(value, target);
  return from.isInteger(1) ? b.CreateZExt(value, target) : b.CreateSExtOrTrunc(value, target);
}

Type *NodeEmitter::accumulatorType(const Node &node) {
  auto reduce = mlir::dyn_cast<nn::ReduceOp>(node.op);
  bool isSum = !reduce || reduce.getKind() == nn::ReduceKind::Sum;
  return isSum && node.type.isF32() ? b.getDoubleTy() : registerType(node.type);
}

Value *NodeEmitter::rounded(Value *accumulator, const Node &node) {
  Type *type = accumulator->getType()->getWithNewType(registerType(node.type));
  return type == accumulator->getType() ? accumulator : b.CreateFPTrunc(accumulator, type);
}

Value *NodeEmitter::combine(nn::ReduceKind kind, Value *x, Value *y) {
  bool isFloat = x->getType()->isFPOrFPVectorTy();
  if (kind == nn::ReduceKind::Sum)
    return isFloat ? b.CreateFAdd(x, y) : b.CreateAdd(x, y);
  bool max = kind == nn::ReduceKind::Max;
  if (!isFloat)
    return b.CreateSelect(max ? b.CreateICmpSLT(x, y) : b.CreateICmpSGT(x, y), y, x);
  // The first of equals, and a NaN wherever there is one.
  Value *better = max ? b.CreateFCmpOLT(x, y) : b.CreateFCmpOGT(x, y);
  return b.CreateSelect(b.CreateOr(better, b.CreateFCmpUNO(y, y)), y, x);
}

Value *NodeEmitter::identity(nn::ReduceOp reduce, Type *type) {
  Type *scalar = type->getScalarType();
  if (!reduce || reduce.getKind() == nn::ReduceKind::Sum)
    return llvm::Constant::getNullValue(type);
  bool max = reduce.getKind() == nn::ReduceKind::Max;
  if (scalar->isFloatingPointTy())
    return llvm::ConstantFP::getInfinity(type, max);
  unsigned width = scalar->getIntegerBitWidth();
  return llvm::ConstantInt::get(type, max ? llvm::APInt::getSignedMinValue(width)
                                          : llvm::APInt::getSignedMaxValue(width));
}

Value *NodeEmitter::emitCompute(const Node &node, ArrayRef<Value *> operands) {
  using namespace nn;
  Value *x = operands[0], *y = operands.size() > 1 ? operands[1] : nullptr;
  Type *type = x->getType();
  bool isFloat = type->isFPOrFPVectorTy();
  Value *zero = llvm::Constant::getNullValue(type);
  auto real = [&](double value) { return llvm::ConstantFP::get(type, value); };
  auto unary = [&](llvm::Intrinsic::ID id) { return b.CreateUnaryIntrinsic(id, x); };
  // Integer division by zero traps, and the lanes behind the end of a loop hold zeros.
  auto divisor = [&] {
    return b.CreateSelect(b.CreateICmpEQ(y, zero), llvm::ConstantInt::get(type, 1), y);
  };
  return llvm::TypeSwitch<mlir::Operation *, Value *>(node.op)
      .Case([&](NegOp) { return isFloat ? b.CreateFNeg(x) : b.CreateNeg(x); })
      .Case([&](ExpOp) { return math.exp(x); })
      .Case([&](LogOp) { return math.log(x); })
      .Case([&](SqrtOp) { return unary(llvm::Intrinsic::sqrt); })
      .Case([&](RsqrtOp) { return b.CreateFDiv(real(1), unary(llvm::Intrinsic::sqrt)); })
      .Case([&](TanhOp) { return math.tanh(x); })
      .Case([&](SigmoidOp) { return math.sigmoid(x); })
      .Case([&](ErfOp) { return math.erf(x); })
      .Case([&](AbsOp) -> Value * {
        return isFloat ? unary(llvm::Intrinsic::fabs)
                       : b.CreateBinaryIntrinsic(llvm::Intrinsic::abs, x, b.getFalse());
      })
      .Case([&](SinOp) { return math.sin(x); })
      .Case([&](CosOp) { return math.cos(x); })
      .Case([&](FloorOp) { return unary(llvm::Intrinsic::floor); })
      .Case([&](ReluOp) { return b.CreateSelect(b.CreateFCmpOLT(x, zero), zero, x); })
      .Case([&](NotOp) { return b.CreateNot(x); })
      .Case([&](StopGradientOp) { return x; })
      .Case([&](AddOp) { return isFloat ? b.CreateFAdd(x, y) : b.CreateAdd(x, y); })
      .Case([&](SubOp) { return isFloat ? b.CreateFSub(x, y) : b.CreateSub(x, y); })
      .Case([&](MulOp) { return isFloat ? b.CreateFMul(x, y) : b.CreateMul(x, y); })
      .Case([&](DivOp) { return isFloat ? b.CreateFDiv(x, y) : b.CreateSDiv(x, divisor()); })
      .Case([&](RemOp) -> Value * {
        if (isFloat) {
          Value *floor = b.CreateUnaryIntrinsic(llvm::Intrinsic::floor, b.CreateFDiv(x, y));
          return b.CreateFSub(x, b.CreateFMul(y, floor));
        }
        Value *rest = b.CreateSRem(x, divisor());
        Value *differs =
            b.CreateAnd(b.CreateICmpNE(rest, zero), b.CreateICmpSLT(b.CreateXor(rest, y), zero));
        return b.CreateSelect(differs, b.CreateAdd(rest, y), rest);
      })
      .Case([&](MaxOp) { return combine(ReduceKind::Max, x, y); })
      .Case([&](MinOp) { return combine(ReduceKind::Min, x, y); })
      .Case([&](PowOp) { return math.pow(x, y); })
      .Case([&](AndOp) { return b.CreateAnd(x, y); })
      .Case([&](OrOp) { return b.CreateOr(x, y); })
      .Case([&](CompareOp compare) {
        using P = llvm::CmpInst::Predicate;
        static constexpr P floats[] = {P::FCMP_OEQ, P::FCMP_UNE, P::FCMP_OLT,
                                       P::FCMP_OLE, P::FCMP_OGT, P::FCMP_OGE};
        static constexpr P integers[] = {P::ICMP_EQ,  P::ICMP_NE,  P::ICMP_SLT,
                                         P::ICMP_SLE, P::ICMP_SGT, P::ICMP_SGE};
        unsigned number = unsigned(compare.getPredicate()) - 1;
        return b.CreateCmp(isFloat ? floats[number] : integers[number], x, y);
      })
      .Case([&](SelectOp) { return b.CreateSelect(x, y, operands[2]); })
      .Case([&](ConvertOp op) {
        return convert(x, mlir::getElementTypeOrSelf(op.getInput().getType()), node.type);
      })
      .Default([](mlir::Operation *) -> Value * {
        llvm_unreachable("an element-wise operation without code");
      });
}
