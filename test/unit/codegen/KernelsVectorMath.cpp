// The elementary functions that kernels are made of, compiled for this machine and held against the
// C library's in a wider type.
#include "codegen/kernels/VectorMath.h"

#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/TargetSelect.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>

using doppel::kernels::VectorMath;
using llvm::IRBuilder;
using llvm::Value;

namespace {

constexpr unsigned lanes = 4;
using Emit = llvm::function_ref<Value *(VectorMath &, Value *, Value *)>;

/// Applies what `emit` makes of vectors of lanes, and of single numbers, to each pair of elements;
/// expects both to agree bit for bit.
template <typename T, typename R = T>
std::vector<R> apply(const std::vector<T> &x, const std::vector<T> &y, Emit emit) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  auto context = std::make_unique<llvm::LLVMContext>();
  auto module = std::make_unique<llvm::Module>("functions", *context);
  auto machine = llvm::cantFail(llvm::orc::JITTargetMachineBuilder::detectHost());
  auto jit = llvm::cantFail(llvm::orc::LLJITBuilder().setJITTargetMachineBuilder(machine).create());
  module->setDataLayout(jit->getDataLayout());
  IRBuilder<> b(*context);
  llvm::FastMathFlags flags;
  flags.setAllowContract();
  b.setFastMathFlags(flags);
  for (unsigned width : {1u, lanes}) {
    auto *type =
        llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy(), b.getPtrTy(), b.getPtrTy()}, false);
    auto *function = llvm::Function::Create(type, llvm::Function::ExternalLinkage,
                                            width == 1 ? "one" : "vector", *module);
    b.SetInsertPoint(llvm::BasicBlock::Create(*context, "entry", function));
    llvm::Type *number = sizeof(T) == 8 ? b.getDoubleTy() : b.getFloatTy();
    llvm::Type *each = width == 1 ? number : llvm::FixedVectorType::get(number, width);
    auto load = [&](unsigned argument) {
      return b.CreateAlignedLoad(each, function->getArg(argument), llvm::Align(sizeof(T)));
    };
    VectorMath math(b);
    b.CreateAlignedStore(emit(math, load(0), load(1)), function->getArg(2), llvm::Align(sizeof(R)));
    b.CreateRetVoid();
  }
  EXPECT_FALSE(llvm::verifyModule(*module, &llvm::errs()));
  llvm::cantFail(jit->addIRModule({std::move(module), std::move(context)}));
  using Function = void (*)(const T *, const T *, R *);
  auto one = llvm::cantFail(jit->lookup("one")).template toPtr<Function>(),
       vector = llvm::cantFail(jit->lookup("vector")).template toPtr<Function>();
  std::vector<R> result(x.size()), again(x.size());
  EXPECT_EQ(x.size() % lanes, 0u);
  for (size_t i = 0; i < x.size(); ++i)
    one(&x[i], &y[i], &result[i]);
  for (size_t i = 0; i < x.size(); i += lanes)
    vector(&x[i], &y[i], &again[i]);
  EXPECT_EQ(std::memcmp(result.data(), again.data(), x.size() * sizeof(R)), 0)
      << "vectors and single numbers differ";
  return result;
}

/// `count` numbers of [low, high], spread by steps that share no factor with anything.
template <typename T> std::vector<T> spread(double low, double high, size_t count = 1 << 16) {
  std::vector<T> numbers(count);
  double turn = 0;
  for (T &number : numbers) {
    turn = std::fmod(turn + 0.6180339887498949, 1.0);
    number = T(low + (high - low) * turn);
  }
  numbers[0] = T(low), numbers[1] = T(high);
  return numbers;
}

/// How far `got` is from `wanted` in units of T's last place there (of the least normal number,
/// below it).
template <typename T> double unitsOff(T got, long double wanted) {
  T rounded = T(wanted);
  if (std::isnan(wanted) || std::isinf(rounded) || std::isinf(got) || std::isnan(got))
    return (std::isnan(wanted) && std::isnan(got)) || got == rounded ? 0 : HUGE_VAL;
  int exponent = std::ilogb(rounded);
  if (rounded == 0 || exponent < std::numeric_limits<T>::min_exponent - 1)
    exponent = std::numeric_limits<T>::min_exponent - 1;
  return double(std::fabs((long double)got - wanted) /
                std::ldexp(1.0L, exponent - (std::numeric_limits<T>::digits - 1)));
}

template <typename T>
double worst(const std::vector<T> &x, Emit emit, long double (*exact)(long double)) {
  std::vector<T> got = apply(x, x, emit);
  double most = 0;
  for (size_t i = 0; i < x.size(); ++i)
    most = std::max(most, unitsOff(got[i], exact(x[i])));
  return most;
}

Value *exponential(VectorMath &math, Value *x, Value *) { return math.exp(x); }
Value *logarithm(VectorMath &math, Value *x, Value *) { return math.log(x); }
Value *sine(VectorMath &math, Value *x, Value *) { return math.sin(x); }
Value *cosine(VectorMath &math, Value *x, Value *) { return math.cos(x); }
Value *tangent(VectorMath &math, Value *x, Value *) { return math.tanh(x); }

TEST(KernelsVectorMath, ExponentialsOfDoublesAreRightToAUnit) {
  EXPECT_LE(worst(spread<double>(-0.5, 0.5), exponential, std::exp), 1.0);
  EXPECT_LE(worst(spread<double>(-20, 20), exponential, std::exp), 1.0);
  EXPECT_LE(worst(spread<double>(-708, 709.7), exponential, std::exp), 1.0);
  EXPECT_LE(worst(spread<double>(-746, -708), exponential, std::exp), 1.5) << "subnormal results";
  // A crop's ratio.
  EXPECT_LE(worst(spread<double>(std::log(0.5), std::log(2)), exponential, std::exp), 1.0);
}

TEST(KernelsVectorMath, LogarithmsOfDoublesAreRightToAUnit) {
  EXPECT_LE(worst(spread<double>(0.5, 2), logarithm, std::log), 1.0);
  EXPECT_LE(worst(spread<double>(0.999, 1.001), logarithm, std::log), 1.0);
  EXPECT_LE(worst(spread<double>(0, 1e6), logarithm, std::log), 1.0);
  EXPECT_LE(worst(spread<double>(1e300, 1.7e308), logarithm, std::log), 1.0);
  EXPECT_LE(worst(spread<double>(5e-324, 2e-308), logarithm, std::log), 1.0) << "subnormal numbers";
}

TEST(KernelsVectorMath, SinesOfDoublesAreRightToAUnit) {
  for (double range : {0.8, 7.0, 1000.0, 1e5}) {
    EXPECT_LE(worst(spread<double>(-range, range), sine, std::sin), 1.0) << range;
    EXPECT_LE(worst(spread<double>(-range, range), cosine, std::cos), 1.0) << range;
  }
  // The doubles nearest to multiples of pi / 2, where most digits cancel.
  std::vector<double> turns;
  for (int n = 1; n <= 4096; ++n)
    turns.push_back(double(n * 1.57079632679489661923132169163975L));
  EXPECT_LE(worst(turns, sine, std::sin), 1.0);
  EXPECT_LE(worst(turns, cosine, std::cos), 1.0);
}

TEST(KernelsVectorMath, TangentsOfDoublesAreRightToFourUnits) {
  for (double range : {1e-9, 0.1, 1.0, 25.0})
    EXPECT_LE(worst(spread<double>(-range, range), tangent, std::tanh), 4.0) << range;
}

TEST(KernelsVectorMath, DoublesThatAreNoNumbers) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> x = {infinity, -infinity, std::nan(""), 0.0, -0.0, -1.0, 5e-324, 1.0};
  for (size_t i = 0; i < x.size(); ++i) {
    std::vector<double> same(lanes, x[i]);
    EXPECT_LE(unitsOff(apply(same, same, exponential)[0], std::exp((long double)x[i])), 1) << x[i];
    EXPECT_LE(unitsOff(apply(same, same, logarithm)[0], std::log((long double)x[i])), 1) << x[i];
    EXPECT_LE(unitsOff(apply(same, same, tangent)[0], std::tanh((long double)x[i])), 1) << x[i];
  }
}

TEST(KernelsVectorMath, NearestRoundsHalvesToEven) {
  std::vector<double> x = {0.5,  1.5, 2.5, -0.5,   -1.5,       0.49999999999999994,
                           -3.7, 7.2, 0,   1023.5, 1e15 + 0.5, 1125899906842623.5};
  std::vector<int64_t> got = apply<double, int64_t>(
      x, x, [](VectorMath &math, Value *value, Value *) { return math.nearest(value); });
  for (size_t i = 0; i < x.size(); ++i)
    EXPECT_EQ(got[i], std::llrint(x[i])) << x[i];
}

Value *power(VectorMath &math, Value *x, Value *y) { return math.pow(x, y); }

TEST(KernelsVectorMath, PowersAreRightToAUnit) {
  std::vector<float> x = spread<float>(1e-3, 50), y = spread<float>(-9, 13);
  std::reverse(y.begin(), y.end());
  std::vector<float> got = apply(x, y, power);
  for (size_t i = 0; i < x.size(); ++i)
    ASSERT_LE(unitsOff(got[i], std::pow((long double)x[i], y[i])), 0.51) << x[i] << " ^ " << y[i];
  std::vector<double> wide(x.begin(), x.end()), exponent(y.begin(), y.end());
  std::vector<double> precise = apply(wide, exponent, power);
  for (size_t i = 0; i < x.size(); ++i)
    ASSERT_LE(unitsOff(precise[i], std::pow((long double)wide[i], exponent[i])),
              1 + 2 * std::fabs(y[i] * std::log(x[i])));
}

TEST(KernelsVectorMath, PowersOfSpecialNumbersAreTheCLibrarys) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const float numbers[] = {0.0f, -0.0f, 1.0f, -1.0f, 2.0f,     -2.0f,     0.5f,
                           3.0f, -3.0f, 2.5f, -2.5f, infinity, -infinity, std::nanf("")};
  std::vector<float> x, y;
  for (float base : numbers)
    for (float exponent : numbers)
      x.push_back(base), y.push_back(exponent);
  ASSERT_EQ(x.size() % lanes, 0u);
  std::vector<float> got = apply(x, y, power);
  for (size_t i = 0; i < x.size(); ++i) {
    float wanted = std::pow(x[i], y[i]);
    EXPECT_LE(unitsOff(got[i], wanted), 1) << x[i] << " ^ " << y[i] << " is not " << got[i];
    EXPECT_TRUE(std::isnan(wanted) || std::signbit(got[i]) == std::signbit(wanted))
        << x[i] << " ^ " << y[i];
  }
}

TEST(KernelsVectorMath, DoublesCarryNoFastMathFlags) {
  llvm::LLVMContext context;
  llvm::Module module("functions", context);
  IRBuilder<> b(context);
  b.setFastMathFlags(llvm::FastMathFlags::getFast());
  auto *type = llvm::FunctionType::get(b.getDoubleTy(), {b.getDoubleTy()}, false);
  auto *function = llvm::Function::Create(type, llvm::Function::ExternalLinkage, "all", module);
  b.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", function));
  VectorMath math(b);
  Value *x = function->getArg(0);
  b.CreateRet(math.tanh(math.cos(math.sin(math.log(math.exp(x))))));
  size_t seen = 0;
  for (llvm::Instruction &each : function->front())
    if (llvm::isa<llvm::FPMathOperator>(each)) {
      ++seen;
      EXPECT_FALSE(each.getFastMathFlags().any());
    }
  EXPECT_GT(seen, 100u);
  EXPECT_TRUE(b.getFastMathFlags().all()) << "the builder's flags are the caller's again";
}

} // namespace
