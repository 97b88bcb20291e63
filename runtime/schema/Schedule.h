// What a method's schedules and conditions do in a run of so many steps. The compiler asks when it
// knows the epochs of a spec, the runtime when it knows the run: both get the same answer from the
// same nodes (program.fbs, Schedule).
#pragma once

#include "runtime/schema/program_generated.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::schedule {

using Nodes = std::span<const schema::ScheduleNode>;

/// The scalars of a run that schedules see, and where the run ends.
struct Run {
  int64_t stepsPerEpoch = 1;
  int64_t epochs = 1; ///< the horizon that schedules stretch over
  int64_t samples = 0;
  int64_t end = 1; ///< steps that are taken

  int64_t horizon() const; ///< epochs * stepsPerEpoch, at most 2^62

  /// A whole run of so many epochs on data that are not known yet: an epoch has more steps than any
  /// number of steps that a spec names, so that only what counts epochs comes late.
  static Run beforeTheData(int64_t epochs, int64_t stepsPerEpoch = int64_t(1) << 20);
};

/// A comparison, maximum or minimum that goes one way in all steps of the run, and the other way in
/// a longer one: a warm-up that does not end, a freeze that does not begin.
struct Turn {
  uint32_t node;
  int64_t step; ///< the first that goes the other way; not below the run's end
  /// Of a condition that never changes in the run: what it is.
  std::optional<bool> always;
};

/// Where a rate leaves what is allowed: negative, a fraction above 1, or not finite.
struct Excess {
  int64_t step; ///< the first such step
  double value;
};

/// The value at one step; of a condition 0 or 1. `values` is memory for it.
double evaluate(Nodes nodes, const Run &run, int64_t step, std::vector<double> &values);

/// The turns that lie beyond the run's end, in the order of the nodes. What a longer run does not
/// reach either (a thousand times as long) is meant so. A maximum or a minimum that is reached as
/// the schedule's horizon ends, as that of half a cosine, is reached.
std::vector<Turn> turnsBeyond(Nodes nodes, schema::ScheduleRole role, const Run &run);

/// Nothing if all values are allowed by the role. Every step is looked at, of a run of more than
/// 2^15 steps as many of them.
std::optional<Excess> firstExcess(Nodes nodes, schema::ScheduleRole role, const Run &run);

/// A place of the run in words: "epoch 10", "step 250 (epoch 1.3)". Without the steps where they
/// are not known.
std::string describe(int64_t step, const Run &run, bool stepsAreKnown);

/// The text of a warning, without the place in the spec: "the learning rate changes its course at
/// epoch 10, and the run ends at epoch 4".
std::string describe(std::string_view what, const Turn &turn, const Run &run, bool stepsAreKnown);

/// The same of an excess: "the learning rate is -0.1 at step 250 (epoch 1.3): it must be at least
/// 0".
std::string describe(std::string_view what, const Excess &excess, schema::ScheduleRole role,
                     const Run &run, bool stepsAreKnown);

/// How many nodes before it an operation has as operands: 0 to 3; nothing if it is not known.
std::optional<int> operandCount(schema::ScheduleOp op);

} // namespace doppel::schedule
