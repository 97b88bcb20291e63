// In what two artifacts are of different methods, for people.
#pragma once

#include "runtime/artifact/Artifact.h"

namespace doppel::runtime {

/// What `ours` has other than `theirs`, by the first of these that differs: the method's name, the
/// values of params ("tau is 0.2 there, 0.1 here"), a line of the spec. Where nothing of that does,
/// what else it can be.
std::string describeDifference(const Artifact &theirs, const Artifact &ours);

} // namespace doppel::runtime
