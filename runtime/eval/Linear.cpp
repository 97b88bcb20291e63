// Softmax regression by SGD. Rows are gathered into a batch, two matrix products a step (logits and
// the gradient) are oneDNN's, the rest are sums in a fixed order.
#include "runtime/eval/Linear.h"

#include "runtime/data/Sampler.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <oneapi/dnnl/dnnl.h>

namespace doppel::runtime {
namespace {

/// The sums that standardise features.
struct Standard {
  std::vector<float> mean, scale; ///< [dimension]

  explicit Standard(const LabelledFeatures &set)
      : mean(size_t(set.dimension)), scale(size_t(set.dimension)) {
    std::vector<double> sums(mean.size()), squares(mean.size());
    for (int64_t row = 0; row < set.size(); ++row)
      for (size_t axis = 0; axis < mean.size(); ++axis)
        sums[axis] += set.features[size_t(row) * mean.size() + axis];
    for (size_t axis = 0; axis < mean.size(); ++axis)
      mean[axis] = float(sums[axis] / double(set.size()));
    for (int64_t row = 0; row < set.size(); ++row)
      for (size_t axis = 0; axis < mean.size(); ++axis) {
        double apart = set.features[size_t(row) * mean.size() + axis] - mean[axis];
        squares[axis] += apart * apart;
      }
    for (size_t axis = 0; axis < mean.size(); ++axis)
      scale[axis] = float(1 / std::sqrt(squares[axis] / double(set.size()) + 1e-6));
  }

  /// Row `row` of `set` with a last axis of 1, for the bias.
  void write(const LabelledFeatures &set, int64_t row, float *target) const {
    const float *source = set.features.data() + row * set.dimension;
    for (size_t axis = 0; axis < mean.size(); ++axis)
      target[axis] = (source[axis] - mean[axis]) * scale[axis];
    target[mean.size()] = 1;
  }
};

/// c = a b, row-major, or with `transpose` c = a^T b.
void multiply(bool transpose, int64_t rows, int64_t columns, int64_t inner, const float *a,
              const float *b, float *c) {
  dnnl_sgemm(transpose ? 'T' : 'N', 'N', rows, columns, inner, 1.0f, a, transpose ? rows : inner, b,
             columns, 0.0f, c, columns);
}

class Classifier {
public:
  Classifier(const LabelledFeatures &train, int32_t classes, const LinearOptions &options)
      : train(train), options(options), standard(train), inputs(train.dimension + 1),
        classes(classes), weights(size_t(inputs * classes)), velocity(weights.size()) {}

  void fit() {
    int64_t batch = std::min(options.batch, train.size());
    Sampler sampler(options.seed, train.size(), batch);
    int64_t steps = options.epochs * sampler.stepsPerEpoch();
    std::vector<float> rows(size_t(batch * inputs)), logits(size_t(batch * classes)),
        gradient(weights.size());
    for (int64_t step = 0; step < steps; ++step) {
      std::vector<int32_t> labels;
      for (int64_t place = 0; place < batch; ++place) {
        int64_t sample = sampler.indexAt(step, place);
        standard.write(train, sample, rows.data() + place * inputs);
        labels.push_back(train.labels[size_t(sample)]);
      }
      multiply(false, batch, classes, inputs, rows.data(), weights.data(), logits.data());
      for (int64_t place = 0; place < batch; ++place)
        toGradient(logits.data() + place * classes, labels[size_t(place)], 1.0f / float(batch));
      multiply(true, inputs, classes, batch, rows.data(), logits.data(), gradient.data());
      double rate = options.learningRate * 0.5 *
                    (1 + std::cos(std::numbers::pi * double(step) / double(steps)));
      for (size_t i = 0; i < weights.size(); ++i) {
        velocity[i] = float(options.momentum) * velocity[i] + gradient[i];
        weights[i] -= float(rate) * velocity[i];
      }
    }
  }

  double accuracy(const LabelledFeatures &set) const {
    constexpr int64_t tile = 1024;
    std::vector<float> rows(size_t(tile * inputs)), logits(size_t(tile * classes));
    int64_t correct = 0;
    for (int64_t begin = 0; begin < set.size(); begin += tile) {
      int64_t count = std::min(tile, set.size() - begin);
      for (int64_t place = 0; place < count; ++place)
        standard.write(set, begin + place, rows.data() + place * inputs);
      multiply(false, count, classes, inputs, rows.data(), weights.data(), logits.data());
      for (int64_t place = 0; place < count; ++place) {
        const float *row = logits.data() + place * classes;
        correct += std::max_element(row, row + classes) - row == set.labels[size_t(begin + place)];
      }
    }
    return double(correct) / double(set.size());
  }

private:
  /// logits -> (softmax - one hot) * scale.
  void toGradient(float *logits, int32_t label, float scale) const {
    float top = *std::max_element(logits, logits + classes), sum = 0;
    for (int32_t c = 0; c < classes; ++c)
      sum += logits[c] = std::exp(logits[c] - top);
    for (int32_t c = 0; c < classes; ++c)
      logits[c] = (logits[c] / sum - (c == label)) * scale;
  }

  const LabelledFeatures &train;
  const LinearOptions &options;
  Standard standard;
  int64_t inputs; ///< axes and the bias
  int32_t classes;
  std::vector<float> weights, velocity; ///< [inputs, classes]
};

} // namespace

Result<LinearResult> classifyLinearly(const LabelledFeatures &train, const LabelledFeatures &test,
                                      int32_t classes, const LinearOptions &options) {
  DOPPEL_CHECK(checkFeatures(train, "training", test, classes));
  Classifier classifier(train, classes, options);
  classifier.fit();
  return LinearResult{classifier.accuracy(test), classifier.accuracy(train)};
}

} // namespace doppel::runtime
