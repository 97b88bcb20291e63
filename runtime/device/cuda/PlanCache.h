// Plans that were chosen for the convolutions of an artifact, in a file beside it: looking for a
// plan and running it twice takes up to seconds, and only the first run on a kind of GPU does it.
#pragma once

#include "runtime/device/cuda/Cudnn.h"

#include <filesystem>
#include <map>

namespace doppel::runtime::cuda {

/// What a plan is for, beside its convolution: with another of these it is another's.
struct PlanKind {
  std::string cudnn;       ///< its version, whole: "9.19.1"
  int architecture = 0;    ///< 90 for sm_90
  int multiprocessors = 0; ///< cuDNN's choice follows them too

  /// "cudnn-9.19.1-sm_90-132"
  std::string name() const;
};

class PlanCache {
public:
  /// Where the plans of an artifact are kept: "simclr.dpx.cudnn-9.19.1-sm_90-132.plans". Each kind
  /// has a file of its own, so that machines that share a folder do not undo each other's.
  static std::filesystem::path pathOf(const std::filesystem::path &artifact, const PlanKind &kind);

  /// Reads what is kept. A cache is never in the way: where the file is damaged, or another kind's
  /// under this name, it begins empty, and remark() says why.
  PlanCache(std::filesystem::path path, PlanKind kind);

  /// The plan that is kept, where cuDNN still takes it and it needs no more than `workspaceLimit`
  /// bytes; it was accepted when it was chosen. Else Cudnn::choose's, which is kept from here on.
  Result<std::unique_ptr<ConvolutionPlan>>
  plan(Cudnn &cudnn, const Convolution &convolution, size_t workspaceLimit,
       const std::function<Result<bool>(ConvolutionPlan &)> &accept);

  /// Writes the file if a plan was chosen since it was read; whole or not at all. An error (a
  /// folder that may not be written) costs the next run its time and nothing else.
  Result<void> save();

  /// A sentence where the file was of no use, else empty.
  const std::string &remark() const { return remark_; }
  size_t size() const { return plans.size(); }

private:
  Result<void> read();

  std::filesystem::path path;
  PlanKind kind;
  std::map<std::string, std::vector<uint8_t>> plans; ///< by Convolution::key
  std::string remark_;
  bool changed = false;
};

} // namespace doppel::runtime::cuda
