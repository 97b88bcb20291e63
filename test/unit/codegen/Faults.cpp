#include "test/unit/codegen/Faults.h"

#include "codegen/cuda/Placeholders.h"
#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/Transforms/Utils/BasicBlockUtils.h"

using namespace doppel::cuda;
using llvm::Function;
using llvm::Instruction;
using llvm::IRBuilder;
using llvm::Value;

namespace {

constexpr unsigned lastLane = warpThreads - 1;

//===- Places ---------------------------------------------------------------------------------===//

std::vector<llvm::CallInst *> callsOf(Function &function, llvm::StringRef placeholder) {
  std::vector<llvm::CallInst *> found;
  for (Instruction &each : llvm::instructions(function))
    if (auto *call = llvm::dyn_cast<llvm::CallInst>(&each))
      if (call->getCalledFunction() &&
          call->getCalledFunction()->getName().starts_with(placeholder))
        found.push_back(call);
  return found;
}

/// The argument that an access is of, or null where it is of something else.
const llvm::Argument *bufferOf(const Instruction &access) {
  return llvm::dyn_cast<llvm::Argument>(
      llvm::getUnderlyingObject(llvm::getLoadStorePointerOperand(&access), /*MaxLookup=*/0));
}

bool isShared(const Instruction &access) {
  return llvm::getLoadStorePointerOperand(&access)->getType()->getPointerAddressSpace() ==
         sharedSpace;
}

template <typename Access>
std::vector<Access *> accesses(Function &function, llvm::function_ref<bool(Access &)> wanted) {
  std::vector<Access *> found;
  for (Instruction &each : llvm::instructions(function))
    if (auto *access = llvm::dyn_cast<Access>(&each); access && wanted(*access))
      found.push_back(access);
  return found;
}

using Loads = std::vector<llvm::LoadInst *>;
using Stores = std::vector<llvm::StoreInst *>;

Stores sharedStores(FaultyKernel &kernel) {
  return accesses<llvm::StoreInst>(kernel.function,
                                   [](llvm::StoreInst &store) { return isShared(store); });
}

Stores outputStores(FaultyKernel &kernel) {
  return accesses<llvm::StoreInst>(kernel.function, [&](llvm::StoreInst &store) {
    const llvm::Argument *buffer = bufferOf(store);
    return buffer && buffer->getArgNo() >= kernel.inputs &&
           buffer->getArgNo() < kernel.inputs + kernel.outputs;
  });
}

Loads inputLoads(FaultyKernel &kernel) {
  return accesses<llvm::LoadInst>(kernel.function, [&](llvm::LoadInst &load) {
    const llvm::Argument *buffer = bufferOf(load);
    return buffer && buffer->getArgNo() < kernel.inputs;
  });
}

/// Whether the access is at a place that differs from thread to thread or from point to point.
bool varies(const Instruction &access) {
  auto *address =
      llvm::dyn_cast<llvm::GetElementPtrInst>(llvm::getLoadStorePointerOperand(&access));
  return address && !address->hasAllConstantIndices();
}

//===- Changes --------------------------------------------------------------------------------===//

unsigned pointerOperand(const Instruction &access) {
  return llvm::isa<llvm::LoadInst>(access) ? 0 : 1;
}

/// So many numbers (or vectors, where it is of one) further on.
void shift(Instruction &access, int64_t count) {
  IRBuilder<> b(&access);
  Value *address = access.getOperand(pointerOperand(access));
  access.setOperand(pointerOperand(access),
                    b.CreateGEP(llvm::getLoadStoreType(&access), address, b.getInt64(count)));
}

/// The same place in another buffer.
bool rebase(Instruction &access, Value *buffer) {
  auto *address =
      llvm::dyn_cast<llvm::GetElementPtrInst>(access.getOperand(pointerOperand(access)));
  if (!address || !llvm::isa<llvm::Argument>(address->getPointerOperand()))
    return false;
  auto *other = llvm::cast<llvm::GetElementPtrInst>(address->clone());
  other->insertBefore(access.getIterator());
  other->setOperand(llvm::GetElementPtrInst::getPointerOperandIndex(), buffer);
  access.setOperand(pointerOperand(access), other);
  return true;
}

Value *threadAt(IRBuilder<> &b) { return Placeholders(b).thread(); }

/// Each two neighbours have the number of the first.
bool halve(Function &function, llvm::StringRef placeholder) {
  std::vector<llvm::CallInst *> calls = callsOf(function, placeholder);
  for (llvm::CallInst *call : calls) {
    IRBuilder<> b(call->getNextNode());
    Value *even = b.CreateAnd(call, b.getInt32(~1u));
    call->replaceUsesWithIf(even, [&](llvm::Use &use) { return use.getUser() != even; });
  }
  return !calls.empty();
}

//===- Faults ---------------------------------------------------------------------------------===//

/// The first, or where there are several the second: before that of an augment kernel there is
/// nothing, unless a block has several views.
bool leaveOutABarrier(FaultyKernel &kernel) {
  auto barriers = callsOf(kernel.function, placeholder::barrier);
  if (barriers.empty())
    return false;
  barriers[barriers.size() > 2]->eraseFromParent();
  return true;
}

bool keepAThreadFromABarrier(FaultyKernel &kernel) {
  auto barriers = callsOf(kernel.function, placeholder::barrier);
  if (barriers.empty())
    return false;
  llvm::CallInst *barrier = barriers.back();
  IRBuilder<> b(barrier);
  Value *others = b.CreateICmpNE(threadAt(b), b.getInt32(17));
  Instruction *inside = llvm::SplitBlockAndInsertIfThen(others, barrier->getIterator(), false);
  barrier->moveBefore(inside->getIterator());
  return true;
}

/// The last lane of each warp is gone.
bool leaveBefore(Instruction &place) {
  IRBuilder<> b(&place);
  Value *isLast =
      b.CreateICmpEQ(b.CreateAnd(threadAt(b), b.getInt32(lastLane)), b.getInt32(lastLane));
  Instruction *inside = llvm::SplitBlockAndInsertIfThen(isLast, place.getIterator(), false);
  IRBuilder<>(inside).CreateRetVoid();
  inside->eraseFromParent();
  return true;
}

bool leaveBeforeAShuffle(FaultyKernel &kernel) {
  auto shuffles = callsOf(kernel.function, placeholder::shuffleXor);
  return !shuffles.empty() && leaveBefore(*shuffles.front());
}

bool leaveBeforeABarrier(FaultyKernel &kernel) {
  auto barriers = callsOf(kernel.function, placeholder::barrier);
  return !barriers.empty() && leaveBefore(*barriers.front());
}

bool leaveSharedMemoryUnwritten(FaultyKernel &kernel) {
  Stores stores = sharedStores(kernel);
  if (stores.empty())
    return false;
  stores.front()->eraseFromParent();
  return true;
}

bool writeSharedMemoryOneFurther(FaultyKernel &kernel) {
  Stores stores = sharedStores(kernel);
  if (stores.empty())
    return false;
  shift(*stores.front(), 1);
  return true;
}

/// A branch around the block of the store alone is taken by all.
bool storeOutsideOfItsBranch(FaultyKernel &kernel) {
  for (llvm::StoreInst *store : outputStores(kernel)) {
    llvm::BasicBlock *inside = store->getParent(), *before = inside->getSinglePredecessor();
    auto *branch = before ? llvm::dyn_cast<llvm::BranchInst>(before->getTerminator()) : nullptr;
    if (!branch || !branch->isConditional() || !inside->getSingleSuccessor() ||
        inside->getSingleSuccessor() != branch->getSuccessor(1))
      continue;
    branch->setCondition(llvm::ConstantInt::getTrue(branch->getContext()));
    return true;
  }
  return false;
}

bool readOneFurther(FaultyKernel &kernel) {
  if (kernel.readsParts)
    return false;
  for (llvm::LoadInst *load : inputLoads(kernel))
    if (varies(*load)) {
      shift(*load, 1);
      return true;
    }
  return false;
}

bool readOneBefore(FaultyKernel &kernel) {
  if (kernel.readsParts)
    return false;
  for (llvm::LoadInst *load : inputLoads(kernel))
    if (varies(*load)) {
      shift(*load, -1);
      return true;
    }
  return false;
}

bool writeOneFurther(FaultyKernel &kernel) {
  for (llvm::StoreInst *store : outputStores(kernel)) {
    shift(*store, 1);
    return true;
  }
  return false;
}

bool leaveOutAStore(FaultyKernel &kernel) {
  Stores stores = outputStores(kernel);
  if (stores.empty())
    return false;
  stores.front()->eraseFromParent();
  return true;
}

bool takeTwoThreadsForOne(FaultyKernel &kernel) {
  return halve(kernel.function, placeholder::thread);
}

bool takeTwoBlocksForOne(FaultyKernel &kernel) {
  return kernel.blocks > 1 && halve(kernel.function, placeholder::block);
}

/// Whether `value` is computed from `part`.
bool isMadeOf(Value *value, Value *part) {
  if (value == part)
    return true;
  auto *made = llvm::dyn_cast<Instruction>(value);
  return made && llvm::is_contained({Instruction::Add, Instruction::Mul}, made->getOpcode()) &&
         (isMadeOf(made->getOperand(0), part) || isMadeOf(made->getOperand(1), part));
}

/// Rows of an output lie one number too close.
bool storeRowsTooClose(FaultyKernel &kernel) {
  for (llvm::StoreInst *store : outputStores(kernel)) {
    auto *address = llvm::dyn_cast<llvm::GetElementPtrInst>(store->getPointerOperand());
    if (!address)
      continue;
    for (Instruction &each : llvm::instructions(kernel.function)) {
      auto *length = each.getOpcode() == Instruction::Mul
                         ? llvm::dyn_cast<llvm::ConstantInt>(each.getOperand(1))
                         : nullptr;
      if (!length || length->getSExtValue() < 2 || !isMadeOf(address->getOperand(1), &each) ||
          !llvm::isa<Instruction>(each.getOperand(0)))
        continue;
      each.setOperand(1, llvm::ConstantInt::get(length->getType(), length->getSExtValue() - 1));
      return true;
    }
  }
  return false;
}

/// The last loop with a store to an output, or a load of an input, in it ends one point too late.
bool goOnePointTooFar(FaultyKernel &kernel) {
  llvm::ICmpInst *last = nullptr;
  auto reachesBuffers = [&](llvm::BasicBlock *block) {
    return llvm::any_of(*block, [&](Instruction &each) {
      return llvm::isa<llvm::LoadInst, llvm::StoreInst>(each) && bufferOf(each) && varies(each);
    });
  };
  for (llvm::BasicBlock &block : kernel.function) {
    auto *branch = llvm::dyn_cast<llvm::BranchInst>(block.getTerminator());
    if (!branch || !branch->isConditional() || !reachesBuffers(branch->getSuccessor(0)))
      continue;
    auto *bound = llvm::dyn_cast<llvm::ICmpInst>(branch->getCondition());
    if (!bound || bound->getPredicate() != llvm::CmpInst::ICMP_SLT ||
        !llvm::isa<llvm::PHINode>(bound->getOperand(0)))
      continue;
    last = bound;
  }
  if (last)
    last->setPredicate(llvm::CmpInst::ICMP_SLE);
  return last;
}

bool writeAnInput(FaultyKernel &kernel) {
  if (kernel.inputs == 0)
    return false;
  for (llvm::StoreInst *store : outputStores(kernel)) {
    store->setOperand(pointerOperand(*store), kernel.function.getArg(0));
    return true;
  }
  return false;
}

bool readAnOutput(FaultyKernel &kernel) {
  if (kernel.inPlace)
    return false;
  for (llvm::LoadInst *load : inputLoads(kernel))
    if (varies(*load) && rebase(*load, kernel.function.getArg(kernel.inputs)))
      return true;
  return false;
}

bool leaveScratchMemoryUnwritten(FaultyKernel &kernel) {
  if (!kernel.hasScratch)
    return false;
  for (llvm::StoreInst *store :
       accesses<llvm::StoreInst>(kernel.function, [&](llvm::StoreInst &each) {
         return bufferOf(each) == &*std::prev(kernel.function.arg_end());
       })) {
    store->eraseFromParent();
    return true;
  }
  return false;
}

bool takeVectorsForAligned(FaultyKernel &kernel) {
  if (kernel.isSmall)
    return false;
  auto promise = [](auto *access) {
    access->setAlignment(llvm::Align(64));
    return true;
  };
  for (llvm::LoadInst *load : inputLoads(kernel))
    if (varies(*load))
      return promise(load);
  for (llvm::StoreInst *store : outputStores(kernel))
    if (varies(*store))
      return promise(store);
  return false;
}

/// Of a slab, many pictures further on.
bool readBehindThePictures(FaultyKernel &kernel) {
  for (llvm::LoadInst *load : accesses<llvm::LoadInst>(kernel.function, [&](llvm::LoadInst &each) {
         const llvm::Argument *buffer = bufferOf(each);
         return buffer && buffer->getArgNo() == kernel.inputs + kernel.outputs;
       })) {
    shift(*load, 1 << 24);
    return true;
  }
  return false;
}

bool readBehindATable(FaultyKernel &kernel) {
  for (llvm::LoadInst *load : accesses<llvm::LoadInst>(kernel.function, [](llvm::LoadInst &each) {
         return llvm::isa<llvm::GlobalVariable>(
             llvm::getUnderlyingObject(each.getPointerOperand(), /*MaxLookup=*/0));
       })) {
    auto *table = llvm::cast<llvm::GlobalVariable>(
        llvm::getUnderlyingObject(load->getPointerOperand(), /*MaxLookup=*/0));
    shift(*load, table->getValueType()->getArrayNumElements());
    return true;
  }
  return false;
}

/// What an update in place leaves alone nobody can tell from what it ought to.
bool nothing(FaultyKernel &kernel) { return kernel.blocks > 1 && !kernel.inPlace; }

} // namespace

const std::vector<Fault> &doppel::cuda::faults() {
  static const std::vector<Fault> all = {
      {"LeavesOutABarrier", "row column segment augment",
       "without a barrier between them|which no thread wrote|before anyone wrote it",
       leaveOutABarrier},
      {"KeepsAThreadFromABarrier", "row column segment augment",
       "waits? at a barrier, and thread 17 has ended|wait at different barriers|"
       "one shuffles where the other|before anyone wrote it|which no thread wrote|"
       "without a barrier between them",
       keepAThreadFromABarrier},
      {"LeavesBeforeAShuffle", "row segment augment",
       "are of one warp, and one shuffles where the other has ended", leaveBeforeAShuffle},
      {"LeavesBeforeABarrier", "row column segment augment",
       "waits at a barrier, and thread [0-9]+ has ended|where the other has ended",
       leaveBeforeABarrier},
      {"LeavesSharedMemoryUnwritten", "row column segment augment",
       "of shared memory, which no thread wrote", leaveSharedMemoryUnwritten},
      {"WritesSharedMemoryOneFurther", "row column segment augment",
       "bytes of shared memory|which no thread wrote", writeSharedMemoryOneFurther},
      {"StoresOutsideOfItsBranch", "map row column gather segment random",
       "both write|outside of buffer|what thread", storeOutsideOfItsBranch},
      {"ReadsOneFurther", "map row column gather scatter segment",
       "outside of buffer|what another thread read|write and read", readOneFurther},
      {"ReadsOneBefore", "map row column gather scatter segment",
       "outside of buffer|what another thread read|write and read", readOneBefore},
      {"WritesOneFurther", "map row column gather scatter segment random augment",
       "outside of buffer|what another thread read|write and read|no thread of blocks",
       writeOneFurther},
      {"LeavesOutAStore", "map row column gather scatter segment random augment",
       "no thread of blocks 0 to [0-9]+ writes element", leaveOutAStore},
      {"TakesTwoThreadsForOne", "map row column gather scatter segment random augment",
       "both write|write and read", takeTwoThreadsForOne},
      {"TakesTwoBlocksForOne", "map row column gather scatter segment random augment",
       "of block 1 (reads|writes) what .*block", takeTwoBlocksForOne},
      {"StoresRowsTooClose", "map row column gather scatter augment",
       "both write|is no multiple of|what thread|write and read", storeRowsTooClose},
      {"GoesOnePointTooFar", "map row column gather scatter segment random augment",
       "outside of buffer|what thread|what another|write and read|both write|of a table",
       goOnePointTooFar},
      {"WritesAnInput", "map row column gather scatter segment random augment",
       "writes buffer 0, an input|outside of buffer 0", writeAnInput},
      {"ReadsAnOutput", "map row column segment",
       "an output, before anyone wrote it|write and read|outside of buffer|what thread",
       readAnOutput},
      {"LeavesScratchMemoryUnwritten", "augment", "scratch memory, before anyone wrote it",
       leaveScratchMemoryUnwritten},
      {"TakesVectorsForAligned", "map row column gather scatter segment random augment",
       "is no multiple of 64", takeVectorsForAligned},
      {"ReadsBehindThePictures", "augment", "outside of buffer", readBehindThePictures},
      {"ReadsBehindATable", "segment augment", "of a table of", readBehindATable},
      {"HasABlockTooFew", "map row column segment random augment",
       "no thread of blocks 0 to [0-9]+ writes element", nothing, -1},
  };
  return all;
}
