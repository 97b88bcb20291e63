// What a run says of its schedules before its first step.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/schema/Schedule.h"

#include <functional>

namespace doppel::runtime {

/// Warns of schedules and conditions that do not get to their turn in the run, one line each with
/// the place in the spec; not of those that the compiler could tell by the epochs of the spec,
/// which has told them, or was asked not to (`allow W0514`). Fails if a rate is negative, a
/// fraction above 1, or one of them not finite at some step.
Result<void> checkSchedules(const schema::Program &program, const schedule::Run &run,
                            const std::function<void(const std::string &)> &warn);

} // namespace doppel::runtime
