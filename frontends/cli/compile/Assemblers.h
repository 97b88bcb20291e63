// Finds what makes cubins on this machine.
#pragma once

#include "codegen/cuda/Cubin.h"

namespace doppel::cli {

/// nvJitLink where NVIDIA's libraries usually lie, else ptxas of the PATH, of a toolkit or of PyPI.
/// The error says what was looked for and where.
llvm::Expected<std::unique_ptr<cuda::Assembler>> findAssembler();

} // namespace doppel::cli
