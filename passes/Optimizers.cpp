// SGD, LARS and AdamW over packed vectors. Sources: PyTorch's torch.optim for SGD and AdamW; for
// LARS the three published forms, which differ in where the learning rate and the norms stand: "tf"
// (You et al. 2017 as SimCLR has it), "byol" and "larc" (NVIDIA's, as SwAV has it).
#include "passes/Optimizers.h"

#include <cmath>

using namespace mlir;

namespace doppel {
namespace {

double number(DictionaryAttr options, StringRef name) {
  return cast<FloatAttr>(options.get(name)).getValueAsDouble();
}
bool flag(DictionaryAttr options, StringRef name) {
  return cast<BoolAttr>(options.get(name)).getValue();
}

Expr decayed(const PackedUpdate &u, Expr gradients) {
  return u.decay ? gradients + u.weightDecay.splat(gradients.shape()) * u.parameters : gradients;
}

//===-- SGD -----------------------------------------------------------------------------------===//

/// v' = m v + (1 - dampening) g;  w' = w - lr v', or w - lr (g + m v') with Nesterov's momentum.
/// The first step takes g undamped.
Expr momentumStep(const PackedUpdate &u, Expr g, double dampening, MutableArrayRef<Expr> moments) {
  Expr rate = u.learningRate.splat(g.shape());
  double momentum = number(u.options, "momentum");
  if (momentum == 0)
    return u.parameters - rate * g;
  Expr damped = g;
  if (dampening != 0) {
    Expr factor = (u.step == 0.0).select(u.step.full(1), u.step.full(1 - dampening));
    damped = g * factor.splat(g.shape());
  }
  Expr v = moments[0] * momentum + damped;
  moments[0] = v;
  return u.parameters - rate * (flag(u.options, "nesterov") ? g + v * momentum : v);
}

Expr sgd(const PackedUpdate &u, MutableArrayRef<Expr> moments) {
  return momentumStep(u, decayed(u, u.gradients), number(u.options, "dampening"), moments);
}

//===-- Clipping ------------------------------------------------------------------------------===//

/// The norm of each parameter's part of x: [S].
Expr norms(const PackedUpdate &u, Expr x) {
  Expr squares = x * x;
  auto type = x.typeWith({int64_t(u.sizes.size())});
  return sqrt(
      Expr(x.b(), nn::SegmentSumOp::create(x.b(), type, squares.value(), u.offsets, u.sizes)));
}

Expr overSegments(const PackedUpdate &u, Expr perParameter) {
  ImplicitLocOpBuilder &b = perParameter.b();
  return {b, nn::SegmentBroadcastOp::create(b, u.parameters.type(), perParameter.value(), u.offsets,
                                            u.sizes)};
}

/// min(1, clip / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_ has it.
Expr clipFactor(Expr norm, double clip) {
  Expr factor = norm.full(clip) / (norm + 1e-6);
  return (factor < 1.0).select(factor, factor.full(1));
}

//===-- LARS ----------------------------------------------------------------------------------===//

/// trust |w| / (|g| + epsilon), and 1 where a norm is 0.
Expr trustRatio(const PackedUpdate &u, Expr g) {
  Expr w = norms(u, u.parameters), n = norms(u, g);
  Expr ratio = w * number(u.options, "trust") / (n + number(u.options, "epsilon"));
  return (w > 0.0).select((n > 0.0).select(ratio, ratio.full(1)), ratio.full(1));
}

/// trust |w| / (|g| + wd |w| + epsilon). Where |w| is 0 the factor is 1. Where |g| is 0 the
/// reference leaves the gradient alone, without decay; as the gradient is zero then, the factor 0
/// says the same.
Expr larcRatio(const PackedUpdate &u) {
  Expr w = norms(u, u.parameters), n = norms(u, u.gradients);
  Expr sum = u.decay ? n + u.weightDecay.splat(w.shape()) * w : n;
  Expr ratio = w * number(u.options, "trust") / (sum + number(u.options, "epsilon"));
  return (n > 0.0).select((w > 0.0).select(ratio, ratio.full(1)), ratio.full(0));
}

Expr lars(const PackedUpdate &u, MutableArrayRef<Expr> moments) {
  StringRef form = cast<StringAttr>(u.options.get("form")).getValue();
  Expr g = decayed(u, u.gradients);
  if (u.adapt)
    g = g * overSegments(u, form == "larc" ? larcRatio(u) : trustRatio(u, g));
  if (form != "tf")
    return momentumStep(u, g, /*dampening=*/0, moments);

  // The learning rate is inside the momentum.
  Expr scaled = g * u.learningRate.splat(g.shape());
  double momentum = number(u.options, "momentum");
  if (momentum == 0)
    return u.parameters - scaled;
  Expr v = moments[0] * momentum + scaled;
  moments[0] = v;
  return u.parameters - (flag(u.options, "nesterov") ? v * momentum + scaled : v);
}

//===-- AdamW ---------------------------------------------------------------------------------===//

/// 1 - beta^t. As -tanh(x / 2) (1 + e^x) with x = t ln(beta) it keeps its digits where beta^t is
/// close to 1.
Expr biasCorrection(Expr t, double beta) {
  Expr x = t * std::log(beta);
  return -(tanh(x * 0.5) * (exp(x) + 1));
}

/// m' = b1 m + (1 - b1) g;  v' = b2 v + (1 - b2) g^2;  w' = w - lr wd w - lr (m' / c1) / (sqrt(v' /
/// c2) + epsilon)
Expr adamW(const PackedUpdate &u, MutableArrayRef<Expr> moments) {
  double beta1 = number(u.options, "beta1"), beta2 = number(u.options, "beta2");
  Expr g = u.gradients;
  Expr t = u.step + 1;
  Expr rate = u.learningRate / biasCorrection(t, beta1);
  Expr root = sqrt(biasCorrection(t, beta2));
  Expr m = moments[0] * beta1 + g * (1 - beta1);
  Expr v = moments[1] * beta2 + g * g * (1 - beta2);
  moments[0] = m;
  moments[1] = v;
  Expr w = u.parameters;
  if (u.decay)
    w = w * (1 - u.learningRate * u.weightDecay).splat(g.shape());
  Expr denominator = sqrt(v) / root.splat(g.shape()) + number(u.options, "epsilon");
  return w - rate.splat(g.shape()) * (m / denominator);
}

} // namespace

bool clipsGlobally(DictionaryAttr options) {
  auto by = options.getAs<StringAttr>("clip_by");
  return by && by.getValue() == "global";
}

bool countsSteps(nn::OptimizerRule rule, DictionaryAttr options) {
  return rule == nn::OptimizerRule::AdamW ||
         (rule == nn::OptimizerRule::Sgd && number(options, "dampening") != 0);
}

Expr globalClipFactor(ArrayRef<Expr> gradients, DictionaryAttr options) {
  Expr sum;
  for (Expr vector : gradients) {
    Expr squares = (vector * vector).sum({0});
    sum = sum ? sum + squares : squares;
  }
  return clipFactor(sqrt(sum), number(options, "clip"));
}

Expr clipByTensor(const PackedUpdate &u) {
  return u.gradients *
         overSegments(u, clipFactor(norms(u, u.gradients), number(u.options, "clip")));
}

SmallVector<StringRef> getMomentNames(nn::OptimizerRule rule, DictionaryAttr options) {
  if (rule == nn::OptimizerRule::AdamW)
    return {"first_moment", "second_moment"};
  if (number(options, "momentum") == 0)
    return {};
  return {"momentum"};
}

Expr applyOptimizer(nn::OptimizerRule rule, const PackedUpdate &update,
                    MutableArrayRef<Expr> moments) {
  switch (rule) {
  case nn::OptimizerRule::Sgd:
    return sgd(update, moments);
  case nn::OptimizerRule::Lars:
    return lars(update, moments);
  case nn::OptimizerRule::AdamW:
    return adamW(update, moments);
  }
  llvm_unreachable("an optimizer without a rule");
}

} // namespace doppel
