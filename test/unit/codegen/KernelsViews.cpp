// What every target must draw alike: no instruction of boxes, factors and draws lets LLVM choose
// how it rounds.
#include "codegen/kernels/Draws.h"
#include "codegen/kernels/ViewEmitter.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/Parser/Parser.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"

#include <gtest/gtest.h>

using namespace doppel;
using namespace doppel::kernels;
using llvm::Value;

namespace doppel::kernels {

/// Emits boxes and factors without pixels.
struct ViewProbe : ViewEmitter {
  using ViewEmitter::ViewEmitter;
  void crop(const Box &, const Axis &rows, const Axis &, Value *, bool) override {
    Source source = sourceOf(rows, b.getInt32(3));
    kept.push_back(source.first);
    kept.push_back(source.phase);
  }
  void mapPixels(llvm::function_ref<Pixel(Pixel)>) override {}
  Value *meanGrey() override { return real(0.5); }
  void mirrorPixels() override {}
  void blur(int64_t, Value *exponent) override { kept.push_back(exponent); }
  void rotate(Value *cosine, Value *sine) override { kept.append({cosine, sine}); }
  void storePixels(Value *, nn::StageAttr) override {}
  Values kept;
};

} // namespace doppel::kernels

namespace {

constexpr const char *pipelines = R"(
#cut = #nn.stage<center_crop, {size = 32 : i64, resize = 36 : i64}>
#box = #nn.stage<random_resized_crop, {
    size = 32 : i64, interpolation = "bicubic", scale = array<f64: 0.08, 1.0>, ratio = array<f64: 0.75, 1.3333>}>
#flip = #nn.stage<horizontal_flip, {p = 0.5}>
#jitter = #nn.stage<color_jitter, {
    brightness = 0.8, contrast = 0.8, saturation = 0.8, hue = 0.2, p = 0.8, order = "random", brightness_by = "factor"}>
#blur = #nn.stage<gaussian_blur, {kernel = 9 : i64, sigma = array<f64: 0.1, 2.0>, p = 0.5}>
#tilt = #nn.stage<rotation, {degrees = 30.0, p = 0.7}>
!view = tensor<4x32x32x3xf32>
func.func @views(%images: !nn.images<4>) -> (!view, !view) {
  %0 = nn.augment %images stream 1 [#box, #flip, #jitter, #blur, #flip] : !nn.images<4> -> !view
  %1 = nn.augment %images stream 2 [#cut, #tilt] : !nn.images<4> -> !view
  return %0, %1 : !view, !view
}
)";

size_t floatsOf(const llvm::Function &function) {
  size_t seen = 0;
  for (const llvm::Instruction &each : llvm::instructions(function))
    if (llvm::isa<llvm::FPMathOperator>(each)) {
      ++seen;
      std::string text;
      llvm::raw_string_ostream(text) << each;
      EXPECT_FALSE(each.getFastMathFlags().any()) << function.getName().str() << ":" << text;
    }
  return seen;
}

TEST(KernelsDraws, CarryNoFastMathFlags) {
  llvm::LLVMContext context;
  llvm::Module module("draws", context);
  for (const char *name :
       {"draw.uniform.1", "draw.uniform.16", "draw.normal.1", "draw.normal.8", "draw.block"}) {
    defineDraw(name, module);
    EXPECT_GT(floatsOf(*module.getFunction(name)), 0u) << name;
  }
  EXPECT_FALSE(llvm::verifyModule(module, &llvm::errs()));
}

TEST(KernelsViews, BoxesAndFactorsCarryNoFastMathFlags) {
  mlir::MLIRContext mlirContext;
  mlirContext.loadDialect<nn::NnDialect, mlir::func::FuncDialect>();
  mlir::OwningOpRef<mlir::ModuleOp> parsed =
      mlir::parseSourceString<mlir::ModuleOp>(pipelines, &mlirContext);
  ASSERT_TRUE(parsed);
  llvm::LLVMContext context;
  llvm::Module module("views", context);
  parsed->walk([&](nn::AugmentOp augment) {
    llvm::IRBuilder<> b(context);
    llvm::FastMathFlags flags;
    flags.setAllowContract();
    b.setFastMathFlags(flags);
    auto *type = llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy(), b.getPtrTy()}, false);
    auto *function = llvm::Function::Create(type, llvm::Function::ExternalLinkage, "view", module);
    b.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", function));
    ViewProbe probe(b, augment, function->getArg(0), function->getArg(0), function->getArg(1),
                    /*tableSpace=*/0);
    probe.emit(function->getArg(1));
    b.CreateRetVoid();
    // A crop's box or the scales of its axes; what is drawn for the stages.
    EXPECT_GT(floatsOf(*function), 20u);
    EXPECT_FALSE(probe.kept.empty());
  });
  EXPECT_FALSE(llvm::verifyModule(module, &llvm::errs()));
}

} // namespace
