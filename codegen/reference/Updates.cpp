// The update rules, for one parameter at a time. g' = g + wd w where the parameter is under decay.
// `trust` is the coefficient of LARS,
// |.| the 2-norm of the whole parameter; where a norm is zero or the parameter is not adapted, the
// factor a is 1.
//
// clang-format off
//   sgd        v = m v + (1 - dampening) g', undamped in step 0; w -= lr (nesterov ? g' + m v : v)
//   lars tf    a = trust |w| / (|g'| + eps); v = m v + lr a g'; w -= nesterov ? m v + lr a g' : v
//   lars byol  a = trust |w| / (|g'| + eps); v = m v + a g'; w -= lr (nesterov ? a g' + m v : v)
//   lars larc  a = trust |w| / (|g| + wd |w| + eps); g' = a (g + wd w); v, w as sgd
//   adamw      w -= lr wd w; first = b1 first + (1 - b1) g; second = b2 second + (1 - b2) g^2;
//              w -= lr (first / (1 - b1^t)) / (sqrt(second / (1 - b2^t)) + eps)
// clang-format on
//
// larc where a norm is zero leaves the gradient as it is, decay included. Sources: methods.md P20;
// torch.optim.SGD, AdamW.
#include "codegen/reference/Formulas.h"

#include <cmath>

using namespace mlir;

namespace doppel::reference {

llvm::SmallVector<llvm::StringRef> momentNames(nn::OptimizerRule rule, DictionaryAttr options) {
  if (rule == nn::OptimizerRule::AdamW)
    return {"first_moment", "second_moment"};
  if (cast<FloatAttr>(options.get("momentum")).getValueAsDouble() == 0)
    return {};
  return {"momentum"};
}

bool hasStepsInFormula(nn::OptimizerRule rule, DictionaryAttr options) {
  return rule == nn::OptimizerRule::AdamW ||
         (rule == nn::OptimizerRule::Sgd &&
          cast<FloatAttr>(options.get("dampening")).getValueAsDouble() != 0);
}

static double norm(const std::vector<double> &values) {
  double squares = 0;
  for (double value : values)
    squares += value * value;
  return std::sqrt(squares);
}

void clipGradients(DictionaryAttr options, std::vector<Tensor> &gradients) {
  if (!options.contains("clip"))
    return;
  double clip = cast<FloatAttr>(options.get("clip")).getValueAsDouble(), squares = 0;
  bool global = cast<StringAttr>(options.get("clip_by")).getValue() == "global";
  for (const Tensor &gradient : gradients)
    squares += std::pow(norm(gradient.values), 2);
  for (Tensor &gradient : gradients) {
    double own = global ? std::sqrt(squares) : norm(gradient.values);
    for (double &value : gradient.values)
      value *= std::min(1.0, clip / (own + 1e-6));
  }
}

void updateParameter(nn::OptimizerRule rule, DictionaryAttr options, bool decay, bool adapt,
                     double learningRate, double weightDecay, int64_t step, const Tensor &gradient,
                     Tensor &parameter, Moments &moments) {
  auto number = [&](StringRef name) {
    return cast<FloatAttr>(options.get(name)).getValueAsDouble();
  };
  auto flag = [&](StringRef name) { return cast<BoolAttr>(options.get(name)).getValue(); };
  double lr = learningRate, wd = decay ? weightDecay : 0;
  std::vector<double> &w = parameter.values;
  size_t count = w.size();

  if (rule == nn::OptimizerRule::AdamW) {
    double b1 = number("beta1"), b2 = number("beta2"), t = static_cast<double>(step + 1);
    for (size_t i = 0; i < count; ++i) {
      double g = gradient.values[i];
      double &first = moments[0].values[i], &second = moments[1].values[i];
      w[i] -= lr * wd * w[i];
      first = b1 * first + (1 - b1) * g;
      second = b2 * second + (1 - b2) * g * g;
      double meanFirst = first / (1 - std::pow(b1, t)), meanSecond = second / (1 - std::pow(b2, t));
      w[i] -= lr * meanFirst / (std::sqrt(meanSecond) + number("epsilon"));
    }
    return;
  }

  double m = number("momentum"), fresh = 1;
  bool nesterov = flag("nesterov");
  std::vector<double> g = gradient.values;
  std::vector<double> v = moments.empty() ? std::vector<double>(count) : moments[0].values;
  StringRef form = "byol"; // sgd too has its learning rate outside of the momentum
  if (rule == nn::OptimizerRule::Sgd) {
    fresh = step == 0 || m == 0 ? 1 : 1 - number("dampening");
    for (size_t i = 0; i < count; ++i)
      g[i] += wd * w[i];
  } else {
    form = cast<StringAttr>(options.get("form")).getValue();
    double normOfW = norm(w), normOfG = norm(g), factor = 1;
    if (form == "larc") {
      bool applies = adapt && normOfW > 0 && normOfG > 0;
      if (applies)
        factor = number("trust") * normOfW / (normOfG + wd * normOfW + number("epsilon"));
      for (size_t i = 0; i < count; ++i)
        g[i] = applies || !adapt ? factor * (g[i] + wd * w[i]) : g[i];
    } else {
      for (size_t i = 0; i < count; ++i)
        g[i] += wd * w[i];
      normOfG = norm(g);
      if (adapt && normOfW > 0 && normOfG > 0)
        factor = number("trust") * normOfW / (normOfG + number("epsilon"));
      for (size_t i = 0; i < count; ++i)
        g[i] *= factor;
    }
  }
  double inside = form == "tf" ? lr : 1, outside = form == "tf" ? 1 : lr;
  for (size_t i = 0; i < count; ++i) {
    v[i] = m * v[i] + fresh * inside * g[i];
    w[i] -= outside * (nesterov ? inside * g[i] + m * v[i] : v[i]);
  }
  if (!moments.empty())
    moments[0].values = v;
}

} // namespace doppel::reference
