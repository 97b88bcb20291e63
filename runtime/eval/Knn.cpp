// Tiles of queries against tiles of the bank: one matrix product a tile, then each query keeps its
// best k so far. Invariant: a query's candidates hold its k best among the bank's rows seen so far,
// under the order (similarity descending, index ascending).

#include "runtime/eval/Knn.h"
#include <algorithm>
#include <cmath>
#include <limits>

#include <oneapi/dnnl/dnnl.h>

namespace doppel::runtime {
namespace {

constexpr int64_t kQueryTile = 512;
constexpr int64_t kBankTile = 4096;

/// Rows scaled to unit length; a zero row stays zero.
std::vector<float> unitRows(const LabelledFeatures &set) {
  std::vector<float> rows(set.features.size());
#pragma omp parallel for
  for (int64_t row = 0; row < set.size(); ++row) {
    const float *source = set.features.data() + row * set.dimension;
    double squares = 0;
    for (int64_t axis = 0; axis < set.dimension; ++axis)
      squares += double(source[axis]) * source[axis];
    float scale = squares > 0 ? float(1 / std::sqrt(squares)) : 0;
    for (int64_t axis = 0; axis < set.dimension; ++axis)
      rows[row * set.dimension + axis] = source[axis] * scale;
  }
  return rows;
}

struct Candidate {
  float similarity;
  int32_t index;

  bool operator<(const Candidate &other) const { // better first
    return similarity != other.similarity ? similarity > other.similarity : index < other.index;
  }
};

/// The best k of a stream of candidates with ascending indices: collects up to 2k above the bar,
/// then cuts back to k and raises it.
class BestK {
public:
  explicit BestK(int64_t k) : k(size_t(k)) { kept.reserve(2 * this->k); }

  void offer(const float *similarities, int64_t count, int64_t firstIndex) {
    for (int64_t at = 0; at < count; ++at) {
      if (!(similarities[at] > bar))
        continue;
      kept.push_back({similarities[at], int32_t(firstIndex + at)});
      if (kept.size() == 2 * k)
        cut();
    }
  }

  /// Best first.
  const std::vector<Candidate> &finish() {
    cut();
    std::sort(kept.begin(), kept.end());
    return kept;
  }

private:
  void cut() {
    if (kept.size() < k)
      return;
    std::nth_element(kept.begin(), kept.begin() + (k - 1), kept.end());
    kept.resize(k);
    bar = kept[k - 1].similarity; // a later equal one has a higher index and loses
  }

  size_t k;
  float bar = -std::numeric_limits<float>::infinity();
  std::vector<Candidate> kept;
};

int32_t vote(const std::vector<Candidate> &neighbours, const std::vector<int32_t> &labels,
             int32_t classes, float temperature) {
  std::vector<double> votes(static_cast<size_t>(classes));
  // Relative to the best, so that no temperature overflows; the winner is the same.
  double best = neighbours[0].similarity;
  for (const Candidate &neighbour : neighbours)
    votes[labels[neighbour.index]] += std::exp((neighbour.similarity - best) / temperature);
  return int32_t(std::max_element(votes.begin(), votes.end()) - votes.begin());
}

} // namespace

Result<KnnResult> classifyByNeighbours(const LabelledFeatures &bank, const LabelledFeatures &test,
                                       int32_t classes, const KnnOptions &options) {
  DOPPEL_CHECK(checkFeatures(bank, "bank", test, classes));
  if (options.neighbours < 1 || !(options.temperature > 0))
    return fail("kNN with k {} and temperature {}: both must be positive", options.neighbours,
                options.temperature);
  std::vector<float> bankRows = unitRows(bank), testRows = unitRows(test);

  KnnResult result;
  result.total = test.size();
  result.neighbours = std::min(options.neighbours, bank.size());
  if (result.neighbours < options.neighbours)
    result.note = fmt::format("k is {} instead of {}: the bank has no more samples",
                              result.neighbours, options.neighbours);

  std::vector<int32_t> predicted(static_cast<size_t>(test.size()));
  std::vector<float> similarities(kQueryTile * std::min(kBankTile, bank.size()));
  for (int64_t query = 0; query < test.size(); query += kQueryTile) {
    int64_t queries = std::min(kQueryTile, test.size() - query);
    std::vector<BestK> best(static_cast<size_t>(queries), BestK(result.neighbours));
    for (int64_t row = 0; row < bank.size(); row += kBankTile) {
      int64_t rows = std::min(kBankTile, bank.size() - row);
      dnnl_status_t status = dnnl_sgemm('N', 'T', queries, rows, bank.dimension, 1,
                                        testRows.data() + query * bank.dimension, bank.dimension,
                                        bankRows.data() + row * bank.dimension, bank.dimension, 0,
                                        similarities.data(), rows);
      if (status != dnnl_success)
        return failInternal("the matrix product of kNN failed with oneDNN status {}", int(status));
#pragma omp parallel for
      for (int64_t at = 0; at < queries; ++at)
        best[at].offer(similarities.data() + at * rows, rows, row);
    }
#pragma omp parallel for
    for (int64_t at = 0; at < queries; ++at)
      predicted[query + at] = vote(best[at].finish(), bank.labels, classes, options.temperature);
  }

  std::vector<int64_t> correct(static_cast<size_t>(classes)), total(static_cast<size_t>(classes));
  for (int64_t sample = 0; sample < test.size(); ++sample) {
    ++total[test.labels[sample]];
    correct[test.labels[sample]] += predicted[sample] == test.labels[sample];
  }
  for (int32_t label = 0; label < classes; ++label) {
    result.correct += correct[label];
    result.accuracyByClass.push_back(double(correct[label]) / double(total[label]));
  }
  result.accuracy = double(result.correct) / double(result.total);
  return result;
}

} // namespace doppel::runtime
