// The schedules and conditions of a method, as the artifact holds them: scalars of the step that
// follow from the scalars of the run alone.
#pragma once

#include "dialects/ssl/SslDialect.h"
#include "runtime/schema/Schedule.h"

#include <string>
#include <vector>

namespace doppel {

struct MethodSchedule {
  std::string what; ///< "the learning rate"
  schema::ScheduleRole role;
  std::vector<schema::ScheduleNode> nodes; ///< `location` is the node's own number
  std::vector<mlir::Location> locations;   ///< of each node
};

/// The rates, momenta, conditions and other scalars of the method that may change with the step, in
/// the order of the text. What depends on a state or on the batch is none.
std::vector<MethodSchedule> collectSchedules(ssl::MethodOp method);

/// Tells of schedules that are longer than the method's epochs (W0514) and of rates that leave what
/// is allowed (E0423), whatever the size of the data set. Fails if there is an error.
mlir::LogicalResult checkSchedules(ssl::MethodOp method,
                                   const std::vector<MethodSchedule> &schedules);

} // namespace doppel
