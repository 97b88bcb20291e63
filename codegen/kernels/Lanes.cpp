// Vectors and memory: under masks on a CPU, whole or one by one on a GPU.
#include "codegen/kernels/Lanes.h"

using namespace llvm;
using namespace doppel::kernels;

namespace {

Align alignOf(Type *element) { return Align(element->getPrimitiveSizeInBits() / 8); }

} // namespace

Constant *Lanes::numbers(Type *type) const {
  if (width == 1)
    return ConstantInt::get(type, 0);
  SmallVector<Constant *> numbers;
  for (unsigned lane = 0; lane < width; ++lane)
    numbers.push_back(ConstantInt::get(type, lane));
  return ConstantVector::get(numbers);
}

//===- MaskedLanes ----------------------------------------------------------------------------===//

Value *MaskedLanes::load(IRBuilder<> &b, Type *element, Value *base, Value *first, Value *mask,
                         bool) const {
  Type *vector = vectorOf(element);
  Value *address = b.CreateGEP(element, base, first);
  if (mask)
    return b.CreateMaskedLoad(vector, address, alignOf(element), mask,
                              Constant::getNullValue(vector));
  return b.CreateAlignedLoad(vector, address, alignOf(element));
}

Value *MaskedLanes::gather(IRBuilder<> &b, Type *element, Value *, Value *addresses,
                           Value *mask) const {
  Type *vector = vectorOf(element);
  return b.CreateMaskedGather(vector, addresses, alignOf(element),
                              mask ? mask : widen(b, b.getTrue()), Constant::getNullValue(vector));
}

void MaskedLanes::store(IRBuilder<> &b, Value *value, Value *base, Value *first, Value *mask,
                        bool) const {
  Type *element = value->getType()->getScalarType();
  Value *address = b.CreateInBoundsGEP(element, base, first);
  if (mask)
    b.CreateMaskedStore(value, address, alignOf(element), mask);
  else
    b.CreateAlignedStore(value, address, alignOf(element));
}

//===- ThreadLanes ----------------------------------------------------------------------------===//

Value *ThreadLanes::load(IRBuilder<> &b, Type *element, Value *base, Value *first, Value *mask,
                         bool aligned) const {
  if (aligned && !mask)
    return b.CreateAlignedLoad(vectorOf(element), b.CreateInBoundsGEP(element, base, first),
                               Align(width * alignOf(element).value()));
  Value *places = b.CreateAdd(widen(b, first), numbers(first->getType()), "", false, true);
  if (mask)
    places = b.CreateSelect(mask, places, Constant::getNullValue(places->getType()));
  return gather(b, element, base, b.CreateInBoundsGEP(element, base, places), nullptr);
}

Value *ThreadLanes::gather(IRBuilder<> &b, Type *element, Value *base, Value *addresses,
                           Value *mask) const {
  if (mask)
    addresses = b.CreateSelect(mask, addresses, b.CreateVectorSplat(width, base));
  Value *all = PoisonValue::get(vectorOf(element));
  for (uint64_t lane = 0; lane < width; ++lane) {
    Value *address = b.CreateExtractElement(addresses, lane);
    Value *value = b.CreateAlignedLoad(element, address, alignOf(element));
    all = b.CreateInsertElement(all, value, lane);
  }
  return all;
}

void ThreadLanes::store(IRBuilder<> &b, Value *value, Value *base, Value *first, Value *mask,
                        bool aligned) const {
  assert(!mask && "a thread's loops run over whole vectors");
  Type *element = value->getType()->getScalarType();
  Value *address = b.CreateInBoundsGEP(element, base, first);
  if (aligned) {
    b.CreateAlignedStore(value, address, Align(width * alignOf(element).value()));
    return;
  }
  for (uint64_t lane = 0; lane < width; ++lane)
    b.CreateAlignedStore(b.CreateExtractElement(value, lane),
                         b.CreateConstInBoundsGEP1_64(element, address, lane), alignOf(element));
}
