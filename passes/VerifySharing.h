// The verifier's own rule of which inputs a launch may write over.
#pragma once

#include "dialects/plan/PlanDialect.h"

namespace doppel {

/// Whether output `output` of the kernel may lie exactly where its input `input` does. Decided from
/// the operations of the body alone, not from the loops that code generation makes of them, and
/// stricter than these would allow:
///
///   - each element of the output, and of every other output that depends on the input, depends on
///     the input's element at the same place, or on its line along one and the same reduction;
///   - all of them are made by one nest of loops, and the output behind the last reduction of it;
///   - or the output is the ring or table itself, with rows replaced, and nothing else asks for it.
///
/// It rests on what dialects/plan/README.md promises of kernels ("Launches"), not on the planner's
/// rule (KernelAliasing), so that one of them is not wrong because the other is. The planner shares
/// where both allow it; the verifier asks this one alone.
bool mayOverwrite(plan::KernelOp kernel, unsigned input, unsigned output);

} // namespace doppel
