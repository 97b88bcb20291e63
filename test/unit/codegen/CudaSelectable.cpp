// What NVPTX can make code of: each intrinsic that may stand in a kernel does, on every
// architecture, and what would end the process is refused before.
#include "codegen/cuda/Placeholders.h"
#include "codegen/cuda/Ptx.h"
#include "codegen/cuda/Selectable.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/Support/SourceMgr.h"

#include <gtest/gtest.h>
#include <set>

using namespace doppel::cuda;

namespace {

const char *const architectures[] = {"sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"};

/// A kernel over two buffers, of the body `text` (LLVM IR) and the declarations behind it.
std::string ptxOf(const std::string &body, const std::string &declarations,
                  llvm::StringRef architecture) {
  llvm::LLVMContext context;
  llvm::SMDiagnostic problem;
  std::string text = "define void @k(ptr noalias align 64 %a, ptr noalias align 64 %b) #0 {\n" +
                     body + "\nret void\n}\n" + declarations +
                     "\nattributes #0 = { nounwind \"doppel.block\"=\"128\" "
                     "\"doppel.shared\"=\"64\" }\n";
  std::unique_ptr<llvm::Module> module = llvm::parseAssemblyString(text, problem, context);
  if (!module) {
    ADD_FAILURE() << problem.getMessage().str() << "\n" << text;
    return "";
  }
  llvm::Expected<std::string> made = makePtx(*module, architecture);
  return made ? *made : "refused: " + llvm::toString(made.takeError());
}

struct Use {
  std::string body, declarations;
};

/// y = f(x...) of elements of the first buffer, of which the last operands may be constants.
Use call(const std::string &name, const std::string &type, int operands,
         const std::string &constants = "", const std::string &result = "") {
  std::string to = result.empty() ? type : result, body, list, types;
  for (int i = 0; i < operands; ++i) {
    std::string n = std::to_string(i);
    body += "%p" + n + " = getelementptr " + type + ", ptr %a, i64 " + n + "\n%x" + n + " = load " +
            type + ", ptr %p" + n + "\n";
    list += (i ? ", " : "") + type + " %x" + n;
    types += (i ? ", " : "") + type;
  }
  std::string constantTypes;
  for (size_t at = 0; at < constants.size();) { // "i1 true" -> i1
    size_t space = constants.find(' ', at), comma = constants.find(',', at);
    constantTypes += ", " + constants.substr(at, space - at);
    at = comma == std::string::npos ? constants.size() : comma + 2;
  }
  body += "%y = call " + to + " @" + name + "(" + list +
          (constants.empty() ? "" : ", " + constants) + ")\n";
  body += "store " + to + " %y, ptr %b";
  return {body, "declare " + to + " @" + name + "(" + types + constantTypes + ")"};
}

/// One use or more of each intrinsic in the list.
std::vector<Use> uses() {
  std::vector<Use> all;
  auto floats = [&](const std::string &name, int operands, const std::string &constants = "") {
    for (auto [suffix, type] : {std::pair("f32", "float"), {"f64", "double"}})
      all.push_back(call("llvm." + name + "." + suffix, type, operands, constants));
    all.push_back(call("llvm." + name + ".v4f32", "<4 x float>", operands, constants));
  };
  for (const char *name :
       {"fabs", "floor", "ceil", "trunc", "rint", "nearbyint", "roundeven", "sqrt"})
    floats(name, 1);
  for (const char *name : {"copysign", "minnum", "maxnum"})
    floats(name, 2);
  for (const char *name : {"fma", "fmuladd"})
    floats(name, 3);
  auto integers = [&](const std::string &name, int operands, const std::string &constants = "") {
    for (std::string type : {"i32", "i64"})
      all.push_back(call("llvm." + name + "." + type, type, operands, constants));
  };
  for (const char *name :
       {"smin", "smax", "umin", "umax", "uadd.sat", "usub.sat", "sadd.sat", "ssub.sat"})
    integers(name, 2);
  for (const char *name : {"ctpop", "bswap", "bitreverse"})
    integers(name, 1);
  for (std::string name : {"ucmp", "scmp"})
    for (std::string type : {"i32", "i64"})
      all.push_back(call("llvm." + name + ".i8." + type, type, 2, "", "i8"));
  for (std::string name : {"add", "mul", "and", "or", "xor", "smin", "smax", "umin", "umax"})
    for (std::string lanes : {"4", "8"})
      all.push_back(call("llvm.vector.reduce." + name + ".v" + lanes + "i32",
                         "<" + lanes + " x i32>", 1, "", "i32"));
  // Passes make them as narrow as a shuffle's bits are.
  all.push_back(
      {"%x = load i8, ptr %a\n%n = trunc i8 %x to i3\n%y = call i3 @llvm.bitreverse.i3(i3 "
       "%n)\n%z = zext i3 %y to i8\nstore i8 %z, ptr %b",
       "declare i3 @llvm.bitreverse.i3(i3)"});
  for (const char *name : {"abs", "ctlz", "cttz"})
    integers(name, 1, "i1 false");
  for (const char *name : {"fshl", "fshr"})
    integers(name, 3);
  for (std::string to : {"i32", "i64"})
    for (auto [suffix, type] : {std::pair("f32", "float"), {"f64", "double"}})
      for (std::string name : {"fptosi", "fptoui"})
        all.push_back(call("llvm." + name + ".sat." + to + "." + suffix, type, 1, "", to));
  for (auto [suffix, type] : {std::pair("f32", "float"), {"f64", "double"}}) {
    Use use = call(std::string("llvm.is.fpclass.") + suffix, type, 1, "i32 3", "i1");
    use.body.replace(use.body.find("store"), std::string::npos,
                     "%z = zext i1 %y to i8\nstore i8 %z, ptr %b");
    all.push_back(use);
  }
  for (std::string name : {"uadd", "usub", "umul", "sadd", "ssub", "smul"})
    all.push_back(
        {"%x = load i64, ptr %a\n%y = call {i64, i1} @llvm." + name +
             ".with.overflow.i64(i64 %x, i64 3)\n%z = extractvalue {i64, i1} %y, 0\nstore "
             "i64 %z, ptr %b",
         "declare {i64, i1} @llvm." + name + ".with.overflow.i64(i64, i64)"});
  all.push_back(
      {"%n = load i64, ptr %a\ncall void @llvm.memcpy.p0.p0.i64(ptr %b, ptr %a, i64 %n, i1 "
       "false)\n%c = getelementptr i8, ptr %b, i64 8\ncall void @llvm.memmove.p0.p0.i64(ptr %c, "
       "ptr %b, "
       "i64 %n, i1 false)\n%d = getelementptr i8, ptr %a, i64 %n\ncall void "
       "@llvm.memset.p0.i64(ptr %d, "
       "i8 0, i64 %n, i1 false)",
       "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)\ndeclare void "
       "@llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)\ndeclare void @llvm.memset.p0.i64(ptr, i8, i64, "
       "i1)"});
  all.push_back(
      {"%s = alloca [4 x i32]\ncall void @llvm.lifetime.start.p0(ptr %s)\n%i = load i32, ptr "
       "%a\n%p = getelementptr i32, ptr %s, i32 %i\nstore volatile i32 7, ptr %p\n%c = icmp "
       "sgt i32 %i, 0\ncall void @llvm.assume(i1 %c)\ncall void "
       "@llvm.lifetime.end.p0(ptr %s)",
       "declare void @llvm.lifetime.start.p0(ptr)\ndeclare void "
       "@llvm.lifetime.end.p0(ptr)\ndeclare void @llvm.assume(i1)"});
  all.push_back({"call void @llvm.experimental.noalias.scope.decl(metadata !0)",
                 "declare void @llvm.experimental.noalias.scope.decl(metadata)\n!0 = !{!1}\n!1 = "
                 "distinct !{!1, !2}\n!2 = distinct !{!2}"});
  all.push_back(call("llvm.nvvm.ex2.approx.f32", "float", 1));
  all.push_back(
      {"%t = call i32 @doppel.thread()\n%g = call i32 @doppel.block()\n%s = call ptr "
       "addrspace(3) @doppel.shared()\nstore i32 %t, ptr addrspace(3) %s\ncall void "
       "@doppel.barrier()\n%x = load i32, ptr addrspace(3) %s\n%y = call i32 "
       "@doppel.shuffle.xor.i32(i32 %x, i32 4)\n%z = add i32 %y, %g\nstore i32 %z, ptr %b",
       "declare i32 @doppel.thread()\ndeclare i32 @doppel.block()\ndeclare ptr addrspace(3) "
       "@doppel.shared()\ndeclare void @doppel.barrier() convergent\ndeclare i32 "
       "@doppel.shuffle.xor.i32(i32, i32) convergent"});
  return all;
}

TEST(CudaSelectable, EachIntrinsicHasCodeOnEachArchitecture) {
  for (const Use &use : uses())
    for (const char *architecture : architectures) {
      std::string ptx = ptxOf(use.body, use.declarations, architecture);
      EXPECT_NE(ptx.find(".visible .entry k("), std::string::npos) << architecture << "\n"
                                                                   << use.body << "\n"
                                                                   << ptx;
    }
}

TEST(CudaSelectable, TheUsesAboveAreOfEveryIntrinsic) {
  // Those of the placeholders are made by bindNvvm.
  std::string all = "llvm.nvvm.read.ptx.sreg.tid.x llvm.nvvm.read.ptx.sreg.ctaid.x "
                    "llvm.nvvm.barrier.cta.sync.aligned.all llvm.nvvm.shfl.sync.bfly.i32 ";
  for (const Use &use : uses())
    all += use.declarations + "\n";
  for (unsigned id : selectableIntrinsics())
    EXPECT_NE(all.find(llvm::Intrinsic::getBaseName(id).str()), std::string::npos)
        << llvm::Intrinsic::getBaseName(id).str();
}

/// A shuffle of three bits, which a pass takes for what it is.
TEST(CudaSelectable, WhatPassesFindInArithmeticIsAllowed) {
  std::string body =
      "%x = load i32, ptr %a\n%i = and i32 %x, 7\n%l = shl i32 %i, 2\n%m = and i32 %i, 2\n"
      "%r = lshr i32 %i, 2\n%p = or i32 %l, %m\n%q = or i32 %p, %r\n%y = and i32 %q, 7\n"
      "store i32 %y, ptr %b";
  std::string ptx = ptxOf(body, "", "sm_90");
  EXPECT_NE(ptx.find(".visible .entry k("), std::string::npos) << ptx;
}

TEST(CudaSelectable, WhatHasNoCodeIsRefused) {
  struct Case {
    Use use;
    const char *why;
  };
  const Case cases[] = {
      {call("llvm.exp.f64", "double", 1), "is an intrinsic that NVPTX may not select"},
      {call("llvm.log.f32", "float", 1), "is an intrinsic that NVPTX may not select"},
      {call("llvm.pow.f32", "float", 2), "is an intrinsic that NVPTX may not select"},
      {call("llvm.sin.f64", "double", 1), "is an intrinsic that NVPTX may not select"},
      {call("llvm.lrint.i64.f64", "double", 1, "", "i64"),
       "is an intrinsic that NVPTX may not select"},
      {call("expf", "float", 1), "calls a function that no one defines"},
      {{"%f = load ptr, ptr %a\ncall void %f()", ""}, "calls through a pointer"},
      {{"%x = load float, ptr %a\n%y = atomicrmw fadd ptr %b, float %x monotonic", ""},
       "adds in an order that is not fixed"},
      {{"%x = load i128, ptr %a\n%y = udiv i128 %x, 10\nstore i128 %y, ptr %b", ""},
       "divides more than 64 bits"},
      {{"%n = load i32, ptr %a\n%s = alloca i8, i32 %n\nstore volatile i8 1, ptr %s", ""},
       "takes stack of a size that is not fixed"},
      {{"%m = load <4 x i1>, ptr %b\n%x = load <4 x float>, ptr %a\ncall void "
        "@llvm.masked.store.v4f32.p0(<4 x float> %x, ptr align 16 %b, <4 x i1> %m)",
        "declare void @llvm.masked.store.v4f32.p0(<4 x float>, ptr, <4 x i1>)"},
       "is an intrinsic that NVPTX may not select"},
      {{"%x = load i32, ptr @elsewhere\nstore i32 %x, ptr %b", "@elsewhere = external global i32"},
       "the variable 'elsewhere' has no place on a GPU"},
  };
  for (const Case &each : cases) {
    std::string made = ptxOf(each.use.body, each.use.declarations, "sm_80");
    EXPECT_EQ(made.substr(0, 9), "refused: ") << each.use.body;
    EXPECT_NE(made.find(each.why), std::string::npos) << made;
  }
}

TEST(CudaSelectable, TooMuchSharedMemoryIsRefused) {
  llvm::LLVMContext context;
  llvm::Module module("kernels", context);
  llvm::Function *kernel = makeKernel(module, "greedy", 64, {true});
  setSharedBytes(*kernel, mostSharedBytes + 16);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(context, "entry", kernel));
  b.CreateStore(b.getInt32(1), Placeholders(b).shared());
  b.CreateRetVoid();
  llvm::Expected<std::string> made = makePtx(module, "sm_90");
  ASSERT_FALSE(made);
  EXPECT_EQ(llvm::toString(made.takeError()),
            "kernel 'greedy' wants 49168 bytes of shared memory, a block has 49152");
}

TEST(CudaSelectable, UnknownArchitecturesAreRefused) {
  for (const char *name : {"sm_12", "sm_", "", "cpu", "sm_9O"})
    EXPECT_FALSE(knowsArchitecture(name)) << name;
  for (const char *name : architectures)
    EXPECT_TRUE(knowsArchitecture(name)) << name;
}

TEST(CudaPtx, AProductAndASumAreOneInstructionOnlyWhereTheyMayBe) {
  const char *body = "%x = load float, ptr %a\n%y = fmul float %x, 3.0\n%z = fadd float %y, 1.0\n"
                     "store float %z, ptr %b";
  std::string apart = ptxOf(body, "", "sm_90");
  EXPECT_NE(apart.find("mul.rn.f32"), std::string::npos) << apart;
  EXPECT_NE(apart.find("add.rn.f32"), std::string::npos) << apart;
  std::string text = body;
  for (const char *op : {"fmul ", "fadd "})
    text.insert(text.find(op) + 5, "contract ");
  EXPECT_NE(ptxOf(text, "", "sm_90").find("fma.rn.f32"), std::string::npos);
}

TEST(CudaPtx, SixteenBytesAreOneAccess) {
  std::string ptx =
      ptxOf("%x = load <4 x float>, ptr %a, align 16\nstore <4 x float> %x, ptr %b, align "
            "16",
            "", "sm_80");
  EXPECT_NE(ptx.find("ld.global.nc.v4.b32"), std::string::npos) << ptx;
  EXPECT_NE(ptx.find("st.global.v4.b32"), std::string::npos) << ptx;
}

} // namespace
