// The operands that each library operation takes.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/schema/program_generated.h"

#include <string>

namespace doppel::runtime {

/// Number, dtype and shapes of a call's operands, and its integers, by the table of
/// dialects/plan/README.md. The buffers' indices have been checked. `where` begins the error.
Result<void> checkCall(const schema::Program &program, const schema::Call &call,
                       const std::string &where);

} // namespace doppel::runtime
