#include "codegen/cuda/Selectable.h"

#include "codegen/cuda/Placeholders.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IntrinsicsNVPTX.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace doppel;
using namespace doppel::cuda;
namespace Intrinsic = llvm::Intrinsic;

namespace {

/// Where an intrinsic may stand.
struct Rule {
  Intrinsic::ID id;
  bool f32 = true, f64 = true; ///< as its floating-point type, where it has one
  unsigned least = 0;          ///< architecture, as a number
};

// test/unit/codegen/CudaSelectable.cpp makes code of each.
constexpr Rule rules[] = {
    // Numbers: one instruction or a short sequence each, of any width. Many are written by no
    // kernel, but by LLVM's passes, which find them in arithmetic. Elementary functions are not
    // here but for the hardware's own: codegen/kernels writes them as straight lines.
    {Intrinsic::fma},
    {Intrinsic::fmuladd},
    {Intrinsic::fabs},
    {Intrinsic::copysign},
    {Intrinsic::minnum},
    {Intrinsic::maxnum},
    {Intrinsic::floor},
    {Intrinsic::ceil},
    {Intrinsic::trunc},
    {Intrinsic::rint},
    {Intrinsic::nearbyint},
    {Intrinsic::roundeven},
    {Intrinsic::sqrt},
    {Intrinsic::abs},
    {Intrinsic::smin},
    {Intrinsic::smax},
    {Intrinsic::umin},
    {Intrinsic::umax},
    {Intrinsic::ctlz},
    {Intrinsic::cttz},
    {Intrinsic::ctpop},
    {Intrinsic::bswap},
    {Intrinsic::bitreverse},
    {Intrinsic::fshl},
    {Intrinsic::fshr},
    {Intrinsic::ucmp},
    {Intrinsic::scmp},
    {Intrinsic::uadd_sat},
    {Intrinsic::usub_sat},
    {Intrinsic::sadd_sat},
    {Intrinsic::ssub_sat},
    {Intrinsic::fptosi_sat},
    {Intrinsic::fptoui_sat},
    {Intrinsic::is_fpclass},
    {Intrinsic::uadd_with_overflow},
    {Intrinsic::usub_with_overflow},
    {Intrinsic::umul_with_overflow},
    {Intrinsic::sadd_with_overflow},
    {Intrinsic::ssub_with_overflow},
    {Intrinsic::smul_with_overflow},
    {Intrinsic::vector_reduce_add},
    {Intrinsic::vector_reduce_mul},
    {Intrinsic::vector_reduce_and},
    {Intrinsic::vector_reduce_or},
    {Intrinsic::vector_reduce_xor},
    {Intrinsic::vector_reduce_smin},
    {Intrinsic::vector_reduce_smax},
    {Intrinsic::vector_reduce_umin},
    {Intrinsic::vector_reduce_umax},
    // Memory and hints.
    {Intrinsic::memcpy},
    {Intrinsic::memmove},
    {Intrinsic::memset},
    {Intrinsic::assume},
    {Intrinsic::lifetime_start},
    {Intrinsic::lifetime_end},
    {Intrinsic::experimental_noalias_scope_decl},
    // What the placeholders become.
    {Intrinsic::nvvm_read_ptx_sreg_tid_x},
    {Intrinsic::nvvm_read_ptx_sreg_ctaid_x},
    {Intrinsic::nvvm_barrier_cta_sync_aligned_all},
    {Intrinsic::nvvm_shfl_sync_bfly_i32},
    {Intrinsic::nvvm_ex2_approx, true, false},
};

std::string asText(const llvm::Instruction &instruction) {
  std::string text;
  llvm::raw_string_ostream(text) << instruction;
  return llvm::StringRef(text).trim().str();
}

/// Why there is no code for the call, or empty.
std::string wrongCall(const llvm::CallInst &call, unsigned architecture) {
  const llvm::Function *callee = call.getCalledFunction();
  if (!callee)
    return "calls through a pointer";
  if (!callee->isIntrinsic())
    return callee->isDeclaration() ? "calls a function that no one defines" : "";
  const Rule *rule =
      llvm::find_if(rules, [&](const Rule &each) { return each.id == callee->getIntrinsicID(); });
  if (rule == std::end(rules))
    return "is an intrinsic that NVPTX may not select";
  for (const llvm::Type *type :
       {call.getType(), call.arg_empty() ? call.getType() : call.getArgOperand(0)->getType()})
    if ((type->getScalarType()->isFloatTy() && !rule->f32) ||
        (type->getScalarType()->isDoubleTy() && !rule->f64))
      return "is an intrinsic that NVPTX has for another type";
  if (architecture < rule->least)
    return llvm::formatv("needs sm_{0}", rule->least).str();
  return "";
}

/// Why there is no code for the instruction, or empty.
std::string wrong(const llvm::Instruction &each, unsigned architecture) {
  if (auto *call = llvm::dyn_cast<llvm::CallInst>(&each))
    return wrongCall(*call, architecture);
  if (auto *atomic = llvm::dyn_cast<llvm::AtomicRMWInst>(&each);
      atomic && atomic->isFloatingPointOperation())
    return "adds in an order that is not fixed";
  if (auto *alloca = llvm::dyn_cast<llvm::AllocaInst>(&each); alloca && !alloca->isStaticAlloca())
    return "takes stack of a size that is not fixed";
  if (llvm::isa<llvm::InvokeInst, llvm::CallBrInst, llvm::IndirectBrInst, llvm::LandingPadInst,
                llvm::ResumeInst, llvm::VAArgInst>(each))
    return "is no instruction of a GPU";
  auto wide = [](const llvm::Type *type) {
    return type->isIntOrIntVectorTy() && type->getScalarSizeInBits() > 64;
  };
  bool divides =
      each.getOpcode() == llvm::Instruction::SDiv || each.getOpcode() == llvm::Instruction::UDiv ||
      each.getOpcode() == llvm::Instruction::SRem || each.getOpcode() == llvm::Instruction::URem;
  if (divides && wide(each.getType()))
    return "divides more than 64 bits";
  const llvm::Type *type = each.getType()->getScalarType();
  if (type->isX86_FP80Ty() || type->isFP128Ty())
    return "is of a type that GPUs lack";
  return "";
}

} // namespace

std::vector<unsigned> cuda::selectableIntrinsics() {
  std::vector<unsigned> all;
  for (const Rule &rule : rules)
    all.push_back(rule.id);
  return all;
}

llvm::Error cuda::checkSelectable(const llvm::Module &module, llvm::StringRef architecture) {
  unsigned number = 0;
  if (!architecture.consume_front("sm_") || architecture.consumeInteger(10, number))
    return llvm::createStringError("no architecture is called '%s'", architecture.str().c_str());
  for (const llvm::GlobalVariable &global : module.globals())
    if (global.isThreadLocal() || (global.isDeclaration() && !global.use_empty()))
      return llvm::createStringError("the variable '%s' has no place on a GPU",
                                     global.getName().str().c_str());
  for (const llvm::Function &function : module) {
    if (isKernel(function) && sharedBytes(function) > mostSharedBytes)
      return llvm::createStringError(
          "kernel '%s' wants %llu bytes of shared memory, a block has %llu",
          function.getName().str().c_str(), (unsigned long long)sharedBytes(function),
          (unsigned long long)mostSharedBytes);
    for (const llvm::Instruction &each : llvm::instructions(function))
      if (std::string why = wrong(each, number); !why.empty())
        return llvm::createStringError("kernel '%s' has '%s', which %s",
                                       function.getName().str().c_str(), asText(each).c_str(),
                                       why.c_str());
  }
  return llvm::Error::success();
}
