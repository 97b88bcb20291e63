// Names in what has not been evaluated.
#pragma once

#include "frontends/spec/Evaluator.h"

namespace doppel::spec {

/// Reports unknown names of the whole unit and of the user's files that it uses, also where nothing
/// was evaluated.
void checkNames(Evaluator &evaluator, const Unit &unit, const MethodDecl &decl);

} // namespace doppel::spec
